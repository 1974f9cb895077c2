"""What `pairlens study` does: run studies, or go on with them, and write their page."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro
from tyro.conf import Positional

from pairlens.console import Console
from pairlens.errors import InputError
from pairlens.studies import STUDIES, find_study
from pairlens.studies.arms import Flag, Setting, Study
from pairlens.studies.engine import run_studies
from pairlens.studies.page import page


def study(argv: list[str]) -> int:
    """`pairlens study SOURCE NAME... [flags]`."""

    def command(
        source: Positional[str],
        names: Positional[tuple[str, ...]] = (),
        /,
        *,
        out: Path | None = None,
        folder: Path | None = None,
        seeds: int = 3,
        epochs: int | None = None,
        batch: int | None = None,
        encoder: str | None = None,
        size: int | None = None,
        labels: bool = False,
        jobs: int = 1,
        threads: int | None = None,
    ) -> int:
        """Train and measure every arm of some studies with several seeds, and write their tables; called again, go on.

        Args:
            source: images with labels, as for `pairlens train`.
            names: studies, such as gp.table1 gp.table3; without any they are listed.
            out: the page, in Markdown; without it the page is printed.
            folder: of the runs, which studies share; runs/studies/SOURCE by default.
            seeds: each arm is trained with the seeds 0, 1, ... up to so many.
            epochs: of every training; by default what `pairlens train` takes.
            batch: of every training, unless an arm has its own.
            encoder: of every training.
            size: of its views, pixels.
            labels: read a plain folder's sub-folder names as labels.
            jobs: trainings at a time.
            threads: of each; by default the cores are shared out evenly.
        """
        if not names:
            for name in STUDIES:
                Console().say(f"{name:12} {find_study(name).title}")
            return 0
        studies = [find_study(name) for name in names]
        budget: dict[str, Flag | None] = {
            "epochs": epochs,
            "batch": batch,
            "encoder": encoder,
            "size": size,
            "labels": labels or None,
        }
        setting = Setting(
            source=source,
            folder=folder or Path("runs") / "studies" / Path(source).name.replace(":", "-"),
            seeds=tuple(range(seeds)),
            budget={name: value for name, value in budget.items() if value is not None},
            jobs=jobs,
            threads=threads,
        )
        shown = ["SOURCE" if word == source else word for word in argv]
        return run_and_write(", ".join(names), studies, setting, shlex.join(["pairlens", "study", *shown]), out)

    return tyro.cli(command, args=argv, prog="pairlens study")


def run_and_write(
    title: str, studies: Sequence[Study], setting: Setting, command: str, out: Path | None, lead: str = ""
) -> int:
    """Run studies with progress at the terminal; write their page, or print it.

    The exit code is 0, or 2 where runs have no result.

    Args:
        title: the page's heading.
        studies: what to run.
        setting: how.
        command: what made the page, for the page.
        out: the page's file.
        lead: a paragraph before the tables.
    """
    with Console() as console:
        outcomes = run_studies(studies, setting, say=console.say, progress=console.advance)
    text = page(title, studies, setting, outcomes.failures, command, lead)
    if out is None:
        console.say(text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(out.name + ".partial")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, out)
        console.say(f"page: {out}")
    return 2 if outcomes.failures else 0


def run_script(
    study: Study, *, description: str, title: str, script: str, epochs: int, folder: Path, lead: str = ""
) -> int:
    """The command line of a script that runs one study of its own; gives the exit code.

    Args:
        study: what to run.
        description: the script's help.
        title: the page's heading.
        script: the script's path in the repository.
        epochs: of every training, unless the command line says otherwise.
        folder: of the runs, likewise.
        lead: a paragraph before the table.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--encoder", default="resnet8w")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=None, help="threads of a run; the cores are shared out evenly")
    parser.add_argument("--runs", type=Path, default=folder, help="the folder of the runs")
    parser.add_argument("--output", type=Path, default=None, help="a Markdown file")
    given = parser.parse_args()
    setting = Setting(
        source=given.source,
        folder=given.runs,
        seeds=tuple(range(given.seeds)),
        budget={"epochs": given.epochs, "batch": given.batch, "encoder": given.encoder},
        jobs=given.jobs,
        threads=given.threads,
    )
    shown = ["SOURCE" if word == given.source else word for word in sys.argv[1:]]
    try:
        return run_and_write(title, [study], setting, shlex.join(["python", script, *shown]), given.output, lead)
    except InputError as error:
        print(f"pairlens: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
