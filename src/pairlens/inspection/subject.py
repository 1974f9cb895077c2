"""What is looked at: a training as it would begin, its images, and where their objects are known to be.

N images of the set, B of them drawn for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from pairlens.data.choice import Decode
from pairlens.data.fingerprint import fingerprint
from pairlens.data.images import ImageSet, Source
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.place import Place
from pairlens.recipes.recipe import Recipe
from pairlens.record.localised import last_boxes
from pairlens.record.run import Run
from pairlens.report.text import clean
from pairlens.settings import Machine
from pairlens.start import open_images, prepare
from pairlens.train import Training
from pairlens.views.boxes import Boxes
from pairlens.views.params import ViewParams
from pairlens.views.plans import Plan

Say = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Known:
    """Boxes of a set's images, and whose they are."""

    boxes: Boxes
    whose: str


@dataclass(frozen=True)
class Subject:
    """A training that has not begun."""

    source: Source
    recipe: Recipe  # resolved
    training: Training
    place: Place
    seed: int
    about: Boxes | None  # the boxes that crops are kept in; None where they fall anywhere
    plan: Plan  # of the views, their crops about these boxes
    kept: Known | None  # those boxes, or the ones that crops could be kept in
    objects: Known | None  # where the objects are, as well as it is known
    said: tuple[str, ...]  # what was told while the images were opened

    @property
    def images(self) -> ImageSet:
        """The training images."""
        return self.source.train

    @property
    def size(self) -> int:
        """Pixels of a large view's side."""
        return self.training.size

    @property
    def negatives(self) -> int:
        """Of each query."""
        order = self.training.order
        return self.recipe.negatives_of_a_query(order.batch // self.training.accumulate, len(self.images))

    def generator(self) -> torch.Generator:
        """A generator of this subject's seed; whoever asks for one draws from it alone."""
        return torch.Generator().manual_seed(self.seed)

    def some(self, count: int, generator: torch.Generator) -> Int64[Tensor, "B"]:
        """Images to draw for, all equally often as far as that goes; the order is random."""
        rounds = -(-count // len(self.images))
        return torch.cat([torch.randperm(len(self.images), generator=generator) for _ in range(rounds)])[:count]

    def drawn(
        self, index: Int64[Tensor, "B"], generator: torch.Generator, plan: Plan | None = None
    ) -> Mapping[str, ViewParams]:
        """Parameters of every view of these images, by this plan or the training's own."""
        draw = Draw(index, self.images.sizes[index], 0, 0, generator, generator)
        return (plan or self.plan)(draw)


def open_subject(
    spec: str,
    recipe: Recipe,
    *,
    machine: Machine = Machine(),
    labels: bool = False,
    test: str | None = None,
    seed: int = 0,
    decode: Decode = "auto",
    boxes_of: Path | None = None,
    say: Say = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> Subject:
    """Open the source, resolve the recipe and build the training, as `start_run` does; nothing is written.

    Args:
        spec: the source, as for `start_run`; so are all others but the next.
        boxes_of: a run on the same images, whose boxes were found last.

    Raises:
        InputError: anything given that cannot be used.
    """
    told: list[str] = []

    def tell(text: str) -> None:
        if not text.startswith(f"{spec}: "):  # the summary, which the inspection gives itself
            told.append(text)
            say(text)

    run = None if boxes_of is None else Run.open(boxes_of)
    found = None if run is None else boxes_of_run(run)  # before the images are read, which may take long
    source, place = open_images(
        spec, recipe, machine, labels=labels, test=test, seed=seed, decode=decode, say=tell, progress=progress
    )
    if run is not None and found is not None:
        check_same(run, found.boxes, source, seed)
    return subject_of(source, recipe, place, seed, found=found, said=tuple(told), say=say)


def subject_of(
    source: Source,
    recipe: Recipe,
    place: Place,
    seed: int,
    *,
    found: Known | None = None,
    said: tuple[str, ...] = (),
    say: Say = lambda text: None,
) -> Subject:
    """The subject that an opened source is; `found` are boxes that an earlier run has found for its images.

    Raises:
        InputError: the recipe cannot be trained on these images, or its encoder cannot find boxes that it asks for.
    """
    recipe, training = prepare(source, recipe, place, seed, say)
    kept, objects = _known(recipe, source.train, training.boxes, found)
    about = found.boxes if found and recipe.crops.boxes == "found" else training.boxes
    about = about if about is not None and about.ready else None
    return Subject(source, recipe, training, place, seed, about, recipe.plan(about), kept, objects, said)


def boxes_of_run(run: Run) -> Known:
    """The boxes that a run has found last.

    Raises:
        InputError: it has found none that can be read.
    """
    boxes = last_boxes(run)
    if boxes is None:
        raise InputError(
            f"the run {run.folder} holds no boxes that can be read; give one that was trained with --boxes found, for "
            "longer than its --box-start epochs"
        )
    return Known(boxes, f"the boxes that run {clean(run.name)} found after epoch {boxes.history[-1].epoch}")


def check_same(run: Run, boxes: Boxes, source: Source, seed: int) -> None:
    """Whether a run found these boxes for these very images, perhaps stored at another side.

    Raises:
        InputError: it was trained on others.
    """
    data, train = run.info["data"], source.train
    if data["side"] == train.pixels.shape[-1]:
        same = data["fingerprint"] == fingerprint(source)
    else:
        before = (_place(run.call["source"]), run.call["seed"], data["train"], data["test"], data["classes"])
        tests = len(source.test) if source.test else 0
        same = before == (_place(source.name), seed, len(train), tests, list(train.classes))
    if not same or len(boxes) != len(train):
        raise InputError(
            f"the run {run.folder} found boxes for other images ({data['train']:,} of {run.call['source']}) than these "
            f"({len(train):,} of {source.name}); give a run on these, and the labels, test and seed that it had"
        )


def _place(source: str) -> str:
    """A source by its whole path; a built-in one by its name."""
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else source


def _known(
    recipe: Recipe, images: ImageSet, table: Boxes | None, found: Known | None
) -> tuple[Known | None, Known | None]:
    """The boxes that crops are kept in, or could be; and those of the objects."""
    own = None if images.boxes is None else Known(Boxes.known(images.boxes), "the boxes that the images came with")
    objects = own or found
    if recipe.crops.boxes in ("central", "whole") and table is not None:
        return Known(table, f"{recipe.crops.boxes} boxes"), objects
    return (own if recipe.crops.boxes == "known" else found or own), objects
