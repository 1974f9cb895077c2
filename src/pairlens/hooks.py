"""What happens beside the steps: checkpoints, kNN probes, landscapes, boxes found anew, the status, a way to stop."""

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pairlens.data.images import ImageSet, Source
from pairlens.errors import InputError
from pairlens.evaluate.features import counted
from pairlens.evaluate.landscape import USUAL, landscape
from pairlens.evaluate.localise import heat_maps, locate
from pairlens.evaluate.probe import probe, validation_split
from pairlens.localisation import ContrastiveCrop
from pairlens.record.checkpoint import save_checkpoint
from pairlens.record.files import name_unreadable, unreadable_sentence
from pairlens.record.landscape import add_point, read_landscape, sizes_of, write_landscape
from pairlens.record.localised import examples, write_boxes
from pairlens.record.recorder import Recorder
from pairlens.record.run import log_event, write_json
from pairlens.record.table import Table, rows_before
from pairlens.train import Training
from pairlens.views.boxes import useless
from pairlens.words import patient, timestamp

Say = Callable[[str], None]

PROBES = 10  # kNN probes in the course of a run, at ends of epochs
GALLERY = 5_000  # images that a probe searches, at most


class Checkpointer:
    """A hook that saves a checkpoint and the status every so many seconds, and at steps that are to keep."""

    def __init__(self, folder: Path, recorder: Recorder, every: float, keep: Collection[int] = ()) -> None:
        self.folder, self.recorder, self.every, self.keep = folder, recorder, every, keep
        self.saved = self.told = time.monotonic()

    def __call__(self, t: Training) -> None:
        """Save if it is time; tell the status every five seconds."""
        now = time.monotonic()
        if now - self.saved >= self.every or t.step in self.keep:
            self.save(t)
            self.saved = self.told = time.monotonic()
        elif now - self.told >= 5:
            write_status(self.folder, t, "running", self.recorder.seconds)
            self.told = now

    def save(self, t: Training) -> None:
        """Save now: first the rows, then the checkpoint that stands behind them."""
        weights = next(t.method.online.parameters())
        if not weights.isfinite().all():
            raise InputError(
                f"the training has diverged: at step {t.step} the weights are no longer finite; lower --lr or raise "
                "--warmup and train anew (the checkpoints before it are kept)"
            )
        self.recorder.sync()
        save_checkpoint(self.folder / "checkpoints", t, self.recorder.seconds, self.keep)
        write_status(self.folder, t, "running", self.recorder.seconds)


class Prober:
    """A hook that measures kNN accuracy on a held-out part of the training set at the ends of some epochs."""

    def __init__(self, folder: Path, source: Source, t: Training) -> None:
        path = folder / "probes.npy"
        dtype = np.dtype([("step", "<i8"), ("epoch", "<f4"), ("knn", "<f4")])
        self.table, self.images = Table(path, dtype, rows_before(path, t.step + 1)), source.train
        self.split = validation_split(source.train, seed=0)
        self.at = {max(1, round(t.epochs * (i + 1) / PROBES)) * len(t.order) for i in range(PROBES)}

    def __call__(self, t: Training) -> None:
        """Probe if this step ends one of the chosen epochs."""
        if t.step in self.at:
            accuracy = probe(t.method.online.encoder, self.images, self.split, gallery=GALLERY, **_look(t))
            self.table.append(np.array([(t.step, t.step / len(t.order), accuracy)], self.table.dtype))


class Surveyor:
    """A hook that measures the loss's landscape so many times, evenly from before the first step to after the last one.

    It goes on with the batches and the step sizes of what `landscape.npy` holds already.
    """

    def __init__(self, folder: Path, t: Training, times: int) -> None:
        self.folder = folder
        self.at = {round(t.steps * i / max(1, times - 1)) for i in range(times)} if times > 1 else {t.steps}
        rows = read_landscape(folder)
        self.batches, self.sizes = sizes_of(rows) or (1, USUAL)
        if len(rows) and rows["step"][-1] > t.step:  # of an earlier attempt
            rows = rows[rows["step"] <= t.step]
            write_landscape(folder, rows)
        self.at -= set(rows["step"].tolist() if len(rows) else ())

    def __call__(self, t: Training) -> None:
        """Measure if this step is one of the chosen ones and was not measured yet."""
        if t.step in self.at:
            add_point(self.folder, landscape(t, self.batches, self.sizes))


