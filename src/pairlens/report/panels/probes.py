"""The kNN probe: accuracy on held-out training images while the run goes on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from pairlens.record.run import Run
from pairlens.report.axes import axis_switch, in_epochs, steps_per_epoch
from pairlens.report.html import Html, chart, tag
from pairlens.report.read import Missing, column
from pairlens.report.text import percent, plot_text
from pairlens.report.theme import figure, run_style


@dataclass(frozen=True)
class Probes:
    """The probes of a run; P of them."""

    step: Float[np.ndarray, "P"]
    knn: Float[np.ndarray, "P"]
    epoch: float | None  # steps


def compute(run: Run) -> Probes | Missing:
    """The probes of a run."""
    step, knn = column(run.probes, "step"), column(run.probes, "knn")
    if step is None or knn is None:
        return Missing("The run was not probed while it trained, so there is no accuracy curve.")
    return Probes(np.asarray(step, np.float64), np.asarray(knn, np.float64), steps_per_epoch(run))


def plot(found: Sequence[Probes], names: Sequence[str], places: Sequence[int]) -> go.Figure:
    """The curves of all runs."""
    traces = []
    for one, name, place in zip(found, names, places, strict=True):
        style = run_style(place)
        traces.append(
            go.Scatter(
                x=one.step.astype(np.float32),
                y=one.knn,
                name=plot_text(name),
                mode="lines+markers",
                line={"color": style.color, "dash": style.dash, "width": 2},
                marker={"size": 6},
                hovertemplate="step %{x:,.0f}: %{y:.1%}"
                + ("<extra>%{fullData.name}</extra>" if len(found) > 1 else "<extra></extra>"),
            )
        )
        in_epochs(traces[-1:], one.epoch)
    drawn = figure(traces, "step", "kNN accuracy, validation", legend=len(found) > 1)
    return drawn.update_yaxes(tickformat=".0%", rangemode="tozero").update_xaxes(tickformat=",")


def draw(found: Sequence[Probes], names: Sequence[str], places: Sequence[int]) -> Html:
    """The curve, under a heading."""
    alt = "kNN probe accuracy over training; at the end " + ", ".join(percent(float(p.knn[-1])) for p in found)
    sentence = (
        "Measured on training images set aside for it: still rising at the end means that longer training may pay."
    )
    return tag(
        "div",
        {},
        tag("h3", {}, "While it trained"),
        tag("p", {"class": "aside"}, sentence),
        axis_switch([one.epoch for one in found]) if len(found) > 1 else None,
        chart(plot(found, names, places), alt, 330),
    )
