"""The loss along its gradient over training: bands of loss and gradient, how smooth it is, and the whole surface.

P points along the training, M step sizes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from pairlens.record.run import Run
from pairlens.report.axes import axis_switch, in_epochs, steps_per_epoch
from pairlens.report.html import Html, chart, choice, join, switch, tag, user
from pairlens.report.landscape import HOLDS, LOST, Landscape, Walk, read_landscape
from pairlens.report.lines import stroke
from pairlens.report.panels import curves
from pairlens.report.plots import TRAINING
from pairlens.report.read import Missing
from pairlens.report.surface import heat_map, relief, values_of
from pairlens.report.text import number, plot_text
from pairlens.report.theme import fade, figure, run_style

NORM = next(plot for plot in TRAINING if plot.key == "gradient_norm")
UNITS = {"rate": "Steps of the learning rate", "share": "Equal distances"}
QUANTITIES = {"loss": "Change of the loss", "gradient": "Change of the gradient"}
FORMS = {"map": "Heat map", "surface": "Surface (3-D)"}


@dataclass(frozen=True)
class Survey:
    """A run's landscapes, and the gradient norm of all its steps where that was recorded."""

    landscape: Landscape
    norms: curves.Curves | None
    epoch: float | None  # steps


def compute(run: Run) -> Survey | Missing:
    """What was measured of a run."""
    found = read_landscape(run)
    if found is None:
        why = "The loss's landscape was not measured in this run; `pairlens landscape RUN` measures it where it stands."
        return Missing(why)
    recorded = curves.compute(run)
    norms = None if isinstance(recorded, Missing) or NORM.key not in recorded.curves else recorded
    return Survey(found, norms, steps_per_epoch(run))


def band(
    found: Sequence[Survey],
    names: Sequence[str],
    places: Sequence[int],
    values: Callable[[Landscape], tuple[Float[np.ndarray, "P"], Float[np.ndarray, "P M"]]],
) -> go.Figure:
    """Of every run a line through its points and, where there is one, the range over the step sizes around it."""
    traces: list[go.Scatter] = []
    everything = []
    for one, name, place in zip(found, names, places, strict=True):
        line, others = values(one.landscape)
        step, finite = one.landscape.step, np.where(np.isfinite(others), others, np.nan)
        low, high = np.fmin.reduce(finite, axis=1), np.fmax.reduce(finite, axis=1)
        color, label = run_style(place).color, plot_text(name, 40) if len(found) > 1 else ""
        of_run = [_between(step, low, high, color)] if others.shape[1] > 1 else []
        of_run.append(_line(step, line, np.stack([low, high], 1), run_style(place).dash, color, label))
        in_epochs(of_run, one.epoch)
        traces += of_run
        everything += [line, low, high]
    drawn = figure(traces, "step", "").update_xaxes(tickformat=",", nticks=6, rangemode="tozero")
    known = np.concatenate(everything)
    known = known[np.isfinite(known)]
    if len(known) and known.min() > 0 and known.max() > 100 * known.min():
        drawn.update_yaxes(type="log")
    return drawn


