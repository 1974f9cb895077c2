"""Which negatives a query's loss sees: every selection against loops, and the sampler's ranks against its density.

B queries, M negatives of each, S selected ones.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.losses import info_nce
from pairlens.negatives import hardest, rank_distribution, semi_hard, skewed, uniform
from pairlens.pairs import Contrast, Pairs, Scores, Select
from pairlens.transforms import mix_negatives

MakeDraw = Callable[..., Draw]
KINDS: dict[str, Callable[..., Select]] = {
    "hardest": hardest,
    "semi_hard": semi_hard,
    "uniform": uniform,
    "skewed": skewed,
}
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=list(KINDS))


def scores_of(rows: int, columns: int, *, excluded: bool = False, seed: int = 0) -> Scores:
    """Scores that can be told apart: no two negatives of a query score alike."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.stack([torch.randperm(columns, generator=generator) for _ in range(rows)])
    negative = (places.double() + torch.rand(rows, columns, generator=generator) * 0.5) / columns * 1.8 - 0.9
    positive = torch.rand(rows, generator=generator, dtype=torch.float64) - 0.2
    out = torch.rand(rows, columns, generator=generator) < 0.4 if excluded else None
    return Scores(positive, negative, out)


def chosen(select: Select, scores: Scores, draw: Draw, mined: Scores | None = None) -> list[list[int]]:
    """The columns that each query keeps, in the selection's order, known by their scores."""
    found = select(scores, mined or scores, draw)
    assert torch.equal(found.positive, scores.positive)
    columns = []
    for i, row in enumerate(found.negative.tolist()):
        place = {value: k for k, value in enumerate(scores.negative[i].tolist())}
        kept = [True] * len(row) if found.excluded is None else (~found.excluded[i]).tolist()
        columns.append([place[value] for value, keep in zip(row, kept, strict=True) if keep])
    return columns


def by_hardness(scores: Scores, i: int) -> list[int]:
    """The columns that are negatives of query i, the most alike first."""
    row = scores.negative[i].tolist()
    there = [k for k in range(len(row)) if scores.excluded is None or not scores.excluded[i, k]]
    return sorted(there, key=lambda k: -row[k])


