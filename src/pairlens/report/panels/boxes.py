"""Boxes: where the encoder found the objects, on the same images at each refresh, and how much the boxes cover.

E examples, R refreshes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from pairlens.record.run import Run
from pairlens.report.axes import axis_switch, in_epochs, steps_per_epoch
from pairlens.report.html import Html, chart, choice, join, scrolling, switch, tag
from pairlens.report.localised import ANYWHERE, BROKEN, Found, box_files, kind, none_found, read_found, read_seconds
from pairlens.report.overlay import box, heat, ramp, source, still
from pairlens.report.read import Missing, column
from pairlens.report.text import count, number, percent
from pairlens.report.theme import ENCODER, fade, figure, run_style
from pairlens.views.boxes import FULL

IMAGES = 8  # shown
COLUMNS = 5  # refreshes shown on them, evenly spread, the first and the last among them
READ = 60  # refreshes whose boxes are read, likewise


@dataclass(frozen=True)
class Localised:
    """The refreshes of a run."""

    found: tuple[Found, ...]  # oldest first
    shares: tuple[float, ...]  # of the training time up to each, taken by all refreshes until then
    refreshes: int  # files, read or not
    damaged: int  # of those that were to be read
    seconds: float  # that all refreshes took
    last: int  # the last recorded step
    epoch: float | None  # steps


def compute(run: Run) -> Localised | Missing:
    """Refreshes spread over the run; a file that is damaged is passed over."""
    if kind(run) is None:
        return Missing(ANYWHERE)
    if kind(run) != "found":
        return Missing(f"This run's boxes are {kind(run)} from its start, so none were found while it trained.")
    files = box_files(run)
    if not files:
        return Missing(none_found(run))
    chosen = [files[i] for i in spread(len(files), READ)]
    read = [(path, found) for path in chosen if (found := read_found(path)) is not None]
    if not read:
        return Missing(BROKEN)
    shares, seconds = _costs(run, files, [path for path, _ in read])
    step = column(run.statistics, "step")
    refreshes = tuple(one for _, one in read)
    last = max(refreshes[-1].refresh.step, 0 if step is None else int(step[-1]))
    return Localised(refreshes, shares, len(files), len(chosen) - len(read), seconds, last, steps_per_epoch(run))


def spread(length: int, most: int) -> list[int]:
    """At most so many places among `length`, evenly spread, the first and the last among them."""
    return sorted(set(np.linspace(0, length - 1, min(most, length)).round().astype(int).tolist()))


def _costs(run: Run, files: Sequence[Path], chosen: Sequence[Path]) -> tuple[tuple[float, ...], float]:
    """The share of the time up to each chosen refresh that all refreshes until then took; and their seconds in all."""
    took = {path: read_seconds(path) for path in files}
    step, passed = column(run.statistics, "step"), column(run.statistics, "seconds")
    shares = []
    for path in chosen:
        so_far = sum(took[earlier] for earlier in files[: files.index(path) + 1] if math.isfinite(took[earlier]))
        row = np.flatnonzero(step == int(path.stem) - 1) if step is not None else np.zeros(0, np.int64)
        until = float(passed[row[0]]) + took[path] if passed is not None and len(row) else math.nan
        shares.append(so_far / until if until > 0 else math.nan)
    return tuple(shares), float(np.nansum(list(took.values())))


def draw(data: Localised) -> Html:
    """The images, what the boxes cover over training, and each refresh in numbers."""
    last = data.found[-1]
    warning = tag("p", {"class": "warnings"}, f"{last.warning}.") if last.warning else None
    shown = [data.found[i] for i in spread(len(data.found), COLUMNS)]
    charts = tag("div", {"class": "columns"}, _coverage(data), _nearly(data))
    switches = axis_switch([data.epoch])
    return join([warning, _images(data, shown), switches, charts, tag("p", {}, _cost(data)), _numbers(data)])


def _images(data: Localised, shown: Sequence[Found]) -> Html:
    """A table of images by refreshes, the warm-up's whole image before them."""
    options = [("on", "Heat and boxes"), ("off", "Boxes alone")]
    keys = [ramp("cold", "hot"), tag("li", {}, tag("span", {"class": "box key", "aria-hidden": "true"}), "box")]
    bar = tag("div", {"class": "toolbar"}, switch("Heat", "heat", options, "on"), tag("ul", {"class": "legend"}, *keys))
    heads = [_head("before", "no boxes yet", "whole image"), *(_heading(found) for found in shown)]
    examples = data.found[-1].examples
    rows = [
        tag("tr", {"style": source(examples.pixels[i])}, _start(data, i), *(_cell(found, i) for found in shown))
        for i in spread(len(examples.index), IMAGES)
    ]
    table = tag("table", {"class": "found"}, tag("thead", {}, tag("tr", {}, *heads)), tag("tbody", {}, *rows))
    said = "Heat: the encoder's last features of the whole image, summed over channels; the box is around all that is "
    said += "hotter than k. Median: the share of its image that half of the set's boxes cover or exceed."
    if len(shown) < data.refreshes:
        said += f" Shown are {len(shown)} of {count(data.refreshes)} refreshes."
    if data.damaged:
        said += f" {data.damaged} could not be read: their files are damaged."
    return join([bar, scrolling(table, "boxes at each refresh"), tag("p", {"class": "aside"}, said)])


