"""Judging a run's crops with a classifier as a user means it (CCrop, Figure 4): from two run folders to numbers.

N images of the set, L of them labelled, D features, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pairlens.assemble import untrained_encoder
from pairlens.data.images import ImageSet, Source
from pairlens.errors import InputError
from pairlens.evaluate.features import counted, extract
from pairlens.evaluate.scored import score_classes
from pairlens.evaluate.semantics import judge, semantics
from pairlens.place import Place
from pairlens.recipes.recipe import Recipe
from pairlens.record.checkpoint import checkpoints, load_encoder, weights_below
from pairlens.record.localised import last_boxes
from pairlens.record.run import Run, write_json
from pairlens.reopen import recall, recorded_colours
from pairlens.views.boxes import Boxes
from pairlens.views.crops import steps_to_contrastive_crop
from pairlens.words import timestamp

IMAGES, PAIRS = 1000, 10
"""Images that are judged, at most, and pairs of crops of each that every sampler draws."""


@dataclass(frozen=True)
class Classifier:
    """A trained classifier, anybody's, and how it is shown images."""

    name: str
    encoder: nn.Module  # [B, 3, S, S] -> [B, D]
    head: nn.Module  # [B, D] -> [B, C]; both are on the place's device
    classes: tuple[str, ...]  # C names
    size: int  # S
    mean: Float[Tensor, "3"]  # of the pixels in [0, 1] units, as it was trained
    std: Float[Tensor, "3"]
    source: str | None = None  # of the images that it was trained on, where that is known

    def labels(self, images: ImageSet) -> Int64[Tensor, "N"]:
        """The classifier's number of each image's class, -1 where an image has no label.

        Raises:
            InputError: the images have no labels, or of a class that the classifier does not know.
        """
        if images.labels is None:
            raise InputError(UNLABELLED)
        unknown = [name for name in images.classes if name not in self.classes]
        if unknown:
            raise InputError(
                f"the classifier {self.name} does not know {len(unknown)} of the images' {len(images.classes)} "
                f"classes ({', '.join(unknown[:3])}); give one that was trained on theirs"
            )
        number = torch.tensor([self.classes.index(name) for name in images.classes])
        return number[images.labels.clamp(min=0)].where(images.labels >= 0, -1)


UNLABELLED = (
    "the run's images have no labels, so the score of an image's class cannot be told; train on images with labels "
    "(`--labels` takes the sub-folders' names), or leave the classifier out"
)


@dataclass(frozen=True)
class Judgement:
    """What is to be judged, and who judges; nothing is missing but the images."""

    run: Run
    recipe: Recipe
    found: Boxes | None  # boxes that the run found last; None where it was given its boxes
    classifier: Classifier
    place: Place


def open_judgement(run: Run, recipe: Recipe, classifier: Classifier, place: Place) -> Judgement:
    """Find the boxes of a run before its images, which may take long.

    Raises:
        InputError: the run has no boxes, or no labels.
    """
    if recipe.crops.boxes == "none":
        raise InputError(
            f"the crops of the run {run.folder} fall anywhere, so there are no boxes about which a classifier could "
            "judge ContrastiveCrop; train one with `--boxes found`, or leave the classifier out"
        )
    if not run.info["data"].get("labelled"):
        raise InputError(UNLABELLED)
    found = last_boxes(run) if recipe.crops.boxes == "found" else None
    if recipe.crops.boxes == "found" and found is None:
        raise InputError(
            f"the run {run.folder} keeps no boxes that can be read, about which a classifier could judge "
            "ContrastiveCrop; train it beyond its box_start, with recording"
        )
    return Judgement(run, recipe, found, classifier, place)


