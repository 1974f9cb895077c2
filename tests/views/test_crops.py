"""Crop samplers: RandomResizedCrop's distribution, derived anew with a loop, and rectangles that stay inside."""

import math
import random
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.views.crops import crop_sizes, full_image, random_resized_crop

MakeDraw = Callable[..., Draw]
SCALE, RATIO = (0.2, 1.0), (3 / 4, 4 / 3)


def naive_crop(
    rng: random.Random, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """RandomResizedCrop from its description: left, top, width, height in pixels."""
    for _ in range(10):
        area = rng.uniform(*scale) * height * width
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            return rng.randint(0, width - w), rng.randint(0, height - h), w, h
    w, h = width, height
    if width / height < ratio[0]:
        h = round(width / ratio[0])
    elif width / height > ratio[1]:
        w = round(height * ratio[1])
    return (width - w) // 2, (height - h) // 2, w, h


def pixels(crop: Tensor, height: int, width: int) -> Tensor:
    return crop.double() * torch.tensor([width, height, width, height])


@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [
        (32, 32, SCALE, RATIO),
        (375, 500, (0.08, 1.0), RATIO),
        (60, 200, SCALE, RATIO),  # many tries fail
        (40, 60, (0.02, 0.1), (1 / 3, 3.0)),
    ],
)
def test_distribution_is_that_of_random_resized_crop(
    make_draw: MakeDraw, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    count, rng = 4000, random.Random(0)
    drawn = pixels(random_resized_crop(scale, ratio)(make_draw(count, height=height, width=width)), height, width)
    naive = torch.tensor([naive_crop(rng, height, width, scale, ratio) for _ in range(count)], dtype=torch.float64)

    def features(crop: Tensor) -> dict[str, Tensor]:
        left, top, w, h = crop.round().unbind(1)
        free = torch.stack([(width - w).clamp(min=1), (height - h).clamp(min=1)])
        return {"left": left, "top": top, "width": w, "height": h, "area": w * h, "ratio": w / h, "x": left / free[0]}

    for name, ours in features(drawn).items():
        assert stats.ks_2samp(ours, features(naive)[name]).pvalue > 1e-3, name


def test_rectangles_are_whole_pixels_of_the_original(make_draw: MakeDraw) -> None:
    crop = pixels(random_resized_crop()(make_draw(500, height=37, width=211)), 37, 211)
    assert torch.allclose(crop, crop.round(), atol=1e-4)
    assert (crop[:, 2:].round() >= 1).all()


def test_offsets_reach_both_ends(make_draw: MakeDraw) -> None:
    crop = pixels(random_resized_crop((0.5, 0.9), (1.0, 1.0))(make_draw(4000, height=8, width=8)), 8, 8).round()
    room = 8 - crop[:, 2:]
    offset = crop[:, :2]
    assert (offset == 0).any(0).all()
    assert (offset == room)[room > 0].any()


@pytest.mark.parametrize(("height", "width"), [(10, 300), (300, 10), (1, 9)])
def test_impossible_sizes_fall_back_to_the_centre(make_draw: MakeDraw, height: int, width: int) -> None:
    draw = make_draw(64, height=height, width=width)
    crop = pixels(random_resized_crop((0.9, 1.0))(draw), height, width).round().long()
    expected = naive_crop(random.Random(0), height, width, (0.9, 1.0), RATIO)
    assert crop.tolist() == [list(expected)] * 64
    assert not crop_sizes(draw, (0.9, 1.0), RATIO)[1].any()


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    scale=st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1)).map(sorted),
    ratio=st.tuples(st.floats(0.05, 20), st.floats(0.05, 20)).map(sorted),
    seed=st.integers(0, 999),
)
def test_crops_lie_inside_the_image(height: int, width: int, scale: list, ratio: list, seed: int) -> None:
    sizes = torch.tensor([[height, width]]).repeat(16, 1)
    generator = torch.Generator().manual_seed(seed)
    crop = random_resized_crop(tuple(scale), tuple(ratio))(Draw(torch.arange(16), sizes, 0, 0, generator, generator))
    assert crop.dtype == torch.float32
    assert (crop[:, :2] >= 0).all()
    assert (crop[:, 2:] > 0).all()
    assert (crop[:, :2] + crop[:, 2:] <= 1 + 1e-6).all()


def test_each_image_has_its_own_size(make_draw: MakeDraw) -> None:
    sizes = torch.tensor([[20, 20], [400, 100], [100, 400]]).repeat(300, 1)
    generator = torch.Generator().manual_seed(0)
    crop = random_resized_crop((0.3, 0.3), (1.0, 1.0))(Draw(torch.arange(900), sizes, 0, 0, generator, generator))
    side = crop[:, 2:] * sizes.flip(1)
    assert torch.allclose(side[:, 0], side[:, 1], atol=1e-3)
    assert side[::3].unique().round().tolist() == [11.0]
    assert torch.allclose(side[1::3], torch.tensor(100.0))  # 110 pixels do not fit 100: the central square


def test_full_image_draws_nothing(make_draw: MakeDraw) -> None:
    draw = make_draw(3)
    before = draw.views.get_state()
    assert full_image()(draw).tolist() == [[0, 0, 1, 1]] * 3
    assert torch.equal(before, draw.views.get_state())


def test_same_seed_same_crops(make_draw: MakeDraw) -> None:
    sample = random_resized_crop()
    assert torch.equal(sample(make_draw(seed=3)), sample(make_draw(seed=3)))
    assert not torch.equal(sample(make_draw(seed=3)), sample(make_draw(seed=4)))


@pytest.mark.parametrize("scale", [(0.0, 1.0), (0.5, 0.2), (-1.0, 1.0), (0.2, 1.5), (float("nan"), 1.0)])
def test_bad_scale(scale: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="scale"):
        random_resized_crop(scale)


@pytest.mark.parametrize("ratio", [(0.0, 1.0), (2.0, 1.0), (1.0, float("inf"))])
def test_bad_ratio(ratio: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="ratio"):
        random_resized_crop((0.2, 1.0), ratio)
