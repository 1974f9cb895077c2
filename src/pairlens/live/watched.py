"""All runs below a folder, kept up to date, and the answer to what a page lacks.

A page asks about once a second and says what it holds: the version of the table of runs, how many configuration values
and layouts of tables it knows, and a cursor for each curve. It is told the rest.
"""

import base64
import hashlib
import os
import secrets
import shlex
import threading
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pairlens.live.blocks import POINTS, Store, place
from pairlens.live.found import find_runs
from pairlens.live.heat import heat_of
from pairlens.live.row import arguments_of, row_of
from pairlens.live.traces import Traces
from pairlens.report.text import clean, shorten

SPARK = 64  # points of a sparkline, at most
FRESH = 0.4  # seconds for which a look at the folders holds
WALK = 2.0  # seconds between looks for new runs, or twenty times as long as one takes
MOST = 3000  # curves in one question


class Interned:
    """Values by number, in the order in which they were first met: readers ask for those after the last they know."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}

    def number(self, value: Hashable) -> int:
        """The value's number."""
        return self.numbers.setdefault(value, len(self.numbers))

    def after(self, known: object) -> list[Hashable]:
        """All values from a number on."""
        return list(self.numbers)[known if isinstance(known, int) and known >= 0 else 0 :]


@dataclass
class Seen:
    """A run with its line, and the version in which that last changed."""

    traces: Traces
    name: str
    line: dict[str, Any] = field(default_factory=dict)
    version: int = 0


