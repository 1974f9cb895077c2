"""The facts of a run that its verdict and the table of runs are made of."""

import math
from dataclasses import dataclass

import numpy as np

from pairlens.record.run import Run
from pairlens.report.read import Scores, column, finite, scores, settled, step_seconds, undamaged


@dataclass(frozen=True)
class Space:
    """How one embedding space looked over the last tenth of the steps, before any feature transform."""

    name: str
    feature_std: float  # times sqrt(D)
    negative_mean: float
    separation: float  # (positive mean - negative mean) / root mean square of the two standard deviations
    accuracy: float  # share of queries whose key scores above all negatives


@dataclass(frozen=True)
class Facts:
    """All that the verdict is judged by; what is unknown is NaN or None."""

    name: str
    state: str
    step: int
    steps: int
    epochs: float  # finished ones
    seconds: float
    updated: str
    scores: Scores
    test_images: int | None
    broken_step: int | None  # the first step whose loss was NaN or infinite
    spaces: tuple[Space, ...]
    images_per_second: float
    has_loss: bool = True  # whether it was recorded
    observed: bool = False  # from outside: there is no encoder to evaluate, and nothing to resume
    skipped: int = 0  # files that could not be read when it began
    replaced: int = 0  # files that could not be read later, so that other images took their places


def facts_of(run: Run) -> Facts:
    """The facts of a run that the verdict needs."""
    status, table = undamaged(lambda: run.status, {"state": "damaged"}), run.statistics
    loss, step = column(table, "loss"), column(table, "step")
    broken = step[~np.isfinite(loss)] if loss is not None and step is not None else np.zeros(0)
    epoch, seconds, images = (column(table, k) for k in ("epoch", "seconds", "images"))
    spent = step_seconds(table)
    rate = float(np.median(images / np.maximum(spent, 1e-9))) if images is not None and spent is not None else math.nan
    data = (run.evaluation or {}).get("data") or {}
    return Facts(
        name=run.name,
        state=state if isinstance(state := status.get("state"), str) else "unknown",
        step=int(finite(status.get("step"), 0.0 if step is None else float(step[-1] + 1))),
        steps=int(finite(status.get("steps"), finite(run.info.get("steps"), 0.0))),
        epochs=float(epoch[-1]) if epoch is not None else 0.0,
        seconds=finite(status.get("seconds"), math.nan if seconds is None else float(seconds[-1])),
        updated=str(status.get("updated", "")),
        scores=scores(run.evaluation),
        test_images=data.get("test"),
        broken_step=int(broken[0]) if len(broken) else None,
        spaces=tuple(_space(run, name) for name in run.spaces),
        images_per_second=rate,
        has_loss=loss is not None,
        observed=run.observed,
        skipped=_files(run, "skipped"),
        replaced=_files(run, "unreadable"),
    )


def _files(run: Run, kind: str) -> int:
    """How many files the events of a kind name."""
    events = undamaged(lambda: run.events, None) or []
    texts = [str(event.get("text")) for event in events if event.get("kind") == kind]
    return len({text.partition(": ")[0] for text in texts})


def _space(run: Run, name: str) -> Space:
    def at_end(statistic: str) -> float:
        return settled(column(run.statistics, f"{name}.{statistic}"))

    spread = math.sqrt(max(0.0, (at_end("raw_positive_variance") + at_end("raw_negative_variance")) / 2))
    apart = at_end("raw_positive_mean") - at_end("raw_negative_mean")
    return Space(
        name=name,
        feature_std=at_end("feature_std"),
        negative_mean=at_end("raw_negative_mean"),
        separation=apart / spread if spread > 0 else math.nan,
        accuracy=at_end("accuracy"),
    )
