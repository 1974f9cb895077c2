"""RandAugment: operations drawn at random from a list and applied one after the other (Cubuk et al. 2020).

The list, the ranges and the probabilities are those of InfoMin's views (Tian et al. 2020): the authors' PyContrast
code asks timm's RandAugment for `rand-n2-m10-mstd0.5`.

B images of the batch, S pixels of a view's side, N operations in a row.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from pairlens.views.color import adjust_, per_image

APPLIED = 0.5
"""Probability that a drawn operation is applied at all (PyContrast; 1 in the paper)."""

NOISE = 0.5
"""Standard deviation of the level about the chosen one (PyContrast; none in the paper)."""

GREATEST = 10.0
"""The greatest level."""

FILL = (124 / 255, 116 / 255, 104 / 255)
"""Red, green and blue of what a geometric operation brings in from outside the view (PyContrast: ImageNet's mean)."""


class Operation(IntEnum):
    """What can be done to a view; neighbours that are alike are computed together."""

    IDENTITY = 0  # drawn and not applied
    AUTO_CONTRAST = 1
    EQUALIZE = 2
    INVERT = 3
    POSTERIZE = 4
    SOLARIZE = 5
    SOLARIZE_ADD = 6
    SHARPNESS = 7
    BRIGHTNESS = 8
    CONTRAST = 9
    COLOR = 10
    ROTATE = 11
    SHEAR_X = 12
    SHEAR_Y = 13
    TRANSLATE_X = 14
    TRANSLATE_Y = 15


RANGES: Mapping[Operation, tuple[float, float]] = {
    Operation.POSTERIZE: (0, 4),  # bits kept of 8, whole
    Operation.SOLARIZE: (0, 256),  # values from here on are inverted; of 255, whole
    Operation.SOLARIZE_ADD: (0, 110),  # added to values below 128; of 255, whole
    Operation.SHARPNESS: (0.1, 1.9),  # factors: 1 leaves the view as it is
    Operation.BRIGHTNESS: (0.1, 1.9),
    Operation.CONTRAST: (0.1, 1.9),
    Operation.COLOR: (0.1, 1.9),
    Operation.ROTATE: (0, 30),  # degrees, counter-clockwise
    Operation.SHEAR_X: (0, 0.3),  # pixels a pixel
    Operation.SHEAR_Y: (0, 0.3),
    Operation.TRANSLATE_X: (0, 0.45),  # share of the side; positive takes from the right, or from below
    Operation.TRANSLATE_Y: (0, 0.45),
}
"""Each operation's magnitude at level 0 and at level 10; those left out have none.

At level 10 solarising changes nothing and posterising is weakest: so it is in the source.
"""

WHOLE = (Operation.POSTERIZE, Operation.SOLARIZE, Operation.SOLARIZE_ADD)
"""Operations whose magnitude is cut down to a whole number."""


def draw_operations(
    batch: int, count: int, level: float, generator: torch.Generator
) -> tuple[Integer[Tensor, "B N"], Float[Tensor, "B N"]]:
    """N = `count` operations for each view, with replacement, and their magnitudes in the units of `RANGES`.

    Each is one of the 15 with equal probability, and applied with probability 1/2. Its level is normal about `level`
    with standard deviation 1/2, clamped to [0, 10]. Geometric operations go either way with equal probability.
    Nothing is drawn where `count` is 0.
    """
    if not count:
        return torch.zeros(batch, 0, dtype=torch.long), torch.zeros(batch, 0)
    which, applied, way = torch.rand(batch, count, 3, generator=generator).unbind(2)
    noise = torch.randn(batch, count, generator=generator)
    operation = (1 + (which * (len(Operation) - 1)).long()) * (applied < APPLIED)
    low, high = torch.tensor([RANGES.get(o, (0, 0)) for o in Operation], dtype=torch.float32).T[:, operation]
    magnitude = low + (high - low) * (noise.mul_(NOISE).add_(level).clamp_(0, GREATEST) / GREATEST)
    magnitude = torch.where(torch.isin(operation, torch.tensor(WHOLE)), magnitude.floor(), magnitude)
    return operation, torch.where((operation >= Operation.ROTATE) & (way < 0.5), -magnitude, magnitude)


def apply_operations(
    view: Float[Tensor, "B 3 S S"], operations: Integer[Tensor, "B N"], magnitudes: Float[Tensor, "B N"]
) -> Float[Tensor, "B 3 S S"]:
    """Apply each view's operations from the first to the last; values in [0, 1]; `view` is overwritten.

    Each equals Pillow's on 8 bits but for the rounding. Two departures from PyContrast: geometric operations are
    always bilinear (there bilinear or bicubic at random), and nothing is rounded to 8 bits on the way but for
    equalising and posterising, which are defined on 8 bits. Every operation touches only the views that have it; with
    operations and magnitudes on the CPU, nothing is read back from an accelerator. Under torch.compile, where nothing
    may depend on a value, every operation is computed for every view.
    """
    for operation, magnitude in zip(operations.unbind(1), magnitudes.unbind(1), strict=True):
        if torch.compiler.is_compiling():
            view = apply_masked(view, operation.to(view.device), magnitude.to(view.device))
            continue
        by_operation = operation.argsort()
        ends = torch.bincount(operation, minlength=len(Operation)).cumsum(0).tolist()
        for first, last, apply in FAMILIES:
            rows = by_operation[ends[first - 1] : ends[last]]
            if len(rows):
                of_rows = [t[rows].to(view.device, non_blocking=True) for t in (operation, magnitude)]
                there = rows.to(view.device, non_blocking=True)
                view.index_copy_(0, there, apply(view.index_select(0, there), *of_rows))
    return view


def apply_masked(
    view: Float[Tensor, "B 3 S S"], operation: Integer[Tensor, "B"], magnitude: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """One operation for each view, without a step that depends on a value."""
    done = view
    for first, last, apply in FAMILIES:
        due = ((operation >= first.value) & (operation <= last.value))[:, None, None, None]
        done = torch.where(due, apply(view.clone(), operation, magnitude), done)
    return done


def auto_contrast(
    view: Float[Tensor, "B 3 S S"], operation: Integer[Tensor, "B"], magnitude: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """Stretch each channel to [0, 1]; one that spans less than half a level of 255 stays."""
    low, high = view.amin((2, 3), keepdim=True), view.amax((2, 3), keepdim=True)
    flat = high - low < 0.5 / 255
    return (view - low.masked_fill(flat, 0.0)) / (high - low).masked_fill(flat, 1.0)


def equalize(
    view: Float[Tensor, "B 3 S S"], operation: Integer[Tensor, "B"], magnitude: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """Level each channel's histogram of 256 bins.

    As in Pillow, a step is 1/255 of the pixels that are below the channel's greatest value; a channel with less than
    one pixel a step keeps its values.
    """
    bins = _levels(view).long().flatten(2)
    counts = torch.zeros(*bins.shape[:2], 256, dtype=torch.long, device=view.device)
    counts.scatter_add_(2, bins, torch.ones_like(bins))
    greatest = bins.amax(2, keepdim=True)
    step = (bins.shape[2] - counts.gather(2, greatest)) // 255
    below = counts.cumsum(2) - counts
    levelled = ((below + step // 2) // step.clamp(min=1)).clamp_(max=255)
    mapped = torch.where(step > 0, levelled, torch.arange(256, device=view.device))
    return mapped.div(255).gather(2, bins).view_as(view)


def invert(
    view: Float[Tensor, "B 3 S S"], operation: Integer[Tensor, "B"], magnitude: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """Each value's distance from 1."""
    return 1 - view


def posterize(
    view: Float[Tensor, "B 3 S S"], operation: Integer[Tensor, "B"], magnitude: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """Keep only the highest bits of the 8."""
    width = per_image(torch.exp2(8 - magnitude))
    return _levels(view).div_(width).floor_().mul_(width / 255)


def solarize(
    view: Float[Tensor, "B 3 S S"], operation: Integer[Tensor, "B"], magnitude: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """Invert the values that are not below the threshold."""
    return torch.lerp(view, 1 - view, (view >= per_image(magnitude - 0.5) / 255).float())


def solarize_add(
    view: Float[Tensor, "B 3 S S"], operation: Integer[Tensor, "B"], magnitude: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """Add to the values of the lower half."""
    return view.addcmul_((view < 0.5).float(), per_image(magnitude) / 255).clamp_(max=1)


def sharpness(
    view: Float[Tensor, "B 3 S S"], operation: Integer[Tensor, "B"], magnitude: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """Away from, or towards, the mean of each pixel and its eight neighbours (weights 5 and 1); edges stay."""
    if view.shape[3] < 3:
        return view
    inner = view[:, :, 1:-1, 1:-1]
    three = (view[:, :, :-2] + view[:, :, 1:-1]).add_(view[:, :, 2:])
    smooth = (three[..., :-2] + three[..., 1:-1]).add_(three[..., 2:]).add_(inner, alpha=4).div_(13)
    inner.copy_(torch.lerp(smooth, inner, per_image(magnitude)).clamp_(0, 1))
    return view


def enhance(
    view: Float[Tensor, "B 3 S S"], operation: Integer[Tensor, "B"], magnitude: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """Brightness, contrast or colour (saturation): away from black, the mean gray, or the gray image, or towards it."""
    color, contrast = operation == Operation.COLOR.value, operation == Operation.CONTRAST.value
    rest = 1 - magnitude
    return adjust_(view, magnitude, rest * color, rest * contrast)


def transform(
    view: Float[Tensor, "B 3 S S"], operation: Integer[Tensor, "B"], magnitude: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """Rotate about the centre, shear about the top left corner, or translate: bilinear, `FILL` outside the view.

    As in Pillow, a pixel whose origin lies inside the view is interpolated from the view's own pixels alone.
    """
    each = torch.arange(Operation.ROTATE.value, len(Operation), device=view.device)
    turn, shear_x, shear_y, move_x, move_y = ((operation[:, None] == each) * magnitude[:, None]).unbind(1)
    turn = turn.deg2rad()
    # From the view's coordinates to the original's, each from -1 to 1
    by_x = torch.stack([turn.cos(), shear_y + turn.sin()], 1)[:, :, None, None]
    by_y = torch.stack([shear_x - turn.sin(), turn.cos()], 1)[:, :, None, None]
    offset = torch.stack([shear_x + 2 * move_x, shear_y + 2 * move_y], 1)[:, :, None, None]
    place = (2 * torch.arange(view.shape[3], device=view.device) + 1) / view.shape[3] - 1
    origin = by_x * place + (by_y * place[:, None] + offset)  # [B, 2, S, S]
    inside = (origin >= -1) & (origin < 1)
    moved = F.grid_sample(view, origin.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)
    fill = torch.stack([view.new_full((1, 1), value) for value in FILL])
    return torch.lerp(fill, moved, (inside[:, :1] & inside[:, 1:]).float())


def _levels(view: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 S S"]:
    """The nearest of the 256 levels of 8 bits."""
    return view.mul(255).round_().clamp_(0, 255)


FAMILIES: tuple[tuple[Operation, Operation, Callable[[Tensor, Tensor, Tensor], Tensor]], ...] = (
    (Operation.AUTO_CONTRAST, Operation.AUTO_CONTRAST, auto_contrast),
    (Operation.EQUALIZE, Operation.EQUALIZE, equalize),
    (Operation.INVERT, Operation.INVERT, invert),
    (Operation.POSTERIZE, Operation.POSTERIZE, posterize),
    (Operation.SOLARIZE, Operation.SOLARIZE, solarize),
    (Operation.SOLARIZE_ADD, Operation.SOLARIZE_ADD, solarize_add),
    (Operation.SHARPNESS, Operation.SHARPNESS, sharpness),
    (Operation.BRIGHTNESS, Operation.COLOR, enhance),
    (Operation.ROTATE, Operation.TRANSLATE_Y, transform),
)
"""Operations, from the first to the last, and the function that computes them."""
