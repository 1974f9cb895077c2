"""Augmentations and plans: what is drawn, how often, in which range, and from which generator."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.recipes import find_recipe
from pairlens.settings import Views
from pairlens.views.crops import full_image, random_resized_crop
from pairlens.views.params import ViewParams
from pairlens.views.plans import (
    Augmentation,
    add_one,
    check_varied,
    leave_one_out,
    multi_crop,
    sharing,
    two_views,
    view_sizes,
    weak_views,
    without_key,
)

MakeDraw = Callable[..., Draw]
N = 20_000


def uniform_pvalue(values: torch.Tensor, low: float, high: float) -> float:
    return float(stats.kstest(values.double(), stats.uniform(low, high - low).cdf).pvalue)


def test_factors_are_color_jitters(make_draw: MakeDraw) -> None:
    params = Augmentation(jitter=(0.4, 1.5, 0.2, 0.1)).draw(make_draw(N))
    ranges = [(0.6, 1.4), (0.0, 2.5), (0.8, 1.2), (-0.1, 0.1)]  # max(0, 1 - s) to 1 + s; hue -s to s
    for column, (low, high) in zip(params.factors.T, ranges, strict=True):
        assert low - 1e-6 <= column.min()
        assert column.max() <= high + 1e-6
        assert uniform_pvalue(column, low, high) > 1e-3


def test_orders_are_uniform_permutations(make_draw: MakeDraw) -> None:
    order = Augmentation().draw(make_draw(N)).order
    assert torch.equal(order.sort(1).values, torch.arange(4).expand(N, 4))
    counts = torch.unique(order, dim=0, return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_probabilities(make_draw: MakeDraw, p: float) -> None:
    params = Augmentation(flip=p, jitter_probability=p, gray=p, blur=p, rotation=p).draw(make_draw(N))
    for applied in (params.flip, params.jittered, params.gray, params.blur > 0, params.rotation > 0):
        assert abs(applied.double().mean() - p) < 0.015
        if p in {0, 1}:
            assert applied.double().mean() == p


def test_what_is_applied_is_independent(make_draw: MakeDraw) -> None:
    params = Augmentation(flip=0.5, jitter_probability=0.5, gray=0.5, blur=0.5, rotation=0.5).draw(make_draw(N))
    numbers = [params.flip, params.jittered, params.gray, params.blur > 0, params.rotation > 0]
    table = torch.cat([torch.stack(numbers).double(), params.factors.T.double(), params.crop.T[2:].double()])
    correlation = torch.corrcoef(table) - torch.eye(len(table))
    correlation[-2:, -2:] = 0  # width and height of one crop do depend on each other
    assert correlation.abs().max() < 0.04


def test_sigma_and_turns(make_draw: MakeDraw) -> None:
    params = Augmentation(blur=0.5, blur_sigma=(0.1, 2.0), rotation=1.0).draw(make_draw(N))
    assert uniform_pvalue(params.blur[params.blur > 0], 0.1, 2.0) > 1e-3
    assert stats.chisquare(torch.bincount(params.rotation)[1:]).pvalue > 1e-3
    assert set(params.rotation.tolist()) == {1, 2, 3}


def test_switching_one_augmentation_leaves_the_others(make_draw: MakeDraw) -> None:
    one = Augmentation().draw(make_draw(64)).tensors()
    other = Augmentation(gray=1.0, blur=1.0, rotation=1.0, flip=0.0).draw(make_draw(64)).tensors()
    for name in ("crop", "factors", "order", "jittered", "texture"):
        assert torch.equal(one[name], other[name])


def test_textures_are_drawn_last_and_only_where_they_are_asked_for(make_draw: MakeDraw) -> None:
    """Else every training without them would draw other views than it did before there were any."""
    for operations in (0, 2):
        plain, textured = make_draw(64), make_draw(64)
        before = Augmentation(blur=0.5, rotation=0.5, randaugment=operations).draw(plain)
        after = Augmentation(blur=0.5, rotation=0.5, randaugment=operations, texture=0.5).draw(textured)
        for name, values in before.tensors().items():
            assert torch.equal(values, after.tensors()[name]) == (name != "texture"), name
        assert not before.texture.any()
        by_hand = make_draw(64)
        random_resized_crop()(by_hand)
        torch.rand(64, 12, generator=by_hand.views)
        if not operations:
            assert torch.equal(by_hand.views.get_state(), plain.views.get_state())
        torch.rand(64, 2, generator=plain.views)
        assert torch.equal(plain.views.get_state(), textured.views.get_state())


@pytest.mark.parametrize(("probability", "styles"), [(0.5, 4), (1.0, 3), (0.3, 1)])
def test_textures_are_the_copies_each_equally_often(make_draw: MakeDraw, probability: float, styles: int) -> None:
    texture = Augmentation(texture=probability, styles=styles).draw(make_draw(N)).texture
    counts = torch.bincount(texture, minlength=styles + 1)
    assert texture.dtype == torch.long
    assert len(counts) == styles + 1
    assert abs(counts[0] / N - (1 - probability)) < 0.015
    assert styles == 1 or stats.chisquare(counts[1:]).pvalue > 1e-3


def test_textures_are_left_out_as_one(make_draw: MakeDraw) -> None:
    view = Augmentation(rotation=0.5, texture=0.5)
    views = leave_one_out(two_views(view), view, ("color", "rotation", "texture"))(make_draw(500))
    shared = {name: views["query"].agrees(params, "texture") for name, params in views.items()}
    assert shared["key_texture"].all()
    by_chance = 0.5**2 + 4 * 0.125**2
    for name in ("key", "key_color", "key_rotation"):
        assert abs(shared[name].double().mean() - by_chance) < 0.08
    added = add_one(view, ("rotation", "texture"))(make_draw(500))
    assert not any(added[name].texture.any() for name in ("query", "key_rotation"))
    assert abs((added["key_texture"].texture > 0).double().mean() - 0.5) < 0.08
    together = sharing(two_views(view), ("texture",))(make_draw(500))
    assert torch.equal(together["query"].texture, together["key"].texture)
    check_varied(two_views(view), ("texture",), 32)
    for plan in (two_views(Augmentation()), sharing(two_views(view), ("texture",))):
        with pytest.raises(InputError, match="'texture' is designated, and all views have it alike"):
            check_varied(plan, ("texture",), 32)


def test_only_the_views_generator_is_drawn_from(make_draw: MakeDraw) -> None:
    draw = make_draw(16)
    features, default = draw.features.get_state(), torch.get_rng_state()
    two_views(Augmentation(blur=0.5))(draw)
    assert torch.equal(features, draw.features.get_state())
    assert torch.equal(default, torch.get_rng_state())


def test_two_views_are_query_then_key(make_draw: MakeDraw) -> None:
    strong, weak = Augmentation(blur=0.5), weak_views()
    views = two_views(strong, weak)(make_draw(16))
    draw = make_draw(16)
    for name, augmentation in (("query", strong), ("key", weak)):
        for field, value in augmentation.draw(draw).tensors().items():
            assert torch.equal(value, views[name].tensors()[field]), (name, field)
    assert list(views) == ["query", "key"]


def test_two_views_of_one_augmentation_differ(make_draw: MakeDraw) -> None:
    views = two_views(Augmentation(blur=0.5))(make_draw(16))
    assert not torch.equal(views["query"].crop, views["key"].crop)
    assert not torch.equal(views["query"].factors, views["key"].factors)


def test_seeded(make_draw: MakeDraw) -> None:
    one, same, other = (two_views(Augmentation(blur=0.5))(make_draw(16, seed=s))["key"].tensors() for s in (1, 1, 2))
    assert all(torch.equal(one[k], same[k]) for k in one)
    assert not torch.equal(one["factors"], other["factors"])


PAPERS = {
    "moco_v1": ((0.4, 0.4, 0.4, 0.4), 1.0, 0.0, 0.2),
    "moco_v2": ((0.4, 0.4, 0.4, 0.1), 0.8, 0.5, 0.2),
    "simclr": ((0.8, 0.8, 0.8, 0.2), 0.8, 0.5, 0.08),
}
"""Jitter, its probability, the blur's, and the least area of a crop, on ImageNet."""


