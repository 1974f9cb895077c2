"""Losses beyond their equations (see equations/): gradients, extreme scores, exclusions, bad input.

B queries, K negatives, D dimensions.
"""

import math

import pytest
import torch
from torch import Tensor

from pairlens.errors import InputError
from pairlens.losses import byol_regression, estimate_log_z, info_nce, nce, negative_cosine
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


IMAGES = 40
LOG_Z = torch.tensor(4.2, dtype=torch.float64)


def naive_nce(scores: Scores, temperature: float, images: int, z: float) -> float:
    """InstDisc's Eq. 4, 6 and 7, one query and one negative after the other."""
    total = 0.0
    for b in range(len(scores.positive)):
        kept = [float(scores.negative[b, j]) for j in range(K) if scores.excluded is None or not scores.excluded[b, j]]
        noise = len(kept) / images

        def is_data(s: float, noise: float = noise) -> float:
            p = math.exp(s / temperature) / z
            return p / (p + noise)

        total -= math.log(is_data(float(scores.positive[b])))
        total -= sum(math.log(1 - is_data(s)) for s in kept)
    return total / len(scores.positive)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize("with_exclusion", [False, True])
def test_nce_equals_its_loops(temperature: float, with_exclusion: bool) -> None:
    scores = some_scores(1, some_exclusion() if with_exclusion else None)
    log_z = estimate_log_z(scores, temperature, IMAGES)
    expected = naive_nce(scores, temperature, IMAGES, math.exp(log_z.item()))
    assert nce(scores, temperature, IMAGES, log_z).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("with_exclusion", [False, True])
def test_the_constant_is_the_mean_over_the_queries_of_what_each_estimates(with_exclusion: bool) -> None:
    scores = some_scores(2, some_exclusion() if with_exclusion else None)
    each = []
    for b in range(B):
        kept = [float(scores.negative[b, j]) for j in range(K) if scores.excluded is None or not scores.excluded[b, j]]
        each.append(IMAGES / len(kept) * sum(math.exp(s / 0.07) for s in kept))
    live = Scores(scores.positive, scores.negative.requires_grad_(), scores.excluded)
    log_z = estimate_log_z(live, 0.07, IMAGES)
    assert log_z.item() == pytest.approx(math.log(sum(each) / B), rel=1e-12)
    assert not log_z.requires_grad


def test_the_whole_bank_estimates_its_constant_exactly() -> None:
    scores = some_scores(3)
    exact = (scores.negative / 0.2).exp().sum(1).mean().log()
    torch.testing.assert_close(estimate_log_z(scores, 0.2, K), exact)


def test_gradients_of_nce_equal_finite_differences_and_spare_what_is_excluded() -> None:
    scores, excluded = some_scores(4), some_exclusion()
    leaves = [scores.positive.requires_grad_(), scores.negative.requires_grad_()]

    def loss(positive: Tensor, negative: Tensor) -> Tensor:
        return nce(Scores(positive, negative, excluded), 0.3, IMAGES, LOG_Z)

    assert torch.autograd.gradcheck(loss, leaves)
    loss(*leaves).backward()
    assert scores.negative.grad is not None
    assert (scores.negative.grad[excluded] == 0).all()
    assert (scores.negative.grad[~excluded] > 0).all()


def test_scores_that_nce_excludes_do_not_matter_however_large() -> None:
    excluded = some_exclusion()
    scores = some_scores(3, excluded)
    for value in (1e30, -1e30, math.inf):
        changed = Scores(scores.positive, scores.negative.masked_fill(excluded, value), excluded)
        assert torch.equal(nce(changed, 0.2, IMAGES, LOG_Z), nce(scores, 0.2, IMAGES, LOG_Z))
        assert torch.equal(estimate_log_z(changed, 0.2, IMAGES), estimate_log_z(scores, 0.2, IMAGES))


def test_nce_is_finite_at_a_very_small_temperature_and_without_negatives() -> None:
    live = [torch.tensor([1.0, -1.0, 0.5], requires_grad=True), torch.tensor([[1.0], [-1.0], [0.9]]).requires_grad_()]
    excluded = torch.tensor([[False], [False], [True]])
    log_z = estimate_log_z(Scores(*live, excluded), 0.005, 10)
    loss = nce(Scores(*live, excluded), 0.005, 10, log_z)
    loss.backward()
    assert loss.isfinite()
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in live)
    assert nce(Scores(live[0][2:], live[1][2:], excluded[2:]), 0.005, 10, log_z) == 0


def test_losses_without_negatives_are_the_papers_sums_over_both_directions() -> None:
    p = [torch.nn.functional.normalize(random(B, D, seed=i), dim=1) for i in (1, 2)]
    z = [torch.nn.functional.normalize(random(B, D, seed=i), dim=1) for i in (3, 4)]
    both = score(Pairs(torch.cat(p), torch.cat([z[1], z[0]]), torch.cat(z)))
    cosine, distance = 0.0, 0.0
    for i in range(B):
        cosine -= float(p[0][i] @ z[1][i]) / 2 / B + float(p[1][i] @ z[0][i]) / 2 / B
        distance += float((p[0][i] - z[1][i]).square().sum()) / B + float((p[1][i] - z[0][i]).square().sum()) / B
    assert negative_cosine(both, 1.0).item() == pytest.approx(cosine, rel=1e-12)
    assert byol_regression(both, 1.0).item() == pytest.approx(distance, rel=1e-12)


@pytest.mark.parametrize("loss", [negative_cosine, byol_regression])
def test_losses_without_negatives_see_neither_those_nor_the_temperature(loss) -> None:
    scores = some_scores(5)
    other = Scores(scores.positive, scores.negative + 1, some_exclusion())
    assert torch.equal(loss(scores, 1.0), loss(other, 0.1))
    live = scores.negative.requires_grad_()
    assert not loss(Scores(scores.positive, live), 1.0).requires_grad


@pytest.mark.parametrize("temperature", [0.0, -0.1])
def test_the_temperature_of_nce_must_be_positive(temperature: float) -> None:
    with pytest.raises(InputError, match="temperature"):
        nce(some_scores(), temperature, IMAGES, LOG_Z)
    with pytest.raises(InputError, match="temperature"):
        estimate_log_z(some_scores(), temperature, IMAGES)
