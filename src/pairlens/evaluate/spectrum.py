"""How good features are without any label: measures of their spectrum, and of how views and images lie in them.

N rows, n images with q views each, D features.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

MEASURES = ("rankme", "alpha", "stable_rank", "lidar", "alignment", "uniformity")
"""What `measure` tells of one set of features, in a fixed order."""

RANKS = (11, 50)
"""The ranks of eigenvalues between which alpha is fitted; of fewer features, those of a tenth and of half of them."""

DELTA = 1e-4
"""Added to the diagonal of LiDAR's covariance within images (its paper's value)."""


def measure(features: Float[Tensor, "n q D"]) -> dict[str, float]:
    """All `MEASURES` of the features of n images in q views each, computed in float64 on the CPU.

    Features are taken as they are, but alignment and uniformity are of unit vectors. What cannot be told, as of a
    single image, or of features that hold no numbers, is NaN.
    """
    z = features.detach().double().cpu()
    if len(z) < 2 or z.shape[1] < 2 or not bool(z.isfinite().all()):
        return dict.fromkeys(MEASURES, torch.nan)
    flat = z.flatten(0, 1)
    unit = F.normalize(z, dim=2)
    return {
        "rankme": rankme(flat),
        "alpha": alpha_req(flat),
        "stable_rank": stable_rank(flat),
        "lidar": lidar(z),
        "alignment": alignment(unit),
        "uniformity": float(uniformity(unit[:, 0])),
    }


def rankme(z: Float[Tensor, "N D"]) -> float:
    """The smooth rank of features: exp of the entropy of their singular values (RankMe: Garrido et al. 2023, Eq. 1).

    From 1, all rows on one line, to min(N, D). The rows are not centred. Higher is better between trainings alike.
    """
    values = torch.linalg.svdvals(z)
    return _exp_entropy(values)


def alpha_req(z: Float[Tensor, "N D"]) -> float:
    """The exponent with which eigenvalues of the features' covariance fall (alpha-ReQ: Agrawal et al. 2022).

    Minus the slope of log(eigenvalue) over log(rank), by least squares between `RANKS`. About 1 is best: more is a
    spectrum of few dimensions, less one of noise. NaN with fewer than four eigenvalues in the range.
    """
    values = eigenvalues(z)
    first, last = RANKS if len(values) >= RANKS[1] else (max(1, len(values) // 10), len(values) // 2)
    kept = values[first - 1 : last]
    kept = kept[kept > 0]
    if len(kept) < 4:
        return torch.nan
    x = torch.arange(first, first + len(kept), dtype=torch.float64).log()
    y = kept.log()
    x, y = x - x.mean(), y - y.mean()
    return -float((x * y).sum() / x.square().sum())


def stable_rank(z: Float[Tensor, "N D"]) -> float:
    """Variance in all directions over that in the greatest: tr(C) / max eigenvalue of the covariance C, from 1 to D."""
    values = eigenvalues(z)
    return float(values.sum() / values[0]) if values[0] > 0 else torch.nan


def lidar(z: Float[Tensor, "n q D"]) -> float:
    """The rank of what tells images apart in spite of their views (LiDAR: Thilak et al. 2024, Eq. 1 to 4).

    Images are classes and their views samples: exp of the entropy of the eigenvalues of
    W^(-1/2) B W^(-1/2), B the covariance of the images' means, W that of views about them plus `DELTA`.
    """
    means = z.mean(1)
    between = means - means.mean(0)
    within = (z - means[:, None]).flatten(0, 1)
    b = between.T @ between / (len(between) - 1)
    w = within.T @ within / len(within) + DELTA * torch.eye(z.shape[2], dtype=z.dtype)
    values, vectors = torch.linalg.eigh(w)
    root = vectors * values.rsqrt()  # root @ root.T is the inverse of w
    return _exp_entropy(torch.linalg.eigvalsh(root.T @ b @ root).clamp(min=0))


def alignment(z: Float[Tensor, "n q D"]) -> float:
    """Mean squared distance of two views of one image (Wang & Isola 2020, alpha = 2), over all couples of its views."""
    q = z.shape[1]
    spread = (z - z.mean(1, keepdim=True)).square().sum((1, 2))  # sum over couples |a - b|^2 = q * spread
    return float((2 * spread / (q - 1)).mean())


def uniformity(z: Float[Tensor, "rows D"]) -> Float[Tensor, ""]:
    """Log of the mean of exp(-2 |x - y|^2) over pairs of different rows (Wang & Isola 2020, t = 2); lower is more even.

    The rows are unit vectors, so |x - y|^2 = 2 - 2 x.y. A single row has no pairs: NaN.
    """
    n = len(z)
    potential = (4 * (z @ z.T - 1)).exp()
    return ((potential.sum() - potential.diagonal().sum()) / (n * (n - 1))).log()


def eigenvalues(z: Float[Tensor, "N D"]) -> Float[Tensor, "M"]:
    """Of the rows' covariance, greatest first; the M = min(N - 1, D) that can be other than zero."""
    values = torch.linalg.svdvals(z - z.mean(0)).square() / (len(z) - 1)
    return values[: min(len(z) - 1, z.shape[1])]


def _exp_entropy(values: Float[Tensor, "M"]) -> float:
    """exp of the entropy of non-negative numbers that are made to sum to 1; NaN where all are 0."""
    total = values.sum()
    if not total > 0:
        return torch.nan
    share = values / total
    return float((-torch.special.xlogy(share, share)).sum().exp())


def columns(groups: Iterable[str]) -> list[str]:
    """Names of all measures of some sets of features, "h.rankme" and so on."""
    return [f"{group}.{name}" for group in groups for name in MEASURES]