@pytest.mark.parametrize("name", PAPERS)
def test_the_views_of_recipes_hold_the_papers_numbers(make_draw: MakeDraw, name: str) -> None:
    view = find_recipe(f"imagenet.{name}")().views.augmentation()
    *numbers, least = PAPERS[name]
    assert [view.jitter, view.jitter_probability, view.blur] == numbers
    assert (view.gray, view.flip, view.blur_sigma) == (0.2, 0.5, (0.1, 2.0))
    check_areas(view.draw(make_draw(N, height=500, width=500)), least)


def test_weak_views_are_cropped_and_mirrored_only(make_draw: MakeDraw) -> None:
    params = weak_views().draw(make_draw(N, height=500, width=500))
    check_areas(params, 0.08)
    assert 0.48 < params.flip.double().mean() < 0.52
    assert not torch.stack([params.jittered, params.gray, params.blur > 0, params.rotation > 0]).any()


def check_areas(params: ViewParams, least: float) -> None:
    area = params.crop[:, 2:].prod(1)
    assert least - 0.005 < area.min() < least + 0.01
    assert area.max() > 0.98


def test_what_is_switched_off_changes_nothing(make_draw: MakeDraw) -> None:
    params = Augmentation(full_image(), flip=0.0, jitter_probability=0.0, gray=0.0).draw(make_draw(8))
    assert torch.equal(params.crop, torch.tensor([0.0, 0, 1, 1]).expand(8, 4))
    assert not torch.stack([params.flip, params.jittered, params.gray, params.blur > 0, params.rotation > 0]).any()


