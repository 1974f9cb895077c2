"""Opening a run again: the recipe, the machine and the images it was trained with, or a sentence why not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from pairlens.assemble import Colours, assemble
from pairlens.data.fingerprint import copies_mark, fingerprint
from pairlens.data.images import Source
from pairlens.data.sources import open_source
from pairlens.environment import apply, describe
from pairlens.errors import InputError
from pairlens.place import Place, find_place
from pairlens.recipes import restore
from pairlens.recipes.recipe import Recipe
from pairlens.record.checkpoint import checkpoints, load_checkpoint
from pairlens.record.disk import locked
from pairlens.record.files import read_files
from pairlens.record.run import Run, log_event
from pairlens.settings import Machine
from pairlens.styling import add_copies
from pairlens.train import Training

Say = Callable[[str], None]
DecodeProgress = Callable[[int, int], None]


def reopen_run(
    folder: Path, say: Say = print, progress: DecodeProgress = lambda done, total: None
) -> tuple[Training, Source, float]:
    """Build the training of an existing run again and put it where its newest checkpoint stands.

    It goes on with the device, precision, threads and compilation that the run was begun with, whatever would be
    chosen here and now. What `environment.apply` says about the same bits holds for going on, too.

    Raises:
        InputError: the folder is no run, the run is finished or being trained, its device is not here, its source has
            changed, or the checkpoint is damaged.
    """
    run = Run.open(folder)
    recipe, _ = recall(run)
    if run.status.get("state") == "finished":
        raise InputError(f"the run {folder} is finished; evaluate it with `pairlens evaluate {folder}`")
    with locked(folder):  # refuses now, not after the images are read; `pretrain` holds it
        place = recorded_place(run)
    apply(place)
    if changes := changed(run, place):
        text = f"{changes}: from here on the bits may differ from those of an uninterrupted run"
        say(text)
        log_event(folder, "changed", text)
    source = open_shown(run, recipe, place, say, progress)
    saved = checkpoints(folder / "checkpoints")
    training = rebuild(run, recipe, source, place, begun=not saved)
    seconds = load_checkpoint(saved[-1], training) if saved else 0.0
    return training, source, seconds


def open_shown(
    run: Run,
    recipe: Recipe,
    place: Place,
    say: Say = print,
    progress: DecodeProgress = lambda done, total: None,
) -> Source:
    """The images that a run was trained on, with the stylised copies that its views show.

    Raises:
        InputError: the source is gone, or holds other images or copies now.
    """
    source = with_copies(open_run_source(run, say, progress), recipe, place, run.call["seed"], say, progress)
    check_copies(run, source)
    return source


def rebuild(run: Run, recipe: Recipe, source: Source, place: Place, *, begun: bool) -> Training:
    """A run's training, to be put where a checkpoint stands, or with `begun` as it was before its first step.

    A checkpoint holds all weights: those that the run began with may be gone, and are read for its beginning alone.
    """
    if not begun:
        recipe = replace(recipe, network=replace(recipe.network, weights=None))
    return assemble(recipe, source.train, place, run.call["seed"], lambda: recorded_colours(run))


def recall(run: Run) -> tuple[Recipe, Machine]:
    """The recipe and the machine that a run was called with.

    Raises:
        InputError: the run was observed, or `run.json` lacks something that resuming or evaluating needs.
    """
    if run.observed:
        raise InputError(
            f"the run {run.folder} was observed in somebody else's loop and holds no encoder to resume or to evaluate; "
            f"`pairlens report {run.folder}` shows its pairs"
        )
    try:
        call, data = run.call, run.info["data"]
        needed = [call[name] for name in ("source", "labels", "test", "seed")]
        needed += [data[name] for name in ("side", "decode", "train", "mean", "std")]
        return restore(call["recipe"], call["arguments"]), Machine(**call["machine"])
    except (KeyError, TypeError) as error:
        raise InputError(_damaged(run, error)) from error


def recorded_place(run: Run) -> Place:
    """The device, precision, threads and compilation that a run was begun with, as they were found then.

    Raises:
        InputError: the device is not on this machine, or lacks the bfloat16 hardware that the run used.
    """
    used = run.info.get("environment", {})
    try:
        precision = {"bfloat16": "bf16", "float32": "fp32"}[used["precision"]]
        machine = Machine(used["device"], precision, int(used["threads"]), compile=bool(used["compile"]))  # type: ignore[arg-type]
        device, gpu = str(used["device"]), used.get("gpu")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(_damaged(run, error)) from error
    began = f"the run {run.folder} began on {device}" + (f" ({gpu})" if gpu else "")
    try:
        place = find_place(machine)
    except InputError as error:
        count = torch.cuda.device_count()
        here = f"{count} GPU{'s' if count > 1 else ''}" if count else "no GPU"
        raise InputError(
            f"{began}, and this machine has {here}; resume it where that device is, or train anew here"
        ) from error
    native = find_place(replace(machine, precision=None)).precision
    if used.get("native_bf16") and native is not torch.bfloat16:
        raise InputError(
            f"{began} with bfloat16 in hardware, and {device} has none here; resume it on such a machine, or train "
            "anew here"
        )
    return place


def recorded_colours(run: Run) -> Colours:
    """Mean and standard deviation of the pixels as they were measured when the run began."""
    mean, std = (torch.tensor(run.info["data"][name]) for name in ("mean", "std"))
    return mean, std


def changed(run: Run, place: Place) -> str:
    """What is not as it was when the run began and may round otherwise: versions and hardware, or an empty text."""
    before, now = run.info["environment"], describe(place)
    names = ("torch", "gpu" if place.device.type == "cuda" else "processor")
    different = [name for name in names if before.get(name) != now[name]]
    return ", ".join(f"the {name} was {before.get(name)} and is {now[name]}" for name in different)


def open_run_source(run: Run, say: Say = print, progress: DecodeProgress = lambda done, total: None) -> Source:
    """The images that a run was trained on, stored as they were then.

    Of a run that decodes its files in every epoch some may be gone: others take their places, as in training.

    Raises:
        InputError: the source is gone, or holds other images now.
    """
    if (files := read_files(run, say)) is not None:
        return files
    call, data = run.call, run.info["data"]
    source = open_source(
        call["source"],
        labels=call["labels"],
        test=call["test"],
        size=data["side"],
        decode=data["decode"],
        workers=call["machine"]["workers"],
        seed=call["seed"],
        say=say,
        progress=progress,
    )
    if len(source.train) != data["train"]:
        raise InputError(
            f"{call['source']} holds {len(source.train)} training images now, and held {data['train']} when the run "
            f"{run.folder} began; restore the images or train anew"
        )
    if data.get("fingerprint") not in (None, fingerprint(source)):
        raise InputError(
            f"{call['source']} holds other images, labels or test images now than when the run {run.folder} began, or "
            "another decoder reads them; restore them or train anew"
        )
    return source


def with_copies(source: Source, recipe: Recipe, place: Place, seed: int, say: Say, progress: DecodeProgress) -> Source:
    """The source, its training images with the stylised copies that the recipe's views show, if they show any.

    Raises:
        InputError: the copies cannot be made (`styling.add_copies`).
    """
    styling = recipe.views.styling
    if styling is None:
        return source
    train = add_copies(source.train, styling, seed=seed, device=place.device, say=say, progress=progress)
    return replace(source, train=train)


def check_copies(run: Run, source: Source) -> None:
    """Whether the stylised copies are those that the run began with.

    Raises:
        InputError: they are others.
    """
    if run.info["data"].get("copies") not in (None, copies_mark(source.train)):
        raise InputError(
            f"the images have other stylised copies now than when the run {run.folder} began, because what they are "
            "made from has changed; restore it or train anew"
        )


def _damaged(run: Run, error: Exception) -> str:
    return f"{run.folder / 'run.json'} is damaged or of another version ({error}); the run must be made again"
