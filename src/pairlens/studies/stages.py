"""How far a job is, read from its run's folder alone: nothing else is kept, so any process can take over."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pairlens.errors import InputError
from pairlens.kept import Probe
from pairlens.record.run import Run
from pairlens.report.read import column, undamaged
from pairlens.studies.arms import Job

MEASURING = 0.05
"""Share of a run's work that its measuring takes, for the estimate of the time left."""


def stage_of(job: Job) -> str:
    """What a job needs next: train, resume, measure, or nothing more (done, diverged)."""
    if not (job.folder / "run.json").exists():
        return "train"
    run = Run.open(job.folder)
    if run.status.get("state") == "finished":
        return "measure" if missing(run, job.baselines, job.probes) else "done"
    return "diverged" if diverged(run) else "resume"


def missing(run: Run, baselines: bool, probes: Iterable[Probe]) -> list[str]:
    """What was not measured of the finished encoder, and of raw pixels where they are asked for: "accuracy", probes."""
    least = "pixels" if baselines else "encoder"
    accuracy, kept = (_of_last_step(run, read) for read in (lambda: run.evaluation, lambda: run.kept))
    measured = kept.get("probes") or {}
    results = {"accuracy": [accuracy.get("test") or {}], "rotation": [measured.get("rotation") or {}]}
    if "factors" in measured:
        results["factors"] = list(measured["factors"].values())
    return [
        name for name in ("accuracy", *probes) if name not in results or not all(least in one for one in results[name])
    ]


def _of_last_step(run: Run, read: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    """A result, if it is of the encoder that training ended with; else an empty one."""
    result = undamaged(read, None)
    return {} if result is None or result.get("step") != run.status.get("step") else result


def diverged(run: Run) -> bool:
    """Whether a failed training ended with a loss or a gradient that is no number: it would do so again."""
    if run.status.get("state") != "failed":
        return False
    last = (column(run.statistics, name) for name in ("loss", "gradient_norm"))
    return any(values is not None and not np.isfinite(values[-1]) for values in last)


def check_run(job: Job) -> None:
    """Refuse a run folder that was made with other arguments: its result would stand for this job's.

    Raises:
        InputError: what differs.
    """
    if not (job.folder / "run.json").exists():
        return
    argv = Run.open(job.folder).call.get("argv") or []
    made = tuple(argv[: argv.index("--out")] if "--out" in argv else argv)
    if made != job.words:
        raise InputError(
            f"{job.folder} was trained with `{' '.join(made)}`, and not with `{' '.join(job.words)}`; "
            "give the study another folder, or the same source and budget as before"
        )


def share(job: Job) -> float:
    """How much of a job is done, 0 to 1; a diverged training is done."""
    stage = stage_of(job)
    if stage == "resume":
        status = Run.open(job.folder).status
        return (1 - MEASURING) * float(status.get("step", 0)) / max(1, int(status.get("steps", 0)))
    return {"train": 0.0, "measure": 1 - MEASURING}.get(stage, 1.0)