LOCAL = Augmentation(crop=random_resized_crop((0.05, 0.14)), gray=1.0)


def test_multi_crop_draws_two_large_views_then_the_small_ones(make_draw: MakeDraw) -> None:
    found = multi_crop(Augmentation(blur=0.5), LOCAL, 3, size=12)(make_draw(16))
    assert list(found) == ["query", "key", "local_1", "local_2", "local_3"]
    assert [params.size for params in found.values()] == [None, None, 12, 12, 12]
    draw = make_draw(16)
    large = two_views(Augmentation(blur=0.5))(draw)
    expected = large | {f"local_{i}": LOCAL.draw(draw) for i in (1, 2, 3)}
    for name, params in expected.items():
        for field, value in params.tensors().items():
            assert torch.equal(value, found[name].tensors()[field]), (name, field)


def test_small_views_are_small_independent_and_distributed_as_asked_for(make_draw: MakeDraw) -> None:
    found = multi_crop(Augmentation(blur=0.5), LOCAL, 2)(make_draw(N, height=500, width=500))
    assert found["local_1"].size is None
    for name, (least, greatest) in {"query": (0.2, 1.0), "local_1": (0.05, 0.14), "local_2": (0.05, 0.14)}.items():
        area = found[name].crop[:, 2:].prod(1)
        tried = (area - least) / (greatest - least)  # the few that the central fall-back replaces lie beyond
        assert uniform_pvalue(tried[(tried > 0.02) & (tried < 0.5)], 0.02, 0.5) > 1e-3
        assert least - 0.005 < area.min()
        assert area.max() < greatest + 0.005
    assert found["local_1"].gray.all()
    assert 0.15 < found["query"].gray.double().mean() < 0.25
    one, other = (found[name].crop[:, :2].double() for name in ("local_1", "local_2"))
    assert torch.corrcoef(torch.cat([one.T, other.T]))[:2, 2:].abs().max() < 0.04


def test_no_small_view_is_the_plan_of_two(make_draw: MakeDraw) -> None:
    one, other = multi_crop(LOCAL, LOCAL, 0)(make_draw(4)), two_views(LOCAL)(make_draw(4))
    assert list(one) == list(other)
    assert all(torch.equal(one[name].crop, other[name].crop) for name in other)


@pytest.mark.parametrize(("count", "size"), [(-1, 8), (2, 1), (2, 0), (2, -4)])
def test_small_views_that_cannot_be_made_are_refused(count: int, size: int) -> None:
    with pytest.raises(InputError, match=r"small views of .* px cannot be made; give"):
        multi_crop(LOCAL, LOCAL, count, size)


def test_a_plan_says_its_views_names_without_drawing(make_draw: MakeDraw) -> None:
    before = torch.get_rng_state()
    assert tuple(view_sizes(two_views(LOCAL), 32)) == ("query", "key")
    assert tuple(view_sizes(multi_crop(LOCAL, LOCAL, 2), 32)) == ("query", "key", "local_1", "local_2")
    assert torch.equal(torch.get_rng_state(), before)


def test_without_its_key_a_plan_draws_the_other_views_as_they_are(make_draw: MakeDraw) -> None:
    assert tuple(view_sizes(without_key(two_views(LOCAL)), 32)) == ("query",)
    plan = multi_crop(Augmentation(), LOCAL, 2, 8)
    ours, theirs = without_key(plan)(make_draw(6)), plan(make_draw(6))
    assert list(ours) == ["query", "local_1", "local_2"]
    for name, params in ours.items():
        assert params.size == theirs[name].size
        for field, value in params.tensors().items():
            assert torch.equal(value, theirs[name].tensors()[field])


def test_a_size_survives_every_copy_of_the_parameters(make_draw: MakeDraw) -> None:
    params = multi_crop(LOCAL, LOCAL, 1, size=12)(make_draw(6))["local_1"]
    assert params.rows(slice(0, 2)).size == params.to("cpu").size == 12
    assert params.with_group("flip", LOCAL.draw(make_draw(6))).size == 12
    assert "size" not in params.tensors()


