"""False negatives of a run's encoder: from a run folder to `false_negatives.json` in it.

N images, C features of the encoder.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pairlens.data.images import Source
from pairlens.errors import InputError
from pairlens.evaluate.false_negatives import HARDEST, expected_share, hardest_share, same_image
from pairlens.evaluate.features import counted
from pairlens.evaluate.parts import Part
from pairlens.evaluate.scored import labels_of
from pairlens.evaluate.seen import Features, Read, see_upright
from pairlens.evaluate.spaces import ENCODER, read_spaces
from pairlens.opened import open_measured
from pairlens.record.files import tell_unreadable
from pairlens.record.run import Run, write_json
from pairlens.reopen import recall
from pairlens.words import timestamp

QUERIES, GALLERY = 2000, 10_000
"""Training images that are looked at, at most: the queries are the first of the gallery."""


def measure_false_negatives(
    run: Run,
    *,
    seed: int = 0,
    say: Callable[[str], None] = print,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, Any]:
    """How often a negative is of its query's own class; write `false_negatives.json` in the folder.

    Negatives are the training images, as the run's loss took them, un-augmented here, and seen through the heads, which
    is where the loss compares; where no checkpoint of the last step keeps these, through the encoder alone. The result
    is JSON: `date`, `seed`, `training_seed`, `step`, `seconds`, `data` (`train` images with labels, `queries` and
    `gallery` among them), `classes` (names), `count` (labelled training images of each class), `expected` (by class:
    the share of a uniformly drawn image, `pairlens.evaluate.false_negatives.expected_share`), `expected_share` (mean
    over the images), `parts`, `spaces` (by name that of `Shared.record`; the encoder's features as "encoder") and
    `queue`: None where negatives are not a queue's, else `negatives` K, `images` N and `same_image` K / N.

    Args:
        run: a finished run, or one with a checkpoint.
        seed: draws which images are looked at.
        say: told in a sentence what is being done.
        progress: told how many images of how many are encoded.

    Raises:
        InputError: there is no encoder yet, the images have no labels, or the source has changed.
    """
    began = time.perf_counter()
    opened, source = open_measured(run, say, progress)
    labelled, classes = _labelled(source)
    generator = torch.Generator().manual_seed(seed)
    chosen = labelled.index[torch.randperm(len(labelled), generator=generator)[:GALLERY]]
    part = Part(source.train, chosen)
    asked = min(QUERIES, len(part))
    say(f"encoding {len(part):,} training images, of which {asked:,} are queries")
    sight = opened.sight(counted(partial(progress, "encoding images"), len(part)))
    read: Read = partial(read_spaces, opened.encoder, opened.heads)
    if not opened.heads:
        say("no checkpoint of the last step keeps the heads, so the encoder's features are compared")
        read = _encoder_alone
    features = see_upright(opened.encoder, read, part, sight).features
    labels = part.labels("training")
    all_labels = labelled.labels("training")
    spaces = {
        space: hardest_share(
            rows[:asked],
            labels[:asked],
            rows,
            labels,
            classes=len(classes),
            own=torch.arange(asked),
        ).record()
        for space, rows in features.items()
    }
    expected, count = expected_share(all_labels, len(classes)), torch.bincount(all_labels, minlength=len(classes))
    result = {
        "date": timestamp(),
        "seed": seed,
        "training_seed": run.call["seed"],
        "step": opened.step,
        "seconds": round(time.perf_counter() - began, 2),
        "data": {"train": len(labelled), "queries": asked, "gallery": len(part)},
        "classes": list(classes),
        "count": count.tolist(),
        "expected": expected.tolist(),
        "expected_share": float((expected * count / count.sum()).sum()),
        "parts": list(HARDEST),
        "spaces": spaces,
        "queue": _queue(run, len(source.train)),
    }
    write_json(run.folder / "false_negatives.json", result)
    tell_unreadable(run.folder, source, say)
    return result


def _encoder_alone(features: Float[Tensor, "N C"]) -> Features:
    return {ENCODER: features}


def _labelled(source: Source) -> tuple[Part, tuple[str, ...]]:
    """The training images that have a label, and the classes' names."""
    labels_of(source.train, "training")
    classes = source.train.classes
    if not classes:
        raise InputError("the training images' classes have no names, so none can be told apart; give them names")
    return Part(source.train, source.train.labelled()), classes


def _queue(run: Run, images: int) -> dict[str, Any] | None:
    """The queue that negatives came from, where there is one."""
    recipe, _ = recall(run)
    negatives = getattr(recipe.method, "negatives", None)
    if not isinstance(negatives, int) or not hasattr(recipe.method, "queue"):
        return None
    return {"negatives": negatives, "images": images, "same_image": same_image(negatives, images)}


def false_negatives_table(result: Mapping[str, Any]) -> str:
    """The shares as lines for a terminal."""
    data = result["data"]
    lines = [
        f"negatives of their query's own class, {data['queries']:,} queries among {data['gallery']:,} training images; "
        f"by chance {result['expected_share']:.1%}"
    ]
    width = max(map(len, result["spaces"]))
    lines.append(f"  {'':{width}}" + "".join(f" {f'hardest {part:.0%}':>12}" for part in result["parts"]))
    for space, one in result["spaces"].items():
        lines.append(f"  {space:{width}}" + "".join(f" {share:>12.1%}" for share in one["share"]))
    queue = result["queue"]
    if queue is not None:
        lines.append(
            f"  the queue of {queue['negatives']:,} holds {queue['same_image']:.2f} keys of the query's own image on "
            "average"
        )
    return "\n".join(lines)
