"""What a run's feature transform does to its scores: before and after, beside what the equations predict.

FT, Figure 1 (b) and (c), Figure 7 (a) and (b). S steps, N bins.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Num

from pairlens.record.run import Run
from pairlens.report.predicted import Transform, positive_mean, renormalised_mean, transform_of, variance_factor
from pairlens.report.read import Missing, column

STATISTICS = ("positive_mean", "positive_variance", "negative_mean", "negative_variance")


@dataclass(frozen=True)
class Change:
    """One statistic before and after the transform, means over the steps at which it acted."""

    before: float
    after: float
    predicted: float | None = None  # after; None where the equations do not tell


@dataclass(frozen=True)
class Effect:
    """One space's scores; the same before and after where there is no transform."""

    space: str
    changes: dict[str, Change]  # by statistic
    steps: int  # at which the transform acted; all of them without one
    transform: Transform | None


@dataclass(frozen=True)
class Effects:
    """All spaces of a run."""

    spaces: tuple[Effect, ...]

    @property
    def transformed(self) -> bool:
        """Whether anything was changed anywhere."""
        return any(one.transform is not None for one in self.spaces)


def compute(run: Run) -> Effects | Missing:
    """Every space's statistics before and after the transform."""
    found = [effect for space in run.spaces if (effect := _effect(run, space)) is not None]
    return Effects(tuple(found)) if found else Missing("No scores have been recorded, so there is nothing to compare.")


def _effect(run: Run, space: str) -> Effect | None:
    table = run.statistics
    columns = {name: (column(table, f"{space}.raw_{name}"), column(table, f"{space}.{name}")) for name in STATISTICS}
    known = {name: (a, b) for name, (a, b) in columns.items() if a is not None and b is not None}
    if not known:
        return None
    acts = np.any([_differ(a, b) for a, b in known.values()], axis=0)
    acted = bool(acts.mean() > 0.01)  # rounding alone is none
    rows = acts if acted else np.ones(len(table), bool)
    means = {name: (_mean(a[rows]), _mean(b[rows])) for name, (a, b) in known.items()}
    contrasts = bool(run.info["spaces"][space].get("negatives"))
    transform = transform_of(run.call, contrasts) if acted else None
    predicted = _predicted(run, space, transform, means, rows, contrasts) if transform else {}
    changes = {name: Change(before, after, predicted.get(name)) for name, (before, after) in means.items()}
    return Effect(space, changes, int(rows.sum()), transform if acted else None)


def _differ(before: Num[np.ndarray, "S"], after: Num[np.ndarray, "S"]) -> Bool[np.ndarray, "S"]:
    return ~np.isclose(before, after, rtol=1e-4, atol=1e-6, equal_nan=True)


def _mean(values: Num[np.ndarray, "S"]) -> float:
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def _predicted(
    run: Run,
    space: str,
    given: Transform,
    means: dict[str, tuple[float, float]],
    rows: Bool[np.ndarray, "S"],
    contrasts: bool,
) -> dict[str, float | None]:
    """What the equations say of the statistics after the transform."""
    positive, negative = (means.get(name, (np.nan,) * 2)[0] for name in ("positive_mean", "negative_mean"))
    after: float | None = positive_mean(given, positive)
    if given.renormalise and given.positives is not None:
        after = _renormalised(run, space, given, rows)
    found: dict[str, float | None] = {"positive_mean": after}
    factor = variance_factor(given, positive, negative) if contrasts else None
    if factor is not None and "negative_variance" in means:
        found["negative_variance"] = factor * means["negative_variance"][0]
    if given.negatives is not None and contrasts and not given.renormalise and not given.selected:
        found["negative_mean"] = negative  # FT, Eq. 5: weights that add up to 1
    return found


def _renormalised(run: Run, space: str, given: Transform, rows: Bool[np.ndarray, "S"]) -> float | None:
    """The mean positive score after renormalising, from the recorded histograms of the same steps."""
    counts, table = run.histograms, run.statistics
    step, positive = column(counts, "step"), column(counts, f"{space}.raw_positive")
    acted = column(table, "step")
    if step is None or positive is None or acted is None:
        return None
    chosen = positive[np.isin(step, acted[rows])].sum(0, dtype=np.float64)
    form = run.info.get("histogram") or {}
    low, high = float(form.get("low", -1)), float(form.get("high", 1))
    scores = low + (high - low) / len(chosen) * (np.arange(len(chosen)) + 0.5)
    return renormalised_mean(given, chosen / chosen.sum(), scores) if chosen.sum() else None
