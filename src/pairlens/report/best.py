"""Which checkpoint to keep, by measures that need no labels, and how far to trust that."""

from dataclasses import dataclass

import numpy as np

from pairlens.record.run import Run
from pairlens.report.read import column
from pairlens.report.text import count

ADVISOR = "h.lidar"
"""The measure that is asked: of those that `benchmarks/quality.md` compares, the one that ranked checkpoints best."""

TRUST: float | None = None
"""Its rank correlation with linear accuracy there, over the checkpoints of trainings alike."""


@dataclass(frozen=True)
class Best:
    """The advice on one run."""

    step: int  # of the look that is best
    value: float  # of the measure there
    kept: str | None  # the checkpoint of that step, below the run's folder, where it was kept
    last: bool  # whether it is the end of the training
    sentence: str


def best_kept(run: Run) -> Best | None:
    """The look at which `ADVISOR` was greatest, and its checkpoint; None where it was not measured twice."""
    step, values = column(run.quality, "step"), column(run.quality, ADVISOR)
    if step is None or values is None or np.isfinite(values).sum() < 2:
        return None
    place = int(np.nanargmax(values))
    last = place == len(values) - 1
    name = f"checkpoints/step-{int(step[place]):08d}"
    kept = name if (run.folder / name).is_dir() else None
    return Best(int(step[place]), float(values[place]), kept, last, _sentence(run, int(step[place]), kept, last))


def _sentence(run: Run, step: int, kept: str | None, last: bool) -> str:
    trust = "" if TRUST is None else f" (in our benchmark its rank correlation with linear accuracy is {TRUST:.2f})"
    if last:
        return f"By LiDAR of the encoder{trust} the features are at their best at the last look: keep the end."
    where = f"`{kept}` holds that step" if kept else "no checkpoint of that step was kept; `--keep` keeps more"
    return (
        f"By LiDAR of the encoder{trust} the features were at their best after step {count(step)}, and have become "
        f"worse since: {where}."
    )
