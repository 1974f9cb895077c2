"""False negatives: how often a negative is of the query's own class, by chance and among the hardest.

The instance loss treats every other image as different. N images, Q queries, M images of a gallery, C classes, D
features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from pairlens.errors import InputError
from pairlens.evaluate.features import finite

HARDEST = (0.01, 0.05, 0.1)
"""Parts of the negatives, by their cosine to the query, that are looked at."""

CHUNK = 1 << 24
"""Similarities held at a time."""


@dataclass(frozen=True)
class Shared:
    """How many of the hardest negatives are of their query's class."""

    queries: Int64[Tensor, "C"]  # of each class
    negatives: tuple[int, ...]  # of each query, for each part
    share: Float[Tensor, "parts C"]  # mean over a class's queries; NaN where it has none

    def overall(self) -> list[float]:
        """The mean over all queries, for each part."""
        weight = self.queries / self.queries.sum()
        return (torch.nan_to_num(self.share) * weight).sum(1).tolist()

    def record(self) -> dict[str, Any]:
        """For JSON: `queries` and `negatives`, and `share` and `by_class` by part; None of a class without queries."""
        rows = [[None if math.isnan(value) else value for value in row] for row in self.share.tolist()]
        return {
            "queries": self.queries.tolist(),
            "negatives": list(self.negatives),
            "share": self.overall(),
            "by_class": rows,
        }


def expected_share(labels: Int64[Tensor, "N"], classes: int) -> Float[Tensor, "C"]:
    """How often an image other than the query, drawn uniformly, is of the query's class: (n - 1) / (N - 1).

    Raises:
        InputError: there are fewer than two images.
    """
    if len(labels) < 2:
        raise InputError("false negatives need two labelled images at least; give a source with more")
    count = torch.bincount(labels, minlength=classes).double()
    return (count - 1).clamp(min=0) / (len(labels) - 1)


def same_image(negatives: int, images: int) -> float:
    """How many keys of the query's own image a queue of K holds on average: K / N, as every image comes equally often.

    In each epoch every image is enqueued once; a queue longer than the set holds every image's own key at least once.
    """
    return negatives / images


def hardest_share(
    query: Float[Tensor, "Q D"],
    query_labels: Int64[Tensor, "Q"],
    gallery: Float[Tensor, "M D"],
    gallery_labels: Int64[Tensor, "M"],
    *,
    classes: int,
    own: Int64[Tensor, "Q"],
    parts: Sequence[float] = HARDEST,
) -> Shared:
    """The share of each query's hardest negatives that are of its class, by class.

    Negatives are all images of the gallery but the query's own, ranked by their cosine to it; a part of them is rounded
    to a whole number, at least one.

    Args:
        query: features of any length.
        query_labels: their classes.
        gallery: features of the negatives.
        gallery_labels: their classes.
        classes: C.
        own: where in the gallery each query itself is; -1 where it is not.
        parts: which parts of the negatives.

    Raises:
        InputError: the gallery has no other image, or features are not finite.
    """
    others = len(gallery) - int((own >= 0).any())
    if others < 1:
        raise InputError("there is no other image that could be a negative; give a source with more labelled images")
    counts = tuple(max(1, round(part * others)) for part in parts)
    query, gallery = F.normalize(finite(query), dim=1), F.normalize(finite(gallery), dim=1)
    known, own = gallery_labels.to(gallery.device), own.to(query.device)
    total = torch.zeros(len(parts), classes, dtype=torch.float64)
    step = max(1, CHUNK // len(gallery))
    for rows in torch.arange(len(query)).split(step):
        cosine = query[rows] @ gallery.T
        itself = own[rows]
        cosine[(itself >= 0).nonzero()[:, 0], itself[itself >= 0]] = -torch.inf
        nearest = cosine.topk(max(counts), 1).indices
        labels = query_labels[rows]
        alike = (known[nearest] == labels.to(known.device)[:, None]).double().cumsum(1).cpu()
        for place, count in enumerate(counts):
            total[place].index_add_(0, labels, alike[:, count - 1] / count)
    queries = torch.bincount(query_labels, minlength=classes)
    return Shared(queries, counts, torch.where(queries > 0, total / queries.clamp(min=1), torch.nan))
