"""What of a run's tables is sent, and what it is called in a logger.

N rows of a table.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from pairlens.record.run import Run

POINTS = 2_000  # of each curve, about
BETWEEN = 20  # points from one histogram to the next
PARTS = {"probes": "probe", "quality": "quality"}  # of a tag, by table; those of statistics are by column
UNSENT = ("step", "epoch")  # columns of the tables above that every logger knows already


@dataclass(frozen=True)
class Thinning:
    """Which steps are sent: a function of the step alone, so that it does not matter when a row is read.

    Every `every`-th step, and the last one. Where nobody knows how long a run will be (`every` is None) it is every
    step up to `POINTS`, every second up to twice as many, every fourth up to four times as many, and so on.
    """

    every: int | None = 1
    last: int | None = None
    histograms: int = 1

    def keep(self, step: Int64[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
        """The steps whose statistics are sent."""
        return (step % self._every(step) == 0) | (step == self.last)

    def keep_histogram(self, step: Int64[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
        """The steps whose histograms are sent."""
        return (step % (self._every(step) * self.histograms) == 0) | (step == self.last)

    def _every(self, step: Int64[np.ndarray, "N"]) -> Int64[np.ndarray, "N"]:
        if self.every is not None:
            return np.full(len(step), self.every, np.int64)
        return 2 ** np.ceil(np.log2(np.maximum((step + 1) / POINTS, 1))).astype(np.int64)


def thinning_of(run: Run) -> Thinning:
    """At most `POINTS` steps of a run whose length is known, and the last one."""
    steps = run.info.get("steps")
    if not isinstance(steps, int) or steps <= 0:
        steps = run.status.get("step") if ended(run) else None
    if not isinstance(steps, int):
        return Thinning(None, histograms=BETWEEN)
    return Thinning(max(1, -(-steps // POINTS)), steps - 1, BETWEEN)


def ended(run: Run) -> bool:
    """Whether a run says that it is over."""
    return run.status.get("state") in ("finished", "interrupted", "failed")


def tags_of(table: str, run: Run, dtype: np.dtype) -> dict[str, str]:
    """The tag of every column that is sent: z/positive_mean, time/forward, train/loss, probe/knn, quality/h/rankme.

    The part before the slash is what loggers group by. What a space without negatives cannot know is left out.
    """
    tags = {}
    for name in dtype.names or ():
        if dtype[name].shape or dtype[name].kind not in "iuf" or name in (UNSENT if table in PARTS else ("step",)):
            continue
        if table in PARTS:
            tags[name] = f"{PARTS[table]}/{name.replace('.', '/')}"
        elif "." in name:
            space, _, column = name.rpartition(".")
            if _known(run, space, column):
                tags[name] = f"{space}/{column}"
        elif name.startswith("time_"):
            tags[name] = f"time/{name.removeprefix('time_')}"
        else:
            tags[name] = f"train/{name}"
    return tags


def histogram_tags(run: Run, dtype: np.dtype) -> dict[str, str]:
    """The tag of every histogram: z/positive_scores."""
    columns = {name: name.rpartition(".") for name in dtype.names or () if dtype[name].shape}
    return {
        name: f"{space}/{column}_scores" for name, (space, _, column) in columns.items() if _known(run, space, column)
    }


def edges_of(run: Run) -> np.ndarray:
    """[bins + 1]: between which cosines a histogram counts."""
    bins = run.info["histogram"]
    return np.linspace(bins["low"], bins["high"], bins["bins"] + 1)


def config_of(run: Run) -> dict[str, Any]:
    """The call that made a run, flat, and what was found for it: plain JSON values by name."""
    found = ("batch", "size", "steps", "dimensions", "pairlens")
    config: dict[str, Any] = {name: run.info[name] for name in found if name in run.info}
    for part in (run.call, run.call.get("machine"), run.call.get("arguments")):
        if isinstance(part, dict):
            config |= {name: value for name, value in part.items() if not isinstance(value, dict) and name != "argv"}
    return config


def text_of(config: Mapping[str, Any]) -> str:
    """A configuration as a block of code in Markdown."""
    return "\n".join("    " + line for line in json.dumps(config, indent=1).splitlines())


def began(run: Run) -> float:
    """When a run began, in seconds since 1970."""
    return moment(run.info.get("created"))


def moment(text: object) -> float:
    """A time as the run's files have it, in seconds since 1970; 0 where it is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


def _known(run: Run, space: str, column: str) -> bool:
    of_negatives = "negative" in column or column == "accuracy"
    return not of_negatives or run.info.get("spaces", {}).get(space, {}).get("negatives") != 0
