"""Curves as plotly draws them, and their keys in legends."""

import numpy as np
import plotly.graph_objects as go

from pairlens.report.html import Html, tag, user
from pairlens.report.theme import BAND, Style, fade
from pairlens.report.thin import Curve


def with_band(curve: Curve, style: Style, name: str, form: str) -> list[go.Scatter]:
    """A curve's means as a line on a pale band of its extremes; crosses where it was not a number."""
    band = {
        "x": np.concatenate([curve.step, curve.step[::-1]]),
        "y": np.concatenate([curve.high, curve.low[::-1]]),
    }
    ok = np.isfinite(band["y"])
    traces = [
        go.Scatter(
            x=band["x"][ok].astype(np.float32),
            y=band["y"][ok].astype(np.float32),
            fill="toself",
            fillcolor=fade(style.color, BAND),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        ),
        line(curve, style, name, form, 2.0),
    ]
    if len(curve.broken):
        finite = curve.mean[np.isfinite(curve.mean)]
        marked = curve.broken[:: max(1, len(curve.broken) // 50)]
        traces.append(
            go.Scatter(
                x=marked.astype(np.float32),
                y=np.full(len(marked), finite.max() if len(finite) else 0.0),
                mode="markers",
                marker={"symbol": "x", "color": style.color, "size": 8},
                name="not a number",
                hovertemplate="step %{x:,.0f}: not a number<extra></extra>",
                showlegend=False,
            )
        )
    return traces


def line(curve: Curve, style: Style, name: str, form: str, width: float) -> go.Scatter:
    """A curve's means as a line."""
    value = "%{y:.1%}" if form.endswith("%") else "%{y:.4g}"
    return go.Scatter(
        x=curve.step.astype(np.float32),
        y=curve.mean.astype(np.float32),
        mode="lines",
        name=name,
        line={"color": style.color, "width": width, "dash": style.dash},
        opacity=1 if width >= 2 else 0.75,
        hovertemplate=f"step %{{x:,.0f}}: {value}<extra>{'%{fullData.name}' if name else ''}</extra>",
    )


def stroke(color: str | None, dash: str, name: str) -> Html:
    """A legend's entry: a piece of the line, and its name."""
    style = f"--c:{color}" if color else None
    return tag("li", {}, tag("span", {"class": f"stroke {dash}", "style": style, "aria-hidden": "true"}), user(name))
