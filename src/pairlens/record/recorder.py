"""The recorder: it reads a step's result into a ring on the device, and writes the ring to the run's folder in blocks.

It draws no randomness, changes no tensor of the training, and waits for the device only when a block is written.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pairlens.clock import PHASES, Laps, seconds
from pairlens.record.observers import BINS, histograms, scalars
from pairlens.record.samples import write_sample
from pairlens.record.table import Table, rows_before
from pairlens.train import Outcome, Training

HOST = [("step", "<i8"), ("epoch", "<f4"), ("seconds", "<f8"), ("learning_rate", "<f4"), ("images", "<i4")]
TIMES = [(f"time_{phase}", "<f4") for phase in PHASES]


class Recorder:
    """Write `statistics.npy`, `histograms.npy` and `samples/` of one run (layout: `record/run.py`).

    Args:
        folder: the run's folder.
        spaces: names of the embedding spaces, in the order of `Step.comparisons`.
        device: where the ring lives.
        steps: steps of the whole run; views are sampled about eight times in its course.
        start: steps already done when a run is resumed; later rows of an earlier attempt are cut off.
        spent: seconds already spent when a run is resumed.
        every: steps between histograms.
        block: steps between writes to the disk.
    """

    def __init__(
        self,
        folder: Path,
        spaces: tuple[str, ...],
        *,
        device: torch.device,
        steps: int,
        start: int = 0,
        spent: float = 0.0,
        every: int = 1,
        block: int = 100,
    ) -> None:
        self.folder, self.every = folder, every
        self.sampled = {round(i * max(0, steps - 1) / 8) for i in range(9)}
        self.begun = time.monotonic() - spent
        self.names, self.counted = columns(spaces), [name for name, *_ in histogram_columns(spaces)]
        device_columns = [(name, "<f4") for name in self.names]
        self.statistics = table(folder / "statistics.npy", [*HOST, *device_columns, *TIMES], start)
        self.histograms = table(folder / "histograms.npy", [("step", "<i8"), *histogram_columns(spaces)], start)
        self.ring = torch.zeros(block, len(self.names), device=device)
        self.host = np.zeros(block, self.statistics.dtype)
        self.laps: list[Laps] = []
        self.counts: list[tuple[int, Tensor]] = []
        self.filled = 0

    @torch.no_grad()
    def __call__(self, t: Training, outcome: Outcome) -> None:
        """Record one optimiser step. Comparisons are read off the batch's last part, the loss off all parts."""
        if self.filled == len(self.host):
            self.flush()
        gradients = [p.grad for group in t.optimizer.param_groups for p in group["params"] if p.grad is not None]
        values = [torch.stack([part.loss for part in outcome.parts]).mean(), gradient_norm(gradients)]
        comparisons = outcome.parts[-1].comparisons.values()
        values += [value for comparison in comparisons for value in scalars(comparison).values()]
        torch.stack(values, out=self.ring[self.filled])
        if t.step % self.every == 0:
            counted = [counts for comparison in comparisons for counts in histograms(comparison).values()]
            self.counts.append((t.step, torch.stack(counted)))
        row = self.host[self.filled]
        row["step"], row["epoch"], row["seconds"] = t.step, t.step / len(t.batches), self.seconds
        row["learning_rate"], row["images"] = t.optimizer.param_groups[0]["lr"], t.batches.batch
        self.laps.append(outcome.laps)
        self.filled += 1
        if t.step in self.sampled:
            path = self.folder / "samples" / f"{t.step:06d}.npz"
            write_sample(path, outcome.draw, outcome.images, outcome.views, outcome.params, t.mean, t.std)

    def flush(self) -> None:
        """Write what the ring holds."""
        if self.filled:
            rows = self.host[: self.filled].copy()
            for name, column in zip(self.names, self.ring[: self.filled].cpu().numpy().T, strict=True):
                rows[name] = column
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
        """Flush, and wait for the disk: before a checkpoint, so that no checkpoint is ahead of its rows."""
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


SPACE_COLUMNS = (
    "loss", "accuracy", "positive_mean", "positive_variance", "negative_mean", "negative_variance",
    "positive_exp", "negative_exp", "raw_positive_mean", "raw_positive_variance", "raw_negative_mean",
    "raw_negative_variance", "alignment", "uniformity", "feature_std",
)  # fmt: skip
HISTOGRAMS = ("positive", "negative", "raw_positive", "raw_negative")


def table(path: Path, columns: list[Any], start: int) -> Table:
    """A table to go on with at step `start`: rows of that step and later ones, of an earlier attempt, are cut off."""
    return Table(path, np.dtype(columns), rows_before(path, start))


def columns(spaces: tuple[str, ...]) -> list[str]:
    """Names of the statistics that live on the device, in the ring's order."""
    return ["loss", "gradient_norm", *[f"{space}.{name}" for space in spaces for name in SPACE_COLUMNS]]


def histogram_columns(spaces: tuple[str, ...]) -> list[tuple[str, str, tuple[int]]]:
    """Columns of `histograms.npy` beside the step."""
    return [(f"{space}.{name}", "<u4", (BINS,)) for space in spaces for name in HISTOGRAMS]


def gradient_norm(gradients: list[Tensor]) -> Tensor:
    """l2 norm of all gradients together (FT, Figure 4), on the device."""
    return torch.stack(torch._foreach_norm(gradients)).norm()
