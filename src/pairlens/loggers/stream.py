"""A run on its way to one logger: what is new in its files is sent, once and in order, whoever writes them meanwhile.

How far it came stands in `RUN/logged/NAME.json`, which is written after the logger has kept what it was sent:

target          the folder and the project that it is logged to, where they were given
next            of each table the first step that was not yet sent
events          [bytes of events.jsonl, lines] that were sent
state           what the logger needs to go on

A run that is resumed at an earlier step writes some rows again, bit for bit: those have been sent and are passed over.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pairlens.errors import InputError
from pairlens.loggers.logger import Logger, State, Target, check, opener
from pairlens.loggers.rows import Thinning, began, edges_of, histogram_tags, tags_of, thinning_of
from pairlens.record.disk import held, writing
from pairlens.record.run import Run, events_from, write_json
from pairlens.record.table import rows_from

TABLES = ("statistics", "probes", "quality", "histograms")
ROWS = 10_000  # read at a time

Progress = Callable[[int, int], None]


@dataclass
class Cursor:
    """How far a run was sent to a logger."""

    path: Path
    target: Target
    next: dict[str, int] = field(default_factory=dict)
    events: tuple[int, int] = (0, 0)
    state: State = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, target: Target) -> "Cursor":
        """The cursor that lies there, or one at the beginning.

        Raises:
            InputError: it is damaged, or of another place than the one that was asked for.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            place = found["target"]
            known = Target(target.name, None if place["folder"] is None else Path(place["folder"]), place["project"])
            offset, lines = map(int, found["events"])
            cursor = cls(path, known, dict(found["next"]), (offset, lines), dict(found["state"]))
        except FileNotFoundError:
            return cls(path, target)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged; log the run once more from its beginning with --anew") from error
        for name in ("folder", "project"):
            before, now = getattr(known, name), getattr(target, name)
            if now is not None and now != before:
                usual = "its usual one" if before is None else before
                raise InputError(
                    f"this run goes to the {name} {usual} of {target.name} so far; leave --{name} out to go on there, "
                    "or log it once more from its beginning with --anew"
                )
        return cursor

    def write(self) -> None:
        """Replace the file."""
        folder = self.target.folder
        target = {"folder": None if folder is None else str(folder), "project": self.target.project}
        write_json(self.path, {"target": target, "next": self.next, "events": list(self.events), "state": self.state})


class Stream:
    """One run and one logger; `open_stream` makes it."""

    def __init__(self, folder: Path, cursor: Cursor, logger: Logger, everything: bool) -> None:
        self.folder, self.cursor, self.logger, self.everything = folder, cursor, logger, everything

    def advance(self, progress: Progress = lambda done, total: None) -> int:
        """Send what is new; returns how many rows of the tables that were.

        Raises:
            InputError: a table is damaged, or the disk is full. What was sent before stays sent.
        """
        run = Run.open(self.folder)
        thinning = Thinning() if self.everything else thinning_of(run)
        sent = 0
        for table in TABLES:
            while len(rows := rows_from(self.folder / f"{table}.npy", self.cursor.next.get(table, 0), ROWS)):
                try:
                    sent += self._send(run, table, rows, thinning)
                finally:
                    self._keep()
                if table == "statistics":
                    progress(int(rows["step"][-1]) + 1, run.info.get("steps") or int(rows["step"][-1]) + 1)
        before = self.cursor.events
        try:
            self._send_events()
        finally:
            if self.cursor.events != before or not self.cursor.state:
                self._keep()
        return sent

    def _send(self, run: Run, table: str, rows: np.ndarray, thinning: Thinning) -> int:
        """Send those of some rows that are to be sent, and count all of them as done."""
        counted = table == "histograms"
        tags = (histogram_tags if counted else lambda run, dtype: tags_of(table, run, dtype))(run, rows.dtype)
        kept = rows
        if counted:
            kept = rows[thinning.keep_histogram(rows["step"])]
        elif table == "statistics":
            kept = rows[thinning.keep(rows["step"])]
        for row in kept:
            step = int(row["step"])
            time = began(run) + self._seconds(run, table, row)
            if counted:
                counts = {tag: row[name] for name, tag in tags.items()}
                self.logger.histograms(step, time, counts, edges_of(run))
            else:
                self.logger.scalars(step, time, {tag: float(row[name]) for name, tag in tags.items()})
            self.cursor.next[table] = step + 1
        self.cursor.next[table] = int(rows["step"][-1]) + 1
        return len(kept)

    def _seconds(self, run: Run, table: str, row: np.void) -> float:
        """What the run had taken when a row's step was done; what another table's row calls seconds is its own cost."""
        if table == "statistics":
            return float(row["seconds"])
        before = rows_from(self.folder / "statistics.npy", max(0, int(row["step"]) - 1), 1)
        return float(before["seconds"][0] if len(before) else run.status.get("seconds", 0.0))

    def _send_events(self) -> None:
        offset, number = self.cursor.events
        for event, end in events_from(self.folder, offset):
            self.logger.event(number, event)
            number += 1
            self.cursor.events = (end, number)

    def _keep(self) -> None:
        self.cursor.state = self.logger.flush()
        self.cursor.write()


@contextmanager
def open_stream(folder: Path, target: Target, *, everything: bool = False, anew: bool = False) -> Iterator[Stream]:
    """Open a run to be sent to a logger; one process at a time sends it there.

    Args:
        folder: the run's.
        target: where to; what it leaves open is as it was when the run was logged before.
        everything: send every step; else `Thinning`.
        anew: forget what was sent before, and begin another run in the logger.

    Raises:
        InputError: there is no such run, another process is at it, or the logger cannot be used.
    """
    run = Run.open(folder)
    check(target)
    place = folder / "logged"
    with writing(place):
        place.mkdir(exist_ok=True)
    busy = f"another process is logging the run {folder} to {target.name} already; let it, or stop it first"
    with held(place / f"{target.name}.lock", busy):
        path = place / f"{target.name}.json"
        cursor = Cursor(path, target) if anew else Cursor.read(path, target)
        logger = opener(target.name)(run, cursor.target, cursor.state)
        try:
            yield Stream(folder, cursor, logger, everything)
        finally:
            logger.close()
