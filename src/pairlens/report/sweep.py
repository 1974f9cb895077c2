"""Runs that differ in one number: which one, and what its values came to over the seeds.

R runs, V values, M points of a thinned curve.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from pairlens.report.thin import Curve

Axis = Literal["categories", "log", "linear"]

BESIDE = ("argv", "arguments", "machine", "record", "seed")
"""What of a call may differ in a sweep: how it was typed, where it ran, and the seed."""


@dataclass(frozen=True)
class Sweep:
    """The one argument in which runs differ, but for their seeds."""

    name: str
    values: tuple[float, ...]  # V, ascending
    places: tuple[tuple[int, ...], ...]  # V; of the runs that have each value

    @property
    def of_run(self) -> dict[int, int]:
        """For each run, by its place, which of the values it has."""
        return {place: value for value, places in enumerate(self.places) for place in places}

    @property
    def first(self) -> tuple[int, ...]:
        """One run of each value."""
        return tuple(places[0] for places in self.places)

    @property
    def worth_drawing(self) -> bool:
        """Whether curves by value say more than a curve a run."""
        return len(self.values) > 2 or any(len(places) > 1 for places in self.places)

    @property
    def axis(self) -> Axis:
        """How the argument is best laid out: FT's Figure 3 has momenta equally far apart."""
        return axis_of(self.name, self.values)


def find_sweep(calls: Sequence[Mapping[str, Any]]) -> Sweep | None:
    """The one number in which the calls of some runs differ, seeds aside; None where there is none, or more than one.

    Args:
        calls: R runs' `call` of run.json.
    """
    given = [arguments for call in calls if isinstance(arguments := call.get("arguments"), dict)]
    if len(calls) < 2 or len(given) < len(calls):
        return None
    texts = [
        {name: repr(value) for name, value in call.items() if name not in BESIDE}
        | {f"={name}": repr(value) for name, value in one.items() if name not in BESIDE}
        for call, one in zip(calls, given, strict=True)
    ]
    names = dict.fromkeys(name for one in texts for name in one)
    differing = [name for name in names if len({one.get(name) for one in texts}) > 1]
    if len(differing) != 1 or not differing[0].startswith("="):
        return None
    name = differing[0][1:]
    numbers = [number for one in given if (number := _number(one.get(name))) is not None]
    if len(numbers) < len(given):
        return None
    distinct = tuple(sorted(set(numbers)))
    places = tuple(tuple(i for i, value in enumerate(numbers) if value == one) for one in distinct)
    return Sweep(name, distinct, places) if len(distinct) > 1 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and type(value) is not bool and math.isfinite(value) else None


def axis_of(name: str, values: Sequence[float]) -> Axis:
    """Categories for momenta and for what is spaced unevenly, logarithms for decades, else a plain axis."""
    low, high = min(values), max(values)
    if "momentum" in name:
        return "categories"
    if low > 0 and high / low >= 8:
        return "log"
    gaps = np.diff(np.sort(np.asarray(values, np.float64)))
    return "categories" if gaps.min() < (high - low) / 25 else "linear"


def over_seeds(curves: Sequence[Curve]) -> Curve:
    """The mean of several runs' curves, and the least and greatest of the runs, on the steps of the longest.

    A shorter run counts as far as it reaches; where no run has a finite value there is a gap.
    """
    step = max(curves, key=lambda one: one.step[-1] if len(one) else -1.0).step
    rows = np.stack([_at(one, step) for one in curves])
    finite = np.isfinite(rows)
    count = finite.sum(0)
    mean = np.where(finite, rows, 0.0).sum(0) / np.maximum(count, 1)
    nothing = count == 0
    low = np.where(finite, rows, np.inf).min(0)
    high = np.where(finite, rows, -np.inf).max(0)
    broken = np.unique(np.concatenate([one.broken for one in curves]))
    mean, low, high = (np.where(nothing, np.nan, one) for one in (mean, low, high))
    return Curve(step, mean, low, high, broken)


def _at(curve: Curve, step: Float[np.ndarray, "M"]) -> Float[np.ndarray, "M"]:
    if not len(curve):
        return np.full(len(step), np.nan)
    if np.array_equal(curve.step, step):
        return curve.mean
    near = (step[1] - step[0]) / 2 if len(step) > 1 else 0.0  # blocks of other lengths have other centres
    inside = (step >= curve.step[0] - near) & (step <= curve.step[-1] + near)
    return np.where(inside, np.interp(step, curve.step, curve.mean), np.nan)
