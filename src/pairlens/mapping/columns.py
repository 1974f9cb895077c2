"""What the points of a map can be coloured by: kinds, such as a label, and numbers, such as brightness.

N images, P pixels a side of a thumbnail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.data.looks import LUMINANCE
from pairlens.evaluate.vicinity import Nearest, agree
from pairlens.mapping.asked import Track

FEW = 24
"""Whole numbers of up to so many values are kinds; more are numbers."""

GRAY = 0.04
"""Mean colour (its length as a vector, of at most 1) below which an image has no hue."""


@dataclass(frozen=True)
class Kinds:
    """A column of kinds; -1 where an image has none."""

    name: str
    words: str  # what it is
    codes: Int[np.ndarray, "N"]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers; NaN where an image has none."""

    name: str
    words: str
    values: Float[np.ndarray, "N"]
    unit: str = ""
    cyclic: bool = False


Column = Kinds | Numbers


def columns_of_images(images: ImageSet, thumbnails: UInt8[Tensor, "N 3 P P"]) -> list[Column]:
    """What is known of the images, whatever the encoder."""
    found: list[Column] = []
    if images.labels is not None and bool((images.labels >= 0).any()):
        found.append(Kinds("label", "the image's class", images.labels.numpy(), tuple(images.classes)))
    folder = _folders(images.names)
    if folder is not None and not (found and _same(folder.codes, found[0].codes)):  # type: ignore[union-attr]
        found.append(folder)
    for name, values in images.factors.items():
        known = _factor(name, values.numpy())
        if known is not None and not (found and isinstance(known, Kinds) and _same(known.codes, found[0].codes)):  # type: ignore[union-attr]
            found.append(known)
    found += _seen(thumbnails)
    sizes = images.sizes.double().numpy()
    aspect = sizes[:, 1] / np.maximum(1, sizes[:, 0])
    if aspect.max() > 1.02 * aspect.min():
        found.append(Numbers("width over height", "of the original image", aspect))
    if len(np.unique(sizes.prod(1))) > 1:
        found.append(Numbers("size", "pixels of the original image", sizes.prod(1) / 1e6, "Mpx"))
    return found


def columns_of_track(track: Track, labels: Tensor | None) -> list[Column]:
    """What the encoder makes of the images, as it was opened."""
    count = len(track.last.axes)
    near = Nearest(track.near.index[:count], track.near.cosine[:count])
    found: list[Column] = []
    if track.clusters is not None:
        names = tuple(f"cluster {i + 1}" for i in range(int(track.clusters.max()) + 1))
        found.append(Kinds("cluster", "k-means of the last moment's features", track.clusters, names))
    distance = (1 - near.cosine[:, 0]).clamp(min=0).numpy()
    found.append(Numbers("distance to the nearest", "1 less the cosine to the nearest other image", distance))
    found.append(Numbers("outlier score", "mean of that over the 10 nearest", near.outlying.clamp(min=0).numpy()))
    if labels is not None and not track.last.flat:
        own = track.last.near
        same = agree(own, labels).numpy()
        words = f"share of the {own.index.shape[1]} nearest on the map that have the image's label"
        found.append(Numbers("neighbours of its label", words, same))
    return found


def _seen(thumbnails: UInt8[Tensor, "N 3 P P"]) -> list[Column]:
    """What can be seen of the thumbnails."""
    pixels = thumbnails.float() / 255
    luma = (pixels * torch.tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1).flatten(1)
    red, green, blue = pixels.mean((2, 3)).double().unbind(1)
    hue = torch.atan2(3**0.5 * (green - blue), 2 * red - green - blue).rad2deg() % 360
    colour = torch.hypot(3**0.5 * (green - blue) / 2, red - (green + blue) / 2)
    spread = (pixels.amax(1) - pixels.amin(1)).mean((1, 2))
    return [
        Numbers("brightness", "mean luminance, 0 black to 1 white", luma.mean(1).numpy()),
        Numbers("contrast", "standard deviation of luminance", luma.std(1, correction=0).numpy()),
        Numbers("colourfulness", "mean difference between the strongest and weakest channel", spread.numpy()),
        Numbers(
            "hue",
            "of the mean colour, degrees; gray images have none",
            hue.where(colour > GRAY, torch.nan).numpy(),
            "°",
            True,
        ),
    ]


def _folders(names: Sequence[str]) -> Kinds | None:
    """The files' folders, where there are at least two and fewer than images."""
    parents = [str(PurePosixPath(name).parent) for name in names]
    kinds, codes = np.unique(parents, return_inverse=True)
    if not 2 <= len(kinds) < len(names):
        return None
    return Kinds("folder", "where the file lies", codes.astype(np.int64), tuple(kinds.tolist()))


def _factor(name: str, values: np.ndarray) -> Column | None:
    """A known factor of variation; None where it does not vary."""
    kinds, codes = np.unique(values, return_inverse=True)
    if len(kinds) < 2:
        return None
    if np.issubdtype(values.dtype, np.integer) or values.dtype == bool:
        if len(kinds) <= FEW:
            return Kinds(name, "a known factor of the images", codes.astype(np.int64), tuple(map(str, kinds.tolist())))
        return None  # numbers of originals
    return Numbers(name, "a known factor of the images", values.astype(np.float64), cyclic=name == "hue")


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two columns of kinds divide the images alike."""
    pairs = len(np.unique(np.stack([one, other]), axis=1).T)
    return pairs == len(np.unique(one)) == len(np.unique(other))
