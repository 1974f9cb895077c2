"""Where a view is cut from its image: samplers of crop rectangles, for a whole batch at once.

B images of the batch, T tries a crop.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pairlens.draw import Draw, beta_of_uniform
from pairlens.errors import InputError

TRIES = 10
"""How often a size is drawn before the central crop is taken (RandomResizedCrop)."""

CropSampler = Callable[[Draw], Tensor]
"""Draws one rectangle per image from `draw.views`: left, top, width, height as fractions of the image, [B, 4]."""


SNAP = 256
"""A box's edges are taken to the nearest 1/256 pixel: what is left of a whole pixel after its way through fractions."""


@runtime_checkable
class KnowsBoxes(Protocol):
    """Whatever tells where the objects of images are."""

    def of(self, index: Int64[Tensor, "B"]) -> Float[Tensor, "B 4"] | None:
        """Left, top, right and bottom of the images that `index` names, fractions; None while nothing is known."""


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
        return _crops(draw, scale, ratio)

    return sample


def contrastive_crop(
    boxes: KnowsBoxes,
    alpha: float,
    scale: tuple[float, float] = (0.2, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> CropSampler:
    """The sampler of ContrastiveCrop (CCrop, Eq. 4, Algorithm 1): centres in the object's box, away from its middle.

    Sizes are RandomResizedCrop's: the area is a share of the full image's, not of the box's. Along each axis the
    offset is one of the whole pixels at which the crop's centre lies in the box, or the one nearest the box's middle
    where there is none; both ends of that range are then moved into the image, so that every crop is inside it.
    Which offset is drawn anew for each axis and view from Beta(alpha, alpha), whose alpha < 1 favours the range's
    ends. Where no size fits, the crop is RandomResizedCrop's central one, whatever the box.

    It draws the numbers that `random_resized_crop` draws, one for one, and with the same seed makes crops of the same
    sizes. It is `random_resized_crop`, bit for bit, while the boxes are unknown (warm-up), and with alpha = 1 on boxes
    of the whole image. alpha = 1 is the localisation alone (Eq. 3); boxes of the whole image with alpha < 1 are the
    centre suppression alone.

    Departs from Algorithm 1, which takes the image for the unit square, calls height over width r, and lets crops
    reach out of the image. Departs from the authors' code, which cuts edges and half crops down to whole pixels and
    hardly ever reaches the last offset: here every offset has an equal share of the unit interval.

    Args:
        boxes: where the objects are; asked anew for every batch.
        alpha: of the Beta distribution; CCrop uses 0.1 for small images and 0.6 for ImageNet.
        scale: least and greatest area, fractions of the image's area.
        ratio: least and greatest width over height.

    Raises:
        InputError: alpha is not positive, or a range is empty or not positive, or `scale` exceeds 1.
    """
    check_ranges(scale, ratio)
    quantile = beta_of_uniform(alpha)

    def sample(draw: Draw) -> Float[Tensor, "B 4"]:
        known = boxes.of(draw.index)
        return _crops(draw, scale, ratio) if known is None else _crops(draw, scale, ratio, known, quantile)

    return sample


def steps_to_contrastive_crop(boxes: KnowsBoxes, alpha: float, scale: tuple[float, float]) -> dict[str, CropSampler]:
    """Random crop, and both steps from it to ContrastiveCrop, by the names that pages give them (CCrop, Figure 3)."""
    return {
        "Random crop": random_resized_crop(scale),
        "Localised only": contrastive_crop(boxes, 1.0, scale),
        f"ContrastiveCrop, \u03b1 = {alpha:g}": contrastive_crop(boxes, alpha, scale),
    }


def offset_bounds(
    box: Float[Tensor, "B 4"], extent: Float[Tensor, "B 2"], frame: Float[Tensor, "B 2"]
) -> tuple[Float[Tensor, "B 2"], Float[Tensor, "B 2"]]:
    """Least and greatest left and top, in whole pixels, of crops whose centre lies in the box (CCrop, Section 3.2).

    Args:
        box: left, top, right and bottom, fractions of the image; may reach out of it, or be empty or inverted.
        extent: width and height of the crops, pixels.
        frame: width and height of the images, pixels.
    """
    edges = (box * frame.repeat(1, 2) * SNAP).round_() / SNAP
    first, last = edges[:, :2] - extent / 2, edges[:, 2:] - extent / 2
    low, high = first.ceil(), last.floor()
    middle = ((first + last) / 2).round_()
    none, room = low > high, frame - extent
    low, high = torch.where(none, middle, low), torch.where(none, middle, high)
    return low.clamp_(min=0).minimum(room), high.clamp_(min=0).minimum(room)


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


def _crops(
    draw: Draw,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    box: Float[Tensor, "B 4"] | None = None,
    quantile: Callable[[Tensor], Tensor] = lambda uniform: uniform,
) -> Float[Tensor, "B 4"]:
    """Sizes first, then places: anywhere in the image, or where the crop's centre lies in the box."""
    extent, found = crop_sizes(draw, scale, ratio)
    frame = _frame(draw)
    room = frame - extent
    low, high = (torch.zeros_like(room), room) if box is None else offset_bounds(box, extent, frame)
    place = quantile(torch.rand(len(frame), 2, generator=draw.views))
    offset = (low + (place * (high - low + 1)).floor_()).minimum(high)
    offset = torch.where(found[:, None], offset, (room / 2).floor_())
    return torch.cat([offset / frame, extent / frame], 1)


def _frame(draw: Draw) -> Float[Tensor, "B 2"]:
    """Width and height of the originals."""
    return draw.sizes.flip(1).float()
