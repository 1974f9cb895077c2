"""Where the time of a step goes: data, views, forward, backward and the rest."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from pairlens.record.run import Run
from pairlens.report.axes import in_epochs, steps_per_epoch
from pairlens.report.html import Html, chart, tag
from pairlens.report.read import Missing, column, step_seconds
from pairlens.report.text import listed, number, percent, plot_text
from pairlens.report.theme import PARTS, figure, run_style
from pairlens.report.thin import Curve, block_means, blocks, thin

POINTS = 150


@dataclass(frozen=True)
class Throughput:
    """Seconds of a step by part, over training and in the median; of an observed loop the parts are not known."""

    step: Float[np.ndarray, "M"]
    seconds: Mapping[str, Float[np.ndarray, "M"]]  # part -> block means
    median: Mapping[str, float]  # part -> seconds
    median_step: float  # seconds
    rate: Curve  # images a second
    median_rate: float
    epoch: float | None  # steps
    recording: float = math.nan  # share of the steps' time that the recorder took
    looking: float = math.nan  # share of the run's time that looks at held-out views took


def compute(run: Run) -> Throughput | Missing:
    """The recorded times."""
    table = run.statistics
    step, images = column(table, "step"), column(table, "images")
    parts = {p: v for p in PARTS if (v := column(table, f"time_{p}")) is not None}
    whole = step_seconds(table)
    if step is None or images is None or whole is None:
        return Missing("No times have been recorded, so the speed is not known.")
    edges = blocks(len(step), POINTS)
    rate = images / np.maximum(whole, 1e-9)
    return Throughput(
        step=block_means(step, edges),
        seconds={p: block_means(v, edges) for p, v in parts.items()},
        median={p: float(np.median(v)) for p, v in parts.items()},
        median_step=float(np.median(whole)),
        rate=thin(step, rate),
        median_rate=float(np.median(rate)),
        epoch=steps_per_epoch(run),
        recording=_recording(table),
        looking=_looking(run),
    )


def _recording(table: np.ndarray) -> float:
    """What the recorder took of all steps together: the few in which it writes count as much as they take."""
    spent, whole = column(table, "time_record"), step_seconds(table)
    if spent is None or whole is None or not whole.sum() > 0:
        return math.nan
    return float(spent.sum() / whole.sum())


def _looking(run: Run) -> float:
    """What the gauge took of the time until its last look."""
    step, spent = column(run.quality, "step"), column(run.quality, "seconds")
    seconds = column(run.statistics, "seconds")
    if step is None or spent is None or seconds is None:
        return math.nan
    until = seconds[min(int(step[-1]), len(seconds)) - 1]
    return float(spent.sum() / until) if until > 0 else math.nan


def cost(found: Throughput) -> str:
    """What recording cost, in a sentence; empty where it is not known."""
    if not math.isfinite(found.recording):
        return ""
    looks = f", looking at held-out views {percent(found.looking)}" if math.isfinite(found.looking) else ""
    return f"Recording all that this page shows took {percent(found.recording)} of the steps' time{looks}."


def words(found: Throughput) -> str:
    """The median split as a sentence, the largest part first."""
    if not found.median:
        return (
            f"A median step takes {number(1000 * found.median_step)} ms, {number(found.median_rate)} images a second; "
            "where its time goes was not observed."
        )
    total = sum(found.median.values())
    if total <= 0:
        return "The recorded times are all zero."
    order = sorted(found.median.items(), key=lambda item: -item[1])
    shares = listed([f"{part} {percent(v / total, 0)}" for part, v in order])
    return f"A median step takes {number(1000 * total)} ms, {number(found.median_rate)} images a second: {shares}."


def plot(found: Throughput) -> go.Figure:
    """The parts stacked over training."""
    traces = [
        go.Scatter(
            x=found.step,
            y=(1000 * seconds).astype(np.float32),
            name=part,
            mode="lines",
            stackgroup="time",
            line={"width": 0.6, "color": PARTS[part]},
            fillcolor=PARTS[part],
            hovertemplate="%{y:.2f} ms<extra>%{fullData.name}</extra>",
        )
        for part, seconds in found.seconds.items()
    ]
    drawn = figure(traces, "step", "ms a step", legend=True)
    return drawn.update_layout(hovermode="x unified", legend_traceorder="normal").update_xaxes(tickformat=",")


def compare(found: Sequence[Throughput], names: Sequence[str], places: Sequence[int]) -> go.Figure:
    """Images a second of all runs."""
    traces = []
    for one, name, place in zip(found, names, places, strict=True):
        style = run_style(place)
        traces.append(
            go.Scatter(
                x=one.rate.step.astype(np.float32),
                y=one.rate.mean.astype(np.float32),
                mode="lines",
                name=plot_text(name),
                line={"color": style.color, "width": 2, "dash": style.dash},
                hovertemplate="step %{x:,.0f}: %{y:,.0f} images/s<extra></extra>",
            )
        )
        in_epochs(traces[-1:], one.epoch)
    drawn = figure(traces, "step", "images/s", legend=len(found) > 1)
    return drawn.update_yaxes(rangemode="tozero", tickformat=",").update_xaxes(tickformat=",")


def draw_rate(found: Sequence[Throughput], names: Sequence[str], places: Sequence[int]) -> Html:
    """The speed of all runs."""
    alt = "images a second over training; medians " + ", ".join(number(t.median_rate) for t in found)
    return tag("div", {}, tag("h3", {}, "Images a second"), chart(compare(found, names, places), alt, 300))


def draw(found: Throughput) -> Html:
    """One run's median split as a bar with its sentence, and the split over training."""
    if not found.median:
        return tag("div", {}, tag("h3", {}, "How long a step takes"), tag("p", {}, words(found)))
    total = max(sum(found.median.values()), 1e-12)
    pieces = [
        tag("i", {"style": f"width:{100 * v / total:.2f}%;--c:var(--part-{p})", "title": f"{p} {percent(v / total)}"})
        for p, v in found.median.items()
    ]
    return tag(
        "div",
        {},
        tag("h3", {}, "Where a step's time goes"),
        tag("p", {}, words(found), " ", cost(found)),
        tag("div", {"class": "split", "aria-hidden": "true"}, *pieces),
        chart(plot(found), "time of a step by part over training. " + words(found), 240),
    )
