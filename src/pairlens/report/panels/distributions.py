"""The distributions of positive and negative scores over training: the panel that pairlens is named for.

M points of a thinned curve. What it draws is computed in `report/histograms.py`.
"""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from pairlens.record.observers import COUNTED
from pairlens.report import ridges
from pairlens.report.histograms import Counted, Distributions, Moments, Space, Stage, compute, extent, strongest
from pairlens.report.html import Html, chart, choice, data_json, join, switch, tag, user
from pairlens.report.text import count, number
from pairlens.report.theme import (
    INK,
    NEGATIVE,
    NEGATIVE_LINE,
    PAPER,
    POSITIVE,
    POSITIVE_LINE,
    fade,
    figure,
    heat,
)

__all__ = ["compute", "counting", "draw", "plot", "profile"]
LINE = {"positive": POSITIVE_LINE, "negative": NEGATIVE_LINE}
HUE = {"positive": POSITIVE, "negative": NEGATIVE}


def plot(found: Distributions, space: Space, stage: Stage) -> go.Figure:
    """Heat maps of both kinds in one plot, with mean and mean +- standard deviation as lines."""
    top = strongest(space)
    traces: list[go.Heatmap | go.Scatter] = []
    for kind in ("negative", "positive"):
        traces.append(
            go.Heatmap(
                x=found.step,
                y=found.bins,
                z=stage.shares[kind].astype(np.float32),
                zmin=0,
                zmax=top,
                zsmooth="best",
                colorscale=heat(HUE[kind]),
                showscale=False,
                hovertemplate=f"step %{{x:,.0f}}, cosine %{{y:.2f}}: %{{z:.1%}} of the {kind}s<extra></extra>",
            )
        )
    for kind in ("negative", "positive"):
        traces += _lines(found.line_step, stage.moments[kind], LINE[kind])
    drawn = figure(traces, "step", "cosine")
    low, high = extent(space, found.bins)
    last = float(found.step[-1])
    drawn.add_vline(x=last, line={"color": INK, "width": 1.2}, opacity=0.6)  # the step that the profile shows
    drawn.update_yaxes(range=[low, high], showgrid=False, tickformat=".1f", dtick=0.2 if high - low < 1.4 else 0.5)
    first, end = float(found.step[0]), float(found.line_step[-1])
    return drawn.update_xaxes(range=[first, end] if end > first else [first - 1, first + 1], tickformat=",")


def _lines(step: Float[np.ndarray, "M"], moments: Moments, color: str) -> list[go.Scatter]:
    outer = [
        go.Scatter(
            x=step,
            y=moments.mean + sign * moments.deviation,
            mode="lines",
            line={"color": color, "width": 1, "dash": "dot"},
            hoverinfo="skip",
        )
        for sign in (-1, 1)
    ]
    halo = {"color": fade(PAPER, 0.5), "width": 5}
    line = {"color": color, "width": 2.2}
    return [
        *outer,
        go.Scatter(x=step, y=moments.mean, mode="lines", line=halo, hoverinfo="skip"),
        go.Scatter(x=step, y=moments.mean, mode="lines", line=line, hoverinfo="skip"),
    ]


def profile(found: Distributions, space: Space) -> go.Figure:
    """The distributions at one step, the last: filled after the transform, outlined before it."""
    traces = []
    for stage in ("after", "before"):
        if stage not in space.stages:
            continue
        for kind in ("negative", "positive"):
            filled = stage == "after" or len(space.stages) == 1
            traces.append(
                go.Scatter(
                    x=found.bins,
                    y=space.stages[stage].shares[kind][:, -1].astype(np.float32),
                    mode="lines",
                    line={"color": HUE[kind], "width": 2 if filled else 1.6, "shape": "spline", "smoothing": 0.4}
                    | ({} if filled else {"dash": "dot"}),
                    fill="tozeroy" if filled else None,
                    fillcolor=fade(HUE[kind], 0.25) if filled else None,
                    name=f"{kind}s" + (f" {stage} the transform" if len(space.stages) > 1 else ""),
                    meta=[stage, kind],
                    hovertemplate=f"cosine %{{x:.2f}}: %{{y:.1%}} of the {kind}s<extra></extra>",
                )
            )
    drawn = figure(traces, "cosine", "share")
    drawn.update_yaxes(tickformat=".0%", rangemode="tozero", nticks=4, fixedrange=True)
    return drawn.update_xaxes(range=list(extent(space, found.bins)), fixedrange=True)


STAGES = {"before": "Before the transform", "after": "After the transform: what the loss sees"}


def draw(found: Distributions, group: str) -> Html:
    """Every space: heat maps, side by side when transformed, and the chosen step's profile below."""
    first = found.spaces[0].name
    options = [(str(i), s.name) for i, s in enumerate(found.spaces)]
    buttons = switch("Embedding space", group, options, "0") if len(options) > 1 else None
    forms = switch("Drawing", "form", [("heat", "Heat map"), ("ridges", "Ridges")], "heat")
    parts = [choice(group, str(i), s.name == first, _space(found, s)) for i, s in enumerate(found.spaces)]
    return join([tag("div", {"class": "toolbar"}, buttons, forms), *parts])


