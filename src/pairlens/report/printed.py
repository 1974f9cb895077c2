"""Figures for a paper: at a width, with fonts in points, as SVG, PDF or PNG files.

plotly's kaleido draws them in a browser without a window.
"""

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pairlens.errors import InputError
from pairlens.report.figures import Named
from pairlens.report.theme import DARK, PAPER, dark_colors

Format = Literal["svg", "pdf", "png"]
INCH = 96.0  # pixels, as SVG and browsers have it
POINT = INCH / 72
PAGE_FONT = 12.5  # pixels of the page's figures, whose proportions are kept
UNITS = {"in": 1.0, "mm": 1 / 25.4, "cm": 1 / 2.54, "pt": 1 / 72, "px": 1 / INCH}
WORDS = {"text", "name", "ticktext", "customdata", "hovertemplate"}
"""What may look like a colour and is none."""

BESIDE = 5  # entries of a legend from which on it stands beside its figure
ENTRY, AXIS = 20.0, 48.0  # pixels of one of its lines, and of the figure's axis below
SIZES = {"width", "size", "thickness", "standoff"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PATIENCE = 300.0  # seconds for one figure; a busy machine needs some
FACES = 'Arial, Helvetica, "Liberation Sans", sans-serif'


@dataclass(frozen=True)
class Paper:
    """What figures are made for."""

    width: float = 3.3  # inches: a column
    height: float | None = None  # inches; None keeps the page's proportion of height to font
    font: float = 8.0  # points
    dark: bool = False
    dpi: int = 300  # of PNG

    def __post_init__(self) -> None:
        for name, value, least, most in (("width", self.width, 0.5, 40), ("font", self.font, 2, 40)):
            if not least <= value <= most:
                unit = "inches" if name == "width" else "points"
                raise InputError(f"a figure's {name} of {value:g} {unit} is none; give {least:g} to {most:g}")
        if self.height is not None and not 0.3 <= self.height <= 40:
            raise InputError(f"a figure's height of {self.height:g} inches is none; give 0.3 to 40, or leave it out")
        if not 30 <= self.dpi <= 2400:
            raise InputError(f"{self.dpi} dots an inch cannot be made; give 30 to 2400")

    @property
    def ratio(self) -> float:
        """Of sizes here to those on the page."""
        return self.font * POINT / PAGE_FONT


def inches(text: str) -> float:
    """A length as people write it: "3.3in", "84mm", "8.4cm", "240pt", "320px".

    Raises:
        InputError: it is none of these.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(in|mm|cm|pt|px)\s*", text)
    if found is None:
        raise InputError(f"{text!r} is no length; write 3.3in, 84mm, 8.4cm, 240pt or 320px")
    return float(found[1]) * UNITS[found[2]]


def for_paper(one: Named, paper: Paper) -> tuple[dict[str, Any], int, int]:
    """A figure that stands alone on paper, with width and height in pixels of 1/96 inch."""
    figure = deepcopy(dict(one.figure))
    data, layout = figure["data"], figure["layout"]
    for trace in data:
        named = trace.get("showlegend", True) is not False and bool(trace.get("name"))
        trace["showlegend"] = named and not one.deep  # in three dimensions an axis names the lines
    layout["showlegend"] = layout.get("showlegend") is True or sum(trace["showlegend"] for trace in data) > 1
    height = one.height * paper.ratio if paper.height is None else paper.height * INCH
    height = _lay_legend(data, layout, height, fixed=paper.height is not None)
    title = layout.get("yaxis", {}).get("title")
    if title is not None and not title.get("text") and not one.deep:
        title["text"] = one.heading
    _scale(figure, paper.ratio)
    layout["font"] = layout.get("font", {}) | {"family": FACES}
    layout["margin"] = {side: paper.ratio * value for side, value in layout.get("margin", {}).items()}
    layout["paper_bgcolor"] = PAPER
    figure = _dark(figure) if paper.dark else figure
    return figure, round(paper.width * INCH), round(height)


def _lay_legend(data: Sequence[dict[str, Any]], layout: dict[str, Any], height: float, *, fixed: bool) -> float:
    """Stand many entries one below the other, beside the figure; the words that all begin with are said once.

    plotly cuts a legend that is taller than its figure, so the figure becomes as tall as it takes, which is returned;
    where its height is fixed and too little, the entries stay above it in rows.
    """
    shown = [trace for trace in data if trace["showlegend"]]
    needed = ENTRY * (len(shown) + 1) + AXIS
    if len(shown) < BESIDE or (fixed and needed > height):
        return height
    begins = {trace["name"].rpartition(" ")[0] for trace in shown}
    begin = begins.pop() if len(begins) == 1 else ""
    for trace in shown:
        trace["name"] = trace["name"].removeprefix(begin).lstrip()
    beside = {"orientation": "v", "x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top"}
    title = {"text": begin, "font": {"size": PAGE_FONT}}  # scaled with the rest
    layout["legend"] = layout.get("legend", {}) | beside | {"title": title}
    return max(height, needed)


def _scale(value: Any, ratio: float) -> None:
    """Bring fonts, lines and marks to the paper's size, in place."""
    if isinstance(value, list):
        for one in value:
            _scale(one, ratio)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in SIZES and isinstance(inner, int | float):
                value[key] = inner * ratio
            elif key not in WORDS:
                _scale(inner, ratio)


def _dark(value: Any) -> Any:
    """The same in the page's dark colours."""
    shades = DARK | dark_colors()

    def wear(one: Any) -> Any:
        if isinstance(one, str):
            return shades.get(one, one)
        if isinstance(one, list):
            return [wear(inner) for inner in one]
        if isinstance(one, dict):
            return {key: inner if key in WORDS else wear(inner) for key, inner in one.items()}
        return one

    return wear(value)


@dataclass(frozen=True)
class Written:
    """A file that was written."""

    path: Path
    size: int  # bytes


def write_figures(
    figures: Sequence[Named],
    folder: Path,
    *,
    form: Format = "svg",
    paper: Paper = Paper(),
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[Written]:
    """Write each figure as a file of its name; what is there is replaced, what was written before Ctrl-C stays.

    Three-dimensional figures are written as PNG, whatever the format: what WebGL draws is a bitmap, and an SVG or PDF
    would hold no more than that.

    Args:
        figures: from `figures_of`.
        folder: where to; it is made.
        form: "svg", "pdf" or "png".
        paper: width, height and font.
        say: told what is out of the ordinary.
        progress: told how many figures of how many are written.

    Raises:
        InputError: kaleido or a browser is missing or does not work, or the folder cannot be written.
    """
    kaleido, browser = find_kaleido(), find_browser()
    if form != "png" and any(one.deep for one in figures):
        say(f"figures in three dimensions are bitmaps, so they are written as PNG and not as {form.upper()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_write(kaleido, browser, figures, folder, form, paper, progress))
    except OSError as error:
        raise InputError(f"figures cannot be written to {folder} ({error.strerror or error}); give another") from error


async def _write(
    kaleido: ModuleType,
    browser: str | None,
    figures: Sequence[Named],
    folder: Path,
    form: Format,
    paper: Paper,
    progress: Callable[[str, int, int], None],
) -> list[Written]:
    written = []
    path = {} if browser is None else {"path": browser}
    try:
        async with kaleido.Kaleido(n=1, timeout=PATIENCE, mathjax=False, **path) as drawing:
            for one in figures:
                figure, width, height = for_paper(one, paper)
                kind = "png" if one.deep else form
                size = {"width": width, "height": height, "scale": paper.dpi / INCH if kind == "png" else 1}
                content = await drawing.calc_fig(figure, opts={"format": kind, **size})
                written.append(_put(content, folder / f"{one.name}.{kind}", width, height))
                progress("figures", len(written), len(figures))
    except (InputError, OSError):
        raise
    except Exception as error:  # of a browser's many ways to fail
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no more is said'}"
        raise InputError(
            f"the browser {browser or ''} did not draw the figures ({reason}); let BROWSER_PATH name a Chromium or "
            "Chrome that works"
        ) from error
    return written


def _put(content: bytes, path: Path, width: int, height: int) -> Written:
    if path.suffix == ".svg":
        content = _settled(content.decode("utf-8"), width, height).encode("utf-8")
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)
    return Written(path, len(content))


def _settled(text: str, width: int, height: int) -> str:
    """The same SVG each time it is drawn, its size in inches: plotly draws the names of its parts at random."""
    uid = re.search(r'id="defs-([0-9a-f]{6})"', text)
    if uid is not None:
        text = re.sub(rf"(?<=[a-z-]){uid[1]}", "pairlens", text)
    size = f'width="{width / INCH:.4g}in" height="{height / INCH:.4g}in"'
    return text.replace(f'width="{width}" height="{height}"', size, 1)


def find_kaleido() -> ModuleType:
    """plotly's library that draws figures.

    Raises:
        InputError: it is missing, or older than version 1.
    """
    try:
        import kaleido
    except ImportError as error:
        raise InputError(
            'figures are drawn by kaleido, which is missing; run: pip install "pairlens[figures]"'
        ) from error
    if not hasattr(kaleido, "Kaleido"):
        raise InputError('this kaleido is older than version 1; run: pip install --upgrade "pairlens[figures]"')
    return kaleido


def find_browser(environ: Mapping[str, str] = os.environ) -> str | None:
    """A Chromium or Chrome: the one that BROWSER_PATH names, or one on the path; None lets kaleido look elsewhere.

    Raises:
        InputError: BROWSER_PATH names no file.
    """
    given = environ.get("BROWSER_PATH")
    if given:
        if not Path(given).is_file():
            raise InputError(f"BROWSER_PATH names {given}, which is no file; let it name a Chromium or Chrome")
        return given
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)
