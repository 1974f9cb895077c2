"""One run as the live page follows it: its files are read again only where they have changed, and only what is new.

Whatever a file holds, nothing here fails: what cannot be read is told in a sentence, and what was read before is kept.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.record.table import mapped
from pairlens.report.read import DAMAGED
from pairlens.report.text import clean

TABLES = ("statistics", "probes", "quality")
FILES = ("run.json", "status.json", "events.jsonl", *(f"{table}.npy" for table in TABLES))
TAIL = 500  # rows at the end that tell how a run is doing
MOST_EVENTS = 1 << 22  # bytes of new events that are read at once; a file that grows faster is no log

T = TypeVar("T")
Mark = tuple[int, int]  # when a file was changed, ns, and its length, bytes


@dataclass
class Events:
    """What the events say that the page shows."""

    read: int = 0  # bytes
    resumed: int = 0
    health: dict[str, str] = field(default_factory=dict)  # rule -> what was said of it last
    warning: str | None = None  # the last


@dataclass
class Traces:
    """What was read of one run's folder."""

    folder: Path
    marks: dict[str, Mark] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    events: Events = field(default_factory=Events)
    rows: dict[str, int] = field(default_factory=dict)  # of each table
    columns: tuple[str, ...] = ()  # TABLE/COLUMN
    tail: np.ndarray = field(default_factory=lambda: np.empty(0))  # of the statistics
    knn: tuple[float, float] | None = None  # step and accuracy of the last probe
    cut: int = 0  # times that the statistics became shorter
    trouble: dict[str, str] = field(default_factory=dict)  # file -> why it cannot be read

    def look(self) -> bool:
        """Read what has changed since the last look; whether anything has."""
        now = {name: mark for name in FILES if (mark := _mark(self.folder / name)) is not None}
        changed = [name for name in FILES if now.get(name) != self.marks.get(name)]
        for name in changed:
            self.trouble.pop(name, None)
            if name == "run.json":
                self.info = self._try(name, self._info, {})
            elif name == "status.json":
                self.status = self._try(name, lambda: Run(self.folder).status, {})
            elif name == "events.jsonl":
                self._try(name, self._read_events, None)
        if any(name.endswith(".npy") for name in changed):
            self._read_tables()
        self.marks = now
        return bool(changed)

    @property
    def generation(self) -> int:
        """Rises when rows may have been replaced: a run that is resumed cuts its tables back to its checkpoint."""
        return self.events.resumed + self.cut

    @property
    def written(self) -> float:
        """When anything was last written, seconds since 1970."""
        return max((mark[0] for mark in self.marks.values()), default=0) / 1e9

    @property
    def spaces(self) -> dict[str, dict[str, Any]]:
        """The embedding spaces by name, as far as run.json can be understood and the names be told."""
        given = self.info.get("spaces")
        found = given.items() if isinstance(given, dict) else ()
        return {k: v for k, v in found if isinstance(v, dict) and clean(k) == k}

    def table(self, name: str) -> np.ndarray | None:
        """A table of the run, mapped; None where there is none that can be read."""
        try:
            found = mapped(self.folder / f"{name}.npy")
        except InputError:
            return None
        whole = found is not None and found.ndim == 1 and "step" in (found.dtype.names or ())
        return found if whole else None

    def _info(self) -> dict[str, Any]:
        return {**Run.open(self.folder).info}

    def _try(self, name: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except (*DAMAGED, RecursionError) as error:
            self.trouble[name] = clean(error)
            return otherwise

    def _read_tables(self) -> None:
        columns: list[str] = []
        for name in TABLES:
            found = self.table(name)
            if found is None:
                self.rows[name] = 0
                if (path := self.folder / f"{name}.npy").exists() and path.stat().st_size:
                    self.trouble[path.name] = f"The table {path.name} is damaged or cannot be read."
                continue
            if len(found) < self.rows.get(name, 0):
                self.cut += 1
            self.rows[name] = len(found)
            if len(found):
                columns += [f"{name}/{column}" for column in _numbers(name, found.dtype)]
            if name == "statistics":
                self.tail = np.array(found[-TAIL:])
            if name == "probes" and len(found) and "knn" in (found.dtype.names or ()):
                self.knn = float(found["step"][-1]), float(found["knn"][-1])
        self.columns = tuple(columns)

    def _read_events(self) -> None:
        with open(self.folder / "events.jsonl", "rb") as file:
            if os.fstat(file.fileno()).st_size < self.events.read:  # another file
                self.events = Events()
            file.seek(self.events.read)
            new = file.read(MOST_EVENTS)
        whole = new[: new.rfind(b"\n") + 1] if len(new) < MOST_EVENTS else new
        self.events.read += len(whole)
        for line in whole.split(b"\n"):
            self._heed(line)

    def _heed(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind, text = event["kind"], event["text"]
        except (ValueError, KeyError, TypeError, RecursionError):  # a line that a kill cut short
            return
        if kind == "resumed":
            self.events.resumed += 1
        elif kind == "health":
            said = clean(text)
            self.events.health.pop(said.partition(": ")[0], None)  # the newest stands last
            self.events.health[said.partition(": ")[0]] = said
        elif kind == "warning":
            self.events.warning = clean(text)


def _mark(path: Path) -> Mark | None:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size


def _numbers(table: str, dtype: np.dtype) -> list[str]:
    """The columns of plain numbers, without a row's place, and without how long a look took."""
    assert dtype.names is not None
    place = ("step", "epoch", *(() if table == "statistics" else ("seconds",)))
    kinds = {name: dtype[name] for name in dtype.names if name not in place}
    return [name for name, kind in kinds.items() if kind.kind in "fiub" and not kind.shape and clean(name) == name]
