"""Curves in three dimensions, one behind the other: step, value, statistic (FT, Figure 3)."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from pairlens.report import theme
from pairlens.report.theme import GRID, INK, MUTED, SEQUENCE
from pairlens.report.thin import Curve

Row = tuple[int, int, str, Curve]
"""A value's colour among `SEQUENCE`, its place among the values, its label, and the curve."""


def figure(rows: Sequence[Row], name: str, title: str) -> go.Figure:
    """A line a value, equally far apart in the order of the values."""
    traces = [
        go.Scatter3d(
            x=curve.step.astype(np.float32),
            y=np.full(len(curve), place, np.float32),
            z=curve.mean.astype(np.float32),
            mode="lines",
            name=f"{name} {label}",
            line={"color": SEQUENCE[color], "width": 4},
            hovertemplate="step %{x:,.0f}: %{z:.4g}<extra>%{fullData.name}</extra>",
        )
        for color, place, label, curve in rows
    ]
    axis = {
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": GRID,
        "showbackground": False,
        "color": MUTED,
        "tickfont": {"color": MUTED, "size": 10},
        "showspikes": False,
    }
    places, labels = [place for _, place, _, _ in rows], [label for _, _, label, _ in rows]
    drawn = theme.figure(traces, "", "")
    drawn.layout.xaxis, drawn.layout.yaxis = {}, {}
    return drawn.update_layout(
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene={
            "xaxis": axis | {"title": {"text": "step", "font": {"size": 12}}, "tickformat": ",", "nticks": 5},
            "yaxis": axis | {"title": {"text": name, "font": {"size": 12}}, "tickvals": places, "ticktext": labels},
            "zaxis": axis | {"title": {"text": title.lower(), "font": {"size": 12}}, "nticks": 5},
            "aspectmode": "manual",
            "aspectratio": {"x": 1.1, "y": 0.95, "z": 0.7},
            "camera": {"eye": {"x": -1.62, "y": -1.73, "z": 0.86}, "center": {"x": -0.12, "y": 0.12, "z": -0.12}},
            "dragmode": "turntable",
            "bgcolor": "rgba(0,0,0,0)",
        },
        font={"color": INK},
    )
