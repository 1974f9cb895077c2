"""Cuts rectangles out of an image file: decoded once for all views, each resized with antialiasing, in uint8.

S pixels of a view's side, H x W pixels of a decoded image.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch.nn import functional as F

from pairlens.data.decode import EMPTY, Unreadable, is_jpeg, orientation, pixels_of, unreadable, upright

Span = tuple[int, int, int, int]
"""Left, top, right, bottom; pixels."""

TURNS = {  # EXIF's orientation: whether the stored image is transposed, then mirrored along x, along y
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
UPRIGHT = (False, False, False)


@dataclass(frozen=True)
class View:
    """A rectangle of the upright image, and where its pixels go."""

    crop: Sequence[float]  # left, top, width, height; fractions of the upright image
    out: UInt8[np.ndarray, "3 S S"]


def cut_file(path: str | Path, views: Sequence[View]) -> Unreadable | None:
    """Write each view's rectangle of one file, resized to the view's side; never raises for what is in the file.

    The rectangle is rounded to whole pixels of the upright original, as plans draw it, cut, and resized by triangle
    filters with antialiasing, rounding to 8 bits after each axis: within one of 255 of `views.resize.crop_resize`.

    A JPEG is decoded at 1/2, 1/4 or 1/8 where every rectangle still has as many pixels as its view; rectangles are
    then rounded to whole pixels of the decoded image, by at most half a pixel of the view. What modes, orientation
    and damage mean is as in `decode_file`.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
        if not data:
            return EMPTY
        with Image.open(io.BytesIO(data)) as image:
            turn = orientation(image)
            height, width = upright((image.height, image.width), turn)
            spans = [_span(view.crop, height, width) for view in views]
            sides = [view.out.shape[1] for view in views]
            pixels, reduction = pixels_of(image, data, _reduction(spans, sides) if is_jpeg(image) else 1)
    except Exception as error:  # decoders of damaged files raise nearly anything
        return unreadable(error)
    turned = TURNS.get(turn, UPRIGHT)
    done: dict[tuple[Span, int], UInt8[np.ndarray, "3 S S"]] = {}
    for view, side, span in zip(views, sides, spans, strict=True):
        if (same := done.get((span, side))) is not None:
            view.out[:] = same
            continue
        stored = _stored(span, height, width, turned)
        view.out[:] = _turned(_resized(pixels, _reduced(stored, reduction, pixels.shape[:2]), side), turned)
        done[span, side] = view.out
    return None


def _span(crop: Sequence[float], height: int, width: int) -> Span:
    """Whole pixels of the upright image, at least one along each axis."""
    left, top = min(round(crop[0] * width), width - 1), min(round(crop[1] * height), height - 1)
    right, bottom = round((crop[0] + crop[2]) * width), round((crop[1] + crop[3]) * height)
    return left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)


def _reduction(spans: Sequence[Span], sides: Sequence[int]) -> int:
    """How much a JPEG may be reduced in decoding: no rectangle falls below its view's side by it."""
    room = min(min(x1 - x0, y1 - y0) // side for (x0, y0, x1, y1), side in zip(spans, sides, strict=True))
    return next((reduction for reduction in (8, 4, 2) if room >= reduction), 1)


def _stored(span: Span, height: int, width: int, turned: tuple[bool, bool, bool]) -> Span:
    """Where a rectangle of the upright image lies in the stored one."""
    x0, y0, x1, y1 = span
    transposed, mirrored_x, mirrored_y = turned
    if mirrored_x:
        x0, x1 = width - x1, width - x0
    if mirrored_y:
        y0, y1 = height - y1, height - y0
    return (y0, x0, y1, x1) if transposed else (x0, y0, x1, y1)


def _reduced(span: Span, reduction: int, size: tuple[int, ...]) -> Span:
    """The rectangle in whole pixels of an image that was reduced in decoding to this height and width."""
    if reduction == 1:
        return span
    left, top, right, bottom = (round(edge / reduction) for edge in span)
    return left, top, min(right, size[1]), min(bottom, size[0])


def _resized(pixels: UInt8[np.ndarray, "H W 3"], span: Span, side: int) -> UInt8[np.ndarray, "S S 3"]:
    """Cut and resized by PyTorch's uint8 kernel: 4 times as fast as Pillow's, and on the calling thread.

    Pillow's `resize(box=...)` would also read beyond the rectangle's edges.
    """
    left, top, right, bottom = span
    part = torch.from_numpy(pixels[top:bottom, left:right].copy()).permute(2, 0, 1)[None]
    return F.interpolate(part, (side, side), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()


def _turned(pixels: UInt8[np.ndarray, "S S 3"], turned: tuple[bool, bool, bool]) -> UInt8[np.ndarray, "3 S S"]:
    """Upright, as planes."""
    transposed, mirrored_x, mirrored_y = turned
    planes = pixels.transpose(2, 1, 0) if transposed else pixels.transpose(2, 0, 1)
    if mirrored_x:
        planes = planes[:, :, ::-1]
    return planes[:, ::-1] if mirrored_y else planes
