"""Scores of pairs, and a contrast: transform, score, select, loss, in this order.

B queries, K shared negatives, J own negatives, D dimensions.
"""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.losses import info_nce
from pairlens.pairs import Comparison, Contrast, Pairs, Scores, Step, identity, score

MakeDraw = Callable[..., Draw]
B, K, J, D = 3, 5, 2, 4


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def some_pairs(dtype: torch.dtype = torch.float64) -> Pairs:
    return Pairs(
        random(B, D, seed=1, dtype=dtype),
        random(B, D, seed=2, dtype=dtype),
        random(K, D, seed=3, dtype=dtype),
        random(B, K, seed=4) > 0.3,
        random(B, J, D, seed=5, dtype=dtype),
        random(B, D, seed=6, dtype=dtype),
    )


def inner(a: Tensor, b: Tensor) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


@pytest.mark.parametrize("anchored", [False, True])
def test_scores_equal_the_loops(anchored: bool) -> None:
    pairs = some_pairs() if anchored else dataclasses.replace(some_pairs(), anchor=None)
    anchor = pairs.query if pairs.anchor is None else pairs.anchor
    assert pairs.own is not None
    own = pairs.own
    found = score(pairs)
    positive = [inner(pairs.query[b], pairs.key[b]) for b in range(B)]
    negative = [
        [inner(anchor[b], pairs.negatives[k]) for k in range(K)] + [inner(anchor[b], own[b, j]) for j in range(J)]
        for b in range(B)
    ]
    torch.testing.assert_close(found.positive, torch.tensor(positive, dtype=torch.float64))
    torch.testing.assert_close(found.negative, torch.tensor(negative, dtype=torch.float64))


def test_exclusion_reaches_the_shared_negatives_only() -> None:
    pairs = some_pairs()
    found = score(pairs)
    assert found.excluded is not None
    assert pairs.excluded is not None
    assert torch.equal(found.excluded[:, :K], pairs.excluded)
    assert found.excluded.shape == (B, K + J)
    assert not found.excluded[:, K:].any()
    assert score(dataclasses.replace(pairs, excluded=None)).excluded is None
    shared = score(dataclasses.replace(pairs, own=None)).excluded
    assert shared is not None
    assert torch.equal(shared, pairs.excluded)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_keep_the_dtype(dtype: torch.dtype) -> None:
    found = score(some_pairs(dtype))
    assert found.positive.dtype == dtype
    assert found.negative.dtype == dtype


def test_scores_stay_in_float32_under_autocast() -> None:
    pairs = some_pairs(torch.float32)
    plain = score(pairs)
    with torch.autocast("cpu", torch.bfloat16):
        found = score(pairs)
    assert found.negative.dtype == torch.float32
    assert torch.equal(found.negative, plain.negative)
    assert torch.equal(found.positive, plain.positive)


def test_a_contrast_without_transform_compares_the_pairs_as_they_are(make_draw: MakeDraw) -> None:
    pairs, draw = some_pairs(), make_draw()
    state = draw.features.get_state()
    found = Contrast(info_nce, temperature=0.3)(pairs, draw)
    assert isinstance(found, Comparison)
    assert found.raw is pairs
    assert found.transformed is pairs
    assert not found.is_transformed
    assert found.temperature == 0.3
    assert torch.equal(found.loss, info_nce(score(pairs), 0.3))
    assert torch.equal(found.scores.negative, score(pairs).negative)
    assert torch.equal(draw.features.get_state(), state)
    assert identity(pairs, draw) is pairs


def test_a_contrast_transforms_scores_selects_and_loses_in_this_order(make_draw: MakeDraw) -> None:
    pairs, draw, seen = some_pairs(), make_draw(), []
    doubled = dataclasses.replace(pairs, query=pairs.query * 2)

    def transform(given: Pairs, at: Draw) -> Pairs:
        seen.append("transform")
        assert given is pairs
        assert at is draw
        return doubled

    def select(given: Scores, mined: Scores, at: Draw) -> Scores:
        seen.append("select")
        assert torch.equal(given.positive, score(doubled).positive)
        assert mined is given
        assert at is draw
        return Scores(given.positive, given.negative[:, :2])

    def loss(given: Scores, temperature: float) -> Tensor:
        seen.append("loss")
        assert given.negative.shape == (B, 2)
        return given.positive.sum() / temperature

    found = Contrast(loss=loss, temperature=0.25, transform=transform, select=select)(pairs, draw)
    assert seen == ["transform", "select", "loss"]
    assert found.is_transformed
    assert found.raw is pairs
    assert found.transformed is doubled
    assert found.scores.negative.shape == (B, 2)
    torch.testing.assert_close(found.loss, 4 * score(doubled).positive.sum())


@pytest.mark.parametrize("mine_on", ["raw", "transformed"])
@pytest.mark.parametrize("transformed", [False, True])
def test_a_selection_sees_what_it_is_mined_by_and_is_told_of(
    make_draw: MakeDraw, mine_on: str, transformed: bool
) -> None:
    pairs, draw, seen = some_pairs(), make_draw(), []
    doubled = dataclasses.replace(pairs, negatives=pairs.negatives * 2)
    after = doubled if transformed else pairs

    def select(given: Scores, mined: Scores, at: Draw) -> Scores:
        assert at is draw
        assert torch.equal(given.negative, score(after).negative)
        assert torch.equal(mined.negative, score(pairs if mine_on == "raw" else after).negative)
        seen.append(mined)
        return Scores(given.positive, given.negative[:, :3], given.excluded[:, :3])

    transform = (lambda pairs, draw: doubled) if transformed else identity
    found = Contrast(info_nce, 0.2, transform, select, mine_on)(pairs, draw)
    assert len(seen) == 1
    assert found.selected
    assert found.is_transformed  # so that the recorder shows all negatives beside the selected ones
    assert found.transformed is after
    assert torch.equal(found.scores.negative, score(after).negative[:, :3])
    assert torch.equal(found.loss, info_nce(found.scores, 0.2))


def test_pairs_that_are_only_mined_by_keep_no_graph(make_draw: MakeDraw) -> None:
    pairs, seen = some_pairs(), []
    pairs = dataclasses.replace(pairs, query=pairs.query.clone().requires_grad_(), anchor=None)

    def select(given: Scores, mined: Scores, at: Draw) -> Scores:
        seen.append((given.negative.requires_grad, mined.negative.requires_grad, mined.positive.requires_grad))
        return given

    doubled = dataclasses.replace(pairs, negatives=pairs.negatives * 2)
    found = Contrast(info_nce, 0.2, lambda pairs, draw: doubled, select, "raw")(pairs, make_draw())
    assert seen == [(True, False, False)]
    assert found.loss.requires_grad


def test_a_contrast_refuses_a_temperature_that_is_not_positive(make_draw: MakeDraw) -> None:
    with pytest.raises(InputError, match="temperature"):
        Contrast(info_nce, temperature=0.0)(some_pairs(), make_draw())


def test_records_are_frozen(make_draw: MakeDraw) -> None:
    pairs = some_pairs()
    for record in (pairs, score(pairs), Step(torch.zeros(()), {}, make_draw())):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, dataclasses.fields(record)[0].name, None)
