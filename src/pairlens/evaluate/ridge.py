"""Ridge regression on frozen features: numbers, as `linear_solver` reads out classes.

N and M images, D features, R principal axes, K numbers of an image.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pairlens.errors import InputError
from pairlens.evaluate.features import finite
from pairlens.evaluate.linear import FEW, held_out
from pairlens.evaluate.logistic import principal_axes

STRENGTHS = tuple(10 ** (3 - half / 2) for half in range(19))
"""L2 strengths that may be chosen: 1000, under which hardly more than the mean is said, down to 1e-6, two a decade."""


@dataclass(frozen=True)
class Regression:
    """A linear layer on raw features that gives numbers."""

    weight: Float[Tensor, "D K"]
    bias: Float[Tensor, "K"]
    strength: float  # of the L2 penalty on standardised features

    def __call__(self, features: Float[Tensor, "M D"]) -> Float[Tensor, "M K"]:
        """The numbers it expects."""
        return torch.addmm(self.bias, features, self.weight)


def ridge(
    features: Float[Tensor, "N D"],
    targets: Float[Tensor, "N K"],
    *,
    generator: torch.Generator,
    strength: float | None = None,
    leave_one_out: bool = False,
) -> Regression:
    """The linear layer on standardised features of least mean squared error + strength * squared weights.

    Without a given strength, the one of least squared error on a random tenth of these (training) images is taken, and
    the regression is made again on all images; with `leave_one_out` the one of least error on each image when it alone
    is left out, which is surer where there are a few hundred images. More than 2 048 features are projected on their
    512 leading principal axes first. It is solved in float64.

    Raises:
        InputError: there is no image, targets or features are not finite, or the strength is not positive.
    """
    if not len(features) or len(features) != len(targets) or not targets.isfinite().all():
        raise InputError(
            f"{len(targets)} targets of {len(features)} images cannot be regressed on; give finite numbers, for each "
            "image its own"
        )
    if strength is not None and not strength > 0:
        raise InputError(f"the regression's L2 strength is {strength}; it must be positive")
    axes = principal_axes(finite(features))
    points, known = axes(features).double(), targets.to(features.device, torch.float64)
    if strength is None:
        strength = _choose_left_out(points, known) if leave_one_out else _choose(points, known, generator)
    weight, bias = next(_solve(points, known, (strength,)))
    raw = axes.scale[:, None] * (axes.axes @ weight.to(features.dtype))
    return Regression(raw, bias.to(features.dtype) - axes.mean @ raw, strength)


def _choose(points: Float[Tensor, "N R"], targets: Float[Tensor, "N K"], generator: torch.Generator) -> float:
    """The strength of least squared error on a random tenth, held out of these points."""
    split = held_out(len(points), generator)
    if split is None:
        return FEW
    train, test = (rows.to(points.device) for rows in split)
    errors = [
        (points[test] @ weight + bias - targets[test]).square().sum()
        for weight, bias in _solve(points[train], targets[train], STRENGTHS)
    ]
    return STRENGTHS[int(torch.stack(errors).argmin())]


def _choose_left_out(points: Float[Tensor, "N R"], targets: Float[Tensor, "N K"]) -> float:
    """The strength of least squared error on each point when the regression is made on all others.

    A point's error is then its error in the regression on all of them over one minus its leverage.
    """
    moved, wanted, count = points - points.mean(0), targets - targets.mean(0), len(points)
    few = count < points.shape[1]
    variance, turn = torch.linalg.eigh((moved @ moved.T if few else moved.T @ moved) / count)
    variance = variance.clamp(min=1e-12)
    left = turn if few else moved @ (turn * (count * variance).rsqrt())
    errors = []
    for strength in STRENGTHS:
        share = variance / (variance + strength)
        leverage = 1 / count + left.square() @ share
        missed = wanted - left @ (share[:, None] * (left.T @ wanted))
        errors.append((missed / (1 - leverage).clamp(min=1e-9)[:, None]).square().sum())
    return STRENGTHS[int(torch.stack(errors).argmin())]


def _solve(
    points: Float[Tensor, "N R"], targets: Float[Tensor, "N K"], strengths: Iterable[float]
) -> Iterator[tuple[Float[Tensor, "R K"], Float[Tensor, "K"]]]:
    """Weights and biases for one strength after the other, from one eigendecomposition.

    It is that of the axes' covariances, or of the points' products where those are fewer (the dual problem).
    """
    centre, mean = points.mean(0), targets.mean(0)
    moved = points - centre
    few = len(points) < points.shape[1]
    variance, turn = torch.linalg.eigh((moved @ moved.T if few else moved.T @ moved) / len(points))
    shared = turn.T @ (targets - mean if few else moved.T @ (targets - mean)) / len(points)
    for strength in strengths:
        weight = turn @ (shared / (variance.clamp(min=0) + strength)[:, None])
        weight = moved.T @ weight if few else weight
        yield weight, mean - centre @ weight
