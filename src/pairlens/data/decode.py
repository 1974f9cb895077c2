"""Decodes an image file of any kind into uint8 pixels, squeezed to a fixed square or as they are; files in parallel.

S the store's side in pixels, H x W pixels of a decoded image.
"""

import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pairlens.data.parallel import Progress, cores, each

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FAST_JPEG = find_spec("simplejpeg") is not None


@dataclass(frozen=True)
class Decoded:
    """One file's pixels, squeezed to the store's square, and the upright original's height and width."""

    pixels: UInt8[np.ndarray, "3 S S"]
    size: tuple[int, int]


@dataclass(frozen=True)
class Stored:
    """One file's pixels as they lie in it, and how they stand to the upright original."""

    pixels: UInt8[np.ndarray, "H W 3"]  # pixel j along an axis stands for j * reduction to (j + 1) * reduction
    size: tuple[int, int]  # the upright original's height and width
    turn: int  # EXIF's orientation
    reduction: int


@dataclass(frozen=True)
class Unreadable:
    """Why a file gave no image."""

    reason: str


EMPTY = Unreadable("the file is empty")


def peek_sizes(paths: Iterable[str | Path]) -> list[tuple[int, int]]:
    """Upright heights and widths from the files' headers; files without a readable header are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [read_size(path) for path in paths]
    return [size for size in found if not isinstance(size, Unreadable)]


def read_size(path: str | Path) -> tuple[int, int] | Unreadable:
    """An upright image's height and width from its file's header; never raises for what is in the file."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return EMPTY
            with Image.open(file) as image:
                return upright((image.height, image.width), orientation(image))
    except Exception as error:
        return unreadable(error)


