"""Feature transformation (FT, Section 4): functions from pairs to pairs, put between embeddings and scores.

B queries, K shared negatives, D dimensions. `lam` is the paper's lambda and broadcasts against the rows it mixes:
[1, 1] one for the step (Eq. 3 and 5), [rows, 1] one a pair, [1, D] one a dimension (Eq. 6), [rows, D] one an element
(as in the authors' code).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from pairlens.draw import Draw, beta, check_alpha
from pairlens.errors import InputError
from pairlens.pairs import Pairs, Transform

Per = Literal["step", "pair", "dimension", "element"]
Gradient = Literal["query", "one_sided", "both"]
NegativesSee = Literal["transformed", "raw"]
DrawLambda = Callable[[Tensor, Draw], Tensor]


def extrapolate_positives(
    pairs: Pairs,
    lam: Float[Tensor, "..."],
    *,
    gradient: Gradient = "query",
    negatives_see: NegativesSee = "transformed",
    renormalise: bool = False,
) -> Pairs:
    """Mix each query with its key (FT, Eq. 3): apart for lam > 1, together for lam in (0, 1), nothing at lam = 1.

    The positive score becomes S - 2 lam (lam - 1)(1 - S) (Eq. 4), for a scalar lam.

    Args:
        pairs: what is compared; query and key unit vectors.
        lam: broadcasts to [B, D].
        gradient: "query": the key is detached and the query lives in both mixtures, as in the authors' code (the
            score's gradient is 1 + 2 lam (lam - 1) times the plain one). "one_sided": the query inside the mixed key is
            detached as well (lam squared times). "both": nothing is detached; where the key has a gradient (SimCLR)
            short runs collapsed with it.
        negatives_see: whether negatives are scored with the mixed query, as in the authors' code, or with the raw one.
        renormalise: bring both mixtures back to unit length. The paper's main tables do not; its Section 5.1
            recommends it for all data.
    """
    _check(gradient, Gradient, "gradient")
    _check(negatives_see, NegativesSee, "negatives_see")
    query = pairs.query
    key = pairs.key if gradient == "both" else pairs.key.detach()
    inner = query.detach() if gradient == "one_sided" else query
    mixed_query = lam * query + (1 - lam) * key
    mixed_key = lam * key + (1 - lam) * inner
    if renormalise:
        mixed_query, mixed_key = F.normalize(mixed_query, dim=1), F.normalize(mixed_key, dim=1)
    raw = query if pairs.anchor is None else pairs.anchor
    return replace(pairs, query=mixed_query, key=mixed_key, anchor=raw if negatives_see == "raw" else None)


def mix_negatives(
    pairs: Pairs,
    lam: Float[Tensor, "..."],
    permutation: Int64[Tensor, "K"],
    *,
    union: bool = False,
    renormalise: bool = False,
) -> Pairs:
    """Mix the shared negatives with a permutation of themselves (FT, Eq. 5; Eq. 6 for a lam per dimension).

    A mixture is excluded for a query if either of its parts is; otherwise it could contain the query's positive.
    Own negatives stay as they are.

    Args:
        pairs: what is compared.
        lam: broadcasts to [K, D].
        permutation: which negative each one is mixed with; fixed points are allowed, as in the authors' code.
        union: keep the originals in front of the mixtures, 2K in all (Table 5).
        renormalise: bring the mixtures back to unit length.
    """
    mixed = lam * pairs.negatives + (1 - lam) * pairs.negatives[permutation]
    if renormalise:
        mixed = F.normalize(mixed, dim=1)
    excluded = pairs.excluded
    if excluded is not None:
        either = excluded | excluded[:, permutation]
        excluded = torch.cat([excluded, either], 1) if union else either
    return replace(pairs, negatives=torch.cat([pairs.negatives, mixed]) if union else mixed, excluded=excluded)


def positive_extrapolation(
    alpha: float = 2.0,
    *,
    per: Per = "step",
    gradient: Gradient = "query",
    negatives_see: NegativesSee = "transformed",
    renormalise: bool = False,
) -> Transform:
    """Harder positives: Eq. 3 with lam ~ Beta(alpha, alpha) + 1, drawn anew each step (FT, Section 4.1, Table 2)."""
    lam = _lambda(alpha, 1.0, per)
    return _positives(lam, gradient=gradient, negatives_see=negatives_see, renormalise=renormalise)


def positive_interpolation(
    alpha: float = 2.0,
    *,
    per: Per = "step",
    gradient: Gradient = "query",
    negatives_see: NegativesSee = "transformed",
    renormalise: bool = False,
) -> Transform:
    """Easier positives: Eq. 3 with lam ~ Beta(alpha, alpha); the ablation that hurts (FT, Table 3)."""
    lam = _lambda(alpha, 0.0, per)
    return _positives(lam, gradient=gradient, negatives_see=negatives_see, renormalise=renormalise)


def negative_interpolation(
    alpha: float = 1.6, *, per: Per = "step", union: bool = False, renormalise: bool = False
) -> Transform:
    """More diverse negatives: Eq. 5 with lam ~ Beta(alpha, alpha), drawn anew each step (FT, Section 4.2, Table 4)."""
    return _negatives(_lambda(alpha, 0.0, per), union=union, renormalise=renormalise)


def negative_extrapolation(
    alpha: float = 1.6, *, per: Per = "step", union: bool = False, renormalise: bool = False
) -> Transform:
    """Eq. 5 with lam ~ Beta(alpha, alpha) + 1.

    The paper names it (Section 4.2, Supplement G, whose text is not available); the range of lam is our inference from
    the positives' extrapolation.
    """
    return _negatives(_lambda(alpha, 1.0, per), union=union, renormalise=renormalise)


def chain(*transforms: Transform) -> Transform:
    """Apply transforms from left to right."""

    def apply(pairs: Pairs, draw: Draw) -> Pairs:
        for transform in transforms:
            pairs = transform(pairs, draw)
        return pairs

    return apply


def starting_at(epoch: int, transform: Transform) -> Transform:
    """The identity before `epoch` epochs are finished, the transform from then on (FT, Table 6)."""
    if epoch < 0:
        raise InputError(f"the epoch at which a transform starts must not be negative, and {epoch} is; 0 is at once")
    return lambda pairs, draw: transform(pairs, draw) if draw.epoch >= epoch else pairs


def _positives(
    draw_lam: DrawLambda, *, gradient: Gradient, negatives_see: NegativesSee, renormalise: bool
) -> Transform:
    _check(gradient, Gradient, "gradient")
    _check(negatives_see, NegativesSee, "negatives_see")

    def apply(pairs: Pairs, draw: Draw) -> Pairs:
        lam = draw_lam(pairs.query, draw)
        return extrapolate_positives(
            pairs, lam, gradient=gradient, negatives_see=negatives_see, renormalise=renormalise
        )

    return apply


def _negatives(draw_lam: DrawLambda, *, union: bool, renormalise: bool) -> Transform:
    def apply(pairs: Pairs, draw: Draw) -> Pairs:
        lam = draw_lam(pairs.negatives, draw)
        generator = draw.features
        permutation = torch.randperm(len(pairs.negatives), generator=generator, device=generator.device)
        return mix_negatives(pairs, lam, permutation, union=union, renormalise=renormalise)

    return apply


def _lambda(alpha: float, shift: float, per: Per) -> DrawLambda:
    """How lambda is drawn for the rows it mixes: Beta(alpha, alpha) + shift, of the shape that `per` names."""
    check_alpha(alpha)
    _check(per, Per, "per")

    def draw_lam(rows: Tensor, draw: Draw) -> Tensor:
        n = len(rows) if per in ("pair", "element") else 1
        d = rows.shape[1] if per in ("dimension", "element") else 1
        return (beta(alpha, (n, d), draw.features) + shift).to(rows.dtype)

    return draw_lam


def _check(value: str, allowed: object, name: str) -> None:
    if value not in get_args(allowed):
        raise InputError(f"{name} must be one of {', '.join(get_args(allowed))}, not {value!r}")
