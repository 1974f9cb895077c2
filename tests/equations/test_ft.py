"""FT (Zhu et al., ICCV 2021), Eq. 1 to 6: each written out with loops in float64, and what follows from it.

B queries, K shared negatives, D dimensions.
"""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pairlens.losses import info_nce
from pairlens.pairs import Pairs, score
from pairlens.transforms import Gradient, extrapolate_positives, mix_negatives

B, K, D = 4, 6, 5
LAMBDA_SHAPES = [(1, 1), (-1, 1), (1, D), (-1, D)]  # -1: the number of rows

seeds = st.integers(0, 2**31 - 1)


def unit(rows: int, dim: int = D, seed: int = 0) -> Tensor:
    features = torch.randn(rows, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return features / features.norm(dim=1, keepdim=True)


def some_pairs(seed: int = 0, excluded: Tensor | None = None) -> Pairs:
    return Pairs(unit(B, seed=3 * seed), unit(B, seed=3 * seed + 1), unit(K, seed=3 * seed + 2), excluded)


def uniform(shape: tuple[int, ...], low: float, high: float, seed: int = 0) -> Tensor:
    drawn = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return low + (high - low) * drawn


def scalar(lam: float) -> Tensor:
    return torch.full((1, 1), lam, dtype=torch.float64)


def dot(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def close(found: Tensor, expected: Tensor | list | float) -> None:
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12)


# Eq. 1 -----------------------------------------------------------------------------------------------------------


def info_nce_by_loops(
    positive: list[float], negative: list[list[float]], excluded: list[list[bool]] | None, temperature: float
) -> float:
    losses = []
    for b, s in enumerate(positive):
        others = [
            math.exp(n / temperature) for k, n in enumerate(negative[b]) if excluded is None or not excluded[b][k]
        ]
        numerator = math.exp(s / temperature)
        losses.append(-math.log(numerator / (numerator + math.fsum(others))))
    return math.fsum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
@pytest.mark.parametrize("with_exclusion", [False, True])
def test_eq_1_equals_the_loop_that_skips_excluded_negatives(temperature: float, with_exclusion: bool) -> None:
    excluded = torch.rand(B, K, generator=torch.Generator().manual_seed(5)) < 0.4 if with_exclusion else None
    pairs = some_pairs(1, excluded)
    positive = [dot(q, k) for q, k in zip(pairs.query.tolist(), pairs.key.tolist(), strict=True)]
    negative = [[dot(q, z) for z in pairs.negatives.tolist()] for q in pairs.query.tolist()]
    expected = info_nce_by_loops(positive, negative, None if excluded is None else excluded.tolist(), temperature)
    close(info_nce(score(pairs), temperature), expected)


def test_eq_1_starts_at_log_of_one_more_than_the_negatives_where_features_are_orthogonal() -> None:
    axes = torch.eye(2 * B + K, dtype=torch.float64)
    pairs = Pairs(axes[:B], axes[B : 2 * B], axes[2 * B :])
    for temperature in (0.07, 0.5):
        close(info_nce(score(pairs), temperature), math.log(K + 1))


# Eq. 2 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99, 0.999])
def test_eq_2_moves_each_target_parameter_by_one_minus_momentum(momentum: float) -> None:
    from pairlens.nets.momentum import update_momentum

    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    online, target = (torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)).double() for _ in range(2))
    torch.set_rng_state(torch_state)
    before = {name: parameter.flatten().tolist() for name, parameter in target.named_parameters()}
    online_before = {name: parameter.detach().clone() for name, parameter in online.named_parameters()}
    update_momentum(online, target, momentum)
    for name, parameter in target.named_parameters():
        old, new = before[name], online_before[name].flatten().tolist()
        expected = [momentum * k + (1 - momentum) * q for k, q in zip(old, new, strict=True)]
        close(parameter.detach().flatten(), expected)
    for name, parameter in online.named_parameters():
        assert torch.equal(parameter, online_before[name]), name


# Eq. 3 and 4 -----------------------------------------------------------------------------------------------------


def extrapolate_by_loops(query: Tensor, key: Tensor, lam: Tensor) -> tuple[list, list]:
    weights = lam.expand_as(query).tolist()
    rows = list(zip(query.tolist(), key.tolist(), weights, strict=True))
    new_query = [[w * q + (1 - w) * k for q, k, w in zip(*row, strict=True)] for row in rows]
    new_key = [[w * k + (1 - w) * q for q, k, w in zip(*row, strict=True)] for row in rows]
    return new_query, new_key