class Watched:
    """The runs below a folder, for any number of pages at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.boot = secrets.token_hex(4)  # tells a page that its versions and numbers are of another server
        self.version, self.of_set = 1, 1  # of anything, and of which runs there are
        self.runs: dict[str, Seen] = {}
        self.pairs, self.layouts = Interned(), Interned()
        self.store = Store()
        self.mapped: dict[tuple[str, str], np.ndarray | None] = {}  # of one answer
        self.lock = threading.Lock()
        self.looked = self.walked = self.walking = 0.0

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What a page lacks (arrays are base64 of little-endian float32).

        Args:
            asked: `boot`, `since`, `pairs`, `layouts`: what the page has of the table; `spark` and `spark_since`: the
                statistic of its sparklines; `curves`: [run, TABLE/COLUMN, cursor] of each; `heat`: {run, space, stage,
                cursor} or None.

        Raises:
            ValueError, TypeError, KeyError: it asks for what cannot be understood.
        """
        with self.lock:
            self.mapped.clear()
            self._refresh()
            same = asked.get("boot") == self.boot
            since = int(asked.get("since", 0)) if same else 0
            spark, spark_since = str(asked.get("spark", "loss")), int(asked.get("spark_since", 0)) if same else 0
            curves = asked.get("curves", [])
            if not isinstance(curves, list) or len(curves) > MOST:
                raise ValueError("curves must be a list of at most 3000")
            return {
                "boot": self.boot,
                "version": self.version,
                "runs": [{"id": k, **seen.line} for k, seen in self.runs.items() if seen.version > since],
                "alive": list(self.runs) if self.of_set > since else None,
                "pairs": self.pairs.after(asked.get("pairs") if same else 0),
                "layouts": self.layouts.after(asked.get("layouts") if same else 0),
                "sparks": {k: self._spark(k, spark) for k, seen in self.runs.items() if seen.version > spark_since},
                "curves": [found for one in curves if (found := self._curve(*one))],
                "heat": self._heat(asked["heat"]) if asked.get("heat") else None,
            }

    def _refresh(self) -> None:
        """Look at the folders, unless that was just done."""
        now = time.monotonic()
        if now - self.looked < FRESH:
            return
        if now - self.walked >= max(WALK, 20 * self.walking) or not self.runs:
            self._walk()
        for seen in self.runs.values():
            if seen.traces.look() or seen.line.get("state") in ("running", "starting", None):
                self._tell(seen)
        self.looked = time.monotonic()

    def _walk(self) -> None:
        began = time.monotonic()
        found = {_key(folder): folder for folder in find_runs(self.root)}
        if found.keys() != self.runs.keys():
            self.version += 1
            self.of_set = self.version
        self.runs = {k: self.runs.get(k) or Seen(Traces(f), _name(f, self.root)) for k, f in found.items()}
        self.walked = time.monotonic()
        self.walking = self.walked - began

    def _tell(self, seen: Seen) -> None:
        """Renew a run's line, with a new version where it differs."""
        traces = seen.traces
        line = {
            "name": seen.name,
            "folder": shorten(clean(traces.folder), 400),
            **row_of(traces, shlex.quote(clean(traces.folder))),
        }
        line["layout"] = self.layouts.number(traces.columns)
        line["arguments"] = [self.pairs.number(pair) for pair in arguments_of(traces)]
        line["rows"] = dict(traces.rows)
        if line != seen.line:
            self.version += 1
            seen.line, seen.version = line, self.version

    def _spark(self, key: str, statistic: str) -> dict[str, str] | None:
        """A run's sparkline: the statistic of its first space, of the whole run, or of a table of its own."""
        traces = self.runs[key].traces
        first = next(iter(traces.spaces), "")
        names = [f"statistics/{first}.{statistic}", f"statistics/{statistic}", f"probes/{statistic}"]
        table, _, rest = statistic.partition("/")
        names = [f"{table}/h.{rest}", f"{table}/{first}.{rest}", statistic] if table == "quality" else names
        found = next((name for name in names if name in traces.columns), None)
        parts = None if found is None else self._thinned(key, found, None, SPARK)
        return None if parts is None else {k: coded(parts[k]) for k in ("step", "mean")}

    def _curve(self, key: object, name: object, cursor: object = None) -> dict[str, Any] | None:
        """The blocks of a curve after a cursor; None where there is no such curve, or nothing new."""
        parts = self._thinned(str(key), str(name), cursor, POINTS)
        if parts is None:
            return None
        arrays = {k: coded(v) for k, v in parts.items() if isinstance(v, np.ndarray)}
        return {"run": key, "column": name, "cursor": parts["cursor"], "from": parts["from"], **arrays}

    def _thinned(self, key: str, name: str, cursor: object, points: int) -> dict[str, Any] | None:
        """The blocks of a curve after a cursor, with the next cursor; None where there is none, or nothing new."""
        seen = self.runs.get(key)
        if seen is None or name not in seen.traces.columns:
            return None
        of, _, column = name.partition("/")
        rows = seen.traces.rows[of]
        at = place(cursor, seen.traces.generation, rows, points)
        if at.cursor(rows) == cursor:
            return None
        if (key, of) not in self.mapped:
            self.mapped[key, of] = seen.traces.table(of)
        table = self.mapped[key, of]
        if table is None or len(table) < rows or column not in (table.dtype.names or ()):
            return None  # it was replaced just now; the next look sees what it is
        parts = self.store.curve((key, f"{name}/{points}"), table["step"][:rows], table[column][:rows], at)
        return {**parts, "cursor": at.cursor(rows), "from": at.first}

    def _heat(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        seen = self.runs.get(str(asked["run"]))
        if seen is None:
            return None
        space = str(asked["space"])
        stage = "raw_" if asked.get("stage") == "raw_" else ""
        found = heat_of(seen.traces, space, stage, asked.get("cursor"))
        if found is None:
            return None
        arrays = {k: coded(v) if isinstance(v, np.ndarray) else v for k, v in found.items()}
        return {"run": asked["run"], "space": space, "stage": stage, **arrays}


def coded(values: np.ndarray) -> str:
    """Numbers as base64 of little-endian float32, row after row."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _key(folder: Path) -> str:
    return hashlib.blake2s(os.fsencode(folder), digest_size=6).hexdigest()


def _name(folder: Path, root: Path) -> str:
    """What the page calls a run: its path below the folder that is watched."""
    return shorten(clean(folder.name if folder == root else folder.relative_to(root).as_posix()), 300)
