"""Nearest neighbours in every space, of one run or of several beside each other, for the same queries (LooC, Fig. 3).

P pixels of a picture's side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from pairlens.record.run import Run
from pairlens.report.by_space import ENCODER
from pairlens.report.html import Html, choice, join, picture, scrolling, switch, tag, user
from pairlens.report.kept import TURNS
from pairlens.report.read import Missing
from pairlens.report.retrieved import GALLERIES, Near, Retrieved, read_retrieved
from pairlens.report.text import clean, count, listed, percent

NAMES = {"upright": "Images as they are", "turned": "Images turned at random"}
FIRST = 3
"""Queries that are shown at once; the others are unfolded."""


def compute(run: Run) -> Retrieved | Missing:
    """What `pairlens evaluate --probes spaces` has found."""
    return read_retrieved(run) or Missing(
        "Neighbours were not looked for in each space: `pairlens evaluate RUN --probes spaces` does it."
    )


@dataclass(frozen=True)
class Line:
    """One space of one run."""

    run: Retrieved
    name: str  # of the run
    place: int  # of the run among the runs
    space: str


def draw(found: Sequence[Retrieved], names: Sequence[str], places: Sequence[int]) -> Html:
    """Runs that were asked the same beside each other: shares in a table, then some queries with their neighbours."""
    groups: dict[tuple[bytes, ...], list[Line]] = {}
    for run, name, place in zip(found, names, places, strict=True):
        spaces = next(iter(run.galleries.values())).near
        groups.setdefault(run.asked(), []).extend(Line(run, name, place, space) for space in spaces)
    return join([_group(lines, len(found) > 1, i) for i, lines in enumerate(groups.values())])


def _group(lines: Sequence[Line], several: bool, place: int) -> Html:
    group = f"gallery-{place}"
    runs = list(dict.fromkeys(line.name for line in lines))
    head = tag("h3", {}, *(part for i, name in enumerate(runs) for part in (", " if i else "", user(name))))
    default = "turned" if _turns_differ(lines) else "upright"
    shown_galleries = [choice(group, name, name == default, _queries(lines, name, several)) for name in GALLERIES]
    picked = switch("Gallery", group, list(NAMES.items()), default)
    return join([head if several else None, _table(lines, several), _note(lines[0].run), picked, *shown_galleries])


def _turns_differ(lines: Sequence[Line]) -> bool:
    """Whether any space finds images of the query's turn clearly more often than chance does."""
    return any(line.run.galleries["turned"].shares[line.space].get(TURNS, 0.0) > 1.2 * 0.25 for line in lines)


