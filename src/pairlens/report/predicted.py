"""What FT's equations predict of scores after the transform, from those before it and the arguments of the call.

With l ~ Beta(a, a) + shift, E[2 l (l - 1)] is called the stretch: 1.6 of the paper's extrapolation (a 2), -.38 of its
interpolation (a 1.6). N bins of scores, Q nodes of a quadrature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

NODES = 400
SPREAD = 0.3  # mean negative score up to which features are taken to spread in all directions
POSITIVES = {"extrapolate": 1.0, "interpolate_positives": 0.0}  # what l is shifted by
NEGATIVES = {"extrapolate_negatives": 1.0, "interpolate": 0.0}


@dataclass(frozen=True)
class Transform:
    """The feature transform of a call."""

    positives: tuple[float, float] | None  # alpha, and what l is shifted by
    negatives: tuple[float, float] | None
    renormalise: bool
    union: bool
    seen: bool  # whether negatives are scored with the transformed query
    selected: bool  # whether the loss sees only some negatives


def transform_of(call: Mapping[str, Any], contrasts: bool = True) -> Transform | None:
    """The transform that a run was called with; None without one, or where its arguments cannot be read.

    Args:
        call: of run.json.
        contrasts: whether the loss sees negatives; without them positives are renormalised by default.
    """
    given = call.get("arguments")
    if not isinstance(given, dict):
        return None
    positives, negatives = (_mix(given, names) for names in (POSITIVES, NEGATIVES))
    if positives is None and negatives is None:
        return None
    renormalise = given.get("renormalise")
    return Transform(
        positives,
        negatives,
        renormalise=(not contrasts) if renormalise is None else renormalise is True,
        union=given.get("union") is True,
        seen=given.get("negatives_see") != "raw",
        selected=given.get("select", "all") != "all",
    )


def _mix(given: Mapping[str, Any], names: Mapping[str, float]) -> tuple[float, float] | None:
    found = [(given[name], shift) for name, shift in names.items() if isinstance(given.get(name), int | float)]
    return (float(found[0][0]), found[0][1]) if len(found) == 1 and found[0][0] > 0 else None


def stretch(alpha: float, shift: float) -> float:
    """E[2 l (l - 1)] for l ~ Beta(alpha, alpha) + shift."""
    square = (alpha + 1) / (2 * (2 * alpha + 1))
    return 2 * (shift**2 + square - 0.5)


def positive_mean(given: Transform, mean: float) -> float:
    """The mean positive score after the transform without renormalising: S - 2 l (l - 1)(1 - S) (FT, Eq. 4)."""
    return mean if given.positives is None else mean - stretch(*given.positives) * (1 - mean)


def renormalised_mean(given: Transform, shares: Float[np.ndarray, "N"], scores: Float[np.ndarray, "N"]) -> float:
    """The same after renormalising: (S - c)/(1 + c) with c = 2 l (l - 1)(1 - S), over the scores' distribution."""
    if given.positives is None:
        return float((shares * scores).sum())
    lam, weight = nodes(*given.positives)
    c = (2 * lam * (lam - 1))[:, None] * (1 - scores)
    return float(weight @ (((scores - c) / (1 + c)) @ shares))


def variance_factor(given: Transform, positive: float, negative: float) -> float | None:
    """By how much the variance of negative scores changes; None where negatives are selected or far from spread.

    Of a mixture of two negatives it is l^2 + (1 - l)^2 = 1 + 2 l (l - 1) (FT, Eq. 5), divided by its squared length
    where it is renormalised; the union with the originals is half of each. A query that is 1 + c long, squared, after
    extrapolation stretches its scores by as much. It holds where features spread alike in all directions, so none is
    given while images still look alike.

    Args:
        given: the transform.
        positive: mean positive score before it.
        negative: mean negative score before it: how alike two negatives are.
    """
    if given.selected or not negative < SPREAD:
        return None
    factor = 1.0
    if given.negatives is not None:
        lam, weight = nodes(*given.negatives)
        mixed = 1 + 2 * lam * (lam - 1)
        if given.renormalise:
            mixed = mixed / (mixed + (1 - mixed) * min(1.0, max(0.0, negative)))
        factor = float(weight @ mixed)
        factor = (1 + factor) / 2 if given.union else factor
    if given.positives is not None and given.seen and not given.renormalise:
        factor *= 1 + stretch(*given.positives) * (1 - positive)
    return factor


def nodes(alpha: float, shift: float) -> tuple[Float[np.ndarray, "Q"], Float[np.ndarray, "Q"]]:
    """Values of l and their weights: evenly spaced angles, l = shift + (1 - cos angle) / 2."""
    angle = (np.arange(NODES) + 0.5) * np.pi / NODES
    weight = np.sin(angle) ** (2 * alpha - 1)
    return shift + (1 - np.cos(angle)) / 2, weight / weight.sum()