def test_the_views_of_a_recipe_are_two_or_multi_crop(make_draw: MakeDraw) -> None:
    assert tuple(view_sizes(Views().plan(), 32)) == ("query", "key")
    views = Views(locals=2, local_size=10, local_crop=(0.1, 0.2), jitter_probability=0.0, flip=0.0)
    found = views.plan()(make_draw(N, height=500, width=500))
    assert list(found) == ["query", "key", "local_1", "local_2"]
    assert found["local_2"].size == 10
    area = found["local_2"].crop[:, 2:].prod(1)
    assert 0.095 < area.min() < area.max() < 0.205
    for params in found.values():  # but for the crop the small views are distributed as the large ones
        assert not params.jittered.any()
        assert not params.flip.any()
        assert 0.18 < params.gray.double().mean() < 0.22


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flip", 1.1),
        ("gray", -0.1),
        ("blur", float("nan")),
        ("rotation", 2.0),
        ("texture", 1.5),
        ("styles", 0),
        ("jitter_probability", -1.0),
        ("jitter", (-0.1, 0.4, 0.4, 0.1)),
        ("jitter", (0.4, 0.4, 0.4, 0.6)),
        ("jitter", (0.4, 0.4, float("inf"), 0.1)),
        ("blur_sigma", (0.0, 1.0)),
        ("blur_sigma", (2.0, 1.0)),
    ],
)
def test_bad_arguments(field: str, value: object) -> None:
    with pytest.raises(InputError, match="give"):
        dataclasses.replace(Augmentation(full_image()), **{field: value})


@given(seed=st.integers(0, 10_000), count=st.integers(0, 3))
def test_exactly_one_group_is_shared_with_each_further_key(seed: int, count: int) -> None:
    everything = Augmentation(blur=0.5, rotation=0.5, randaugment=2)
    designated = ["color", "rotation", "crop+flip"][:count]
    generator = torch.Generator().manual_seed(seed)
    draw = Draw(torch.arange(256), torch.full((256, 2), 32), 0, 0, generator, generator)
    views = leave_one_out(two_views(everything), everything, designated)(draw)
    assert list(views) == ["query", "key", *(f"key_{group}" for group in designated)]
    for group in ("color", "rotation", "crop+flip", "blur", "randaugment"):
        for name, params in views.items():
            alike = params.agrees(views["query"], group)
            assert bool(alike.all()) == (name in ("query", f"key_{group}"))


def test_designating_nothing_draws_two_views(make_draw: MakeDraw) -> None:
    one, other = make_draw(6), make_draw(6)
    ours, theirs = leave_one_out(two_views(Augmentation()), Augmentation(), [])(one), two_views(Augmentation())(other)
    assert list(ours) == list(theirs)
    assert torch.equal(ours["key"].crop, theirs["key"].crop)
    assert torch.equal(one.views.get_state(), other.views.get_state())


def test_agreement_looks_at_factors_only_where_the_jitter_is_applied() -> None:
    one = ViewParams.identity(4)
    other = dataclasses.replace(
        one, factors=one.factors * 2, jittered=torch.tensor([True, False, False, False]), gray=torch.arange(4) == 2
    )
    assert one.agrees(other, "color").tolist() == [False, True, False, True]
    assert one.agrees(other, "jittered+gray").tolist() == [False, True, False, True]
    assert other.agrees(other, "color").all()


def test_the_views_of_add_one(make_draw: MakeDraw) -> None:
    view = Augmentation(rotation=0.5)
    views = add_one(view, ["color", "rotation"])(make_draw(400))
    assert list(views) == ["query", "key_color", "key_rotation"]
    neutral = ViewParams.identity(400)
    for name, params in views.items():
        for group in ("color", "rotation"):
            assert bool(params.agrees(neutral, group).all()) == (name != f"key_{group}")
        assert not params.agrees(neutral, "crop").all()


def test_views_can_share_an_augmentation(make_draw: MakeDraw) -> None:
    plain = two_views(Augmentation(rotation=0.5))(make_draw(400))
    views = sharing(two_views(Augmentation(rotation=0.5)), ["rotation"])(make_draw(400))
    assert torch.equal(views["key"].rotation, views["query"].rotation)
    assert 0.4 < (views["query"].rotation > 0).double().mean() < 0.6
    assert torch.equal(views["key"].crop, plain["key"].crop)
    assert not views["key"].agrees(views["query"], "color").all()


@pytest.mark.parametrize("groups", [("colour",), ("color", "gray"), ("rotation", "rotation")])
def test_designating_nonsense_is_refused(groups: tuple[str, ...]) -> None:
    for make in (lambda: leave_one_out(two_views(LOCAL), LOCAL, groups), lambda: add_one(LOCAL, groups)):
        with pytest.raises(InputError, match=r"there is no augmentation|both contain"):
            make()