def _space(found: Distributions, space: Space) -> Html:
    both = len(space.stages) > 1
    maps, rows = [], []
    for key in ("before", "after"):
        if key in space.stages:
            title, alt = tag("h3", {}, STAGES[key]) if both else None, _alt(space, key, both)
            name = f"{key}_transform" if both else "scores"
            drawn = chart(plot(found, space, space.stages[key]), f"heat map of {alt}", 380, f"heat-{key}", name)
            maps.append(tag("div", {}, title, drawn))
            drawn = chart(ridges.plot(found, space, space.stages[key]), f"ridges of {alt}", 520, name=f"{name}_ridges")
            rows.append(tag("div", {}, title, drawn))
    columns = {"class": "columns" if both else "single"}
    untransformed = None if both else "No feature transform changed the pairs: before and after are the same."
    slider = tag(
        "label",
        {"class": "slider"},
        tag("span", {}, "Step ", tag("output", {}, count(float(found.step[-1])))),
        tag("input", {"type": "range", "min": 0, "max": len(found.step) - 1, "value": len(found.step) - 1, "step": 1}),
    )
    alt = "the distributions of positive and negative scores at the step chosen with the slider above"
    return tag(
        "div",
        {"class": "distribution"},
        data_json({"step": found.step.tolist(), "bins": found.bins.tolist()}, {"class": "axis"}),
        choice("form", "heat", True, _legend(strongest(space)), tag("div", columns, *maps)),
        choice("form", "ridges", False, _legend_of_ridges(found, space), tag("div", columns, *rows)),
        tag("p", {"class": "aside"}, untransformed) if untransformed else None,
        tag("div", {"class": "moment"}, slider, tag("p", {"class": "words", "aria-live": "polite"})),
        chart(profile(found, space), alt, 200, "profile", "profile"),
        _facts(found, space, both),
        tag("p", {"class": "aside"}, counting(found.counted)),
    )


def _facts(found: Distributions, space: Space, both: bool) -> Html:
    compared = (
        f" and {count(space.negatives)} negatives" if space.negatives else ", and its loss compares with no others"
    )
    words = ["Space ", user(space.name), f": each query has one positive{compared}"]
    words.append(f", temperature {space.temperature:g}. " if space.temperature else ". ")
    if found.start:
        half = ", and each query has half as many negatives" if found.start.doubles else ""
        text = str(found.start)
        words.append(f"{text[0].upper()}{text[1:]}; until then before and after are the same{half}. ")
    if not space.negatives:
        words.append("Negatives that are shown nevertheless are other images: they tell whether all look alike. ")
    words.append("Point at a heat map, or move the slider, to choose the step. ")
    words.append("Filled curves are after the transform, dotted ones before it." if both else "")
    return tag("p", {"class": "aside"}, *words)


def counting(counted: Counted) -> str:
    """Which scores of which steps the histograms hold, in words."""
    when = "every step" if counted.every == 1 else f"every {count(counted.every)} steps"
    whole = "the whole batch" if counted.parts == 1 else f"the last of the batch's {counted.parts} parts"
    whole = f"the batch's first {counted.positives} queries" if counted.first else whole
    queries = f"its first {COUNTED} queries" if counted.positives > COUNTED else "all its queries"
    said = f"Counted {when}: the {count(counted.positives)} positives of {whole}, and the negatives of {queries}."
    if counted.columns > 1:
        said += f" A column of a heat map holds up to {count(counted.columns)} such histograms."
    return said + " The lines of mean and deviation are recorded at every step."


def _legend(top: float) -> Html:
    def key(kind: str, text: str) -> Html:
        scale = tag("span", {"class": f"ramp {kind}", "aria-hidden": "true"})
        return tag("li", {}, tag("b", {"class": kind}, text), scale)

    ends = f"pale to full colour: 0 to {100 * top:.0f} % of the pairs per bin"
    return tag(
        "ul",
        {"class": "legend"},
        key("positive", "Positives"),
        key("negative", "Negatives"),
        tag("li", {"class": "minor"}, ends),
        tag("li", {"class": "minor"}, "solid line: mean; dotted: one standard deviation"),
    )


def _legend_of_ridges(found: Distributions, space: Space) -> Html:
    keys = [
        tag("li", {}, tag("b", {"class": kind}, text), tag("span", {"class": f"patch {kind}", "aria-hidden": "true"}))
        for kind, text in (("positive", "Positives"), ("negative", "Negatives"))
    ]
    said = "each ridge is one step, the first on top; its area is the share of the pairs"
    if ridges.is_cut(space, ridges.chosen(len(found.step))):
        said += "; the tallest peaks are cut"
    return tag("ul", {"class": "legend"}, *keys, tag("li", {"class": "minor"}, said))


def _alt(space: Space, stage: str, both: bool) -> str:
    when = f" {stage} the transform" if both else ""
    said = ", ".join(
        f"{k}s from mean {number(float(m.mean[0]), 2)} to {number(float(m.mean[-1]), 2)}"
        for k, m in space.stages[stage].moments.items()
    )
    return f"scores over training{when}: {said}"
