"""How much the two crops of an image share, and how often they miss its object: for each way of placing crops.

P pairs of crops.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pairlens.inspection.subject import Known, Subject
from pairlens.inspection.views import shrink
from pairlens.report.localised import Examples
from pairlens.report.panels import crops
from pairlens.views.boxes import Boxes, corners, iou, misses
from pairlens.views.crops import steps_to_contrastive_crop
from pairlens.views.plans import Plan

PAIRS = 5000  # drawn for each way
NEARLY = 0.8  # intersection over union above which two crops show nearly the same
SHOWN, SIDE = 4, 256  # images on which it is shown where crops fall, and pixels of them
SHARES = (0.0, 0.25, 0.5)  # of the object's box: a crop that shows no more misses it


@dataclass(frozen=True)
class Way:
    """Crops placed in one way."""

    name: str
    own: bool  # whether the training begins with it
    overlap: Float[np.ndarray, "P"]  # intersection over union of each pair
    missed: Mapping[float, float]  # share of the object's box -> share of pairs of which a crop shows no more

    @property
    def apart(self) -> float:
        """The share of pairs that have nothing in common."""
        return float((self.overlap <= 0).mean())

    @property
    def nearly_same(self) -> float:
        """The share of pairs that show nearly the same."""
        return float((self.overlap > NEARLY).mean())


@dataclass(frozen=True)
class Overlap:
    """Pairs of crops of random images."""

    ways: tuple[Way, ...]  # the unaltered one first
    alpha: float  # of ContrastiveCrop
    kept: Known | None
    objects: Known | None

    @property
    def own(self) -> Way:
        """The one that the training begins with."""
        return next(way for way in self.ways if way.own)


def compute(subject: Subject) -> Overlap:
    """Draw pairs by the recipe's own plan: with crops anywhere, and kept in boxes in both of ContrastiveCrop's steps.

    All ways draw from the same seed, for the same images: crops are of the same sizes, and only their places differ.
    """
    recipe, kept, group = subject.recipe, subject.kept, subject.recipe.crops
    alpha = replace(group, boxes="whole").resolve(subject.size, 1).alpha or 1.0
    if kept is None:
        ways = [_way(subject, "Random crop", subject.plan, own=True)]
    else:
        mine = 0 if subject.about is None else 1 if alpha == 1 else 2
        plans = {
            "Random crop": recipe.plan(None),
            "Localised only": replace(recipe, crops=replace(group, alpha=1.0)).plan(kept.boxes),
            f"ContrastiveCrop, \u03b1 = {alpha:g}": replace(recipe, crops=replace(group, alpha=alpha)).plan(kept.boxes),
        }
        ways = [_way(subject, name, plan, own=i == mine) for i, (name, plan) in enumerate(plans.items())]
    return Overlap(tuple(ways), alpha, kept, subject.objects)


def _way(subject: Subject, name: str, plan: Plan, *, own: bool) -> Way:
    generator = subject.generator()
    index = subject.some(PAIRS, generator)
    query, key = pair(subject, plan, index, generator)
    missed = {}
    if subject.objects is not None:
        box = subject.objects.boxes.table[index]
        missed = {s: float((misses(query, box, s) | misses(key, box, s)).double().mean()) for s in SHARES}
    return Way(name, own, iou(corners(query), corners(key)).numpy(), missed)


def pair(
    subject: Subject, plan: Plan, index: Tensor, generator: torch.Generator
) -> tuple[Float[Tensor, "P 4"], Float[Tensor, "P 4"]]:
    """The crops of both large views of images; of a plan that has one of them, as in two epochs."""
    views = subject.drawn(index, generator, plan)
    query = views["query"].crop
    other = views["key"] if "key" in views else subject.drawn(index, generator, plan)["query"]
    return query, other.crop


def fallen(subject: Subject, alpha: float) -> crops.Crops | None:
    """Where crops fall in some images, kept in boxes or not; None where there are no boxes."""
    if subject.kept is None:
        return None
    images, scale = subject.images, subject.recipe.views.crop
    index = subject.some(min(SHOWN, len(images)), subject.generator()).sort().values
    boxes = Boxes.known(subject.kept.boxes.table[index])
    sizes = images.sizes[index].long()
    shown = Examples(tuple(index.tolist()), shrink(images.pixels[index], SIDE).numpy(), sizes.numpy())
    sentences = ("Anywhere in the image.", "Centres anywhere in the box.", _towards(alpha))
    samplers = steps_to_contrastive_crop(boxes, alpha, scale).items()
    ways = tuple(
        crops.Way(name, said, crops.fall(sampler, boxes.table, sizes))
        for (name, sampler), said in zip(samplers, sentences, strict=True)
    )
    return crops.Crops(shown, boxes.table.numpy(), ways, subject.kept.whose)


def _towards(alpha: float) -> str:
    if alpha == 1:
        return "With this \u03b1 the same."
    return f"Centres in the box, more often {'at its borders' if alpha < 1 else 'in its middle'}."
