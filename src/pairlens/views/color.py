"""Colour: gray, and the four adjustments of the jitter, each with its own factors for every image.

B images of the batch, S pixels of a view's side, J adjustments in a row.
"""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in gray (ITU-R BT.601, as Pillow and torchvision have them)."""

CONTRAST, SATURATION, HUE = 1, 2, 3
"""Columns of `ViewParams.factors`; brightness is column 0."""


def luma(view: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 1 S S"]:
    """The gray image, as one channel."""
    red, green, blue = view.split(1, 1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def adjust_(
    view: Float[Tensor, "B 3 S S"], scale: Float[Tensor, "B"], gray: Float[Tensor, "B"], level: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """scale * view + gray * its gray image + level * that image's mean, clamped to [0, 1]; in place.

    Brightness, contrast and saturation are all of this form (`adjustments`), so images that differ in which of them
    is due are adjusted together.
    """
    shade = luma(view)
    mean = shade.mean((2, 3), keepdim=True)
    shade.mul_(per_image(gray)).add_(mean.mul_(per_image(level)))
    return view.mul_(per_image(scale)).add_(shade).clamp_(0, 1)


def adjustments(
    factors: Float[Tensor, "B 4"], order: Integer[Tensor, "B J"]
) -> tuple[Float[Tensor, "B J"], Float[Tensor, "B J"], Float[Tensor, "B J"]]:
    """`adjust_`'s three factors for each image and each of the adjustments in its order; neutral ones for hue."""
    factor = factors.gather(1, order.long())
    rest = 1 - factor
    return (
        torch.where(order == HUE, 1.0, factor),
        torch.where(order == SATURATION, rest, 0.0),
        torch.where(order == CONTRAST, rest, 0.0),
    )


def shift_hue_(view: Float[Tensor, "B 3 S S"], turns: Float[Tensor, "B"]) -> Float[Tensor, "B 3 S S"]:
    """Turn the hue of every pixel in HSV space, by `turns` of the full circle; in place.

    With value V and chroma C = V - min, the hue is sign(green - blue) * (1 + (green + blue - red - min) / C) / 6 turns.
    A channel at a distance d (at most half a turn) of the hue from its own (red 0, green 1/3, blue 2/3) is
    V - C * clamp(6 d - 1, 0, 1), which with e = 1/2 - d is V - 2 C + 6 C * clamp(e, 1/6, 1/3).
    """
    red, green, blue = view.split(1, 1)
    value = torch.maximum(red, green).maximum(blue)
    least = torch.minimum(red, green).minimum(blue)
    chroma = value - least
    floor = value.sub_(chroma, alpha=2)
    six = chroma.mul_(6)
    hue = (green + blue).sub_(red).sub_(least).div_(six + 1e-12).add_(1 / 6).copysign_(green - blue)
    own = torch.arange(3, device=view.device)[:, None, None] / 3
    offset = per_image(turns) - own
    torch.add(hue, offset - offset.round(), out=view)  # within a turn of 0
    return view.abs_().sub_(0.5).abs_().clamp_(1 / 6, 1 / 3).mul_(six).add_(floor)


def per_image(values: Float[Tensor, "B"]) -> Float[Tensor, "B 1 1 1"]:
    """One number per image, shaped to multiply a batch of images."""
    return values[:, None, None, None]
