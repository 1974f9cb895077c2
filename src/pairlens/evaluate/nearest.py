"""The nearest training images of some images, as pictures for the report.

S pixels of a view's side, Q queries, K neighbours, P pixels of a thumbnail's side.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from pairlens.data.images import ImageSet, Source
from pairlens.evaluate.features import counted, extract, plain_views
from pairlens.evaluate.retrieval import neighbours

THUMBNAIL = 96
"""Pixels a side of the stored neighbours, at most."""


def neighbour_arrays(
    encoder: nn.Module,
    source: Source,
    *,
    size: int,
    mean: Float[Tensor, "3"] | None,
    std: Float[Tensor, "3"] | None,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    seed: int,
    queries: int = 12,
    k: int = 8,
    gallery: int = 20_000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, np.ndarray]:
    """The nearest training images of some test images (or of some training images, themselves left out).

    Queries, and the gallery where there are more than `gallery` training images, are drawn by the seed. Gives
    `queries` uint8 [Q, 3, P, P], `neighbours` uint8 [Q, K, 3, P, P], `similarity` float32 [Q, K] (cosines, best
    first), `query_label` int64 [Q] and `neighbour_label` int64 [Q, K] (-1: unlabelled); the pictures are what the
    encoder looked at, without normalisation, at most 96 px a side. `progress` is told how many images of how
    many are encoded.

    Raises:
        InputError: there are fewer than two training images, or the features are not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    look: dict[str, Any] = {"size": size, "mean": mean, "std": std, "device": device, "precision": precision}
    known = torch.randperm(len(source.train), generator=generator)[:gallery]
    images = source.train if source.test is None else source.test
    if source.test is None:
        asked = known[:queries]
        without = torch.arange(len(asked))
    else:
        asked = torch.randperm(len(images), generator=generator)[:queries]
        without = None
    most = max(1, min(k, len(known) - (without is not None)))
    encoded = counted(progress, len(asked) + len(known))
    query = extract(encoder, images, index=asked, progress=encoded, **look)
    searched = extract(encoder, source.train, index=known, progress=encoded, **look)
    found, place = neighbours(query, searched, most, without=without)
    near = known[place.cpu()]
    side = min(THUMBNAIL, source.train.pixels.shape[-1])
    return {
        "queries": thumbnails(images, asked, side).numpy(),
        "neighbours": thumbnails(source.train, near.flatten(), side).unflatten(0, near.shape).numpy(),
        "similarity": found.float().cpu().numpy(),
        "query_label": _labels(images, asked).numpy(),
        "neighbour_label": _labels(source.train, near).numpy(),
    }


def thumbnails(images: ImageSet, index: Int64[Tensor, "N"], side: int) -> UInt8[Tensor, "N 3 P P"]:
    """Un-augmented views of some images as pictures."""
    return torch.cat([(views * 255).round_().byte() for views in plain_views(images, side, index=index)])


def _labels(images: ImageSet, index: Int64[Tensor, "..."]) -> Int64[Tensor, "..."]:
    return torch.full_like(index, -1) if images.labels is None else images.labels[index]