class Complainer:
    """A hook that writes the files that cannot be read to the log, once each; told of the first, the 2nd, 4th, ..."""

    def __init__(self, folder: Path, images: ImageSet, say: Say) -> None:
        self.folder, self.images, self.say = folder, images, say
        self.count, self.told = 0, 0

    def __call__(self, t: Training) -> None:
        """Ask for what has failed since the last step."""
        failed = name_unreadable(self.folder, self.images)
        self.count += len(failed)
        if self.count > 0 and self.count >= 2 * self.told:
            self.told = self.count
            self.say(unreadable_sentence(self.folder, failed, self.count))


def _look(t: Training) -> dict[str, Any]:
    """How a training's encoder is shown un-augmented images."""
    precision = t.method.online.precision
    return {"size": t.size, "mean": t.mean, "std": t.std, "device": t.mean.device, "precision": precision}


def try_to_localise(t: Training, images: ImageSet) -> None:
    """Find out now, and not after the epochs before the first boxes, whether the encoder can find any.

    Raises:
        InputError: its last stage has no map over the image, or one of a single position.
    """
    heat_maps(t.method.online.encoder, images, index=examples(len(images))[:1], **_look(t))


class Localiser:
    """A hook that finds the objects' boxes anew at the ends of some epochs (CCrop, Section 3.2).

    With `record`, `boxes/` of the run's folder keeps every table, and the heat maps of the same few images each time.
    """

    def __init__(
        self, folder: Path, images: ImageSet, crops: ContrastiveCrop, t: Training, *, record: bool, say: Say
    ) -> None:
        self.folder, self.images, self.record, self.say = folder, images, record, say
        self.k, self.coverage = crops.box_threshold, crops.box_coverage
        self.at = {epoch * len(t.order) for epoch in range(crops.box_start or 0, t.epochs, crops.box_every or 1)}

    def __call__(self, t: Training) -> None:
        """Find boxes if this step ends one of the chosen epochs."""
        if t.boxes is None or t.step not in self.at:
            return
        began = time.perf_counter()
        look = _look(t)
        tell = patient(self.say, lambda done: f"finding boxes: {done:,} of {len(self.images):,} images looked at")
        advance = counted(lambda done, total: tell(done), len(self.images))
        encoder = t.method.online.encoder
        found = locate(encoder, self.images, k=self.k, coverage=self.coverage, progress=advance, **look)
        made = t.boxes.refresh(found.boxes, t.step, t.step // len(t.order), found.k)
        seconds = time.perf_counter() - began
        if self.record:
            heat = heat_maps(encoder, self.images, index=examples(len(self.images)), **look)
            write_boxes(self.folder, self.images, found.boxes, heat, made, seconds)
        median = made.coverage[len(made.coverage) // 2]
        text = f"found anew after epoch {made.epoch}: the median covers {median:.0%} of its image (k = {made.k:g})"
        log_event(self.folder, "boxes", f"{text}; it took {seconds:.1f} s")
        if warning := useless(t.boxes):
            log_event(self.folder, "warning", warning)
            self.say(warning)


@contextmanager
def stopped_by_signals(t: Training) -> Iterator[list[int]]:
    """Let Ctrl-C and SIGTERM end the training after the step at hand; a second Ctrl-C ends it at once.

    Gives the list of the signals that came. Only a program's main thread gets signals: elsewhere nothing is changed.
    """
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        came.append(number)
        t.stop = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    mine = threading.current_thread() is threading.main_thread()
    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM) if mine}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_status(folder: Path, t: Training, state: str, seconds: float) -> None:
    """Replace `status.json`."""
    epoch = t.step / len(t.order)
    now = timestamp()
    status = {"state": state, "step": t.step, "steps": t.steps, "epoch": epoch, "epochs": t.epochs}
    write_json(folder / "status.json", {**status, "seconds": round(seconds, 3), "updated": now})
