"""ContrastiveCrop on `scenes:small`, whose true boxes are known: how well objects are found, and which pairs miss them.

N images of the set, P pairs of crops of each.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.assemble import untrained_encoder
from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.evaluate.localise import SAMPLE, heat_maps
from pairlens.opened import load_trained
from pairlens.record.run import Run, write_json
from pairlens.reopen import open_run_source, recall, recorded_place
from pairlens.report.localised import box_files
from pairlens.studies.arms import Arm, Flags, Study
from pairlens.views.boxes import Boxes, boxes_of, corners, coverage, iou, misses, threshold_for
from pairlens.views.crops import CropSampler

SOURCE = "scenes:small"
RECIPE = "scenes.moco_v2"
PAIRS = 2  # of each image
HIDDEN = 0.25  # a crop that shows this share of the object or less hides it
TARGET = 0.25  # share of its image that half of the boxes cover or more, where k is chosen by coverage
PAPER_K = 0.1
GRID = [i / 20 for i in range(20)]  # thresholds among which the best is looked for

VIEWS: Flags = {"crop": (0.2, 1.0)}
EVERY_EPOCH: Flags = {"boxes": "found", "box_start": 1, "box_every": 1}
PAPER: Flags = {**EVERY_EPOCH, "box_threshold": PAPER_K}
CHOSEN: Flags = {**EVERY_EPOCH, "box_coverage": TARGET}

RANDOM = "random crop"
ARMS: Mapping[str, Flags] = {
    RANDOM: {},
    "localised only, k .1": {**PAPER, "alpha": 1.0},
    "ContrastiveCrop, k .1, alpha .1": {**PAPER, "alpha": 0.1},
    "localised only": {**CHOSEN, "alpha": 1.0},
    "ContrastiveCrop, alpha .6": {**CHOSEN, "alpha": 0.6},
    "ContrastiveCrop, alpha .1": {**CHOSEN, "alpha": 0.1},
    "true boxes, localised only": {"boxes": "known", "alpha": 1.0},
    "true boxes, alpha .1": {"boxes": "known", "alpha": 0.1},
}
STUDY = Study(
    name="located",
    title="On scenes:small",
    arms=tuple(Arm(label, RECIPE, {**VIEWS, **flags}, RANDOM if flags else None) for label, flags in ARMS.items()),
    difference="minus random crop",
)


@dataclass(frozen=True)
class Moment:
    """The boxes at one time of a training against the true ones, and pairs of crops about them."""

    epoch: int  # epochs finished before it
    k: float | None  # the threshold, if there is one
    cover: float  # share of its image that the median box covers
    iou: float  # with the true boxes, the mean
    missed: float  # share of pairs of which a crop shows nothing of the object
    hidden: float  # share of pairs of which a crop shows a quarter of the object or less
    overlap: float  # intersection over union of the two crops of a pair, the mean


@dataclass(frozen=True)
class Sight:
    """How well an encoder's heat finds the objects: mean intersection over union with the true boxes."""

    paper: float  # k = .1
    chosen: float  # k chosen by coverage
    k: float  # which is this
    best: float  # at the best k, which is chosen by the true boxes: a bound
    best_k: float


@dataclass(frozen=True)
class Trace:
    """One training, seen against the true boxes."""

    moments: tuple[Moment, ...]  # the first before any boxes are found; one alone where they never change
    untrained: Sight
    trained: Sight
    whole: float  # intersection over union of the whole image with the true boxes
    refresh_share: float  # of the training's seconds that finding boxes took


def trace(run: Run) -> Trace:
    """What a finished run on `scenes` did; kept in a file beside its folder, and taken from there the next time."""
    path, way = run.folder.with_name(run.name + ".trace.json"), [PAIRS, HIDDEN, TARGET]
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if found.pop("way", None) != way:
        found = asdict(_trace(run))
        write_json(path, {"way": way, **found})
    moments = tuple(Moment(**moment) for moment in found.pop("moments"))
    untrained, trained = (Sight(**found.pop(name)) for name in ("untrained", "trained"))
    return Trace(moments, untrained, trained, **found)


