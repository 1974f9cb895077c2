"""How good the features are without labels, on views that are not trained on, while the run goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from pairlens.record.run import Run
from pairlens.report.axes import axis_switch, in_epochs, steps_per_epoch
from pairlens.report.best import Best, best_kept
from pairlens.report.html import Html, chart, join, prose, tag, user
from pairlens.report.read import Missing, column
from pairlens.report.text import count, number, plot_text
from pairlens.report.theme import figure, run_style


@dataclass(frozen=True)
class Measure:
    """One small plot of one measure."""

    key: str
    title: str
    sentence: str


MEASURES = (
    Measure("rankme", "RankMe", "Dimensions that the features fill: a fall is dimensional collapse."),
    Measure("lidar", "LiDAR", "Dimensions that tell images apart in spite of their views: more is said to be better."),
    Measure("alpha", "Alpha", "How fast the spectrum falls (alpha-ReQ): near 1 is best."),
    Measure(
        "stable_rank",
        "Stable rank",
        "All variance over that of the strongest direction: 1 is a single line. It ranked our runs best.",
    ),
    Measure("alignment", "Alignment", "Squared distance of two views of an image: lower is tighter."),
    Measure("uniformity", "Uniformity", "How evenly images fill the sphere: lower is more even, 0 is collapse."),
)
"""What `gauge.py` keeps, in the order in which it is shown."""


@dataclass(frozen=True)
class Quality:
    """The looks of a run, L of them."""

    step: Float[np.ndarray, "L"]
    values: Mapping[str, Mapping[str, Float[np.ndarray, "L"]]]  # measure -> group ("h", then the spaces) -> values
    epoch: float | None  # steps
    seconds: float  # that all looks took
    best: Best | None  # the look that is best, and the checkpoint to keep for it


def compute(run: Run) -> Quality | Missing:
    """All measures of the encoder and of its spaces."""
    table = run.quality
    step = column(table, "step")
    if step is None:
        return Missing("The features were not measured on held-out views while the run went on.")
    values: dict[str, dict[str, np.ndarray]] = {}
    for measure in MEASURES:
        for group in ("h", *run.spaces):
            found = column(table, f"{group}.{measure.key}")
            if found is not None and np.isfinite(found).any():
                values.setdefault(measure.key, {})[group] = np.asarray(found, np.float64)
    if not values:
        return Missing("The features held no numbers when they were measured: the training has diverged.")
    seconds = column(table, "seconds")
    return Quality(
        np.asarray(step, np.float64),
        values,
        steps_per_epoch(run),
        0.0 if seconds is None else float(seconds.sum()),
        best_kept(run),
    )


def plot(found: Sequence[Quality], names: Sequence[str], places: Sequence[int], of: Measure) -> go.Figure:
    """One measure of all runs: the encoder's features as a solid line, spaces dashed."""
    traces = []
    for one, name, place in zip(found, names, places, strict=True):
        for order, (group, values) in enumerate(one.values.get(of.key, {}).items()):
            color = run_style(place).color if len(found) > 1 else run_style(order).color
            label = " \u00b7 ".join([name] * (len(found) > 1) + [_called(group)])
            trace = go.Scatter(
                x=one.step.astype(np.float32),
                y=values.astype(np.float32),
                name=plot_text(label, 40),
                mode="lines+markers",
                line={"color": color, "width": 2, "dash": run_style(order).dash},
                marker={"size": 6},
                hovertemplate="step %{x:,.0f}: %{y:.4g}<extra>%{fullData.name}</extra>",
            )
            in_epochs([trace], one.epoch)
            traces.append(trace)
    return figure(traces, "step", "").update_xaxes(tickformat=",", nticks=6, rangemode="tozero")


def _called(group: str) -> str:
    return "encoder (h)" if group == "h" else f"embedding ({group})"


def draw(found: Sequence[Quality], names: Sequence[str], places: Sequence[int]) -> Html:
    """All measures as small multiples; which checkpoint to keep, and how far to trust that."""
    cells = []
    for of in MEASURES:
        given = [one.values[of.key] for one in found if of.key in one.values]
        if given:
            ends = [f"{_called(group)} {number(float(v[-1]))}" for groups in given for group, v in groups.items()]
            alt = f"{of.title} over training; at the end " + ", ".join(ends)
            figured = chart(plot(found, names, places, of), alt, 220)
            cells.append(tag("div", {}, tag("h3", {}, of.title), tag("p", {"class": "aside"}, of.sentence), figured))
    advice = [_advice(one.best, name, len(found) > 1) for one, name in zip(found, names, strict=True) if one.best]
    looked = ", ".join(f"{count(len(one.step))} looks in {number(one.seconds, 2)} s" for one in found)
    said = tag("p", {"class": "aside"}, f"Solid: the encoder's features; dashed: embeddings. Measured: {looked}.")
    top = tag("div", {"class": "toolbar"}, axis_switch([one.epoch for one in found]))
    return join([*advice, top, tag("div", {"class": "multiples"}, *cells), said])


def _advice(best: Best, name: str, several: bool) -> Html:
    whose = [user(name), ": "] if several else []
    return tag("p", {}, *whose, prose(best.sentence))
