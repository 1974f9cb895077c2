"""Stylised copies: which are chosen, and what the two ways without a network keep and change."""

import numpy as np
import pytest
import torch

from pairlens.data.styles import CELLS, LAYOUT, chosen, mix_spectra, shuffle_patches

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def noise(count: int, height: int, width: int | None = None, seed: int = 0, middle: int = 128, spread: int = 20):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, 3, height, width or height, generator=generator)
    return (values * spread + middle).round().clamp(0, 255).byte()


def luminance(images: torch.Tensor) -> np.ndarray:
    return np.einsum("bchw,c->bhw", images.numpy().astype(np.float64), np.array(LUMA))


def test_the_copies_that_were_drawn_are_chosen() -> None:
    pixels = torch.arange(7, dtype=torch.uint8)[:, None, None, None].expand(7, 3, 2, 2).contiguous()
    styles = torch.stack([pixels + 10 * s for s in (1, 2, 3)])
    index, texture = torch.tensor([5, 0, 6, 5, 3]), torch.tensor([0, 3, 1, 2, 0])
    images = pixels[index]
    found = chosen(images, styles, index, texture)
    assert found[:, 0, 0, 0].tolist() == [5, 30, 16, 25, 3]
    assert (found == found[:, :1, :1, :1]).all()
    assert torch.equal(images, pixels[index])


@pytest.mark.parametrize(("height", "width"), [(32, 32), (21, 34)])
def test_slow_waves_stay_and_fast_ones_have_the_others_amplitudes(height: int, width: int) -> None:
    own, other = noise(4, height, width), noise(4, height, width, seed=1, middle=90, spread=12)
    made = np.fft.fft2(luminance(mix_spectra(own, other)))
    before, taken = np.fft.fft2(luminance(own)), np.fft.fft2(luminance(other))
    cycles = np.hypot(np.fft.fftfreq(height, 1 / height)[:, None], np.fft.fftfreq(width, 1 / width)[None])
    rounding = 3.0 * np.sqrt(height * width)  # of amplitudes: the copies are whole numbers
    slow, fast = cycles <= LAYOUT[0], cycles >= LAYOUT[1]
    assert np.abs(made - before)[:, slow].max() < rounding
    assert np.abs(np.abs(made) - np.abs(taken))[:, fast].max() < rounding
    told = fast & (np.abs(before) > 100).all(0) & (np.abs(taken) > 100).all(0)
    assert told.sum() > 50
    assert np.abs(np.angle(made / before))[:, told].max() < 0.3
    assert np.abs(np.abs(before) - np.abs(taken))[:, fast].max() > 10 * rounding  # so that the test says something


def test_colours_stay_where_only_the_texture_changes() -> None:
    own = noise(4, 32)
    change = mix_spectra(own, noise(4, 32, seed=1)).int() - own.int()
    assert change.abs().max() > 20
    assert (change - change[:, :1]).abs().max() <= 1


def test_an_image_with_its_own_texture_is_itself() -> None:
    own = noise(4, 24)
    assert torch.equal(mix_spectra(own, own), own)


def test_what_has_one_colour_stays_as_it_is() -> None:
    flat = torch.full((2, 3, 16, 16), 77, dtype=torch.uint8)
    assert torch.equal(mix_spectra(flat, noise(2, 16)), flat)
    assert (
        luminance(mix_spectra(noise(2, 16), flat)).var((1, 2)).max() < 0.5 * luminance(noise(2, 16)).var((1, 2)).min()
    )


def test_bright_and_dark_pixels_are_clipped_and_do_not_wrap() -> None:
    half = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    half[..., 16:] = 255
    made = mix_spectra(half, noise(1, 32, spread=60))
    assert made[..., 20:28].float().mean() > 200
    assert made[..., 4:12].float().mean() < 55


@pytest.mark.parametrize(("side", "patch"), [(16, 0), (32, 2), (64, 2), (100, 3), (224, 7)])
def test_patches_move_as_a_whole_within_their_cells(side: int, patch: int) -> None:
    own = noise(3, side, spread=60)
    made = shuffle_patches(own, torch.Generator().manual_seed(0))
    if not patch:
        assert torch.equal(made, own)
        return
    cell = side // CELLS // patch * patch
    assert not torch.equal(made, own)
    assert torch.equal(made[..., CELLS * cell :], own[..., CELLS * cell :])
    assert torch.equal(made[:, :, CELLS * cell :], own[:, :, CELLS * cell :])
    for i, row, column in ((0, 0, 0), (1, 3, 5), (2, 7, 7)):
        place = (slice(row * cell, (row + 1) * cell), slice(column * cell, (column + 1) * cell))
        before, after = (sorted(patches(images[i][:, *place], patch)) for images in (own, made))
        assert before == after


def patches(cell: torch.Tensor, side: int) -> list[list[int]]:
    rows = range(0, cell.shape[1], side)
    return [cell[:, y : y + side, x : x + side].flatten().tolist() for y in rows for x in rows]


def test_patches_are_shuffled_by_the_generator_alone() -> None:
    own, before = noise(5, 64), torch.get_rng_state()
    one, same, other = (shuffle_patches(own, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    moved = (one != own).any(1)  # each image in its own way
    assert not torch.equal(moved[0], moved[1])
    assert torch.equal(before, torch.get_rng_state())
