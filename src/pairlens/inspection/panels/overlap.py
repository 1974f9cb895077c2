"""What the two crops of an image share: its distribution, the extremes in numbers, and where crops fall."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from pairlens.inspection.overlap import NEARLY, PAIRS, Overlap, Way
from pairlens.report.html import Html, chart, join, prose, scrolling, tag
from pairlens.report.panels import crops
from pairlens.report.text import count, percent
from pairlens.report.theme import figure, run_style

CELLS = 25


def draw(overlap: Overlap, fallen: crops.Crops | None) -> Html:
    """The distributions and their ends; `fallen` shows on some images where the crops fall."""
    head = tag("h3", {}, "Intersection over union of a pair's crops")
    about = "0: nothing in common. 1: the same crop. Views that share too little are no positives, all too alike ones "
    about += "teach nothing."
    alt = "share of pairs by the overlap of their crops: " + "; ".join(
        f"{way.name}: mean {percent(float(way.overlap.mean()), 0)}" for way in overlap.ways
    )
    plot = tag("div", {}, head, tag("p", {"class": "aside"}, about), chart(overlap_figure(overlap.ways), alt, 260))
    told = tag("div", {}, _numbers(overlap))
    below = [tag("h3", {"class": "apart"}, "Where crops fall"), crops.draw(fallen)] if fallen else []
    return join([tag("div", {"class": "columns" + " wide" * (len(overlap.ways) > 1)}, plot, told), *below])


def overlap_figure(ways: Sequence[Way]) -> go.Figure:
    """A line for each way, over the same cells."""
    edges = np.linspace(0, 1, CELLS + 1)
    traces = []
    for place, way in enumerate(ways):
        style = run_style(place)
        shares = np.histogram(way.overlap, edges)[0] / len(way.overlap)
        traces.append(
            go.Scatter(
                x=edges,
                y=[*shares, shares[-1]],
                name=way.name,
                mode="lines",
                line={"color": style.color, "dash": style.dash, "shape": "hv", "width": 2.2},
                hovertemplate="from %{x:.0%}: %{y:.1%} of the pairs<extra>%{fullData.name}</extra>",
            )
        )
    drawn = figure(traces, "intersection over union", "share of the pairs", legend=len(ways) > 1)
    return drawn.update_xaxes(tickformat=".0%", range=[0, 1]).update_yaxes(tickformat=".0%", rangemode="tozero")


def _numbers(overlap: Overlap) -> Html:
    """A row for each fact, a column for each way."""
    ways = overlap.ways
    heads = [tag("th", {"scope": "col"}, way.name, _mine(way, len(ways))) for way in ways]
    rows = [_row("mean overlap", [percent(float(way.overlap.mean()), 0) for way in ways])]
    for share in ways[0].missed:
        label = "object missed" if share == 0 else f"at most {percent(share, 0)} of it shown"
        rows.append(_row(label, [percent(way.missed[share]) for way in ways]))
    rows += [
        _row("nothing shared", [percent(way.apart) for way in ways]),
        _row(f"over {percent(NEARLY, 0)} shared", [percent(way.nearly_same) for way in ways]),
    ]
    head = tag("thead", {}, tag("tr", {}, tag("td", {}), *heads))
    grid = tag("table", {"class": "ways", "style": f"--ways:{len(ways)}"}, head, tag("tbody", {}, *rows))
    return join(
        [scrolling(grid, "overlap of crops in numbers"), tag("p", {"class": "aside"}, prose(_caption(overlap)))]
    )


def _mine(way: Way, of: int) -> Html | None:
    return tag("span", {"class": "minor"}, "the training begins so") if way.own and of > 1 else None


def _row(label: str, values: Sequence[str]) -> Html:
    return tag("tr", {}, tag("th", {"scope": "row"}, label), *(tag("td", {}, value) for value in values))


def _caption(overlap: Overlap) -> str:
    said = f"Shares of {count(PAIRS)} pairs of crops, of random images."
    if overlap.kept is not None:
        said += f" All ways draw crops of the same sizes; the localised ones are kept in {overlap.kept.whose}."
    if overlap.objects is None:
        return said + " Where the objects are is not known; `--boxes-of RUN` shows what an earlier run found."
    same = overlap.kept is not None and overlap.objects.whose == overlap.kept.whose
    said += " A pair misses the object where one of its crops shows nothing of it."
    return said + (" The object is that box." if same else f" The object is in {overlap.objects.whose}.")
