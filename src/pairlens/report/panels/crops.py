"""Where crops fall: the density of their centres, and pairs of them, for random crop and both steps to ContrastiveCrop.

The crops are drawn anew by the samplers that trained the run, from a generator of this panel's own.
E examples, P pairs of each, M of them kept to be shown, G x G cells of a density, N = E P pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pairlens.draw import Draw
from pairlens.record.run import Run
from pairlens.report.html import Html, join, notice, tag
from pairlens.report.localised import ANYWHERE, BROKEN, Examples, arguments, box_files, kind, none_found, read_found
from pairlens.report.overlay import box, cut, heat, outline, ramp, source, still
from pairlens.report.panels import gallery
from pairlens.report.read import Missing
from pairlens.report.text import count, percent
from pairlens.report.theme import VIEWS
from pairlens.views.boxes import Boxes, corners, iou, misses
from pairlens.views.crops import CropSampler, steps_to_contrastive_crop

PAIRS = 2000  # drawn of each image
SHOWN = 3  # of them, the first
IMAGES = 4  # shown
CELLS = 16  # of a density, along each side
SEED = 0


@dataclass(frozen=True)
class Fallen:
    """Pairs of crops of the examples, as one sampler draws them."""

    density: Float[np.ndarray, "E G G"]  # share of the crops' centres in each cell, row by row
    pairs: Float[np.ndarray, "E M 2 4"]  # left, top, width, height, fractions of the image
    missed: Bool[np.ndarray, "E M"]  # whether a crop of the pair shows nothing of the box
    misses: float  # share of all pairs that do
    overlap: float  # mean intersection over union of a pair's crops


@dataclass(frozen=True)
class Way:
    """A way of sampling crops, in words, and what came of it."""

    name: str
    sentence: str
    fallen: Fallen


@dataclass(frozen=True)
class Crops:
    """The examples, their boxes, and where crops fall in them."""

    examples: Examples
    boxes: Float[np.ndarray, "E 4"]
    ways: tuple[Way, ...]
    whose: str  # boxes, in words


def compute(run: Run) -> Crops | Missing:
    """Crops about the run's last boxes; about those of its recorded sample where all images have the same box."""
    located = _located(run)
    if isinstance(located, Missing):
        return located
    examples, table, whose = located
    given = arguments(run)
    scale, alpha = (float(given["crop"][0]), float(given["crop"][1])), float(given["alpha"])
    boxes, sizes = Boxes.known(table), torch.from_numpy(examples.sizes.astype(np.int64))
    sentences = ("Anywhere in the image.", "Centres anywhere in the box.", _towards(alpha))
    samplers = steps_to_contrastive_crop(boxes, alpha, scale).items()
    ways = tuple(
        Way(name, said, fall(sampler, boxes.table, sizes))
        for (name, sampler), said in zip(samplers, sentences, strict=True)
    )
    return Crops(examples, boxes.table.numpy(), ways, whose)


def _towards(alpha: float) -> str:
    """Where Beta(alpha, alpha) puts centres."""
    if alpha == 1:
        return "Centres anywhere in the box: with this \u03b1 nothing else."
    return f"Centres in the box, more often {'at its borders' if alpha < 1 else 'in its middle'}."


def _located(run: Run) -> tuple[Examples, Float[Tensor, "E 4"], str] | Missing:
    """Images of the run, their boxes, and whose boxes these are."""
    which = kind(run)
    if which == "found":
        return _found(run)
    if which == "known":
        return Missing("The boxes that this run was given are not kept in it, so crops about them cannot be drawn.")
    if which is None:
        return Missing(ANYWHERE)
    samples = gallery.compute(run)
    if isinstance(samples, Missing):
        return samples
    shown = samples[-1].examples
    sizes = np.array([(e.height, e.width) for e in shown])
    examples = Examples(tuple(e.index for e in shown), np.stack([e.pixels for e in shown]), sizes)
    boxes = Boxes.central(len(shown)) if which == "central" else Boxes.whole(len(shown))
    return examples, boxes.table, f"{which} boxes"


def _found(run: Run) -> tuple[Examples, Float[Tensor, "E 4"], str] | Missing:
    """Those of the last refresh that can be read."""
    files = box_files(run)
    for path in reversed(files):
        if (found := read_found(path)) is not None:
            whose = f"the boxes found after epoch {count(found.refresh.epoch)}"
            return found.examples, torch.from_numpy(found.boxes), whose
    return Missing(BROKEN if files else none_found(run))


def fall(sampler: CropSampler, boxes: Float[Tensor, "E 4"], sizes: Int64[Tensor, "E 2"], pairs: int = PAIRS) -> Fallen:
    """Draw so many pairs of crops of each image; the generator is seeded anew, so that samplers draw crops alike."""
    generator = torch.Generator().manual_seed(SEED)
    index = torch.arange(len(boxes)).repeat_interleave(pairs)
    draw = Draw(index, sizes[index], 0, 0, generator, generator)
    query, key = sampler(draw), sampler(draw)
    of_each = boxes[index]
    missed = misses(query, of_each) | misses(key, of_each)
    crops = torch.stack([query, key], 1)  # [N, 2, 4]
    centres = crops[..., :2] + crops[..., 2:] / 2
    column, row = (centres * CELLS).long().clamp_(0, CELLS - 1).unbind(2)
    place = (index[:, None] * CELLS + row) * CELLS + column
    counts = torch.bincount(place.flatten(), minlength=len(boxes) * CELLS**2)
    first = crops.view(len(boxes), pairs, 2, 4)[:, :SHOWN]
    return Fallen(
        density=(counts.view(len(boxes), CELLS, CELLS).double() / (2 * pairs)).numpy(),
        pairs=first.numpy(),
        missed=missed.view(len(boxes), pairs)[:, :SHOWN].numpy(),
        misses=float(missed.double().mean()),
        overlap=float(iou(corners(query), corners(key)).double().mean()),
    )


