"""Mixing views: rectangles against CutMix written as loops, and the share that is told against the share there is.

B images, S view size.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pairlens.views.mixing import draw_share, mix_reversed, outside_rectangle


def cutmix(lam: float, row: int, column: int, size: int) -> list[list[float]]:
    """The box of the paper (Eq. 2) in whole pixels, as its authors' code cuts it: 0 inside, 1 outside."""
    half = int(size * math.sqrt(1 - lam)) // 2
    top, bottom = max(0, row - half), min(size, row + half)
    left, right = max(0, column - half), min(size, column + half)
    return [[float(not (top <= y < bottom and left <= x < right)) for x in range(size)] for y in range(size)]


@given(st.integers(2, 24), st.integers(0, 64), st.integers(0, 63), st.integers(0, 63))
def test_the_rectangle_is_that_of_cutmix(size: int, lam: int, row: int, column: int) -> None:
    share = outside_rectangle(torch.tensor(lam / 64), torch.tensor([row, column]) / 64, size)
    assert share.tolist() == cutmix(lam / 64, row * size // 64, column * size // 64, size)


def drawn(seed: int, cut: float, lam: float = 0.3, size: int = 13) -> tuple[Tensor, Tensor]:
    return draw_share(torch.tensor(lam), size, cut, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(20))
def test_lambda_is_exactly_the_share_of_pixels_that_stay(seed: int) -> None:
    share, lam = drawn(seed, cut=1.0)
    assert lam.item() == pytest.approx(sum(map(sum, share.tolist())) / 13**2, abs=1e-7)
    assert set(share.unique().tolist()) == {0.0, 1.0}
    share, lam = drawn(seed, cut=0.0)
    assert lam == torch.tensor(0.3)
    assert (share == lam).all()


def test_rectangles_come_as_often_as_is_asked_for_and_anywhere() -> None:
    shares = [drawn(seed, cut=0.25)[0] for seed in range(400)]
    cuts = [share for share in shares if share.unique().numel() == 2]
    assert 70 <= len(cuts) <= 130
    assert (torch.stack(cuts).amin(0) == 0).all()


def test_each_pixel_comes_from_the_image_that_the_share_names() -> None:
    views = torch.randn(5, 3, 13, 13, generator=torch.Generator().manual_seed(0))
    share, _ = drawn(1, cut=1.0)
    mixed = mix_reversed(views, share)
    for b in range(5):
        assert torch.equal(mixed[b][:, share == 1], views[b][:, share == 1])
        assert torch.equal(mixed[b][:, share == 0], views[4 - b][:, share == 0])
    share, lam = drawn(1, cut=0.0)
    torch.testing.assert_close(mix_reversed(views, share), lam * views + (1 - lam) * views.flip(0))


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_at_lambda_1_every_view_stays_as_it_is(cut: float) -> None:
    views = torch.randn(4, 3, 13, 13, generator=torch.Generator().manual_seed(0))
    share, lam = drawn(0, cut, lam=1.0)
    assert lam == 1
    assert torch.equal(mix_reversed(views, share), views)


def test_nothing_is_drawn_from_the_global_generator_and_always_as_much() -> None:
    before, generators = torch.get_rng_state(), [torch.Generator().manual_seed(0) for _ in range(2)]
    for cut, generator in zip((0.0, 1.0), generators, strict=True):
        draw_share(torch.tensor(0.5), 8, cut, generator)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(generators[0].get_state(), generators[1].get_state())
