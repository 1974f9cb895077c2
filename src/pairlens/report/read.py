"""What every panel needs to read a run: columns that may be absent, and a way to say that something is missing."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Num

from pairlens.errors import InputError
from pairlens.phases import PHASES
from pairlens.record.run import Run
from pairlens.report.text import count

T = TypeVar("T")
CONTESTANTS = ("encoder", "random", "pixels")
CONTESTANT_NAMES = {"encoder": "trained encoder", "random": "untrained encoder", "pixels": "raw pixels"}
PROTOCOL_NAMES = {"knn": "kNN", "linear": "linear read-out", "retrieval": "view retrieval"}


DAMAGED = (InputError, ValueError, OSError, KeyError, TypeError, EOFError)  # what a damaged file makes a reader raise


@dataclass(frozen=True)
class Missing:
    """Why a panel has nothing to show: one sentence."""

    reason: str


@dataclass(frozen=True)
class Score:
    """Shares of right answers, in [0, 1]."""

    top1: float
    top5: float | None


Scores = Mapping[str, Mapping[str, Score]]  # protocol -> contestant -> score


def undamaged(read: Callable[[], T], otherwise: T) -> T:
    """What `read` gives, or `otherwise` where its file is damaged and less important than its panel."""
    try:
        return read()
    except DAMAGED:
        return otherwise


def intact(read: Callable[[Mapping[str, Any]], T], found: Mapping[str, Any], file: str, remedy: str) -> T:
    """What `read` makes of a file's content.

    Raises:
        InputError: the file does not hold what it should; the remedy says what makes it anew.
    """
    try:
        return read(found)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise InputError(f"{file} is damaged or of another version; {remedy}") from error


def finite(value: object, otherwise: float) -> float:
    """A recorded number, or `otherwise` where it is none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else otherwise


@dataclass(frozen=True)
class Start:
    """When a feature transform that begins late begins."""

    epoch: int
    step: int | None
    doubles: bool  # whether it adds mixed negatives to the original ones

    def __str__(self) -> str:
        step = "" if self.step is None else f" (step {count(self.step)})"
        return f"the feature transform begins with epoch {self.epoch}{step}"


MIXES = ("extrapolate", "interpolate", "interpolate_positives", "extrapolate_negatives")


def transform_start(run: Run) -> Start | None:
    """The late start of the feature transform, counted from epoch 0; None without one."""
    given = run.call.get("arguments")
    if not isinstance(given, dict) or all(given.get(name) is None for name in MIXES):
        return None
    epoch = given.get("ft_start")
    if not isinstance(epoch, int) or epoch <= 0:
        return None
    length = run.info.get("steps_per_epoch")
    return Start(epoch, epoch * length if isinstance(length, int) else None, bool(given.get("union")))


def column(table: np.ndarray, name: str) -> Num[np.ndarray, "N ..."] | None:
    """A column of a structured table, or None where the table is empty or does not have it."""
    if not len(table) or table.dtype.names is None or name not in table.dtype.names:
        return None
    return table[name]


def step_seconds(table: np.ndarray) -> Num[np.ndarray, "N"] | None:
    """How long each step took: the sum of its phases, or the time since the step before where those are not known."""
    phases = [v for phase in PHASES if (v := column(table, f"time_{phase}")) is not None]
    if phases:
        return np.sum(phases, axis=0)
    passed = column(table, "seconds")
    if passed is None or len(passed) < 2:
        return None
    gaps = np.diff(passed)
    return np.concatenate([gaps[:1], gaps])


def settled(values: Num[np.ndarray, "N"] | None) -> float:
    """The mean of the finite values among the last tenth: where a noisy curve ended. NaN where there are none."""
    if values is None or not len(values):
        return float("nan")
    last = np.asarray(values[-max(1, len(values) // 10) :], np.float64)
    last = last[np.isfinite(last)]
    return float(last.mean()) if len(last) else float("nan")


def scores(evaluation: Mapping[str, object] | None) -> Scores:
    """The scores of an evaluation by protocol and contestant; empty without one. Needs no labels for view retrieval."""
    found: dict[str, dict[str, Score]] = {}
    test = (evaluation or {}).get("test")
    retrieval = (evaluation or {}).get("retrieval")
    for contestant in CONTESTANTS:
        of_test = test.get(contestant) if isinstance(test, dict) else None
        for protocol in ("knn", "linear"):
            _add(found, protocol, contestant, of_test.get(protocol) if isinstance(of_test, dict) else None)
        _add(found, "retrieval", contestant, retrieval.get(contestant) if isinstance(retrieval, dict) else None)
    return found


def _add(found: dict[str, dict[str, Score]], protocol: str, contestant: str, given: object) -> None:
    if isinstance(given, dict) and given.get("top1") is not None:
        top5 = given.get("top5")
        score = Score(float(given["top1"]), None if top5 is None else float(top5))
        found.setdefault(protocol, {})[contestant] = score
