"""What should be known before any time is spent: one sentence for each thing that is likely to go wrong.

N images of the set.
"""

import numpy as np

from pairlens.inspection.advice import Advice
from pairlens.inspection.copies import Copies
from pairlens.inspection.found import Found
from pairlens.inspection.overlap import Overlap
from pairlens.inspection.speed import Speed
from pairlens.inspection.subject import Subject
from pairlens.inspection.wording import named
from pairlens.report.text import count, percent
from pairlens.views.boxes import useless

FEW = 1000  # images
ELONGATED = 3.0  # width over height, or height over width
RATIO = 4 / 3  # of the widest crop
REDUNDANT = 0.01  # share of training images that repeat others
OFTEN = 0.25  # share of pairs that is worth a warning
BUSY = 0.8  # share of a core below which other programs must have run
IMBALANCED = 20  # times as many images of the largest class as of the smallest


def warnings(
    subject: Subject,
    found: Found,
    overlap: Overlap,
    copies: Copies | None = None,
    speed: Speed | None = None,
    advice: Advice | None = None,
) -> tuple[str, ...]:
    """Sentences, the gravest first."""
    said = [
        *_of_boxes(subject),
        *_of_copies(copies),
        *_of_crops(subject, overlap),
        *_of_speed(speed, advice),
        *_of_numbers(subject, found),
        *_of_sizes(subject, found),
        *_of_files(found),
    ]
    return tuple(said)


def _of_boxes(subject: Subject) -> list[str]:
    sentence = None if subject.kept is None else useless(subject.kept.boxes)
    return [f"{sentence}."] if sentence else []


def _of_copies(copies: Copies | None) -> list[str]:
    if copies is None or not (copies.found.share >= REDUNDANT or copies.found.leaks):
        return []
    return [copies.summary]


def _of_sizes(subject: Subject, found: Found) -> list[str]:
    said, view = [], subject.size
    small = float((found.sizes.min(1) < view).mean())
    if small > 0:
        which = (
            f"All images are smaller than the views of {view} px and are"
            if small == 1
            else (
                f"{percent(small)} of the images, {named(found.smallest.name, 60)} the smallest of them "
                f"({found.smallest.shape} px), are smaller than the views of {view} px and are"
            )
        )
        said.append(f"{which} enlarged, which shows nothing more of them; choose smaller views with `--size`.")
    long = np.maximum(found.aspects, 1 / found.aspects)
    if elongated := int((long > ELONGATED).sum()):
        worst = found.widest if found.aspects.max() >= long.max() else found.tallest
        what = "1 image is" if elongated == 1 else f"{count(elongated)} images are"
        text = f"{what} more than {ELONGATED:g} times as long as wide, {named(worst.name, 60)} the most"
        text += f" ({worst.shape} px)"
        same = int((long > RATIO / subject.recipe.views.crop[0]).sum())
        if same:
            text += f"; for {count(same)} no crop is large enough, so that both views are the same central piece"
        said.append(f"{text}; whole images are squeezed to squares where they are searched for objects or evaluated.")
    return said


def _of_numbers(subject: Subject, found: Found) -> list[str]:
    said, number, part = [], found.train, subject.training.order.batch // subject.training.accumulate
    if number < FEW:
        said.append(f"{count(number)} images are few: expect little of an encoder that is trained on them alone.")
    if subject.negatives >= number and subject.negatives > 2 * part:
        said.append(
            f"Each query has {count(subject.negatives)} negatives and there are {count(number)} images, so negatives "
            "repeat, and a queue holds keys of the query's own image; choose fewer with `--negatives`."
        )
    if len(found.classes) == 1:
        said.append("All labelled images are of one class: every accuracy will be 100 % and say nothing.")
    elif found.classes and (least := min(found.classes.values())) * IMBALANCED <= (most := max(found.classes.values())):
        name = named(min(found.classes, key=lambda c: found.classes[c]), 40)
        said.append(
            f"The class {name} has {count(least)} training images, the largest has {count(most)}: an accuracy over all "
            "says little about the small ones."
        )
    return said


def _of_crops(subject: Subject, overlap: Overlap) -> list[str]:
    said, own, crops = [], overlap.own, subject.recipe.crops
    if own.apart > OFTEN:
        said.append(
            f"{percent(own.apart, 0)} of the pairs have nothing in common; larger crops (`--crop`) overlap more often."
        )
    if own.nearly_same > OFTEN:
        said.append(
            f"{percent(own.nearly_same, 0)} of the pairs show nearly the same, which colour or texture alone can "
            "tell; smaller crops (`--crop`) differ more."
        )
    if (missed := own.missed.get(0.0, 0.0)) > OFTEN:
        said.append(
            f"In {percent(missed, 0)} of the pairs a crop shows nothing of the object; ContrastiveCrop (`--boxes "
            "found`) keeps crops on it."
        )
    if crops.boxes == "found" and subject.about is None:
        said.append(
            f"Boxes are found after epoch {crops.box_start} only; until then, and on this page, crops fall anywhere "
            "(`--boxes-of RUN` shows them about the boxes of an earlier run)."
        )
    return said


def _of_speed(speed: Speed | None, advice: Advice | None) -> list[str]:
    said = []
    if advice is not None and advice.limit != "encoder":
        said.append(advice.sentence)
    if speed is not None and speed.share < BUSY:
        said.append(
            f"Other programs were running while speed was measured, so that a thread had {percent(speed.share, 0)} of "
            "a core: expect more images a second on a quiet machine, and measure there."
        )
    return said


def _of_files(found: Found) -> list[str]:
    if not found.skipped:
        return []
    first, number = named(found.skipped[0][0], 80), len(found.skipped)
    if number == 1:
        return [f"{first} cannot be read and is left out."]
    return [f"{count(number)} files, {first} the first of them, cannot be read and are left out."]
