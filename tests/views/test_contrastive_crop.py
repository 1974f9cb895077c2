"""ContrastiveCrop's sampler: inside the image, centred in the box, its law along each axis, and RandomResizedCrop.

B images of the batch.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.views.boxes import Boxes
from pairlens.views.crops import contrastive_crop, crop_sizes, random_resized_crop

MakeDraw = Callable[..., Draw]
SQUARES = {"scale": (0.25, 0.25), "ratio": (1.0, 1.0)}


class Everywhere:
    """The same box for every image, as it is: also where `Boxes` would refuse it."""

    def __init__(self, *box: float) -> None:
        self.box = torch.tensor(box)

    def of(self, index: Tensor) -> Tensor:
        return self.box.repeat(len(index), 1)


def draw_of_size(height: int, width: int, seed: int = 0, batch: int = 16) -> Draw:
    sizes = torch.tensor([[height, width]]).repeat(batch, 1)
    generator = torch.Generator().manual_seed(seed)
    return Draw(torch.arange(batch), sizes, 0, 0, generator, generator)


def whole_pixels(crop: Tensor, draw: Draw) -> Tensor:
    """Left, top, width and height; checked to be whole."""
    frame = draw.sizes.flip(1).repeat(1, 2)
    found = crop.double() * frame
    torch.testing.assert_close(found, found.round(), rtol=0, atol=2e-3)
    return found.round().long()


edge = st.floats(-0.5, 1.5) | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
ranges = {
    "size": st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    "scale": st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1)).map(sorted).map(tuple),
    "ratio": st.tuples(st.floats(0.05, 20), st.floats(0.05, 20)).map(sorted).map(tuple),
    "box": st.tuples(edge, edge, edge, edge),
    "alpha": st.sampled_from([0.1, 0.6, 1.0, 2.0]),
    "seed": st.integers(0, 999),
}


@given(**ranges)
@example((1, 5000), (0.2, 1.0), (3 / 4, 4 / 3), (0.3, 0.2, 0.6, 0.9), 0.1, 0)
@example((5000, 1), (0.2, 1.0), (0.05, 20.0), (0.3, 0.2, 0.6, 0.9), 0.6, 1)
@example((50, 70), (0.01, 0.1), (0.5, 2.0), (0.8, 0.9, 0.2, 0.1), 0.1, 2)
@example((50, 70), (0.01, 0.1), (0.5, 2.0), (1.2, -0.9, 1.4, -0.5), 0.6, 3)
@example((50, 70), (0.01, 0.1), (0.5, 2.0), (0.5, 0.5, 0.5, 0.5), 1.0, 4)
def test_crops_lie_inside_and_their_centres_in_the_box_unless_the_border_keeps_them(
    size: tuple, scale: tuple, ratio: tuple, box: tuple, alpha: float, seed: int
) -> None:
    height, width = size
    draw = draw_of_size(height, width, seed)
    _, found = crop_sizes(draw_of_size(height, width, seed), scale, ratio)
    crop = whole_pixels(contrastive_crop(Everywhere(*box), alpha, scale, ratio)(draw), draw).tolist()
    for (left, top, w, h), tried in zip(crop, found.tolist(), strict=True):
        assert w >= 1 <= h
        for offset, extent, side, edges in ((left, w, width, box[::2]), (top, h, height, box[1::2])):
            assert 0 <= offset <= side - extent
            if not tried:
                assert offset == (side - extent) // 2
                continue
            centre = offset + extent / 2
            first, last = (float(np.float32(x)) * side for x in edges)
            if first - 1 / 256 <= centre <= last + 1 / 256:
                continue
            if offset in (0, side - extent):  # the border keeps it from a box that lies beyond, or from its middle
                assert (offset == 0 and centre > last - 1) or (offset == side - extent and centre < first + 1)
            else:  # no whole pixel at which the centre is inside
                assert last - first < 1
                assert abs(centre - (first + last) / 2) <= 0.5 + 1 / 128


@given(**ranges)
def test_whole_boxes_with_alpha_one_are_random_resized_crop_bit_for_bit(
    size: tuple, scale: tuple, ratio: tuple, box: tuple, alpha: float, seed: int
) -> None:
    ours, plain = draw_of_size(*size, seed), draw_of_size(*size, seed)
    expected = random_resized_crop(scale, ratio)(plain)
    assert torch.equal(contrastive_crop(Boxes.whole(16), 1.0, scale, ratio)(ours), expected)
    assert torch.equal(ours.views.get_state(), plain.views.get_state())
    warming_up = contrastive_crop(Boxes.unknown(16), alpha, scale, ratio)
    assert torch.equal(warming_up(draw_of_size(*size, seed)), expected)
    boxed = draw_of_size(*size, seed)
    found = contrastive_crop(Everywhere(*box), alpha, scale, ratio)(boxed)
    assert torch.equal(found[:, 2:], expected[:, 2:])  # the same sizes
    assert torch.equal(boxed.views.get_state(), plain.views.get_state())  # and as many numbers


def test_whole_boxes_with_alpha_one_have_random_resized_crops_law(make_draw: MakeDraw) -> None:
    """Not with the same numbers: two seeds, Kolmogorov-Smirnov on a large sample."""
    count, height, width = 20_000, 375, 500
    ours = contrastive_crop(Boxes.whole(count), 1.0)(make_draw(count, seed=1, height=height, width=width))
    plain = random_resized_crop()(make_draw(count, seed=2, height=height, width=width))
    for column in range(4):
        assert stats.ks_2samp(ours[:, column], plain[:, column]).pvalue > 1e-3


def test_every_offset_is_as_likely_at_alpha_one(make_draw: MakeDraw) -> None:
    """A square of 16 px in an image of 32: the box from 8 to 20 px leaves the offsets 0 to 12."""
    count = 26_000
    crop = contrastive_crop(Boxes.known(torch.tensor([[8, 0, 20, 32]]).repeat(count, 1) / 32), 1.0, **SQUARES)
    left = (crop(make_draw(count))[:, 0] * 32).long()
    assert left.unique().tolist() == list(range(13))
    assert stats.chisquare(left.bincount()).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.1, 0.6, 1.0, 2.0])
def test_offsets_follow_the_beta_law(alpha: float, make_draw: MakeDraw) -> None:
    """Of an image of 4000 px a crop has 2000; the box from 1200 to 2200 px leaves the offsets 200 to 1200."""
    count, side, law = 20_000, 4000, stats.beta(alpha, alpha)
    boxes = Boxes.known(torch.tensor([[0.3, 0.3, 0.55, 0.55]]).repeat(count, 1))
    draw = make_draw(count, height=side, width=side)
    crop = whole_pixels(contrastive_crop(boxes, alpha, **SQUARES)(draw), draw)
    assert (crop[:, 2:] == 2000).all()
    for offset in crop[:, :2].T - 200:
        steps = 1001  # whole pixels: cell i of 1001 holds what falls between i / 1001 and (i + 1) / 1001
        found = offset.bincount(minlength=steps)
        assert len(found) == steps
        gap = np.abs(found.cumsum(0).numpy() / count - law.cdf(np.arange(1, steps + 1) / steps)).max()
        assert stats.kstwo(count).sf(gap) > 1e-3
        spread = (offset + torch.rand(count, generator=draw.features)) / steps
        middle = (offset > 10) & (offset < 990)  # within a cell the law is nearly even, but for its ends
        low, high = law.cdf(11 / steps), law.cdf(990 / steps)
        assert stats.kstest(spread[middle].numpy(), lambda x, a=low, b=high: (law.cdf(x) - a) / (b - a)).pvalue > 1e-3
    assert abs(stats.spearmanr(*crop[:, :2].T.numpy()).statistic) < 5 / count**0.5


def test_both_views_and_both_axes_are_drawn_anew(make_draw: MakeDraw) -> None:
    draw, sample = make_draw(2000, height=400, width=400), contrastive_crop(Boxes.whole(2000), 0.6, **SQUARES)
    first, second = sample(draw), sample(draw)
    assert abs(stats.pearsonr(first[:, 0], second[:, 0]).statistic) < 0.1
    assert abs(stats.pearsonr(first[:, 0], first[:, 1]).statistic) < 0.1


def test_a_small_alpha_keeps_crops_apart(make_draw: MakeDraw) -> None:
    def distance(alpha: float) -> float:
        draw, sample = make_draw(4000, height=400, width=400), contrastive_crop(Boxes.central(4000), alpha, **SQUARES)
        return (sample(draw)[:, 0] - sample(draw)[:, 0]).abs().mean().item()

    assert distance(0.1) > 1.3 * distance(1.0) > 1.3 * distance(4.0)


def test_the_bounds_are_clamped_and_not_the_sample(make_draw: MakeDraw) -> None:
    """A box in the corner: its crops share the offsets that the border leaves, and do not pile up at it."""
    count = 8000
    boxes = Boxes.known(torch.tensor([[0.0, 0.0, 0.5, 0.5]]).repeat(count, 1))  # of 400 px, crops of 200
    offset = contrastive_crop(boxes, 1.0, **SQUARES)(make_draw(count, height=400, width=400))[:, :2] * 400
    assert offset.max().round() == 100
    assert (offset == 0).double().mean() < 0.02  # 1 of 101; clamping the sample would make it half


def test_edges_of_pixels_survive_as_fractions(make_draw: MakeDraw) -> None:
    """An edge between two pixels of 41 is at i / 41, which float32 cannot hold."""
    low = torch.arange(10, 30)
    for side in (41, 49, 97, 333):
        box = torch.stack([low / side, low / side, low / side, low / side], 1)
        draw = draw_of_size(side, side, batch=20)
        size = (2 / side) ** 2  # crops of 2 px: their centre is on the edge, exactly
        crop = whole_pixels(contrastive_crop(Boxes.known(box), 0.6, (size, size), (1.0, 1.0))(draw), draw)
        assert torch.equal(crop[:, :2], (low - 1)[:, None].repeat(1, 2))


def test_new_boxes_are_seen_by_the_next_draw(make_draw: MakeDraw) -> None:
    boxes = Boxes.unknown(8)
    sample = contrastive_crop(boxes, 0.6, **SQUARES)
    boxes.refresh(torch.tensor([[0.5, 0.5, 0.5, 0.5]]).repeat(8, 1), 10, 1, 0.1)
    assert torch.equal(sample(make_draw())[:, :2], torch.full((8, 2), 0.25))


def test_each_image_has_its_own_box(make_draw: MakeDraw) -> None:
    corner = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0]])
    draw = draw_of_size(32, 32, batch=3)
    shuffled = Draw(torch.tensor([2, 0, 1]), draw.sizes, 0, 0, draw.views, draw.features)
    found = contrastive_crop(Boxes.known(corner), 0.6, **SQUARES)(shuffled)
    assert found[:, :2].tolist() == [[0.5, 0.0], [0.0, 0.0], [0.5, 0.5]]


@pytest.mark.parametrize("alpha", [0.0, -0.1, float("nan")])
def test_alpha_must_be_positive(alpha: float) -> None:
    with pytest.raises(InputError, match="alpha"):
        contrastive_crop(Boxes.whole(1), alpha)


def test_ranges_are_checked() -> None:
    with pytest.raises(InputError, match="scale"):
        contrastive_crop(Boxes.whole(1), 0.6, (0.0, 1.0))
    with pytest.raises(InputError, match="ratio"):
        contrastive_crop(Boxes.whole(1), 0.6, (0.2, 1.0), (2.0, 1.0))
