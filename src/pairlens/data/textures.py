"""Backgrounds for the built-in set: colours, gradients, weaves and texture patterns, drawn for a batch at once.

B images, S pixels a side.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

WAVES = 4.5  # of a texture across the image
TEXTURES = ("none", "stripes", "checks", "dots", "clouds")
"""What the factor "texture" counts."""


def rgb(hue: Float[Tensor, "B"], saturation: Float[Tensor, "B"], value: Float[Tensor, "B"]) -> Float[Tensor, "B 3"]:
    """HSV colours, each in [0, 1], as RGB in [0, 1]."""
    sixths = (hue[:, None] * 6 + torch.tensor([5.0, 3.0, 1.0])) % 6
    dip = torch.minimum(sixths, 4 - sixths).clamp_(0, 1)
    return value[:, None] * (1 - saturation[:, None] * dip)


def gradients(size: int, dark: Tensor, generator: torch.Generator) -> Float[Tensor, "B 3 S S"]:
    """Pale gradients between two colours of nearly one lightness; dark where `dark` [B] is True, else light ones.

    Strong ones would tell instances apart through jitter and gray alike.
    """
    batch = len(dark)
    uniform = torch.rand(7, batch, generator=generator)
    uniform[5] = torch.lerp(uniform[2], uniform[5], 0.3)
    ends = []
    for hue, saturation, level in (uniform[:3], uniform[3:6]):
        value = torch.where(dark, 0.65 * level, 0.45 + 0.55 * level)
        ends.append(rgb(hue, torch.where(dark, 0.5, 0.3) * saturation, value)[:, :, None, None])
    x, _ = _turned_axes(size, uniform[6])
    return torch.lerp(ends[0], ends[1], (0.5 + 0.7 * x).clamp_(0, 1)[:, None])


def weaves(size: int, batch: int, generator: torch.Generator) -> Float[Tensor, "B 3 S S"]:
    """Busy patterns at full contrast whose three colours, two directions and two scales are each image's own.

    Any crop shows them, so they tell the images apart whatever else is in the picture.
    """
    uniform = torch.rand(15, batch, generator=generator)
    saturation, value = 0.5 + 0.5 * uniform[3:6], torch.stack([0.3 * uniform[6], 0.7 + 0.3 * uniform[7], uniform[8]])
    dark, light, third = (rgb(*hsv)[:, :, None, None] for hsv in zip(uniform[:3], saturation, value, strict=True))
    waves = []
    for direction, scale, phase in (uniform[9:12], uniform[12:15]):
        x, _ = _turned_axes(size, direction)
        cycles = (2 + 6 * scale)[:, None, None] * x + phase[:, None, None]
        waves.append((1.5 * (2 * torch.pi * cycles).sin() + 0.5).clamp_(0, 1)[:, None])
    return torch.lerp(torch.lerp(dark, light, waves[0]), third, waves[1] * (1 - waves[0]))


def textures(kind: Int64[Tensor, "B"], size: int, generator: torch.Generator) -> Float[Tensor, "B 1 S S"]:
    """A gray pattern in [-1, 1] for each image, of the kind that `TEXTURES` names, at a random phase.

    Direction and scale are the kind's own: they would tell images of one kind apart.
    """
    batch = len(kind)
    phase = 2 * torch.pi * torch.rand(2, batch, generator=generator)[:, :, None, None]
    x, y = _turned_axes(size, torch.full((batch,), 1 / 8))
    u, v = (2 * torch.pi * WAVES * axis + shift for axis, shift in zip((x, y), phase, strict=True))
    clouds = F.interpolate(torch.rand(batch, 1, 6, 6, generator=generator) * 2 - 1, size, mode="bicubic")[:, 0]
    patterns = torch.stack(
        [
            torch.zeros_like(u),
            u.sin(),
            (4 * u.sin() * v.sin()).clamp_(-1, 1),
            (3 * (u.cos() + v.cos()) - 3).clamp_(-1, 1),
            (1.5 * clouds).clamp_(-1, 1),
        ]
    )
    return patterns[kind, torch.arange(batch)][:, None]


def _turned_axes(size: int, turns: Float[Tensor, "B"]) -> tuple[Float[Tensor, "B S S"], Float[Tensor, "B S S"]]:
    """Coordinates across the image, about [-1/2, 1/2], along and across a direction given in turns."""
    axis = (torch.arange(size) + 0.5) / size - 0.5
    cos, sin = (2 * torch.pi * turns).cos()[:, None, None], (2 * torch.pi * turns).sin()[:, None, None]
    return cos * axis[None, None, :] + sin * axis[None, :, None], cos * axis[None, :, None] - sin * axis[None, None, :]
