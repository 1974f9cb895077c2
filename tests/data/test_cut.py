"""Views cut from files: the right pixels of the upright image, as `render` makes them, for every kind of file."""

import os
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pairlens.data import cut as cut_module
from pairlens.data import decode
from pairlens.data.cut import View, _reduction, _span, cut_file
from pairlens.data.decode import Unreadable, decode_stored
from pairlens.views.params import ViewParams
from pairlens.views.render import render

TURN = Image.Transpose
STORED_AS = {  # how an upright image is turned before it is stored with an orientation
    2: TURN.FLIP_LEFT_RIGHT,
    3: TURN.ROTATE_180,
    4: TURN.FLIP_TOP_BOTTOM,
    5: TURN.TRANSPOSE,
    6: TURN.ROTATE_90,
    7: TURN.TRANSVERSE,
    8: TURN.ROTATE_270,
}
WHOLE = [0.0, 0.0, 1.0, 1.0]


@pytest.fixture(params=["simplejpeg", "Pillow"])
def decoder(request, monkeypatch):
    if request.param == "simplejpeg":
        pytest.importorskip("simplejpeg")
    monkeypatch.setattr(decode, "_FAST_JPEG", request.param == "simplejpeg")
    return request.param


def photograph(width=150, height=110) -> Image.Image:
    """Smooth colours with some noise."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + rng.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8))


def save(image: Image.Image, path, turn=1, **options) -> None:
    """Store an upright image as a camera does that was held at an orientation."""
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = image if turn == 1 else image.transpose(STORED_AS[turn])
    stored.save(path, **options, **({} if turn == 1 else {"exif": exif}))


def crop_of(left, top, right, bottom, width, height) -> list[float]:
    """Fractions in float32, as plans draw them."""
    box = torch.tensor([left / width, top / height, (right - left) / width, (bottom - top) / height])
    return box.float().tolist()


def view_of(crop, side) -> View:
    return View(crop, np.zeros((3, side, side), np.uint8))


def cut(path, crop, side=32) -> np.ndarray:
    view = view_of(crop, side)
    assert cut_file(path, [view]) is None
    return view.out.astype(int)


def expected(image: Image.Image, crop, side=32) -> np.ndarray:
    pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].contiguous()
    params = replace(ViewParams.identity(1), crop=torch.tensor([crop]))
    return render(pixels, params, side)[0].mul(255).numpy()


BOXES = [(0, 0, 150, 110), (13, 7, 100, 110), (40, 31, 61, 50), (149, 109, 150, 110), (3, 0, 4, 110)]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("side", [5, 32, 200])
def test_a_view_is_what_the_float_crop_makes(tmp_path, box, side):
    image = photograph()
    image.save(tmp_path / "a.png")
    crop = crop_of(*box, 150, 110)
    assert np.abs(cut(tmp_path / "a.png", crop, side) - expected(image, crop, side)).max() < 1.01


@pytest.mark.parametrize("box", BOXES)
def test_a_jpegs_view_is_what_the_float_crop_makes_of_its_pixels(tmp_path, decoder, box):
    photograph().save(tmp_path / "a.jpg", quality=90)
    crop = crop_of(*box, 150, 110)
    found = cut(tmp_path / "a.jpg", crop, 90)  # too large for any reduction
    assert np.abs(found - expected(Image.open(tmp_path / "a.jpg"), crop, 90)).max() < 1.01


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_rectangles_are_of_the_upright_image(tmp_path, turn, name, decoder):
    image = photograph()
    save(image, tmp_path / name, turn, quality=95)
    for box in BOXES[:3]:
        crop = crop_of(*box, 150, 110)
        assert np.abs(cut(tmp_path / name, crop, 60) - expected(image, crop, 60)).mean() < (0.5 if "png" in name else 5)


@pytest.mark.parametrize("turn", [1, 3, 6, 7])
def test_a_reduced_jpeg_shows_the_same_rectangle(tmp_path, turn, decoder):
    """On sides that no reduction divides, by both decoders alike."""
    image = photograph(643, 485)
    save(image, tmp_path / "a.jpg", turn, quality=95)
    data = (tmp_path / "a.jpg").read_bytes()
    for box, reduction in [((0, 0, 643, 485), 8), ((101, 53, 400, 351), 8), ((501, 153, 643, 300), 4)]:
        crop = crop_of(*box, 643, 485)
        assert np.abs(cut(tmp_path / "a.jpg", crop) - expected(image, crop)).mean() < 3
        views = [view_of(crop, 32)]
        stored = decode_stored(data, lambda height, width, views=views: _reduction(views, height, width))
        assert stored.reduction == reduction
        assert sorted(stored.pixels.shape) == [3, -(-485 // reduction), -(-643 // reduction)]


def test_a_rectangle_of_a_reduced_jpeg_shifts_by_less_than_half_a_pixel_of_the_view(tmp_path, decoder):
    ramp = np.tile(np.linspace(0, 255, 512), (512, 1)).round().astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=95)
    slope = 400 / 64 * 255 / 512  # grey levels a pixel of the view
    for left in range(16):
        crop = crop_of(left, 3, left + 400, 490, 512, 512)
        found = cut(tmp_path / "a.jpg", crop, 64)
        assert np.abs(found - expected(Image.open(tmp_path / "a.jpg"), crop, 64)).max() < slope / 2 + 2


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4, st.integers(2, 256)), min_size=1, max_size=4),
)
def test_reduction_and_rounding_for_any_rectangle(size, drawn):
    height, width = size
    views, extents = [], []
    for left, top, w, h, side in drawn:
        crop = [left, top, w * (1 - left), h * (1 - top)]
        x0, y0, x1, y1 = _span(crop, height, width)
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        exact = (crop[0] * width, crop[1] * height, (crop[0] + crop[2]) * width, (crop[1] + crop[3]) * height)
        assert all(abs(a - b) <= 1.5 for a, b in zip((x0, y0, x1, y1), exact, strict=True))
        views.append(view_of(crop, side))
        extents.append(min(crop[2] * width, crop[3] * height) / side)
    reduction = _reduction(views, height, width)
    assert reduction == 1 or min(extents) > reduction - 1e-3
    assert reduction == 8 or min(extents) < 2 * reduction + 1e-3


def test_the_smallest_rectangle_decides_and_a_file_is_decoded_once(tmp_path, monkeypatch):
    photograph(640, 480).save(tmp_path / "a.jpg")
    decoded = []
    real = decode_stored
    monkeypatch.setattr(cut_module, "decode_stored", lambda *args: decoded.append(real(*args)) or decoded[-1])
    part = crop_of(0, 0, 130, 100, 640, 480)
    for crops in ([WHOLE, WHOLE, part[::-1]], [WHOLE, part]):
        assert cut_file(tmp_path / "a.jpg", [view_of(crop, 32) for crop in crops]) is None
    assert [found.reduction for found in decoded] == [1, 2]


def test_equal_rectangles_are_resized_once(tmp_path, monkeypatch):
    photograph().save(tmp_path / "a.png")
    calls = []
    real = cut_module._resized
    monkeypatch.setattr(cut_module, "_resized", lambda *args: calls.append(args[1:]) or real(*args))
    crop, other = crop_of(3, 5, 90, 80, 150, 110), crop_of(3, 5, 91, 80, 150, 110)
    views = [view_of(c, side) for c, side in ((crop, 32), (crop, 32), (other, 32), (crop, 16))]
    assert cut_file(tmp_path / "a.png", views) is None
    assert len(calls) == 3
    assert np.array_equal(views[0].out, views[1].out)
    assert not np.array_equal(views[0].out, views[2].out)


def test_modes(tmp_path, decoder):
    for name in ("a.jpg", "a.png", "a.webp"):
        Image.new("L", (40, 30), 77).save(tmp_path / name)
        assert np.abs(cut(tmp_path / name, WHOLE) - 77).max() <= 2
    Image.fromarray(np.full((30, 40), 77 * 257, np.uint16)).save(tmp_path / "deep.png")
    assert np.unique(cut(tmp_path / "deep.png", WHOLE)).tolist() == [77]
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert cut(tmp_path / "clear.png", WHOLE).min() == 255
    palette = Image.new("P", (40, 30), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(1, (0, 0, 20, 30))
    palette.save(tmp_path / "a.gif", transparency=0)
    found = cut(tmp_path / "a.gif", WHOLE)
    assert (found[:, 16, 4].tolist(), found[:, 16, 28].tolist()) == ([0, 0, 255], [255, 255, 255])
    photograph().convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert np.abs(cut(tmp_path / "cmyk.jpg", WHOLE, 60) - expected(photograph(), WHOLE, 60)).mean() < 6


def test_an_image_too_large_is_pillows_to_judge(tmp_path, monkeypatch):
    photograph().save(tmp_path / "a.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150 * 110 // 2 - 1)
    assert "bomb" in cut_file(tmp_path / "a.jpg", [view_of(WHOLE, 32)]).reason


def test_orientation_in_xmp_counts_as_it_does_for_pillow(tmp_path, decoder):
    image = photograph()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
    image.transpose(TURN.ROTATE_90).save(tmp_path / "a.jpg", xmp=xmp, quality=95)
    assert np.abs(cut(tmp_path / "a.jpg", WHOLE, 60) - expected(image, WHOLE, 60)).mean() < 5


@pytest.mark.parametrize(("width", "height"), [(1, 5000), (5000, 1), (1, 1), (3, 700)])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_extreme_shapes(tmp_path, width, height, name, decoder):
    Image.new("RGB", (width, height), (10, 200, 30)).save(tmp_path / name)
    for crop in (WHOLE, [0.0, 0.5, 1.0, 1 / 5000], [0.999, 0.999, 0.001, 0.001]):
        assert np.abs(cut(tmp_path / name, crop, 64) - np.array([10, 200, 30])[:, None, None]).max() < 5


def test_a_tall_image_is_antialiased(tmp_path):
    Image.fromarray(np.tile(np.array([0, 255], np.uint8), 2500)[:, None]).save(tmp_path / "a.png")
    assert np.abs(cut(tmp_path / "a.png", WHOLE, 64) - 127.5).max() < 3


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.jpg", "the file is empty"),
        ("text.jpg", "not an image, or of an unknown format"),
        ("end.jpg", "truncated"),
        ("half.jpg", "truncated"),
        ("head.jpg", ""),
        ("folder.jpg", "IsADirectoryError"),
        ("gone.jpg", "FileNotFoundError: No such file or directory"),
        ("dangling.jpg", "FileNotFoundError"),
    ],
)
def test_what_cannot_be_read_gives_a_reason(tmp_path, name, reason, decoder):
    photograph().save(tmp_path / "good.jpg")
    good = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello, world")
    (tmp_path / "end.jpg").write_bytes(good[:-400])
    (tmp_path / "half.jpg").write_bytes(good[: len(good) // 2])
    (tmp_path / "head.jpg").write_bytes(good[:30])
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    found = cut_file(tmp_path / name, [view_of(WHOLE, 8)])
    assert isinstance(found, Unreadable)
    assert reason in found.reason
    assert "\n" not in found.reason


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path):
    photograph().save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    assert cut_file(tmp_path / "a.png", [view_of(WHOLE, 8)]).reason == "PermissionError: Permission denied"


def test_both_decoders_give_the_same_pixels(tmp_path, monkeypatch):
    pytest.importorskip("simplejpeg")
    photograph(640, 480).save(tmp_path / "a.jpg")
    crops = [crop_of(0, 0, right, right, 640, 480) for right in (480, 300, 140, 70)]
    found = []
    for fast in (True, False):
        monkeypatch.setattr(decode, "_FAST_JPEG", fast)
        found.append([cut(tmp_path / "a.jpg", crop) for crop in crops])
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))
    assert all(not np.array_equal(a, b) for a, b in pairwise(found[0]))