def normalise_by_loops(rows: list[list[float]]) -> list[list[float]]:
    return [[x / math.sqrt(dot(row, row)) for x in row] for row in rows]


@pytest.mark.parametrize("gradient", ["query", "one_sided", "both"])
@pytest.mark.parametrize("shape", LAMBDA_SHAPES)
@pytest.mark.parametrize(("low", "high"), [(1.0, 2.0), (0.0, 1.0)])
@pytest.mark.parametrize("renormalise", [False, True])
def test_eq_3_and_6_of_positives(
    gradient: Gradient, shape: tuple[int, int], low: float, high: float, renormalise: bool
) -> None:
    pairs = some_pairs(2)
    lam = uniform((B if shape[0] < 0 else 1, shape[1]), low, high)
    query, key = extrapolate_by_loops(pairs.query, pairs.key, lam)
    if renormalise:
        query, key = normalise_by_loops(query), normalise_by_loops(key)
    found = extrapolate_positives(pairs, lam, gradient=gradient, renormalise=renormalise)
    close(found.query, query)
    close(found.key, key)
    assert torch.equal(found.negatives, pairs.negatives)


@given(seeds, st.floats(0.0, 2.0))
def test_eq_4_score_and_squared_norms(seed: int, lam: float) -> None:
    pairs = some_pairs(seed % 1000)
    found = extrapolate_positives(pairs, scalar(lam))
    plain, transformed = score(pairs).positive, score(found).positive
    c = 2 * lam * (lam - 1) * (1 - plain)
    close(transformed, plain - c)
    close((found.query**2).sum(1), 1 + c)
    close((found.key**2).sum(1), 1 + c)
    renormalised = extrapolate_positives(pairs, scalar(lam), renormalise=True)
    close(score(renormalised).positive, (plain - c) / (1 + c))


@given(seeds, st.floats(1.0, 2.0))
def test_extrapolated_scores_stay_in_the_stated_range(seed: int, lam: float) -> None:
    pairs = some_pairs(seed % 1000)
    plain = score(pairs).positive
    found = score(extrapolate_positives(pairs, scalar(lam))).positive
    assert (found <= plain + 1e-12).all()
    assert (found >= -4 + 5 * plain - 1e-12).all()


def test_the_stated_range_is_reached_at_its_ends() -> None:
    pairs = some_pairs(3)
    plain = score(pairs).positive
    close(score(extrapolate_positives(pairs, scalar(2.0))).positive, -4 + 5 * plain)
    close(score(extrapolate_positives(pairs, scalar(1.0))).positive, plain)


@pytest.mark.parametrize("gradient", ["query", "one_sided", "both"])
def test_lambda_one_is_the_identity(gradient: Gradient) -> None:
    pairs = some_pairs(4)
    found = extrapolate_positives(pairs, torch.ones(1, 1, dtype=torch.float64), gradient=gradient)
    mixed = mix_negatives(pairs, torch.ones(1, 1, dtype=torch.float64), torch.arange(K).roll(1))
    assert torch.equal(found.query, pairs.query)
    assert torch.equal(found.key, pairs.key)
    assert torch.equal(mixed.negatives, pairs.negatives)
    assert torch.equal(score(found).negative, score(pairs).negative)


@given(seeds, st.floats(0.01, 0.99))
def test_interpolated_positives_are_more_alike(seed: int, lam: float) -> None:
    pairs = some_pairs(seed % 1000)
    found = score(extrapolate_positives(pairs, scalar(lam))).positive
    assert (found > score(pairs).positive).all()
    middle = score(extrapolate_positives(pairs, scalar(0.5))).positive
    assert (middle >= found - 1e-12).all()


@pytest.mark.parametrize("renormalise", [False, True])
def test_negatives_see_the_transformed_or_the_raw_query(renormalise: bool) -> None:
    pairs, lam = some_pairs(5), scalar(1.4)
    query, _ = extrapolate_by_loops(pairs.query, pairs.key, lam)
    query = normalise_by_loops(query) if renormalise else query
    negatives = pairs.negatives.tolist()
    transformed = score(extrapolate_positives(pairs, lam, renormalise=renormalise))
    close(transformed.negative, [[dot(q, z) for z in negatives] for q in query])
    raw = score(extrapolate_positives(pairs, lam, renormalise=renormalise, negatives_see="raw"))
    close(raw.negative, [[dot(q, z) for z in negatives] for q in pairs.query.tolist()])
    close(raw.positive, transformed.positive)


