"""Which images of a source the labelled protocols train and test on.

N images.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from pairlens.data.images import ImageSet, Source
from pairlens.errors import InputError
from pairlens.evaluate.probe import validation_split
from pairlens.evaluate.scored import check_labels, labels_of


@dataclass(frozen=True)
class Part:
    """Some images of a set, by their indices: nothing is copied."""

    images: ImageSet
    index: Int64[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.index)

    def labels(self, which: str) -> Int64[Tensor, "N"]:
        """Their labels; `which` names the part in the error where the set has none."""
        return labels_of(self.images, which)[self.index]


def whole(images: ImageSet) -> Part:
    """All images of a set."""
    return Part(images, torch.arange(len(images)))


def parted(source: Source, seed: int) -> tuple[Part, Part]:
    """The labelled training and test images; a tenth of the training images where the source has no test set.

    Raises:
        InputError: labels or class names are missing, or the sets' classes differ.
    """
    if source.test is None:
        fit, held = validation_split(source.train, limit=len(source.train), seed=seed)
        train, test = Part(source.train, fit), Part(source.train, held)
    else:
        train, test = (Part(images, images.labelled()) for images in (source.train, source.test))
    classes = train.images.classes
    if not classes or classes != test.images.classes:
        raise InputError(
            f"the training set has {len(classes)} classes and the test set {len(test.images.classes)}, not the same "
            "ones; give both sets the same class names"
        )
    check_labels(train.labels("training"), test.labels("test"), classes)
    return train, test


def parted_anyhow(source: Source, seed: int) -> tuple[Part, Part]:
    """Training and test images for what needs no labels: those of `parted` where there are labels, else all.

    Raises:
        InputError: as `parted` does, or a single image cannot be parted.
    """
    if source.train.labels is not None and (source.test is None or source.test.labels is not None):
        return parted(source, seed)
    if source.test is not None:
        return whole(source.train), whole(source.test)
    fit, held = validation_split(source.train, limit=len(source.train), seed=seed)
    return Part(source.train, fit), Part(source.train, held)
