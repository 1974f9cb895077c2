"""Cuts rectangles out of an image file: decoded once for all views, each resized with antialiasing, in uint8.

S pixels of a view's side, H x W pixels of a decoded image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch.nn import functional as F

from pairlens.data.decode import EMPTY, Stored, Unreadable, decode_stored, unreadable

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
    filters with antialiasing, rounding to 8 bits after each axis: within one of 255 of what `views.render` makes.

    A JPEG is decoded at 1/2, 1/4 or 1/8 where every rectangle still has as many pixels as its view; rectangles are
    then rounded to whole pixels of the decoded image, by at most half a pixel of the view. What modes, orientation
    and damage mean is as in `decode_file`.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.readall()
        if not data:
            return EMPTY
        stored = decode_stored(data, lambda height, width: _reduction(views, height, width))
    except Exception as error:  # decoders of damaged files raise nearly anything
        return unreadable(error)
    (height, width), turned = stored.size, TURNS.get(stored.turn, UPRIGHT)
    done: dict[tuple[Span, int], UInt8[np.ndarray, "3 S S"]] = {}
    for view in views:
        span, side = _span(view.crop, height, width), view.out.shape[1]
        if (same := done.get((span, side))) is not None:
            view.out[:] = same
            continue
        part = _reduced(_stored(span, height, width, turned), stored)
        view.out[:] = _turned(_resized(stored.pixels, part, side), turned)
        done[span, side] = view.out
    return None


def _span(crop: Sequence[float], height: int, width: int) -> Span:
    """Whole pixels of the upright image, at least one along each axis."""
    left, top = min(round(crop[0] * width), width - 1), min(round(crop[1] * height), height - 1)
    right, bottom = round((crop[0] + crop[2]) * width), round((crop[1] + crop[3]) * height)
    return left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)


def _reduction(views: Sequence[View], height: int, width: int) -> int:
    """How much a JPEG may be reduced in decoding: no rectangle falls below its view's side by it."""
    room = min(min(view.crop[2] * width, view.crop[3] * height) / view.out.shape[1] for view in views)
    return next((reduction for reduction in (8, 4, 2) if room > reduction - 1e-4), 1)


def _stored(span: Span, height: int, width: int, turned: tuple[bool, bool, bool]) -> Span:
    """Where a rectangle of the upright image lies in the stored one."""
    x0, y0, x1, y1 = span
    transposed, mirrored_x, mirrored_y = turned
    if mirrored_x:
        x0, x1 = width - x1, width - x0
    if mirrored_y:
        y0, y1 = height - y1, height - y0
    return (y0, x0, y1, x1) if transposed else (x0, y0, x1, y1)


def _reduced(span: Span, stored: Stored) -> Span:
    """The rectangle of the stored image in whole pixels of what was decoded."""
    if stored.reduction == 1:
        return span
    left, top, right, bottom = (round(edge / stored.reduction) for edge in span)
    return left, top, min(right, stored.pixels.shape[1]), min(bottom, stored.pixels.shape[0])


def _resized(pixels: UInt8[np.ndarray, "H W 3"], span: Span, side: int) -> UInt8[np.ndarray, "3 S S"]:
    """Cut and resized by PyTorch's uint8 kernel: 4 times as fast as Pillow's, and on the calling thread.

    Pillow's `resize(box=...)` would also read beyond the rectangle's edges.
    """
    left, top, right, bottom = span
    part = pixels[top:bottom, left:right].copy()
    rows = torch.from_numpy(part.reshape(1, *part.shape)).permute(0, 3, 1, 2)  # strides that the fast kernel knows
    if bottom - top > side:  # the kernel would begin with the columns, of all rows: three times the work for each
        rows = F.interpolate(rows, (side, right - left), mode="bilinear", antialias=True)
    return F.interpolate(rows, (side, side), mode="bilinear", antialias=True).numpy()[0]


def _turned(planes: UInt8[np.ndarray, "3 S S"], turned: tuple[bool, bool, bool]) -> UInt8[np.ndarray, "3 S S"]:
    """A stored view, upright."""
    transposed, mirrored_x, mirrored_y = turned
    if transposed:
        planes = planes.transpose(0, 2, 1)
    if mirrored_x:
        planes = planes[:, :, ::-1]
    return planes[:, ::-1] if mirrored_y else planes