def draw(data: Crops) -> Html:
    """The three ways side by side, image by image."""
    shown = range(min(IMAGES, len(data.examples.index)))
    pictures = ";".join(source(data.examples.pixels[i], f"--i{i}") for i in shown)
    columns = [_column(data, way, shown) for way in data.ways]
    strokes = [_stroke(place, text) for place, text in enumerate(("query", "key"))]
    edge = tag("li", {}, tag("span", {"class": "box key", "aria-hidden": "true"}), "box")
    legend = tag("ul", {"class": "legend"}, ramp("no centres", "most"), edge, *strokes)
    useless = _same(data)
    rows = f"--rows:{len(shown) + 1}"
    return join(
        [
            notice(useless) if useless else None,
            legend,
            tag("div", {"class": "falls", "style": f"{rows};{pictures}"}, *columns),
            tag("p", {"class": "aside"}, _caption(data)),
        ]
    )


def _caption(data: Crops) -> str:
    return (
        f"Drawn for this page from {data.whose}: {count(PAIRS)} pairs of each of {len(data.examples.index)} images, of "
        "which the first are shown. A centre that the box asks for may be out of a large crop's reach: it then lies as "
        "near as it can. A pair misses where one of its crops shows nothing of the box; overlap is the mean "
        "intersection over union of its crops. Brightness grows with the root of the density, in each picture up to "
        "its own most. The small views are cut and squeezed, and not changed otherwise."
    )


def _same(data: Crops) -> str | None:
    """One sentence where localisation can change nothing."""
    inside = np.clip(data.boxes, 0, 1)
    whole = bool(((inside[:, 2:] - inside[:, :2]).prod(1) > 0.999).all())
    return "Every box here is the whole image, so localisation alone changes nothing." if whole else None


def _column(data: Crops, way: Way, shown: Sequence[int]) -> Html:
    facts = [
        tag("div", {}, tag("dt", {}, label), tag("dd", {}, value))
        for label, value in (
            ("pairs that miss", percent(way.fallen.misses)),
            ("overlap of a pair", percent(way.fallen.overlap, 0)),
        )
    ]
    head = tag("div", {"class": "head"}, tag("h3", {}, way.name), tag("p", {"class": "aside"}, way.sentence))
    top = tag("div", {}, head, tag("dl", {"class": "shares"}, *facts))
    return tag("div", {"class": "fall"}, top, *(_image(data, way, i) for i in shown))


def _image(data: Crops, way: Way, i: int) -> Html:
    examples, fallen = data.examples, way.fallen
    pixels, sizes, index = examples.pixels[i], examples.sizes[i], examples.index[i]
    relative = np.sqrt(fallen.density[i] / fallen.density[i].max())
    alt = f"image {index} under the density of the crops' centres: {way.name}"
    density = still(pixels, sizes, alt, heat(relative), box(data.boxes[i]))
    pairs = [_pair(data, fallen, i, j) for j in range(fallen.pairs.shape[1])]
    return tag("div", {"class": "density", "style": f"--i:var(--i{i})"}, density, *pairs)


def _pair(data: Crops, fallen: Fallen, i: int, j: int) -> Html:
    examples, crops, missed = data.examples, fallen.pairs[i, j].tolist(), bool(fallen.missed[i, j])
    pixels, sizes, index = examples.pixels[i], examples.sizes[i], examples.index[i]
    sides = [percent(width * height, 0) for _, _, width, height in crops]
    alt = f"image {index}, pair {j + 1}: crops of {sides[0]} and {sides[1]}{', which miss the box' if missed else ''}"
    marks = [outline(crop, f"crop s{place}", f"--c:{VIEWS[place]}") for place, crop in enumerate(crops)]
    views = [
        cut(pixels, crop, f"--c:{VIEWS[p]}", f"s{p}", f"{('query', 'key')[p]} of pair {j + 1} of image {index}")
        for p, crop in enumerate(crops)
    ]
    whole = still(pixels, sizes, alt, box(data.boxes[i]), *marks)
    word = tag("figcaption", {}, tag("span", {"aria-hidden": "true"}, "✗ "), "misses") if missed else None
    return tag(
        "figure", {"class": "pair missed" if missed else "pair"}, whole, tag("div", {"class": "cuts"}, *views), word
    )


def _stroke(place: int, text: str) -> Html:
    style = f"--c:{VIEWS[place]}"
    return tag("li", {}, tag("span", {"class": f"stroke s{place}", "style": style, "aria-hidden": "true"}), text)
