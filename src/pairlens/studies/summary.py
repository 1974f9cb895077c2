"""From the runs of a study to numbers: means over the seeds with their 95 % intervals, and differences seed by seed.

S seeds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pairlens.intervals import Estimate, interval
from pairlens.record.run import Run
from pairlens.report.kept import read_kept
from pairlens.report.localised import box_files, read_found
from pairlens.report.read import column, step_seconds, undamaged
from pairlens.studies.arms import Arm, Setting, Study, job
from pairlens.studies.stages import stage_of
from pairlens.views.boxes import QUANTILES, Refresh


class Asked(NamedTuple):
    """A quantity that features were asked for."""

    name: str  # "4 rotations", "hue", ...
    unit: str  # "%" of an accuracy, else "R2"


@dataclass(frozen=True)
class Measured:
    """What one run came to; accuracies are fractions."""

    knn: float
    linear: float
    positive: float  # mean raw positive score over the last epoch; NaN where nothing was trained
    negative: float  # mean raw negative score; NaN where there are none
    variance: float  # of the raw negative scores
    minutes: float  # of training
    pixels: Mapping[str, float]  # "knn" and "linear" of raw pixels, where they were measured
    boxes: Refresh | None = None  # the last that were found while training
    kept: Mapping[Asked, float] = field(default_factory=dict)  # what the encoder keeps, where that was measured
    pixels_kept: Mapping[Asked, float] = field(default_factory=dict)  # and what raw pixels tell

    @property
    def covered(self) -> float:
        """The share of its image that the median box covers, of those that were found last; NaN without any."""
        return self.boxes.coverage[QUANTILES.index(0.5)] if self.boxes else math.nan

    @property
    def threshold(self) -> float:
        """The threshold that they were found with; NaN without any."""
        return self.boxes.k if self.boxes else math.nan

    @property
    def nearly_whole(self) -> float:
        """The share of them that are nearly the whole image; NaN without any."""
        return self.boxes.whole if self.boxes else math.nan


@dataclass(frozen=True)
class Row:
    """One arm of a study and what became of it."""

    arm: Arm
    runs: Mapping[int, Measured]  # by seed; those that are measured
    failed: tuple[int, ...]  # seeds without a result
    differences: Mapping[str, Estimate]  # of "knn" and "linear" to the reference, where two runs share a seed
    kept_differences: Mapping[Asked, Estimate] = field(default_factory=dict)  # of what is kept, likewise

    @property
    def found_boxes(self) -> bool:
        """Whether any of its runs found boxes."""
        return any(one.boxes for one in self.runs.values())

    def estimate(self, of: Callable[[Measured], float]) -> Estimate | None:
        """A quantity over the seeds whose run has it."""
        values = [value for one in self.runs.values() if math.isfinite(value := of(one))]
        return interval(values) if values else None


def summarise(study: Study, setting: Setting) -> list[Row]:
    """A row for each arm, in the study's order."""
    measured = {arm.label: collect(arm, setting) for arm in study.arms}
    rows = []
    for arm in study.arms:
        runs = measured[arm.label]
        failed = tuple(seed for seed in setting.seeds if seed not in runs)
        others = measured[arm.reference] if arm.reference else {}
        rows.append(Row(arm, runs, failed, differences(runs, others), differences_kept(runs, others)))
    return rows


def collect(arm: Arm, setting: Setting) -> dict[int, Measured]:
    """The measured runs of an arm, by seed."""
    jobs = {seed: job(arm, setting, seed) for seed in setting.seeds}
    return {seed: read(Run.open(one.folder)) for seed, one in jobs.items() if stage_of(one) == "done"}


def differences(runs: Mapping[int, Measured], others: Mapping[int, Measured]) -> dict[str, Estimate]:
    """Mean difference of accuracies to another arm's, paired by seed."""
    seeds = [seed for seed in runs if seed in others]
    if not seeds:
        return {}
    return {
        "knn": interval([runs[seed].knn - others[seed].knn for seed in seeds]),
        "linear": interval([runs[seed].linear - others[seed].linear for seed in seeds]),
    }


def differences_kept(runs: Mapping[int, Measured], others: Mapping[int, Measured]) -> dict[Asked, Estimate]:
    """Mean difference of what is kept to another arm's, paired by seed, where both have it."""
    found: dict[Asked, list[float]] = {}
    for seed in runs.keys() & others.keys():
        for quantity in runs[seed].kept.keys() & others[seed].kept.keys():
            found.setdefault(quantity, []).append(runs[seed].kept[quantity] - others[seed].kept[quantity])
    return {quantity: interval(values) for quantity, values in found.items()}


def read(run: Run) -> Measured:
    """What one measured run came to."""
    test = (run.evaluation or {})["test"]
    accuracy = {who: {kind: row[kind]["top1"] for kind in ("knn", "linear")} for who, row in test.items()}
    space = run.spaces[0]
    return Measured(
        knn=accuracy["encoder"]["knn"],
        linear=accuracy["encoder"]["linear"],
        positive=last_epoch(run, f"{space}.raw_positive_mean"),
        negative=last_epoch(run, f"{space}.raw_negative_mean"),
        variance=last_epoch(run, f"{space}.raw_negative_variance"),
        minutes=training_minutes(run),
        pixels=accuracy.get("pixels", {}),
        boxes=last_boxes(run),
        kept=kept_of(run, "encoder"),
        pixels_kept=kept_of(run, "pixels"),
    )


def kept_of(run: Run, who: str) -> dict[Asked, float]:
    """What read-outs tell from one contestant's features; nothing where it was not measured of the last step."""
    found = undamaged(lambda: read_kept(run), None)
    if found is None or found.step != run.status.get("step"):
        return {}
    return {
        Asked(one.name, "%" if one.accuracy else "R2"): one.told[who].value
        for one in found.quantities
        if who in one.told
    }


def last_boxes(run: Run) -> Refresh | None:
    """What the boxes that were found last are like; None where none were, or their file is damaged."""
    files = box_files(run)
    found = read_found(files[-1]) if files else None
    return None if found is None else found.refresh


def last_epoch(run: Run, name: str) -> float:
    """The mean of a statistic over the steps of the last epoch; NaN where there is none."""
    values = column(run.statistics, name)
    if values is None:
        return math.nan
    return float(np.asarray(values[-int(run.info["steps_per_epoch"]) :], np.float64).mean())


def training_minutes(run: Run) -> float:
    """Steps times the median step: what the machine did beside a run, or a pause, does not count."""
    spent = step_seconds(run.statistics)
    return 0.0 if spent is None else len(spent) * float(np.median(spent)) / 60
