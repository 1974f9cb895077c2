"""Nearest neighbours: what the encoder finds most alike.

Q queries, K neighbours of each.
"""

import zipfile
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, UInt8

from pairlens.record.run import Run
from pairlens.report.html import Html, join, picture, tag, user
from pairlens.report.read import Missing

ROWS, COLUMNS = 10, 10


@dataclass(frozen=True)
class Neighbours:
    """Queries and their neighbours, nearest first."""

    queries: UInt8[np.ndarray, "Q 3 H W"]
    neighbours: UInt8[np.ndarray, "Q K 3 H W"]
    similarity: Float[np.ndarray, "Q K"]
    query_label: Integer[np.ndarray, "Q"]  # -1: unlabelled
    neighbour_label: Integer[np.ndarray, "Q K"]
    classes: tuple[str, ...]


def compute(run: Run) -> Neighbours | Missing:
    """The stored neighbours."""
    if run.observed:
        return Missing(
            "Only the pairs of this loop were observed: there is no encoder here that could find neighbours."
        )
    path = run.folder / "neighbours.npz"
    if not path.is_file():
        return Missing("No nearest neighbours are stored: `pairlens evaluate` finds them.")
    try:
        with np.load(path, allow_pickle=False) as file:
            queries, found = file["queries"][:ROWS], file["neighbours"][:ROWS, :COLUMNS]
            similarity = file["similarity"][:ROWS, :COLUMNS]
            query_label, label = file["query_label"][:ROWS], file["neighbour_label"][:ROWS, :COLUMNS]
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
        return Missing("The stored neighbours cannot be read: neighbours.npz is damaged.")
    if not len(queries):
        return Missing("No nearest neighbours are stored: the evaluation had no image to ask for.")
    classes = (run.evaluation or {}).get("classes") or (run.info.get("data") or {}).get("classes") or ()
    return Neighbours(queries, found, similarity, query_label, label, tuple(map(str, classes)))


def agreement(found: Neighbours) -> tuple[int, int]:
    """How many of the shown neighbours share their query's class, of how many that have a class."""
    known = (found.neighbour_label >= 0) & (found.query_label[:, None] >= 0)
    same = known & (found.neighbour_label == found.query_label[:, None])
    return int(same.sum()), int(known.sum())


def draw(found: Neighbours) -> Html:
    """A row a query."""
    same, known = agreement(found)
    said = f"{same} of the {known} neighbours shown share their query's class." if known else None
    rows = [_row(found, i) for i in range(len(found.queries))]
    summary = tag("p", {}, said) if said else None
    return join([summary, tag("div", {"class": "neighbours"}, *rows)])


def _name(found: Neighbours, label: int) -> str:
    return found.classes[label] if 0 <= label < len(found.classes) else str(label)


def _row(found: Neighbours, i: int) -> Html:
    wanted = int(found.query_label[i])
    label = _name(found, wanted) if wanted >= 0 else "query"
    query = tag(
        "figure",
        {"class": "query"},
        picture(found.queries[i], f"query {i + 1}, {label}"),
        tag("figcaption", {}, tag("b", {}, user(label))),
    )
    found_alike = (_neighbour(found, i, j) for j in range(found.similarity.shape[1]))
    return tag("div", {"class": "neighbour-row"}, query, tag("div", {"class": "alike"}, *found_alike))


def _neighbour(found: Neighbours, i: int, j: int) -> Html:
    wanted, label = int(found.query_label[i]), int(found.neighbour_label[i, j])
    known = wanted >= 0 and label >= 0
    kind = ("same" if label == wanted else "other") if known else None
    mark = {"same": "✓", "other": "✗"}.get(kind or "")
    name = _name(found, label) if label >= 0 else ""
    words = {"same": ", same class", "other": ", another class"}.get(kind or "", "")
    similarity = f"{float(found.similarity[i, j]):.2f}".replace("-", "\u2212")
    alt = f"neighbour {j + 1}, similarity {similarity}, {name}{words}"
    caption = tag(
        "figcaption",
        {},
        tag("span", {"class": "mark", "aria-hidden": "true"}, mark) if mark else None,
        user(name) if name else None,
        tag("small", {}, similarity),
    )
    return tag("figure", {"class": kind, "title": alt}, picture(found.neighbours[i, j], alt), caption)
