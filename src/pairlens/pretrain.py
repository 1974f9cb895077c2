"""Pretraining as a user means it: from a source and a recipe to a run folder with an encoder in it."""

import signal
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import pairlens
from pairlens.assemble import Place, assemble, find_place, resolve
from pairlens.data.images import Source
from pairlens.data.sources import open_source
from pairlens.environment import describe
from pairlens.errors import InputError
from pairlens.hooks import Checkpointer, Prober, stopped_by_signals, write_status
from pairlens.recipes import Recipe, flatten, restore
from pairlens.record import observers
from pairlens.record.checkpoint import checkpoints, load_checkpoint, save_encoder
from pairlens.record.recorder import Recorder
from pairlens.record.run import Run, log_event, write_json
from pairlens.settings import Machine
from pairlens.train import Hook, Observer, Training, fit

Say = Callable[[str], None]
DecodeProgress = Callable[[int, int], None]


def start_run(
    spec: str,
    recipe: Recipe,
    *,
    folder: Path | None = None,
    machine: Machine = Machine(),
    labels: bool = False,
    test: str | None = None,
    seed: int = 0,
    argv: list[str] | None = None,
    say: Say = print,
    progress: DecodeProgress = lambda done, total: None,
) -> tuple[Path, Training, Source, Place]:
    """Open the source, resolve the recipe, build the training and make its run folder.

    Raises:
        InputError: anything given that cannot be used; nothing is left behind then.
    """
    place = find_place(machine)
    torch.set_num_threads(place.threads)
    _check_free(folder)
    if not 0 <= seed < 2**32:
        raise InputError(f"the seed must lie between 0 and {2**32 - 1}, not {seed}; any such number will do")
    usual = 224 if place.device.type == "cuda" else 64
    view = usual if recipe.views.size is None else recipe.views.size
    source = open_source(spec, labels=labels, test=test, view=view, seed=seed, say=say, progress=progress)
    recipe = resolve(recipe, source.train, place)
    training = assemble(recipe, source.train, place, seed)
    folder = folder or _free_folder(Path("runs"), source.name, recipe.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the run folder {folder} cannot be made ({error.strerror}); give another one") from error
    call = {"argv": argv or [], "method": recipe.name, "source": _absolute(spec)}
    call |= {"labels": labels, "test": None if test is None else _absolute(test), "seed": seed}
    call |= {"machine": asdict(machine), "arguments": flatten(recipe)}
    write_json(folder / "run.json", _describe_run(call, recipe, source, training, place))
    for name, reason in source.train.skipped:
        log_event(folder, "skipped", f"{name}: {reason}")
    return folder, training, source, place


def reopen_run(
    folder: Path, say: Say = print, progress: DecodeProgress = lambda done, total: None
) -> tuple[Training, Source, float]:
    """Build the training of an existing run again and put it where its newest checkpoint stands.

    Raises:
        InputError: the folder is no run, the run is finished, its source has changed, or the checkpoint is damaged.
    """
    run = Run.open(folder)
    recipe, machine = recall(run)
    if run.status.get("state") == "finished":
        raise InputError(f"the run {folder} is finished; evaluate it with `pairlens evaluate {folder}`")
    source, place = open_run_source(run, say, progress), find_place(machine)
    torch.set_num_threads(place.threads)
    training = assemble(recipe, source.train, place, run.call["seed"])
    saved = checkpoints(folder / "checkpoints")
    seconds = load_checkpoint(saved[-1], training) if saved else 0.0
    return training, source, seconds


def recall(run: Run) -> tuple[Recipe, Machine]:
    """The recipe and the machine that a run was called with.

    Raises:
        InputError: `run.json` lacks something that resuming or evaluating needs.
    """
    try:
        call, data = run.call, run.info["data"]
        needed = [call[name] for name in ("source", "labels", "test", "seed")]
        needed += [data[name] for name in ("side", "train", "mean", "std")]
        return restore(call["method"], call["arguments"]), Machine(**call["machine"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{run.folder / 'run.json'} is damaged or of another version ({error}); the run must be made again"
        ) from error


def open_run_source(run: Run, say: Say = print, progress: DecodeProgress = lambda done, total: None) -> Source:
    """The images that a run was trained on, stored as they were then.

    Raises:
        InputError: the source is gone, or holds other images now.
    """
    call, data = run.call, run.info["data"]
    source = open_source(
        call["source"],
        labels=call["labels"],
        test=call["test"],
        size=data["side"],
        seed=call["seed"],
        say=say,
        progress=progress,
    )
    if len(source.train) != data["train"]:
        raise InputError(
            f"{call['source']} holds {len(source.train)} training images now, and held {data['train']} when the run "
            f"{run.folder} began; restore the images or train anew"
        )
    return source


def pretrain(
    folder: Path,
    training: Training,
    source: Source,
    *,
    seconds: float = 0.0,
    save_every: float = 60.0,
    record: bool = True,
    watch: Observer | None = None,
    say: Say = print,
) -> str:
    """Train a run to its end, or until a signal, and return how it ended: "finished", "interrupted" or "terminated".

    Ctrl-C interrupts and SIGTERM terminates; either way `status.json` says "interrupted", and the run can be resumed.

    Args:
        folder: the run's folder.
        training: from `start_run` or `reopen_run`.
        source: what the probes are made on, where it has labels.
        seconds: already spent on the run.
        save_every: seconds between checkpoints.
        record: whether statistics, histograms and samples are written; the losses are the same without.
        watch: another observer, for a progress line.
        say: told in a sentence what happens.
    """
    device = training.mean.device
    recorder = Recorder(folder, ("z",), device=device, steps=training.steps, start=training.step, spent=seconds)
    checkpointer = Checkpointer(folder, recorder, save_every)
    prober = [] if source.train.labels is None else [Prober(folder, source, training)]
    hooks: list[Hook] = [*prober, checkpointer]  # no checkpoint is ahead of its probe
    seen: list[Observer] = [*([recorder] if record else []), *([watch] if watch else [])]
    state = "failed"
    log_event(folder, "begun" if training.step == 0 else "resumed", f"at step {training.step} of {training.steps}")
    try:
        with stopped_by_signals(training) as signals:
            write_status(folder, training, "running", recorder.seconds)
            fit(training, seen, hooks)
        checkpointer.save(training)
        state = "finished" if training.step >= training.steps else "interrupted"
        if state == "finished":
            save_encoder(folder / "encoder.safetensors", training.method.online.encoder)
    finally:
        recorder.close()
        write_status(folder, training, state, recorder.seconds)
        log_event(folder, state, f"at step {training.step} of {training.steps}")
    return "terminated" if state == "interrupted" and signal.SIGTERM in signals else state


def _describe_run(call: dict[str, Any], recipe: Recipe, source: Source, t: Training, place: Place) -> dict[str, Any]:
    train = source.train
    online = t.method.online
    return {
        "pairlens": pairlens.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "call": call,
        "seed": call["seed"],
        "spaces": {
            "z": {
                "negatives": recipe.negatives or 2 * t.batches.batch // t.accumulate - 2,
                "temperature": recipe.temperature,
            }
        },
        "views": ["query", "key"],
        "size": t.size,
        "batch": t.batches.batch,
        "steps": t.steps,
        "steps_per_epoch": len(t.batches),
        "data": {
            "train": len(train),
            "test": len(source.test) if source.test else 0,
            "labelled": train.labels is not None,
            "classes": list(train.classes),
            "skipped": len(train.skipped),
            "side": train.pixels.shape[-1],
            "mean": t.mean.tolist(),
            "std": t.std.tolist(),
        },
        "histogram": {"bins": observers.BINS, "low": observers.LOW, "high": observers.HIGH},
        "parameters": {
            "encoder": sum(p.numel() for p in online.encoder.parameters()),
            "heads": sum(p.numel() for p in online.heads.parameters()),
        },
        "environment": describe(place),
    }


def _check_free(folder: Path | None) -> None:
    if folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, and a run needs a folder; give another name")
    if any(folder.iterdir()):
        raise InputError(
            f"the folder {folder} is not empty; give a new one, or continue with `pairlens resume {folder}`"
        )


def _absolute(spec: str) -> str:
    """A path by its whole name, so that a run can be resumed from any folder; a built-in set as it is."""
    path = Path(spec).expanduser()
    return str(path.resolve()) if path.exists() and spec.partition(":")[0] != "scenes" else spec


def _free_folder(parent: Path, source: str, method: str) -> Path:
    """runs/SOURCE-METHOD-1, or the next number that is free."""
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(source).name or source) or "images"
    number = 1
    while (parent / f"{stem}-{method}-{number}").exists():
        number += 1
    return parent / f"{stem}-{method}-{number}"
