"""Decodes an image file of any kind, once, into a fixed square of uint8 pixels.

n files of a sample, S the store's side in pixels.
"""

import io
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image
from torch import Tensor

Progress = Callable[[int, int], None]  # (files done, files in all)

EXTENSIONS = frozenset(
    f".{kind}"
    for kind in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp", "tif", "tiff"),
        *("ppm", "pgm", "pbm", "pnm", "tga", "jp2", "avif"),
    )
)
SMALLEST_CROP = 0.2  # of the area: the crop scale that the store's side is chosen for (MoCo, SimCLR recipes)
BLOCK = 1024  # files handed to the pool at a time

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
class Unreadable:
    """Why a file gave no image."""

    reason: str


def store_side(sizes: Integer[Tensor, "n 2"], count: int, view: int, memory: int) -> int:
    """The side at which to store `count` images of which some have these heights and widths; pixels.

    Large enough that the smallest usual crop, a fifth of the image, still fills a view of `view` pixels without
    enlarging, but no larger than the typical (median) image; then as much smaller as makes the store fit half of
    `memory` bytes, though never below the view's own side for that reason.
    """
    typical = round(float(sizes.double().prod(1).sqrt().median()))
    wanted = max(1, min(typical, math.ceil(view / SMALLEST_CROP**0.5)))
    affordable = int((memory / 2 / (3 * count)) ** 0.5)
    return min(wanted, max(affordable, view))


def peek_sizes(paths: Iterable[Path]) -> list[tuple[int, int]]:
    """Heights and widths from the files' headers, as stored; files without a readable header are left out."""
    sizes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in paths:
            try:
                with Image.open(path) as image:
                    sizes.append((image.height, image.width))
            except Exception:  # whatever is wrong with the file, decoding it will name it
                continue
    return sizes


def decode_file(path: Path, side: int) -> Decoded | Unreadable:
    """Decode one file to `side` x `side` RGB pixels with antialiasing; never raises for what is in the file.

    EXIF orientation is applied. Transparent images are laid on white. Grey, palette, CMYK and other modes become
    RGB; 16 bits are reduced to 8 by scale, float images are read as 0 to 1, or as 0 to 255 where they exceed 1.
    Of animations the first frame is taken. JPEGs are decoded at the smallest DCT scale that is not below the side.
    """
    try:
        data = path.read_bytes()
        if not data:
            return Unreadable("the file is empty")
        with Image.open(io.BytesIO(data)) as image:
            height, width = image.height, image.width
            turn = _orientation(image)
            square = _opaque(_scaled(image, data, side)).resize((side, side), Image.Resampling.BICUBIC)
    except Image.UnidentifiedImageError:
        return Unreadable("not an image, or of an unknown format")
    except MemoryError:
        return Unreadable("too large for the memory")
    except Exception as error:  # decoders of damaged files raise nearly anything
        return Unreadable(_one_line(error))
    if turn in _TURNS:
        square = square.transpose(_TURNS[turn])
    size = (width, height) if turn in (5, 6, 7, 8) else (height, width)
    return Decoded(np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1)), size)


def decode_all(paths: Sequence[Path], side: int, progress: Progress) -> Iterator[Decoded | Unreadable]:
    """Decode files on all cores (decoders release the interpreter's lock), in order."""
    with warnings.catch_warnings(), ThreadPoolExecutor(cores()) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters is raised and reported
        for begin in range(0, len(paths), BLOCK):
            block = paths[begin : begin + BLOCK]
            for i, result in enumerate(pool.map(decode_file, block, [side] * len(block)), begin + 1):
                yield result
                if i % 64 == 0 or i == len(paths):
                    progress(i, len(paths))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """The machine's main memory in bytes; 8 GiB where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30


def _scaled(image: Image.Image, data: bytes, side: int) -> Image.Image:
    """The image, decoded; JPEGs at a reduced scale, by simplejpeg where it is installed and willing."""
    if image.format not in ("JPEG", "MPO"):
        return image
    if _FAST_JPEG and image.mode in ("L", "RGB"):
        import simplejpeg

        try:
            return Image.fromarray(simplejpeg.decode_jpeg(data, min_height=side, min_width=side))
        except ValueError:
            pass  # Pillow tolerates more than simplejpeg, and has the last word
    image.draft(None, (side, side))
    return image


def _opaque(image: Image.Image) -> Image.Image:
    """An RGB image of 8 bits a channel, whatever the mode was."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        scale = 1 / 257 if image.mode.startswith("I") else 255.0 if values.max() <= 1 else 1.0
        image = Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        turn = image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata: the pixels may still be good
        return 1
    return turn if isinstance(turn, int) else 1


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
