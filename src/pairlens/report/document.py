"""A page of ours: one self-contained HTML document of sections, in the report's look, that asks nothing of the network.

Escaping is its first wall against hostile text, a policy that lets only these very scripts run the second.
"""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from plotly.offline import get_plotlyjs

from pairlens.errors import InputError
from pairlens.report import theme
from pairlens.report.html import Html, data_json, tag
from pairlens.report.text import shorten

DOCTYPE = b"<!doctype html"


@dataclass(frozen=True)
class Section:
    """A part of a page: its anchor, heading, the sentence that tells what to look for, and its content."""

    anchor: str
    title: str
    lead: str
    content: Html


def document(
    title: str,
    what: str,
    header: Html,
    sections: Sequence[Section],
    footer: Html,
    css: str = "",
    *,
    charts: bool = True,
    code: str = "",
) -> str:
    """The whole page as text.

    Args:
        title: the browser's, made harmless.
        what: the page is called: "report".
        header: stands before the sections.
        sections: in their order.
        footer: stands behind them.
        css: rules beside those of all pages.
        charts: whether there are any; a page without them is 4 MB smaller.
        code: a script that runs after those of all pages.
    """
    first = _asset("theme.js")
    later = [*([get_plotlyjs()] if charts else []), _asset("page.js"), *([code] if code else [])]
    head = tag(
        "head",
        {},
        tag("meta", {"charset": "utf-8"}),
        tag("meta", {"http-equiv": "Content-Security-Policy", "content": policy([first, *later])}),
        tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", {"name": "color-scheme", "content": "light dark"}),
        tag("title", {}, f"{shorten(title, 80)} \u00b7 pairlens"),
        tag("link", {"rel": "icon", "href": icon()}),
        tag("style", {}, Html(theme.style_css() + _asset("page.css") + css)),
        script(first),
    )
    body = tag(
        "body",
        {},
        tag("a", {"class": "skip", "href": "#main"}, f"Skip to the {what}"),
        _navigation(sections),
        tag("main", {"id": "main"}, header, *(_section(s) for s in sections), footer),
        data_json(theme.dark_colors(), {"id": "dark-colors"}),
        *(script(one) for one in later),
    )
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'


def check_output(output: Path, what: str = "page") -> None:
    """Whether a page can be written there, asked before time is spent on its content; nothing is made yet.

    Raises:
        InputError: it is a folder, may not be written, or is a file that is no page, which would be replaced.
    """
    output = Path(output).absolute()
    try:
        there = next(place for place in output.parents if place.exists())
        writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
        why = "it is a folder" if output.is_dir() else "" if writable else f"{there} is no folder that may be written"
        other = not why and output.exists() and not (output.is_file() and _is_page(output))
    except OSError as error:
        why, other = str(error.strerror), False
    if why:
        raise InputError(f"the {what} cannot be written to {output} ({why}); give another file with --output")
    if other:
        raise InputError(f"{output} is there and is no page, so it is not replaced; give another file with --output")


def check_record(output: Path, kind: str) -> Path:
    """The `.json` beside a page, which holds its numbers and says that it is of this kind; nothing is made yet.

    Raises:
        InputError: the page itself has the ending of a file beside it, or something else stands there.
    """
    path = Path(output).with_suffix(".json")
    if Path(output).suffix in (".json", ".npz", ".safetensors"):
        raise InputError(f"the page {output} would be named like a file beside it; give a name that ends in .html")
    try:
        ours = not path.exists() or json.loads(path.read_text(encoding="utf-8")).get("kind") == kind
    except (OSError, ValueError, AttributeError):
        ours = False
    if not ours:
        raise InputError(f"{path} is there and is no {kind} of ours, so it is not replaced; give another --output")
    return path


def _is_page(path: Path) -> bool:
    """Whether a file begins as a page does, or is empty."""
    with path.open("rb") as file:
        return file.read(len(DOCTYPE)).lower() in (b"", DOCTYPE)


def write_page(text: str, output: Path, what: str) -> Path:
    """Write a page; its folder is made, an older page is replaced. Returns its absolute path.

    Raises:
        InputError: it cannot be written there, or what is there is no page.
    """
    check_output(output, what)
    output = Path(output).absolute()
    partial = output.with_name(f"{output.name}.partial")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, output)
    except OSError as error:
        raise InputError(f"the {what} cannot be written to {output} ({error.strerror}); give another file") from error
    return output


def _navigation(sections: Sequence[Section]) -> Html:
    links = (tag("li", {}, tag("a", {"href": f"#{s.anchor}"}, s.title)) for s in sections)
    brand = tag(
        "a", {"class": "brand", "href": "#main"}, tag("span", {"class": "lens", "aria-hidden": "true"}), "pairlens"
    )
    toggle = tag("button", {"type": "button", "id": "theme", "aria-label": "Switch between light and dark"}, "Dark")
    return tag("nav", {"class": "side", "aria-label": "Sections"}, brand, tag("ul", {}, *links), toggle)


def _section(section: Section) -> Html:
    head = tag("h2", {"id": f"{section.anchor}-title"}, section.title)
    lead = tag("p", {"class": "lead"}, section.lead) if section.lead else None
    attributes = {"id": section.anchor, "class": "panel", "aria-labelledby": f"{section.anchor}-title"}
    return tag("section", attributes, head, lead, section.content)


def _asset(name: str) -> str:
    return files("pairlens.report").joinpath(name).read_text(encoding="utf-8")


def script(code: str) -> Html:
    """Code as it runs: only ours."""
    return Html(f"<script>{code}</script>")


def policy(scripts: Sequence[str], connect: str = "'none'") -> str:
    """Only these very scripts may run, and nothing may be fetched: escaping is the first wall, this is the second.

    `connect` says whom scripts may ask for more: a live page its own server.
    """
    sums = (base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in scripts)
    allowed = " ".join(f"'sha256-{s}'" for s in sums)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"connect-src {connect}; base-uri 'none'"
    )


def icon() -> str:
    """The icon of our pages, as a data URI."""
    drawing = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>"
        f"<circle cx='6' cy='8' r='5' fill='{theme.POSITIVE}'/>"
        f"<circle cx='10' cy='8' r='5' fill='{theme.NEGATIVE}' fill-opacity='.75'/></svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.encode()).decode()
