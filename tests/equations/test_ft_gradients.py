"""FT, what Eq. 3 and 4 make of the gradient: autograd against the closed form and against finite differences.

With S^ = lam (1 - lam) (|q|^2 + |k|^2) + (lam^2 + (1 - lam)^2) q.k the gradient with respect to a query that is live in
both transformed features is (1 + 2 lam (lam - 1)) k along the sphere; live in q^ only, it is lam^2 k.

B queries, K shared negatives, D dimensions.
"""

import math

import pytest
import torch
from torch import Tensor

from pairlens.pairs import Pairs, score
from pairlens.transforms import Gradient, NegativesSee, extrapolate_positives, mix_negatives

B, K, D = 3, 4, 5
MODES = ["query", "one_sided", "both"]


def unit(rows: int, seed: int) -> Tensor:
    features = torch.randn(rows, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return features / features.norm(dim=1, keepdim=True)


def live_pairs(seed: int = 0) -> Pairs:
    return Pairs(unit(B, seed).requires_grad_(), unit(B, seed + 1).requires_grad_(), unit(K, seed + 2).requires_grad_())


def lam_of(value: float) -> Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


def gradient_of(total: Tensor, leaf: Tensor) -> Tensor:
    """The gradient, zero where none arrives."""
    if not total.requires_grad:
        return torch.zeros_like(leaf)
    found = torch.autograd.grad(total, leaf, retain_graph=True, allow_unused=True)[0]
    return torch.zeros_like(leaf) if found is None else found


def along_the_sphere(gradient: Tensor, at: Tensor) -> Tensor:
    return gradient - (gradient * at).sum(1, keepdim=True) * at


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def factor(mode: Gradient, lam: float) -> float:
    return lam**2 if mode == "one_sided" else 1 + 2 * lam * (lam - 1)


@pytest.mark.parametrize("lam", [0.3, 1.0, 1.5, 1.9])
@pytest.mark.parametrize("mode", MODES)
def test_the_query_gradient_is_the_plain_one_times_the_factor(mode: Gradient, lam: float) -> None:
    pairs = live_pairs()
    plain = along_the_sphere(gradient_of(score(pairs).positive.sum(), pairs.query), pairs.query.detach())
    transformed = score(extrapolate_positives(pairs, lam_of(lam), gradient=mode)).positive.sum()
    full = gradient_of(transformed, pairs.query)
    close(along_the_sphere(full, pairs.query.detach()), factor(mode, lam) * plain)
    radial = lam * (1 - lam) * (1 if mode == "one_sided" else 2)  # of the query itself, removed by normalisation
    close(full, factor(mode, lam) * pairs.key.detach() + radial * pairs.query.detach())


def test_the_factors_at_one_and_a_half() -> None:
    assert factor("query", 1.5) == 2.5
    assert factor("one_sided", 1.5) == 2.25


@pytest.mark.parametrize("mode", MODES)
def test_only_both_lets_the_key_learn(mode: Gradient) -> None:
    pairs = live_pairs(1)
    total = score(extrapolate_positives(pairs, lam_of(1.5), gradient=mode)).positive.sum()
    expected = torch.zeros(B, D, dtype=torch.float64)
    if mode == "both":
        expected = 2.5 * pairs.query.detach() + 2 * 1.5 * (1 - 1.5) * pairs.key.detach()
    close(gradient_of(total, pairs.key), expected)


@pytest.mark.parametrize("mode", MODES)
def test_the_gradient_mode_leaves_the_values_alone(mode: Gradient) -> None:
    pairs = live_pairs(2)
    plain = score(extrapolate_positives(pairs, lam_of(1.3)))
    found = score(extrapolate_positives(pairs, lam_of(1.3), gradient=mode))
    close(found.positive, plain.positive)
    close(found.negative, plain.negative)


def score_by_loops(live: list[float], frozen: list[float], key: list[float], lam: list[float], cosine: bool) -> float:
    query = [w * q + (1 - w) * k for w, q, k in zip(lam, live, key, strict=True)]
    other = [w * k + (1 - w) * q for w, q, k in zip(lam, frozen, key, strict=True)]
    inner = math.fsum(a * b for a, b in zip(query, other, strict=True))
    if not cosine:
        return inner
    return inner / math.sqrt(math.fsum(a * a for a in query)) / math.sqrt(math.fsum(a * a for a in other))


@pytest.mark.parametrize("renormalise", [False, True])
@pytest.mark.parametrize("per_dimension", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_the_query_gradient_equals_finite_differences(mode: Gradient, per_dimension: bool, renormalise: bool) -> None:
    pairs, h = live_pairs(3), 1e-6
    lam = 1 + torch.rand(1, D if per_dimension else 1, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    transformed = extrapolate_positives(pairs, lam, gradient=mode, renormalise=renormalise)
    found = gradient_of(score(transformed).positive.sum(), pairs.query)
    weights, expected = lam.expand(1, D)[0].tolist(), torch.zeros(B, D, dtype=torch.float64)
    for b, (query, key) in enumerate(zip(pairs.query.tolist(), pairs.key.tolist(), strict=True)):
        for d in range(D):
            up, down = list(query), list(query)
            up[d], down[d] = up[d] + h, down[d] - h
            frozen_up, frozen_down = (query, query) if mode == "one_sided" else (up, down)
            difference = score_by_loops(up, frozen_up, key, weights, renormalise)
            difference -= score_by_loops(down, frozen_down, key, weights, renormalise)
            expected[b, d] = difference / (2 * h)
    close(found, expected, 1e-7)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("negatives_see", ["transformed", "raw"])
def test_the_gradient_of_negative_scores(mode: Gradient, negatives_see: NegativesSee) -> None:
    pairs, lam = live_pairs(5), 1.4
    transformed = extrapolate_positives(pairs, lam_of(lam), gradient=mode, negatives_see=negatives_see)
    total = score(transformed).negative.sum()
    pull = pairs.negatives.detach().sum(0).expand(B, D)
    raw = negatives_see == "raw"
    close(gradient_of(total, pairs.query), pull if raw else lam * pull)
    key = torch.zeros(B, D, dtype=torch.float64)
    if mode == "both" and not raw:
        key = (1 - lam) * pull
    close(gradient_of(total, pairs.key), key)
    seen = pairs.query.detach() if raw else lam * pairs.query.detach() + (1 - lam) * pairs.key.detach()
    close(gradient_of(total, pairs.negatives), seen.sum(0).expand(K, D))


def test_mixed_negatives_pass_their_gradient_to_both_originals() -> None:
    pairs, lam, permutation = live_pairs(6), 0.3, [2, 0, 1, 3]
    mixed = mix_negatives(pairs, lam_of(lam), torch.tensor(permutation))
    weights = torch.arange(1.0, K + 1, dtype=torch.float64)  # a different weight for each mixed negative
    total = (score(mixed).negative * weights).sum()
    query = pairs.query.detach().sum(0)
    expected = torch.zeros(K, D, dtype=torch.float64)
    for k, partner in enumerate(permutation):
        expected[k] += lam * weights[k] * query
        expected[partner] += (1 - lam) * weights[k] * query
    close(gradient_of(total, pairs.negatives), expected)
