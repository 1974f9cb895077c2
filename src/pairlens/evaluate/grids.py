"""Retrieval in every space: what the nearest neighbours of an image share with it (LooC, Figure 3).

Q queries, G gallery images, K neighbours of each query, N images, U pictures, P pixels of a picture's side.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pairlens.evaluate.factors import Factor
from pairlens.evaluate.nearest import THUMBNAIL, thumbnails
from pairlens.evaluate.parts import Part
from pairlens.evaluate.retrieval import neighbours
from pairlens.evaluate.seen import Seen, factor_of, turn_of, turned_once
from pairlens.evaluate.spaces import ENCODER, beside

GALLERY, QUERIES, COUNTED = 20_000, 1000, 10
"""Images that are searched and queries, at most; and how many neighbours of each query are counted."""

ROWS, COLUMNS = 6, 6
"""Queries and neighbours that are shown."""

NEAR = 1 / 12
"""Of a circle: two hues no farther apart than this (30 degrees) are alike."""


@dataclass(frozen=True)
class Found:
    """The nearest gallery images of each query in one space, most similar first."""

    index: Int64[Tensor, "Q K"]
    cosine: Float[Tensor, "Q K"]
    alike: Mapping[str, Bool[Tensor, "Q K"]]  # by quality: whether a neighbour shares it with its query

    def shares(self) -> dict[str, float]:
        """The part of all neighbours that share a quality with their query, by quality."""
        return {name: float(hits.double().mean()) for name, hits in self.alike.items()}


def search(queries: Seen, gallery: Seen, qualities: Sequence[Factor], k: int) -> dict[str, Found]:
    """The k nearest gallery images by cosine in each space, and which qualities they share with their query.

    The qualities are those of `shared_qualities`, with the queries' values for `test` and the gallery's for `train`.
    No query may be in the gallery.

    Raises:
        InputError: there are too few gallery images, or features are not finite.
    """
    found = {}
    for space, features in queries.features.items():
        cosine, index = neighbours(features, gallery.features[space], k)
        index = index.cpu()
        found[space] = Found(index, cosine.float().cpu(), {one.name: alike(one, index) for one in qualities})
    return found


def shared_qualities(factors: Sequence[Factor]) -> list[Factor]:
    """The factors that two images share or do not: classes, and what goes round, such as a hue."""
    return [factor for factor in factors if factor.kind in ("class", "circular")]


def alike(quality: Factor, index: Int64[Tensor, "Q K"]) -> Bool[Tensor, "Q K"]:
    """Whether each query shares a quality with these gallery images: the same class, or nearly the same angle."""
    mine, theirs = quality.test, quality.train[index]
    if quality.kind == "class":
        return theirs == mine[:, None]
    return (theirs * mine[:, None]).sum(2) >= math.cos(2 * math.pi * NEAR)


def chance(quality: Factor) -> float:
    """How often a gallery image chosen at random shares a quality with the query."""
    if quality.kind == "class":
        mine, theirs = (one.bincount(minlength=quality.values).double() for one in (quality.test, quality.train))
        return float((mine / mine.sum()) @ (theirs / theirs.sum()))
    return float((quality.test @ quality.train.T >= math.cos(2 * math.pi * NEAR)).double().mean())


def diverse(labels: Int64[Tensor, "N"] | None, total: int, generator: torch.Generator) -> Int64[Tensor, "N"]:
    """A random order of so many images in which every class comes before any comes again; without labels any order."""
    order = torch.randperm(total, generator=generator)
    if labels is None:
        return order
    named = labels[order]
    before = torch.zeros_like(order)  # how many images of the same class stand before an image
    for label in named.unique():
        of_class = (named == label).nonzero()[:, 0]
        before[of_class] = torch.arange(len(of_class))
    return order[before.argsort(stable=True)]


def retrieve(
    factors: Sequence[Factor], upright: tuple[Seen, Seen], turned: tuple[Seen, Seen], seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Nearest neighbours in every space, among images as they are and among images turned at random.

    Gives for the galleries "upright" and "turned" `queries`, `gallery`, `k`, `chance` by quality, and `spaces`: the
    share of the k neighbours that are alike, by quality; and arrays of what is shown, as `with_pictures` takes them.
    The queries begin with images of different classes. `turned` holds views in all four turns.

    Raises:
        InputError: there are too few images, or features are not finite.
    """
    record: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    turns = torch.Generator().manual_seed(seed)
    galleries = {"upright": upright, "turned": tuple(turned_once(seen, turns) for seen in turned)}
    for name, (train, test) in galleries.items():
        generator = torch.Generator().manual_seed(seed)
        gallery = _with_encoder(train.rows(torch.randperm(len(train), generator=generator)[:GALLERY]))
        labels = test.part.images.labels
        named = None if labels is None else labels[test.part.index[test.place]]
        queries = _with_encoder(test.rows(diverse(named, len(test), generator)[:QUERIES]))
        qualities = shared_qualities([factor_of(factor, gallery, queries) for factor in factors])
        if name == "turned":
            qualities = [turn_of(gallery, queries), *qualities]
        k = min(COUNTED, len(gallery))
        found = search(queries, gallery, qualities, k)
        record[name] = {
            "queries": len(queries),
            "gallery": len(gallery),
            "k": k,
            "chance": {one.name: chance(one) for one in qualities},
            "spaces": {space: one.shares() for space, one in found.items()},
        }
        arrays |= {f"{name}.query": queries.place[:ROWS].numpy(), f"{name}.query_turn": queries.turn[:ROWS].numpy()}
        for space, one in found.items():
            near, alike = one.index[:ROWS, :COLUMNS], one.alike
            arrays |= {
                f"{name}.neighbour.{space}": gallery.place[near].numpy(),
                f"{name}.turn.{space}": gallery.turn[near].numpy(),
                f"{name}.similarity.{space}": one.cosine[:ROWS, :COLUMNS].numpy(),
            }
            arrays |= {f"{name}.alike.{key}.{space}": hits[:ROWS, :COLUMNS].numpy() for key, hits in alike.items()}
    return record, arrays


