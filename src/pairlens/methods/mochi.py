"""MoCHi (Kalantidis et al. 2020, Hard Negative Mixing): MoCo with synthetic negatives made of each query's hardest.

B queries, K queued keys, D dimensions, H hardest negatives of a query, J synthetic ones.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.methods import Method, Parts
from pairlens.methods.moco import MoCoSettings
from pairlens.pairs import Pairs, Transform
from pairlens.transforms import chain, starting_at


@dataclass(frozen=True)
class MoCHiSettings(MoCoSettings):
    """MoCHi's own arguments, beside MoCo's."""

    hardest: int = 1024
    """Hardest negatives of a query that are mixed (N); the whole queue where it is shorter."""
    mixed: int = 1024
    """Synthetic negatives of each query, mixed of two of those (s)."""
    query_mixed: int = 128
    """Synthetic negatives of each query, mixed of one of those and the query (s')."""
    mix_start: int = 0
    """Epoch from which negatives are mixed."""

    def resolve(self, count: int) -> "MoCHiSettings":
        """With the usual number of negatives where none is given, and no more hardest ones than that."""
        negatives = super().resolve(count).negatives
        return replace(self, negatives=negatives, hardest=min(self.hardest, negatives or self.hardest))

    @property
    def own_negatives(self) -> int:
        """The synthetic ones, which come with `mix_start`."""
        return self.mixed + self.query_mixed

    def build(self, parts: Parts) -> Method:
        """MoCo whose transform also mixes hard negatives, of those that the recipe's transform left.

        Raises:
            InputError: negatives are to be selected by raw scores, which synthetic ones do not have.
        """
        if parts.contrast.select is not None and parts.contrast.mine_on == "raw" and self.own_negatives:
            raise InputError(
                "mine_on raw ranks the queue's negatives, and MoCHi's synthetic ones have no raw scores; mine on the "
                "transformed ones"
            )
        mixing = starting_at(self.mix_start, mix_hard_negatives(self.hardest, self.mixed, self.query_mixed))
        contrast = replace(parts.contrast, transform=chain(parts.contrast.transform, mixing))
        return super().build(replace(parts, contrast=contrast))


def mix_hard_negatives(hardest: int = 1024, mixed: int = 1024, query_mixed: int = 128) -> Transform:
    """Add synthetic negatives to each query's own ones, anew in each step (MoCHi, Section 4).

    No gradient flows through them, as none flows through queued keys: our choice, the formulas leave it open. Where
    fewer than `hardest` negatives are left to a query, all of those are mixed.

    Args:
        hardest: negatives of each query that are mixed, those with the highest scores that are not excluded (N).
        mixed: synthetic negatives of two of them (s).
        query_mixed: synthetic negatives of one of them and the query (s').

    Raises:
        InputError: `hardest` is not positive, or another number is negative.
    """
    if hardest < 1 or min(mixed, query_mixed) < 0:
        raise InputError(
            f"{mixed} and {query_mixed} negatives cannot be mixed of the {hardest} hardest; give a positive number of "
            "hardest ones (1024), and none or more of the others (1024 and 128)"
        )

    def apply(pairs: Pairs, draw: Draw) -> Pairs:
        made = synthetic_negatives(pairs, draw, hardest, mixed, query_mixed)
        return replace(pairs, own=made if pairs.own is None else torch.cat([pairs.own, made], 1))

    return apply


@torch.no_grad()
def synthetic_negatives(pairs: Pairs, draw: Draw, hardest: int, mixed: int, query_mixed: int) -> Float[Tensor, "B J D"]:
    """Unit mixtures of each query's hard negatives: `mixed` of two, then `query_mixed` of one and the query.

    a n_i + (1 - a) n_j with a ~ U(0, 1), and b q + (1 - b) n_j with b ~ U(0, 1/2), brought to unit length (in place:
    these are the largest tensors of a step); i and j are random, and may coincide.
    """
    query = pairs.query if pairs.anchor is None else pairs.anchor
    batch, count, generator = len(query), mixed + query_mixed, draw.features
    uniform = torch.rand(2, batch, count + mixed, generator=generator, device=generator.device, dtype=query.dtype)
    chosen = _among_hardest(query, pairs, hardest, uniform[0])
    made, partner = pairs.negatives[chosen[:, :count]], pairs.negatives[chosen[:, count:]]
    weight = uniform[1, :, :count, None]
    made[:, :mixed].lerp_(partner, weight[:, :mixed])
    made[:, mixed:].lerp_(query[:, None], weight[:, mixed:] / 2)
    return made.div_(torch.linalg.vector_norm(made, dim=2, keepdim=True).clamp_min_(1e-12))


def _among_hardest(
    query: Float[Tensor, "B D"], pairs: Pairs, hardest: int, uniform: Float[Tensor, "B chosen"]
) -> Int64[Tensor, "B chosen"]:
    """Shared negatives of each query, each drawn from its hardest that are not excluded."""
    hardness = query @ pairs.negatives.T
    count = torch.full((len(query), 1), min(hardest, len(pairs.negatives)), device=query.device)
    if pairs.excluded is not None:
        hardness = hardness.masked_fill(pairs.excluded, -torch.inf)
        count = count.minimum((~pairs.excluded).sum(1, keepdim=True))
    ranked = hardness.topk(min(hardest, len(pairs.negatives)), 1).indices
    return ranked.gather(1, (uniform * count).long())
