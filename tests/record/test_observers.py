"""Every statistic against a loop in float64 that is written from its definition.

B queries, K shared negatives, J own negatives of each, D dimensions.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pairlens.draw import Draw
from pairlens.evaluate.spectrum import uniformity
from pairlens.losses import info_nce
from pairlens.negatives import hardest
from pairlens.pairs import Comparison, Contrast, Pairs, Scores
from pairlens.record.observers import (
    BINS,
    COUNTED,
    HIGH,
    LOW,
    ROWS,
    alignment,
    contrastive_accuracy,
    effective_negatives,
    effective_rank,
    feature_std,
    histogram,
    histograms,
    moments,
    raw_scores,
    scalars,
)
from pairlens.transforms import chain, extrapolate_positives, mix_negatives

B, K, J, D = 80, 12, 3, 6  # more queries than ROWS


def units(*shape: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def pairs_of(*, excluded: bool = False, own: bool = False) -> Pairs:
    generator = torch.Generator().manual_seed(9)
    query = units(B, D, seed=0)
    return Pairs(
        query=query,
        key=F.normalize(query + 0.5 * units(B, D, seed=1), dim=1),
        negatives=units(K, D, seed=2),
        excluded=torch.rand(B, K, generator=generator) < 0.3 if excluded else None,
        own=units(B, J, D, seed=3) if own else None,
        own_excluded=torch.rand(B, J, generator=generator) < 0.3 if own and excluded else None,
    )


def compare(pairs: Pairs, draw: Draw, transformed: bool) -> Comparison:
    def transform(pairs: Pairs, draw: Draw) -> Pairs:
        order = torch.randperm(len(pairs.negatives), generator=torch.Generator().manual_seed(4))
        pairs = extrapolate_positives(pairs, torch.tensor([[1.6]]), negatives_see="raw")
        return mix_negatives(pairs, torch.tensor([[0.3]]), order)

    return Contrast(info_nce, 0.2, chain(transform) if transformed else Contrast(info_nce, 0.2).transform)(pairs, draw)


def dot(a: Tensor, b: Tensor) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


def negatives_of(pairs: Pairs, i: int) -> Iterator[float]:
    """The scores of the negatives that query i really has."""
    anchor = pairs.query if pairs.anchor is None else pairs.anchor
    for k in range(len(pairs.negatives)):
        if pairs.excluded is None or not pairs.excluded[i, k]:
            yield dot(anchor[i], pairs.negatives[k])
    if pairs.own is not None:
        for j in range(pairs.own.shape[1]):
            if pairs.own_excluded is None or not pairs.own_excluded[i, j]:
                yield dot(anchor[i], pairs.own[i, j])


def positives_of(pairs: Pairs) -> list[float]:
    return [dot(q, k) for q, k in zip(pairs.query, pairs.key, strict=True)]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def variance(values: list[float]) -> float:
    return sum((v - mean(values)) ** 2 for v in values) / len(values)


def counts_of(values: list[float]) -> list[int]:
    counts = [0] * BINS
    for value in values:
        place = math.floor((value - LOW) / (HIGH - LOW) * BINS)
        counts[min(BINS - 1, max(0, place))] += 1
    return counts


def participation_ratio(rows: Tensor) -> float:
    """By the eigenvalues of the covariance, which the code never computes."""
    values = torch.linalg.eigvalsh(torch.cov(rows.double().T))
    return float(values.sum() ** 2 / values.square().sum())


cases = pytest.mark.parametrize("transformed", [False, True], ids=["plain", "transformed"])
kinds = pytest.mark.parametrize(
    ("excluded", "own"), [(False, False), (True, False), (False, True), (True, True)], ids=["", "excl", "own", "both"]
)


@cases
@kinds
def test_scalars_equal_their_definitions(make_draw, excluded: bool, own: bool, transformed: bool) -> None:
    comparison = compare(pairs_of(excluded=excluded, own=own), make_draw(B), transformed)
    raw, after, t = comparison.raw, comparison.transformed, comparison.temperature
    expected: dict[str, float] = {}
    for prefix, pairs in (("", after), ("raw_", raw)):
        positive = positives_of(pairs)
        negative = [s for i in range(ROWS) for s in negatives_of(pairs, i)]
        expected[f"{prefix}positive_mean"], expected[f"{prefix}positive_variance"] = mean(positive), variance(positive)
        expected[f"{prefix}negative_mean"], expected[f"{prefix}negative_variance"] = mean(negative), variance(negative)
    positive = positives_of(after)
    negative = [list(negatives_of(after, i)) for i in range(B)]
    expected["positive_exp"] = mean([math.exp(s / t) for s in positive])
    expected["negative_exp"] = mean([math.exp(s / t) for row in negative[:ROWS] for s in row])
    expected["accuracy"] = mean([float(all(p > n for n in row)) for p, row in zip(positive, negative, strict=True)])
    expected["loss"] = mean(
        [
            -math.log(math.exp(p / t) / (math.exp(p / t) + sum(math.exp(n / t) for n in row)))
            for p, row in zip(positive, negative, strict=True)
        ]
    )
    both = raw.query, raw.key
    expected["alignment"] = mean(
        [sum((a - b) ** 2 for a, b in zip(q.tolist(), k.tolist(), strict=True)) for q, k in zip(*both, strict=True)]
    )
    rows = raw.query.double()
    apart = [math.exp(-2 * float((rows[i] - rows[j]).square().sum())) for i in range(B) for j in range(B) if i != j]
    expected["uniformity"] = math.log(mean(apart))
    columns = raw.query.T.tolist()
    expected["feature_std"] = mean([math.sqrt(variance(c)) for c in columns]) * math.sqrt(D)
    expected["effective_rank"] = participation_ratio(rows)
    weights = [[math.exp(s / t) for s in row] for row in negative[:COUNTED]]
    expected["effective_negatives"] = mean([sum(w) ** 2 / sum(x * x for x in w) for w in weights])
    above = [s > p for p, row in zip(positive[:COUNTED], negative, strict=False) for s in row]
    expected["negatives_above"] = mean([float(a) for a in above])
    fresh = [dot(raw.query[i], raw.key[j]) for i in range(ROWS) for j in range(B) if i != j]
    expected["batch_negative_mean"] = mean(fresh)
    found = {name: float(value) for name, value in scalars(comparison).items()}
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=2e-4, abs=2e-6)
    assert 0 < expected["accuracy"] < 1  # the case tells right from wrong


@cases
@kinds
def test_histograms_equal_their_definitions(make_draw, excluded: bool, own: bool, transformed: bool) -> None:
    comparison = compare(pairs_of(excluded=excluded, own=own), make_draw(B), transformed)
    found = {name: value.tolist() for name, value in histograms(comparison).items()}
    for prefix, pairs in (("", comparison.transformed), ("raw_", comparison.raw)):
        assert found[f"{prefix}positive"] == counts_of(positives_of(pairs))
        negative = [s for i in range(COUNTED) for s in negatives_of(pairs, i)]
        assert found[f"{prefix}negative"] == counts_of(negative)
    assert set(found) == {"positive", "negative", "raw_positive", "raw_negative"}


def test_values_outside_count_in_the_outermost_bins_and_excluded_ones_nowhere() -> None:
    values = torch.tensor([[-7.0, -1.0, 0.01, 1.0, 3.0, 0.5]])
    counts = histogram(values)
    assert (counts[0], counts[-1], counts.sum()) == (2, 2, 6)
    excluded = torch.tensor([[True, False, False, False, True, True]])
    counts = histogram(values, excluded)
    assert (counts[0], counts[-1], counts[BINS // 2], counts.sum()) == (1, 1, 1, 3)
    everywhere = histogram(torch.linspace(LOW, HIGH, 64 * 50 + 1)[:-1] + 1e-6)
    assert everywhere.tolist() == [50] * BINS


def test_raw_statistics_equal_the_plain_ones_where_nothing_is_transformed(make_draw) -> None:
    comparison = compare(pairs_of(excluded=True, own=True), make_draw(B), transformed=False)
    values, counts = scalars(comparison), histograms(comparison)
    for name in ("positive_mean", "positive_variance", "negative_mean", "negative_variance"):
        assert torch.equal(values[name], values[f"raw_{name}"])
    for name in ("positive", "negative"):
        assert torch.equal(counts[name], counts[f"raw_{name}"])
    mixed = scalars(compare(pairs_of(), make_draw(B), transformed=True))
    assert mixed["positive_mean"] < mixed["raw_positive_mean"]  # extrapolation parts positives
    assert mixed["negative_variance"] < mixed["raw_negative_variance"]  # interpolation narrows negatives


def test_statistics_keep_no_graph_of_detached_pairs_and_change_nothing(make_draw) -> None:
    pairs = pairs_of(excluded=True, own=True)
    before = {name: value.clone() for name, value in vars(pairs).items() if value is not None}
    comparison = compare(pairs, make_draw(B), transformed=True)
    scores = comparison.scores.negative.clone()
    scalars(comparison)
    histograms(comparison)
    assert all(torch.equal(getattr(pairs, name), value) for name, value in before.items())
    assert torch.equal(comparison.scores.negative, scores)


@cases
def test_raw_scores_are_all_positives_and_the_first_rows_of_negatives(make_draw, transformed: bool) -> None:
    positive, few = raw_scores(compare(pairs_of(excluded=True, own=True), make_draw(B), transformed))
    assert positive.shape == (B,)
    assert few.negative.shape == (ROWS, K + J)
    assert few.excluded is not None
    assert few.excluded.shape == (ROWS, K + J)


def test_accuracy_of_ties_and_of_excluded_better_negatives() -> None:
    positive = torch.tensor([0.5, 0.5, 0.5])
    negative = torch.tensor([[0.5, 0.1], [0.9, 0.1], [0.9, 0.4]])
    excluded = torch.tensor([[False, False], [True, False], [False, True]])
    assert contrastive_accuracy(Scores(positive, negative)) == 0  # a tie is no success
    assert contrastive_accuracy(Scores(positive, negative, excluded)) == pytest.approx(1 / 3)


def test_raw_statistics_are_of_the_pairs_before_selection(make_draw) -> None:
    pairs = pairs_of(excluded=True)
    plain = Contrast(info_nce, 0.2)(pairs, make_draw(B))
    hard = Contrast(info_nce, 0.2, select=hardest(3))(pairs, make_draw(B))
    assert hard.transformed is hard.raw
    before, after = scalars(plain), scalars(hard)
    for name in ("positive_mean", "positive_variance", "negative_mean", "negative_variance"):
        assert after[f"raw_{name}"].item() == pytest.approx(before[name].item(), rel=1e-6)
    top = [sorted(negatives_of(pairs, i))[-3:] for i in range(ROWS)]
    assert after["negative_mean"].item() == pytest.approx(mean([s for row in top for s in row]), rel=1e-5)
    assert histograms(hard)["raw_negative"].sum() == histograms(plain)["negative"].sum() > COUNTED * 3
    assert histograms(hard)["negative"].sum() == COUNTED * 3


def test_without_negatives_their_statistics_are_no_numbers(make_draw) -> None:
    z = units(4, D, seed=7)
    for pairs in (
        Pairs(z, z, z[:0]),
        Pairs(z, z, z[:0], excluded=torch.zeros(4, 0, dtype=torch.bool)),
        Pairs(z[:1], z[:1], z[:1], excluded=torch.ones(1, 1, dtype=torch.bool)),  # a batch of one image
    ):
        for transformed in (False, True):
            comparison = compare(pairs, make_draw(len(pairs.query)), transformed)
            found = {name: value.item() for name, value in scalars(comparison).items()}
            nowhere = {"accuracy", "negative_mean", "negative_variance", "negative_exp"}
            nowhere |= {"raw_negative_mean", "raw_negative_variance", "negatives_above"}
            nowhere |= {"effective_negatives"} if not len(pairs.negatives) else set()
            nowhere |= {"uniformity", "effective_rank", "batch_negative_mean"} if len(pairs.query) == 1 else set()
            assert {name for name, value in found.items() if math.isnan(value)} == nowhere
            assert found["raw_positive_mean"] == pytest.approx(1)
            counted = histograms(comparison)
            assert counted["negative"].sum() == counted["raw_negative"].sum() == 0
            assert counted["positive"].sum() == len(pairs.query)


def test_queries_without_negatives_have_no_part_in_the_accuracy() -> None:
    scores = Scores(torch.tensor([0.5, 0.5]), torch.tensor([[0.9], [0.1]]), torch.tensor([[False], [True]]))
    assert contrastive_accuracy(scores) == 0


def test_moments_of_known_numbers() -> None:
    scores = Scores(torch.tensor([1.0, 3.0]), torch.tensor([[0.0, 4.0], [8.0, 0.0]]))
    found = {name: float(value) for name, value in moments(scores.positive, scores).items()}
    assert found == {"positive_mean": 2, "positive_variance": 1, "negative_mean": 3, "negative_variance": 11}
    without = Scores(scores.positive, scores.negative, torch.tensor([[False, False], [True, False]]))
    assert moments(without.positive, without)["negative_mean"].item() == pytest.approx(4 / 3)


def test_feature_std_is_one_on_the_sphere_and_zero_when_collapsed() -> None:
    spread = units(20_000, 32, seed=5)
    assert feature_std(spread).item() == pytest.approx(1, abs=0.01)
    assert feature_std(spread[:1].expand(64, 32)).item() == pytest.approx(0, abs=1e-6)


def test_the_effective_rank_counts_the_dimensions_that_are_filled() -> None:
    flat = torch.zeros(4_000, 32)
    flat[:, :5] = torch.randn(4_000, 5, generator=torch.Generator().manual_seed(8))
    assert effective_rank(flat).item() == pytest.approx(5, rel=0.02)
    assert effective_rank(flat[:, :1]).item() == pytest.approx(1)
    assert effective_rank(torch.ones(9, 4)).item() == 0


def test_the_softmax_rests_on_one_negative_or_on_all() -> None:
    negative = torch.tensor([[0.9, 0.1, 0.0, -0.3], [0.2, 0.1, 0.5, -0.3]])
    scores = Scores(torch.ones(2), negative)
    assert effective_negatives(scores, 0.01).item() == pytest.approx(1, abs=1e-6)
    assert effective_negatives(scores, 100.0).item() == pytest.approx(4, rel=1e-3)
    assert effective_negatives(Scores(torch.ones(2), negative * math.nan), 1.0).isnan()  # a divergence is not hidden


def test_alignment_and_uniformity_at_their_ends() -> None:
    z = units(200, 16, seed=6)
    assert alignment(Pairs(z, z, z)).item() == 0
    assert alignment(Pairs(z, -z, z)).item() == pytest.approx(4)
    same = z[:1].repeat(50, 1)
    assert uniformity(same).item() == pytest.approx(0, abs=1e-5)
    opposite = torch.cat([z[:1], -z[:1]])
    assert uniformity(opposite).item() == pytest.approx(-8, rel=1e-4)
    cone = F.normalize(z + 3 * z[:1], dim=1)
    assert uniformity(z) < uniformity(cone) < 0
    assert np.isfinite(uniformity(z).item())
