"""The alterations whose traces are looked for in features: each one parameter of a view, everything else left as it is.

B images of the batch, S pixels of a view's side, K numbers of a parameter, J of what is read out in its place, C copies
of each image with another texture.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from pairlens.views.blur import blur_kernel
from pairlens.views.params import ViewParams

Values = Float[Tensor, "B K"]
"""The parameter of each image."""

SIDE = 0.6
"""Of the crop that is moved about, as a share of what is seen of the image."""

FREE = (1 - SIDE) / 2
"""How far that crop's centre can go from the middle, along each axis."""


@dataclass(frozen=True)
class Alteration:
    """One way to alter a view, and the parameter by which it is altered."""

    name: str
    group: str  # the augmentation that it belongs to: a key of `views.params.GROUPS`
    unit: str  # of the strengths, for people
    strengths: tuple[float, ...]  # every image is altered by each of these to see how far its features go
    neutral: tuple[float, ...]  # the parameter of the view that is called un-altered
    alter: Callable[[ViewParams, Values], ViewParams]
    at: Callable[[float, int, torch.Generator], Values]  # the parameters of so many images at one strength
    draw: Callable[[int, torch.Generator], Values]  # random ones, to be read out of the altered images' features
    classes: int = 0  # the parameter names one of so many classes; 0: it is K numbers
    seen: Callable[[Float[Tensor, "B 3 S S"]], Float[Tensor, "B J"]] | None = None  # read out instead, of plain views

    def plain(self, params: ViewParams) -> ViewParams:
        """The un-altered view."""
        return self.alter(params, torch.tensor(self.neutral).repeat(len(params), 1))


def alterations(size: int, copies: int = 0) -> tuple[Alteration, ...]:
    """Everything that views of S = `size` pixels are altered by, of images with so many copies of another texture.

    Hue goes once round the circle, other colours about as far as SimCLR's strongest jitter, crops down to MoCo v1's
    smallest. Blur follows the kernel of `views.blur`, a tenth of the side, so that it means as much at every size.
    Position moves a crop of .36 of the area; its un-altered view is the central one. Free rotation is left out, whose
    corners would betray the angle; quarter turns have none.
    """
    found = (
        _factor("brightness", 0, (0.4, 0.7, 1.3, 1.6)),
        _factor("contrast", 1, (0.4, 0.7, 1.3, 1.6)),
        _factor("saturation", 2, (0.0, 0.5, 1.5, 2.0)),
        _hue(),
        _choice("gray", "color", "gray", 2, lambda p, v: replace(p, gray=v[:, 0] > 0)),
        _blur(size),
        _choice("rotation", "rotation", "quarter turns", 4, lambda p, v: replace(p, rotation=v[:, 0].long())),
        _choice("flip", "flip", "mirrored", 2, lambda p, v: replace(p, flip=v[:, 0] > 0)),
        _scale(),
        _position(),
    )
    texture = _choice("texture", "texture", "which copy", copies + 1, lambda p, v: replace(p, texture=v[:, 0].long()))
    return (*found, texture) if copies else found


def chroma(views: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 2"]:
    """A view's mean colour beside gray: red minus green, and blue minus the mean of both.

    What a turn of the hue leads to. By how much it was turned is in no picture: the one before could have any colour.
    """
    red, green, blue = views.mean((2, 3)).unbind(1)
    return torch.stack([red - green, blue - (red + green) / 2], 1)


def _factor(name: str, column: int, strengths: tuple[float, ...]) -> Alteration:
    """A factor of the colour jitter, drawn uniform between the least and the greatest strength."""
    return Alteration(
        name, "color", "factor", strengths, (1.0,), _colour(column), _same, _uniform(strengths[0], strengths[-1])
    )


def _hue() -> Alteration:
    """A turn of the hue, drawn from the whole circle, after which a picture's colour says nothing of its content."""
    strengths = (0.05, 0.1, 0.25, 0.5)
    return Alteration("hue", "color", "turns", strengths, (0.0,), _colour(3), _same, _uniform(-0.5, 0.5), seen=chroma)


def _colour(column: int) -> Callable[[ViewParams, Values], ViewParams]:
    def alter(params: ViewParams, values: Values) -> ViewParams:
        factors = params.factors.clone()
        factors[:, column] = values[:, 0]
        return replace(params, factors=factors, jittered=torch.ones_like(params.jittered))

    return alter


def _blur(size: int) -> Alteration:
    """Standard deviations from what is hardly seen up to what fills the kernel."""
    reach = max(1.0, blur_kernel(size) // 2 / 3)
    strengths = tuple(round(reach * s, 2) for s in (0.4, 0.6, 1.0, 2.0))
    return Alteration(
        "blur",
        "blur",
        "pixels",
        strengths,
        (0.0,),
        lambda p, v: replace(p, blur=v[:, 0]),
        _same,
        _uniform(0.0, strengths[-1]),
    )


def _choice(
    name: str, group: str, unit: str, classes: int, alter: Callable[[ViewParams, Values], ViewParams]
) -> Alteration:
    """One of several values, all alike likely; 0 leaves the view as it is."""
    return Alteration(
        name,
        group,
        unit,
        tuple(map(float, range(1, classes))),
        (0.0,),
        alter,
        _same,
        lambda count, generator: torch.randint(classes, (count, 1), generator=generator).float(),
        classes,
    )


def _scale() -> Alteration:
    """A central crop, by its share of the area."""

    def alter(params: ViewParams, values: Values) -> ViewParams:
        side = values.clamp(max=1).sqrt()
        return _within(params, torch.cat([(1 - side) / 2, (1 - side) / 2, side, side], 1))

    strengths = (0.15, 0.3, 0.5, 0.7)
    return Alteration("scale", "crop", "share of the area", strengths, (1.0,), alter, _same, _uniform(0.1, 1.0))


def _position() -> Alteration:
    """A crop of one size, by where its centre lies: right of and below the middle, as shares of the side."""

    def alter(params: ViewParams, values: Values) -> ViewParams:
        return _within(params, torch.cat([FREE + values, torch.full_like(values, SIDE)], 1))

    def at(strength: float, count: int, generator: torch.Generator) -> Values:
        angle = 2 * math.pi * torch.rand(count, generator=generator)
        return strength * torch.stack([angle.cos(), angle.sin()], 1)

    return Alteration(
        "position",
        "crop",
        "of the side",
        (0.05, 0.1, 0.15, 0.2),
        (0.0, 0.0),
        alter,
        at,
        lambda count, generator: (2 * torch.rand(count, 2, generator=generator) - 1) * FREE,
    )


def _within(params: ViewParams, inner: Float[Tensor, "B 4"]) -> ViewParams:
    """A crop of what is seen: left, top, width and height as shares of the present crop."""
    corner, extent = params.crop[:, :2], params.crop[:, 2:]
    return replace(params, crop=torch.cat([corner + inner[:, :2] * extent, inner[:, 2:] * extent], 1))


def _same(strength: float, count: int, generator: torch.Generator) -> Values:
    """Every image is altered alike."""
    return torch.full((count, 1), strength)


def _uniform(low: float, high: float) -> Callable[[int, torch.Generator], Values]:
    return lambda count, generator: low + (high - low) * torch.rand(count, 1, generator=generator)
