"""The facts of a run that its verdict and the table of runs are made of."""

import math
from dataclasses import dataclass

import numpy as np

from pairlens.health import Finding, evidence_of, examine
from pairlens.record.run import Run
from pairlens.report.read import Scores, column, finite, scores, settled, step_seconds, undamaged


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
    health: tuple[Finding, ...]  # what every rule says, the gravest first
    accuracy: float  # mean over spaces, last tenth of the steps: share of queries whose key scores above all negatives
    images_per_second: float
    observed: bool = False  # from outside: there is no encoder to evaluate, and nothing to resume
    skipped: int = 0  # files that could not be read when it began
    replaced: int = 0  # files that could not be read later, so that other images took their places


def facts_of(run: Run) -> Facts:
    """The facts of a run that the verdict needs."""
    status, table = undamaged(lambda: run.status, {"state": "damaged"}), run.statistics
    step, evidence = column(table, "step"), evidence_of(run)
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
        health=examine(evidence),
        accuracy=float(np.mean([settled(column(table, f"{space}.accuracy")) for space in run.spaces] or [math.nan])),
        images_per_second=rate,
        observed=run.observed,
        skipped=evidence.files[0],
        replaced=evidence.files[1],
    )
