"""Finding images by their features: another view of the same image, and the nearest other images.

N images, B images of a batch, S pixels of a view's side, Q queries, G gallery images, D features, K neighbours.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.evaluate.features import finite
from pairlens.views.plans import Plan
from pairlens.views.render import render

Encode = Callable[[Float[Tensor, "B 3 S S"]], Float[Tensor, "B D"]]
"""Normalised views in, features out."""

CHUNK = 1 << 24
"""Similarities held at a time."""

TIE = 1e-6
"""Cosines this near count as equal, and a tie as not found: a collapsed encoder must not win by rounding."""


def view_retrieval(
    encode: Encode,
    images: ImageSet,
    plan: Plan,
    *,
    size: int,
    mean: Float[Tensor, "3"] | None = None,
    std: Float[Tensor, "3"] | None = None,
    seed: int,
    index: Int64[Tensor, "N"] | None = None,
    limit: int = 2000,
    batch: int = 512,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """How often a view finds the other view of its own image: top-1 and top-5 shares. It needs no labels.

    The plan's first two views are drawn for up to `limit` of the images, or of those that `index` names; which ones
    and their views depend on the seed alone, so that several encoders see the same. Similarity is the cosine; an
    image that another one ties with is not found.

    Raises:
        InputError: the plan has fewer than two views, there are fewer than two images, or features are not finite.
    """
    among = torch.arange(len(images)) if index is None else index
    if len(among) < 2:
        raise InputError(f"views cannot be told apart in a set of {len(among)} images; give at least two")
    generator = torch.Generator().manual_seed(seed)
    chosen = among[torch.randperm(len(among), generator=generator)[:limit]]
    sides: tuple[list[Tensor], list[Tensor]] = ([], [])
    for rows in chosen.split(batch):
        drawn = list(plan(Draw(rows, images.sizes[rows], 0, 0, generator, generator)).values())
        if len(drawn) < 2:
            raise InputError(f"the plan draws {len(drawn)} view of each image; retrieval needs two")
        pixels = images.pixels[rows.to(images.pixels.device)].to(device)
        for side, params in zip(sides, drawn, strict=False):
            side.append(encode(render(pixels, params, size, mean, std)).float())
    query, key = (F.normalize(finite(torch.cat(side)), dim=1) for side in sides)
    better = []
    for rows in torch.arange(len(query), device=query.device).split(max(1, CHUNK // len(key))):
        similarity = query[rows] @ key.T
        own = similarity.gather(1, rows[:, None])
        better.append((similarity >= own - TIE).sum(1) - 1)
    rank = torch.cat(better)
    return {"top1": int((rank < 1).sum()) / len(rank), "top5": int((rank < 5).sum()) / len(rank)}


def neighbours(
    queries: Float[Tensor, "Q D"],
    gallery: Float[Tensor, "G D"],
    k: int,
    *,
    without: Int64[Tensor, "Q"] | None = None,
) -> tuple[Float[Tensor, "Q K"], Int64[Tensor, "Q K"]]:
    """The k most similar gallery images of each query: cosines, most similar first, and their indices.

    `without` names one gallery image a query that must not be found: the query itself, where it is in the gallery.

    Raises:
        InputError: the gallery holds too few images, or features are not finite.
    """
    most = len(gallery) - (without is not None)
    if not 1 <= k <= most:
        raise InputError(f"there are {most} images to find {k} neighbours among; ask for 1 to {most}")
    similarity = F.normalize(finite(queries), dim=1) @ F.normalize(finite(gallery), dim=1).T
    if without is not None:
        similarity.scatter_(1, without.to(similarity.device)[:, None], -torch.inf)
    best, index = similarity.topk(k, 1)
    return best, index
