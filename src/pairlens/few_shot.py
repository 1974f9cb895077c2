"""Few-shot classification of a run: from a run folder to `few_shot.json` in it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from pairlens.evaluate.features import counted
from pairlens.evaluate.few_shot import SHOTS, few_shot
from pairlens.evaluate.parts import parted
from pairlens.evaluate.seen import see_upright
from pairlens.evaluate.spaces import beside, of_one_scale, read_spaces, sets_of, space_readers
from pairlens.intervals import interval
from pairlens.opened import open_measured
from pairlens.record.files import tell_unreadable
from pairlens.record.run import Run, write_json
from pairlens.words import timestamp


def measure_few_shot(
    run: Run,
    *,
    seed: int = 0,
    say: Callable[[str], None] = print,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, Any]:
    """Classify with 5 and with 10 labelled images of every class, over 10 trials; write `few_shot.json` in the folder.

    From the encoder's features, as in LooC's Table 2, and from every set of spaces, all on one scale, as in its Table 5
    (of LooC++ all of them together are the encoder's features). The result is
    JSON: `date`, `seed`, `training_seed`, `step`, `seconds`, `data`, `classes` (how many), `spaces`, `shots`, and
    `sets`, each with its `spaces` and by number of shots `mean`, `half` (half-width of the 95 % interval, Student's t
    over the trials), `count` and `trials`, their accuracies.

    Raises:
        InputError: there is no encoder yet, the images have no labels, a class has too few, or the source has changed.
    """
    began = time.perf_counter()
    opened, source = open_measured(run, say, progress)
    parts = parted(source, seed)
    sight = opened.sight(counted(partial(progress, "encoding images"), sum(map(len, parts))))
    readers = space_readers(opened.encoder, opened.heads)
    read = partial(read_spaces, opened.encoder, readers)
    train, test = of_one_scale(*(see_upright(opened.encoder, read, part, sight).features for part in parts))
    known, asked = (part.labels(which) for part, which in zip(parts, ("training", "test"), strict=True))
    classes = len(parts[0].images.classes)
    sets = sets_of(train, tuple(readers))
    say(f"classifying with {' and '.join(map(str, SHOTS))} images of each class")
    rows: list[dict[str, Any]] = []
    for spaces in sets:
        fitted, tested = beside(train, spaces), beside(test, spaces)
        row: dict[str, Any] = {"spaces": list(spaces)}
        for shots in SHOTS:
            trials = few_shot(fitted, known, tested, asked, classes=classes, shots=shots, seed=seed)
            row[str(shots)] = asdict(interval(trials)) | {"trials": trials}
        rows.append(row)
        progress("few-shot sets", len(rows), len(sets))
    result = {
        "date": timestamp(),
        "seed": seed,
        "training_seed": run.call["seed"],
        "step": opened.step,
        "seconds": round(time.perf_counter() - began, 2),
        "data": {"train": len(parts[0]), "test": len(parts[1])},
        "classes": classes,
        "spaces": list(readers),
        "shots": list(SHOTS),
        "sets": rows,
    }
    write_json(run.folder / "few_shot.json", result)
    tell_unreadable(run.folder, source, say)
    return result


def few_shot_table(result: Mapping[str, Any]) -> str:
    """The accuracies with their intervals as lines for a terminal."""
    trials = result["sets"][0][str(result["shots"][0])]["count"]
    lines = [
        f"few-shot accuracy among {result['classes']} classes on {result['data']['test']:,} test images, "
        f"mean of {trials} trials and 95 % interval"
    ]
    names = [" + ".join(row["spaces"]) for row in result["sets"]]
    width = max(map(len, names))
    lines.append(f"  {'':{width}}" + "".join(f" {f'{shots}-shot':>16}" for shots in result["shots"]))
    for name, row in zip(names, result["sets"], strict=True):
        cells = (row[str(shots)] for shots in result["shots"])
        lines.append(f"  {name:{width}}" + "".join(f" {c['mean']:>8.1%} \u00b1 {c['half']:.1%}" for c in cells))
    return "\n".join(lines)
