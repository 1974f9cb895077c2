"""What the few bytes say of an image: the same after harmless changes, another for another picture."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pairlens.data import looks as looks_module
from pairlens.data.looks import CHUNK, HORIZONTAL, VERTICAL, alike, detail_apart, look_at_all
from pairlens.data.near import bits_apart


def pictures(count, side=64, seed=0):
    """Smooth shapes and detail of several scales in colour: no two are alike."""
    draw = torch.Generator().manual_seed(seed)
    layers = [
        (scale**-0.7) * F.interpolate(torch.randn(count, 3, scale, scale, generator=draw), side, mode="bicubic")
        for scale in (2, 4, 8, 16)
    ]
    return (128 + 60 * sum(layers)).clamp(0, 255).byte()


def looks(pixels):
    return look_at_all(pixels, lambda done, total: None)


def same_picture(a, b, mirrored=False):
    rows = np.arange(len(a))
    return alike(looks(a), rows, looks(b), rows, mirrored)


def test_sixty_four_different_frequencies_without_the_mean():
    pairs = set(zip(VERTICAL, HORIZONTAL, strict=True))
    assert len(pairs) == 64
    assert (0, 0) not in pairs
    assert {(0, 1), (1, 0), (1, 1)} <= pairs


def test_bits_are_the_signs_of_the_cosine_transform():
    """By a naive sum over a thumbnail-sized image, which is not resized."""
    picture = pictures(3, side=24)
    gray = (picture.double() * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1).numpy()
    place = (np.arange(24) + 0.5) / 24
    for image, bits in zip(gray, looks(picture).bits, strict=True):
        for k, (v, u) in enumerate(zip(VERTICAL, HORIZONTAL, strict=True)):
            wave = np.cos(np.pi * v * place)[:, None] * np.cos(np.pi * u * place)
            assert (int(bits) >> k & 1) == int((image * wave).sum() > 0)


def test_bits_of_different_pictures_are_far_apart_and_balanced():
    bits = looks(pictures(200)).bits
    i, j = np.triu_indices(200, 1)
    assert bits_apart(bits[i], bits[j]).min() > 8
    share = (bits[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)).mean(0)
    assert 0.3 < share.min() < share.max() < 0.7


def test_mirrored_bits_are_those_of_the_mirror_image():
    picture = pictures(50)
    here, there = looks(picture), looks(picture.flip(3))
    assert np.mean(bits_apart(here.mirrored, there.bits)) < 0.1  # a sign of nearly nothing may turn by rounding
    assert same_picture(picture, picture.flip(3), mirrored=True).all()
    assert not same_picture(picture, picture.flip(3)).any()


@pytest.mark.parametrize("side", [24, 48, 143])
def test_the_stored_size_does_not_matter(side):
    picture = pictures(40)
    other = F.interpolate(picture.float(), (side, side), mode="bicubic", antialias=True).clamp(0, 255).byte()
    assert bits_apart(looks(picture).bits, looks(other).bits).max() <= 3
    assert same_picture(picture, other).all()


def test_equal_pixels_and_only_they_have_equal_digests():
    picture = pictures(5)
    picture[1] = picture[0]
    picture[2] = picture[0]
    picture[2, 0, 0, 0] ^= 1
    digest = looks(picture).digest
    assert digest[0] == digest[1]
    assert len(set(digest.tolist())) == 4


def test_blank_images_are_known_by_their_colour():
    levels = torch.tensor([[250, 250, 250], [251, 251, 251], [250, 250, 200], [0, 0, 0]])
    blank = levels.byte()[:, :, None, None].expand(4, 3, 32, 32)
    speck = blank[0].clone()
    speck[0, 3, 5] -= 9  # hardly seen: its waves' signs would be all but random
    seen = looks(torch.cat([blank, speck[None]]))
    assert seen.bits[0] == seen.bits[1] == seen.bits[4]
    assert len(set(seen.bits.tolist())) == 3
    assert (seen.bits == seen.mirrored).all()
    assert bits_apart(seen.bits[[0, 0, 2]], seen.bits[[2, 3, 3]]).min() > 8


def test_a_shifted_copy_is_nearer_than_the_shift_alone_would_leave_it():
    big = F.interpolate(pictures(30, side=96).float(), (192, 192), mode="bicubic", antialias=True).clamp(0, 255).byte()
    a, b = looks(big[:, :, 2:, 2:]).gray, looks(big[:, :, :-2, :-2]).gray
    apart = detail_apart(a, b)
    assert apart.max() < 0.06
    plain = (looks_module._detail(a) - looks_module._detail(b)).square().mean((1, 2, 3))
    assert (apart < 0.5 * plain).all()


def test_different_pictures_share_no_detail():
    gray = looks(pictures(40)).gray
    apart = detail_apart(gray[:20], gray[20:])
    assert apart.min() > 1
    torch.testing.assert_close(apart, detail_apart(gray[20:], gray[:20]))


def test_a_small_thing_changed_before_one_background_is_another_picture():
    picture = pictures(30)
    other = picture.clone()
    other[:, :, 20:44, 20:44] = pictures(30, seed=1)[:, :, 20:44, 20:44]
    assert not same_picture(picture, other).any()


def test_another_colour_is_another_picture_and_another_light_is_not():
    picture = (pictures(30).int() // 3 + 85).byte()
    recoloured = picture.int() + torch.tensor([90, -46, 0])[:, None, None]  # of the same luminance
    assert (looks(picture).bits == looks(recoloured.byte()).bits).mean() > 0.5
    assert not same_picture(picture, recoloured.byte()).any()
    assert same_picture(picture, (1.2 * picture).byte()).all()


def test_a_thing_of_another_colour_and_equal_light_is_another_picture():
    one, luminance = pictures(20).float(), torch.tensor([0.299, 0.587, 0.114])
    colour = torch.tensor([80.0, -30.0, 0.0])
    colour -= (colour * luminance).sum()
    thing = torch.zeros(64, 64)
    thing[24:40, 24:40] = 1
    other = (one + colour[:, None, None] * thing).clamp(0, 255)
    assert same_picture(one.byte(), (one + colour[:, None, None] / 4).clamp(0, 255).byte()).mean() > 0.9  # a tint
    gray = (one * luminance[:, None, None]).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    assert same_picture(one.byte(), gray.byte()).mean() > 0.5
    assert not same_picture(one.byte(), other.byte()).any()


def test_images_are_taken_by_rows_few_at_a_time():
    class Lazy:
        asked = ()

        def __len__(self):
            return 2 * CHUNK + 3

        def __getitem__(self, rows):
            assert isinstance(rows, torch.Tensor)
            self.asked = (*self.asked, *rows.tolist())
            assert len(rows) <= CHUNK
            return pictures(2 * CHUNK + 3, side=16)[rows]

    told, lazy = [], Lazy()
    seen = look_at_all(lazy, lambda done, total: told.append((done, total)))
    assert lazy.asked == tuple(range(len(lazy)))
    assert told == [(CHUNK, len(lazy)), (2 * CHUNK, len(lazy)), (len(lazy), len(lazy))]
    every = looks(pictures(2 * CHUNK + 3, side=16))
    assert (seen.bits == every.bits).all()
    assert (seen.digest == every.digest).all()
    assert torch.equal(seen.gray, every.gray)
