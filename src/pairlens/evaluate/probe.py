"""A quick look at an encoder while it trains: kNN on a split of the training set, so that test labels stay unseen.

N images, V of them for validation, T for the gallery.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.evaluate.features import extract
from pairlens.evaluate.knn import knn
from pairlens.evaluate.scored import labels_of


def validation_split(
    images: ImageSet, fraction: float = 0.1, limit: int = 2000, *, seed: int
) -> tuple[Int64[Tensor, "T"], Int64[Tensor, "V"]]:
    """Indices of the training set for fitting and, drawn by the seed, for choosing models; each in ascending order.

    Of a set with labels only images that have one are taken.

    Raises:
        InputError: the fraction is not between 0 and 1, or there are fewer than two images.
    """
    if not 0 < fraction < 1 or limit < 1:
        raise InputError(f"a validation split of {fraction}, at most {limit} images, is none; use 0 < fraction < 1")
    among = torch.arange(len(images)) if images.labels is None else images.labelled()
    if len(among) < 2:
        kind = "labelled " if len(among) < len(images) else ""
        raise InputError(f"a set of {len(among)} {kind}images cannot be split; give at least two")
    held = min(limit, max(1, round(fraction * len(among))), len(among) - 1)
    order = among[torch.randperm(len(among), generator=torch.Generator().manual_seed(seed))]
    return order[held:].sort().values, order[:held].sort().values


def probe(
    encoder: nn.Module,
    images: ImageSet,
    split: tuple[Int64[Tensor, "T"], Int64[Tensor, "V"]],
    *,
    size: int,
    mean: Float[Tensor, "3"] | None,
    std: Float[Tensor, "3"] | None,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    gallery: int = 10_000,
) -> float:
    """kNN accuracy (top-1, 20 neighbours, temperature .1) on a split of the training set.

    It draws nothing at random and leaves every module's mode and buffers alone, so training goes on as without it.
    Of the T images at most `gallery`, evenly spaced, are searched.

    Raises:
        InputError: the images have no labels, or the features are not finite.
    """
    labels = labels_of(images, "training")
    searched, held = split
    if len(searched) > gallery:
        searched = searched[torch.linspace(0, len(searched) - 1, gallery).long()]
    shared: dict[str, Any] = {"size": size, "mean": mean, "std": std, "device": device, "precision": precision}
    known, asked = (extract(encoder, images, index=index, **shared) for index in (searched, held))
    return knn(known, labels[searched], asked, labels[held], classes=len(images.classes)).top1