def _with_encoder(seen: Seen) -> Seen:
    """The encoder's features first, also where they are all spaces' in a row, to compare them with other encoders'."""
    if ENCODER in seen.features:
        return seen
    whole = beside(seen.features, tuple(seen.features))
    return replace(seen, features={ENCODER: whole, **seen.features})


def with_pictures(arrays: dict[str, np.ndarray], train: Part, test: Part) -> dict[str, np.ndarray]:
    """The arrays with each image that they name kept once, in `pictures` uint8 [U, 3, P, P], with its `label` [U].

    What was a place among the test images (`GALLERY.query`, `example`) or among the training images
    (`GALLERY.neighbour.SPACE`) is then one among the pictures.
    """
    named = {key: _part_of(key) for key in arrays if _part_of(key) is not None}
    pictures, labels, replaced = [], [], dict(arrays)
    before = 0
    for which, part in (("train", train), ("test", test)):
        keys = [key for key, of in named.items() if of == which]
        known = np.unique(np.concatenate([arrays[key].ravel() for key in keys]))
        index = part.index[torch.from_numpy(known)]
        side = min(THUMBNAIL, part.images.pixels.shape[-1])
        pictures.append(thumbnails(part.images, index, side).numpy())
        labels.append(
            torch.full_like(index, -1).numpy() if part.images.labels is None else part.images.labels[index].numpy()
        )
        for key in keys:
            replaced[key] = np.searchsorted(known, arrays[key]) + before
        before += len(known)
    return replaced | {"pictures": np.concatenate(pictures), "label": np.concatenate(labels)}


def _part_of(key: str) -> str | None:
    """Which part the places in an array are of; None of an array that holds none."""
    if ".neighbour." in key:
        return "train"
    return "test" if key.endswith(".query") or key == "example" else None