def _columns(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Gallery and quality of each column: all of upright images, and of turned ones the turn and the class."""
    upright, turned = (lines[0].run.galleries[name].chance for name in GALLERIES)
    return [("upright", q) for q in upright] + [("turned", q) for q in turned if q in (TURNS, "class")]


def _table(lines: Sequence[Line], several: bool) -> Html:
    columns = _columns(lines)
    values = [[line.run.galleries[g].shares[line.space][q] for g, q in columns] for line in lines]
    chance = [lines[0].run.galleries[g].chance[q] for g, q in columns]
    best = [max(column) for column in zip(*values, strict=True)]
    heads = [tag("th", {"scope": "col"}, "same \u2026 as its query")]
    for gallery, quality in columns:
        more = tag("small", {}, " turned images") if gallery == "turned" else None
        heads.append(tag("th", {"scope": "col"}, user(_said(quality)), more))
    body = []
    for line, row in zip(lines, values, strict=True):
        cells = []
        for value, by_chance, top in zip(row, chance, best, strict=True):
            part = (value - by_chance) / (top - by_chance) if top > by_chance else 0.0
            text = tag("b", {"title": "best of this column"}, percent(value)) if value == top else percent(value)
            style = f"--h:{100 * max(0.0, min(1.0, part)) ** 2:.0f}%"
            cells.append(tag("td", {"style": style, "class": "best" if value == top else None}, text))
        body.append(tag("tr", {}, tag("th", {"scope": "row"}, *_named(line, several)), *cells))
    foot = [tag("td", {}, percent(value)) for value in chance]
    last = tag("tfoot", {}, tag("tr", {}, tag("th", {"scope": "row"}, "by chance"), *foot))
    grid = tag("table", {"class": "sets"}, tag("thead", {}, tag("tr", {}, *heads)), tag("tbody", {}, *body), last)
    return scrolling(grid, "what neighbours share with their query")


def _said(quality: str) -> str:
    return "turn" if quality == TURNS else quality


def _named(line: Line, several: bool) -> list[Html | str]:
    space: Html | str = "encoder\u2019s features" if line.space == ENCODER else user(clean(line.space))
    if not several:
        return [space]
    key = tag("span", {"class": "key", "style": f"--c:var(--run-{line.place % 8})", "aria-hidden": "true"})
    return [key, user(line.name), " \u00b7 ", space]


def _note(run: Retrieved) -> Html:
    upright, turned = (run.galleries[name] for name in GALLERIES)
    hue = " Hues are the same within 30 degrees." if "hue" in upright.chance else ""
    said = (
        f"How many of the {upright.k} nearest training images, by cosine, share a property with the test image that "
        f"they were found for ({count(upright.queries)} queries, {count(upright.images)} images searched). Where "
        f"images are turned ({count(turned.images)} of them), queries are, too: a space that knows turns finds theirs."
    )
    return tag("p", {"class": "aside"}, said + hue)


def _queries(lines: Sequence[Line], gallery: str, several: bool) -> Html:
    """The queries, each with what every space finds."""
    first = lines[0].run.galleries[gallery]
    blocks = [_query(lines, gallery, i, several) for i in range(len(first.query))]
    qualities = [_said(q) for q in first.chance]
    keys = listed([f"{mark} {quality}" for quality, mark in marks(qualities).items()])
    said = f"Filled marks tell what a neighbour shares with its query: {keys}."
    legend = tag("p", {"class": "aside"}, said) if keys else None
    rest = tag("details", {}, tag("summary", {}, "More queries"), *blocks[FIRST:]) if blocks[FIRST:] else None
    return tag("div", {"class": "retrieval"}, legend, *blocks[:FIRST], rest)


def marks(qualities: Sequence[str]) -> dict[str, str]:
    """A short mark for each quality: an arrow for the turn, else its first letter, or two where that is taken."""
    first = [quality[:1].upper() for quality in qualities if quality != "turn"]
    return {
        q: "\u21bb" if q == "turn" else q[:1].upper() if first.count(q[:1].upper()) == 1 else q[:2].capitalize()
        for q in qualities
    }


def _query(lines: Sequence[Line], gallery: str, i: int, several: bool) -> Html:
    run = lines[0].run
    asked = run.galleries[gallery]
    name = _class(run, int(asked.query[i])) or "query"
    image = _turned(run, int(asked.query[i]), int(asked.query_turn[i]))
    query = tag(
        "figure",
        {"class": "query"},
        picture(image, f"query {i + 1}, {name}{_turn_said(int(asked.query_turn[i]))}"),
        tag("figcaption", {}, tag("b", {}, user(name))),
    )
    rows = [_line(line, gallery, i, several) for line in lines]
    return tag("div", {"class": "neighbour-row spaces"}, query, tag("div", {"class": "in-spaces"}, *rows))


def _line(line: Line, gallery: str, i: int, several: bool) -> Html:
    near = line.run.galleries[gallery].near[line.space]
    cells = [_neighbour(line.run, near, i, j) for j in range(near.neighbour.shape[1])]
    of = near.neighbour.shape[1]
    told = ", ".join(f"{_said(q)} {int(hits[i].sum())}/{of}" for q, hits in near.alike.items())
    label = tag("div", {"class": "space"}, tag("b", {}, *_named(line, several)), tag("small", {}, told))
    return tag("div", {"class": "in-space"}, label, tag("div", {"class": "alike"}, *cells))


def _neighbour(run: Retrieved, near: Near, i: int, j: int) -> Html:
    place, turn = int(near.neighbour[i, j]), int(near.turn[i, j])
    hits = {_said(quality): bool(of[i, j]) for quality, of in near.alike.items()}
    same, other = ([q for q, hit in hits.items() if hit is kind] for kind in (True, False))
    said = ", ".join([*(f"same {q}" for q in same), *(f"other {q}" for q in other)])
    name = _class(run, place)
    alt = f"neighbour {j + 1}" + (f", {name}" if name else "") + _turn_said(turn) + (f": {said}" if said else "")
    shown_marks = [tag("i", {"class": "hit" if hits[q] else None}, mark) for q, mark in marks(list(hits)).items()]
    badges = tag("figcaption", {"class": "marks", "aria-hidden": "true"}, *shown_marks)
    return tag("figure", {"title": alt}, picture(_turned(run, place, turn), alt), badges)


def _turn_said(turn: int) -> str:
    return f", turned by {90 * turn} degrees" if turn else ""


def _turned(run: Retrieved, place: int, turn: int) -> UInt8[np.ndarray, "3 P P"]:
    """A picture in its quarter turn, counter-clockwise, as `views.render` turns it."""
    return np.ascontiguousarray(np.rot90(run.pictures[place], turn, (1, 2)))


def _class(run: Retrieved, place: int) -> str | None:
    label = int(run.label[place])
    return None if label < 0 else run.classes[label] if label < len(run.classes) else str(label)
