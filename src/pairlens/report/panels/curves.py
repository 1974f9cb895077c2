"""Curves over training, all runs in one plot: the score statistics, and how the training itself went.

Which statistics there are, and what to look for in each, stands in `report/plots.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from pairlens.record.run import Run
from pairlens.report.axes import axis_switch, in_epochs, marks, steps_per_epoch, with_marks
from pairlens.report.html import Html, chart, join, tag, user
from pairlens.report.lines import line, stroke, with_band
from pairlens.report.localised import refresh_steps
from pairlens.report.plots import SCORES, TRAINING, Plot
from pairlens.report.read import Missing, Start, chance_of, column, transform_start
from pairlens.report.text import count, number, plot_text
from pairlens.report.theme import MUTED, NEGATIVE, POSITIVE, Style, figure, run_style
from pairlens.report.thin import Curve, thin


@dataclass(frozen=True)
class Curves:
    """The thinned curves of a run: statistic -> space ("" for the whole run) -> curve."""

    plots: tuple[Plot, ...]
    curves: Mapping[str, Mapping[str, Curve]]
    raw: Mapping[str, Mapping[str, Curve]]  # before the feature transform, where that changed anything
    chance: Mapping[str, float]  # log(K+1) of each space
    start: Start | None  # of the feature transform, where it begins late
    epoch: float | None  # steps
    refreshes: tuple[int, ...] = ()  # steps after which boxes were found anew, for scores


def compute(run: Run) -> Curves | Missing:
    """How the training went: every curve of `TRAINING` that was recorded."""
    return _compute(run, TRAINING)


def compute_scores(run: Run) -> Curves | Missing:
    """How positive and negative pairs scored: every curve of `SCORES` that was recorded."""
    return _compute(run, SCORES)


def _compute(run: Run, plots: tuple[Plot, ...]) -> Curves | Missing:
    table = run.statistics
    step = column(table, "step")
    if step is None:
        return Missing("No step has been recorded yet, so there are no curves.")
    found: dict[str, dict[str, Curve]] = {}
    raw: dict[str, dict[str, Curve]] = {}
    lonely = {space for space, given in run.info["spaces"].items() if given.get("negatives") == 0}
    for plot in plots:
        for space in run.spaces if plot.per_space else ("",):
            values = column(table, f"{space}.{plot.key}" if space else plot.key)
            if values is None or (space in lonely and not np.isfinite(values).any()):  # statistics of no negatives
                continue
            found.setdefault(plot.key, {})[space] = thin(step, values)
            before = column(table, f"{space}.{plot.raw}")
            if before is not None and not np.allclose(values, before, rtol=1e-3, atol=1e-5, equal_nan=True):
                raw.setdefault(plot.key, {})[space] = thin(step, before)
    if plots is TRAINING and "loss" not in found and (loss := column(table, "loss")) is not None:
        found["loss"] = {"": thin(step, loss)}
    marked = refresh_steps(run) if plots is SCORES else ()
    if not found:
        return Missing("The recorded statistics hold none of the known columns, so there are no curves.")
    return Curves(plots, found, raw, chance_of(run), transform_start(run), steps_per_epoch(run), marked)


def plot(found: Sequence[Curves], names: Sequence[str], places: Sequence[int], of: Plot) -> go.Figure:
    """One statistic of all runs: means of blocks, a pale band of their extremes, thin lines before the transform."""
    traces: list[go.Scatter] = []
    drawn_curves = []
    spaces = _spaces(found)
    for one, name, place in zip(found, names, places, strict=True):
        color = run_style(place).color if len(found) > 1 else MUTED
        of_run = [marks(one.refreshes, color)] if one.refreshes else []
        for space, curve in one.curves.get(of.key, {}).items():
            parts = [name] * (len(found) > 1) + [space] * (len(spaces) > 1 and space != "")
            style = _style(place, spaces.index(space) if space else 0, len(found), len(spaces), of.kind)
            label = plot_text(" \u00b7 ".join(parts), 40) if parts else ""
            if before := one.raw.get(of.key, {}).get(space):
                of_run.append(line(before, style, f"{label} before the transform".strip(), of.form, 1.1))
            of_run += with_band(curve, style, label, of.form)
            drawn_curves.append(curve)
        in_epochs(of_run, one.epoch)
        traces += of_run
    chances = sorted({round(v, 6) for one in found for v in one.chance.values()}) if of.key == "loss" else []
    traces += [_chance(value, found) for value in chances]
    drawn = figure(traces, "step", "")
    drawn = with_marks(drawn) if any(one.refreshes for one in found) else drawn
    for value in chances:
        words = {"text": f"log(K+1) = {value:.2f}", "showarrow": False, "font": {"color": MUTED, "size": 11.5}}
        drawn.add_annotation(words, x=1, xref="x domain", y=value, xanchor="right", yanchor="bottom")
    if of.form.endswith("%"):
        drawn.update_yaxes(tickformat=of.form)
    if of.key in {"gradient_norm", "effective_negatives"} and _spans_decades(drawn_curves):
        drawn.update_yaxes(type="log")
    if of.key in {"feature_std", "learning_rate", "effective_rank"}:
        drawn.update_yaxes(rangemode="tozero")
    return drawn.update_xaxes(tickformat=",", nticks=6, rangemode="tozero")


def _spaces(found: Sequence[Curves]) -> list[str]:
    return list(dict.fromkeys(space for one in found for spaces in one.curves.values() for space in spaces if space))


def _style(place: int, order: int, runs: int, spaces: int, kind: str | None) -> Style:
    """Colour tells the runs apart, dashes their spaces; a single run's spaces have a colour each.

    Where there is one curve, scores wear the colour of their kind, as on the heat maps.
    """
    if runs == 1 and spaces == 1 and kind:
        return Style({"positive": POSITIVE, "negative": NEGATIVE}[kind], "solid")
    if runs == 1:
        return run_style(order)
    return Style(run_style(place).color, run_style(order).dash) if spaces > 1 else run_style(place)


def _chance(value: float, found: Sequence[Curves]) -> go.Scatter:
    """The loss of a guess among the positive and K negatives, as a line as long as the longest run."""
    ends = [(float(c.step[-1]), one.epoch) for one in found for c in one.curves.get("loss", {}).values()]
    last = max(end for end, _ in ends)
    guess = go.Scatter(
        x=[0, last],
        y=[value, value],
        mode="lines",
        line={"color": MUTED, "width": 1.3, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
    )
    epochs = max(end / (epoch or 1.0) for end, epoch in ends)
    in_epochs([guess], last / epochs if epochs and all(epoch for _, epoch in ends) else 1.0)
    return guess


def _spans_decades(curves: Sequence[Curve]) -> bool:
    low = min((np.nanmin(c.low) for c in curves if np.isfinite(c.low).any()), default=0.0)
    high = max((np.nanmax(c.high) for c in curves if np.isfinite(c.high).any()), default=0.0)
    return bool(low > 0 and high / low > 100)


def draw(found: Sequence[Curves], names: Sequence[str], places: Sequence[int]) -> Html:
    """All plots as small multiples."""
    cells = []
    for of in found[0].plots:
        given = [one.curves[of.key] for one in found if of.key in one.curves]
        if given:
            ends = [number(float(c.mean[-1])) for spaces in given for c in spaces.values()]
            alt = f"{of.title} over training; at the end " + ", ".join(ends)
            broken = sum(len(c.broken) for spaces in given for c in spaces.values())
            lost = _lost(broken)
            head = tag("h3", {}, of.title)
            text = tag("p", {"class": "aside"}, of.sentence, lost)
            cells.append(
                tag(
                    "div",
                    {"class": f"plot-{of.key}"},
                    head,
                    text,
                    chart(plot(found, names, places, of), alt, 230, name=of.key),
                )
            )
    legend = _legend(found, names, places)
    kind = "scores multiples" if found[0].plots is SCORES else "multiples"
    said = _BAND + (_THIN if any(one.raw for one in found) else "")
    said += _FOUND if any(one.refreshes for one in found) else ""
    starts = [_start(one, name, len(found) > 1) for one, name in zip(found, names, strict=True) if one.start]
    top = tag("div", {"class": "toolbar"}, axis_switch([one.epoch for one in found]), legend)
    return join([top, tag("div", {"class": kind}, *cells), tag("p", {"class": "aside"}, said, *starts)])


def _start(of: Curves, name: str, several: bool) -> Html:
    """When this run's feature transform begins, and what that means for its line of guessing."""
    guess = (
        "; until then K, and with it log(K+1), is smaller"
        if of.plots is TRAINING and of.start and of.start.doubles
        else ""
    )
    whose = [" In run ", user(name), ", "] if several else [" In this run "]
    return join([*whose, f"{of.start}{guess}."])