def decode_file(path: str | Path, side: int) -> Decoded | Unreadable:
    """Decode one file to `side` x `side` RGB pixels with antialiasing; never raises for what is in the file.

    EXIF orientation is applied. Transparent images are laid on white. Grey, palette, CMYK and other modes become
    RGB; 16 bits are reduced to 8 by scale, float images are read as 0 to 1, or as 0 to 255 where they exceed 1.
    Of animations the first frame is taken. JPEGs are decoded at the smallest DCT scale that is not below the side.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
        if not data:
            return EMPTY
        with Image.open(io.BytesIO(data)) as image:
            height, width = image.height, image.width
            turn = orientation(image)
            square = _opaque(_scaled(image, data, side)).resize((side, side), Image.Resampling.BICUBIC)
    except Exception as error:
        return unreadable(error)
    if turn in _TURNS:
        square = square.transpose(_TURNS[turn])
    return Decoded(np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1)), upright((height, width), turn))


def decode_stored(data: bytes, choose: Callable[[int, int], int]) -> Stored:
    """A file's pixels as they lie in it, not yet upright.

    Args:
        data: the file, not empty.
        choose: told the upright height and width, how much a JPEG is to be reduced in decoding: 1, 2, 4 or 8 times.

    Raises:
        Exception: decoders of damaged files raise nearly anything; `unreadable` makes a reason of it.
    """
    if (size := _plain_size(data)) is not None:
        reduction = choose(*size)
        if (pixels := _reduced(data, size, reduction)) is not None:
            return Stored(pixels, size, 1, reduction)
    with Image.open(io.BytesIO(data)) as image:
        size, turn = (image.height, image.width), orientation(image)
        reduction = choose(*upright(size, turn)) if _is_jpeg(image) else 1
        pixels = _reduced(data, size, reduction) if _is_jpeg(image) and image.mode in ("L", "RGB") else None
        if pixels is None:
            image.draft(None, (size[1] // reduction, size[0] // reduction))
            pixels = np.asarray(_opaque(image))
            reduction = reduction if pixels.shape[:2] == _divided(size, reduction) else 1
    return Stored(pixels, upright(size, turn), turn, reduction)


def decode_all(paths: Sequence[str | Path], side: int, progress: Progress) -> Iterator[Decoded | Unreadable]:
    """Decode files on all cores, in order."""
    return each(lambda path: decode_file(path, side), paths, progress, cores())


def orientation(image: Image.Image) -> int:
    """What EXIF says of how the stored image must be turned to stand upright, 1 to 8; 1 where it says nothing."""
    try:
        turn = image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata: the pixels may still be good
        return 1
    return turn if isinstance(turn, int) else 1


def upright(size: tuple[int, int], turn: int) -> tuple[int, int]:
    """Height and width of a stored image once it is turned upright."""
    return size[::-1] if turn in (5, 6, 7, 8) else size


def unreadable(error: Exception) -> Unreadable:
    """Why a file gave no image, in one line."""
    if isinstance(error, Image.UnidentifiedImageError):
        return Unreadable("not an image, or of an unknown format")
    if isinstance(error, MemoryError):
        return Unreadable("too large for the memory")
    if isinstance(error, OSError) and error.strerror:
        return Unreadable(f"{type(error).__name__}: {error.strerror}")
    return Unreadable(" ".join(f"{type(error).__name__}: {error}".split())[:200])


def _is_jpeg(image: Image.Image) -> bool:
    """Whether an opened file holds a JPEG, which can be reduced in decoding."""
    return image.format in ("JPEG", "MPO")


def _scaled(image: Image.Image, data: bytes, side: int) -> Image.Image:
    """The image, decoded; JPEGs at a reduced scale, by simplejpeg where it is installed and willing."""
    if not _is_jpeg(image):
        return image
    pixels = _fast(data, (side, side)) if image.mode in ("L", "RGB") else None
    if pixels is not None:
        return Image.fromarray(pixels)
    image.draft(None, (side, side))
    return image


def _fast(data: bytes, least: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"] | None:
    """A JPEG by simplejpeg at the smallest scale of at least this height and width; None where Pillow must do it.

    Pillow tolerates more than simplejpeg, and has the last word.
    """
    if not _FAST_JPEG:
        return None
    import simplejpeg

    try:
        return simplejpeg.decode_jpeg(data, min_height=least[0], min_width=least[1])
    except ValueError:
        return None


def _reduced(data: bytes, size: tuple[int, int], reduction: int) -> UInt8[np.ndarray, "H W 3"] | None:
    """A JPEG of this size by simplejpeg, reduced; None where Pillow must do it."""
    least = _divided(size, reduction)
    pixels = _fast(data, least)
    return pixels if pixels is not None and pixels.shape[:2] == least else None


def _plain_size(data: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG that simplejpeg decodes as Pillow does and that says nothing of orientation, or None.

    It spares many files Pillow's look at the header, which holds the interpreter's lock.
    """
    if not _FAST_JPEG or _has_metadata(data):
        return None
    import simplejpeg

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    fits = height * width <= (Image.MAX_IMAGE_PIXELS or height * width)  # of larger ones Pillow judges
    return (height, width) if fits and colours in ("YCbCr", "Gray") else None


def _has_metadata(data: bytes) -> bool:
    """False only of a JPEG that has neither EXIF nor XMP, an APP1 segment each, before its first scan."""
    place, end = 2, len(data) - 4
    if data[:2] != b"\xff\xd8":
        return True
    while place < end and data[place] == 0xFF:
        kind = data[place + 1]
        if kind == 0xDA:  # start of scan
            return False
        if kind in (0xE1, 0xFF):
            return True
        place += 2 + (data[place + 2] << 8 | data[place + 3])
    return True


def _divided(size: tuple[int, int], reduction: int) -> tuple[int, int]:
    """Height and width of a JPEG that is reduced in decoding."""
    return -(-size[0] // reduction), -(-size[1] // reduction)


def _opaque(image: Image.Image) -> Image.Image:
    """An RGB image of 8 bits a channel, whatever the mode was."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        scale = 1 / 257 if image.mode.startswith("I") else 255.0 if values.max() <= 1 else 1.0
        image = Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
