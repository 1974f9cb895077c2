"""A jigsaw of each image: small views, one out of every cell of a grid (PIRL, Misra & van der Maaten 2020).

B images of the batch, P patches of an image.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.views.crops import full_image
from pairlens.views.params import ViewParams
from pairlens.views.plans import Augmentation, Plan

GRID = 3
"""Cells along each side, as PIRL's."""

SIDE = 3 / 4
"""A patch's side, share of its cell's: 64 of 85 pixels in PIRL's recipe."""


def jigsaw_plan(plan: Plan, view: Augmentation, grid: int = GRID, *, size: int | None = None) -> Plan:
    """A plan's views and, beside them, grid x grid patches of each image: "patch_1" and on, row by row.

    One crop an image is drawn as `view` draws it and cut in equal cells; a patch lies at a random place of each cell.
    All else (flip, colour, blur) is drawn for each patch by itself, where PIRL mirrors the crop as a whole.

    Args:
        plan: draws the other views, before the patches.
        view: distribution of the crop that is cut, and of each patch's other augmentations.
        grid: cells along each side.
        size: pixels of a patch's side; None is the large views' size.

    Raises:
        InputError: the grid or the size cannot be used.
    """
    if grid < 1 or (size is not None and size < 2):
        raise InputError(f"a jigsaw of {grid} x {grid} patches of {size} px cannot be made; PIRL takes 3 x 3 of 64 px")
    patch = replace(view, crop=full_image())

    def draw_views(draw: Draw) -> dict[str, ViewParams]:
        views = dict(plan(draw))
        window = view.crop(draw)
        place = torch.rand(len(draw.sizes), grid * grid, 2, generator=draw.views)
        crops = patch_crops(window, place, grid).unbind(1)
        patches = {
            name: replace(patch.draw(draw), crop=crop, size=size)
            for name, crop in zip(patch_names(grid), crops, strict=True)
        }
        return views | patches

    return draw_views


def patch_crops(window: Float[Tensor, "B 4"], place: Float[Tensor, "B P 2"], grid: int) -> Float[Tensor, "B P 4"]:
    """The rectangle of each patch: left, top, width, height; fractions of the image, as the window's are.

    `place` is where a patch lies in its cell, from 0 (left, top) to 1 (right, bottom).
    """
    cell = window[:, None, 2:] / grid
    side = cell * SIDE
    number = torch.arange(grid * grid)
    column_row = torch.stack([number % grid, number // grid], 1)
    corner = window[:, None, :2] + column_row * cell + place * (cell - side)
    return torch.cat([corner, side.expand_as(corner)], 2)


def patch_names(grid: int = GRID) -> tuple[str, ...]:
    """The names of a jigsaw's views."""
    return tuple(f"patch_{i + 1}" for i in range(grid * grid))


def patch_side(size: int) -> int:
    """A patch's side beside large views of `size` pixels: 64 of 224 as in PIRL, a multiple of 8 and 16 at least."""
    return max(16, 8 * round(size * 64 / 224 / 8))
