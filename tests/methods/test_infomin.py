"""InfoMin: MoCo's comparison as it is, and the jigsaw's beside it.

B images, S view size, D dimensions, K queued keys.
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.methods import Method, Parts
from pairlens.methods.infomin import PATCHES, InfoMin, InfoMinSettings, JigsawHead
from pairlens.methods.moco import MoCo, MoCoSettings
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import linear_head
from pairlens.pairs import Contrast, Transform, identity
from pairlens.transforms import chain, negative_interpolation, positive_extrapolation
from pairlens.views.plans import Augmentation, two_views, view_sizes

B, S, D, K = 6, 16, 8, 20
FT = chain(positive_extrapolation(2.0), negative_interpolation(1.6))


def method_of(settings: MoCoSettings, transform: Transform = identity) -> Method:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    branch = Branch(encoder, {"z": linear_head(encoder.features, D, generator)})
    images = ImageSet(torch.zeros(B, 3, S, S, dtype=torch.uint8), torch.full((B, 2), S), [""] * B)
    contrast = Contrast(settings.loss(), 0.2, transform)
    state = torch.Generator().manual_seed(1)
    return settings.build(Parts(branch, two_views(Augmentation()), contrast, images, D, 10, True, generator, state))


def infomin_of(transform: Transform = identity, **settings: Any) -> InfoMin:
    method = method_of(InfoMinSettings(negatives=K, momentum=0.9, **settings), transform)
    assert isinstance(method, InfoMin)
    return method


def views_of(seed: int = 1, patches: bool = True, small: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    views = {name: torch.randn(B, 3, S, S, generator=generator) for name in ("query", "key")}
    views |= {f"local_{i + 1}": torch.randn(B, 3, 8, 8, generator=generator) for i in range(small)}
    return views | {name: torch.randn(B, 3, 8, 8, generator=generator) for name in PATCHES if patches}


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_the_loss_weighs_the_two_comparisons(make_draw, weight: float) -> None:
    method = infomin_of(jigsaw=weight)
    assert isinstance(method, Method)
    step = method(views_of(), make_draw(B))
    assert tuple(step.comparisons) == InfoMinSettings(jigsaw=weight).spaces == ("z", "jigsaw")
    main, jigsaw = step.comparisons.values()
    assert step.loss.item() == pytest.approx((1 - weight) * main.loss.item() + weight * jigsaw.loss.item(), rel=1e-6)
    assert main.loss.item() != pytest.approx(jigsaw.loss.item(), rel=1e-3)
    for name in ("key", "negatives"):
        assert torch.equal(getattr(main.raw, name), getattr(jigsaw.raw, name))
    torch.testing.assert_close(jigsaw.raw.query.norm(dim=1), torch.ones(B))


@pytest.mark.parametrize("small", [0, 2])
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_main_comparison_is_that_of_moco(make_draw, symmetric: bool, small: int) -> None:
    moco = method_of(MoCoSettings(negatives=K, momentum=0.9, symmetric=symmetric), FT)
    expected = moco(views_of(small=small, patches=False), make_draw(B)).comparisons["z"]
    for weight in (0.0, 0.5):
        method = infomin_of(FT, jigsaw=weight, symmetric=symmetric)
        found = method(views_of(small=small, patches=weight > 0), make_draw(B)).comparisons["z"]
        assert torch.equal(found.loss, expected.loss)
        assert torch.equal(found.transformed.query, expected.transformed.query)


def test_without_a_jigsaw_it_is_moco(make_draw) -> None:
    settings = InfoMinSettings(jigsaw=0.0)
    assert settings.spaces == ("z",)
    plan = two_views(Augmentation())
    assert settings.plan(plan, Augmentation(), 32) is plan
    method = infomin_of(jigsaw=0.0)
    step = method(views_of(patches=False), make_draw(B))
    assert list(step.comparisons) == ["z"]
    assert step.loss is step.comparisons["z"].loss
    moco = method_of(MoCoSettings(negatives=K, momentum=0.9))
    assert isinstance(moco, MoCo)
    assert set(method.state_dict()) == set(moco.state_dict())


def test_its_plan_adds_nine_patches() -> None:
    plan = InfoMinSettings().plan(two_views(Augmentation()), Augmentation(), 224)
    assert tuple(view_sizes(plan, 32)) == ("query", "key", *PATCHES)


def test_the_transform_leaves_the_jigsaw_alone(make_draw) -> None:
    step = infomin_of(FT)(views_of(), make_draw(B))
    assert step.comparisons["z"].is_transformed
    assert not step.comparisons["jigsaw"].is_transformed


def test_patches_stand_in_the_order_that_is_given_for_each_image() -> None:
    head = JigsawHead(D, D, 9, torch.Generator().manual_seed(0))
    features = torch.randn(B, 9, D)
    order = torch.rand(B, 9, generator=torch.Generator().manual_seed(1)).argsort(1)
    rows = [torch.cat([head.patch(features[b, p]) for p in order[b].tolist()]) for b in range(B)]
    torch.testing.assert_close(head(features, order), head.merge(torch.stack(rows)))
    assert not torch.allclose(head(features, order), head(features, torch.arange(9).expand(B, 9)), atol=1e-3)


def test_orders_are_permutations_drawn_anew_for_each_image_and_step(make_draw) -> None:
    method, orders = infomin_of(), []
    method.head.register_forward_pre_hook(lambda module, inputs: orders.append(inputs[1]))
    for seed in (0, 0, 1):
        draw = make_draw(B, seed=seed)
        before = draw.views.get_state(), torch.get_rng_state()
        method(views_of(), draw)
        assert torch.equal(draw.views.get_state(), before[0])
        assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.equal(orders[0].sort(1).values, torch.arange(9).expand(B, 9))
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert len(orders[0].unique(dim=0)) > 1


def test_every_patch_of_an_image_is_merged_into_its_own_embedding(make_draw) -> None:
    method, views = infomin_of().eval(), views_of()
    first = method(views, make_draw(B)).comparisons["jigsaw"].raw.query
    for name in PATCHES:
        changed = {**views, name: torch.cat([views[name][:2] + 1, views[name][2:]])}
        moved = method(changed, make_draw(B)).comparisons["jigsaw"].raw.query
        assert ((moved - first).abs().amax(1) > 1e-4).tolist() == [True, True, False, False, False, False]


def test_patches_go_through_the_encoder_as_one_batch_and_teach_it(make_draw) -> None:
    method, seen = infomin_of(jigsaw=1.0), []
    method.online.encoder.register_forward_hook(lambda module, inputs, output: seen.append(tuple(inputs[0].shape)))
    step = method(views_of(), make_draw(B))
    assert seen == [(B, 3, S, S), (9 * B, 3, 8, 8)]
    step.loss.backward()
    for parameter in (*method.online.encoder.parameters(), *method.head.parameters()):
        assert parameter.grad.abs().sum() > 0
    assert all(not p.requires_grad for p in method.target.parameters())


def test_symmetric_the_jigsaw_is_compared_with_both_keys(make_draw) -> None:
    jigsaw = infomin_of(symmetric=True)(views_of(), make_draw(B)).comparisons["jigsaw"].raw
    assert torch.equal(jigsaw.query[:B], jigsaw.query[B:])
    assert not torch.allclose(jigsaw.key[:B], jigsaw.key[B:], atol=1e-3)


def test_raw_keys_of_every_part_are_queued_and_the_key_branch_moves_once(make_draw) -> None:
    method = infomin_of(FT)
    steps = [method(views_of(seed=i), make_draw(B)) for i in (1, 2)]
    with torch.no_grad():
        for p in method.online.parameters():
            p.add_(1.0)
    before = [p.clone() for p in method.target.parameters()]
    method.after_step(*steps)
    raw = torch.cat([step.comparisons["z"].raw.key for step in steps])
    assert torch.equal(method.queue.keys[: 2 * B], raw)
    torch.testing.assert_close(raw, F.normalize(raw, dim=1))
    for old, new in zip(before, method.target.parameters(), strict=True):
        torch.testing.assert_close(new - old, torch.full_like(old, 0.1))


@pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan")])
def test_a_weight_outside_zero_to_one_is_refused(weight: float) -> None:
    with pytest.raises(InputError, match=r"weight of the jigsaw's loss must lie in \[0, 1\]"):
        infomin_of(jigsaw=weight)
