"""Feature inversion: the image that a U-Net makes so that an encoder sees in it what it saw in another image.

T images at a time, D features, S pixels of a side, R references, P points of a curve.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.errors import InputError
from pairlens.evaluate.features import finite
from pairlens.nets.unet import INPUTS, UNets

Features = Callable[[Float[Tensor, "T 3 S S"]], Float[Tensor, "T D"]]
"""What is inverted: from pixels in [0, 1] to features, differentiable."""


@dataclass(frozen=True)
class Prior:
    """How the U-Nets are fitted."""

    iterations: int = 1000
    """Steps of Adam; the rate falls to 0 over them, as a cosine."""
    rate: float = 0.01
    """Adam's first learning rate."""
    jitter: float = 0.03
    """Standard deviation of normal noise that is added to the input anew in each step, to keep images smooth."""

    def __post_init__(self) -> None:
        if self.iterations < 1 or not 0 < self.rate < 1 or not 0 <= self.jitter < 1:
            raise InputError(
                f"{self.iterations} iterations at rate {self.rate} with jitter {self.jitter} fit nothing; give 1 "
                "iteration at least, a rate between 0 and 1, and a jitter from 0 to below 1"
            )


@dataclass(frozen=True)
class Inverted:
    """What became of T images."""

    images: Float[Tensor, "T 3 S S"]  # in [0, 1]
    error: Float[Tensor, "T"]  # squared distance of the features, 1 = that of other images
    curve: Float[Tensor, "T P"]  # the same before each step


def features_of(
    encoder: nn.Module, head: nn.Module | None, mean: Float[Tensor, "3"], std: Float[Tensor, "3"]
) -> Features:
    """The encoder's features of pixels in [0, 1], or what a head makes of them; in float32, for gradients need it."""

    def features(pixels: Float[Tensor, "T 3 S S"]) -> Float[Tensor, "T D"]:
        views = (pixels - mean[:, None, None]) / std[:, None, None]
        h = encoder(views.contiguous(memory_format=torch.channels_last))
        return h if head is None else head(h)

    return features


def pixels(images: Float[Tensor, "T 3 S S"]) -> Float[Tensor, "T D"]:
    """The pixels themselves: inverting these tells what the U-Nets can do in so many steps."""
    return images.flatten(1)


def typical_distance(wanted: Float[Tensor, "T D"], others: Float[Tensor, "R D"]) -> Float[Tensor, "T"]:
    """Mean squared distance of each feature vector to those of other images: the unit in which errors are told.

    Raises:
        InputError: features are not finite.
    """
    finite(torch.cat([wanted, others]))
    return torch.cdist(wanted, others).square().mean(1).clamp(min=1e-12)


class Inverting:
    """T images that are being inverted, each by a U-Net of its own (GP, Section 3 and Figure 2).

    Minimises ||f(R(Z)) - f(x)||^2 over the weights of the U-Net R, Z being fixed noise from U(0, .1) (GP after Ulyanov
    et al., CVPR 2018). The distance is divided by that of other images, which moves no minimum and lets one learning
    rate serve all features. The T networks are fitted together, and each as if it were alone. The same seeds give the
    same images, also where `state` was stored in between.

    Departs from GP, which tells neither network nor optimiser: the U-Net's widths are ours, Adam's rate falls.

    Args:
        features: what is inverted; it has to be in eval mode.
        images: whose features are wanted, pixels in [0, 1].
        scale: of the squared distances (`typical_distance`).
        prior: how to fit.
        seeds: of noise and weights, one an image.
    """

    def __init__(
        self,
        features: Features,
        images: Float[Tensor, "T 3 S S"],
        scale: Float[Tensor, "T"],
        prior: Prior,
        seeds: Sequence[int],
    ) -> None:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.features, self.scale, self.prior, self.seeds = features, scale, prior, tuple(seeds)
        self.networks = UNets(images.shape[-1], generators).to(images.device)
        self.parameters = list(self.networks.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, lr=prior.rate)
        self.curve = torch.zeros(len(images), prior.iterations, device=images.device)
        self.done = 0
        with torch.no_grad():
            self.wanted = features(images)

    def step(self) -> None:
        """One step of Adam on all networks; nothing is read back from the device."""
        left = math.cos(math.pi * self.done / self.prior.iterations) / 2 + 0.5
        self.optimizer.param_groups[0]["lr"] = self.prior.rate * left
        error = self._error(self.networks(self._noise()))
        self.optimizer.zero_grad()
        error.sum().backward()
        self.optimizer.step()
        self.curve[:, self.done] = error.detach()
        self.done += 1

    @torch.no_grad()
    def result(self) -> Inverted:
        """What the networks make of their noise now.

        Raises:
            InputError: it is not finite.
        """
        images = self.networks()
        error = self._error(images)
        if not bool(error.isfinite().all()):
            raise InputError("the inversion diverged: its features are not finite numbers; give a lower --rate")
        return Inverted(images, error, self.curve[:, : self.done])

    def state(self) -> dict[str, Tensor]:
        """All that a further `Inverting` of the same arguments needs to go on from here."""
        state = {"done": torch.tensor(self.done), "curve": self.curve}
        for i, parameter in enumerate(self.parameters):
            state[f"{i}"] = parameter.detach()
            state |= {f"{i}.{name}": value for name, value in self.optimizer.state[parameter].items()}
        return state

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a stored state."""
        moments: dict[int, dict[str, Any]] = {}
        for i, parameter in enumerate(self.parameters):
            parameter.copy_(state[f"{i}"])
            own = {name.removeprefix(f"{i}."): state[name] for name in state if name.startswith(f"{i}.")}
            moments[i] = {name: value.to(parameter.device if value.ndim else "cpu") for name, value in own.items()}
        groups = self.optimizer.state_dict()["param_groups"]
        self.done = int(state["done"])
        if self.done:
            self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.curve.copy_(state["curve"])

    def _error(self, images: Float[Tensor, "T 3 S S"]) -> Float[Tensor, "T"]:
        return (self.features(images) - self.wanted).square().sum(1) / self.scale

    def _noise(self) -> Float[Tensor, "T I S S"] | None:
        """The networks' noise with this step's jitter; None is the noise as it is."""
        if not self.prior.jitter:
            return None
        own = self.networks.noise
        generators = (torch.Generator().manual_seed((seed << 20) + self.done + 1) for seed in self.seeds)
        drawn = [torch.randn(INPUTS, *own.shape[2:], generator=generator) for generator in generators]
        return own + self.prior.jitter * torch.stack(drawn).to(own.device)


def invert(
    features: Features,
    images: Float[Tensor, "T 3 S S"],
    others: Float[Tensor, "R 3 S S"],
    *,
    prior: Prior = Prior(),
    seeds: Sequence[int],
    progress: Callable[[int], None] = lambda steps: None,
) -> Inverted:
    """Invert the features of images from beginning to end; `others` tell how far features of images are apart.

    `progress` is told how many steps are done. For the arguments see `Inverting`.

    Raises:
        InputError: features are not finite, or the inversion diverged.
    """
    with torch.no_grad():
        scale = typical_distance(features(images), features(others))
    inverting = Inverting(features, images, scale, prior, seeds)
    for done in range(prior.iterations):
        inverting.step()
        progress(done + 1)
    return inverting.result()
