"""InfoNCE beyond its equation (see equations/): gradients, extreme scores, exclusions, bad input.

B queries, K negatives, D dimensions.
"""

import math

import pytest
import torch
from torch import Tensor

from pairlens.errors import InputError
from pairlens.losses import info_nce
from pairlens.pairs import Pairs, Scores, score

B, K, D = 3, 5, 4


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def some_scores(seed: int = 0, excluded: Tensor | None = None) -> Scores:
    return Scores(random(B, seed=seed).tanh(), random(B, K, seed=seed + 1).tanh(), excluded)


def some_exclusion() -> Tensor:
    return torch.tensor([[True, False, False, True, False], [False] * 5, [False, False, True, True, True]])


@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize("with_exclusion", [False, True])
def test_the_gradient_of_the_scores_equals_finite_differences(temperature: float, with_exclusion: bool) -> None:
    excluded = some_exclusion() if with_exclusion else None
    scores = some_scores(1, excluded)
    packed = torch.cat([scores.positive[:, None], scores.negative], 1)

    def loss(values: Tensor) -> Tensor:
        return info_nce(Scores(values[:, 0], values[:, 1:], excluded), temperature)

    live = packed.clone().requires_grad_()
    loss(live).backward()
    expected, h = torch.zeros_like(packed), 1e-6
    for b in range(B):
        for j in range(1 + K):
            step = torch.zeros_like(packed)
            step[b, j] = h
            expected[b, j] = (loss(packed + step) - loss(packed - step)) / (2 * h)
    assert live.grad is not None
    torch.testing.assert_close(live.grad, expected, rtol=1e-6, atol=1e-8)
    if excluded is not None:
        assert (live.grad[:, 1:][excluded] == 0).all()
    torch.testing.assert_close(live.grad.sum(1), torch.zeros(B, dtype=torch.float64), rtol=0, atol=1e-12)


def test_the_gradient_of_the_features_equals_finite_differences() -> None:
    inputs = [random(B, D, seed=1), random(B, D, seed=2), random(K, D, seed=3), random(B, 2, D, seed=4)]

    def loss(query: Tensor, key: Tensor, negatives: Tensor, own: Tensor) -> Tensor:
        return info_nce(score(Pairs(query, key, negatives, some_exclusion(), own)), 0.5)

    assert torch.autograd.gradcheck(loss, [tensor.requires_grad_() for tensor in inputs])


@pytest.mark.parametrize(("positive", "negative"), [(1.0, -1.0), (-1.0, 1.0), (-9.0, 2.0), (1.0, 1.0)])
def test_a_very_small_temperature_is_stable(positive: float, negative: float) -> None:
    temperature = 0.01
    live = [torch.full((B,), positive, requires_grad=True), torch.full((B, K), negative, requires_grad=True)]
    loss = info_nce(Scores(live[0], live[1]), temperature)
    gap = (negative - positive) / temperature + math.log(K)
    expected = gap + math.log1p(math.exp(-gap)) if gap > 0 else math.log1p(math.exp(gap))
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    loss.backward()
    for leaf in live:
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


def test_a_query_without_any_negative_left_costs_nothing() -> None:
    live = [random(B, seed=1).requires_grad_(), random(B, K, seed=2).requires_grad_()]
    loss = info_nce(Scores(live[0], live[1], torch.ones(B, K, dtype=torch.bool)), 0.01)
    loss.backward()
    assert loss.item() == 0
    for leaf in live:
        assert leaf.grad is not None
        assert (leaf.grad == 0).all()


def test_excluded_scores_do_not_matter_however_large() -> None:
    excluded = some_exclusion()
    scores = some_scores(3, excluded)
    for value in (1e30, -1e30, math.inf):
        changed = Scores(scores.positive, scores.negative.masked_fill(excluded, value), excluded)
        assert torch.equal(info_nce(changed, 0.2), info_nce(scores, 0.2))


def test_the_order_of_negatives_does_not_matter_and_queries_count_alike() -> None:
    scores = some_scores(4, some_exclusion())
    assert scores.excluded is not None
    order = torch.tensor([4, 2, 0, 1, 3])
    shuffled = Scores(scores.positive, scores.negative[:, order], scores.excluded[:, order])
    torch.testing.assert_close(info_nce(shuffled, 0.3), info_nce(scores, 0.3))
    alone = [info_nce(Scores(scores.positive[[b]], scores.negative[[b]], scores.excluded[[b]]), 0.3) for b in range(B)]
    torch.testing.assert_close(torch.stack(alone).mean(), info_nce(scores, 0.3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_is_one_number_of_the_scores_dtype(dtype: torch.dtype) -> None:
    scores = Scores(torch.zeros(B, dtype=dtype), torch.zeros(B, K, dtype=dtype))
    loss = info_nce(scores, 0.2)
    assert loss.shape == ()
    assert loss.dtype == dtype


@pytest.mark.parametrize("temperature", [0.0, -0.1])
def test_the_temperature_must_be_positive(temperature: float) -> None:
    with pytest.raises(InputError, match="temperature"):
        info_nce(some_scores(), temperature)
