"""A run is a folder. This file says what lies in it, and opens it for reading.

run.json            the call that made it, resolved arguments, spaces, environment; written once
status.json         state, step, steps, epoch, epochs, seconds, updated; replaced as the run goes on
events.jsonl        what happened: a line each, {"time", "kind", "text"}
lock                held by the process that trains the run; empty
statistics.npy      one row a step, a column a statistic (numpy.load, pandas.DataFrame)
histograms.npy      one row a step: step, and counts of scores per space
probes.npy          one row a probe: step, epoch, knn (accuracy on the validation split)
landscape.npy       the loss along its gradient at points of the training: a row a point (`landscape.py`)
quality.npy         one row a look at views that are not trained on: step, epoch, seconds that it took, and for the
                    encoder (h) and each space what needs no labels: h.rankme, ..., z.uniformity (`gauge.py`)
boxes/000100.npz    the boxes that were found after a step, and some heat maps (`localised.py`)
samples/000000.npz  the first images of a step, their views and the views' parameters
files.npz           the files that a run decodes in every epoch (`files.py`)
checkpoints/        step-00000100/ {weights.safetensors, state.safetensors, state.json}; the newest two are kept, and
                    a few along the way (`--keep`)
encoder.safetensors the trained encoder alone, with torchvision's names
evaluation.json     what `pairlens evaluate` found
neighbours.npz      nearest neighbours of some test images, for the report
semantics.json      what a classifier makes of the run's crops (`pairlens evaluate --classifier`)
kept.json           what the encoder keeps of rotation and known factors (`pairlens evaluate --probes`)
probe.json          what the encoder is blind to, and probe.html, the page of it (`pairlens probe`)
spaces.json         what each embedding space tells; spaces.npz: pictures to it (`pairlens evaluate --probes spaces`)
logged/NAME.json    how much of the run was sent to TensorBoard, Weights & Biases or trackio (`pairlens log`),
                    with NAME.lock beside it, held by the process that sends; their files lie in tensorboard/ and wandb/
few_shot.json       accuracies with a few labelled images of each class (`pairlens evaluate --probes few_shot`)
false_negatives.json  negatives of their query's own class (`pairlens evaluate --probes false_negatives`)

A run that was observed in somebody else's loop (`observed.py`) says `"observed": true` in its run.json, which is
written again when there are more negatives than before. Beside it lie status.json, events.jsonl, statistics.npy and
histograms.npy, with the columns that can be known, and nothing else: no lock, probes, samples, checkpoints or encoder.

Which rows are recorded. A step's `loss` is the mean over all parts of its batch, the gradient norm is that of the whole
batch. All columns of a space (`z.loss`, `z.positive_mean`, ...) and the histograms are of the batch's last part, which
is the whole batch unless it is accumulated: positives of all its queries (SimCLR: of both views), negatives of its
first 64 queries (in histograms 16) with every key that is not excluded, accuracy over all queries, uniformity over the
first 256.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from pairlens.errors import InputError
from pairlens.record.disk import writing
from pairlens.record.table import read
from pairlens.words import timestamp


@dataclass(frozen=True)
class Run:
    """A run's folder, opened for reading; everything is read when it is asked for, and then kept."""

    folder: Path

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Open an existing run.

        Raises:
            InputError: the folder is missing, or is not a run.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"there is no run folder {folder}; give the folder that `pairlens train` printed")
        if not (folder / "run.json").is_file():
            raise InputError(f"{folder} is not a run folder: it holds no run.json; give one that `pairlens train` made")
        run = cls(folder)
        run.call  # noqa: B018 - reads run.json now, so that a broken one is named here
        return run

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    @cached_property
    def info(self) -> dict[str, Any]:
        """run.json, whole."""
        return _json(self.folder / "run.json")

    @cached_property
    def call(self) -> dict[str, Any]:
        """The call: its method, source and resolved arguments by name."""
        info = self.info
        if not isinstance(info.get("call"), dict):
            raise InputError(
                f"{self.folder / 'run.json'} does not say what was called; it is damaged or another tool's"
            )
        return info["call"]

    @cached_property
    def status(self) -> dict[str, Any]:
        """status.json, or an empty record where it is missing or damaged: it is rewritten as the run goes on."""
        try:
            return _json(self.folder / "status.json")
        except InputError:
            return {}

    @cached_property
    def evaluation(self) -> dict[str, Any] | None:
        """evaluation.json, where the run was evaluated."""
        path = self.folder / "evaluation.json"
        return _json(path) if path.exists() else None

    @cached_property
    def semantics(self) -> dict[str, Any] | None:
        """semantics.json, where a classifier judged the run's crops."""
        path = self.folder / "semantics.json"
        return _json(path) if path.exists() else None

    @cached_property
    def kept(self) -> dict[str, Any] | None:
        """kept.json, where it was probed what the encoder keeps."""
        path = self.folder / "kept.json"
        return _json(path) if path.exists() else None

    @cached_property
    def probe(self) -> dict[str, Any] | None:
        """probe.json, where it was asked what the encoder is blind to."""
        path = self.folder / "probe.json"
        return _json(path) if path.exists() else None

    @cached_property
    def told_by_space(self) -> dict[str, Any] | None:
        """spaces.json, where the embedding spaces were read out."""
        path = self.folder / "spaces.json"
        return _json(path) if path.exists() else None

    @cached_property
    def few_shot(self) -> dict[str, Any] | None:
        """few_shot.json, where it was classified with a few images of each class."""
        path = self.folder / "few_shot.json"
        return _json(path) if path.exists() else None

    @cached_property
    def false_negatives(self) -> dict[str, Any] | None:
        """false_negatives.json, where it was counted how many negatives are of their query's class."""
        path = self.folder / "false_negatives.json"
        return _json(path) if path.exists() else None

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """What happened, in order; lines that a kill cut short are passed over."""
        path = self.folder / "events.jsonl"
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
        return [event for event in map(_event, lines) if event is not None]

    @cached_property
    def statistics(self) -> np.ndarray:
        """One structured row a step."""
        return read(self.folder / "statistics.npy")

    @cached_property
    def histograms(self) -> np.ndarray:
        """One structured row a recorded histogram: `step`, and `SPACE.positive` and the like, each [bins]."""
        return read(self.folder / "histograms.npy")

    @cached_property
    def probes(self) -> np.ndarray:
        """One structured row a probe: `step`, `epoch`, `knn`."""
        return read(self.folder / "probes.npy")

    @cached_property
    def landscape(self) -> np.ndarray:
        """One structured row a point at which the loss's landscape was measured."""
        return read(self.folder / "landscape.npy")

    @cached_property
    def quality(self) -> np.ndarray:
        """One structured row a look at views that are not trained on (`gauge.py`)."""
        return read(self.folder / "quality.npy")

    @property
    def observed(self) -> bool:
        """Whether the run is somebody else's loop, of which only the pairs are known."""
        return self.info.get("observed") is True

    @property
    def spaces(self) -> tuple[str, ...]:
        """The embedding spaces that are compared."""
        return tuple(self.info["spaces"])

    def box_files(self) -> list[Path]:
        """What was kept each time that boxes were found, oldest first."""
        return _by_step(self.folder / "boxes")

    def sample_files(self) -> list[Path]:
        """The recorded samples, oldest first."""
        return _by_step(self.folder / "samples")


