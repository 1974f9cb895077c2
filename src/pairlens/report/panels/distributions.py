"""The distributions of positive and negative scores over training: the panel that pairlens is named for.

T recorded histograms (thinned), N bins, M points of a thinned curve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Integer

from pairlens.record.run import Run
from pairlens.report.html import Html, chart, choice, data_json, join, switch, tag, user
from pairlens.report.read import Missing, column
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
from pairlens.report.thin import block_means, blocks

COLUMNS = (60, 120)  # of a heat map: at least (where recorded), at most; in between, four histograms make one
PAIRS_PER_BIN = 32  # recorded positives a column below which neighbouring bins are merged, down to 32 bins
LINE = {"positive": POSITIVE_LINE, "negative": NEGATIVE_LINE}
HUE = {"positive": POSITIVE, "negative": NEGATIVE}


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of one kind of score over training."""

    mean: Float[np.ndarray, "M"]
    deviation: Float[np.ndarray, "M"]


@dataclass(frozen=True)
class Stage:
    """Scores before or after the feature transform, by kind: "positive" and "negative"."""

    shares: Mapping[str, Float[np.ndarray, "N T"]]  # of the pairs of that step, per bin
    moments: Mapping[str, Moments]


@dataclass(frozen=True)
class Space:
    """One embedding space."""

    name: str
    temperature: float
    negatives: int
    stages: Mapping[str, Stage]  # "after", and "before" where the transform changed anything


@dataclass(frozen=True)
class Distributions:
    """All spaces of a run."""

    step: Float[np.ndarray, "T"]  # of the histograms
    line_step: Float[np.ndarray, "M"]  # of the moments
    bins: Float[np.ndarray, "N"]  # centres
    spaces: tuple[Space, ...]


def compute(run: Run) -> Distributions | Missing:
    """Histograms as shares per step, and moments, of every space."""
    counts, table = run.histograms, run.statistics
    step, line_step = column(counts, "step"), column(table, "step")
    if step is None or line_step is None:
        return Missing("No score histograms have been recorded yet, so there is no distribution to show.")
    form = run.info.get("histogram") or {}
    edges = blocks(len(step), min(max(len(step) // 4, COLUMNS[0]), COLUMNS[1]))
    line_edges = blocks(len(line_step), 300)
    merged = _merged(counts, run.spaces, len(edges))
    spaces = []
    for name, given in run.info["spaces"].items():
        stages = {}
        for stage, prefix in (("before", "raw_"), ("after", "")):
            made = _stage(counts, table, f"{name}.{prefix}", edges, line_edges, merged)
            if made is not None:
                stages[stage] = made
        if len(stages) == 2 and _alike(stages["before"], stages["after"]):
            del stages["before"]
        if stages:
            spaces.append(Space(name, float(given.get("temperature", 0)), int(given.get("negatives", 0)), stages))
    if not spaces:
        return Missing("The recorded histograms name none of the run's spaces, so there is no distribution to show.")
    some = next(iter(spaces[0].stages.values())).shares["positive"]
    low, high = float(form.get("low", -1)), float(form.get("high", 1))
    width = (high - low) / len(some)
    bins = low + width * (np.arange(len(some)) + 0.5)
    return Distributions(block_means(step, edges), block_means(line_step, line_edges), bins, tuple(spaces))


def _stage(
    counts: np.ndarray,
    table: np.ndarray,
    prefix: str,
    edges: Integer[np.ndarray, "T"],
    line_edges: Integer[np.ndarray, "M"],
    merged: int,
) -> Stage | None:
    shares, moments = {}, {}
    for kind in ("positive", "negative"):
        rows = column(counts, prefix + kind)
        mean, variance = (column(table, f"{prefix}{kind}_{m}") for m in ("mean", "variance"))
        if rows is None or mean is None or variance is None:
            return None
        summed = np.add.reduceat(rows.astype(np.float64)[:, : rows.shape[1] // merged * merged], edges, axis=0)
        summed = summed.reshape(len(edges), -1, merged).sum(2)
        shares[kind] = (summed / np.maximum(summed.sum(1, keepdims=True), 1)).T
        deviation = np.sqrt(block_means(np.maximum(variance, 0), line_edges))
        moments[kind] = Moments(block_means(mean, line_edges), deviation)
    return Stage(shares, moments)


def _merged(counts: np.ndarray, spaces: Sequence[str], columns: int) -> int:
    """How many neighbouring bins make one, so that few recorded pairs do not look like structure."""
    rows = next((r for s in spaces if (r := column(counts, f"{s}.positive")) is not None), None)
    if rows is None or rows.shape[1] % 2 or rows.shape[1] <= 32:
        return 1
    return 2 if rows.sum() / columns < PAIRS_PER_BIN * rows.shape[1] else 1


def _alike(a: Stage, b: Stage) -> bool:
    return all(np.array_equal(a.shares[k], b.shares[k]) for k in HUE)


def extent(space: Space, bins: Float[np.ndarray, "N"], rest: float = 2e-4) -> tuple[float, float]:
    """The range of cosines outside which each distribution, over all steps, keeps at most `rest` on either side."""
    half = (bins[1] - bins[0]) / 2 if len(bins) > 1 else 0.5
    lows, highs = [], []
    for stage in space.stages.values():
        for shares in stage.shares.values():
            total = np.cumsum(shares.sum(1)) / max(float(shares.sum()), 1e-12)
            lows.append(bins[np.searchsorted(total, rest)])
            highs.append(bins[min(int(np.searchsorted(total, 1 - rest)), len(bins) - 1)])
    return float(min(lows) - half), float(max(highs) + half)


def strongest(space: Space) -> float:
    """The share that gets the full colour: what nearly every column's peak stays below."""
    peaks = [s.max(0) for stage in space.stages.values() for s in stage.shares.values()]
    return float(max(np.percentile(np.concatenate(peaks), 90), 1e-6))


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
    parts = [choice(group, str(i), s.name == first, _space(found, s)) for i, s in enumerate(found.spaces)]
    return join([buttons, *parts])


def _space(found: Distributions, space: Space) -> Html:
    both = len(space.stages) > 1
    maps = []
    for key in ("before", "after"):
        if key in space.stages:
            title = tag("h3", {}, STAGES[key]) if both else None
            drawn = plot(found, space, space.stages[key])
            maps.append(tag("div", {}, title, chart(drawn, _alt(space, key, both), 380, role=f"heat-{key}")))
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
        _legend(strongest(space)),
        tag("div", {"class": "columns" if both else "single"}, *maps),
        tag("p", {"class": "aside"}, untransformed) if untransformed else None,
        tag("div", {"class": "moment"}, slider, tag("p", {"class": "words", "aria-live": "polite"})),
        chart(profile(found, space), alt, 200, role="profile"),
        _facts(space, both),
    )


def _facts(space: Space, both: bool) -> Html:
    words = ["Space ", user(space.name), f": each query has one positive and {count(space.negatives)} negatives"]
    words.append(f", temperature {number(space.temperature)}. " if space.temperature else ". ")
    words.append("Point at a heat map, or move the slider, to choose the step. ")
    words.append("Filled curves are after the transform, dotted ones before it." if both else "")
    return tag("p", {"class": "aside"}, *words)


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


def _alt(space: Space, stage: str, both: bool) -> str:
    when = f" {stage} the transform" if both else ""
    said = ", ".join(
        f"{k}s from mean {number(float(m.mean[0]), 2)} to {number(float(m.mean[-1]), 2)}"
        for k, m in space.stages[stage].moments.items()
    )
    return f"heat map of scores over training{when}: {said}"
