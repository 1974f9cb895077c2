"""Pretraining as a user means it: a run that was begun is trained to its end, or until a signal."""

import signal
from collections.abc import Callable
from pathlib import Path

from pairlens.data.images import Source
from pairlens.errors import InputError
from pairlens.gauge import Gauge
from pairlens.health.live import Watcher
from pairlens.hooks import (
    Checkpointer,
    Complainer,
    Localiser,
    Prober,
    Surveyor,
    stopped_by_signals,
    write_status,
)
from pairlens.opened import described
from pairlens.record.checkpoint import checkpoints, milestones, save_encoder, step_of
from pairlens.record.disk import locked
from pairlens.record.recorder import Recorder
from pairlens.record.run import Run, log_event
from pairlens.reopen import recall
from pairlens.train import Hook, Observer, Training, fit

Say = Callable[[str], None]


def pretrain(
    folder: Path,
    training: Training,
    source: Source,
    *,
    seconds: float = 0.0,
    save_every: float = 60.0,
    watch: Observer | None = None,
    say: Say = print,
    show_health: Say = lambda words: None,
) -> str:
    """Train a run to its end, or until a signal, and return how it ended: "finished", "interrupted" or "terminated".

    Ctrl-C interrupts and SIGTERM terminates; either way `status.json` says "interrupted", and the run can be resumed.

    Args:
        folder: the run's folder.
        training: from `start_run` or `reopen_run`.
        source: what the probes are made on, where it has labels.
        seconds: already spent on the run.
        save_every: seconds between checkpoints.
        watch: another observer, for a progress line.
        say: told in a sentence what happens.
        show_health: told the run's health in a few words now and then, and at the end.

    Raises:
        InputError: another process trains the run, the training has diverged, or the disk cannot be written.
    """
    with locked(folder):
        saved = checkpoints(folder / "checkpoints")
        if saved and step_of(saved[-1]) > training.step:
            raise InputError(
                f"another process has trained the run {folder} on to step {step_of(saved[-1])} meanwhile; "
                "resume it again"
            )
        return _pretrain(folder, training, source, seconds, save_every, watch, say, show_health)


def _pretrain(
    folder: Path,
    training: Training,
    source: Source,
    seconds: float,
    save_every: float,
    watch: Observer | None,
    say: Say,
    show_health: Say,
) -> str:
    device = training.mean.device
    run = Run.open(folder)
    recipe, _ = recall(run)
    spaces, crops = run.spaces, recipe.crops
    recorder = Recorder(folder, spaces, device=device, steps=training.steps, start=training.step, spent=seconds)
    kept = milestones(training, run.call.get("keep", 1))
    checkpointer = Checkpointer(folder, recorder, save_every, kept)
    prober = [] if source.train.labels is None else [Prober(folder, source, training)]
    record = run.call.get("record", True)
    gauge = [Gauge(folder, training, spaces, kept)] if record else []
    localiser = Localiser(folder, source.train, crops, training, record=record, say=say)
    found = [localiser] if crops.boxes == "found" else []
    watchers = [Watcher(folder, say, show_health)] if record else []
    surveyor = Surveyor(folder, training, times) if (times := run.call.get("landscape", 0)) else None
    hooks: list[Hook] = [
        *prober,
        *found,
        *([surveyor] if surveyor else []),
        *gauge,
        Complainer(folder, source.train, say),
        checkpointer,
        *watchers,
    ]  # no checkpoint is ahead of its probe, its boxes or its landscape
    seen: list[Observer] = [*([recorder] if record else []), *([watch] if watch else [])]
    state = "failed"
    log_event(folder, "begun" if training.step == 0 else "resumed", f"at step {training.step} of {training.steps}")
    try:
        with stopped_by_signals(training) as signals:
            write_status(folder, training, "running", recorder.seconds)
            if surveyor:
                surveyor(training)  # the start is no step's end
            fit(training, seen, hooks)
        checkpointer.save(training)
        state = "finished" if training.step >= training.steps else "interrupted"
        if state == "finished":
            about = described(recipe.network, recipe.method.heads, training.size, training.mean, training.std)
            save_encoder(folder / "encoder.safetensors", training.method.online.encoder, about)
    finally:
        recorder.close()
        write_status(folder, training, state, recorder.seconds)
        for watcher in watchers:
            watcher.look()
        log_event(folder, state, f"at step {training.step} of {training.steps}")
    return "terminated" if state == "interrupted" and signal.SIGTERM in signals else state
