"""Semantics against variance of the run's crops (CCrop, Figure 4), as a classifier judged them."""

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from pairlens.record.run import Run
from pairlens.report.html import Html, chart, join, scrolling, tag, user
from pairlens.report.judged import Judged, Mean, Relation, Way, read_judged
from pairlens.report.localised import ANYWHERE, kind
from pairlens.report.read import Missing
from pairlens.report.text import count, number, percent, plot_text
from pairlens.report.theme import ENCODER, MUTED, PAPER, PARTS, fade, figure

LEAST = 10  # images: a bin of fewer is not drawn, for its error is hardly known
LOOKS = (("dot", MUTED, "muted"), ("dash", PARTS["views"], "part-views"), ("solid", ENCODER, "accent"))
SCORE, DISTANCE = "class score", "distance of the two crops"


def compute(run: Run) -> Judged | Missing:
    """What `pairlens evaluate --classifier` has found."""
    if kind(run) is None:
        return Missing(ANYWHERE)
    return read_judged(run) or Missing(
        "No classifier has judged these crops yet: `pairlens evaluate RUN --classifier OTHER` lets that of another run "
        "do it, one of the recipe supervised."
    )


def plot(ways: Sequence[Way], by_score: bool) -> go.Figure:
    """Class score over distance, or distance over class score: a curve a way, and the means of all pairs as a mark."""
    curves: list[go.Scatter] = []
    marks: list[go.Scatter] = []
    for place, way in enumerate(ways):
        name = plot_text(way.name, 40)
        curves += _curve(way.by_score if by_score else way.by_distance, name, place)
        means = (way.score.mean, way.distance.mean) if by_score else (way.distance.mean, way.score.mean)
        marks.append(_mark(*means, name, place))
    return figure([*curves, *marks], *((SCORE, DISTANCE) if by_score else (DISTANCE, SCORE)))


def _look(place: int) -> tuple[str, str, str]:
    """Dash, colour, and the page's name for the colour."""
    return LOOKS[place % len(LOOKS)]


def _curve(of: Relation, name: str, place: int) -> list[go.Scatter]:
    dash, color, _ = _look(place)
    shown = (of.images >= LEAST) & np.isfinite(of.along) & np.isfinite(of.error)
    x, y, reach = of.along[shown], of.mean[shown], 2 * of.error[shown]
    band = go.Scatter(
        x=np.concatenate([x, x[::-1]]).astype(np.float32),
        y=np.concatenate([y + reach, (y - reach)[::-1]]).astype(np.float32),
        fill="toself",
        fillcolor=fade(color, 0.16),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
    )
    line = go.Scatter(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        customdata=reach.tolist(),
        name=name,
        mode="lines+markers",
        line={"color": color, "width": 2, "dash": dash},
        marker={"color": color, "size": 4},
        hovertemplate="%{y:.3f} \u00b1 %{customdata:.3f} at %{x:.3f}<extra>%{fullData.name}</extra>",
    )
    return [band, line]


def _mark(x: float, y: float, name: str, place: int) -> go.Scatter:
    marker = {"symbol": "diamond", "size": 13, "color": _look(place)[1], "line": {"color": PAPER, "width": 1.5}}
    told = "all pairs: %{y:.3f} at %{x:.3f}<extra>%{fullData.name}</extra>"
    return go.Scatter(x=[x], y=[y], name=name, mode="markers", marker=marker, hovertemplate=told)


def draw(data: Judged) -> Html:
    """Both plots, the means of all pairs, who judged what, and every bin in numbers."""
    keys = [_key(place, way.name) for place, way in enumerate(data.ways)]
    diamond = tag("li", {}, tag("span", {"aria-hidden": "true"}, "\u25c6"), "mean of all pairs")
    plots = [
        _cell(data, False, "At equal variance", "Higher is better: more of the class, as far apart."),
        _cell(data, True, "At equal semantics", "Higher is better: farther apart, with as much of the class."),
    ]
    return join(
        [
            tag("ul", {"class": "legend"}, *keys, diamond),
            tag("div", {"class": "columns"}, *plots),
            _means(data),
            tag("p", {"class": "aside"}, *_caption(data)),
            _bins(data),
        ]
    )