def make_folder(folder: Path | None, name: str) -> Path:
    """Make the folder that is given, or runs/NAME-1, or the next number that is free.

    Raises:
        InputError: it cannot be made.
    """
    made = folder or Path("runs")
    try:
        made.mkdir(parents=True, exist_ok=True)
        for number in count(1) if folder is None else ():
            made = Path("runs") / f"{name}-{number}"
            try:
                made.mkdir()  # fails where another process was faster, too
                break
            except FileExistsError:
                continue
    except OSError as error:
        raise InputError(f"the run folder {made} cannot be made ({error.strerror}); give another one") from error
    return made


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader finds the old file or the new one, never half of one."""
    text = json.dumps(value, indent=1, allow_nan=True) + "\n"
    partial = path.with_name(path.name + ".partial")
    with writing(path):
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)


def log_event(folder: Path, kind: str, text: str) -> None:
    """Append a line to `events.jsonl`, on a line of its own even where a kill cut the last one short."""
    line = json.dumps({"time": timestamp(), "kind": kind, "text": text})
    path = folder / "events.jsonl"
    with writing(path), open(path, "a+b") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else "\n" + line
        file.write((line + "\n").encode())


def events_from(folder: Path, offset: int) -> Iterator[tuple[dict[str, Any], int]]:
    """The events that are written whole behind so many bytes of `events.jsonl`, each with the bytes up to its end."""
    path = folder / "events.jsonl"
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            offset += len(line)
            event = _event(line.decode(errors="replace")) if line.endswith(b"\n") else None
            if event is not None:
                yield event, offset


def _by_step(folder: Path) -> list[Path]:
    """The files that are named after the steps, in the steps' order: from a million on that is not the names'."""
    return sorted((path for path in folder.glob("*.npz") if path.stem.isdecimal()), key=lambda path: int(path.stem))


def _event(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is damaged ({error}); the run must be made again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the folder") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is damaged: it holds no JSON object; the run must be made again")
    return value
