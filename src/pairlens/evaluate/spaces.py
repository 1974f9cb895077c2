"""What each embedding space tells, alone and beside the others (LooC, Table 5).

N training and M test images or views of them, C features of the encoder, D of a space, n spaces.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from pairlens.errors import InputError
from pairlens.evaluate.factors import Factor, tell_factor
from pairlens.evaluate.features import finite
from pairlens.evaluate.knn import knn
from pairlens.evaluate.seen import Features
from pairlens.evaluate.told import Told, tell_class
from pairlens.nets import fan

ENCODER = "encoder"
"""The encoder's features, LooC's general embedding space V, told beside those of the spaces."""

EVERY = 5
"""Up to so many spaces every subset of them is read out."""

ROWS = 8192
"""Images whose embeddings are computed at a time."""


def space_readers(encoder: nn.Module, heads: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """How the encoder's features, [B, C], become those of each space, [B, D].

    Where each space has a last stage of its own (LooC++), these are that stage's pooled features, "instead of the last
    layer of h" (LooC, Section 4). Of a shared last stage the paper reads out V alone, and a space has nothing but its
    head: its features are the head's output, the embedding that the loss compared, before it is brought to unit
    length (which changes no cosine, and a linear read-out by less than its error). Not the head's hidden layer: that is
    wider than V and still holds nearly all of V, so that a linear layer finds the same in every space's. Of LooC with
    rotation on `scenes`, 16 epochs: quarter turns are told from hidden layers in .596 and .597 of the cases (invariant
    space and rotation's; kNN .52 and .55), from embeddings in .544 and .564 (kNN .35 and .55).
    """
    if isinstance(encoder, fan.Fan):
        return {space: fan.Part(place, encoder.width) for place, space in enumerate(encoder.last)}
    return dict(heads)


def read_spaces(
    encoder: nn.Module, readers: Mapping[str, nn.Module], features: Float[Tensor, "N C"]
) -> dict[str, Float[Tensor, "N _"]]:
    """The features of every space from the encoder's, and first, as `ENCODER`, these themselves.

    Not where the encoder's are all the spaces' in a row: then those of all spaces together are the encoder's.

    Raises:
        InputError: a space has the name of the encoder's features.
    """
    if ENCODER in readers:
        raise InputError(f"a space is called {ENCODER}, as the encoder's features are; give it another name")
    found = {} if isinstance(encoder, fan.Fan) else {ENCODER: features}
    for space, reader in readers.items():
        reader.eval()
        with torch.no_grad():
            found[space] = torch.cat([reader(rows).float() for rows in features.split(ROWS)])
    return found


def subsets(spaces: Sequence[str]) -> list[tuple[str, ...]]:
    """Every non-empty subset of up to 5 spaces, small ones first.

    Of more spaces those of the paper's Table 5 and each one alone: the first (invariant) space with each of the
    others, and all of them.
    """
    if len(spaces) <= EVERY:
        return [chosen for size in range(1, len(spaces) + 1) for chosen in combinations(spaces, size)]
    first, *others = spaces
    return [*((space,) for space in spaces), *((first, space) for space in others), tuple(spaces)]


def sets_of(features: Features, spaces: Sequence[str]) -> list[tuple[str, ...]]:
    """What is read out: the encoder's features, where they are more than all spaces', and the subsets of spaces."""
    own: list[tuple[str, ...]] = [(ENCODER,)] if ENCODER in features else []
    return own + (subsets(spaces) if spaces else [])


def beside(features: Features, spaces: Sequence[str]) -> Float[Tensor, "N nD"]:
    """The features of several spaces in a row, for the linear read-out, which standardises each feature."""
    return torch.cat([features[space] for space in spaces], 1)


def beside_evenly(features: Features, spaces: Sequence[str]) -> Float[Tensor, "N nD"]:
    """The same at unit length in each space, so that cosines are the means of the spaces' cosines."""
    return torch.cat([F.normalize(finite(features[space]), dim=1) for space in spaces], 1)


def of_one_scale(train: Features, test: Features) -> tuple[Features, Features]:
    """Every space's features divided by one number, their root mean square deviation over the training images.

    For what sees scales, as gradient descent does: of LooC++ on `scenes`, 16 epochs, the colour space has twice the
    scale of the others, and ten shots of each class reach .228 with all spaces in a row as they are, .244 so.
    """
    scale = {space: (rows - rows.mean(0)).square().mean().sqrt().clamp(min=1e-12) for space, rows in train.items()}
    scaled = [{space: rows / scale[space] for space, rows in part.items()} for part in (train, test)]
    return scaled[0], scaled[1]


@dataclass(frozen=True)
class Task:
    """Something to be told of images, or of views of them, whose features are known in every space."""

    factor: Factor
    train: Features
    test: Features
    views: int = 1  # of each image, one behind the other

    def tell(self, spaces: Sequence[str], seed: int) -> Told:
        """What a linear layer on these spaces' features, side by side, tells of the test images."""
        factor, generator = self.factor, torch.Generator().manual_seed(seed)
        fitted, tested = beside(self.train, spaces), beside(self.test, spaces)
        if factor.kind != "class":
            return tell_factor(factor, fitted, tested, generator)
        return tell_class(
            fitted,
            factor.train,
            tested,
            factor.test,
            classes=factor.values,
            generator=generator,
            views=self.views,
        )

    def nearest(self, spaces: Sequence[str]) -> float | None:
        """How often the nearest images in these spaces, by the mean of the cosines, tell it; None of a number."""
        factor = self.factor
        if factor.kind != "class":
            return None
        fitted, tested = beside_evenly(self.train, spaces), beside_evenly(self.test, spaces)
        return knn(fitted, factor.train, tested, factor.test, classes=factor.values).top1


def tell_spaces(
    tasks: Sequence[Task],
    sets: Sequence[Sequence[str]],
    *,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Read every task out of every set of spaces; the result is JSON.

    `tasks` holds for each task, by name, its `kind`, `measure` ("accuracy" or "r2") and `chance`. `sets` holds for each
    set its `spaces`, how many `features` they have, and by task `linear` (`value`, `error`, `strength`) and `knn`
    (accuracy; None of a number). `progress` is told how many read-outs of how many are made.

    Raises:
        InputError: features are not finite.
    """
    about: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    total = len(sets) * len(tasks)
    for spaces in sets:
        row: dict[str, Any] = {"spaces": list(spaces), "features": 0, "linear": {}, "knn": {}}
        for task in tasks:
            name, told = task.factor.name, task.tell(spaces, seed)
            about[name] = {"kind": task.factor.kind, "measure": told.measure, "chance": told.chance}
            row["features"] = sum(task.train[space].shape[1] for space in spaces)
            row["linear"][name], row["knn"][name] = told.record(), task.nearest(spaces)
            progress(len(rows) * len(tasks) + len(row["knn"]), total)
        rows.append(row)
    return {"tasks": about, "sets": rows}
