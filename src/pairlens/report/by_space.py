"""What the embedding spaces of a run tell (`spaces.json`), read for the report and for studies.

n spaces, C classes, T bins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pairlens.record.run import Run
from pairlens.report.kept import NAMES, Told
from pairlens.report.read import intact
from pairlens.report.text import clean

ENCODER = "encoder"
"""What stands for the encoder's features among the spaces."""


@dataclass(frozen=True)
class Task:
    """Something that was told from the spaces."""

    name: str
    accuracy: bool  # a share of right answers; else an R2
    chance: float


@dataclass(frozen=True)
class Row:
    """What one set of spaces tells; in the tasks' order."""

    spaces: tuple[str, ...]
    features: int  # how many they have together
    linear: tuple[Told, ...]
    knn: tuple[float | None, ...]  # accuracy; of a number None

    @property
    def single(self) -> bool:
        """Whether it is one space alone, and not the encoder's features."""
        return len(self.spaces) == 1 and self.spaces != (ENCODER,)


@dataclass(frozen=True)
class BySpace:
    """All read-outs of a run's spaces."""

    spaces: tuple[str, ...]
    own: bool  # whether each space has a last stage of its own, whose features are read out; else the embeddings are
    tasks: tuple[Task, ...]
    rows: tuple[Row, ...]
    step: int  # of the encoder
    images: int  # tested
    turned: int  # images of the rotation task's test


@dataclass(frozen=True)
class Attributed:
    """Which spaces a classifier's right answers to one task come from."""

    task: str
    spaces: tuple[str, ...]
    names: tuple[str, ...]  # of the classes
    right: int
    tested: int
    share: Float[np.ndarray, "n"]
    entropy: float  # bits, of the mean distribution
    most: Float[np.ndarray, "n"]  # of the right answers, those to which a space contributes most
    histogram: Int[np.ndarray, "n T"]
    by_class: tuple[Float[np.ndarray, "n"] | None, ...]  # C; None where no answer was right
    count: tuple[int, ...]  # of right answers, by class


def read_by_space(run: Run) -> BySpace | None:
    """The read-outs of a run's spaces; None where there are none.

    Raises:
        InputError: `spaces.json` does not hold what it should.
    """
    found = run.told_by_space
    return None if found is None else intact(_by_space, found, *REMEDY)


def read_attributed(run: Run) -> tuple[Attributed, ...]:
    """The attributions of a run, the class first; none where it has one space or was not measured.

    Raises:
        InputError: `spaces.json` does not hold what it should.
    """
    found = run.told_by_space
    return () if found is None else intact(_attributed, found, *REMEDY)


REMEDY = ("spaces.json", "measure the spaces again")


def _by_space(found: Mapping[str, Any]) -> BySpace:
    about = found["tasks"]
    tasks = tuple(Task(shown(n), one["measure"] == "accuracy", float(one["chance"])) for n, one in about.items())
    rows = []
    for row in found["sets"]:
        linear = tuple(Told(float(row["linear"][n]["value"]), float(row["linear"][n]["error"])) for n in about)
        near = tuple(None if row["knn"][n] is None else float(row["knn"][n]) for n in about)
        rows.append(Row(tuple(map(clean, row["spaces"])), int(row["features"]), linear, near))
    return BySpace(
        spaces=tuple(map(clean, found["spaces"])),
        own=bool(found["own"]),
        tasks=tasks,
        rows=tuple(rows),
        step=int(found["step"]),
        images=int(found["data"]["test"]),
        turned=int(found["turned"]["test"]),
    )


def _attributed(found: Mapping[str, Any]) -> tuple[Attributed, ...]:
    spaces = tuple(map(clean, found["spaces"]))
    read = [_one(task, spaces, one) for task, one in found["attribution"].items() if one["right"]]
    return tuple(sorted(read, key=lambda one: one.task != "class"))


def _one(task: str, spaces: tuple[str, ...], given: Mapping[str, Any]) -> Attributed:
    share, most = (np.asarray(given[name], np.float64) for name in ("share", "most"))
    histogram = np.asarray(given["histogram"], np.int64)
    by_class = tuple(None if row is None else np.asarray(row, np.float64) for row in given["by_class"])
    names, count = tuple(map(clean, given["names"])), tuple(map(int, given["count"]))
    whole = {len(spaces)} == {len(one) for one in (share, most, histogram, *(r for r in by_class if r is not None))}
    if not whole or not len(names) == len(count) == len(by_class):
        raise ValueError(f"the attribution of {task} is of other spaces or classes")
    right, tested = int(given["right"]), int(given["tested"])
    return Attributed(
        shown(task), spaces, names, right, tested, share, float(given["entropy"]), most, histogram, by_class, count
    )


def shown(task: str) -> str:
    """What the page calls a task."""
    return NAMES.get(task, clean(task))
