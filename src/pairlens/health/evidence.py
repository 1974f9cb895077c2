"""What a run has recorded until a step, in the numbers that the rules of health judge by."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from pairlens.health.course import NOTHING, Course, course
from pairlens.record.columns import column, finite, step_seconds, undamaged
from pairlens.record.localised import UNREADABLE
from pairlens.record.run import Run
from pairlens.views.boxes import coverage, nearly

Source = Literal["queue", "bank", "batch", "none", "unknown"]
"""Where the negatives of the loss come from; none where it compares with none."""

STATISTICS = (
    "loss", "accuracy", "raw_positive_mean", "raw_positive_variance", "raw_negative_mean",
    "raw_negative_variance", "feature_std", "effective_rank", "effective_negatives", "negatives_above",
    "batch_negative_mean",
)  # fmt: skip


@dataclass(frozen=True)
class Space:
    """One embedding space; what is unknown is NaN or `NOTHING`."""

    name: str
    negatives: float = math.nan  # of each query; 0 where the loss compares with none
    temperature: float = math.nan
    courses: Mapping[str, Course] = field(default_factory=dict)

    def __getitem__(self, statistic: str) -> Course:
        return self.courses.get(statistic, NOTHING)

    @property
    def separation(self) -> float:
        """Distance of the two means of raw scores in units of their root mean square standard deviation."""
        variances = self["raw_positive_variance"].end, self["raw_negative_variance"].end
        spread = math.sqrt(max(0.0, sum(variances) / 2)) if all(map(math.isfinite, variances)) else math.nan
        apart = self["raw_positive_mean"].end - self["raw_negative_mean"].end
        return apart / spread if spread > 0 else math.nan


@dataclass(frozen=True)
class Boxes:
    """The newest boxes."""

    whole: float  # share of them that are nearly the whole image
    point: float  # share that are nearly a point
    coverage: float  # of the median box, a share of its image
    k: float


@dataclass(frozen=True)
class Evidence:
    """All that health is judged by, until a step; what is unknown is NaN, None or `NOTHING`."""

    rows: int = 0  # recorded steps
    last_step: int = -1
    share: float = math.nan  # of the planned training that they are; unknown of loops that are observed
    epochs: float = math.nan  # that they are
    observed: bool = False
    trains: bool = True  # whether embeddings are compared for learning: not so of the supervised and random baselines
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of the call, flags by name
    source: Source = "unknown"
    images: float = math.nan  # of the training set
    batch: float = math.nan
    spaces: tuple[Space, ...] = ()
    loss: Course = NOTHING
    gradient: Course = NOTHING
    rate: float = math.nan  # the learning rate now, as a share of the highest so far
    filled: float = 0.0  # share of the course after which no key of a queue is still random
    broken: tuple[int, ...] = ()  # the first and last steps whose loss or gradient was no number
    waiting: float = math.nan  # share of the median step that is spent waiting for pixels
    boxes: Boxes | None = None
    files: tuple[int, int] = (0, 0)  # skipped at the start, replaced later
    probes: tuple[float, ...] = ()  # kNN accuracies, in order
    quality: Mapping[str, float] = field(default_factory=dict)  # the newest look at held-out views: z.rankme, ...

    def argument(self, name: str) -> float:
        """A number that was asked for; NaN where it was not, or is none."""
        value = self.arguments.get(name)
        return math.nan if isinstance(value, bool) else finite(value, math.nan)


def evidence_of(run: Run, rows: int | None = None) -> Evidence:
    """What a run has recorded in its first `rows` rows, or until now; of damaged files nothing.

    Files that turned out to be unreadable while the run went on count only when it is looked at as a whole: the log
    does not say at which step that was.
    """
    whole = undamaged(lambda: run.statistics, np.empty(0))
    table = whole if rows is None else whole[: max(0, rows)]
    step = column(table, "step")
    now = math.inf if rows is None else float(step[-1]) + 1 if step is not None else 0.0
    arguments = run.call.get("arguments")
    arguments = arguments if isinstance(arguments, dict) else {}
    described = run.info.get("spaces")
    described = described if isinstance(described, dict) else {}
    spaces = tuple(_space(table, str(name), known) for name, known in described.items())
    epoch, data = column(table, "epoch"), run.info.get("data")
    source = _source(spaces, arguments, run.observed)
    planned, rate = finite(run.info.get("steps"), math.nan), column(table, "learning_rate")
    return Evidence(
        rows=len(table),
        last_step=-1 if step is None else int(step[-1]),
        share=(float(step[-1]) + 1) / planned if step is not None and planned > 0 else math.nan,
        epochs=float(epoch[-1]) if epoch is not None else math.nan,
        observed=run.observed,
        trains=str(run.call.get("recipe")).rpartition(".")[2] not in ("supervised", "random"),
        arguments=arguments,
        source=source,
        images=finite(data.get("train"), math.nan) if isinstance(data, dict) else math.nan,
        batch=finite(run.info.get("batch"), math.nan),
        spaces=spaces,
        loss=course(column(table, "loss")),
        gradient=course(column(table, "gradient_norm")),
        rate=_rate(rate),
        filled=_filled(spaces, source, finite(run.info.get("batch"), math.nan), len(table)),
        broken=_broken(table),
        waiting=_waiting(table),
        boxes=_boxes(run, now),
        files=(_files(run, "skipped"), _files(run, "unreadable") if rows is None else 0),
        probes=_probes(run, now),
        quality=_quality(run, now),
    )


def _space(table: np.ndarray, name: str, known: object) -> Space:
    found = known if isinstance(known, dict) else {}
    courses = {statistic: course(column(table, f"{name}.{statistic}")) for statistic in STATISTICS}
    return Space(name, finite(found.get("negatives"), math.nan), finite(found.get("temperature"), math.nan), courses)


def _source(spaces: tuple[Space, ...], arguments: Mapping[str, Any], observed: bool) -> Source:
    if observed or not spaces or math.isnan(spaces[0].negatives):
        return "unknown"
    if spaces[0].negatives == 0:
        return "none"
    return "bank" if "bank_momentum" in arguments else "queue" if "negatives" in arguments else "batch"


def _rate(rates: np.ndarray | None) -> float:
    known = np.zeros(0) if rates is None else np.asarray(rates, np.float64)
    if not len(known) or not np.isfinite(known).all() or not known.max() > 0:
        return math.nan
    return float(known[-1] / known.max())


def _filled(spaces: tuple[Space, ...], source: Source, batch: float, rows: int) -> float:
    if source != "queue" or not batch > 0 or not rows:
        return 0.0
    return min(0.5, spaces[0].negatives / batch / rows)


def _broken(table: np.ndarray) -> tuple[int, ...]:
    step = column(table, "step")
    columns = [v for name in ("loss", "gradient_norm") if (v := column(table, name)) is not None]
    if step is None or not columns:
        return ()
    at = step[~np.isfinite(np.stack(columns)).all(0)]
    return (int(at[0]), int(at[-1])) if len(at) else ()


def _waiting(table: np.ndarray) -> float:
    """The first fifth is left out, in which caches fill and kernels are made."""
    later = table[len(table) // 5 :]
    total, spent = step_seconds(later), column(later, "time_data")
    if total is None or spent is None:
        return math.nan
    with np.errstate(all="ignore"):
        share = float(np.median(spent) / np.median(total))
    return share if math.isfinite(share) else math.nan


def _boxes(run: Run, before: float) -> Boxes | None:
    """The newest boxes that were found before a step and can be read."""
    for path in reversed([path for path in run.box_files() if int(path.stem) <= before]):
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                table, k = torch.from_numpy(file["boxes"].astype(np.float32)), float(file["k"])
            whole, point = nearly(table)
            return Boxes(whole, point, float(coverage(table).quantile(0.5)), k)
        except UNREADABLE:
            continue
    return None


def _files(run: Run, kind: str) -> int:
    """How many files the events of a kind name."""
    events = undamaged(lambda: run.events, None) or []
    return len({str(event.get("text")).partition(": ")[0] for event in events if event.get("kind") == kind})


def _probes(run: Run, before: float) -> tuple[float, ...]:
    table = undamaged(lambda: run.probes, np.empty(0))
    step, knn = column(table, "step"), column(table, "knn")
    return () if step is None or knn is None else tuple(float(v) for v in knn[step <= before])


def _quality(run: Run, before: float) -> dict[str, float]:
    table = undamaged(lambda: run.quality, np.empty(0))
    step = column(table, "step")
    if step is None or not (step <= before).any():
        return {}
    newest = table[step <= before][-1]
    return {name: float(newest[name]) for name in table.dtype.names or () if "." in name}
