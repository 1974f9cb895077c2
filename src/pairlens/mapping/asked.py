"""What is asked of a map, what its encoders share, and what is found: frozen records that the page and the files read.

N images of the map, M images that are searched (the N first), D features, K neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pairlens.data.fingerprint import fingerprint
from pairlens.data.images import ImageSet, Source
from pairlens.errors import InputError
from pairlens.evaluate.clusters import Agreement
from pairlens.evaluate.vicinity import Duplicates, Nearest
from pairlens.mapping.moments import Moment
from pairlens.opened import Opened
from pairlens.record.parts import Parts, digest_of

FEWEST, MOST = 3, 5000
"""Images of a map."""

COUNTED = 10
"""Neighbours by which agreement with labels is measured, and outliers are found."""

Advance = Callable[[str, int, int, str], None]
"""Told what is done, how far of how much, and rate and time left."""


@dataclass(frozen=True)
class Asked:
    """What is to be drawn."""

    source: Source
    images: int = 2000  # N, at most
    among: int = 20_000  # M, at most
    neighbours: int = 8  # K, shown
    clusters: int | None = None
    seed: int = 0

    @cached_property
    def searched(self) -> Int64[Tensor, "M"]:
        """The training images among which outliers and near-duplicates are looked for; the map's come first.

        Raises:
            InputError: there are too few, or a number is out of range.
        """
        there, least = len(self.source.train), FEWEST
        if not least <= self.images <= MOST:
            raise InputError(f"a map has {least} to {MOST:,} images, not {self.images}; give another number (--images)")
        if self.neighbours < 1:
            raise InputError(f"{self.neighbours} neighbours cannot be shown; give 1 at least")
        if there < least:
            raise InputError(f"{self.source.name} holds {there} training images, and a map needs {least} at least")
        if self.clusters is not None and not 1 <= self.clusters <= min(self.images, there):
            raise InputError(f"{min(self.images, there)} images cannot be put in {self.clusters} clusters")
        drawn = torch.randperm(there, generator=torch.Generator().manual_seed(self.seed))
        shown = drawn[: self.images].sort().values
        return torch.cat([shown, drawn[self.images : max(self.images, self.among)]])

    @property
    def shown(self) -> Int64[Tensor, "N"]:
        """The images of the map, in ascending order."""
        return self.searched[: self.images]


@dataclass(frozen=True)
class Frame:
    """The map at one moment."""

    moment: Moment
    axes: Float[np.ndarray, "N 2"]  # along the principal axes
    explained: tuple[float, float]  # shares of variance along them
    t_sne: Float[np.ndarray, "N 2"] | None  # None without scikit-learn, or where all features are the same
    near: Nearest  # among the images of the map
    mean_cosine: float  # of two images
    flat: bool  # all features are the same
    agreed: float | None  # share of the 10 nearest with the same label
    clusters: Agreement | None  # of this moment's clusters with labels
    kept: float = 1.0  # share of the neighbours that are those at the last moment


@dataclass(frozen=True)
class Track:
    """An encoder's maps, and what is found in the last one."""

    name: str
    opened: Opened
    frames: tuple[Frame, ...]
    clusters: Int64[np.ndarray, "N"] | None  # None without scikit-learn
    near: Nearest  # COUNTED of each, all searched images
    alike: Duplicates  # among all searched images
    features: Float[Tensor, "M D"]  # of unit length
    keys: tuple[str, ...]  # of the frames' features in the `.npz`

    @property
    def last(self) -> Frame:
        """The map of the encoder as it was opened."""
        return self.frames[-1]


@dataclass(frozen=True)
class Looking:
    """What all encoders of one map share."""

    asked: Asked
    images: ImageSet  # the N of the map, in memory
    parts: Parts
    advance: Advance
    used: set[str] = field(default_factory=set)  # keys of the parts that this map is made of

    @cached_property
    def mark(self) -> str:
        """Tells these images from others."""
        return digest_of(fingerprint(self.asked.source), {"shown": self.images.pixels, "index": self.asked.searched})  # type: ignore[dict-item]

    @cached_property
    def labels(self) -> Int64[Tensor, "N"] | None:
        """Labels, where at least two images have one."""
        labels = self.images.labels
        return None if labels is None or int((labels >= 0).sum()) < 2 else labels
