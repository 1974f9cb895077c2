"""One quantity against another one, in bins that several ways of drawing share, with errors that know what was drawn.

N images, P draws of each, K bins, E edges of bins.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class Binned:
    """Means of a quantity in bins."""

    mean: Float[Tensor, "K"]  # NaN where a bin is empty
    error: Float[Tensor, "K"]  # its standard error; NaN where fewer than two images have draws in a bin
    count: Int64[Tensor, "K"]  # draws
    images: Int64[Tensor, "K"]  # that have draws in a bin
    residual: Float[Tensor, "N K"]  # what each image adds to the mean beyond its draws' share in it


def binned(values: Float[Tensor, "N P"], place: Int64[Tensor, "N P"], bins: int) -> Binned:
    """Means of the values in the bins that `place` names.

    The draws of one image are alike, and only images are independent of each other: a mean is the ratio of two sums
    over images, of values and of draws, and its standard error that of such a ratio.
    """
    cell = (torch.arange(len(values))[:, None] * bins + place).flatten()
    length = len(values) * bins
    counts = torch.bincount(cell, minlength=length).view(-1, bins)
    sums = torch.bincount(cell, values.flatten(), minlength=length).view(-1, bins)
    count, images = counts.sum(0), (counts > 0).sum(0)
    mean = sums.sum(0) / count
    residual = ((sums - mean * counts) / count).nan_to_num(0.0)
    error = (residual.square().sum(0) * images / (images - 1)).sqrt().where(images > 1, math.nan)
    return Binned(mean, error, count, images, residual)


def common_edges(values: list[Float[Tensor, "N P"]], bins: int) -> Float[Tensor, "E"]:
    """The edges of bins that hold equally many of all values together; fewer bins where values repeat."""
    ordered = torch.cat([one.flatten() for one in values]).sort()[0]
    ranks = torch.linspace(0, len(ordered) - 1, bins + 1, dtype=torch.float64).round().long()
    return ordered[ranks].unique()


@dataclass(frozen=True)
class Relation:
    """One quantity against another one."""

    of: Binned
    along: Binned  # the quantity that bins are made of, in the same bins


def relate(of: Float[Tensor, "N P"], along: Float[Tensor, "N P"], edges: Float[Tensor, "E"]) -> Relation:
    """Means of both quantities in bins of the second one; a bin has its lower edge in it, the last one both."""
    place = torch.bucketize(along, edges[1:-1].contiguous(), right=True)
    bins = max(1, len(edges) - 1)
    return Relation(binned(of, place, bins), binned(along, place, bins))


def excess(one: Relation, other: Relation) -> dict[str, float | None]:
    """How much greater the one's mean is at equal places along, bins weighed by the draws that both have there.

    Both are of the same images. Gives the `difference`, its standard `error` (over images, each with its draws of both
    kinds), and which share of the one's draws is `shared`, and so could be compared.
    """
    a, b = one.of, other.of
    both = torch.minimum(a.count, b.count).double()
    if not both.any():
        return {"difference": None, "error": None, "shared": 0.0}
    weight = both / both.sum()
    difference = ((a.mean - b.mean).nan_to_num(0.0) * weight).sum()
    by_image = ((a.residual - b.residual) * weight).sum(1)
    images = len(by_image)
    error = (by_image.square().sum() * images / (images - 1)).sqrt() if images > 1 else torch.tensor(math.nan)
    shared = both.sum() / a.count.sum()
    return {"difference": plain(difference), "error": plain(error), "shared": plain(shared)}


def plain(value: Tensor) -> float | None:
    """A number for JSON, which knows none that are not finite."""
    return float(value) if value.isfinite() else None