# Eq. 5 and 6 -----------------------------------------------------------------------------------------------------


def mix_by_loops(negatives: Tensor, lam: Tensor, permutation: list[int]) -> list[list[float]]:
    rows, weights = negatives.tolist(), lam.expand_as(negatives).tolist()
    return [
        [w * a + (1 - w) * b for w, a, b in zip(weights[k], rows[k], rows[partner], strict=True)]
        for k, partner in enumerate(permutation)
    ]


@pytest.mark.parametrize("shape", LAMBDA_SHAPES)
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.0, 2.0)])
@pytest.mark.parametrize("renormalise", [False, True])
def test_eq_5_and_6_of_negatives(shape: tuple[int, int], low: float, high: float, renormalise: bool) -> None:
    pairs = some_pairs(6)
    lam = uniform((K if shape[0] < 0 else 1, shape[1]), low, high, seed=1)
    permutation = [2, 1, 0, 5, 3, 4]  # with a fixed point
    expected = mix_by_loops(pairs.negatives, lam, permutation)
    if renormalise:
        expected = normalise_by_loops(expected)
    found = mix_negatives(pairs, lam, torch.tensor(permutation), renormalise=renormalise)
    close(found.negatives, expected)
    assert torch.equal(found.query, pairs.query)
    assert torch.equal(found.key, pairs.key)
    assert found.excluded is None


def test_opposite_negatives_mixed_half_and_half_renormalise_to_finite_features() -> None:
    z = unit(1)
    pairs = Pairs(unit(B, seed=1), unit(B, seed=2), torch.cat([z, -z]))
    found = mix_negatives(pairs, scalar(0.5), torch.tensor([1, 0]), renormalise=True)
    assert found.negatives.isfinite().all()


@pytest.mark.parametrize("lam", [0.1, 0.5, 0.8, 1.7])
def test_scalar_lambda_keeps_the_mean_negative_score_and_scales_its_variance(lam: float) -> None:
    """Over all permutations: each keeps the mean; on average the variance is lam^2 + (1 - lam)^2 of the plain one."""
    pairs = some_pairs(7)
    plain = score(pairs).negative
    variances = []
    for permutation in itertools.permutations(range(K)):
        mixed = mix_negatives(pairs, scalar(lam), torch.tensor(permutation))
        found = score(mixed).negative
        close(found.mean(1), plain.mean(1))
        variances.append(found.var(1, unbiased=False))
    close(torch.stack(variances).mean(0), (lam**2 + (1 - lam) ** 2) * plain.var(1, unbiased=False))


def test_union_appends_the_mixed_negatives_behind_the_originals() -> None:
    excluded = torch.rand(B, K, generator=torch.Generator().manual_seed(2)) < 0.3
    pairs, lam, permutation = some_pairs(8, excluded), scalar(0.3), torch.tensor([1, 2, 0, 5, 4, 3])
    union = mix_negatives(pairs, lam, permutation, union=True)
    assert union.negatives.shape == (2 * K, D)
    close(union.negatives[:K], pairs.negatives)
    close(union.negatives[K:], mix_by_loops(pairs.negatives, lam, permutation.tolist()))
    assert union.excluded is not None
    mixed = [[row[k] or row[p] for k, p in enumerate(permutation.tolist())] for row in excluded.tolist()]
    assert union.excluded.tolist() == [a + b for a, b in zip(excluded.tolist(), mixed, strict=True)]
    assert mix_negatives(some_pairs(8), lam, permutation, union=True).excluded is None


def test_own_negatives_are_left_alone() -> None:
    own = unit(B * 2, seed=9).reshape(B, 2, D)
    pairs = Pairs(unit(B), unit(B, seed=1), unit(K, seed=2), own=own)
    mixed = mix_negatives(pairs, scalar(0.4), torch.arange(K).roll(1), union=True)
    assert mixed.own is not None
    assert torch.equal(mixed.own, own)
