"""Boxes from heat maps, their coverage, the table with its history, the warning, and overlap.

B images of a batch, h x w positions of a heat map.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pairlens.errors import InputError
from pairlens.views.boxes import Boxes, boxes_of, coverage, heat_map, iou, misses, nearly, threshold_for, useless

FULL = [0.0, 0.0, 1.0, 1.0]


def blobs(count: int, seed: int = 0, width: float = 1.0) -> Tensor:
    """Heat maps of 8 x 8 positions, each with one round hot spot."""
    generator = torch.Generator().manual_seed(seed)
    at = 1 + 5 * torch.rand(count, 2, 1, generator=generator)
    line = (-((torch.arange(8) - at) ** 2) / (2 * width**2)).exp()
    return heat_map((line[:, 0, :, None] * line[:, 1, None, :])[:, None])


def table(*boxes: list[float]) -> Tensor:
    return torch.tensor(boxes)


# Heat maps -------------------------------------------------------------------------------------------------------


def test_each_map_spans_zero_to_one() -> None:
    heat = heat_map(torch.randn(5, 3, 4, 6, generator=torch.Generator().manual_seed(0)) * 100 + 7)
    assert heat.shape == (5, 4, 6)
    assert torch.equal(heat.amin((1, 2)), torch.zeros(5))
    assert torch.equal(heat.amax((1, 2)), torch.ones(5))


@pytest.mark.parametrize("value", [0.0, 3.0, -1e-30, math.nan, math.inf, -math.inf])
def test_a_map_without_contrast_is_the_full_box(value: float) -> None:
    heat = heat_map(torch.full((2, 3, 4, 4), value))
    assert torch.equal(heat, torch.ones(2, 4, 4))
    assert boxes_of(heat, 32, 0.1).tolist() == [FULL, FULL]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3e38])
def test_one_activation_that_is_no_number_spoils_its_own_map_only(value: float) -> None:
    features = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    alone = heat_map(features)
    features[0, :2, 1, 2] = value
    heat = heat_map(features)
    assert torch.equal(heat[0], torch.ones(4, 4))
    assert torch.equal(heat[1], alone[1])


def test_a_contrast_beyond_float32_spoils_its_map() -> None:
    features = torch.zeros(1, 1, 4, 4)
    features[0, 0, 1, 2], features[0, 0, 3, 3] = 3e38, -3e38
    assert torch.equal(heat_map(features), torch.ones(1, 4, 4))


def test_rounding_is_no_contrast() -> None:
    features = torch.full((1, 1, 4, 4), 100.0)
    features[0, 0, 2, 2] = math.nextafter(100, 101) + 1e-5
    assert torch.equal(heat_map(features), torch.ones(1, 4, 4))


def test_half_precision_is_summed_in_float32() -> None:
    features = torch.rand(2, 2000, 3, 3, generator=torch.Generator().manual_seed(1)).bfloat16()
    torch.testing.assert_close(heat_map(features), heat_map(features.float()))


# Boxes -----------------------------------------------------------------------------------------------------------


@given(
    left=st.integers(0, 15),
    top=st.integers(0, 15),
    right=st.integers(0, 15),
    bottom=st.integers(0, 15),
    k=st.floats(0, 0.99),
)
def test_a_hot_rectangle_is_its_box(left: int, top: int, right: int, bottom: int, k: float) -> None:
    left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
    heat = torch.zeros(1, 16, 16)
    heat[0, top : bottom + 1, left : right + 1] = 1
    assert (boxes_of(heat, 16, k) * 16).tolist() == [[left, top, right + 1, bottom + 1]]


def test_nothing_hotter_than_k_is_the_full_box() -> None:
    heat = blobs(3)
    assert boxes_of(heat, 32, 1.0).tolist() == [FULL] * 3


def test_many_maps_at_once_are_each_by_itself() -> None:
    heat = blobs(600)
    together = boxes_of(heat, 24, 0.3)
    assert torch.equal(together, torch.cat([boxes_of(heat[i : i + 1], 24, 0.3) for i in range(600)]))
    assert (together[:, :2] < together[:, 2:]).all()


@given(st.floats(0, 0.5), st.floats(0, 0.5))
def test_boxes_shrink_as_k_rises(a: float, b: float) -> None:
    heat = blobs(20)
    low, high = boxes_of(heat, 32, min(a, b)), boxes_of(heat, 32, max(a, b))
    assert (low[:, :2] <= high[:, :2]).all()
    assert (low[:, 2:] >= high[:, 2:]).all()


# Coverage --------------------------------------------------------------------------------------------------------


def test_coverage_counts_what_is_in_the_image() -> None:
    boxes = table(FULL, [0.25, 0.5, 0.75, 1.0], [-1.0, 0.5, 0.5, 3.0], [0.3, 0.3, 0.3, 0.9], [1.5, 0.0, 2.0, 1.0])
    torch.testing.assert_close(coverage(boxes), torch.tensor([1.0, 0.25, 0.25, 0.0, 0.0]))


@pytest.mark.parametrize("target", [0.05, 0.2, 0.5, 0.8])
def test_the_threshold_is_the_greatest_at_which_half_of_the_boxes_cover_the_target(target: float) -> None:
    heat = blobs(301, width=1.5)
    k = threshold_for(heat, 32, target)
    share = (coverage(boxes_of(heat, 32, k)) >= target).double().mean()
    above = (coverage(boxes_of(heat, 32, k + 0.005)) >= target).double().mean()
    assert 0 < k < 1
    assert share >= 0.5 > above
    assert coverage(boxes_of(heat, 32, k)).median() == pytest.approx(target, abs=0.08)


def test_the_chosen_threshold_is_strict_too() -> None:
    heat = torch.zeros(3, 8, 8)
    heat[:, 2:, :] = 0.5
    heat[:, 4, 4] = 1
    assert threshold_for(heat, 8, 0.75) == 0.495


def test_smaller_targets_have_greater_thresholds() -> None:
    found = [threshold_for(blobs(200), 32, target) for target in (0.9, 0.6, 0.3, 0.1, 0.01)]
    assert found == sorted(found)
    assert len(set(found)) == 5


def test_a_threshold_that_leaves_some_images_with_nothing_is_not_chosen() -> None:
    """Their boxes would be whole for want of activation."""
    heat = torch.cat([0.2 * blobs(5), blobs(45)])
    assert threshold_for(heat[5:], 32, 0.05) > 0.5
    assert threshold_for(heat, 32, 0.05) < 0.2


def test_constant_maps_have_no_threshold_to_choose() -> None:
    heat = torch.ones(9, 4, 4)
    assert boxes_of(heat, 32, threshold_for(heat, 32, 0.3)).tolist() == [FULL] * 9


def test_nearly_whole_and_nearly_a_point() -> None:
    boxes = table(FULL, [0.01, 0.0, 1.0, 0.99], [0.1, 0.0, 1.0, 1.0], [0.5, 0.5, 0.59, 0.59], [0.0, 0.2, 1.0, 0.25])
    assert nearly(boxes) == (0.4, 0.4)


# The table -------------------------------------------------------------------------------------------------------


def test_boxes_are_unknown_until_they_are_found() -> None:
    boxes = Boxes.unknown(3)
    assert boxes.of(torch.tensor([0, 2])) is None
    assert (boxes.ready, boxes.k, boxes.history, len(boxes)) == (False, None, [], 3)
    boxes.refresh(table(FULL, [0.0, 0.0, 0.5, 0.5], [0.25, 0.25, 0.75, 0.5]), step=7, epoch=2, k=0.1)
    found = boxes.of(torch.tensor([2, 0]))
    assert found is not None
    assert found.tolist() == [[0.25, 0.25, 0.75, 0.5], FULL]


def test_made_boxes_are_ready() -> None:
    index = torch.tensor([1])
    for boxes, expected in (
        (Boxes.central(2), [0.25, 0.25, 0.75, 0.75]),
        (Boxes.whole(2), FULL),
        (Boxes.known(table([0.0, 0.0, 0.1, 0.1], [0.5, -0.5, 1.5, 0.7])), [0.5, -0.5, 1.5, 0.7]),
    ):
        found = boxes.of(index)
        assert found is not None
        assert found[0].tolist() == pytest.approx(expected)
        assert (boxes.k, useless(boxes)) == (None, None)


def test_a_refresh_is_remembered_as_it_was() -> None:
    boxes = Boxes.unknown(4)
    found = table(FULL, FULL, [0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 0.55, 0.55])
    first = boxes.refresh(found, step=100, epoch=1, k=0.1)
    found[:] = 0.5  # the table is a copy
    assert (first.step, first.epoch, first.k, first.whole, first.point) == (100, 1, 0.1, 0.5, 0.25)
    assert first.coverage == pytest.approx((0.0025 + 0.15 * 0.2475, 0.188125, 0.625, 1.0, 1.0))
    boxes.refresh(found, step=200, epoch=2, k=0.2)
    assert [refresh.epoch for refresh in boxes.history] == [1, 2]
    assert boxes.history[0] is first
    assert boxes.k == 0.2


def test_the_state_brings_everything_back_bit_for_bit() -> None:
    boxes, other = Boxes.unknown(50), Boxes.unknown(50)
    other.load(boxes.state())
    assert (other.ready, other.k, other.history) == (False, None, [])
    for step, k in ((3, 0.1), (1_000_000_007, 0.015)):
        boxes.refresh(boxes_of(blobs(50, seed=step % 97), 24, k), step, step // 2, k)
    state = boxes.state()
    other.load(state)
    assert torch.equal(other.table, boxes.table)
    assert (other.ready, other.k, other.history) == (boxes.ready, boxes.k, boxes.history)
    boxes.refresh(torch.tensor(FULL).repeat(50, 1), 9, 9, 0.5)
    assert torch.equal(other.table, state["table"])
    assert not torch.equal(other.table, boxes.table)


def test_boxes_of_other_sets_are_refused() -> None:
    with pytest.raises(InputError, match="those of 3 images, and the set has 4"):
        Boxes.unknown(4).load(Boxes.central(3).state())
    with pytest.raises(InputError, match="3 boxes were found for 4 images"):
        Boxes.unknown(4).refresh(torch.tensor(FULL).repeat(3, 1), 0, 0, 0.1)


@pytest.mark.parametrize("bad", [[math.nan, 0.0, 1.0, 1.0], [0.0, 0.0, math.inf, 1.0], [0.5, 0.0, 0.4, 1.0]])
def test_what_is_no_box_is_refused(bad: list[float]) -> None:
    with pytest.raises(InputError, match="1 of 2 boxes are none, the first for image 1"):
        Boxes.known(table(FULL, bad))
    boxes = Boxes.unknown(2)
    with pytest.raises(InputError, match="fractions of the image"):
        boxes.refresh(table(FULL, bad), 0, 0, 0.1)
    assert not boxes.ready


# The warning -----------------------------------------------------------------------------------------------------


def found(*boxes: list[float], k: float = 0.1) -> Boxes:
    made = Boxes.unknown(len(boxes))
    made.refresh(table(*boxes), 10, 1, k)
    return made


def test_boxes_that_are_the_whole_image_are_named_with_their_remedy() -> None:
    text = useless(found(FULL, FULL, [0.0, 0.0, 1.0, 0.98], [0.2, 0.2, 0.6, 0.6]))
    assert text is not None
    for part in ("75% of the boxes", "k = 0.1", "nearly the whole image", "99.0%", "raise the threshold", "coverage"):
        assert part in text


def test_boxes_that_are_points_are_named_with_their_remedy() -> None:
    point = [0.5, 0.5, 0.53, 0.53]
    text = useless(found(point, point, point, FULL, k=0.9))
    assert text is not None
    for part in ("75% of the boxes", "k = 0.9", "nearly a point", "lower the threshold"):
        assert part in text


def test_nothing_is_said_of_useful_boxes() -> None:
    some = [0.2, 0.2, 0.8, 0.8]
    assert useless(found(FULL, some)) is None
    assert useless(found(FULL, [0.5, 0.5, 0.53, 0.53], some, some)) is None
    assert useless(Boxes.unknown(3)) is None


# Overlap ---------------------------------------------------------------------------------------------------------

unit = st.integers(0, 20).map(lambda x: x / 20)
rectangle = st.tuples(unit, unit, unit, unit).map(
    lambda b: [min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])]
)


@given(rectangle, rectangle)
def test_intersection_over_union_counts_cells(a: list[float], b: list[float]) -> None:
    def cells(box: list[float]) -> set[tuple[int, int]]:
        left, top, right, bottom = (round(20 * x) for x in box)
        return {(i, j) for i in range(left, right) for j in range(top, bottom)}

    both, either = cells(a) & cells(b), cells(a) | cells(b)
    assert iou(table(a), table(b)).item() == pytest.approx(len(both) / len(either) if either else 0, abs=1e-5)


@given(rectangle, rectangle, st.sampled_from([0.0, 0.1, 0.5]))
def test_a_miss_counts_cells(crop: list[float], box: list[float], share: float) -> None:
    left, top, right, bottom = crop
    inside = [
        max(0, round(20 * min(right, box[2])) - round(20 * max(left, box[0]))),
        max(0, round(20 * min(bottom, box[3])) - round(20 * max(top, box[1]))),
    ]
    whole = round(20 * (box[2] - box[0])) * round(20 * (box[3] - box[1]))
    missed = misses(table([left, top, right - left, bottom - top]), table(box), share)
    assert missed.tolist() == [inside[0] * inside[1] <= share * whole + 1e-9]


def test_a_view_that_touches_the_object_misses_it() -> None:
    box = table([0.5, 0.25, 0.75, 0.5])
    assert misses(table([0.0, 0.0, 0.5, 1.0]), box).item()
    assert not misses(table([0.0, 0.0, 0.52, 1.0]), box).item()
    assert misses(table([0.0, 0.0, 0.52, 1.0]), box, 0.1).item()
    assert not misses(table([0.6, 0.0, 0.01, 1.0]), box).item()  # its centre is inside, and so is something of the box
