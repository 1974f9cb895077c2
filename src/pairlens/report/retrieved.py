"""What nearest neighbours every space of a run finds (`spaces.json`, `spaces.npz`), read for the report.

Q queries, K neighbours of each, U pictures, P pixels of a picture's side.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Integer, UInt8

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.report.by_space import shown
from pairlens.report.text import clean

GALLERIES = ("upright", "turned")


@dataclass(frozen=True)
class Near:
    """What one space finds for the queries that are shown, nearest first."""

    neighbour: Integer[np.ndarray, "Q K"]  # places among the pictures
    turn: Integer[np.ndarray, "Q K"]  # quarter turns
    alike: Mapping[str, Bool[np.ndarray, "Q K"]]  # by quality


@dataclass(frozen=True)
class Gallery:
    """What all spaces of a run find in one gallery."""

    query: Integer[np.ndarray, "Q"]  # places among the pictures
    query_turn: Integer[np.ndarray, "Q"]
    near: Mapping[str, Near]  # by space
    shares: Mapping[str, Mapping[str, float]]  # by space, by quality: of all queries' neighbours
    chance: Mapping[str, float]  # by quality
    queries: int  # that were counted
    images: int
    k: int  # neighbours of each


@dataclass(frozen=True)
class Retrieved:
    """All that the spaces of a run find."""

    galleries: Mapping[str, Gallery]
    pictures: UInt8[np.ndarray, "U 3 P P"]
    label: Integer[np.ndarray, "U"]  # -1: unlabelled
    classes: tuple[str, ...]

    def asked(self) -> tuple[bytes, ...]:
        """What was asked for: runs that were asked the same can be shown beside each other."""
        return tuple(
            part
            for one in self.galleries.values()
            for part in (self.pictures[one.query].tobytes(), one.query_turn.tobytes(), str(one.images).encode())
        )


def read_retrieved(run: Run) -> Retrieved | None:
    """What the spaces find; None where it was not measured.

    Raises:
        InputError: a file does not hold what it should.
    """
    found, path = run.told_by_space, run.folder / "spaces.npz"
    if found is None or not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        galleries = {name: _gallery(name, found["retrieval"][name], arrays) for name in GALLERIES}
        classes = (run.info.get("data") or {}).get("classes") or ()
        return Retrieved(galleries, arrays["pictures"], arrays["label"], tuple(map(clean, classes)))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError("the stored neighbours are damaged or of another version; measure the spaces again") from error


def _gallery(name: str, given: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Gallery:
    shares, chance = given["spaces"], given["chance"]
    near = {}
    for space in shares:
        alike = {shown(quality): arrays[f"{name}.alike.{quality}.{space}"] for quality in chance}
        near[space] = Near(arrays[f"{name}.neighbour.{space}"], arrays[f"{name}.turn.{space}"], alike)
    return Gallery(
        query=arrays[f"{name}.query"],
        query_turn=arrays[f"{name}.query_turn"],
        near=near,
        shares={space: {shown(q): float(v) for q, v in one.items()} for space, one in shares.items()},
        chance={shown(quality): float(value) for quality, value in chance.items()},
        queries=int(given["queries"]),
        images=int(given["gallery"]),
        k=int(given["k"]),
    )
