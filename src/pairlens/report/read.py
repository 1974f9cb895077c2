"""What every panel needs to read a run: columns that may be absent, and a way to say that something is missing."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pairlens.errors import InputError
from pairlens.record.columns import DAMAGED, column, finite, settled, step_seconds, undamaged
from pairlens.record.run import Run
from pairlens.report.text import count

__all__ = [
    "CONTESTANTS",
    "CONTESTANT_NAMES",
    "DAMAGED",
    "MIXES",
    "PROTOCOL_NAMES",
    "Missing",
    "Score",
    "Scores",
    "Start",
    "chance_of",
    "column",
    "finite",
    "intact",
    "scores",
    "settled",
    "step_seconds",
    "transform_start",
    "undamaged",
]

T = TypeVar("T")
Content = TypeVar("Content")
CONTESTANTS = ("encoder", "random", "pixels")
CONTESTANT_NAMES = {"encoder": "trained encoder", "random": "untrained encoder", "pixels": "raw pixels"}
PROTOCOL_NAMES = {"knn": "kNN", "linear": "linear read-out", "retrieval": "view retrieval"}


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


def intact(read: Callable[[Content], T], found: Content, file: str, remedy: str) -> T:
    """What `read` makes of a file's content.

    Raises:
        InputError: the file does not hold what it should; the remedy says what makes it anew.
    """
    try:
        return read(found)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise InputError(f"{file} is damaged or of another version; {remedy}") from error


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


def chance_of(run: Run) -> dict[str, float]:
    """log(K+1) of each space with negatives: the loss of a guess among the positive and K of them."""
    return {s: math.log(v["negatives"] + 1) for s, v in run.info["spaces"].items() if v.get("negatives")}


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
