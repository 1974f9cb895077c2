"""What a classifier made of a run's crops (`semantics.json`), read for the report.

K bins.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pairlens.record.run import Run
from pairlens.report.read import intact
from pairlens.report.text import count


@dataclass(frozen=True)
class Mean:
    """A mean and its standard error; NaN where there is none."""

    mean: float
    error: float


@dataclass(frozen=True)
class Relation:
    """Means of one quantity in bins of another one; NaN where a bin is empty."""

    along: Float[np.ndarray, "K"]
    mean: Float[np.ndarray, "K"]
    error: Float[np.ndarray, "K"]
    count: Int[np.ndarray, "K"]  # pairs
    images: Int[np.ndarray, "K"]


@dataclass(frozen=True)
class Way:
    """A way of sampling crops, as it was judged."""

    name: str
    score: Mean
    distance: Mean
    by_distance: Relation  # class scores
    by_score: Relation  # distances
    more_score: Mean | None  # than the first way has at equal distance
    more_distance: Mean | None  # than the first way has at equal class score


@dataclass(frozen=True)
class Judged:
    """Semantics against variance of each way of sampling crops, and who judged what."""

    ways: tuple[Way, ...]  # the first is what the others are compared with
    images: int
    pairs: int
    classifier: str
    top1: float  # of the classifier on the same images
    same_source: bool  # whether it was trained on images from there
    whose: str  # boxes, in words
    crop: tuple[float, float]  # least and greatest area


def read_judged(run: Run) -> Judged | None:
    """What a classifier made of this run's crops; None where none was asked.

    Raises:
        InputError: `semantics.json` does not hold what it should.
    """
    if run.semantics is None:
        return None
    return intact(_judged, run.semantics, "semantics.json", "let the classifier judge again")


def _judged(found: Mapping[str, Any]) -> Judged:
    judge, boxes = found["classifier"], found["boxes"]
    first, *others = (_way(given) for given in found["ways"])
    low, high = found["crop"]
    epoch = boxes["epoch"]
    return Judged(
        ways=(first, *others),
        images=int(found["images"]),
        pairs=int(found["pairs"]),
        classifier=str(judge["name"]),
        top1=float(judge["top1"]),
        same_source=bool(judge["same_source"]),
        whose=f"{boxes['kind']} boxes" if epoch is None else f"the boxes found after epoch {count(int(epoch))}",
        crop=(float(low), float(high)),
    )


def _way(given: Mapping[str, Any]) -> Way:
    return Way(
        name=str(given["name"]),
        score=_mean(given["score"], "mean"),
        distance=_mean(given["distance"], "mean"),
        by_distance=_relation(given["score_by_distance"]),
        by_score=_relation(given["distance_by_score"]),
        more_score=_excess(given["more_score"]),
        more_distance=_excess(given["more_distance"]),
    )


def _excess(given: Mapping[str, Any] | None) -> Mean | None:
    return None if given is None else _mean(given, "difference")


def _mean(given: Mapping[str, Any], name: str) -> Mean:
    return Mean(_float(given[name]), _float(given["error"]))


def _relation(given: Mapping[str, Any]) -> Relation:
    along, mean, error = (np.array([_float(v) for v in given[name]]) for name in ("along", "mean", "error"))
    counts, images = (np.array([int(v) for v in given[name]], np.int64) for name in ("count", "images"))
    if len({len(column) for column in (along, mean, error, counts, images)}) != 1:
        raise ValueError("these columns are not of the same bins")
    return Relation(along, mean, error, counts, images)


def _float(value: object) -> float:
    return math.nan if value is None else float(value)  # type: ignore[arg-type]
