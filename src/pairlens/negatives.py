"""Where negatives come from beside the batch, and which of them a query's loss sees.

B queries or keys of one step, K stored keys, N images, D dimensions, M negatives of a query, S selected ones.
"""

import math
from dataclasses import replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.pairs import Scores, Select

BELOW_ALL = -32.0
"""Beyond any score, also of extrapolated features (at most 3 long): where `semi_hard` ranks what is too hard."""


class Queue(nn.Module):
    """The last K keys, first in, first out (MoCo; FT's Z_neg, Section 4.2), in float32.

    It starts as random unit vectors, as the MoCo authors' does. What was enqueued is counted on the device, so that
    enqueueing never waits for it; any batch size is taken, also one that does not divide K or exceeds it.

    Raises:
        InputError: `size` or `dim` is not positive.
    """

    keys: Tensor  # [K, D]
    enqueued: Tensor  # [] keys so far

    def __init__(self, size: int, dim: int, generator: torch.Generator) -> None:
        if size <= 0 or dim <= 0:
            raise InputError(f"the number of negatives and of dimensions must be positive, not {size} and {dim}")
        super().__init__()
        keys = torch.randn(size, dim, generator=generator, device=generator.device)
        self.register_buffer("keys", F.normalize(keys, dim=1))
        self.register_buffer("enqueued", torch.zeros((), dtype=torch.long, device=generator.device))

    @torch.no_grad()
    def enqueue(self, keys: Float[Tensor, "B D"]) -> None:
        """Replace the oldest keys by these; of more than K only the last K stay."""
        size = len(self.keys)
        keys = keys[-size:]
        where = (self.position + torch.arange(len(keys), device=keys.device)) % size
        self.keys.index_copy_(0, where, keys.to(self.keys.dtype))
        self.enqueued.add_(len(keys))

    @property
    def position(self) -> Int64[Tensor, ""]:
        """Where the next key goes."""
        return self.enqueued % len(self.keys)

    @property
    def full(self) -> Bool[Tensor, ""]:
        """Whether no random key is left."""
        return self.enqueued >= len(self.keys)


class Bank(nn.Module):
    """One unit vector an image (InstDisc, Section 3.2), in float32; it starts as random directions.

    Raises:
        InputError: a size is not positive, or the momentum lies outside [0, 1].
    """

    vectors: Tensor  # [N, D]

    def __init__(self, images: int, dim: int, generator: torch.Generator, momentum: float = 0.5) -> None:
        if images <= 0 or dim <= 0 or not 0 <= momentum <= 1:
            raise InputError(
                f"a bank of {images} vectors of {dim} dimensions with momentum {momentum} cannot be made; sizes "
                "must be positive, and the momentum lies in [0, 1] (InstDisc: 0.5)"
            )
        super().__init__()
        vectors = torch.randn(images, dim, generator=generator, device=generator.device)
        self.register_buffer("vectors", F.normalize(vectors, dim=1))
        self.momentum = momentum

    @torch.no_grad()
    def update(self, index: Int64[Tensor, "B"], features: Float[Tensor, "B D"]) -> None:
        """v <- normalise(m v + (1 - m) f) for the images that were seen."""
        mixed = self.momentum * self.vectors[index] + (1 - self.momentum) * features.to(self.vectors.dtype)
        self.vectors[index] = F.normalize(mixed, dim=1)


def hardest(count: int | None = None) -> Select:
    """Each query's `count` most alike negatives, half of them by default."""
    _check_count(count)

    def select(scores: Scores, mined: Scores, draw: Draw) -> Scores:
        return _take(scores, _hardness(scores, mined).topk(_columns(count, scores), 1).indices, _half(count, scores))

    return select


def semi_hard(count: int | None = None) -> Select:
    """Each query's most alike negatives among those less alike than its positive (Schroff et al. 2015, Section 3.2).

    Where fewer than `count` (by default half of all) are, the rest counts as excluded; a query whose negatives are all
    more alike than its positive keeps the least of them.
    """
    _check_count(count)

    def select(scores: Scores, mined: Scores, draw: Draw) -> Scores:
        hardness = _hardness(scores, mined)
        too_hard = hardness >= mined.positive.detach()[:, None]
        index = torch.where(too_hard, BELOW_ALL - hardness, hardness).topk(_columns(count, scores), 1).indices
        taken = _take(scores, index, _half(count, scores))
        beyond = too_hard.gather(1, index)
        beyond[:, 0] = False
        return replace(taken, excluded=beyond if taken.excluded is None else beyond | taken.excluded)

    return select


def uniform(count: int | None = None) -> Select:
    """For each query `count` of its negatives, by default half of them, at random and without repetition."""
    _check_count(count)

    def select(scores: Scores, mined: Scores, draw: Draw) -> Scores:
        chance = torch.rand(scores.negative.shape, generator=draw.features, device=draw.features.device)
        if scores.excluded is not None:
            chance = chance.masked_fill(scores.excluded, -1.0)
        return _take(scores, chance.topk(_columns(count, scores), 1).indices, _half(count, scores))

    return select