def _heading(found: Found) -> Html:
    past = found.refresh
    return _head(f"epoch {count(past.epoch)}", f"k = {past.k:g}", f"median {percent(_median(found), 0)}")


def _head(title: str, *lines: str) -> Html:
    return tag("th", {"scope": "col"}, tag("b", {}, title), *(tag("span", {}, line) for line in lines))


def _start(data: Localised, i: int) -> Html:
    examples = data.found[-1].examples
    alt = f"image {examples.index[i]} before the first refresh: its box is the whole image"
    return tag("td", {}, still(examples.pixels[i], examples.sizes[i], alt, box(np.array(FULL))))


def _cell(found: Found, i: int) -> Html:
    if i >= len(found.boxes):  # a file of another run
        return tag("td", {})
    examples, rectangle = found.examples, found.boxes[i]
    inside = np.clip(rectangle, 0, 1)
    covered = percent(float((inside[2:] - inside[:2]).prod()), 0)
    alt = f"image {examples.index[i]} with its heat after epoch {found.refresh.epoch}: its box covers {covered}"
    layer = choice("heat", "on", True, heat(found.heat[i]))
    return tag("td", {}, still(examples.pixels[i], examples.sizes[i], alt, layer, box(rectangle)))


def _median(found: Found) -> float:
    return found.refresh.coverage[len(found.refresh.coverage) // 2]


def coverage_figure(data: Localised) -> go.Figure:
    """Quantiles of coverage: each refresh holds until the next one; before the first every box is the whole image."""
    rows = np.array([[1.0] * len(data.found[0].refresh.coverage), *(f.refresh.coverage for f in data.found)])
    x = np.array([0, *(f.refresh.step for f in data.found), data.last], np.float32)
    low, quarter, median, upper, high = np.concatenate([rows, rows[-1:]]).T.astype(np.float32)
    traces = []
    for bottom, top, strength in ((low, high, 0.16), (quarter, upper, 0.25)):
        edge = {"width": 0, "shape": "hv"}
        traces.append(go.Scatter(x=x, y=bottom, mode="lines", line=edge, hoverinfo="skip", showlegend=False))
        traces.append(
            go.Scatter(
                x=x,
                y=top,
                mode="lines",
                line=edge,
                fill="tonexty",
                fillcolor=fade(ENCODER, strength),
                hoverinfo="skip",
            )
        )
    traces.append(_steps(x, median, "median box", ENCODER, "solid"))
    return _over_training(traces, data, "share of the image")


def nearly_figure(data: Localised) -> go.Figure:
    """The shares of boxes that say next to nothing, from the first refresh on."""
    x = np.array([*(f.refresh.step for f in data.found), data.last], np.float32)
    lines = {
        "nearly the whole image": [f.refresh.whole for f in data.found],
        "nearly a point": [f.refresh.point for f in data.found],
    }
    traces = []
    for place, (name, values) in enumerate(lines.items(), 1):
        style = run_style(place)
        traces.append(_steps(x, np.array([*values, values[-1]], np.float32), name, style.color, style.dash))
    return _over_training(traces, data, "share of boxes").update_layout(showlegend=True)


def _steps(x: np.ndarray, y: np.ndarray, name: str, color: str, dash: str) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode="lines+markers",
        line={"color": color, "width": 2, "shape": "hv", "dash": dash},
        marker={"size": [5] * (len(x) - 1) + [0]},
        hovertemplate="step %{x:,.0f}: %{y:.1%}<extra>%{fullData.name}</extra>",
    )


