"""The run folder of an observed loop: the columns that can be known, and files that a report finds at any moment.

Layout: `record/run.py`. There are no samples, probes, checkpoints or encoder: the loop is somebody else's.
"""

import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pairlens
from pairlens.errors import InputError
from pairlens.pairs import Comparison
from pairlens.record.observers import BINS, HIGH, LOW
from pairlens.record.ring import TIMES, Ring, counts_of, statistics_of
from pairlens.record.run import log_event, make_folder, write_json
from pairlens.words import timestamp

BLOCK = 100  # steps between writes
PATIENCE = 5.0  # seconds between writes, where a block takes longer to fill


class ObservedRun:
    """An observed loop's folder, with one row for each of its steps.

    Args:
        folder: where to; by default the next free runs/observed-NUMBER.
        query: embeddings of the first step, for their device, type and number.
        temperature: of the loop's loss, where it is known.
        steps_per_epoch: likewise.
        has_loss: whether each step's loss is handed over.

    Raises:
        InputError: the folder is not empty, or cannot be made.
    """

    def __init__(
        self,
        folder: Path | None,
        query: Tensor,
        *,
        temperature: float | None,
        steps_per_epoch: int | None,
        has_loss: bool,
    ) -> None:
        check_free(folder)
        made = make_folder(folder, "observed")
        self.name, self.folder = made, made.absolute()  # a loop may change the working folder
        self.has_loss, self.steps_per_epoch = has_loss, steps_per_epoch
        unknown = ["gradient_norm", "learning_rate", *(name for name, _ in TIMES)]
        unknown += [] if steps_per_epoch else ["epoch"]
        unknown += [] if temperature else ["z.positive_exp", "z.negative_exp", "z.effective_negatives"]
        unknown += [] if temperature or has_loss else ["loss", "z.loss"]
        self.ring = Ring(self.folder, ("z",), device=query.device, block=BLOCK, without=unknown)
        self.step, self.written = 0, -PATIENCE
        self.space: dict[str, int | float] = {"temperature": temperature} if temperature else {}
        self.info: dict[str, Any] = {
            "pairlens": pairlens.__version__,
            "created": timestamp(),
            "observed": True,
            "call": {"recipe": "observed", "source": Path(sys.argv[0]).name or "python"},
            "spaces": {"z": self.space},
            "batch": len(query),
            "dimensions": query.shape[1],
            "histogram": {"bins": BINS, "low": LOW, "high": HIGH},
            "environment": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "platform": platform.platform(),
                "device": str(query.device),
                "precision": str(query.dtype).removeprefix("torch."),
            },
        }
        if steps_per_epoch:
            self.info["steps_per_epoch"] = steps_per_epoch
        log_event(self.folder, "begun", "at step 0")

    def add(self, comparison: Comparison, images: int, negatives: int) -> None:
        """Add a step of so many images, with so many negatives of each query."""
        compared = {"z": comparison}
        host: dict[str, int | float] = {"step": self.step, "images": images}
        if self.steps_per_epoch:
            host["epoch"] = self.step / self.steps_per_epoch
        self.ring.add(host, {"loss": comparison.loss, **statistics_of(compared)}, counts_of(compared))
        self.step += 1
        if negatives > self.space.get("negatives", -1):  # a queue that fills up
            self.space["negatives"] = negatives
            write_json(self.folder / "run.json", self.info)
        if self.ring.filled == BLOCK or time.monotonic() - self.written >= PATIENCE:
            self.ring.flush()
            self._tell("running")
            self.written = time.monotonic()

    def close(self, state: str) -> None:
        """Write everything and say how the loop ended."""
        self.ring.close()
        self._tell(state)
        log_event(self.folder, state, f"at step {self.step}")

    def _tell(self, state: str) -> None:
        status: dict[str, Any] = {"state": state, "step": self.step, "seconds": round(self.ring.seconds, 3)}
        if self.steps_per_epoch:
            status["epoch"] = self.step / self.steps_per_epoch
        write_json(self.folder / "status.json", status | {"updated": timestamp()})


def check_free(folder: Path | None) -> None:
    """Whether a run can begin in a folder.

    Raises:
        InputError: it is a file, or not empty.
    """
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is not an empty folder; give each observed run a new one, or none, for the next free "
            "runs/observed-NUMBER"
        )