def _legend(found: Sequence[Curves], names: Sequence[str], places: Sequence[int]) -> Html | None:
    """What colours and dashes mean, once for all plots; nothing where there is one curve a plot."""
    spaces = _spaces(found)
    keys = []
    if len(found) > 1:
        dashes = [run_style(place).dash if len(spaces) < 2 else "solid" for place in places]
        keys += [stroke(f"var(--run-{p % 8})", dash, n) for n, p, dash in zip(names, places, dashes, strict=True)]
        keys += [stroke(None, run_style(i).dash, space) for i, space in enumerate(spaces)] if len(spaces) > 1 else []
    elif len(spaces) > 1:
        keys = [stroke(f"var(--run-{i % 8})", run_style(i).dash, space) for i, space in enumerate(spaces)]
    return tag("ul", {"class": "legend"}, *keys) if keys else None


_BAND = (
    "Lines are means of blocks of steps; the pale band holds every single step between its least and greatest value."
)
_FOUND = " Thin upright lines mark where boxes were found anew."
_THIN = " Thin lines are the same pairs before the feature transform; the loss sees the thick ones."


def _lost(broken: int) -> str | None:
    if broken == 1:
        return " One value was not a number; a cross marks it."
    return f" {count(broken)} values were not numbers; crosses mark them." if broken else None
