"""Which images of a set are there twice, and which test images are also trained on.

Copies hurt twice: in training a copy serves as a negative of its own picture, and a test image that was trained on
makes the result look better than it is.

N images, P pairs of images.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from pairlens.data.looks import Looks, Pixels, Progress, alike, look_at_all
from pairlens.data.near import Pairs, Search

COMPARED = 16  # pairs whose thumbnails are compared, for each image, on average; natural images need fewer than one

Known = Callable[[Int64[np.ndarray, "P"], Int64[np.ndarray, "P"]], Bool[np.ndarray, "P"]]


@dataclass(frozen=True)
class Group:
    """Images that show one picture."""

    rows: tuple[int, ...]  # ascending
    exact: bool  # all have the same pixels, as stored


@dataclass(frozen=True)
class Leak:
    """A test image, and a training image that shows the same picture."""

    test: int
    train: int
    exact: bool  # both have the same pixels, as stored


@dataclass(frozen=True)
class Duplicates:
    """What was found in a training set, and between it and a test set."""

    images: int  # of the training set
    groups: tuple[Group, ...]  # of two training images or more, the largest first
    tests: int | None  # images of the test set; None if there was none
    leaks: tuple[Leak, ...]  # one for each test image that has a copy in training, ascending
    complete: bool  # False if so many images are nearly alike that not all pairs could be compared

    @property
    def redundant(self) -> int:
        """Training images that could go, were one of each group kept."""
        return sum(len(group.rows) - 1 for group in self.groups)

    @property
    def share(self) -> float:
        """The redundant ones as a fraction of the training images."""
        return self.redundant / self.images if self.images else 0.0

    def met(self, negatives: int) -> float:
        """The fraction of queries that have a copy of their own picture among their negatives.

        The negatives are so many other training images, drawn without replacement, as those of a queue or batch
        within an epoch are; with as many as there are, every image that has a copy meets it.
        """
        others, missed = self.images - 1, 0.0
        sizes, counts = np.unique([len(group.rows) for group in self.groups], return_counts=True)
        for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
            earlier = np.arange(size - 1)  # copies that were not drawn either
            missed += count * size * (1 - ((others - negatives - earlier).clip(min=0) / (others - earlier)).prod())
        return float(missed / self.images) if self.images else 0.0

    def summary(self, negatives: int | None = None) -> str:
        """What was found, what it means and what to do, in one sentence; `negatives` are a query's, if known."""
        found = [self._of_training(negatives)]
        if self.tests is not None:
            found.append(self._of_test(self.tests))
        if not self.complete:
            found.append("so many images are nearly alike that not all could be compared, so there may be more")
        return "; ".join(found)

    def _of_training(self, negatives: int | None) -> str:
        if not self.groups:
            return f"no two of the {self.images:,} training images show the same picture"
        exact = sum(group.exact for group in self.groups)
        kinds = f"identical pixels in {exact:,}, nearly the same picture in {len(self.groups) - exact:,}"
        met = "" if negatives == 0 else ", and copies of a picture are met as its negatives"
        if negatives:
            met += f", by {_percent(self.met(negatives))} of the queries with {negatives:,} negatives"
        return (
            f"{self.redundant:,} of the {self.images:,} training images ({_percent(self.share)}) "
            f"repeat{'s' if self.redundant == 1 else ''} another one, in {_counted(len(self.groups), 'group')} of "
            f"up to {len(self.groups[0].rows):,} ({kinds}){met}: keep one of each group"
        )

    def _of_test(self, tests: int) -> str:
        if not self.leaks:
            return f"none of the {tests:,} test images has a copy in training"
        return (
            f"{len(self.leaks):,} of the {tests:,} test images ({_percent(len(self.leaks) / tests)}) "
            f"{'has a copy' if len(self.leaks) == 1 else 'have copies'} in training, so the test result looks better "
            "than it is: take those copies out of training"
        )