def _over_training(traces: Sequence[go.Scatter], data: Localised, y: str) -> go.Figure:
    in_epochs(traces, data.epoch)
    drawn = figure(traces, "step", y)
    return drawn.update_yaxes(tickformat=".0%", range=[-0.02, 1.04]).update_xaxes(tickformat=",", rangemode="tozero")


def _coverage(data: Localised) -> Html:
    medians = ", ".join(percent(_median(found), 0) for found in data.found)
    head = tag("h3", {}, "What the boxes cover")
    text = "Line: the median box; dark band: half of all boxes, pale band: nine in ten. Small objects need small boxes."
    alt = f"share of its image that a box covers, over training; medians {medians}"
    return tag("div", {}, head, tag("p", {"class": "aside"}, text), chart(coverage_figure(data), alt, 280))


def _nearly(data: Localised) -> Html:
    past = data.found[-1].refresh
    head = tag("h3", {}, "Boxes that say next to nothing")
    text = "Where most are the whole image crops fall anywhere; where most are a point two crops are alike."
    alt = "boxes that are nearly the whole image, and nearly a point, over training; at the end "
    alt += f"{percent(past.whole, 0)} and {percent(past.point, 0)}"
    return tag("div", {}, head, tag("p", {"class": "aside"}, text), chart(nearly_figure(data), alt, 280))


def _cost(data: Localised) -> str:
    times = "once" if data.refreshes == 1 else f"{count(data.refreshes)} times"
    share = data.shares[-1]
    of_all = f": {percent(share)} of the training time up to the last" if math.isfinite(share) else ""
    return f"Boxes were found {times}, which took {number(data.seconds)} s in all{of_all}."


def _numbers(data: Localised) -> Html:
    heads = ["epoch", "k", "5 %", "25 %", "median", "75 %", "95 %", "nearly whole", "nearly points", "took", "time"]
    rows = []
    for found, share in zip(data.found, data.shares, strict=True):
        past = found.refresh
        cells = [count(past.epoch), f"{past.k:g}", *(percent(c, 0) for c in past.coverage)]
        cells += [percent(past.whole, 0), percent(past.point, 0), f"{number(found.seconds, 2)} s", percent(share)]
        rows.append(tag("tr", {}, *(tag("td", {}, cell) for cell in cells)))
    head = tag("thead", {}, tag("tr", {}, *(tag("th", {"scope": "col"}, name) for name in heads)))
    grid = tag("table", {"class": "refreshes"}, head, tag("tbody", {}, *rows))
    said = "Coverage at five quantiles, the shares of boxes that say next to nothing, how long the refresh took, and "
    said += "which share of the training time all refreshes had taken by then."
    about = tag("p", {"class": "aside"}, said)
    return tag("details", {}, tag("summary", {}, "Each refresh in numbers"), about, scrolling(grid, "refreshes"))
