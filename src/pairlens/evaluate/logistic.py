"""Multinomial logistic regression on standardised features, solved in their principal axes.

N images, D features, R principal axes, C classes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

EXACT = 2048
"""Up to so many features all principal axes are kept, and the problem is the original one in other coordinates."""

LEADING = 512
"""Of more features than that, only so many leading axes are kept."""

ROWS = 8192
"""Images worked on at a time; leading axes are estimated from half as many, evenly spaced."""


@dataclass(frozen=True)
class Axes:
    """Standardised features' principal axes. An L2 penalty does not see the rotation; the solver gains from it."""

    mean: Float[Tensor, "D"]
    scale: Float[Tensor, "D"]  # one over the standard deviation; 0 for a constant feature
    axes: Float[Tensor, "D R"]  # orthonormal columns
    variance: Float[Tensor, "R"]  # of the standardised features along each axis

    def standardise(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Zero mean and unit variance on the features that the axes were found on."""
        return (features - self.mean) * self.scale

    def __call__(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N R"]:
        """Coordinates along the axes."""
        return torch.cat([self.standardise(part) @ self.axes for part in features.split(ROWS)])


def principal_axes(features: Float[Tensor, "N D"]) -> Axes:
    """All principal axes of up to 2 048 standardised features; the leading 512, found by subspace iteration, of more.

    The iteration (Halko, Martinsson and Tropp, SIAM Review 2011, Algorithm 4.4) starts from a fixed random matrix.
    """
    width = features.shape[1]
    std, mean = torch.std_mean(features, 0, correction=0)
    scale = torch.where(std > 1e-6 * std.max(), 1 / std, 0.0)
    found = Axes(mean, scale, features.new_zeros(width, 0), features.new_zeros(0))
    if width <= EXACT:
        gram = features.new_zeros(width, width)
        for part in features.split(ROWS):
            rows = found.standardise(part)
            gram.addmm_(rows.T, rows)
        variance, axes = torch.linalg.eigh(gram / len(features))
    else:
        spaced = torch.linspace(0, len(features) - 1, min(len(features), ROWS // 2)).long()
        rows = found.standardise(features[spaced.to(features.device)])
        start = torch.randn(width, min(LEADING, len(rows)), generator=torch.Generator().manual_seed(0))
        axes = start.to(features)
        for _ in range(2):
            axes, _ = torch.linalg.qr(rows.T @ (rows @ axes))
        inside = rows @ axes
        variance, turn = torch.linalg.eigh(inside.T @ inside / len(rows))
        axes = axes @ turn
    return Axes(mean, scale, axes, variance.clamp(min=0))


def minimise(
    points: Float[Tensor, "N R"],
    labels: Int64[Tensor, "N"],
    classes: int,
    strength: float,
    variance: Float[Tensor, "R"],
    start: tuple[Float[Tensor, "R C"], Float[Tensor, "C"]] | None = None,
    *,
    iterations: int = 200,
    tolerance: float | None = None,
) -> tuple[Float[Tensor, "R C"], Float[Tensor, "C"]]:
    """Weights and biases of least mean cross-entropy + strength / 2 * squared weights, by full-batch L-BFGS.

    `strength` is scikit-learn's 1 / (C N). Along a principal axis the curvature is at most variance / 2 + strength
    (Böhning 1992), so that steps scaled by its root need some twenty evaluations whatever the features' correlations.
    `start` is where to begin, zero by default; the optimum is unique up to a common shift of the biases.

    Args:
        points: coordinates along the principal axes.
        labels: the true classes.
        classes: how many there are.
        strength: of the L2 penalty, > 0.
        variance: of the points along each axis.
        start: weights and biases to begin at.
        iterations: of L-BFGS at most.
        tolerance: of the greatest gradient entry, in scaled coordinates, at which to stop; None: 1e-4 in float32 (the
            loss is then right to six digits), 1e-9 in float64.
    """
    if tolerance is None:
        tolerance = 1e-9 if points.dtype == torch.float64 else 1e-4
    step = (variance / 2 + strength).rsqrt()[:, None]
    scaled = points * step.T
    target = F.one_hot(labels, classes).to(points.dtype)
    weight = points.new_zeros(points.shape[1], classes) if start is None else start[0] / step
    bias = points.new_zeros(classes) if start is None else start[1].clone()
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=iterations,
        tolerance_grad=tolerance,
        tolerance_change=tolerance**2,
        line_search_fn="strong_wolfe",
    )
    penalty = strength * step.square()

    def closure() -> Tensor:
        logits = torch.addmm(bias, scaled, weight)
        normalizer = logits.logsumexp(1, keepdim=True)
        loss = (normalizer.squeeze(1) - (logits * target).sum(1)).mean() + 0.5 * (penalty * weight.square()).sum()
        residual = (logits - normalizer).exp_().sub_(target).div_(len(scaled))
        weight.grad = torch.addmm(penalty * weight, scaled.T, residual)
        bias.grad = residual.sum(0)
        return loss

    with torch.no_grad():
        optimizer.step(closure)
    return weight * step, bias