def find_duplicates(
    train: Pixels, test: Pixels | None = None, progress: Progress = lambda done, total: None
) -> Duplicates:
    """Find the training images that repeat each other, and the test images that repeat a training image.

    An image repeats another if it has the same pixels, or is the same photograph: compressed again, resized, a fifth
    darker or brighter, cropped by a few percent, mirrored (training mirrors too), or taken a moment later. Different
    things in one place are not the same. Groups are joined by pairs: the ends of a long chain may differ more.

    Measured: of 500 photographs of clothes stored at 143 px every copy is found that was compressed (JPEG quality 50),
    halved in size, made brighter by a tenth or darker by a fifth, mirrored, or cropped by 2 % about its centre, and
    every one to which all of these happened; of copies cropped by 2 % towards a corner 93 %, by 5 % about the centre
    65 %, by 10 % next to none. Among 4.7 million pairs of 3,068 such photographs, many of them of like garments before
    one background, one pair is found, and it is one. In CIFAR-10 330 groups are found in training, and 158 test images
    with a copy there; every group is of one class, and at most one of all looks wrong to the eye. Of 500 of its images,
    copies reduced from 32 to 16 px and back are found in 58 % of the cases, compressed ones in 99 %, others as above or
    better. Looser kin, as of a frame chosen anew, is left alone: it cannot be told from like things in one place.

    Images are read once, in order, a few at a time; `progress` hears how many. Memory (0.8 kB an image) grows with
    the images, and so does time, however alike they are.
    """
    total = len(train) + (0 if test is None else len(test))
    looks = look_at_all(train, lambda done, _: progress(done, total))
    groups, complete = _groups(looks)
    if test is None:
        return Duplicates(len(train), groups, None, (), complete)
    others = look_at_all(test, lambda done, _: progress(len(train) + done, total))
    leaks, all_compared = _leaks(looks, others)
    return Duplicates(len(train), groups, len(test), leaks, complete and all_compared)


def _groups(looks: Looks) -> tuple[tuple[Group, ...], bool]:
    _, first, same = np.unique(looks.digest, return_index=True, return_inverse=True)
    distinct = looks.rows(first)
    label = np.arange(len(first))  # the lowest member of each image's group
    comparison = _Comparison(distinct, distinct)
    for i, j in comparison.copies(lambda i, j: label[i] == label[j]):
        _unite(label, i, j)
    of_row = label[same]
    _, of_row, sizes = np.unique(of_row, return_inverse=True, return_counts=True)
    members = (sizes[of_row] > 1).nonzero()[0]
    members = members[np.argsort(of_row[members], kind="stable")]
    parts = np.split(members, sizes[sizes > 1].cumsum()[:-1]) if len(members) else []
    groups = (Group(tuple(rows.tolist()), len(np.unique(looks.digest[rows])) == 1) for rows in parts)
    return tuple(sorted(groups, key=lambda group: (-len(group.rows), group.rows))), comparison.complete


def _leaks(train: Looks, test: Looks) -> tuple[tuple[Leak, ...], bool]:
    digests, first = np.unique(train.digest, return_index=True)
    exact = np.isin(test.digest, digests)
    source = np.full(len(test.digest), -1)  # the training image of each test image
    source[exact] = first[np.searchsorted(digests, test.digest[exact])]
    comparison = _Comparison(test, train.rows(first))
    for i, j in comparison.copies(lambda i, j: source[i] >= 0):
        source[i] = first[j]
    leaks = tuple(Leak(row, int(source[row]), bool(exact[row])) for row in (source >= 0).nonzero()[0].tolist())
    return leaks, comparison.complete


class _Comparison:
    """Images that ask for their copies in an index; `complete` tells afterwards whether all were compared."""

    def __init__(self, asking: Looks, index: Looks) -> None:
        self.complete = True
        self._asking, self._index = asking, index
        self._left = COMPARED * len(asking.bits)

    def copies(self, known: Known) -> Iterator[Pairs]:
        """Pairs that show one picture, but for those that are `known` to, which is asked again after each yield."""
        for codes, mirrored in ((self._asking.bits, False), (self._asking.mirrored, True)):
            search = Search(self._index.bits, codes)
            for asking, found in search:
                yield from self._in_turns(asking, found, known, mirrored)
                if self._left < 0:
                    self.complete = False
                    return
            self.complete &= search.complete

    def _in_turns(
        self, i: Int64[np.ndarray, "P"], j: Int64[np.ndarray, "P"], known: Known, mirrored: bool
    ) -> Iterator[Pairs]:
        """Each image is compared with one other at a time, and neighbours not with the same.

        So in a crowd of copies a few turns join all, though each pair of them is near.
        """
        while True:
            unknown = ~known(i, j)
            i, j = i[unknown], j[unknown]
            if len(i) == 0:
                return
            begin = np.diff(i, prepend=-1).nonzero()[0]  # of each image's pairs
            count = np.diff(begin, append=len(i))
            turn = begin + np.arange(len(begin)) % count
            self._left -= len(turn)
            same = alike(self._asking, i[turn], self._index, j[turn], mirrored)
            yield i[turn][same], j[turn][same]
            i, j = np.delete(i, turn), np.delete(j, turn)


def _unite(label: Int64[np.ndarray, "N"], i: Int64[np.ndarray, "P"], j: Int64[np.ndarray, "P"]) -> None:
    """Join the groups of each pair, in place; labels are the lowest member of a group before and after."""
    while (label[i] != label[j]).any():
        low, high = np.minimum(label[i], label[j]), np.maximum(label[i], label[j])
        np.minimum.at(label, high, low)
        while (label[label] != label).any():
            label[:] = label[label]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %" if fraction >= 0.0005 or fraction == 0 else "less than 0.1 %"
