"""What the shorter commands do: parse flags with tyro, call the library, tell what happened and what comes next."""

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from pairlens.console import Console
from pairlens.data.download import download_cifar10
from pairlens.errors import InputError
from pairlens.flags import parse
from pairlens.record.run import Run
from pairlens.report.page import write_report

Probe = Literal["accuracy", "rotation", "factors", "spaces", "few_shot", "false_negatives"]
"""What `pairlens evaluate` can measure."""


def recipes(argv: list[str]) -> int:
    """`pairlens recipes [NAME]`."""

    def command(name: Positional[str | None] = None) -> int:
        """List all recipes, or show one with every argument and its value.

        Args:
            name: a recipe's.
        """
        from rich.console import Console as RichConsole

        from pairlens.listing import list_recipes, show_recipe

        console = RichConsole(highlight=False)
        if name is None:
            list_recipes(console)
        else:
            show_recipe(console, name)
        return 0

    return parse(command, "recipes", argv)


def evaluate(argv: list[str]) -> int:
    """`pairlens evaluate RUN [--probes NAME...]`."""

    def command(
        run: Positional[Path],
        *,
        probes: tuple[Probe, ...] = ("accuracy",),
        solver: Literal["lbfgs", "sgd"] = "lbfgs",
        linear_epochs: int = 100,
        seed: int = 0,
        baselines: bool = True,
        classifier: Path | None = None,
    ) -> int:
        """Measure kNN and linear accuracy against raw pixels and the randomly initialised encoder; write the report.

        Args:
            run: the run's folder.
            probes: what to measure: accuracy; rotation (how well a linear layer tells by which quarter turn an image
                is turned: what training with turned views may cost); factors (how well it tells hue, position,
                texture, ... where they are known, as of scenes); spaces (all that of each embedding space and of every
                set of them, what its neighbours share, and where right answers come from); few_shot (accuracy with 5
                and 10 labelled images of each class); false_negatives (how often a negative is of its query's own
                class, by chance and among the hardest). What was measured before stays in the report.
            solver: of the linear read-out: lbfgs (seconds), or sgd (the papers' protocol: slow, for every image is
                cropped, flipped and encoded anew in each epoch).
            linear_epochs: of sgd; fewer than the papers' 100 take less time.
            seed: of the read-out and of the examples shown.
            baselines: measure raw pixels and the untrained encoder, too, which takes most of the time.
            classifier: the folder of a supervised run that judges this run's crops, too: how much of the images'
                classes is in them, against how far apart they are (for runs with boxes).
        """
        from pairlens.assess import assess, table
        from pairlens.false_negatives import false_negatives_table, measure_false_negatives
        from pairlens.few_shot import few_shot_table, measure_few_shot
        from pairlens.kept import PROBES, kept_table, measure_kept
        from pairlens.spaces import measure_spaces, spaces_table

        if "accuracy" not in probes and (classifier is not None or solver != "lbfgs" or linear_epochs != 100):
            raise InputError(
                "a classifier, a solver and its epochs belong to the accuracy, which is not to be measured; add "
                "accuracy to --probes, or leave them out"
            )
        with Console() as console:
            how: dict[str, Any] = {"seed": seed, "say": console.say, "progress": console.advance}
            beside = how | {"baselines": baselines}
            if "accuracy" in probes:
                result = assess(Run.open(run), solver=solver, epochs=linear_epochs, classifier=classifier, **beside)
                console.say(table(result))
            if keeping := tuple(name for name in PROBES if name in probes):
                console.say(kept_table(measure_kept(Run.open(run), probes=keeping, **beside)))
            if "spaces" in probes:
                console.say(spaces_table(measure_spaces(Run.open(run), **how)))
            if "few_shot" in probes:
                console.say(few_shot_table(measure_few_shot(Run.open(run), **how)))
            if "false_negatives" in probes:
                console.say(false_negatives_table(measure_false_negatives(Run.open(run), **how)))
            page = write_report([Run.open(run)], run / "report.html")
            console.say(f"report: {page}")
            return 0

    return parse(command, "evaluate", argv)


def report(argv: list[str]) -> int:
    """`pairlens report RUN... [-o PAGE]`."""

    def command(
        runs: Positional[tuple[Path, ...]],
        *,
        output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    ) -> int:
        """Write one self-contained page about one run, or several compared.

        Args:
            runs: run folders.
            output: the page; RUN/report.html for one run, report.html here for several.
        """
        opened = [Run.open(folder) for folder in runs]
        page = write_report(opened, output or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html")))
        Console().say(f"report: {page}")
        return 0

    return parse(command, "report", argv)


def data(argv: list[str]) -> int:
    """`pairlens data cifar10 [FOLDER]`."""

    def command(name: Positional[Literal["cifar10"]], folder: Positional[Path] = Path("data")) -> int:
        """Put a data set on disk.

        Args:
            name: cifar10.
            folder: where to; a folder cifar-10-batches-bin is made in it.
        """
        console = Console()
        place = download_cifar10(folder, console.say)
        console.say(f"next: pairlens train {place}")
        return 0

    return parse(command, "data", argv)
