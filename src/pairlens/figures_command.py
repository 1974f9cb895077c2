"""What `pairlens figures` does: write the figures of a report as files for a paper."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from pairlens.console import Console
from pairlens.errors import InputError
from pairlens.flags import parse
from pairlens.record.run import Run
from pairlens.report.figures import figures_of
from pairlens.report.printed import Format, Paper, find_browser, find_kaleido, inches, write_figures
from pairlens.report.text import count


def figures(argv: list[str]) -> int:
    """`pairlens figures RUN... -o FOLDER [flags]`."""

    def command(
        runs: Positional[tuple[Path, ...]],
        *,
        output: Annotated[Path | None, arg(aliases=["-o"])] = None,
        format: Format = "svg",
        only: tuple[str, ...] = (),
        width: str = "3.3in",
        height: str | None = None,
        font: float = 8.0,
        dpi: int = 300,
        dark: bool = False,
        list: bool = False,
    ) -> int:
        """Write every figure of the report as a file, with font sizes for print.

        Args:
            runs: run folders, as for the report.
            output: the folder; RUN/figures for one run, figures here for several.
            format: svg, pdf or png. Figures in three dimensions are PNG always.
            only: names of figures or of the report's sections, or patterns such as "*-3d"; --list tells them.
            width: of every figure: 3.3in, 84mm, 8.4cm, 240pt or 320px.
            height: likewise; by default as on the page, beside the font.
            font: size of the text, points.
            dpi: dots an inch, of PNG.
            dark: in the page's dark colours.
            list: only name the figures.
        """
        paper = Paper(inches(width), None if height is None else inches(height), font, dark, dpi)
        if not list:
            find_kaleido()  # before time is spent on the figures
            find_browser()
        found = figures_of([Run.open(folder) for folder in runs], only)
        with Console() as console:
            if list:
                for one in found:
                    console.say(f"{one.name}: {one.alt}")
                return 0
            if not found:
                raise InputError("these runs have recorded nothing that could be drawn yet; wait for their first steps")
            folder = output or (runs[0] / "figures" if len(runs) == 1 else Path("figures"))
            written = write_figures(found, folder, form=format, paper=paper, say=console.say, progress=console.advance)
            total = sum(one.size for one in written)
            console.say(f"{len(written)} figures, {count(total / 1000)} kB: {folder}")
        return 0

    return parse(command, "figures", argv)