def _key(place: int, name: str) -> Html:
    dash, _, color = _look(place)
    stroke = tag("span", {"class": f"stroke {dash}", "style": f"--c:var(--{color})", "aria-hidden": "true"})
    return tag("li", {}, stroke, user(name))


def _cell(data: Judged, by_score: bool, title: str, sentence: str) -> Html:
    of, along = (DISTANCE, SCORE) if by_score else (SCORE, DISTANCE)
    means = ", ".join(f"{w.name} {number(w.score.mean)} at distance {number(w.distance.mean)}" for w in data.ways)
    alt = f"{of} over {along}; mean class score of all pairs: {means}"
    head = tag("h3", {}, title)
    return tag("div", {}, head, tag("p", {"class": "aside"}, sentence), chart(plot(data.ways, by_score), alt, 330))


def _means(data: Judged) -> Html:
    """The means of all pairs, and what is more than in the first way at equal places."""
    heads = ["crops", "class score", "distance", "score at equal distance", "distance at equal score"]
    rows = []
    for way in data.ways:
        cells = [_said(way.score), _said(way.distance), _said(way.more_score, "+"), _said(way.more_distance, "+")]
        rows.append([user(way.name), *cells])
    return scrolling(_grid(heads, rows, "runs"), "class scores and distances")


def _said(mean: Mean | None, plus: str = "") -> str:
    """A mean and two standard errors."""
    if mean is None or not math.isfinite(mean.mean):
        return "\u2013"
    text = f"{plus if mean.mean > 0 else ''}{mean.mean:.3f}".replace("-", "\u2212")
    return f"{text} \u00b1 {2 * mean.error:.3f}" if math.isfinite(mean.error) else text


def _caption(data: Judged) -> list[str]:
    low, high = (percent(share, 0) for share in data.crop)
    said = (
        f" (right on {percent(data.top1)} of these images uncropped): {count(data.pairs)} pairs of crops of each of "
        f"{count(data.images)} training images, about {data.whose}, of {low} to {high} of the area, cut and resized "
        "only (no flip, no colour). Score: the probability of the image's class, the mean of both crops. Distance: "
        "1 \u2212 cosine of their features. All ways have the same bins; bands and \u00b1 are two standard errors, "
        "over images. The last two columns say how much more than the first way, where both have pairs."
    )
    knows = " The classifier was trained on images from the same source and may know these." if data.same_source else ""
    return ["Judged by the classifier of ", user(data.classifier), said, knows]


def _bins(data: Judged) -> Html:
    """Every bin in numbers."""
    heads = ["crops", "distance", "class score", "pairs", "images", "class score", "distance", "pairs", "images"]
    rows = []
    for way in data.ways:
        for k in range(max(len(way.by_distance.count), len(way.by_score.count))):
            rows.append([user(way.name), *_bin(way.by_distance, k), *_bin(way.by_score, k)])
    said = f"First the bins of distance, then those of class score. Bins of fewer than {LEAST} images are not drawn."
    about = tag("p", {"class": "aside"}, said)
    grid = scrolling(_grid(heads, rows, "refreshes"), "bins")
    return tag("details", {}, tag("summary", {}, "Each bin in numbers"), about, grid)


def _bin(of: Relation, k: int) -> list[str]:
    if k >= len(of.count):
        return [""] * 4
    along, mean = (_said(Mean(float(v), math.nan)) for v in (of.along[k], of.mean[k]))
    error = f" \u00b1 {2 * of.error[k]:.3f}" if math.isfinite(of.error[k]) else ""
    return [along, mean + error, count(int(of.count[k])), count(int(of.images[k]))]


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]], shape: str) -> Html:
    """A table whose rows are headed by their first cell."""
    head = tag("thead", {}, tag("tr", {}, *(tag("th", {"scope": "col"}, name) for name in heads)))
    body = [
        tag("tr", {}, tag("th", {"scope": "row"}, first), *(tag("td", {}, cell) for cell in rest))
        for first, *rest in rows
    ]
    return tag("table", {"class": shape}, head, tag("tbody", {}, *body))