@given(st.integers(1, 5), st.integers(1, 12), st.data())
def test_the_hardest_are_the_most_alike(rows: int, columns: int, data: st.DataObject) -> None:
    scores = scores_of(rows, columns, excluded=data.draw(st.booleans()), seed=data.draw(st.integers(0, 99)))
    count = data.draw(st.none() | st.integers(1, columns))
    found = chosen(hardest(count), scores, draw_of(rows))
    for i in range(rows):
        there = by_hardness(scores, i)
        assert found[i] == there[: count or max(1, len(there) // 2)]


@given(st.integers(1, 5), st.integers(1, 12), st.data())
def test_the_semi_hard_are_the_most_alike_below_the_positive(rows: int, columns: int, data: st.DataObject) -> None:
    scores = scores_of(rows, columns, excluded=data.draw(st.booleans()), seed=data.draw(st.integers(0, 99)))
    count = data.draw(st.none() | st.integers(1, columns))
    found = chosen(semi_hard(count), scores, draw_of(rows))
    for i in range(rows):
        there = by_hardness(scores, i)
        below = [k for k in there if scores.negative[i, k] < scores.positive[i]]
        assert found[i] == (below or there[-1:])[: count or max(1, len(there) // 2)]


def test_semi_hard_is_told_by_order_also_outside_the_unit_sphere(make_draw: MakeDraw) -> None:
    scores = Scores(torch.tensor([-8.0]), torch.tensor([[9.0, -9.0, -7.5, 3.0]]))
    assert chosen(semi_hard(4), scores, make_draw(1)) == [[1]]
    assert chosen(semi_hard(1), replace(scores, positive=torch.tensor([-9.5])), make_draw(1)) == [[1]]


@given(st.integers(1, 12), st.data())
def test_uniform_ones_differ_from_each_other_and_none_is_excluded(columns: int, data: st.DataObject) -> None:
    scores = scores_of(4, columns, excluded=data.draw(st.booleans()), seed=data.draw(st.integers(0, 99)))
    count = data.draw(st.none() | st.integers(1, columns))
    found = chosen(uniform(count), scores, draw_of(4))
    for i, columns_of in enumerate(found):
        there = by_hardness(scores, i)
        assert len(columns_of) == len(set(columns_of)) == min(count or max(1, len(there) // 2), len(there))
        assert set(columns_of) <= set(there)


def test_uniform_takes_every_negative_as_often(make_draw: MakeDraw) -> None:
    rows, columns = 4000, 20
    found = chosen(uniform(5), scores_of(rows, columns), make_draw(rows))
    counts = torch.bincount(torch.tensor(found).flatten(), minlength=columns)
    assert stats.chisquare(counts).pvalue > 1e-3
    first = torch.tensor(found)[:, 0]
    assert stats.chisquare(torch.bincount(first, minlength=columns)).pvalue > 1e-3


SHAPES = [(4.0, 0.0, 1 / 3), (0.0, 0.5, 0.2), (-3.0, 0.8, 0.4), (10.0, 0.1, 1.0)]


@pytest.mark.parametrize(("shape", "loc", "scale"), SHAPES)
def test_the_rank_distribution_is_a_truncated_skew_normal(shape: float, loc: float, scale: float) -> None:
    count = 500
    found = rank_distribution(count, shape, loc, scale)
    heights = []
    for rank in range(count):
        x = ((rank + 0.5) / count - loc) / scale
        bell, side = math.exp(-x * x / 2) / math.sqrt(2 * math.pi), 0.5 * math.erfc(-shape * x / math.sqrt(2))
        heights.append(2 / scale * bell * side)
    expected = torch.tensor(heights, dtype=torch.float64) / sum(heights)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-13)
    edges = stats.skewnorm(shape, loc, scale).cdf(torch.arange(count + 1).double() / count)
    shares = torch.from_numpy(edges).diff() / (edges[-1] - edges[0])
    assert (found.cumsum(0) - shares.cumsum(0)).abs().max() < 1e-4


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("shape", "loc", "scale"), SHAPES)
def test_drawn_ranks_fit_their_density(make_draw: MakeDraw, shape: float, loc: float, scale: float, seed: int) -> None:
    rows, columns = 1500, 64
    scores = scores_of(rows, columns)
    found = chosen(skewed(shape=shape, loc=loc, scale=scale), scores, make_draw(rows, seed=seed))
    counts = [0] * columns
    for i, row in enumerate(found):
        assert len(row) == columns  # their number is what it was
        rank = {k: place for place, k in enumerate(by_hardness(scores, i))}
        for k in row:
            counts[rank[k]] += 1
    edges = stats.skewnorm(shape, loc, scale).cdf(torch.arange(columns + 1).double() / columns)
    for expected in (rank_distribution(columns, shape, loc, scale).numpy(), (edges[1:] - edges[:-1])):
        share = expected / expected.sum()
        frequent = share * sum(counts) > 5  # what the chi-square test needs of every bin
        seen = [c for c, keep in zip(counts, frequent, strict=True) if keep] + [sum(counts)]
        seen[-1] -= sum(seen[:-1])
        wanted = [*(share[frequent] * sum(counts)), share[~frequent].sum() * sum(counts)]
        if wanted[-1] < 5:
            seen, wanted = seen[:-1], [w * sum(seen[:-1]) / sum(wanted[:-1]) for w in wanted[:-1]]
        assert stats.chisquare(seen, wanted).pvalue > 1e-3


def test_hard_ones_are_over_sampled_and_some_easy_ones_stay(make_draw: MakeDraw) -> None:
    rows, columns = 200, 64
    scores = scores_of(rows, columns)
    found = chosen(skewed(), scores, make_draw(rows))
    ranks = torch.tensor([[by_hardness(scores, i).index(k) for k in row] for i, row in enumerate(found)])
    assert 0.6 < (ranks < columns // 3).double().mean() < 0.75  # a normal's 68 per cent within one scale
    assert 0.005 < (ranks >= columns * 3 // 4).double().mean() < 0.1
    assert any(len(set(row)) < len(row) for row in found)


@pytest.mark.parametrize("count", [None, 70, 500])
def test_skewed_ranks_are_a_share_of_the_negatives_that_a_query_has(make_draw: MakeDraw, count: int | None) -> None:
    rows, columns = 60, 400
    scores = scores_of(rows, columns, excluded=True)
    found = chosen(skewed(count), scores, make_draw(rows))
    shares = []
    for i, row in enumerate(found):
        there = by_hardness(scores, i)
        assert len(row) == (count or len(there))
        assert set(row) <= set(there)
        shares += [(there.index(k) + 0.5) / len(there) for k in row]
    law = stats.skewnorm(4.0, 0.0, 1 / 3)
    cut = lambda x: (law.cdf(x) - law.cdf(0)) / (law.cdf(1) - law.cdf(0))  # noqa: E731
    assert stats.kstest(shares, cut).statistic < 0.02


@kinds
def test_each_query_is_selected_for_by_itself(make_draw: MakeDraw, make: Callable[..., Select]) -> None:
    scores = scores_of(6, 30)
    other = replace(scores, negative=scores.negative.clone())
    other.negative[3] = other.negative[3].flip(0)
    one, two = (make(9)(given, given, make_draw(6)) for given in (scores, other))
    rows = torch.arange(6) != 3
    assert torch.equal(one.negative[rows], two.negative[rows])
    assert len({tuple(sorted(row)) for row in chosen(make(9), scores, make_draw(6))}) > 1


@kinds
def test_gradients_are_those_of_the_loss_of_what_was_taken(make_draw: MakeDraw, make: Callable[..., Select]) -> None:
    rows, columns, temperature = 5, 24, 0.2
    scores = scores_of(rows, columns, excluded=True)
    taken = chosen(make(10), scores, make_draw(rows))
    positive, negative = scores.positive.clone().requires_grad_(), scores.negative.clone().requires_grad_()
    live = Scores(positive, negative, scores.excluded)
    loss = info_nce(make(10)(live, live, make_draw(rows)), temperature)
    found = torch.autograd.grad(loss, (positive, negative))
    expected, total = torch.zeros(rows, columns, dtype=torch.float64), 0.0
    for i in range(rows):
        up = math.exp(scores.positive[i] / temperature)
        below = up + sum(math.exp(scores.negative[i, k] / temperature) for k in taken[i])
        total -= math.log(up / below) / rows
        assert found[0][i].item() == pytest.approx((up / below - 1) / temperature / rows)
        for k in taken[i]:  # one that was drawn twice counts twice
            expected[i, k] += math.exp(scores.negative[i, k] / temperature) / below / temperature / rows
    assert loss.item() == pytest.approx(total)
    torch.testing.assert_close(found[1], expected)
    assert (found[1][expected == 0] == 0).all()
    assert (expected == 0).any()


@kinds
def test_nothing_but_the_features_generator_is_drawn_from(make_draw: MakeDraw, make: Callable[..., Select]) -> None:
    draw, scores = make_draw(4), scores_of(4, 12)
    before = draw.features.get_state(), draw.views.get_state(), torch.get_rng_state()
    make(3)(scores, scores, draw)
    assert torch.equal(draw.features.get_state(), before[0]) == (make in (hardest, semi_hard))
    assert torch.equal(draw.views.get_state(), before[1])
    assert torch.equal(torch.get_rng_state(), before[2])


@kinds
def test_ranking_by_other_scores_moves_the_choice_and_not_the_values(
    make_draw: MakeDraw, make: Callable[..., Select]
) -> None:
    scores, mined = scores_of(8, 16), scores_of(8, 16, seed=1)
    found = chosen(make(4), scores, make_draw(8), mined)
    assert found == chosen(make(4), mined, make_draw(8))
    assert (found == chosen(make(4), scores, make_draw(8))) == (make is uniform)


@pytest.mark.parametrize("mine_on", ["raw", "transformed"])
def test_a_contrast_mines_on_the_scores_that_it_is_told_to(make_draw: MakeDraw, mine_on: str) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, negatives = (
        torch.nn.functional.normalize(torch.randn(n, 6, generator=generator), dim=1) for n in (5, 5, 12)
    )
    pairs = Pairs(query, key, negatives, torch.zeros(5, 12, dtype=torch.bool))
    flip = lambda pairs, draw: replace(pairs, negatives=-pairs.negatives)  # noqa: E731 - raw hard ones become easy
    found = Contrast(info_nce, 0.2, flip, hardest(4), mine_on)(pairs, make_draw(5))
    raw = query @ negatives.T
    expected = -(raw.topk(4, 1).values if mine_on == "raw" else raw.topk(4, 1, largest=False).values)
    torch.testing.assert_close(found.scores.negative, expected)
    assert found.selected
    assert found.is_transformed
    assert not Contrast(info_nce, 0.2)(pairs, make_draw(5)).selected
    torch.testing.assert_close(found.loss, info_nce(found.scores, 0.2))


def test_mining_on_raw_scores_leaves_gradients_to_the_transformed_ones(make_draw: MakeDraw) -> None:
    query = torch.eye(3, 6).requires_grad_()
    pairs = Pairs(query, torch.eye(3, 6), torch.eye(6))
    half = lambda pairs, draw: replace(pairs, negatives=pairs.negatives * 0.5)  # noqa: E731
    found = Contrast(lambda scores, t: scores.negative.sum(), 1.0, half, hardest(1), "raw")(pairs, make_draw(3))
    (gradient,) = torch.autograd.grad(found.loss, query)
    torch.testing.assert_close(gradient, 0.5 * torch.eye(3, 6))


def test_a_union_queue_cannot_be_ranked_by_raw_scores(make_draw: MakeDraw) -> None:
    pairs = Pairs(torch.eye(4), torch.eye(4), torch.eye(4))
    union = lambda pairs, draw: mix_negatives(pairs, torch.tensor([[0.5]]), torch.arange(4), union=True)  # noqa: E731
    with pytest.raises(InputError, match="8 negatives cannot be ranked by 4 raw scores; mine on") as caught:
        Contrast(info_nce, 0.2, union, skewed(), "raw")(pairs, make_draw(4))
    assert "\n" not in str(caught.value)
    assert Contrast(info_nce, 0.2, union, skewed())(pairs, make_draw(4)).scores.negative.shape == (4, 8)


@pytest.mark.parametrize("make", [hardest, semi_hard, uniform])
def test_more_than_there_are_cannot_be_selected(make_draw: MakeDraw, make: Callable[..., Select]) -> None:
    scores = scores_of(3, 8)
    assert make(8)(scores, scores, make_draw(3)).negative.shape == (3, 8)
    with pytest.raises(InputError, match="9 negatives cannot be selected of 8; ask for fewer, or queue more"):
        make(9)(scores, scores, make_draw(3))


@kinds
@pytest.mark.parametrize("count", [0, -1])
def test_a_count_must_be_positive(make: Callable[..., Select], count: int) -> None:
    with pytest.raises(InputError, match=f"must be positive, not {count}"):
        make(count)


@pytest.mark.parametrize("arguments", [{"scale": 0.0}, {"scale": math.inf}, {"shape": math.nan}, {"loc": math.inf}])
def test_a_skew_normal_that_is_none_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(InputError, match="scale must be positive"):
        skewed(**arguments)


def test_a_query_without_negatives_stays_finite(make_draw: MakeDraw) -> None:
    scores = Scores(torch.zeros(2), torch.rand(2, 6).requires_grad_(), torch.tensor([[True] * 6, [False] * 6]))
    for make in KINDS.values():
        loss = info_nce(make()(scores, scores, make_draw(2)), 0.2)
        (gradient,) = torch.autograd.grad(loss, scores.negative)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()
        assert (gradient[0] == 0).all()


def draw_of(rows: int) -> Draw:
    index = torch.arange(rows)
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    return Draw(index, torch.full((rows, 2), 32), 0, 0, *generators)