def skewed(count: int | None = None, *, shape: float = 4.0, loc: float = 0.0, scale: float = 1 / 3) -> Select:
    """For each query negatives whose ranks are drawn from a skew-normal: many hard ones, some easy (GP, Section 5).

    A query's negatives are sorted by their scores, the most alike first; ranks are drawn with replacement from a
    skew-normal cut to the ranks there are, so that hard negatives are over-sampled and their number stays what it was.
    The paper gives neither the distribution's parameters nor says whether ranks repeat: both are our inference.

    Args:
        count: ranks drawn for each query; as many as it has negatives by default.
        shape: the skew-normal's shape; positive leans towards hard negatives, 0 is a normal.
        loc: its location, a share of the number of negatives.
        scale: its scale, likewise.

    Raises:
        InputError: the scale or the count is not positive.
    """
    _check_count(count)
    if not (0 < scale < math.inf and math.isfinite(shape) and math.isfinite(loc)):
        raise InputError(
            f"a skew-normal of shape {shape}, location {loc} and scale {scale} is none; the scale must be positive "
            "(a share of the negatives: 0.33)"
        )

    def select(scores: Scores, mined: Scores, draw: Draw) -> Scores:
        hardness = _hardness(scores, mined)
        rows, there = hardness.shape
        chance = torch.rand(rows, count or there, generator=draw.features, device=draw.features.device)
        ranks = torch.searchsorted(_cumulative(there, shape, loc, scale, chance.device), chance).clamp(max=there - 1)
        available = _available(scores)
        if available is not None:
            ranks = ranks * available // there  # the same share of what is not excluded
        order = hardness.argsort(1, descending=True)
        return _take(scores, order.gather(1, ranks), None if count else available)

    return select


def rank_distribution(count: int, shape: float = 4.0, loc: float = 0.0, scale: float = 1 / 3) -> Float[Tensor, "M"]:
    """Probability of each rank, the hardest first: a skew-normal's density at the ranks' middles, summing to 1.

    2 / s phi((x - l) / s) Phi(a (x - l) / s) with a = `shape`, l = `loc` and s = `scale`, for x in (0, 1).
    """
    z = ((torch.arange(count, dtype=torch.float64) + 0.5) / count - loc) / scale
    log_density = -z.square() / 2 + torch.special.log_ndtr(shape * z)
    return log_density.softmax(0)


@lru_cache(maxsize=16)  # made once: a copy to the device in each step would wait for it
def _cumulative(count: int, shape: float, loc: float, scale: float, device: torch.device) -> Float[Tensor, "M"]:
    return rank_distribution(count, shape, loc, scale).cumsum(0).float().to(device)


def _hardness(scores: Scores, mined: Scores) -> Float[Tensor, "B M"]:
    """How alike each negative is to its query; minus infinity where it is excluded."""
    if mined.negative.shape != scores.negative.shape:
        raise InputError(
            f"{scores.negative.shape[1]} negatives cannot be ranked by {mined.negative.shape[1]} raw scores; mine on "
            "the transformed ones where a union queue doubles the negatives"
        )
    hardness = mined.negative.detach()
    return hardness if scores.excluded is None else hardness.masked_fill(scores.excluded, -math.inf)


def _take(scores: Scores, index: Int64[Tensor, "B S"], limit: Int64[Tensor, "B 1"] | None) -> Scores:
    """Some of each query's negatives, by their column; those beyond its limit count as excluded.

    Gradients flow to what is taken.
    """
    excluded = None if scores.excluded is None else scores.excluded.gather(1, index)
    if limit is not None:
        beyond = torch.arange(index.shape[1], device=index.device) >= limit
        excluded = beyond if excluded is None else beyond | excluded
    return Scores(scores.positive, scores.negative.gather(1, index), excluded)


def _available(scores: Scores) -> Int64[Tensor, "B 1"] | None:
    """How many negatives each query really has; None where none is excluded."""
    return None if scores.excluded is None else (~scores.excluded).sum(1, keepdim=True)


def _half(count: int | None, scores: Scores) -> Int64[Tensor, "B 1"] | None:
    """Half of the negatives that each query really has, where no count is given and some are excluded."""
    available = _available(scores)
    return None if count is not None or available is None else (available // 2).clamp(min=1)


def _columns(count: int | None, scores: Scores) -> int:
    """How many columns a selection has: the count, or half of all."""
    there = scores.negative.shape[1]
    if count is not None and count > there:
        raise InputError(f"{count} negatives cannot be selected of {there}; ask for fewer, or queue more")
    return count or max(1, there // 2)


def _check_count(count: int | None) -> None:
    if count is not None and count < 1:
        raise InputError(f"the number of selected negatives must be positive, not {count}; leave it out for the usual")
