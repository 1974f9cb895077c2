"""Whether photographs are decoded once, to a store of squares, or anew in every epoch.

n files of a sample.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Integer
from torch import Tensor

from pairlens.data.store import IN_MEMORY, cache_folder, free_room, held_in_memory, memory, store_bytes

SMALLEST_CROP = 0.2
"""Of the area: what MoCo's and SimCLR's recipes draw at the least."""

Decode = Literal["auto", "once", "always"]
"""Photographs are decoded once, or always anew; "auto" chooses."""


@dataclass(frozen=True)
class Wish:
    """What is asked of photographs, by the user or by the recipe."""

    decode: Decode = "auto"
    size: int | None = None  # pixels of the stored side; None chooses it
    view: int = 64  # pixels of the views' side
    smallest_crop: float = SMALLEST_CROP  # of the image's area
    workers: int | None = None  # threads that decode in every epoch; None: as many as cores


@dataclass(frozen=True)
class Choice:
    """What is done, and a sentence that says why; empty where a store is small."""

    once: bool
    side: int  # pixels of the stored squares, or of those that whole images are looked at as
    sentence: str


def choose(wish: Wish, sizes: Integer[Tensor, "n 2"], count: int, kept: Callable[[int], bool]) -> Choice:
    """Decode once where the store does not cost more than it saves; no image is stored smaller for that.

    A store pays where it takes at most a quarter of the main memory, or half of it and half of the disk's free room:
    a larger one would be read from the disk in every epoch, at several times the bytes of the files themselves. One
    that is already there, for a side of which `kept` is true, is taken in any case. Asked for `once`, images are
    stored at a side that makes them fit half of the main memory, but not below the view's (see `store_side`).

    Args:
        wish: what is asked for.
        sizes: height and width of some of the images.
        count: images in all.
        kept: whether a finished store of this side is there.
    """
    side = wish.size or store_side(sizes, count, wish.view, sys.maxsize, wish.smallest_crop)
    small = wish.size or store_side(sizes, count, wish.view, memory(), wish.smallest_crop)
    size, held, room = store_bytes(count, side), memory(), free_room()

    def stored(side: int, why: str) -> Choice:
        size = store_bytes(count, side)
        place = "in memory" if held_in_memory(size, held, room) else f"as a file in {cache_folder()}"
        kept = f"{place}, {size / 1e9:.1f} GB at {side} x {side} pixels"
        told = f"the {count:,} images are decoded once and kept {kept}, {why}"
        return Choice(True, side, told if size > IN_MEMORY else "")

    if wish.decode == "always":
        return Choice(False, side, f"the {count:,} files are decoded anew in every epoch, as --decode always asks")
    if wish.decode == "once":
        return stored(small, "as --decode once asks")
    if size <= max(IN_MEMORY, held / 4) or size <= min(held, room) / 2 or kept(side):
        return stored(side, "since that fits; --decode always decodes the files anew in every epoch")
    return Choice(
        False,
        side,
        f"the {count:,} files are decoded anew in every epoch, since a store of {side} x {side} pixels would take "
        f"{size / 1e9:,.0f} GB, too much for the {held / 1e9:.0f} GB of memory and the {room / 1e9:.0f} GB of room in "
        f"{cache_folder()}; --decode once stores them nevertheless, at {small} x {small} pixels in "
        f"{store_bytes(count, small) / 1e9:,.0f} GB",
    )


def store_side(
    sizes: Integer[Tensor, "n 2"], count: int, view: int, memory: int, smallest_crop: float = SMALLEST_CROP
) -> int:
    """The side at which to store `count` images of which some have these heights and widths; pixels.

    Large enough that the smallest crop, a share `smallest_crop` of the image's area, still fills a view of `view`
    pixels without enlarging, but no larger than the typical (median) image; then as much smaller as makes the store
    fit half of `memory` bytes, though never below the view's own side for that reason.
    """
    typical = round(float(sizes.double().prod(1).sqrt().median()))
    wanted = max(1, min(typical, math.ceil(view / smallest_crop**0.5)))
    affordable = int((memory / 2 / (3 * count)) ** 0.5)
    return min(wanted, max(affordable, view))
