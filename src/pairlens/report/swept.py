"""Curves over a swept argument, its values in a row of colours: FT's Figures 3 and 5 and Table 1, seeds averaged.

Which runs belong together is found in `report/sweep.py`; `report/panels/sweep.py` lays the figures out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from pairlens.intervals import interval
from pairlens.record.run import Run
from pairlens.report import swept_3d
from pairlens.report.axes import in_epochs, steps_per_epoch
from pairlens.report.lines import line, with_band
from pairlens.report.plots import SCORES, TRAINING, Plot
from pairlens.report.read import Missing, Scores, chance_of, column, scores, settled, undamaged
from pairlens.report.sweep import Sweep, over_seeds
from pairlens.report.text import number, plot_text
from pairlens.report.theme import INK, MUTED, SEQUENCE, Style, figure, order
from pairlens.report.thin import Curve, thin

POINTS = 200  # of a curve: ten of them with their bands stay a small picture
_BY_KEY = {plot.key: plot for plot in (*SCORES, *TRAINING)}
STATISTICS = tuple(_BY_KEY[key] for key in ("negative_variance", "negative_mean", "positive_mean"))
"""FT, Figure 3, in its order."""

SHOWN = (*STATISTICS, *(_BY_KEY[key] for key in ("loss", "gradient_norm", "accuracy")))
PROTOCOLS = {"knn": "kNN accuracy", "linear": "Linear accuracy"}


@dataclass(frozen=True)
class Swept:
    """One run of a sweep."""

    spaces: tuple[str, ...]
    curves: Mapping[tuple[str, str], Curve]  # by statistic and space ("" for the whole run)
    ends: Mapping[tuple[str, str], float]  # the same, over the last tenth of the steps
    jumps: Mapping[str, float]  # by space: mean change of the mean negative score from step to step, in the second half
    accuracy: Mapping[str, float]  # by protocol, of the encoder
    chance: Mapping[str, float]  # log(K+1) by space: the loss of a guess
    epoch: float | None  # steps


def compute(run: Run, plots: Sequence[Plot] = SHOWN) -> Swept | Missing:
    """The curves of one run, shorter than where it stands alone, and where they end."""
    table = run.statistics
    step = column(table, "step")
    if step is None:
        return Missing("No step has been recorded yet, so there are no curves.")
    curves, ends = {}, {}
    for plot in plots:
        for space in run.spaces if plot.per_space else ("",):
            values = column(table, f"{space}.{plot.key}" if space else plot.key)
            if values is not None and np.isfinite(values).any():
                curves[plot.key, space] = thin(step, values, POINTS)
                ends[plot.key, space] = settled(values)
    if not curves:
        return Missing("The recorded statistics hold none of the known columns, so there are no curves.")
    nothing: Scores = {}
    found = undamaged(lambda: scores(run.evaluation), nothing)
    accuracy = {name: found[name]["encoder"].top1 for name in PROTOCOLS if "encoder" in found.get(name, {})}
    jumps = {space: _jumps(column(table, f"{space}.negative_mean")) for space in run.spaces}
    return Swept(run.spaces, curves, ends, jumps, accuracy, chance_of(run), steps_per_epoch(run))


def _jumps(values: np.ndarray | None) -> float:
    """The mean size of a curve's steps in its second half; NaN where there are none."""
    if values is None:
        return float("nan")
    half = np.asarray(values[len(values) // 2 :], np.float64)
    changes = np.abs(np.diff(np.where(np.isfinite(half), half, np.nan)))
    changes = changes[~np.isnan(changes)]
    return float(changes.mean()) if len(changes) else float("nan")


@dataclass(frozen=True)
class Group:
    """The runs of one value."""

    label: str
    value: float
    place: int  # among the values
    runs: tuple[Swept, ...]

    def curve(self, key: str, space: str) -> Curve | None:
        """A statistic's mean over the seeds, with the seeds' extremes; None where no run has it."""
        found = [one.curves[key, space] for one in self.runs if (key, space) in one.curves]
        return over_seeds(found) if found else None

    @property
    def epoch(self) -> float | None:
        """Steps an epoch, where all runs agree."""
        lengths = {one.epoch for one in self.runs}
        return lengths.pop() if len(lengths) == 1 else None


def groups(found: Sequence[Swept], places: Sequence[int], sweep: Sweep) -> list[Group]:
    """The runs by value, in order; values none of whose runs can be read are left out."""
    of_run = sweep.of_run
    rows = [
        tuple(one for one, place in zip(found, places, strict=True) if of_run[place] == value)
        for value in range(len(sweep.values))
    ]
    return [
        Group(f"{value:g}", value, place, runs)
        for place, (value, runs) in enumerate(zip(sweep.values, rows, strict=True))
        if runs
    ]


def label(sweep: Sweep) -> str:
    """The argument's name as a figure's axis has it."""
    return plot_text(sweep.name.replace("_", " "))


def over_steps(rows: Sequence[Group], sweep: Sweep, of: Plot, space: str) -> go.Figure:
    """One statistic over the steps, a line a value (FT, Figure 5); the band holds the seeds."""
    traces: list[go.Scatter] = []
    for group in rows:
        curve = group.curve(of.key, space)
        if curve is None:
            continue
        style = Style(SEQUENCE[order(group.place, len(sweep.values))], "solid")
        name = f"{label(sweep)} {group.label}"
        drawn = (
            with_band(curve, style, name, of.form) if len(group.runs) > 1 else [line(curve, style, name, of.form, 2.0)]
        )
        in_epochs(drawn, group.epoch)
        traces += drawn
    drawn_over = figure(traces, "step", "")
    chances = {round(run.chance[space], 6) for group in rows for run in group.runs if space in run.chance}
    if of.key == "loss" and len(chances) == 1:
        words = {"text": "log(K+1)", "font": {"color": MUTED, "size": 11.5}}
        drawn_over.add_hline(chances.pop(), line={"color": MUTED, "width": 1.3, "dash": "dash"}, annotation=words)
    if of.form.endswith("%"):
        drawn_over.update_yaxes(tickformat=of.form)
    return drawn_over.update_xaxes(tickformat=",", nticks=6, rangemode="tozero")


def in_space(rows: Sequence[Group], sweep: Sweep, of: Plot, space: str) -> go.Figure:
    """The same in three dimensions: step, value and statistic (FT, Figure 3)."""
    curves = [(group, group.curve(of.key, space)) for group in rows]
    return swept_3d.figure(
        [(order(group.place, len(sweep.values)), group.place, group.label, c) for group, c in curves if c is not None],
        label(sweep),
        of.title,
    )


def accuracies(rows: Sequence[Group], sweep: Sweep) -> go.Figure | None:
    """Accuracy against the argument, with its 95 % interval over the seeds (FT, Table 1); None without any."""
    traces = []
    for (protocol, title), color, symbol in zip(PROTOCOLS.items(), (INK, MUTED), ("circle", "diamond"), strict=True):
        values = {group.place: [r.accuracy[protocol] for r in group.runs if protocol in r.accuracy] for group in rows}
        if any(values.values()):
            traces.append(_against(rows, sweep, values, title, color, symbol))
    if not traces:
        return None
    drawn = figure(traces, label(sweep), "top-1 accuracy", legend=True)
    drawn.update_yaxes(tickformat=".0%")
    return _lay_out(drawn, sweep)


def _against(
    rows: Sequence[Group], sweep: Sweep, values: Mapping[int, Sequence[float]], title: str, color: str, symbol: str
) -> go.Scatter:
    kept = [group for group in rows if values[group.place]]
    found = [interval(values[group.place]) for group in kept]
    halves = [one.half or 0.0 for one in found]
    said = [f"{n} run{'s' * (n > 1)}" for n in (one.count for one in found)]
    return go.Scatter(
        x=[group.place if sweep.axis == "categories" else group.value for group in kept],
        y=[one.mean for one in found],
        error_y={"type": "data", "array": halves, "color": color, "thickness": 1.3, "width": 4},
        mode="lines+markers",
        line={"color": color, "width": 2, "dash": "solid" if symbol == "circle" else "dash"},
        marker={"size": 7, "symbol": symbol, "color": color},
        name=title,
        customdata=[[group.label, text] for group, text in zip(kept, said, strict=True)],
        hovertemplate=f"{label(sweep)} %{{customdata[0]}}: %{{y:.1%}} (%{{customdata[1]}})<extra>{title}</extra>",
    )


def _lay_out(drawn: go.Figure, sweep: Sweep) -> go.Figure:
    """The argument's axis."""
    texts = [f"{value:g}" for value in sweep.values]
    if sweep.axis == "categories":
        ends = [-0.4, len(texts) - 0.6]
        return drawn.update_xaxes(tickvals=list(range(len(texts))), ticktext=texts, range=ends)
    ticks = {"tickvals": list(sweep.values), "ticktext": texts} if len(texts) <= 12 else {}
    return drawn.update_xaxes(type=sweep.axis, **ticks)


def figures(rows: Sequence[Group], sweep: Sweep, space: str, plots: Sequence[Plot] = SHOWN) -> dict[str, go.Figure]:
    """The two-dimensional figures of one space by name, for pages beside the report: a study's, a paper's."""
    found = {
        of.key: over_steps(rows, sweep, of, space if of.per_space else "")
        for of in plots
        if any((of.key, space if of.per_space else "") in run.curves for group in rows for run in group.runs)
    }
    accuracy = accuracies(rows, sweep)
    return found | ({} if accuracy is None else {"accuracy_by_value": accuracy})


def mean_end(group: Group, key: str, space: str) -> float:
    """A statistic over the last tenth of the steps, mean over the seeds."""
    values = [one.ends[key, space] for one in group.runs if np.isfinite(one.ends.get((key, space), np.nan))]
    return float(np.mean(values)) if values else float("nan")


def mean_jump(group: Group, space: str) -> str:
    """How far the mean negative score moves from step to step, mean over the seeds."""
    values = [jump for one in group.runs if np.isfinite(jump := one.jumps.get(space, np.nan))]
    return number(float(np.mean(values)), 2) if values else "\u2013"
