"""What one training step may draw from: which images, when, and the generators of its randomness.

B images of the batch.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor

from pairlens.errors import InputError

CELLS = 8192
"""Cells of the table through which the distribution function of Beta(alpha, alpha) is inverted."""


@runtime_checkable
class Drawn(Protocol):
    """What methods may ask of one view's drawn parameters, which are `views.params.ViewParams`."""

    def agrees(self, other: Any, group: str) -> Bool[Tensor, "B"]:
        """Where both views have one augmentation alike."""
        ...


@dataclass(frozen=True)
class Draw:
    """One step's call for randomness, handed to the plan, to the method and to the feature transforms.

    Nothing in pairlens draws from a global generator: whatever is random takes it from here, so a checkpoint that
    stores these generators continues a run bit for bit.
    """

    index: Int64[Tensor, "B"]  # which images of the set, on the CPU
    sizes: Integer[Tensor, "B 2"]  # height and width of the original images, pixels, on the CPU
    epoch: int  # epochs finished before this step
    step: int  # optimiser steps finished before this step
    views: torch.Generator  # CPU; drawn from by plans only
    features: torch.Generator  # on the training device; drawn from by methods and feature transforms only
    drawn: Mapping[str, Drawn] = field(default_factory=dict)  # by the plan, for each view; empty until it has


def beta(alpha: float, shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "..."]:
    """Beta(alpha, alpha) variates on the generator's device, in float32.

    `torch.distributions.Beta` draws from the global generator only; this calls the kernel beneath it. Gammas of a small
    alpha underflow in float32 (both may be 0, and their ratio NaN), hence float64.
    """
    check_alpha(alpha)
    concentration = torch.full((*shape, 2), alpha, dtype=torch.float64, device=generator.device)
    return torch._sample_dirichlet(concentration, generator=generator)[..., 0].float()


def beta_of_uniform(alpha: float) -> Callable[[Tensor], Tensor]:
    """The function that turns uniform variates into Beta(alpha, alpha) variates, each into one: its quantiles.

    `beta` rejects and tries again, so it uses up a varying count of the generator's numbers; this uses the numbers it
    is given, and at alpha = 1 gives them back. The lower half is tabulated over s, x = (s ^ max(1, 1 / alpha)) / 2,
    because the density over s is bounded; the upper half mirrors it. It is off by less than 1e-5.

    Raises:
        InputError: alpha is not positive.
    """
    check_alpha(alpha)
    if alpha == 1:
        return lambda uniform: uniform
    power = max(1.0, 1 / alpha)
    s = torch.linspace(0, 1, CELLS + 1, dtype=torch.float64)
    density = (2 - s**power if alpha < 1 else s * (2 - s)) ** (alpha - 1)
    below = torch.cat([s.new_zeros(1), torch.cumulative_trapezoid(density, s)])
    below = below / (2 * below[-1])  # the probability of what lies below each s; half of it all lies below 1/2

    def transform(uniform: Tensor) -> Tensor:
        folded = torch.minimum(uniform, 1 - uniform).double()
        right = torch.searchsorted(below, folded, right=True).clamp_(1, CELLS)
        inside = (folded - below[right - 1]) / (below[right] - below[right - 1])
        x = ((right - 1 + inside) / CELLS) ** power / 2
        return torch.where(uniform < 0.5, x, 1 - x).to(uniform.dtype)

    return transform


def check_alpha(alpha: float) -> None:
    """Refuse an alpha for which there is no Beta(alpha, alpha)."""
    if not 0 < alpha < math.inf:
        raise InputError(
            f"alpha of the Beta distribution must be positive, not {alpha}; FT uses 1.6 and 2.0, CCrop 0.1 and 0.6"
        )
