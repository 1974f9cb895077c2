"""Images that are there twice, with their pictures: within the training set, and between it and the test set.

H x W pixels of a thumbnail.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import UInt8

from pairlens.data.duplicates import Duplicates, Group, find_duplicates
from pairlens.data.images import ImageSet
from pairlens.data.photographs import Photographs
from pairlens.inspection.subject import Progress, Subject
from pairlens.inspection.threads import threads
from pairlens.inspection.views import shrink
from pairlens.inspection.wording import spaced

GROUPS = 12  # shown
OF_EACH = 6  # images of a group that are shown
LEAKS = 12  # shown
SIDE = 128  # pixels of a thumbnail


@dataclass(frozen=True)
class Picture:
    """One image."""

    name: str
    pixels: UInt8[np.ndarray, "3 H W"]
    aspect: float  # width over height of the original


@dataclass(frozen=True)
class Alike:
    """Images that show one picture; of many, the first."""

    pictures: tuple[Picture, ...]
    count: int
    exact: bool  # all have the same pixels, as stored


@dataclass(frozen=True)
class Copies:
    """What was found, and examples of it."""

    found: Duplicates
    negatives: int  # of a query
    groups: tuple[Alike, ...]  # the largest first
    leaks: tuple[Alike, ...]  # each a test image, then its copy in training
    unreadable: tuple[tuple[str, str], ...]  # files that could not be decoded, and why; others took their places

    @property
    def summary(self) -> str:
        """What was found, what it means and what to do."""
        text = self.found.summary(self.negatives)
        return spaced(f"{text[:1].upper()}{text[1:]}.")


def compute(subject: Subject, progress: Progress = lambda done, total: None) -> Copies:
    """Look at every image of both sets once; `progress` hears how many.

    What takes the place of a file that cannot be decoded is no copy. Torch gets one thread: thumbnails are small, and
    where other programs use the cores several threads would wait for each other. Files are decoded by all workers.
    """
    train, test = subject.images, subject.source.test
    with threads(1):
        found = find_duplicates(train.pixels, None if test is None else test.pixels, progress)
    lost, lost_tests = unreadable(train), unreadable(test)
    if lost or lost_tests:
        found = _without(found, _rows(train, lost), _rows(test, lost_tests))
    groups = [
        Alike(_pictures(train, group.rows[:OF_EACH]), len(group.rows), group.exact) for group in found.groups[:GROUPS]
    ]
    leaks = [
        Alike((*_pictures(test, [leak.test]), *_pictures(train, [leak.train])), 2, leak.exact)
        for leak in found.leaks[:LEAKS]
        if test is not None
    ]
    return Copies(found, subject.negatives, tuple(groups), tuple(leaks), (*lost, *lost_tests))


def unreadable(images: ImageSet | None) -> list[tuple[str, str]]:
    """Files of a set that could not be decoded since this was last asked, and why."""
    return images.pixels.drain() if images is not None and isinstance(images.pixels, Photographs) else []


def _rows(images: ImageSet | None, files: Sequence[tuple[str, str]]) -> set[int]:
    names = {name for name, _ in files}
    return set() if images is None else {row for row, name in enumerate(images.names) if name in names}


def _without(found: Duplicates, train: set[int], test: set[int]) -> Duplicates:
    """The same without these rows of both sets."""
    kept = [Group(tuple(row for row in group.rows if row not in train), group.exact) for group in found.groups]
    leaks = tuple(leak for leak in found.leaks if leak.test not in test and leak.train not in train)
    return replace(found, groups=tuple(group for group in kept if len(group.rows) > 1), leaks=leaks)


def _pictures(images: ImageSet, rows: Sequence[int]) -> tuple[Picture, ...]:
    index = torch.tensor(rows)
    pixels = shrink(images.pixels[index], SIDE).numpy()
    sizes = images.sizes[index].clamp(min=1).double()
    aspects = (sizes[:, 1] / sizes[:, 0]).tolist()
    names = (images.names[row] for row in rows)
    return tuple(Picture(name, p, aspect) for name, p, aspect in zip(names, pixels, aspects, strict=True))