def _trace(run: Run) -> Trace:
    images = open_run_source(run, lambda text: None).train
    assert images.boxes is not None
    encoder = untrained_encoder(recall(run)[0].network, torch.float32, run.call["seed"], run.info["size"])
    untrained = sight(encoder, run, images)
    load_trained(run, encoder)
    whole = float(coverage(images.boxes).mean())
    return Trace(moments(run, images), untrained, sight(encoder, run, images), whole, refresh_share(run))


def moments(run: Run, images: ImageSet) -> tuple[Moment, ...]:
    """The boxes of a run from the beginning on: whatever its own sampler of crops would see."""
    recipe, truth = recall(run)[0], images.boxes
    assert truth is not None
    kind, scale = recipe.crops.boxes, recipe.views.crop
    count = len(images)
    whole = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(count, 1)
    begin = truth if kind == "known" else whole
    boxes = None if kind == "none" else Boxes.known(truth) if kind == "known" else Boxes.unknown(count)
    sampler = recipe.crops.cropper(boxes)(scale)
    found = [_moment(0, None, begin, sampler, images)]
    for path in box_files(run):
        with np.load(path, allow_pickle=False) as file:
            table, epoch, k = torch.from_numpy(file["boxes"]).float(), int(file["epoch"]), float(file["k"])
        sampler = recipe.crops.cropper(Boxes.known(table))(scale)
        found.append(_moment(epoch, k, table, sampler, images))
    return tuple(found)


def _moment(epoch: int, k: float | None, table: Float[Tensor, "N 4"], sampler: CropSampler, images: ImageSet) -> Moment:
    assert images.boxes is not None
    generator = torch.Generator().manual_seed(0)
    index = torch.arange(len(images)).repeat_interleave(PAIRS)
    draw = Draw(index, images.sizes[index], 0, 0, generator, generator)
    crops, truth = (sampler(draw), sampler(draw)), images.boxes[index]

    def share(shown: float) -> float:
        return float((misses(crops[0], truth, shown) | misses(crops[1], truth, shown)).double().mean())

    one, other = (corners(crop) for crop in crops)
    return Moment(
        epoch,
        k,
        cover=float(coverage(table).median()),
        iou=float(iou(table, images.boxes).mean()),
        missed=share(0.0),
        hidden=share(HIDDEN),
        overlap=float(iou(one, other).mean()),
    )


def sight(encoder: nn.Module, run: Run, images: ImageSet, count: int = 2000) -> Sight:
    """How well an encoder's heat finds the objects of up to `count` evenly spaced images."""
    assert images.boxes is not None
    place, size = recorded_place(run), int(run.info["size"])
    mean, std = (torch.tensor(run.info["data"][name], device=place.device) for name in ("mean", "std"))
    index = torch.linspace(0, len(images) - 1, min(count, len(images))).long()
    encoder.to(place.device)
    heat = heat_maps(
        encoder, images, size, mean, std, index=index, device=place.device, precision=place.precision, batch=250
    )
    truth = images.boxes[index]

    def score(k: float) -> float:
        return float(iou(boxes_of(heat, size, k), truth).mean())

    chosen = threshold_for(heat[:: max(1, len(heat) // SAMPLE)], size, TARGET)
    best = max(GRID, key=score)
    return Sight(score(PAPER_K), score(chosen), chosen, score(best), best)


def refresh_share(run: Run) -> float:
    """The share of a run's seconds that it spent on finding boxes; 0 where it found none."""
    seconds = 0.0
    for path in box_files(run):
        with np.load(path, allow_pickle=False) as file:
            seconds += float(file["seconds"])
    return seconds / max(1e-9, float(run.status["seconds"]))


def traces(runs: Mapping[str, Sequence[Run]], tell: Callable[[int, int], None]) -> dict[str, list[Trace]]:
    """The traces of the finished runs of each arm, by its label."""
    total, found = sum(len(some) for some in runs.values()), dict[str, list[Trace]]()
    for label, some in runs.items():
        found[label] = []
        for run in some:
            found[label].append(trace(run))
            tell(sum(map(len, found.values())), total)
    return found
