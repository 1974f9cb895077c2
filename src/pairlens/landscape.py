"""The loss's landscape along a training that is over or interrupted: from a run's checkpoints to `landscape.npy`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pairlens.data.images import Source
from pairlens.environment import apply
from pairlens.errors import InputError
from pairlens.evaluate.landscape import USUAL, Sizes, landscape
from pairlens.place import Place
from pairlens.recipes.recipe import Recipe
from pairlens.record.checkpoint import checkpoints, load_checkpoint, step_of
from pairlens.record.disk import locked
from pairlens.record.files import tell_unreadable
from pairlens.record.landscape import NAME, add_point, read_landscape, sizes_of
from pairlens.record.run import Run
from pairlens.reopen import open_shown, rebuild, recall, recorded_place
from pairlens.train import Training

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


def measure_landscape(
    run: Run,
    *,
    batches: int | None = None,
    rates: tuple[float, ...] | None = None,
    shares: tuple[float, ...] | None = None,
    anew: bool = False,
    say: Say = print,
    progress: Progress = lambda what, done, total: None,
) -> int:
    """Measure the landscape (`pairlens.evaluate.landscape`) at a run's start and at every checkpoint that it keeps.

    Points are written as they are found. Those that are there stay, also those that the training itself has measured:
    a step gives the same numbers either way. The start is built from the seed, and is left out where the run began with
    weights that are gone.

    Args:
        run: any that has trained; it must not be training now.
        batches: whose mean the loss is; by default as many as for the points that are there, or one.
        rates: step sizes as multiples of the learning rate (`Sizes`); by default likewise.
        shares: distances as shares of the weights' norm, likewise.
        anew: drop the points that are there.
        say: told in a sentence what happens.
        progress: told how many points of how many are measured.

    Returns:
        How many points were measured now.

    Raises:
        InputError: nothing was trained, the run is being trained, its device is not here, its source has changed, a
            checkpoint is damaged, or the points that are there have other step sizes and are not to be dropped.
    """
    recipe, _ = recall(run)
    if not recipe.method.trains:
        raise InputError(f"the run {run.folder} is a random initialisation that no gradient moves; give a trained run")
    with locked(run.folder):
        rows: np.ndarray = np.empty(0) if anew else read_landscape(run.folder)
        count, sizes = _asked(run, rows, batches, rates, shares)
        kept: dict[int, Path | None] = {0: None}
        kept |= {step_of(path): path for path in checkpoints(run.folder / "checkpoints")}
        known = set(rows["step"].tolist() if len(rows) else ())
        due = {step: path for step, path in kept.items() if step not in known}
        if not due:
            return 0
        place = recorded_place(run)
        apply(place)
        source = open_shown(run, recipe, place, say, lambda done, total: progress("reading images", done, total))
        training = _training(run, recipe, source, place, due, say)
        training.method.train()
        for done, (_, path) in enumerate(due.items()):
            progress("measuring the landscape", done, len(due))
            if path is not None:
                load_checkpoint(path, training)
            point = landscape(training, count, sizes)
            if anew and done == 0:
                (run.folder / NAME).unlink(missing_ok=True)
            add_point(run.folder, point)
        progress("measuring the landscape", len(due), len(due))
        tell_unreadable(run.folder, source, say)
    return len(due)


def _asked(
    run: Run,
    rows: np.ndarray,
    batches: int | None,
    rates: tuple[float, ...] | None,
    shares: tuple[float, ...] | None,
) -> tuple[int, Sizes]:
    """How many batches, and which step sizes: those of the points that are there, where nothing else is asked for."""
    there = sizes_of(rows)
    count, sizes = there or (1, USUAL)
    asked = (count if batches is None else batches, Sizes(rates or sizes.rates, shares or sizes.shares))
    if there not in (None, asked):
        raise InputError(
            f"the points in {run.folder / NAME} have other step sizes or batches; leave these flags out to add to "
            "them, or drop them with --anew"
        )
    return asked


def _training(
    run: Run, recipe: Recipe, source: Source, place: Place, due: dict[int, Path | None], say: Say
) -> Training:
    """The run's training, as it began where that is due; it is not due any more if it cannot be built."""
    begun = due.get(0, ...) is None
    try:
        return rebuild(run, recipe, source, place, begun=begun)
    except InputError as error:
        if not begun or recipe.network.weights is None or len(due) == 1:
            raise
        del due[0]
        say(f"the start is left out, since the weights that the run began with cannot be loaded: {error}")
        return rebuild(run, recipe, source, place, begun=False)
