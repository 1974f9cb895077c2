"""A ring of numbers on the device, written to a run's tables in blocks: how every recording reaches the disk."""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pairlens.clock import Laps, seconds
from pairlens.pairs import Comparison
from pairlens.phases import PHASES
from pairlens.record.observers import BINS, histograms, scalars
from pairlens.record.table import Table, rows_before

HOST = [("step", "<i8"), ("epoch", "<f4"), ("seconds", "<f8"), ("learning_rate", "<f4"), ("images", "<i4")]
TIMES = [(f"time_{phase}", "<f4") for phase in PHASES]
SPACE_COLUMNS = (
    "loss", "accuracy", "positive_mean", "positive_variance", "negative_mean", "negative_variance",
    "positive_exp", "negative_exp", "raw_positive_mean", "raw_positive_variance", "raw_negative_mean",
    "raw_negative_variance", "alignment", "uniformity", "feature_std", "effective_rank", "effective_negatives",
    "negatives_above", "batch_negative_mean",
)  # fmt: skip
HISTOGRAMS = ("positive", "negative", "raw_positive", "raw_negative")


class Ring:
    """Append rows to `statistics.npy` and `histograms.npy` of one run (layout: `record/run.py`).

    What lies on the device stays there until a block is full: only `flush` waits for it.

    Args:
        folder: the run's folder.
        spaces: names of the embedding spaces.
        device: where the numbers are computed.
        start: steps already done when a run is resumed; later rows of an earlier attempt are cut off.
        spent: seconds already spent when a run is resumed.
        block: rows between writes to the disk.
        without: columns of `statistics.npy` that this run cannot know, and therefore lacks.
    """

    def __init__(
        self,
        folder: Path,
        spaces: Sequence[str],
        *,
        device: torch.device,
        start: int = 0,
        spent: float = 0.0,
        block: int = 100,
        without: Collection[str] = (),
    ) -> None:
        self.begun = time.monotonic() - spent
        self.names = [name for name in columns(spaces) if name not in without]
        layout = [*HOST, *[(name, "<f4") for name in self.names], *TIMES]
        dtype = np.dtype([column for column in layout if column[0] not in without])
        self.counted = histogram_columns(spaces)
        counted = np.dtype([("step", "<i8"), *[(name, "<u4", (BINS,)) for name in self.counted]])
        self.statistics = _table(folder / "statistics.npy", dtype, start)
        self.histograms = _table(folder / "histograms.npy", counted, start)
        self.device = torch.zeros(block, len(self.names), device=device)
        self.host = np.zeros(block, dtype)
        self.laps: list[Laps] = []
        self.counts: list[tuple[int, Tensor]] = []
        self.filled = 0

    @torch.no_grad()
    def add(
        self,
        host: Mapping[str, int | float],
        values: Mapping[str, Float[Tensor, ""]],
        counts: Mapping[str, Float[Tensor, "bins"]],
        laps: Laps | None = None,
    ) -> None:
        """Add one step.

        Args:
            host: what the host knows, `step` among it; the seconds are filled in here.
            values: every column that lies on the device, by name; those that the run lacks are passed over.
            counts: every histogram by name, or none at a step without.
            laps: the step's phases, where they are known.
        """
        if self.filled == len(self.host):
            self.flush()
        torch.stack([values[name] for name in self.names], out=self.device[self.filled])
        if counts:
            self.counts.append((int(host["step"]), torch.stack([counts[name] for name in self.counted])))
        row = self.host[self.filled]
        for name, value in host.items():
            row[name] = value
        row["seconds"] = self.seconds
        if laps is not None:
            self.laps.append(laps)
        self.filled += 1

    def flush(self) -> None:
        """Write what the ring holds."""
        if self.filled:
            rows = self.host[: self.filled].copy()
            for name, column in zip(self.names, self.device[: self.filled].cpu().numpy().T, strict=True):
                rows[name] = column
            if self.laps:
                for phase, column in zip(PHASES, zip(*map(seconds, self.laps), strict=True), strict=True):
                    rows[f"time_{phase}"] = column
            self.laps = []
            self.statistics.append(rows)
            self.filled = 0
        if self.counts:
            rows = np.zeros(len(self.counts), self.histograms.dtype)
            rows["step"] = [step for step, _ in self.counts]
            stacked = torch.stack([counts for _, counts in self.counts]).cpu().numpy()
            for i, name in enumerate(self.counted):
                rows[name] = stacked[:, i]
            self.histograms.append(rows)
            self.counts = []

    def sync(self) -> None:
        """Flush, and wait for the disk."""
        self.flush()
        self.statistics.sync()
        self.histograms.sync()

    def close(self) -> None:
        """Flush and close the files."""
        self.flush()
        self.statistics.close()
        self.histograms.close()

    @property
    def seconds(self) -> float:
        """Seconds spent on the run, earlier attempts included."""
        return time.monotonic() - self.begun


def columns(spaces: Sequence[str]) -> list[str]:
    """Names of the statistics that lie on the device, in the ring's order."""
    return ["loss", "gradient_norm", *[f"{space}.{name}" for space in spaces for name in SPACE_COLUMNS]]


def histogram_columns(spaces: Sequence[str]) -> list[str]:
    """Names of the histograms, in the table's order."""
    return [f"{space}.{name}" for space in spaces for name in HISTOGRAMS]


def statistics_of(comparisons: Mapping[str, Comparison]) -> dict[str, Float[Tensor, ""]]:
    """The statistics of every space, by column."""
    return {f"{space}.{name}": value for space, c in comparisons.items() for name, value in scalars(c).items()}


def counts_of(comparisons: Mapping[str, Comparison]) -> dict[str, Float[Tensor, "bins"]]:
    """The histograms of every space, by column."""
    return {f"{space}.{name}": counts for space, c in comparisons.items() for name, counts in histograms(c).items()}


def _table(path: Path, dtype: np.dtype, start: int) -> Table:
    """A table to go on with at step `start`: rows of that step and later ones, of an earlier attempt, are cut off."""
    return Table(path, dtype, rows_before(path, start))
