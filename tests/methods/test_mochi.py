"""MoCHi: what synthetic negatives are made of, and that MoCo is MoCo still.

B queries, K negatives, D dimensions, J synthetic negatives of a query.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.methods import Method, Parts
from pairlens.methods.mochi import MoCHiSettings, mix_hard_negatives
from pairlens.methods.moco import MoCo, MoCoSettings
from pairlens.negatives import hardest
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import linear_head
from pairlens.pairs import Contrast, Pairs, Transform, identity, score
from pairlens.transforms import chain, negative_interpolation, positive_extrapolation
from pairlens.views.plans import Augmentation, two_views

B, S, D, K = 6, 16, 8, 20
N = 10  # negatives that are the axes of the space, so that a mixture's coordinates tell its parts


def axes(seed: int = 0, excluded: bool = False) -> Pairs:
    """Queries whose coordinates are all positive and different, against the axes of the space."""
    generator = torch.Generator().manual_seed(seed)
    query, key = (F.normalize(torch.rand(B, N, generator=generator) + 0.1, dim=1) for _ in range(2))
    hidden = torch.rand(B, N, generator=generator) < 0.5 if excluded else None
    return Pairs(query, key, torch.eye(N), hidden)


def own_of(pairs: Pairs, draw, hardest: int, mixed: int, query_mixed: int) -> Tensor:
    own = mix_hard_negatives(hardest, mixed, query_mixed)(pairs, draw).own
    assert own is not None
    return own


def hardest_of(pairs: Pairs, count: int) -> list[set[int]]:
    """The negatives of each query with the highest scores, by sorting."""
    scores = (pairs.query @ pairs.negatives.T).tolist()
    allowed = [[k for k in range(N) if pairs.excluded is None or not pairs.excluded[b, k]] for b in range(B)]
    return [set(sorted(allowed[b], key=lambda k, row=scores[b]: -row[k])[:count]) for b in range(B)]


@pytest.mark.parametrize("excluded", [False, True])
@pytest.mark.parametrize("hardest", [1, 3, 7, 100])
def test_mixtures_are_of_the_hardest_negatives_and_never_of_excluded_ones(
    make_draw, hardest: int, excluded: bool
) -> None:
    pairs = axes(excluded=excluded)
    own = own_of(pairs, make_draw(B), hardest, 400, 0)
    assert own.shape == (B, 400, N)
    for b, expected in enumerate(hardest_of(pairs, hardest)):
        used = [set(row.nonzero()[:, 0].tolist()) for row in own[b]]
        assert set().union(*used) == expected
        assert all(1 <= len(parts) <= 2 for parts in used)


def test_two_negatives_are_mixed_in_all_proportions(make_draw) -> None:
    own = own_of(axes(), make_draw(B), 2, 4000, 0)
    pairs = own[(own > 0).sum(2) == 2].topk(2, 1).values
    share = pairs[:, 1] / pairs.sum(1)  # of the lesser part: uniform in [0, 1/2]
    assert len(share) / (B * 4000) == pytest.approx(0.5, abs=0.02)
    assert share.mean().item() == pytest.approx(0.25, abs=0.01)
    assert share.max() > 0.49


@pytest.mark.parametrize("excluded", [False, True])
def test_mixed_with_the_query_a_hard_negative_comes_closer_to_it(make_draw, excluded: bool) -> None:
    pairs = axes(excluded=excluded)
    own = own_of(pairs, make_draw(B), 3, 0, 500)
    for b, expected in enumerate(hardest_of(pairs, 3)):
        ratio = own[b] / pairs.query[b]
        scale = ratio.min(1, keepdim=True).values  # on all axes but that of the negative
        rest = own[b] - scale * pairs.query[b]
        assert set(rest.argmax(1).tolist()) == expected
        assert ((rest > 1e-5).sum(1) == 1).all()
        weight = scale[:, 0] / (scale[:, 0] + rest.amax(1))  # of the query: uniform in [0, 1/2]
        assert weight.max() < 0.5
        assert weight.mean().item() == pytest.approx(0.25, abs=0.03)
        assert (own[b] @ pairs.query[b] > pairs.query[b][rest.argmax(1)]).all()


def test_synthetic_negatives_are_unit_vectors_without_a_gradient(make_draw) -> None:
    pairs = axes()
    query = pairs.query.clone().requires_grad_()
    mixed = mix_hard_negatives(4, 30, 20)(replace(pairs, query=query), make_draw(B))
    torch.testing.assert_close(mixed.own.norm(dim=2), torch.ones(B, 50))
    assert not mixed.own.requires_grad
    score(mixed).negative.sum().backward()
    torch.testing.assert_close(query.grad, mixed.own.sum(1) + pairs.negatives.sum(0))


def test_negatives_are_ranked_by_what_they_are_scored_with(make_draw) -> None:
    pairs = axes()
    other = axes(seed=3).query
    found = own_of(replace(pairs, anchor=other), make_draw(B), 2, 20, 5)
    torch.testing.assert_close(found, own_of(replace(pairs, query=other), make_draw(B), 2, 20, 5))


def test_what_was_there_stays(make_draw) -> None:
    pairs = replace(axes(), own=torch.randn(B, 3, N))
    mixed = mix_hard_negatives(4, 5, 2)(pairs, make_draw(B))
    assert torch.equal(mixed.own[:, :3], pairs.own)
    assert mixed.own.shape == (B, 10, N)
    for name in ("query", "key", "negatives"):
        assert getattr(mixed, name) is getattr(pairs, name)


def test_mixtures_are_drawn_anew_from_the_features_generator_only(make_draw) -> None:
    before = torch.get_rng_state()
    draws = [make_draw(B), make_draw(B), make_draw(B, seed=5)]
    first, again, other = (own_of(axes(), draw, 4, 5, 5) for draw in draws)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(draws[0].views.get_state(), make_draw(B).views.get_state())


@pytest.mark.parametrize("wrong", [(0, 1, 1), (4, -1, 1), (4, 1, -1)])
def test_numbers_that_cannot_be_used_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="cannot be mixed of the"):
        mix_hard_negatives(*wrong)


def method_of(settings: MoCoSettings, transform: Transform = identity, **selection: Any) -> MoCo:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    branch = Branch(encoder, {"z": linear_head(encoder.features, D, generator)})
    images = ImageSet(torch.zeros(B, 3, S, S, dtype=torch.uint8), torch.full((B, 2), S), [""] * B)
    contrast = Contrast(settings.loss(), 0.2, transform, **selection)
    state = torch.Generator().manual_seed(1)
    parts = Parts(branch, two_views(Augmentation()), contrast, images, D, 10, False, generator, state)
    method = settings.build(parts)
    assert isinstance(method, MoCo)
    return method


def mochi(**settings: Any) -> MoCHiSettings:
    return MoCHiSettings(**{"negatives": K, "hardest": 8, "mixed": 7, "query_mixed": 3, **settings})


def views_of(seed: int = 1, small: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    views = {name: torch.randn(B, 3, S, S, generator=generator) for name in ("query", "key")}
    return views | {f"local_{i + 1}": torch.randn(B, 3, 8, 8, generator=generator) for i in range(small)}


def test_it_is_moco_with_more_negatives(make_draw) -> None:
    method = method_of(mochi())
    assert isinstance(method, Method)
    step = method(views_of(small=1), make_draw(B))
    scores = step.comparisons["z"].scores
    assert scores.negative.shape == (2 * B, K + 7 + 3)
    assert (mochi().shared_negatives(B, 100), mochi().own_negatives) == (K, 7 + 3)
    plain = method_of(MoCoSettings(negatives=K))(views_of(small=1), make_draw(B))
    assert torch.equal(scores.negative[:, :K], plain.comparisons["z"].scores.negative)
    assert step.loss > plain.loss
    none = method_of(mochi(mixed=0, query_mixed=0))(views_of(small=1), make_draw(B))
    assert torch.equal(none.loss, plain.loss)


def test_synthetic_negatives_cannot_be_mined_by_raw_scores(make_draw) -> None:
    with pytest.raises(InputError, match="mine_on raw ranks the queue's negatives, and MoCHi's synthetic ones"):
        method_of(mochi(mix_start=3), select=hardest(4), mine_on="raw")
    for settings, mine_on in ((mochi(), "transformed"), (mochi(mixed=0, query_mixed=0), "raw")):
        method = method_of(settings, select=hardest(4), mine_on=mine_on)
        assert method(views_of(), make_draw(B)).comparisons["z"].scores.negative.shape == (B, 4)


def test_hard_negatives_are_mixed_of_those_that_the_transform_left(make_draw) -> None:
    pairs = method_of(mochi(), negative_interpolation(1.6))(views_of(), make_draw(B)).comparisons["z"].transformed
    hard = (pairs.query @ pairs.negatives.T).topk(8, 1).indices
    for b in range(B):  # every mixture lies in the plane of two of its query's hardest, transformed negatives
        near = pairs.negatives[hard[b]]
        planes = [torch.stack([near[i], near[j]], 1) for i in range(8) for j in range(i)]
        for own in pairs.own[b, :7]:
            away = [(own - plane @ torch.linalg.lstsq(plane, own[:, None]).solution[:, 0]).norm() for plane in planes]
            assert min(away) < 1e-4


def test_mixing_starts_when_it_is_told_to(make_draw) -> None:
    method = method_of(mochi(mix_start=2))
    for epoch in range(4):
        pairs = method(views_of(), make_draw(B, epoch=epoch)).comparisons["z"].transformed
        assert (pairs.own is None) == (epoch < 2)


@pytest.mark.parametrize(("negatives", "images", "hardest"), [(None, 100_000, 1024), (None, 300, 128), (20, 300, 20)])
def test_no_more_hardest_negatives_than_there_are(negatives: int | None, images: int, hardest: int) -> None:
    resolved = MoCHiSettings(negatives=negatives).resolve(images)
    assert isinstance(resolved, MoCHiSettings)
    assert resolved.hardest == hardest
    assert resolved.resolve(images) == resolved


def test_the_queue_holds_raw_keys_of_every_part(make_draw) -> None:
    method = method_of(mochi(), chain(positive_extrapolation(2.0), negative_interpolation(1.6)))
    steps = [method(views_of(seed=i), make_draw(B)) for i in (1, 2)]
    method.after_step(*steps)
    raw = torch.cat([step.comparisons["z"].raw.key for step in steps])
    assert torch.equal(method.queue.keys[: 2 * B], raw)
