"""Near-duplicates in feature space beside those in pixels, which `pairlens inspect` finds: what differs.

M searched images, P pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pairlens.data.duplicates import find_duplicates
from pairlens.data.files import printable
from pairlens.data.images import ImageSet
from pairlens.data.photographs import Photographs
from pairlens.mapping.asked import Track

EXACT, NEARLY, FEATURES = "identical pixels", "the same picture in pixels", "alike in features only"


@dataclass(frozen=True)
class Pair:
    """Two searched images."""

    one: int  # places among the searched images
    other: int
    cosine: float
    kind: str  # EXACT, NEARLY or FEATURES


@dataclass(frozen=True)
class PixelGroups:
    """Groups of searched images that show one picture, by their pixels."""

    groups: Sequence[tuple[int, ...]]
    exact: Sequence[bool]  # all of a group have the same pixels
    lost: tuple[tuple[str, str], ...] = ()  # files that can no longer be read, and why; others stand in their places
    absent: frozenset[int] = frozenset()  # their rows, which are copies of nothing

    @property
    def pairs(self) -> int:
        """How many pairs of images they hold."""
        return sum(len(group) * (len(group) - 1) // 2 for group in self.groups)


@dataclass(frozen=True)
class Compared:
    """What features and pixels find."""

    near: tuple[Pair, ...]  # near-duplicates in features, most similar first
    total: int  # of them; those beyond the most similar ones are not listed
    apart: tuple[Pair, ...]  # copies in pixels that features keep apart, least similar first
    pixel_pairs: int

    def count(self, kind: str) -> int:
        """How many of the listed near-duplicates are of this kind."""
        return sum(pair.kind == kind for pair in self.near)


def pixel_groups(images: ImageSet, progress: Callable[[int, int], None] = lambda done, total: None) -> PixelGroups:
    """What `pairlens inspect` finds among these images."""
    found = find_duplicates(images.pixels, progress=progress)
    lost = images.pixels.drain() if isinstance(images.pixels, Photographs) else []
    names = {name for name, _ in lost}
    absent = frozenset(row for row, name in enumerate(images.names) if names and printable(name) in names)
    there = [(tuple(row for row in group.rows if row not in absent), group.exact) for group in found.groups]
    kept = [(rows, exact) for rows, exact in there if len(rows) > 1]
    return PixelGroups([rows for rows, _ in kept], [exact for _, exact in kept], tuple(lost), absent)


def compare(track: Track, pixels: PixelGroups) -> Compared:
    """Each near-duplicate in features with what its pixels say, and the copies in pixels that lie apart."""
    of = {row: place for place, group in enumerate(pixels.groups) for row in group}

    def kind(one: int, other: int) -> str:
        place = of.get(one)
        if place is None or place != of.get(other):
            return FEATURES
        return EXACT if pixels.exact[place] else NEARLY

    alike = track.alike
    near = [
        Pair(one, other, cosine, kind(one, other))
        for (one, other), cosine in zip(alike.pairs.tolist(), alike.cosine.tolist(), strict=True)
        if not {one, other} & pixels.absent
    ]
    apart = []
    for place, group in enumerate(pixels.groups):
        for one, other in pairwise(group):
            cosine = float(track.features[one] @ track.features[other])
            if cosine < alike.threshold:
                apart.append(Pair(one, other, cosine, EXACT if pixels.exact[place] else NEARLY))
    apart.sort(key=lambda pair: pair.cosine)
    return Compared(tuple(near), alike.total - len(alike.pairs) + len(near), tuple(apart), pixels.pairs)
