"""Long curves made short enough to draw, without losing what went wrong on the way.

N points given, M blocks kept.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

POINTS = 400  # wider than any curve of the page is drawn, in pixels of its line


@dataclass(frozen=True)
class Curve:
    """A curve in blocks of equal length: mean, least and greatest of the finite values in each."""

    step: Float[np.ndarray, "M"]
    mean: Float[np.ndarray, "M"]  # NaN where a block holds no finite value
    low: Float[np.ndarray, "M"]
    high: Float[np.ndarray, "M"]
    broken: Int[np.ndarray, "X"]  # the steps whose value was NaN or infinite

    def __len__(self) -> int:
        return len(self.step)


def thin(step: Num[np.ndarray, "N"], value: Num[np.ndarray, "N"], points: int = POINTS) -> Curve:
    """At most `points` block means of a curve, with its extremes."""
    return thinned(step, value, blocks(len(value), points))


def thinned(step: Num[np.ndarray, "N"], value: Num[np.ndarray, "N"], edges: Int[np.ndarray, "M"]) -> Curve:
    """A curve in blocks that begin at `edges`; values that are no numbers are left out of them and listed."""
    value = np.asarray(value, np.float64)
    if not len(edges):
        empty = np.zeros(0)
        return Curve(empty, empty, empty, empty, np.zeros(0, np.int64))
    finite = np.isfinite(value)
    count = np.add.reduceat(finite, edges, dtype=np.int64)
    total = np.add.reduceat(np.where(finite, value, 0.0), edges)
    nothing = count == 0
    mean = np.where(nothing, np.nan, total / np.maximum(count, 1))
    low = np.minimum.reduceat(np.where(finite, value, np.inf), edges)
    high = np.maximum.reduceat(np.where(finite, value, -np.inf), edges)
    low, high = np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)
    return Curve(block_means(step, edges), mean, low, high, np.asarray(step)[~finite].astype(np.int64))


def blocks(length: int, points: int) -> Int[np.ndarray, "M"]:
    """Where each of at most `points` blocks of (nearly) equal length begins."""
    if length == 0:
        return np.zeros(0, np.int64)
    return np.unique(np.linspace(0, length, min(points, length), endpoint=False).astype(np.int64))


def block_means(value: Num[np.ndarray, "N"], edges: Int[np.ndarray, "M"]) -> Float[np.ndarray, "M"]:
    """The mean of each block."""
    lengths = np.diff(np.append(edges, len(value)))
    return np.add.reduceat(np.asarray(value, np.float64), edges) / lengths
