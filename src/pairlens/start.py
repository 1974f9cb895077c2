"""Beginning a run: from a source and a recipe to a run folder that says all of it, and a training ready to go."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pairlens
from pairlens.assemble import assemble
from pairlens.data.choice import Decode
from pairlens.data.fingerprint import copies_mark, fingerprint, shown
from pairlens.data.images import Source
from pairlens.data.sources import open_source
from pairlens.environment import apply, describe
from pairlens.errors import InputError
from pairlens.hooks import (
    try_to_localise,
)
from pairlens.place import Place, find_place
from pairlens.recipes import flatten
from pairlens.recipes.recipe import Recipe
from pairlens.record import observers
from pairlens.record.disk import locked
from pairlens.record.files import unreadable_sentence, write_files
from pairlens.record.run import log_event, make_folder, write_json
from pairlens.reopen import with_copies
from pairlens.resolve import resolve
from pairlens.settings import Machine
from pairlens.train import Training
from pairlens.views.plans import view_sizes
from pairlens.words import timestamp

KEEP = 4
"""Checkpoints along a training that stay when it is finished."""

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
    record: bool = True,
    landscape: int = 0,
    decode: Decode = "auto",
    keep: int = KEEP,
    argv: list[str] | None = None,
    say: Say = print,
    progress: DecodeProgress = lambda done, total: None,
) -> tuple[Path, Training, Source, Place]:
    """Open the source, resolve the recipe, build the training and make its run folder.

    `decode` says whether photographs are decoded once or in every epoch anew (`open_source`), `keep` how many
    checkpoints along the training stay when it is finished, that of its end among them, and `landscape`
    how often the loss's landscape is measured in its course (`pairlens.evaluate.landscape`).
    Without `record` neither statistics, histograms nor samples are written; the losses are the same without.

    Raises:
        InputError: anything given that cannot be used; nothing is left behind then.
    """
    _check_free(folder)
    if landscape < 0 or (landscape and not recipe.method.trains):
        why = "there is nothing to train, and no gradient" if landscape > 0 else "it is a number of times"
        raise InputError(f"the landscape cannot be measured {landscape} times: {why}; leave it at 0, which is off")
    if keep < 1:
        raise InputError(
            f"a training keeps one checkpoint at least, that of its end, not {keep}; give a positive --keep"
        )
    source, place = open_images(
        spec, recipe, machine, labels=labels, test=test, seed=seed, decode=decode, say=say, progress=progress
    )
    recipe, training = prepare(source, recipe, place, seed, say)
    call: dict[str, Any] = {"argv": argv or [], "recipe": recipe.name, "source": _absolute(spec)}
    call |= {
        "labels": labels,
        "test": None if test is None else _absolute(test),
        "seed": seed,
        "record": record,
        "keep": keep,
    }
    call |= {"landscape": landscape} if landscape else {}
    call |= {"machine": asdict(machine), "arguments": flatten(recipe)}
    folder = make_folder(folder, _name(source.name, recipe.name))
    with locked(folder):
        if (folder / "run.json").exists():
            raise InputError(f"another run has just begun in the folder {folder}; give this one a folder of its own")
        seen = shown(source.train)
        write_files(folder, source, call, seen)
        write_json(folder / "run.json", _describe_run(call, recipe, source, training, place, fingerprint(source, seen)))
    skipped = dict.fromkeys([*source.train.skipped, *(source.test.skipped if source.test else ())])
    for name, reason in skipped:
        log_event(folder, "skipped", f"{name}: {reason}")
    if skipped:
        say(unreadable_sentence(folder, list(skipped), skipped=True))
    return folder, training, source, place


def open_images(
    spec: str,
    recipe: Recipe,
    machine: Machine,
    *,
    labels: bool,
    test: str | None,
    seed: int,
    decode: Decode,
    say: Say,
    progress: DecodeProgress,
) -> tuple[Source, Place]:
    """Prepare this process for the machine, and open the images as this recipe's views need them.

    Raises:
        InputError: anything given that cannot be used.
    """
    place = find_place(machine)
    apply(place)
    if not 0 <= seed < 2**32:
        raise InputError(f"the seed must lie between 0 and {2**32 - 1}, not {seed}; any such number will do")
    recipe.views.augmentation()  # refuses what cannot be drawn, before any image is read
    if recipe.views.styling is not None:
        recipe.views.styling.check()
    usual = 224 if place.device.type == "cuda" else 64
    source = open_source(
        spec,
        labels=labels,
        test=test,
        view=usual if recipe.views.size is None else recipe.views.size,
        smallest_crop=recipe.views.crop[0],
        decode=decode,
        workers=machine.workers,
        seed=seed,
        say=say,
        progress=progress,
    )
    return with_copies(source, recipe, place, seed, say, progress), place


def prepare(source: Source, recipe: Recipe, place: Place, seed: int, say: Say) -> tuple[Recipe, Training]:
    """The recipe with everything chosen that it left open, and the training that it describes.

    Raises:
        InputError: it cannot be trained on these images, or its encoder cannot find boxes that it asks for.
    """
    recipe = resolve(recipe, source.train, place)
    training = assemble(recipe, source.train, place, seed, lambda: source.train.mean_std(say=say))
    if recipe.crops.boxes == "found":
        try_to_localise(training, source.train)
    return recipe, training


def _describe_run(
    call: dict[str, Any], recipe: Recipe, source: Source, t: Training, place: Place, mark: str
) -> dict[str, Any]:
    train = source.train
    online = t.method.online
    return {
        "pairlens": pairlens.__version__,
        "created": timestamp(),
        "call": call,
        "seed": call["seed"],
        "spaces": {
            space: {
                "negatives": recipe.negatives_of_a_query(t.order.batch // t.accumulate, len(train)),
                "temperature": recipe.method.temperature,
            }
            for space in recipe.method.spaces
        },
        "views": list(view_sizes(t.method.plan, t.size)),
        "size": t.size,
        "batch": t.order.batch,
        "steps": t.steps,
        "steps_per_epoch": len(t.order),
        "data": {
            "train": len(train),
            "test": len(source.test) if source.test else 0,
            "labelled": train.labels is not None,
            "classes": list(train.classes),
            "skipped": len(train.skipped),
            "side": train.pixels.shape[-1],
            "decode": "always" if t.loader.cut else "once",
            "mean": t.mean.tolist(),
            "std": t.std.tolist(),
            "fingerprint": mark,
            "copies": copies_mark(train),
        },
        "histogram": {"bins": observers.BINS, "low": observers.LOW, "high": observers.HIGH},
        "parameters": {
            "encoder": sum(p.numel() for p in online.encoder.parameters()),
            "heads": sum(p.numel() for p in online.heads.parameters()),
            "others": sum(p.numel() for g in t.optimizer.param_groups for p in g["params"])
            - sum(p.numel() for p in online.parameters() if p.requires_grad),
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


def _name(source: str, method: str) -> str:
    """SOURCE-METHOD, as a folder can be called; a recipe's name does not repeat that of its data."""
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(source).name or source) or "images"
    return f"{stem}-{method.removeprefix(stem + '.')}"
