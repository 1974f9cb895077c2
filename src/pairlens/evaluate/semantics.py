"""Semantics against variance of positive pairs (CCrop, Section 3.4, Figure 4), in the eyes of any classifier.

N images, P pairs of each, B images of a batch and V = 2 B views of them, S pixels of a view's side,
D features, C classes, M images of the whole set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.evaluate.binned import Relation, binned, common_edges, excess, plain, relate
from pairlens.evaluate.features import Progress, encode, evaluating
from pairlens.views.crops import CropSampler
from pairlens.views.params import ViewParams
from pairlens.views.render import render

BINS = 20

Samplers = Mapping[str, CropSampler]
"""Ways of sampling crops, by name; the first is what the others are compared with."""


@dataclass(frozen=True)
class Judged:
    """What a classifier makes of the pairs of crops that one sampler draws; float64 on the CPU."""

    score: Float[Tensor, "N P"]  # probability of the image's class, the mean over the two crops: semantics
    distance: Float[Tensor, "N P"]  # 1 - cosine of the two crops' features: variance


def judge(
    encoder: nn.Module,
    head: nn.Module,
    images: ImageSet,
    samplers: Samplers,
    size: int,
    mean: Float[Tensor, "3"] | None = None,
    std: Float[Tensor, "3"] | None = None,
    *,
    labels: Int64[Tensor, "M"] | None = None,
    index: Int64[Tensor, "N"] | None = None,
    pairs: int = 10,
    seed: int = 0,
    batch: int = 128,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    progress: Progress = lambda images: None,
) -> dict[str, Judged]:
    """Draw pairs of crops with each sampler and let a classifier tell their semantics and their variance.

    Crops are cut and resized, and changed in no other way: no flip, no colour. So a distance is due to where the two
    crops lie alone. It is one minus the cosine, the score in which pairs are compared everywhere else, and so does not
    depend on the features' length. Every sampler draws from a generator of its own with the same seed: samplers that
    take the same numbers draw crops of the same sizes. What is drawn does not depend on `batch`.

    The paper names a supervised ResNet-50 and neither the distance nor what became of its crops otherwise.

    Args:
        encoder: [B, 3, S, S] -> [B, D]; on `device`, left exactly as it was.
        head: [B, D] -> [B, C] logits; likewise.
        images: the set.
        samplers: the ways of drawing crops, by name; their boxes are those of the set's images.
        size: S, pixels of a view's side, as the classifier was trained.
        mean: of the pixels in [0, 1] units, as the classifier was trained; None leaves them.
        std: likewise.
        labels: which of the C classes each image of the set has, -1 for none; None: the set's own.
        index: which images; None: all that have a label.
        pairs: P, of each image and sampler.
        seed: of the crops.
        batch: images at a time; twice as many views are encoded at once.
        device: where to compute.
        precision: bfloat16 runs the encoder under autocast.
        progress: told how many more images are done, after each batch.

    Raises:
        InputError: images lack labels, the classifier has fewer classes or judges by no finite numbers, there are no
            samplers, or fewer than one pair.
    """
    labels = images.labels if labels is None else labels
    if labels is None:
        raise InputError("the images have no labels, so the score of their class cannot be told; give labels")
    if pairs < 1 or not samplers:
        raise InputError(f"{pairs} pairs of {len(samplers)} samplers show nothing; give one of each at least")
    index = (labels >= 0).nonzero()[:, 0] if index is None else index
    if not len(index) or int(labels[index].min()) < 0:
        raise InputError("some of the images to judge crops of have no label; give labelled ones, and one at least")
    sizes = images.sizes[index]
    drawn = {name: draw_pairs(sampler, index, sizes, pairs, seed) for name, sampler in samplers.items()}
    needed = int(labels[index].max()) + 1
    found: dict[str, list[Tensor]] = {name: [] for name in samplers}
    for rows in torch.arange(len(index)).split(batch):
        pixels = images.pixels[index[rows]].to(device)
        target = labels[index[rows]].to(device)
        for name, crops in drawn.items():
            for crop in crops[rows].unbind(1):
                views = _views(pixels, crop, size, mean, std)
                found[name].append(_judged(encode(encoder, views, precision), head, target, needed))
        progress(len(rows))
    return {name: _gathered(parts, pairs) for name, parts in found.items()}


def draw_pairs(
    sampler: CropSampler, index: Int64[Tensor, "N"], sizes: Integer[Tensor, "N 2"], pairs: int, seed: int
) -> Float[Tensor, "N P 2 4"]:
    """Pairs of crops of the images that `index` names: left, top, width, height, fractions of the image."""
    generator = torch.Generator().manual_seed(seed)
    draw = Draw(index, sizes, 0, 0, generator, generator)
    return torch.stack([sampler(draw) for _ in range(2 * pairs)], 1).unflatten(1, (pairs, 2))


def _views(
    pixels: Tensor, crop: Float[Tensor, "B 2 4"], size: int, mean: Tensor | None, std: Tensor | None
) -> Float[Tensor, "V 3 S S"]:
    """The first crops of all images, then the second ones, cut and resized."""
    params = ViewParams.identity(len(crop))
    views = [render(pixels, replace(params, crop=side), size, mean, std) for side in crop.unbind(1)]
    return torch.cat(views)


def _judged(
    features: Float[Tensor, "V D"], head: nn.Module, target: Int64[Tensor, "B"], needed: int
) -> Float[Tensor, "2 B"]:
    """Score and distance of a pair of each image."""
    with evaluating(head):
        logits = head(features).float()
    if logits.shape[1] < needed:
        raise InputError(
            f"the classifier tells {logits.shape[1]} classes apart, and the images have {needed}; give a classifier of "
            "their classes"
        )
    of_class = logits.softmax(1).gather(1, target.repeat(2)[:, None])
    first, second = F.normalize(features, dim=1).chunk(2)
    return torch.stack([of_class.view(2, -1).mean(0), 1 - (first * second).sum(1)])


def _gathered(parts: list[Tensor], pairs: int) -> Judged:
    """The pairs of a batch follow each other, and batches do."""
    each = [torch.stack(parts[i : i + pairs], 2) for i in range(0, len(parts), pairs)]  # [2, B, P]
    score, distance = torch.cat(each, 1).double().cpu()
    if not (score.isfinite().all() and distance.isfinite().all()):
        raise InputError("the classifier's features or scores are not finite numbers; give one that was trained well")
    return Judged(score, distance)


def semantics(judged: Mapping[str, Judged], bins: int = BINS) -> dict[str, Any]:
    """How semantics and variance are related in each way of sampling crops (CCrop, Figure 4), as JSON.

    To compare at equal variance, the pairs of all ways are put in the same narrow bins of distance, whose edges are
    quantiles of all distances together, and their class scores are averaged there; each way's own mean distance in a
    bin is told beside. To compare at equal semantics, distances are averaged in bins of class score. The first way is
    what the others are compared with (`excess`).

    Gives `images`, `pairs` of each, `edges` of the bins (`distance`, `score`) and a list of `ways`: `name`; `score` and
    `distance`, each `mean` and `error`; `score_by_distance` and `distance_by_score`, each with K numbers of `along`,
    `mean`, `error`, `count` and `images` (None where there is nothing); `more_score` and `more_distance`, the `excess`
    over the first way (None for itself).

    Raises:
        InputError: there is no way, or no bin.
    """
    if not judged or bins < 1:
        raise InputError(f"{len(judged)} ways in {bins} bins cannot be compared; give one of each at least")
    scores, distances = ([getattr(one, name) for one in judged.values()] for name in ("score", "distance"))
    edges = {"distance": common_edges(distances, bins), "score": common_edges(scores, bins)}
    by_distance = [relate(s, d, edges["distance"]) for s, d in zip(scores, distances, strict=True)]
    by_score = [relate(d, s, edges["score"]) for s, d in zip(scores, distances, strict=True)]
    ways = [
        {
            "name": name,
            "score": _overall(scores[i]),
            "distance": _overall(distances[i]),
            "score_by_distance": _columns(by_distance[i]),
            "distance_by_score": _columns(by_score[i]),
            "more_score": excess(by_distance[i], by_distance[0]) if i else None,
            "more_distance": excess(by_score[i], by_score[0]) if i else None,
        }
        for i, name in enumerate(judged)
    ]
    images, pairs = scores[0].shape
    return {"images": images, "pairs": pairs, "edges": {k: v.tolist() for k, v in edges.items()}, "ways": ways}


def _overall(values: Float[Tensor, "N P"]) -> dict[str, float | None]:
    """The mean of all pairs."""
    one = binned(values, torch.zeros(values.shape, dtype=torch.long), 1)
    return {"mean": plain(one.mean[0]), "error": plain(one.error[0])}


def _columns(relation: Relation) -> dict[str, list[Any]]:
    """A relation as columns of numbers."""
    of, along = relation.of, relation.along
    numbers = {"along": along.mean, "mean": of.mean, "error": of.error}
    columns: dict[str, list[Any]] = {name: [plain(value) for value in column] for name, column in numbers.items()}
    return columns | {"count": of.count.tolist(), "images": of.images.tolist()}
