"""The horizontal axis of overlaid curves: steps, or epochs where every run tells how long its epochs are.

The figures are made in steps; each trace carries its run's steps an epoch, and the page's script divides by them.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.basedatatypes import BaseTraceType

from pairlens.record.run import Run
from pairlens.report.html import Html, switch


def steps_per_epoch(run: Run) -> float | None:
    """How many steps an epoch of this run has, where it says so."""
    length = run.info.get("steps_per_epoch")
    return float(length) if isinstance(length, int | float) and length > 0 else None


def in_epochs(traces: Iterable[BaseTraceType], length: float | None) -> None:
    """Let these traces be drawn over epochs of so many steps, too."""
    if length is not None:
        for trace in traces:
            trace.meta = {"epoch": length}


def marks(steps: Sequence[int], color: str) -> go.Scatter:
    """Thin vertical lines at some steps, as one trace on an axis of its own (`with_marks`)."""
    x = np.repeat(np.asarray(steps, np.float32), 3)
    y = np.tile(np.array([0, 1, np.nan], np.float32), len(steps))  # a gap after each line
    line = {"color": color, "width": 1}
    return go.Scatter(x=x, y=y, yaxis="y2", mode="lines", line=line, opacity=0.45, hoverinfo="skip", showlegend=False)


def with_marks(drawn: go.Figure) -> go.Figure:
    """Let marks reach over the figure's whole height, whatever its values."""
    return drawn.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})


def axis_switch(lengths: Sequence[float | None]) -> Html | None:
    """Buttons for steps and epochs; runs with different batches are compared over epochs. None where one has none."""
    if None in lengths:
        return None
    return switch("Horizontal axis", "axis", [("step", "Over steps"), ("epoch", "Over epochs")], "step")
