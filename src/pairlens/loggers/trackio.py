"""trackio: a run in its local database; `trackio.sync` sends a project from there to a Space, should you want that.

Rows go to the database through its storage, and not through `trackio.log`, which queues them in a thread and forgives
what it could not write. Each row bears an id, so that one which is sent again is not there twice. The database lies
where trackio has it (TRACKIO_DIR), or in FOLDER where one is given.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from jaxtyping import Float, Integer

from pairlens.data.files import printable
from pairlens.errors import InputError
from pairlens.loggers.logger import PROJECT, State, Target
from pairlens.loggers.rows import config_of
from pairlens.record.run import Run

LEVELS = {"warning": "warn", "failed": "error"}  # of events, by kind; the others are "info"


class Trackio:
    """A run of a project.

    Raises:
        InputError: the database cannot be written, or lies elsewhere in this process.
    """

    def __init__(self, run: Run, target: Target, state: State) -> None:
        if target.folder is not None:
            os.environ["TRACKIO_DIR"] = str(target.folder)  # read when trackio is imported
        from trackio.sqlite_storage import SQLiteStorage
        from trackio.utils import TRACKIO_DIR

        if target.folder not in (None, Path(TRACKIO_DIR)):
            raise InputError(f"trackio writes to {TRACKIO_DIR} in this process already; leave its folder out")
        self.storage, self.id = SQLiteStorage, state.get("id") or uuid4().hex
        self.project, self.name = target.project or PROJECT, printable(run.name)
        self.config = {name: value for name, value in config_of(run).items() if not name.startswith("_")}
        self.rows: list[tuple[str, int, str, dict[str, Any]]] = []  # id, step, time, values
        self.events: list[tuple[str, str, str, str, int, str]] = []  # id, kind, text, level, number, time
        with _told():
            SQLiteStorage.validate_project_name(self.project)
        where = "" if target.folder is None else f"TRACKIO_DIR={target.folder} "
        self.where = f"{where}trackio show --project {self.project}"

    def scalars(self, step: int, time: float, values: Mapping[str, float]) -> None:
        """One row of the database."""
        self._add(step, time, dict(values))

    def histograms(
        self, step: int, time: float, counts: Mapping[str, Integer[np.ndarray, "bins"]], edges: Float[np.ndarray, "e"]
    ) -> None:
        """trackio's own histograms, all of a step in one row."""
        whole = {"_type": "trackio.histogram", "bins": edges.tolist()}
        self._add(step, time, {tag: {**whole, "values": count.tolist()} for tag, count in counts.items()})

    def event(self, number: int, event: Mapping[str, Any]) -> None:
        """An alert, by kind; its step is the event's number. No webhook is called."""
        kind, text = str(event.get("kind", "event")), printable(str(event.get("text", "")))
        name, level = f"{self.id}.event.{number}", LEVELS.get(kind, "info")
        self.events.append((name, kind, text, level, number, str(event.get("time", ""))))

    def flush(self) -> State:
        """Write what was taken to the database."""
        with _told():
            if self.rows:
                ids, steps, times, values = map(list, zip(*self.rows, strict=True))
                self.storage.bulk_log(
                    self.project, self.name, values, steps, times, self.config, log_ids=ids, run_id=self.id
                )
                self.rows, self.config = [], {}
            if self.events:
                ids, kinds, texts, levels, numbers, times = map(list, zip(*self.events, strict=True))
                self.storage.bulk_alert(
                    self.project, self.name, kinds, texts, levels, numbers, times, alert_ids=ids, run_id=self.id
                )
                self.events = []
        return {"id": self.id}

    def close(self) -> None:
        """Nothing is held open."""

    def _add(self, step: int, time: float, values: dict[str, Any]) -> None:
        first = next(iter(values), "")
        when = datetime.fromtimestamp(time, UTC).isoformat()
        self.rows.append((f"{self.id}.{first}.{step}", step, when, values))


@contextmanager
def _told() -> Iterator[None]:
    """Say in a sentence what went wrong with the database.

    Raises:
        InputError: it cannot be written, or the project cannot be called so.
    """
    try:
        yield
    except (OSError, sqlite3.Error, ValueError) as error:
        raise InputError(f"trackio failed: {' '.join(str(error).split())}; make room, or try again later") from error
