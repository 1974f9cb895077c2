"""U-Nets that turn noise into images, many side by side: the deep image prior of feature inversion.

T networks (one an image), C channels, I of the input, O of an output, H x W positions, S pixels of an image's side.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.errors import InputError

OUTER = 16
"""Channels at the images' own side ..."""

WIDTHS = (16, 32, 64, 128, 128)
"""... at half of it, at a quarter and so on, ..."""

SKIP = 16
"""... and those that go across at each."""

INPUTS = 32
"""Channels of the noise (Ulyanov et al., CVPR 2018, supplement)."""

LEAST = 4
"""Sides are halved while this many pixels are left."""


class Convs(nn.Module):
    """T independent convolutions as one grouped call, each on its own input: [T, I, H, W] -> [T, O, h, w]."""

    def __init__(
        self, inputs: int, outputs: int, size: int, generators: Sequence[torch.Generator], stride: int = 1
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, size // 2
        self.weight = nn.Parameter(torch.empty(len(generators), outputs, inputs, size, size))
        bound = (inputs * size * size) ** -0.5
        with torch.no_grad():
            for weight, generator in zip(self.weight, generators, strict=True):
                weight.uniform_(-bound, bound, generator=generator)

    def forward(self, x: Float[Tensor, "T I H W"]) -> Float[Tensor, "T O h w"]:
        """The outputs, network by network."""
        together, weight = x.flatten(0, 1)[None], self.weight.flatten(0, 1)
        y = F.conv2d(together, weight, stride=self.stride, padding=self.padding, groups=len(x))
        return y[0].unflatten(0, (len(x), -1))


class Norms(nn.Module):
    """T independent batch normalisations of one image each, with scale and shift, and LeakyReLU."""

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(count, channels))
        self.shift = nn.Parameter(torch.zeros(count, channels))

    def forward(self, x: Float[Tensor, "T C H W"]) -> Float[Tensor, "T C H W"]:
        """Of the same shape."""
        y = F.instance_norm(x.flatten(0, 1)[None], weight=self.scale.flatten(), bias=self.shift.flatten())
        return F.leaky_relu(y[0].view_as(x), 0.2)


class Level(nn.Module):
    """One side of the U: half the resolution below, what `inner` makes of that, and a skip connection across it."""

    def __init__(self, inputs: int, widths: Sequence[int], generators: Sequence[torch.Generator], outputs: int) -> None:
        super().__init__()
        width, count = widths[0], len(generators)
        self.across = nn.Sequential(Convs(inputs, SKIP, 1, generators), Norms(count, SKIP))
        self.down = nn.Sequential(
            Convs(inputs, width, 3, generators, stride=2),
            Norms(count, width),
            Convs(width, width, 3, generators),
            Norms(count, width),
        )
        self.inner = Level(width, widths[1:], generators, width) if widths[1:] else None
        self.up = nn.Sequential(
            Convs(width + SKIP, outputs, 3, generators),
            Norms(count, outputs),
            Convs(outputs, outputs, 1, generators),
            Norms(count, outputs),
        )

    def forward(self, x: Float[Tensor, "T I H W"]) -> Float[Tensor, "T O H W"]:
        """At the resolution of the input."""
        below = self.down(x)
        if self.inner is not None:
            below = self.inner(below)
        large = F.interpolate(below, x.shape[2:], mode="bilinear")
        return self.up(torch.cat([large, self.across(x)], 1))


class UNets(nn.Module):
    """T independent encoder-decoders with skip connections, from noise to images of S x S pixels in [0, 1].

    After the networks of deep image prior (Ulyanov et al., CVPR 2018, Figure 21): strided convolutions, batch
    normalisation over the one image, LeakyReLU, bilinear upsampling, a sigmoid at the end. Sides are halved down to
    four pixels or more, at most five times. Networks and noise of a generator do not depend on those beside them.

    Args:
        size: S.
        generators: of the weights and the noise, one a network, on the CPU.

    Raises:
        InputError: the images are smaller than 8 pixels, or there is no network.
    """

    noise: Float[Tensor, "T I S S"]

    def __init__(self, size: int, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        depth = next((d for d in range(len(WIDTHS), 0, -1) if size >> d >= LEAST), 0)
        if not depth or not generators:
            raise InputError(
                f"{len(generators)} images of {size} pixels cannot be made by a U-Net; give one at least, of "
                f"{2 * LEAST} pixels or more"
            )
        noise = [torch.rand(INPUTS, size, size, generator=generator) * 0.1 for generator in generators]
        self.register_buffer("noise", torch.stack(noise))
        self.trunk = Level(INPUTS, WIDTHS[:depth], generators, OUTER)
        self.last = Convs(OUTER, 3, 1, generators)
        self.shift = nn.Parameter(torch.zeros(len(generators), 3, 1, 1))

    def forward(self, noise: Float[Tensor, "T I S S"] | None = None) -> Float[Tensor, "T 3 S S"]:
        """The images that the networks make of their own noise, U(0, .1), or of other."""
        return (self.last(self.trunk(self.noise if noise is None else noise)) + self.shift).sigmoid()
