"""What the embedding spaces of a run tell, apart and together: from a run folder to `spaces.json` and `spaces.npz`.

N images, Q queries, K neighbours, P pixels of a thumbnail's side, U pictures, E examples, n spaces.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from pairlens.evaluate.attribution import attribute
from pairlens.evaluate.factors import Factor, find_factors
from pairlens.evaluate.features import counted
from pairlens.evaluate.grids import diverse, retrieve, with_pictures
from pairlens.evaluate.linear import linear_solver
from pairlens.evaluate.parts import Part, parted_anyhow
from pairlens.evaluate.rotation import IMAGES, TURNS
from pairlens.evaluate.seen import TURN, Seen, at_most, factor_of, see_turned, see_upright, turn_of
from pairlens.evaluate.spaces import ENCODER, Task, beside, read_spaces, sets_of, space_readers, tell_spaces
from pairlens.nets.fan import Fan
from pairlens.opened import Opened, open_measured
from pairlens.record.disk import write_arrays
from pairlens.record.files import tell_unreadable
from pairlens.record.run import Run, write_json
from pairlens.words import timestamp

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]
Arrays = dict[str, np.ndarray]

TRAIN, TEST = 50_000, 10_000
"""Images that are read out, at most."""

EXAMPLES = 12
"""Images whose attribution is kept."""


def measure_spaces(
    run: Run,
    *,
    seed: int = 0,
    say: Say = print,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Read out every space of a run and every subset, attribute right answers to spaces, and retrieve in each space.

    Told are the class and all else that is known of the images (`pairlens.evaluate.factors`), and by which quarter turn
    an image is turned (of the same images as in `pairlens.evaluate.rotation`). Which images are taken depends on the
    source and the seed alone. `spaces.json` is that of `tell_spaces`, and beside it `date`, `seed`, `training_seed`,
    `step`, `seconds`, `data`, `spaces` (in their order), `own` (whether each has a last stage of its own),
    `attribution` (by task that is a class, that of `Attribution.record` and the `names` of its classes; where there are
    several spaces) and `retrieval`: for the galleries "upright" and "turned" `queries`, `gallery`, `k`, `chance`, and
    `spaces`, each with the share of neighbours that are alike, by quality. In "turned" queries and gallery images
    are turned at random. `spaces.npz` holds `pictures` uint8 [U, 3, P, P] and their `label` [U]; for each gallery
    `GALLERY.query` [Q] and `GALLERY.neighbour.SPACE` [Q, K], which are places among the pictures, their quarter turns
    (`GALLERY.query_turn`, `GALLERY.turn.SPACE`), `GALLERY.similarity.SPACE` and `GALLERY.alike.QUALITY.SPACE`; and
    `example` [E], places too, with `example_share` [E, n], the attribution of the class.

    Raises:
        InputError: there is no encoder yet, weights are damaged, or the source has changed.
    """
    began = time.perf_counter()
    opened, source = open_measured(run, say, progress)
    parts = zip(parted_anyhow(source, seed), (TRAIN, TEST), strict=True)
    train, test = (at_most(part, most, seed) for part, most in parts)
    readers = space_readers(opened.encoder, opened.heads)
    if not readers:
        say("no checkpoint of the last step keeps the heads, so the encoder's features alone are read out")
    say(f"encoding images for {ENCODER if not readers else ', '.join(readers)}")
    upright, turned = _see(opened, readers, (train, test), seed, progress)
    factors, skipped = find_factors(train, test)
    tasks = [Task(factor_of(factor, *upright), upright[0].features, upright[1].features) for factor in factors]
    tasks.append(Task(turn_of(*turned), turned[0].features, turned[1].features, TURNS))
    spaces = tuple(readers)
    sets = sets_of(upright[0].features, spaces)
    say(f"telling {', '.join(task.factor.name for task in tasks)} from {len(sets)} sets of spaces")
    told = tell_spaces(tasks, sets, seed=seed, progress=partial(progress, "reading out"))
    say("finding nearest neighbours in each space")
    retrieved, arrays = retrieve(factors, upright, turned, seed)
    attributed: dict[str, Any] = {}
    if len(spaces) > 1:
        attributed, examples = _attribute(tasks, spaces, told["sets"][-1]["linear"], test, seed)
        arrays |= examples
    result = {
        "date": timestamp(),
        "seed": seed,
        "training_seed": run.call["seed"],
        "step": opened.step,
        "seconds": round(time.perf_counter() - began, 2),
        "data": {"train": len(train), "test": len(test)},
        "turned": {name: len(seen) // TURNS for name, seen in zip(("train", "test"), turned, strict=True)},
        "spaces": list(spaces),
        "own": isinstance(opened.encoder, Fan),
        **told,
        "skipped": skipped,
        "attribution": attributed,
        "retrieval": retrieved,
    }
    write_json(run.folder / "spaces.json", result)
    write_arrays(run.folder / "spaces.npz", with_pictures(arrays, train, test))
    tell_unreadable(run.folder, source, say)
    return result


def _see(
    opened: Opened, readers: Mapping[str, nn.Module], parts: tuple[Part, Part], seed: int, progress: Progress
) -> tuple[tuple[Seen, Seen], tuple[Seen, Seen]]:
    """Training and test images as they are, and some of them in all four quarter turns."""
    views = sum(len(part) + TURNS * min(IMAGES, len(part)) for part in parts)
    sight = opened.sight(counted(partial(progress, "encoding images"), views))
    read = partial(read_spaces, opened.encoder, readers)
    train, test = (see_upright(opened.encoder, read, part, sight) for part in parts)
    more, others = (see_turned(opened.encoder, read, part, sight, images=IMAGES, seed=seed) for part in parts)
    return (train, test), (more, others)


def _attribute(
    tasks: Sequence[Task], spaces: Sequence[str], told: Mapping[str, Any], test: Part, seed: int
) -> tuple[dict[str, Any], Arrays]:
    """The attribution of every task that is a class, and of the labels' class some images' own."""
    found: dict[str, Any] = {}
    arrays: Arrays = {}
    for task in tasks:
        factor = task.factor
        if factor.kind != "class":
            continue
        fitted, tested = beside(task.train, spaces), beside(task.test, spaces)
        generator = torch.Generator().manual_seed(seed)
        readout = linear_solver(
            fitted,
            factor.train,
            classes=factor.values,
            generator=generator,
            strength=told[factor.name]["strength"],
            views=task.views,
        )
        widths = [task.train[space].shape[1] for space in spaces]
        one = attribute(tested, readout, factor.test, widths, fitted.mean(0))
        found[factor.name] = one.record() | {"names": _names(factor, test)}
        if factor.name == "class":
            right = one.counted.nonzero()[:, 0]
            order = diverse(factor.test[right], len(right), torch.Generator().manual_seed(seed))[:EXAMPLES]
            arrays |= {"example": right[order].numpy(), "example_share": one.share[right[order]].numpy()}
    return found, arrays


def _names(factor: Factor, test: Part) -> list[str]:
    """What the classes of a factor are called."""
    if factor.name == TURN:
        return [f"{90 * turn}\u00b0" for turn in range(TURNS)]
    named = test.images.classes if factor.name == "class" else ()
    return list(named) if len(named) == factor.values else [str(value) for value in range(factor.values)]


def spaces_table(result: Mapping[str, Any]) -> str:
    """What each set of spaces tells, as lines for a terminal."""
    tasks = result["tasks"]
    lines = [f"what a linear layer tells from the features of spaces, on {result['data']['test']:,} test images"]
    heads = "".join(f" {name + (' R2' if about['measure'] == 'r2' else ''):>12}" for name, about in tasks.items())
    names = [" + ".join(row["spaces"]) for row in result["sets"]]
    width = max(len("by chance"), *map(len, names))
    lines.append(f"  {'':{width}}{heads}")
    for name, row in zip(names, result["sets"], strict=True):
        cells = (_cell(about["measure"], row["linear"][task]["value"]) for task, about in tasks.items())
        lines.append(f"  {name:{width}}{''.join(cells)}")
    lines.append(f"  {'by chance':{width}}{''.join(_cell(a['measure'], a['chance']) for a in tasks.values())}")
    for task, found in result["attribution"].items():
        if found["right"]:
            parts = ", ".join(
                f"{space} {share:.0%}" for space, share in zip(result["spaces"], found["share"], strict=True)
            )
            lines.append(f"  right answers on {task} come from {parts}; {found['entropy']:.2f} bits")
    for gallery, found in result["retrieval"].items():
        lines.append(f"nearest neighbours among {found['gallery']:,} images {gallery}, sharing with their query")
        lines.append(f"  {'':{width}}" + "".join(f" {quality:>12}" for quality in found["chance"]))
        for name, row in [*found["spaces"].items(), ("by chance", found["chance"])]:
            lines.append(f"  {name:{width}}" + "".join(f" {value:>12.1%}" for value in row.values()))
    lines.append(f"  seeds: {result['training_seed']} of the training, {result['seed']} of the read-out")
    return "\n".join(lines)


def _cell(measure: str, value: float) -> str:
    return f" {value:>12.1%}" if measure == "accuracy" else f" {value:>12.3f}"
