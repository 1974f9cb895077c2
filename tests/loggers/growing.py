"""A run that grows without a training, and a logger that remembers what it took."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pairlens.loggers.logger import State, Target
from pairlens.record.ring import HOST, TIMES, columns, histogram_columns
from pairlens.record.run import Run, log_event
from pairlens.record.table import Table, rows_before

BINS = 64
STATISTICS = np.dtype([*HOST, *[(name, "<f4") for name in columns(["z"])], *TIMES])
HISTOGRAMS = np.dtype([("step", "<i8"), *[(name, "<u4", (BINS,)) for name in histogram_columns(["z"])]])
PROBES = np.dtype([("step", "<i8"), ("epoch", "<f4"), ("knn", "<f4")])


def rows_of(dtype: np.dtype, steps: np.ndarray) -> np.ndarray:
    """Rows whose values are a function of the step alone, and that no short decimal number equals."""
    rows = np.zeros(len(steps), dtype)
    for i, name in enumerate(dtype.names or ()):
        of_each = dtype[name].shape
        value = np.sin(steps + 7.0 * i) if dtype[name].base.kind == "f" else steps + i
        rows[name] = (value[:, None] + np.arange(*of_each) if of_each else value).astype(dtype[name].base)
    rows["step"] = steps
    if "seconds" in (dtype.names or ()):
        rows["seconds"] = steps / 4 + 0.1
    return rows


class Growing:
    """A run's folder, written to as a training does."""

    def __init__(self, folder: Path, steps: int | None = None, **info: Any) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        call = {"argv": [], "recipe": "moco_v2", "source": "scenes", "seed": 0, "machine": {"device": "cpu"}}
        call["arguments"] = {"epochs": 3, "crop": [0.2, 1.0], "lr": 0.06, "weights": None, "flip": True}
        whole = {
            "call": call,
            "created": "2026-11-20T08:12:40+00:00",
            "spaces": {"z": {"negatives": 16, "temperature": 0.1}},
            "histogram": {"bins": BINS, "low": -1.0, "high": 1.0},
            **({} if steps is None else {"steps": steps}),
        }
        (folder / "run.json").write_text(json.dumps(whole | info), encoding="utf-8")
        self.tables: dict[str, Table] = {}
        self.begin(0)
        log_event(folder, "begun", "at step 0")

    def begin(self, step: int) -> None:
        """Begin at a step, or go on at an earlier one than there are rows."""
        for name, dtype in (("statistics", STATISTICS), ("histograms", HISTOGRAMS), ("probes", PROBES)):
            if name in self.tables:
                self.tables[name].close()
            path = self.folder / f"{name}.npy"
            self.tables[name] = Table(path, dtype, rows_before(path, step + (name == "probes")))
        self.step = step

    def grow(self, steps: int) -> None:
        """So many steps more, and a probe after every fifth."""
        new = np.arange(self.step, self.step + steps)
        for name, chosen in (("statistics", new), ("histograms", new), ("probes", new[(new + 1) % 5 == 0] + 1)):
            self.tables[name].append(rows_of(self.tables[name].dtype, chosen))
        self.step += steps

    def tell(self, state: str) -> None:
        """Write the status."""
        status = {"state": state, "step": self.step, "seconds": self.step / 4}
        (self.folder / "status.json").write_text(json.dumps(status), encoding="utf-8")


class Taker:
    """A logger that keeps what it took in a list that outlives it."""

    def __init__(self, run: Run, target: Target, state: State) -> None:
        self.where, self.state = "nowhere to be seen", dict(state)

    taken: list[tuple[str, int, Mapping[str, Any]]] = []  # noqa: RUF012 - of all takers; a fixture empties it
    fail_at: int | None = None
    closed = 0

    def scalars(self, step: int, time: float, values: Mapping[str, float]) -> None:
        looked = any("rankme" in name for name in values)
        self._take("probe" if "probe/knn" in values else "quality" if looked else "scalars", step, values)

    def histograms(self, step: int, time: float, counts: Mapping[str, np.ndarray], edges: np.ndarray) -> None:
        self._take("histograms", step, counts)

    def event(self, number: int, event: Mapping[str, Any]) -> None:
        self._take("event", number, event)

    def flush(self) -> State:
        return {"taken": len(Taker.taken)}

    def close(self) -> None:
        Taker.closed += 1

    def _take(self, kind: str, step: int, what: Mapping[str, Any]) -> None:
        if Taker.fail_at is not None and len(Taker.taken) >= Taker.fail_at:
            raise ConnectionError("the network is\ndown")
        Taker.taken.append((kind, step, what))


def steps_of(kind: str) -> list[int]:
    """The steps that were taken, in the order in which they were."""
    return [step for k, step, _ in Taker.taken if k == kind]
