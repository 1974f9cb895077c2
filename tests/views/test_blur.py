"""Blur: a normalised Gaussian, the same by sums of rows as by shifted images."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from pairlens.views.blur import blur, blur_by_sums, blur_kernel


def test_blur_is_a_normalised_gaussian() -> None:
    spot = torch.zeros(1, 3, 15, 15)
    spot[..., 7, 7] = 1
    seen = blur(spot, torch.tensor([1.2]), 9)[0, 0].double()
    distance = torch.arange(-4, 5, dtype=torch.float64)
    bell = torch.exp(-(distance**2) / (2 * 1.2**2))
    bell /= bell.sum()
    assert torch.allclose(seen[3:12, 3:12], torch.outer(bell, bell), atol=1e-6)
    assert torch.equal(blur(spot, torch.zeros(1), 9), spot)


def test_blur_kernels_are_odd_and_a_tenth_of_the_view() -> None:
    assert [blur_kernel(s) for s in (8, 32, 64, 96, 128, 224)] == [3, 3, 7, 9, 13, 23]


@given(
    size=st.integers(2, 60),
    half=st.integers(1, 12),
    sigmas=st.lists(st.floats(0.05, 4), min_size=1, max_size=4),
)
def test_sums_of_rows_blur_as_shifted_images_do(size: int, half: int, sigmas: list[float]) -> None:
    half = min(half, size - 1)
    view = torch.rand(len(sigmas), 3, size, size, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor(sigmas)
    expected = blur(view, sigma, 2 * half + 1)
    assert (blur_by_sums(view, sigma, 2 * half + 1) - expected).abs().max() < 2e-6


def test_taps_that_are_left_out_do_not_count() -> None:
    edge = torch.zeros(1, 3, 64, 64)
    edge[..., 32:] = 1
    for sigma in (0.3, 0.7, 1.0, 1.4):
        deviation = torch.tensor([sigma])
        difference = blur_by_sums(edge, deviation, 23) - blur(edge, deviation, 23)
        assert difference.abs().max() < 1e-6
