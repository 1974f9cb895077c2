"""Decoding: every mode and orientation gives the right upright pixels, and whatever is broken gives a reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pairlens.data import decode
from pairlens.data.decode import Decoded, Unreadable, decode_all, decode_file, peek_sizes

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters() -> Image.Image:
    """Red, green above blue, white: 40 high, 60 wide."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30], pixels[:20, 30:], pixels[20:, :30], pixels[20:, 30:] = RED, GREEN, BLUE, WHITE
    return Image.fromarray(pixels)


def corners(result, tolerance=8) -> list[tuple[int, int, int]]:
    """The colours of the four quarters' centres, snapped to pure ones."""
    assert isinstance(result, Decoded), result
    side = result.pixels.shape[1]
    at = (side // 4, 3 * side // 4)
    found = [result.pixels[:, y, x].astype(int) for y in at for x in at]
    assert all(min(value, 255 - value) <= tolerance for colour in found for value in colour), found
    return [tuple(int(value > 127) * 255 for value in colour) for colour in found]


def decoded(tmp_path, image, name="image.png", side=16, **options):
    path = tmp_path / name
    image.save(path, **options)
    return decode_file(path, side)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("format", ["jpg", "png", "bmp", "gif", "webp", "tif", "ppm"])
def test_formats(tmp_path, monkeypatch, format, fast):
    monkeypatch.setattr(decode, "_FAST_JPEG", fast and decode._FAST_JPEG)
    result = decoded(tmp_path, quarters(), f"image.{format}")
    assert corners(result, 16) == [RED, GREEN, BLUE, WHITE]
    assert result.size == (40, 60)
    assert result.pixels.shape == (3, 16, 16)
    assert result.pixels.dtype == np.uint8


@pytest.mark.parametrize("format", ["jpg", "png"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_shows_the_upright_image(tmp_path, turn, format):
    """The stored pixels are the inverse of what the tag asks for, as a camera would write them."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = quarters().transpose(undo[turn]) if turn > 1 else quarters()
    exif = Image.Exif()
    exif[0x0112] = turn
    result = decoded(tmp_path, stored, f"image.{format}", exif=exif)
    assert corners(result, 16) == [RED, GREEN, BLUE, WHITE]
    assert result.size == (40, 60)


def test_damaged_exif_is_no_obstacle(tmp_path):
    quarters().save(tmp_path / "image.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    (result,) = decode_all([tmp_path / "image.jpg"], 16, lambda done, total: None)
    assert corners(result, 16) == [RED, GREEN, BLUE, WHITE]


def test_grey_and_bilevel(tmp_path):
    for mode in ("L", "1"):
        image = Image.new(mode, (9, 9), 255)
        assert decoded(tmp_path, image).pixels.min() == 255
        assert decoded(tmp_path, Image.new(mode, (9, 9), 0)).pixels.max() == 0
    assert decoded(tmp_path, Image.new("L", (9, 9), 77), "grey.jpg").pixels.tolist() == [[[77] * 16] * 16] * 3


def test_cmyk_jpeg(tmp_path):
    result = decoded(tmp_path, quarters().convert("CMYK"), "image.jpg", quality=95)
    assert corners(result, 16) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_are_scaled_not_cut(tmp_path, name):
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16)
    result = decoded(tmp_path, Image.fromarray(np.tile(ramp, (256, 1))), name, side=256)
    assert np.abs(result.pixels[:, 128].astype(int) - np.arange(256)).max() <= 1


def test_sixteen_bit_pgm_and_colour(tmp_path):
    path = tmp_path / "deep.pgm"
    path.write_bytes(b"P5 2 2 65535\n" + struct.pack(">4H", *[40000] * 4))
    assert abs(int(decode_file(path, 4).pixels.mean()) - 40000 / 257) <= 1
    row = b"\0" + struct.pack(">3H", 65535, 32768, 0) * 4
    path = tmp_path / "deep.png"
    path.write_bytes(png(4, 4, 16, 2, row * 4))
    assert decode_file(path, 4).pixels[:, 0, 0].tolist() == [255, 128, 0]


def test_float_images(tmp_path):
    half = Image.fromarray(np.full((5, 5), 0.5, np.float32))
    assert abs(int(decoded(tmp_path, half, "a.tif").pixels.mean()) - 127.5) <= 1
    bright = Image.fromarray(np.full((5, 5), 200, np.float32))
    assert decoded(tmp_path, bright, "b.tif").pixels.mean() == 200


def test_transparency_is_laid_on_white(tmp_path):
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert decoded(tmp_path, clear).pixels.min() == 255
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert abs(int(decoded(tmp_path, half).pixels.mean()) - 127) <= 1
    assert decoded(tmp_path, Image.new("LA", (8, 8), (0, 0))).pixels.min() == 255


@pytest.mark.parametrize("format", ["png", "gif"])
def test_a_palette_with_transparency(tmp_path, format):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (0, 0, 4, 8))
    result = decoded(tmp_path, image, f"image.{format}", transparency=0)
    assert result.pixels[:, 8, 3].tolist() == list(BLUE)
    assert result.pixels[:, 8, 12].tolist() == list(WHITE)


def test_a_palette_without_transparency(tmp_path):
    image = quarters().convert("P")
    assert corners(decoded(tmp_path, image)) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(("width", "height"), [(1, 5000), (5000, 1), (1, 1), (3, 700)])
@pytest.mark.parametrize("format", ["png", "jpg"])
def test_extreme_shapes(tmp_path, width, height, format):
    result = decoded(tmp_path, Image.new("RGB", (width, height), (10, 200, 30)), f"image.{format}", side=32)
    assert result.size == (height, width)
    assert np.abs(result.pixels.mean((1, 2)) - (10, 200, 30)).max() < 4


def test_shrinking_is_antialiased(tmp_path):
    """One-pixel stripes become an even grey, in PNG and in JPEG decoded at a reduced scale."""
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (512, 256)))
    for name in ("image.png", "image.jpg"):
        pixels = decoded(tmp_path, stripes, name, side=32).pixels[:, 2:-2, 2:-2]
        assert np.abs(pixels.astype(float) - 127.5).max() < 6


def test_a_reduced_jpeg_equals_the_whole_one_shrunk(tmp_path):
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    result = decoded(tmp_path, smooth, "image.jpg", side=64, quality=95)
    expected = np.asarray(smooth.resize((64, 64), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.abs(result.pixels.astype(int) - expected).mean() < 2


def png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    data = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(data, "jpeg")
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("empty.jpg", b"", "the file is empty"),
        ("text.png", b"hello, world", "not an image, or of an unknown format"),
        ("cut.jpg", jpeg()[:2000], "truncated"),
        ("head.jpg", jpeg()[:30], ""),
        ("cut.png", png(64, 64, 8, 2, b"\0" * 64 * 193)[:60], ""),
        ("short.png", png(64, 64, 8, 2, b"\0" * 100), ""),
        ("bomb.png", png(30_000, 30_000, 8, 0, b""), "bomb"),
    ],
)
def test_broken_files_give_a_reason_and_no_exception(tmp_path, name, data, reason):
    path = tmp_path / name
    path.write_bytes(data)
    result = decode_file(path, 16)
    assert isinstance(result, Unreadable)
    assert reason in result.reason
    assert "\n" not in result.reason


def test_missing_files_give_a_reason(tmp_path):
    assert "FileNotFoundError" in decode_file(tmp_path / "gone.jpg", 16).reason


@given(st.integers(0, 3000), st.integers(0, 255))
def test_any_flipped_byte_of_a_jpeg_is_survived(tmp_path_factory, place, value):
    data = bytearray(jpeg())
    data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "flipped.jpg"
    path.write_bytes(data)
    list(decode_all([path], 16, lambda done, total: None))


def test_order_and_progress(tmp_path):
    paths = []
    for i in range(130):
        paths.append(tmp_path / f"{i}.png")
        Image.new("L", (3, 3), i).save(paths[-1])
    told = []
    results = list(decode_all(paths, 4, lambda done, total: told.append((done, total))))
    assert [int(result.pixels[0, 0, 0]) for result in results] == list(range(130))
    assert told == [(64, 130), (128, 130), (130, 130)]


def test_peeked_sizes(tmp_path):
    quarters().save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    assert peek_sizes([tmp_path / "a.png", tmp_path / "b.png", tmp_path / "gone.png"]) == [(40, 60)]
