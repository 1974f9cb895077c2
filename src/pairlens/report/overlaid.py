"""Distributions of several runs in one plot: at the start, in the middle and at the end of training (FT, Figure 1).

N bins, T columns of recorded histograms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from pairlens.record.run import Run
from pairlens.report import histograms
from pairlens.report.read import Missing
from pairlens.report.sweep import Sweep
from pairlens.report.text import plot_text
from pairlens.report.theme import SEQUENCE, Style, fade, figure, order, run_style

WHEN = {"start": (0.0, 0.1), "middle": (0.45, 0.55), "end": (0.9, 1.0)}
"""Parts of the training, as fractions of it."""

SPELLED = {"start": "First tenth", "middle": "Middle", "end": "Last tenth"}
KINDS = ("positive", "negative")

Densities = Mapping[tuple[str, str, str], Float[np.ndarray, "N"]]
"""By when, stage ("before" or "after" the transform) and kind of score: pairs per unit of cosine."""


@dataclass(frozen=True)
class Overlaid:
    """One run's, or a mean of runs'."""

    bins: Float[np.ndarray, "N"]
    spaces: Mapping[str, Densities]


def compute(run: Run) -> Overlaid | Missing:
    """The distributions of every space, averaged over parts of the training."""
    found = histograms.compute(run)
    if isinstance(found, Missing):
        return found
    width = float(found.bins[1] - found.bins[0])
    spaces = {}
    for space in found.spaces:
        densities = {
            (when, stage, kind): shares[:, part(shares.shape[1], when)].mean(1) / width
            for when in WHEN
            for stage, one in space.stages.items()
            for kind, shares in one.shares.items()
            if shares.any()
        }
        spaces[space.name] = densities
    return Overlaid(found.bins, spaces)


def part(columns: int, when: str) -> slice:
    """Which columns belong to a part of the training; at least one."""
    low, high = (share * columns for share in WHEN[when])
    first = min(int(low), columns - 1)
    return slice(first, max(first + 1, int(np.ceil(high))))


def averaged(found: Sequence[Overlaid]) -> Overlaid:
    """The mean of several runs' densities, on the finest of their bins; what not all of them have is left out."""
    bins = max((one.bins for one in found), key=len)
    spaces = {}
    for space in found[0].spaces:
        given = [(one.bins, one.spaces[space]) for one in found if space in one.spaces]
        keys = [key for key in given[0][1] if all(key in densities for _, densities in given)]
        spaces[space] = {key: np.mean([np.interp(bins, own, of[key]) for own, of in given], axis=0) for key in keys}
    return Overlaid(bins, spaces)


@dataclass(frozen=True)
class Entry:
    """What one line of the plot shows."""

    label: str
    style: Style
    key: str  # its colour on the page
    overlaid: Overlaid


def entries(found: Sequence[Overlaid], names: Sequence[str], places: Sequence[int], swept: Sweep | None) -> list[Entry]:
    """A line a run, or the mean of the runs of a value, coloured in the values' order."""
    if swept is None:
        dotted = any(stage == "before" for one in found for of in one.spaces.values() for _, stage, _ in of)
        looks = [run_style(place) for place in places]
        looks = [replace(look, dash="solid") if dotted else look for look in looks]
        styles = [(look, f"--run-{place % 8}") for look, place in zip(looks, places, strict=True)]
        return [Entry(n, style, key, o) for n, (style, key), o in zip(names, styles, found, strict=True)]
    of_run, rows = swept.of_run, []
    for value in range(len(swept.values)):
        own = [one for one, place in zip(found, places, strict=True) if of_run[place] == value]
        if own:
            color = order(value, len(swept.values))
            text = f"{swept.name} {swept.values[value]:g}"
            rows.append(Entry(text, Style(SEQUENCE[color], "solid"), f"--order-{color}", averaged(own)))
    return rows


def plot(rows: Sequence[Entry], space: str, when: str, kind: str) -> go.Figure:
    """One kind of score: as the loss sees it, and dotted before the transform where there is one."""
    traces, reach = [], []
    for row in rows:
        densities = row.overlaid.spaces.get(space, {})
        for stage in ("after", "before"):
            if (when, stage, kind) not in densities:
                continue
            y = densities[when, stage, kind]
            reach += row.overlaid.bins[y > 0.002 * y.max()].tolist()
            name = plot_text(row.label, 40) + (" before the transform" if stage == "before" else "")
            after = stage == "after"
            traces.append(
                go.Scatter(
                    x=row.overlaid.bins.astype(np.float32),
                    y=y.astype(np.float32),
                    mode="lines",
                    name=name,
                    line={"color": row.style.color, "width": 2 if after else 1.5, "shape": "spline", "smoothing": 0.4}
                    | {"dash": row.style.dash if after else "dot"},
                    fill="tozeroy" if after and len(rows) < 4 else None,
                    fillcolor=fade(row.style.color, 0.1) if after and len(rows) < 4 else None,
                    hovertemplate="cosine %{x:.2f}<extra>%{fullData.name}</extra>",
                )
            )
    drawn = figure(traces, "cosine", "density")
    drawn.update_yaxes(rangemode="tozero", nticks=4)
    return drawn.update_xaxes(range=[min(reach) - 0.03, max(reach) + 0.03]) if reach else drawn
