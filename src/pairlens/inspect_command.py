"""What `pairlens inspect` does: look at images and recipe before any training, and write a page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro import MISSING
from tyro.conf import Positional, arg

from pairlens.console import Console
from pairlens.data.choice import Decode
from pairlens.flags import parse
from pairlens.given import Given
from pairlens.inspection.page import write_inspection
from pairlens.inspection.speed import SECONDS
from pairlens.inspection.subject import open_subject
from pairlens.inspection.summary import show
from pairlens.inspection.whole import inspect as look
from pairlens.recipes.recipe import Recipe
from pairlens.report.document import check_output
from pairlens.settings import Machine
from pairlens.train_command import RunArguments


@dataclass(frozen=True)
class InspectArguments:
    """The inspection: what is looked at beside images and recipe, and the page."""

    boxes_of: Path | None = None
    """An earlier run on these images: its boxes are shown, and with --boxes found crops are drawn about them."""
    duplicates: bool = True
    """Look for images that are there twice."""
    speed: bool = True
    """Measure for ten seconds how fast loader and encoder are."""
    output: Annotated[Path, arg(aliases=["-o"])] = Path("inspect.html")
    """The page; an older page is replaced."""


def inspect(argv: list[str]) -> int:
    """`pairlens inspect SOURCE [--recipe NAME] [--boxes-of RUN] [-o PAGE] [flags]`."""
    argv = ["--output" if word == "-o" else word for word in argv]  # flags are known to `Given` by their whole names
    given = Given.of(argv, {"run": RunArguments(), "inspection": InspectArguments(), "machine": Machine()})
    usual: RunArguments = given.groups["run"]

    def command(
        source: Positional[str] = given.source or MISSING,
        *,
        recipe: str = given.recipe,
        config: Path | None = given.config,
        labels: bool = usual.labels,
        test: str | None = usual.test,
        seed: int = usual.seed,
        decode: Decode = usual.decode,
        inspection: InspectArguments = given.groups["inspection"],
        made: Annotated[Recipe, arg(constructor=given.constructor, name="")],
        machine: Machine = given.groups["machine"],
    ) -> int:
        """See what would be trained on.

        Args:
            source: a folder of images, a data set's folder, a .npy or .npz file, "scenes", "scenes:shortcut" or
                "scenes:small". It and all flags but the inspection's own are those of `pairlens train`.
            recipe: a method with its numbers; `pairlens recipes` lists them. Each has flags of its own.
            config: a YAML file of flags, or a run's run.json; flags given here go before it.
            labels: read a plain folder's sub-folders as labels.
            test: another source, to evaluate on.
            seed: of everything random.
            decode: decode photographs once, to a store of squares, or always, in every epoch anew; auto does what pays.
        """
        check_output(inspection.output)
        with Console() as console:
            subject = open_subject(
                source,
                made,
                machine=machine,
                labels=labels,
                test=test,
                seed=seed,
                decode=decode,
                boxes_of=inspection.boxes_of,
                say=console.say,
                progress=console.decoding,
            )
            seconds = SECONDS if inspection.speed else None
            found = look(subject, duplicates=inspection.duplicates, seconds=seconds, advance=console.advance)
            show(found, console.rich)
            console.say(f"page: {write_inspection(found, inspection.output)}")
        return 0

    about = f"See what would be trained on: a page, before any training.\n\nThe recipe {given.recipe}: {given.about}"
    return parse(command, "inspect", argv, about)
