"""All thumbnails of a map in one picture, which a page holds once.

N images, P pixels a side of a thumbnail.
"""

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

SIDE = 64
"""Pixels a side of a thumbnail, at most: a multiple of 16, so that a compressed block belongs to one of them."""

QUALITY = 82
"""Of WebP; 2 000 photographs take 1.6 MB."""


@dataclass(frozen=True)
class Sheet:
    """Thumbnails row by row."""

    webp: bytes
    side: int  # P
    columns: int

    @property
    def text(self) -> str:
        """The picture in base64."""
        return base64.b64encode(self.webp).decode()


def make_sheet(thumbnails: UInt8[Tensor, "N 3 P P"]) -> Sheet:
    """Lay thumbnails out as a square, as nearly as can be."""
    count, _, side, _ = thumbnails.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.zeros((rows * columns, side, side, 3), np.uint8)
    cells[:count] = thumbnails.permute(0, 2, 3, 1).numpy()
    picture = (
        cells.reshape(rows, columns, side, side, 3).transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)
    )
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "webp", quality=QUALITY, method=4)
    return Sheet(buffer.getvalue(), side, columns)