def open_classifier(folder: Path, place: Place) -> Classifier:
    """The encoder and the linear classifier of a run of the recipe `supervised`, from its newest checkpoint.

    Raises:
        InputError: the folder is no run, or one that trained no classifier or has no checkpoint of it.
    """
    run = Run.open(folder)
    recipe, _ = recall(run)
    saved = checkpoints(run.folder / "checkpoints")
    if not saved:
        raise InputError(f"the run {folder} has no checkpoint, which would hold its classifier; train it again")
    path, info = saved[-1] / "weights.safetensors", run.info
    weights = weights_below(path, "classifier.")
    if "weight" not in weights or weights["weight"].ndim != 2:
        raise InputError(f"the run {folder} has trained no classifier; give a run of the recipe supervised")
    encoder = untrained_encoder(recipe.network, place.precision, run.call["seed"], info["size"])
    load_encoder(path, encoder, prefix="online.encoder.")
    classes, features = weights["weight"].shape
    head = nn.utils.skip_init(nn.Linear, features, classes, bias="bias" in weights)
    head.load_state_dict(weights)
    mean, std = (colour.to(place.device) for colour in recorded_colours(run))
    return Classifier(
        name=str(run.folder),
        encoder=encoder.to(place.device).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        head=head.to(place.device),
        classes=tuple(info["data"]["classes"]),
        size=info["size"],
        mean=mean,
        std=std,
        source=run.call["source"],
    )


def judge_crops(
    judgement: Judgement,
    source: Source,
    *,
    seed: int,
    images: int = IMAGES,
    pairs: int = PAIRS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Judge random crop, localised crop and ContrastiveCrop about a run's boxes; write `semantics.json` in its folder.

    Crops are drawn of training images, for those have boxes; of up to `images` of them, chosen by the seed. The result
    is that of `semantics`, and beside it `date`, `seed`, `classifier` (its `name`, its `top1` and mean `score` on the
    same images un-cropped, and `same_source`: whether it was trained on images from there), `boxes` (`kind`, and the
    `epoch` after which they were found) and `crop`, the range of areas.

    Raises:
        InputError: the classifier does not know the images' classes, there are not as many boxes as images, or the
            features are not finite.
    """
    run, recipe, classifier, place = judgement.run, judgement.recipe, judgement.classifier, judgement.place
    labels, train = classifier.labels(source.train), source.train
    boxes = judgement.found or recipe.crops.table(train)
    if boxes is None or len(boxes) != len(train):
        raise InputError(f"the run {run.folder} holds boxes of other images than its {len(train)} training images")
    generator = torch.Generator().manual_seed(seed)
    labelled = (labels >= 0).nonzero()[:, 0]
    index = labelled[torch.randperm(len(labelled), generator=generator)[:images]]
    look: dict[str, Any] = {"index": index, "device": place.device, "precision": place.precision}
    sight = (classifier.size, classifier.mean, classifier.std)
    alone = _whole(classifier, train, labels[index], sight, look)
    samplers = steps_to_contrastive_crop(boxes, recipe.crops.alpha or 1.0, recipe.views.crop)
    found = judge(
        classifier.encoder,
        classifier.head,
        train,
        samplers,
        *sight,
        labels=labels,
        pairs=pairs,
        seed=seed,
        progress=counted(progress, len(index)),
        **look,
    )
    same = classifier.source == run.call["source"]
    result = {
        "date": timestamp(),
        "seed": seed,
        "classifier": {"name": classifier.name, **alone, "same_source": same},
        "boxes": {"kind": recipe.crops.boxes, "epoch": boxes.history[-1].epoch if boxes.history else None},
        "crop": list(recipe.views.crop),
        **semantics(found),
    }
    write_json(run.folder / "semantics.json", result)
    return result


def _whole(
    classifier: Classifier, images: ImageSet, labels: Int64[Tensor, "L"], sight: tuple[Any, ...], look: dict[str, Any]
) -> dict[str, float]:
    """How good the classifier is: on un-augmented images, as they are evaluated."""
    features = extract(classifier.encoder, images, *sight, **look)
    with torch.no_grad():
        logits = classifier.head(features)
    labels = labels.to(logits.device)
    score = logits.softmax(1).gather(1, labels[:, None]).mean()
    return {"top1": score_classes(logits, labels).top1, "score": float(score)}


def lines(result: dict[str, Any]) -> str:
    """The comparison as lines for a terminal."""
    head = f"crops in the eyes of a classifier, {result['images']:,} images, {result['pairs']} pairs of each"
    rows = [head, f"  {'':26} {'class score':>12} {'distance':>9}   at equal distance, score"]
    for way in result["ways"]:
        more = way["more_score"]
        known = more is not None and more["difference"] is not None and more["error"] is not None
        said = f"{more['difference']:+.3f} \u00b1 {2 * more['error']:.3f}" if known else ""
        rows.append(f"  {way['name']:26} {way['score']['mean']:12.3f} {way['distance']['mean']:9.3f}   {said}".rstrip())
    return "\n".join(rows)
