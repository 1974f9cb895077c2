"""A landscape as a figure: points along the training times step sizes, as a heat map or as a relief to be turned.

P points along the training, M step sizes.
"""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from pairlens.report.axes import in_epochs
from pairlens.report.landscape import LOST, Landscape
from pairlens.report.theme import ENCODER, GRID, MUTED, NEGATIVE, POSITIVE, figure, heat

TITLES = {"rate": "step size, times the learning rate", "share": "distance, of the weights' norm"}


def values_of(of: Landscape, quantity: str, unit: str) -> Float[np.ndarray, "P M"]:
    """What is shown of a unit's walk: the loss's rise, or the gradient's change as a share of its length."""
    found = of.rise(unit) if quantity == "loss" else of.turn(unit)
    return np.where(np.isfinite(found), found, np.nan)


def heat_map(of: Landscape, quantity: str, unit: str, ends: tuple[float, float], epoch: float | None) -> go.Figure:
    """Over steps, or epochs of so many, and step sizes; `ends` are the least and the greatest value of all maps."""
    low, high = _colored(quantity, ends)
    bar = {"thickness": 10, "outlinewidth": 0, "tickfont": {"color": MUTED, "size": 11.5}, "nticks": 5}
    told = "the loss changes by %{z:+.3g}" if quantity == "loss" else "the gradient changes by %{z:.0%} of its length"
    trace = go.Heatmap(
        x=of.step.astype(np.float32),
        y=_labels(of, unit),
        z=values_of(of, quantity, unit).T.astype(np.float32),
        zmin=low,
        zmax=high,
        colorscale=_pale(quantity),
        colorbar=bar | {"tickformat": ".2~g" if quantity == "loss" else ".0%"},
        hovertemplate=f"step %{{x:,.0f}}, %{{y}}: {told}<extra></extra>",
    )
    in_epochs([trace], epoch)
    drawn = figure([trace], "step", TITLES[unit]).update_yaxes(type="category", showgrid=False)
    return drawn.update_xaxes(tickformat=",", nticks=6)


def relief(of: Landscape, quantity: str, unit: str, ends: tuple[float, float]) -> go.Figure:
    """The same as a surface, all of the same height; it needs WebGL."""
    low, high = _colored(quantity, ends)
    labels = _labels(of, unit)
    line = {"show": True, "color": MUTED, "width": 1, "highlight": False}
    trace = go.Surface(
        x=of.step.astype(np.float32),
        y=np.arange(len(labels)),
        z=values_of(of, quantity, unit).T.astype(np.float32),
        cmin=low,
        cmax=high,
        colorscale=[[0, GRID], [1, ENCODER]] if quantity == "gradient" else [[0, POSITIVE], [0.5, GRID], [1, NEGATIVE]],
        showscale=False,
        contours={"x": line, "y": line},
        hovertemplate="step %{x:,.0f}: %{z:.3g}<extra></extra>",
    )
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "color": MUTED, "showbackground": False, "showspikes": False}

    def titled(text: str) -> dict[str, Any]:
        return {**axis, "nticks": 5, "tickfont": {"size": 10}, "title": {"text": text, "font": {"size": 11}}}

    room = 0.02 * (ends[1] - ends[0]) or 1.0
    return figure([trace], "", "").update_layout(
        scene={
            "xaxis": titled("step"),
            "yaxis": titled("step size" if unit == "rate" else "distance")
            | {"tickvals": list(range(len(labels))), "ticktext": labels},
            "zaxis": titled("loss" if quantity == "loss" else "gradient")
            | {"range": [ends[0] - room, ends[1] + room], "tickformat": ".2~g" if quantity == "loss" else ".0%"},
            "aspectmode": "manual",
            "aspectratio": {"x": 1.5, "y": 1, "z": 0.8},
            "camera": {"eye": {"x": -1.35, "y": -1.95, "z": 1.05}, "center": {"x": 0, "y": 0, "z": -0.15}},
        },
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
    )


def _labels(of: Landscape, unit: str) -> list[str]:
    return [f"{100 * size:g} %" if unit == "share" else f"{size:g}" for size in of.walks[unit].size]


def _colored(quantity: str, ends: tuple[float, float]) -> tuple[float, float]:
    """Where colours end: of the loss as far below 0 as above, of the gradient at twice its length."""
    top = max(map(abs, ends)) or 1.0
    return (-top, top) if quantity == "loss" else (0.0, 2 * LOST)


def _pale(quantity: str) -> list[list[float | str]]:
    """From nothing to full colour; of the loss's changes blue where it falls, and vermilion where it rises."""
    if quantity == "gradient":
        return heat(ENCODER)
    falls = [[(1 - float(stop)) / 2, color] for stop, color in reversed(heat(POSITIVE))]
    rises = [[(1 + float(stop)) / 2, color] for stop, color in heat(NEGATIVE)]
    return [*falls, *rises]
