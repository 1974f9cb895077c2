"""The confusion matrix: which classes the encoder takes for which.

C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Int

from pairlens.record.run import Run
from pairlens.report.html import Html, chart, choice, join, switch, tag, user
from pairlens.report.read import PROTOCOL_NAMES, Missing
from pairlens.report.text import percent, plot_text
from pairlens.report.theme import ENCODER, INK, figure, heat

NUMBERS_UP_TO = 12  # classes: counts are printed into the cells
NAMES_UP_TO = 40  # classes: every name stands at the axis


@dataclass(frozen=True)
class Confusion:
    """Counts of test images by true class (rows) and given class (columns), per protocol."""

    classes: tuple[str, ...]
    counts: Mapping[str, Int[np.ndarray, "C C"]]


def compute(run: Run) -> Confusion | Missing:
    """The confusion matrices of the encoder."""
    given = run.evaluation or {}
    tables = given.get("confusion")
    if not isinstance(tables, dict) or not tables:
        return Missing("There is no confusion matrix: it takes an evaluation with labels.")
    counts = {k: np.asarray(v, np.int64) for k, v in tables.items() if k in PROTOCOL_NAMES and v}
    size = len(next(iter(counts.values()))) if counts else 0
    names = [str(c) for c in given.get("classes") or ()]
    return Confusion(tuple(names[:size] + [str(i) for i in range(len(names), size)]), counts)


def mistakes(counts: Int[np.ndarray, "C C"], most: int = 3) -> list[tuple[int, int, float]]:
    """The most frequent mistakes: true class, given class, share of the true class's images; worst first."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    wrong = shares * (1 - np.eye(len(counts)))
    order = np.argsort(wrong, axis=None)[::-1][:most]
    places = [np.unravel_index(i, wrong.shape) for i in order]
    return [(int(t), int(g), float(wrong[t, g])) for t, g in places if wrong[t, g] > 0]


def plot(classes: tuple[str, ...], counts: Int[np.ndarray, "C C"]) -> go.Figure:
    """A heat map of shares within each true class."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [plot_text(c, 14) for c in classes]
    size = len(classes)
    shown = size <= NUMBERS_UP_TO
    trace = go.Heatmap(
        z=shares.astype(np.float32),
        zmin=0,
        zmax=1,
        colorscale=heat(ENCODER, 0.6, 0.5),
        showscale=False,
        xgap=1.5,
        ygap=1.5,
        text=counts if shown else None,
        texttemplate="%{text}" if shown else None,
        textfont={"color": INK, "size": 11},
        customdata=[[[t, g] for g in names] for t in names],
        hovertemplate="%{customdata[0]} taken for %{customdata[1]}: %{z:.1%}<extra></extra>",
    )
    drawn = figure([trace], "given class", "true class")
    every = max(1, size // NAMES_UP_TO + (size > NAMES_UP_TO))
    ticks = {"tickvals": list(range(0, size, every)), "ticktext": names[::every], "showgrid": False}
    drawn.update_xaxes(**ticks, constrain="domain", constraintoward="left")
    return drawn.update_yaxes(**ticks, autorange="reversed", scaleanchor="x", constrain="domain", constraintoward="top")


def draw(found: Confusion, group: str) -> Html:
    """The matrices, switchable, and the worst mistakes in words; `group` names the switch."""
    chosen = next(iter(found.counts))
    parts = [
        choice(
            group, key, key == chosen, chart(plot(found.classes, counts), _alt(key, counts), 380), _worst(found, counts)
        )
        for key, counts in found.counts.items()
    ]
    options = [(k, PROTOCOL_NAMES[k]) for k in found.counts]
    buttons = switch("Protocol", group, options, chosen) if len(options) > 1 else None
    head = tag("h3", {}, "Which classes are confused")
    aside = tag("p", {"class": "aside"}, "Rows are the true classes; whatever lies off the diagonal is a mistake.")
    return tag("div", {}, head, aside, buttons, *parts)


def _alt(protocol: str, counts: Int[np.ndarray, "C C"]) -> str:
    right = float(np.trace(counts) / max(1, counts.sum()))
    return f"confusion matrix, {PROTOCOL_NAMES[protocol]}: {percent(right)} on the diagonal"


def _worst(found: Confusion, counts: Int[np.ndarray, "C C"]) -> Html:
    items = [
        join([user(found.classes[t]), " taken for ", user(found.classes[g]), f" ({percent(share)})"])
        for t, g, share in mistakes(counts)
    ]
    if not items:
        return tag("p", {"class": "aside"}, "There was no mistake.")
    separated = [part for item in items for part in (", ", item)][1:]
    return tag("p", {"class": "aside"}, "Most often: ", *separated, ".")
