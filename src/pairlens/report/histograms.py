"""Recorded scores as shares of the pairs per step and bin: what the panel of distributions draws.

H recorded histograms, thinned to T columns, N bins, M points of a thinned curve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from pairlens.record.observers import ROWS
from pairlens.record.run import Run
from pairlens.report.read import Missing, Start, column, transform_start
from pairlens.report.thin import block_means, blocks

COLUMNS = (60, 120)  # of a heat map: at least (where recorded), at most; in between, four histograms make one
PAIRS_PER_BIN = 32  # recorded positives a column below which neighbouring bins are merged, down to 32 bins


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of one kind of score over training."""

    mean: Float[np.ndarray, "M"]
    deviation: Float[np.ndarray, "M"]


@dataclass(frozen=True)
class Stage:
    """Scores before or after the feature transform, by kind: "positive" and "negative"."""

    shares: Mapping[str, Float[np.ndarray, "N T"]]  # of the pairs of that step, per bin
    moments: Mapping[str, Moments]


@dataclass(frozen=True)
class Space:
    """One embedding space."""

    name: str
    temperature: float
    negatives: int
    stages: Mapping[str, Stage]  # "after", and "before" where the transform changed anything


@dataclass(frozen=True)
class Counted:
    """What the histograms count."""

    every: int  # steps from one recorded histogram to the next
    columns: int  # histograms that make one column of a heat map
    positives: int  # pairs of one histogram: as many as it has queries
    parts: int  # of an accumulated batch, of which the last is looked at
    first: bool = False  # whether only the first queries were looked at


@dataclass(frozen=True)
class Distributions:
    """All spaces of a run."""

    step: Float[np.ndarray, "T"]  # of the histograms
    line_step: Float[np.ndarray, "M"]  # of the moments
    bins: Float[np.ndarray, "N"]  # centres
    spaces: tuple[Space, ...]
    counted: Counted
    start: Start | None  # of the feature transform, where it begins late


def compute(run: Run) -> Distributions | Missing:
    """Histograms as shares per step, and moments, of every space."""
    counts, table = run.histograms, run.statistics
    step, line_step = column(counts, "step"), column(table, "step")
    if step is None or line_step is None:
        return Missing("No score histograms have been recorded yet, so there is no distribution to show.")
    form = run.info.get("histogram") or {}
    edges = blocks(len(step), min(max(len(step) // 4, COLUMNS[0]), COLUMNS[1]))
    line_edges = blocks(len(line_step), 300)
    merged = _merged(counts, run.spaces, len(edges))
    spaces = []
    for name, given in run.info["spaces"].items():
        stages = {}
        for stage, prefix in (("before", "raw_"), ("after", "")):
            made = _stage(counts, table, f"{name}.{prefix}", edges, line_edges, merged)
            if made is not None:
                stages[stage] = made
        if len(stages) == 2 and _alike(stages["before"], stages["after"]):
            del stages["before"]
        if stages:
            spaces.append(Space(name, float(given.get("temperature", 0)), int(given.get("negatives", 0)), stages))
    if not spaces:
        return Missing("The recorded histograms name none of the run's spaces, so there is no distribution to show.")
    some = next(iter(spaces[0].stages.values())).shares["positive"]
    low, high = float(form.get("low", -1)), float(form.get("high", 1))
    width = (high - low) / len(some)
    bins = low + width * (np.arange(len(some)) + 0.5)
    return Distributions(
        step=block_means(step, edges),
        line_step=block_means(line_step, line_edges),
        bins=bins,
        spaces=tuple(spaces),
        counted=_counted(run, len(edges)),
        start=transform_start(run),
    )


def _counted(run: Run, columns: int) -> Counted:
    counts, given = run.histograms, run.call.get("arguments")
    step = counts["step"]
    parts = given.get("accumulate") if isinstance(given, dict) else None
    positive = next((rows for s in run.spaces if (rows := column(counts, f"{s}.positive")) is not None), None)
    positives = 0 if positive is None else int(positive[-1].sum())
    return Counted(
        every=int(np.median(np.diff(step))) if len(step) > 1 else 1,
        columns=-(-len(step) // columns),
        positives=positives,
        parts=parts if isinstance(parts, int) else 1,
        first=run.observed and positives == ROWS,
    )


def _stage(
    counts: np.ndarray,
    table: np.ndarray,
    prefix: str,
    edges: Integer[np.ndarray, "T"],
    line_edges: Integer[np.ndarray, "M"],
    merged: int,
) -> Stage | None:
    shares, moments = {}, {}
    for kind in ("positive", "negative"):
        rows = column(counts, prefix + kind)
        mean, variance = (column(table, f"{prefix}{kind}_{m}") for m in ("mean", "variance"))
        if rows is None or mean is None or variance is None:
            return None
        summed = np.add.reduceat(rows.astype(np.float64)[:, : rows.shape[1] // merged * merged], edges, axis=0)
        summed = summed.reshape(len(edges), -1, merged).sum(2)
        shares[kind] = (summed / np.maximum(summed.sum(1, keepdims=True), 1)).T
        deviation = np.sqrt(block_means(np.maximum(variance, 0), line_edges))
        moments[kind] = Moments(block_means(mean, line_edges), deviation)
    return Stage(shares, moments)


def _merged(counts: np.ndarray, spaces: Sequence[str], columns: int) -> int:
    """How many neighbouring bins make one, so that few recorded pairs do not look like structure."""
    rows = next((r for s in spaces if (r := column(counts, f"{s}.positive")) is not None), None)
    if rows is None or rows.shape[1] % 2 or rows.shape[1] <= 32:
        return 1
    return 2 if rows.sum() / columns < PAIRS_PER_BIN * rows.shape[1] else 1


def _alike(a: Stage, b: Stage) -> bool:
    return all(np.array_equal(a.shares[k], b.shares[k]) for k in ("positive", "negative"))


def extent(space: Space, bins: Float[np.ndarray, "N"], rest: float = 2e-4) -> tuple[float, float]:
    """The range of cosines outside which each distribution, over all steps, keeps at most `rest` on either side."""
    half = (bins[1] - bins[0]) / 2 if len(bins) > 1 else 0.5
    lows, highs = [], []
    for stage in space.stages.values():
        for shares in stage.shares.values():
            if not shares.any():  # no negatives
                continue
            total = np.cumsum(shares.sum(1)) / float(shares.sum())
            lows.append(bins[np.searchsorted(total, rest)])
            highs.append(bins[min(int(np.searchsorted(total, 1 - rest)), len(bins) - 1)])
    return float(min(lows, default=bins[0]) - half), float(max(highs, default=bins[-1]) + half)


def strongest(space: Space) -> float:
    """The share that gets the full colour: what nearly every column's peak stays below."""
    peaks = [s.max(0) for stage in space.stages.values() for s in stage.shares.values()]
    return float(max(np.percentile(np.concatenate(peaks), 90), 1e-6))
