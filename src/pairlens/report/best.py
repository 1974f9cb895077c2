"""Which checkpoint to keep, by measures that need no labels, and how far to trust that."""

from dataclasses import dataclass

import numpy as np

from pairlens.record.run import Run
from pairlens.report.read import column
from pairlens.report.text import count

ADVISOR = "h.stable_rank"
"""The measure that is asked: of those without labels the one whose choices lost least in `benchmarks/quality.md`."""

TRUST = 0.49
"""Its rank correlation with linear accuracy over the checkpoints of a run there, in the mean over 54 short runs."""


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
    if last:
        return "By the stable rank of the encoder's features they are at their best at the last look: keep the end."
    where = f"`{kept}` holds that step" if kept else "no checkpoint of that step was kept; `--keep` keeps more"
    return (
        f"By the stable rank of the encoder's features they were at their best after step {count(step)}: {where}. "
        f"That is a hint (its rank correlation with linear accuracy within a run was {TRUST:.2f} in our benchmark of "
        "short runs, where keeping the end did as well): measure both if you can."
    )
