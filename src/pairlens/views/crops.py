"""Where a view is cut from its image: samplers of crop rectangles, for a whole batch at once.

B images of the batch, T tries a crop.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pairlens.draw import Draw
from pairlens.errors import InputError

TRIES = 10
"""How often a size is drawn before the central crop is taken (RandomResizedCrop)."""

CropSampler = Callable[[Draw], Tensor]
"""Draws one rectangle per image from `draw.views`: left, top, width, height as fractions of the image, [B, 4]."""


def full_image() -> CropSampler:
    """The sampler that always returns the whole image and draws nothing."""

    def sample(draw: Draw) -> Float[Tensor, "B 4"]:
        return torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(len(draw.sizes), 1)

    return sample


def random_resized_crop(
    scale: tuple[float, float] = (0.2, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3)
) -> CropSampler:
    """The sampler of torchvision's RandomResizedCrop: whole pixels of the original image, uniform offsets.

    Args:
        scale: least and greatest area, fractions of the image's area.
        ratio: least and greatest width over height.

    Raises:
        InputError: if a range is empty or not positive, or `scale` exceeds 1.
    """
    check_ranges(scale, ratio)

    def sample(draw: Draw) -> Float[Tensor, "B 4"]:
        extent, found = crop_sizes(draw, scale, ratio)
        frame = _frame(draw)
        room = frame - extent
        uniform = torch.rand(len(frame), 2, generator=draw.views)
        anywhere = (uniform * (room + 1)).floor_().minimum(room)
        offset = torch.where(found[:, None], anywhere, (room / 2).floor_())
        return torch.cat([offset / frame, extent / frame], 1)

    return sample


def crop_sizes(
    draw: Draw, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Float[Tensor, "B 2"], Bool[Tensor, "B"]]:
    """Width and height of each crop in whole pixels of the original image, and whether they were found by trying.

    Area is uniform in `scale` times the image's area, width over height is log-uniform in `ratio`; the first of ten
    tries that fits the image is taken. Where none fits, the size is the largest of the image's own ratio clamped to
    `ratio`, and such a crop belongs in the centre (RandomResizedCrop; ContrastiveCrop, Section 3.2, shares it).
    """
    frame = _frame(draw)
    width, height = frame[:, :1], frame[:, 1:]
    uniform = torch.rand(2, len(frame), TRIES, generator=draw.views)
    area = uniform[0].mul_(scale[1] - scale[0]).add_(scale[0]).mul_(width * height)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    shape = uniform[1].mul_(high - low).add_(low).exp_()
    tries = torch.stack([(area * shape).sqrt_().round_(), (area / shape).sqrt_().round_()], 2)  # [B, T, 2]
    fits = ((tries > 0) & (tries <= frame[:, None])).all(2)
    first = fits.int().argmax(1)
    tried = tries[torch.arange(len(frame)), first]
    largest = torch.cat([(height * ratio[1]).round_().minimum(width), (width / ratio[0]).round_().minimum(height)], 1)
    found = fits.any(1)
    return torch.where(found[:, None], tried, largest.clamp_(min=1)), found


def check_ranges(scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    """Refuse ranges of area or of width over height that no crop can satisfy."""
    if not 0 < scale[0] <= scale[1] <= 1:
        raise InputError(
            f"The crop's scale is {scale}; give (least, greatest) fractions of the image's area with "
            "0 < least <= greatest <= 1."
        )
    if not 0 < ratio[0] <= ratio[1] < math.inf:
        raise InputError(f"The crop's ratio is {ratio}; give (least, greatest) width over height, both positive.")


def _frame(draw: Draw) -> Float[Tensor, "B 2"]:
    """Width and height of the originals."""
    return draw.sizes.flip(1).float()