def _between(
    step: Float[np.ndarray, "P"], low: Float[np.ndarray, "P"], high: Float[np.ndarray, "P"], color: str
) -> go.Scatter:
    x, y = np.concatenate([step, step[::-1]]), np.concatenate([high, low[::-1]])
    ok = np.isfinite(y)
    edge = {"color": fade(color, 0.5), "width": 1}
    return go.Scatter(
        x=x[ok].astype(np.float32),
        y=y[ok].astype(np.float32),
        fill="toself",
        fillcolor=fade(color, 0.25),
        line=edge,
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


def _line(
    step: Float[np.ndarray, "P"],
    line: Float[np.ndarray, "P"],
    ends: Float[np.ndarray, "P 2"],
    dash: str,
    color: str,
    name: str,
) -> go.Scatter:
    ranged = (
        ""
        if np.array_equal(ends[:, 0], ends[:, 1], equal_nan=True)
        else ", %{customdata[0]:.3g} to %{customdata[1]:.3g}"
    )
    whose = "%{fullData.name}" if name else ""
    return go.Scatter(
        x=step.astype(np.float32),
        y=line.astype(np.float32),
        customdata=ends.astype(np.float32),
        mode="lines+markers",
        name=name,
        line={"color": color, "width": 2, "dash": dash},
        marker={"size": 5},
        hovertemplate=f"step %{{x:,.0f}}: %{{y:.3g}}{ranged}<extra>{whose}</extra>",
    )


def draw(found: Sequence[Survey], names: Sequence[str], places: Sequence[int]) -> Html:
    """What is seen in a sentence, the bands of all runs, and every run's surface."""
    several = len(found) > 1
    said = [
        tag("p", {"class": "sight"}, *([user(name), ": "] if several else []), one.landscape.verdict)
        for one, name in zip(found, names, strict=True)
    ]
    keys = [stroke(f"var(--run-{p % 8})", run_style(p).dash, n) for n, p in zip(names, places, strict=True)]
    legend = tag("ul", {"class": "legend"}, *keys) if several else None
    top = tag("div", {"class": "toolbar"}, axis_switch([one.epoch for one in found]), legend)
    units = switch("Step sizes", "landscape-unit", UNITS.items(), "rate")
    over = [choice("landscape-unit", unit, unit == "rate", _unit(found, names, places, unit)) for unit in UNITS]
    return join([*said, top, _whole(found, names, places), units, *over, tag("p", {"class": "aside"}, _about(found))])


def _whole(found: Sequence[Survey], names: Sequence[str], places: Sequence[int]) -> Html:
    """What does not depend on the step sizes' unit."""
    cells = []
    given = [(one.norms, name, place) for one, name, place in zip(found, names, places, strict=True) if one.norms]
    if given:
        norms, whose, where = zip(*given, strict=True)
        cells.append(_cell(
            "Gradient norm of every step", "Spikes and a wide pale band are steps that meet a rugged place.",
            curves.plot(norms, whose, where, NORM), "gradient norm over training",
        ))  # fmt: skip
    beta = band(found, names, places, lambda of: (of.smoothness, of.smoothness[:, None]))
    ends = ", ".join(number(float(one.landscape.smoothness[-1])) for one in found)
    cells.append(_cell(
        "Effective smoothness \u03b2", "Greatest change of the gradient for the distance walked: lower is smoother.",
        beta, f"effective smoothness over training; at the end {ends}",
    ))  # fmt: skip
    return tag("div", {"class": "multiples"}, *cells)


def _cell(title: str, sentence: str, drawn: go.Figure, alt: str) -> Html:
    return tag("div", {}, tag("h3", {}, title), tag("p", {"class": "aside"}, sentence), chart(drawn, alt, 230))


def _unit(found: Sequence[Survey], names: Sequence[str], places: Sequence[int], unit: str) -> Html:
    """The bands and the surfaces of one unit of step sizes."""
    walks = [one.landscape.walks[unit] for one in found]
    middle = " or ".join(sorted({_sized(walk.size[walk.middle], unit) for walk in walks}))

    def at(walk: Walk, values: Float[np.ndarray, "P M"]) -> tuple[Float[np.ndarray, "P"], Float[np.ndarray, "P M"]]:
        return values[:, walk.middle], values

    cells = [
        _cell(
            "Range of the loss's change",
            f"Least to greatest along the gradient; the line: {middle}. Below zero the loss falls.",
            band(found, names, places, lambda of: at(of.walks[unit], of.rise(unit))),
            "range of the loss's change along its gradient over training",
        ),
        _cell(
            "Range of the gradient's change",
            f"Least to greatest distance (l2) that it moves; the line: {middle}. It should stay below its norm.",
            band(found, names, places, lambda of: at(of.walks[unit], of.walks[unit].change)),
            "range of the gradient's change along the gradient over training",
        ),
    ]
    quantities = switch("Surface of", "landscape-of", QUANTITIES.items(), "loss")
    forms = switch("Drawn as", "landscape-form", FORMS.items(), "map")
    shown = [
        choice("landscape-of", quantity, quantity == "loss", choice("landscape-form", form, form == "map",
            _surfaces(found, names, unit, quantity, form)))
        for quantity in QUANTITIES for form in FORMS
    ]  # fmt: skip
    return join(
        [tag("div", {"class": "multiples"}, *cells), tag("div", {"class": "toolbar"}, quantities, forms), *shown]
    )


def _sized(size: float, unit: str) -> str:
    """A step size in words."""
    return f"{100 * size:g} % of the weights' norm" if unit == "share" else f"{size:g} times the learning rate"


def _surfaces(found: Sequence[Survey], names: Sequence[str], unit: str, quantity: str, form: str) -> Html:
    """Every run's surface, all on the same scale."""
    known = np.concatenate([values_of(one.landscape, quantity, unit).ravel() for one in found])
    known = known[np.isfinite(known)]
    ends = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    alt = f"{QUANTITIES[quantity].lower()} over training and step sizes, from {number(ends[0])} to {number(ends[1])}"
    cells = []
    for one, name in zip(found, names, strict=True):
        if form == "map":
            drawn = chart(heat_map(one.landscape, quantity, unit, ends, one.epoch), alt, 300)
        else:
            drawn = chart(relief(one.landscape, quantity, unit, ends), alt, 420)
        cells.append(tag("div", {}, tag("h3", {}, user(name)) if len(found) > 1 else None, drawn))
    said = {
        "loss": "Blue: the loss falls at a step of this size; vermilion: it rises, as the step is too long here.",
        "gradient": f"As a share of its own length; full colour is {2 * LOST:.0%} and more. Pale all over is smooth.",
    }[quantity]
    return join([tag("p", {"class": "aside"}, said), tag("div", {"class": "landscapes"}, *cells)])


def _about(found: Sequence[Survey]) -> str:
    batches = sorted({one.landscape.batches for one in found})
    many = "one batch" if batches == [1] else f"{' or '.join(map(str, batches))} batches"
    return (
        f"Measured on {many} of fixed images with fixed views, along the gradient of the loss alone; the queue and the "
        "momentum branch stay where they are. Smooth: the gradient changes by more than its own length over a step of "
        f"the learning rate at one point in twenty at most, and by no more than {HOLDS:.0%} of it at half of them. "
        "Rugged: by more than its own length at a third of the points. The weights at the start are not judged."
    )
