"""How often a negative is of its query's own class: by chance, and among the hardest, class by class.

C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from pairlens.record.run import Run
from pairlens.report.html import Html, chart, choice, join, switch, tag, user
from pairlens.report.read import Missing, intact
from pairlens.report.text import clean, count, listed, percent, plot_text
from pairlens.report.theme import INK, NEGATIVE, PAPER, fade, figure

MOST = 30
"""Classes that are drawn; of more, those with most false negatives among the hardest."""

SHADES = (1.0, 0.5, 0.25)
"""Of the bars, from the hardest part on."""


@dataclass(frozen=True)
class InSpace:
    """The shares of one space, for each part of the negatives."""

    name: str
    share: tuple[float, ...]  # over all queries
    by_class: Float[np.ndarray, "parts C"]  # NaN of a class without queries


@dataclass(frozen=True)
class FalseNegatives:
    """What was measured of a run."""

    classes: tuple[str, ...]
    expected: tuple[float, ...]  # by class
    overall: float  # by chance, over all images
    parts: tuple[float, ...]  # of the negatives
    spaces: tuple[InSpace, ...]
    queries: int
    gallery: int
    step: int
    queue: tuple[int, int, float] | None  # keys, images, keys of the query's own image


def compute(run: Run) -> FalseNegatives | Missing:
    """What `pairlens evaluate --probes false_negatives` has found."""
    found = run.false_negatives
    if found is None:
        return Missing("False negatives were not counted: `pairlens evaluate RUN --probes false_negatives` does it.")
    return intact(_read, found, "false_negatives.json", "measure it again")


def _read(found: Mapping[str, Any]) -> FalseNegatives:
    classes, parts = tuple(map(clean, found["classes"])), tuple(map(float, found["parts"]))
    spaces = []
    for name, one in found["spaces"].items():
        rows = np.array([[np.nan if v is None else float(v) for v in row] for row in one["by_class"]])
        if rows.shape != (len(parts), len(classes)):
            raise ValueError("the shares are not of these classes")
        spaces.append(InSpace(clean(name), tuple(map(float, one["share"])), rows))
    queue = found["queue"]
    expected = tuple(map(float, found["expected"]))
    if len(expected) != len(classes) or not spaces or not classes:
        raise ValueError("there are no shares")
    return FalseNegatives(
        classes=classes,
        expected=expected,
        overall=float(found["expected_share"]),
        parts=parts,
        spaces=tuple(spaces),
        queries=int(found["data"]["queries"]),
        gallery=int(found["data"]["gallery"]),
        step=int(found["step"]),
        queue=None if queue is None else (int(queue["negatives"]), int(queue["images"]), float(queue["same_image"])),
    )


def shown_classes(found: FalseNegatives, space: InSpace) -> list[int]:
    """The classes that are drawn, those with most false negatives among the hardest first."""
    hardest = np.nan_to_num(space.by_class[0], nan=-1.0)
    return [int(i) for i in np.argsort(-hardest, kind="stable") if hardest[i] >= 0][:MOST]


def plot(found: FalseNegatives, space: InSpace) -> go.Figure:
    """Bars of each class, the hardest part on top; a mark where chance is."""
    rows = shown_classes(found, space)
    names = [plot_text(found.classes[i], 24) for i in rows]
    places = list(range(len(rows)))
    traces: list[go.Bar | go.Scatter] = [
        go.Bar(
            x=space.by_class[part, rows],
            y=places,
            orientation="h",
            name=f"hardest {_part(share)}",
            marker={"color": fade(NEGATIVE, shade), "line": {"width": 0}},
            hovertemplate=f"hardest {_part(share)}: %{{x:.1%}}<extra>%{{customdata}}</extra>",
            customdata=names,
        )
        for part, (share, shade) in enumerate(zip(found.parts, SHADES, strict=False))
    ]
    traces.append(
        go.Scatter(
            x=[found.expected[i] for i in rows],
            y=places,
            mode="markers",
            name="by chance",
            marker={"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": INK}, "color": PAPER},
            customdata=names,
            hovertemplate="by chance: %{x:.1%}<extra>%{customdata}</extra>",
        )
    )
    drawn = figure(traces, "share of the query\u2019s own class", "", legend=True)
    drawn.update_layout(barmode="group", bargap=0.28, bargroupgap=0.05)
    drawn.update_xaxes(tickformat=".0%", rangemode="tozero", showgrid=True)
    return drawn.update_yaxes(tickvals=places, ticktext=names, autorange="reversed", showgrid=False)


def _part(share: float) -> str:
    return f"{100 * share:g}\u00a0%"


def draw(found: FalseNegatives, place: int) -> Html:
    """In words how often, then the classes' bars, a chart a space."""
    group = f"false-{place}"
    buttons = switch("Embedding space", group, [(str(i), s.name) for i, s in enumerate(found.spaces)], "0")
    drawn = [choice(group, str(i), i == 0, _space(found, space)) for i, space in enumerate(found.spaces)]
    return join([buttons if len(found.spaces) > 1 else None, *drawn, _note(found)])


def _space(found: FalseNegatives, space: InSpace) -> Html:
    hardest, part = space.share[0], _part(found.parts[0])
    times = f", {hardest / found.overall:.1f} times as often" if found.overall > 0 else ""
    said = (
        f"By chance {percent(found.overall)} of the negatives are of their query\u2019s own class. "
        f"Of the hardest {part} {percent(hardest)} are{times}: these the loss pushes away hardest."
    )
    rows = shown_classes(found, space)
    worst: list[Html | str] = []
    if len(rows) > 1:
        shares = space.by_class[0]
        worst = ["Most of them has ", user(found.classes[rows[0]]), f" ({percent(float(shares[rows[0]]))}), fewest "]
        last = min((i for i in range(len(found.classes)) if shares[i] == shares[i]), key=lambda i: float(shares[i]))
        worst += [user(found.classes[last]), f" ({percent(float(shares[last]))})."]
    alt = f"share of false negatives by class, in space {space.name}; over all: " + ", ".join(
        f"hardest {_part(p)}: {percent(share)}" for p, share in zip(found.parts, space.share, strict=True)
    )
    hidden = len(found.classes) - len(rows)
    rest = f"{count(hidden)} more classes are not drawn." if hidden > 0 else None
    return join(
        [
            tag("p", {}, said, " ", *worst),
            chart(plot(found, space), alt, 90 + 34 * len(rows), name="false_negatives"),
            tag("p", {"class": "aside"}, rest) if rest else None,
        ]
    )


def _note(found: FalseNegatives) -> Html:
    parts = listed([_part(part) for part in found.parts])
    said = (
        f"Each of {count(found.queries)} training images was compared with {count(found.gallery)} of them, as they "
        f"are, with the encoder of step {count(found.step)}; its hardest {parts} are those of the greatest cosine."
    )
    if found.queue is not None:
        keys, images, own = found.queue
        said += (
            f" The queue holds {count(keys)} keys of {count(images)} images, which on average are {own:.2f} of the "
            "query\u2019s own image"
        )
        said += "; it is longer than the set, so that every query meets itself." if keys >= images else "."
    return tag("p", {"class": "aside"}, said)
