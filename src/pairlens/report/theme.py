"""The page's colours and the look of its figures; positives and negatives have the same two colours everywhere.

Figures are made in the light colours. The page's script exchanges them by `DARK` when the reader prefers dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.colors
import plotly.graph_objects as go
from plotly.basedatatypes import BaseTraceType

INK, MUTED, GRID, PAPER = "#1c1e24", "#646b78", "#e5e4df", "#ffffff"
POSITIVE, NEGATIVE = "#0072b2", "#d55e00"  # Okabe and Ito's blue and vermilion: apart for every kind of colour vision
POSITIVE_LINE, NEGATIVE_LINE = "#00466e", "#8a3c00"  # the same hues, for lines on their own heat
ENCODER = "#4b3fa7"
PARTS = {
    "data": "#b9a44c",
    "views": "#2f9e8f",
    "forward": "#4b3fa7",
    "backward": "#a79bdc",
    "record": "#c0356b",
    "rest": "#b4b2ab",
}
SPACES = ("#5b6b7f", "#c46a00", "#2a7fb8", "#a6386f", "#3f8f3f", "#7a5cc2")  # the invariant one first
VIEWS = ("#7b3294", "#1b8a5a", "#a6761d", "#c2185b")

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


@dataclass(frozen=True)
class Style:
    """How one run's curves look."""

    color: str
    dash: str


BAND = 0.16
"""Opacity of the band about a curve."""

_RUNS = (ENCODER, "#15803d", "#c0356b", "#8a7500", "#0f8a8a", "#8c2f7f", "#6b5a4b", "#5d6b7a")
_DASHES = ("solid", "dash", "dot", "dashdot")

DARK = {
    INK: "#e9eaee",
    MUTED: "#9ba3b1",
    GRID: "#2b2f38",
    PAPER: "#181a20",
    POSITIVE: "#4cb1f2",
    NEGATIVE: "#f58a4b",
    POSITIVE_LINE: "#bfe4ff",
    NEGATIVE_LINE: "#ffd3b8",
    ENCODER: "#a79cf7",
    "#15803d": "#57c785",
    "#c0356b": "#f07aa6",
    "#8a7500": "#d6c04a",
    "#0f8a8a": "#48c9c9",
    "#8c2f7f": "#d98fd0",
    "#6b5a4b": "#bfa994",
    "#5d6b7a": "#a3b1c2",
    "#b9a44c": "#cdb95f",
    "#2f9e8f": "#4fc0b0",
    "#a79bdc": "#6a5fc4",
    "#b4b2ab": "#6f727a",
    "#5b6b7f": "#93a3b8",
    "#c46a00": "#f0a44a",
    "#2a7fb8": "#6cb8ea",
    "#a6386f": "#e583b4",
    "#3f8f3f": "#7cc97c",
    "#7a5cc2": "#b39df0",
}


def _sampled(low: float, high: float, count: int = 16) -> tuple[str, ...]:
    """Colours of Viridis between two of its places, dark to bright; neighbours of its stops are mixed."""
    stops = [tuple(int(color[i : i + 2], 16) for i in (1, 3, 5)) for color in plotly.colors.sequential.Viridis]
    found = []
    for step in range(count):
        at = (low + (high - low) * step / (count - 1)) * (len(stops) - 1)
        first = min(int(at), len(stops) - 2)
        mixed = (round(a + (b - a) * (at - first)) for a, b in zip(stops[first], stops[first + 1], strict=True))
        found.append("#" + "".join(f"{channel:02x}" for channel in mixed))
    return tuple(found)


SEQUENCE = _sampled(0.0, 0.8)
"""Of what has an order, first to last; in order for every kind of colour vision and in grey."""

_SEQUENCE_DARK = _sampled(0.34, 1.0)


def order(place: int, count: int) -> int:
    """Which colour of `SEQUENCE` one of so many things in their order has; the page calls it `--order-...`."""
    return round(place * (len(SEQUENCE) - 1) / max(1, count - 1))


def run_style(place: int) -> Style:
    """Colour and dash of the run at this place; the first runs keep theirs when others are added.

    Thirty-two places have a pair of their own.
    """
    return Style(_RUNS[place % len(_RUNS)], _DASHES[(place + place // len(_RUNS)) % len(_DASHES)])


def fade(color: str, opacity: float) -> str:
    """A `#rrggbb` colour made translucent."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:.3f})"


def heat(color: str, power: float = 0.55, strongest: float = 0.95) -> list[list[float | str]]:
    """A colour scale from nothing to `color`: opacity grows as value ** power, so that small shares can be seen."""
    stops = [(i / 12) ** 2 for i in range(13)]
    return [[stop, fade(color, strongest * stop**power)] for stop in stops]


def dark_colors() -> dict[str, str]:
    """Light colour to dark colour, with every translucent shade that the figures use."""
    shades: dict[str, str] = {}
    for light, dark in DARK.items():
        shades[light] = dark
        shades |= {fade(light, a): fade(dark, a) for a in (0.10, BAND, 0.25, 0.5)}
        shades |= {str(a[1]): str(b[1]) for a, b in zip(heat(light), heat(dark), strict=True)}
        shades |= {str(a[1]): str(b[1]) for a, b in zip(heat(light, 0.6, 0.5), heat(dark, 0.6, 0.5), strict=True)}
    for light, dark in zip(SEQUENCE, _SEQUENCE_DARK, strict=True):
        shades |= {light: dark, fade(light, BAND): fade(dark, BAND)}
    return shades


def figure(traces: Sequence[BaseTraceType], x: str, y: str, legend: bool = False) -> go.Figure:
    """A figure in the page's look: traces, and the titles of its axes."""
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": GRID,
        "ticks": "",
        "automargin": True,
        "tickfont": {"color": MUTED, "size": 11.5},
        "fixedrange": False,
    }
    title = {"font": {"color": MUTED, "size": 12}, "standoff": 8}
    layout = {
        "template": None,
        "font": {"family": FONT, "size": 12.5, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 10, "t": 10, "b": 8},
        "xaxis": axis | {"title": title | {"text": x}, "showgrid": False},
        "yaxis": axis | {"title": title | {"text": y}},
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"color": INK}},
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": GRID, "font": {"color": INK, "family": FONT, "size": 12.5}},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
    }
    return go.Figure(data=traces, layout=layout)


def style_css() -> str:
    """The colours that figures and page share, as custom properties of both themes."""
    names = {"ink": INK, "muted": MUTED, "line": GRID, "card": PAPER, "positive": POSITIVE, "negative": NEGATIVE}
    names |= {"positive-line": POSITIVE_LINE, "negative-line": NEGATIVE_LINE, "accent": ENCODER}
    names |= {f"part-{k}": v for k, v in PARTS.items()} | {f"run-{i}": c for i, c in enumerate(_RUNS)}
    names |= {f"space-{i}": c for i, c in enumerate(SPACES)} | {f"order-{i}": c for i, c in enumerate(SEQUENCE)}
    worn = DARK | dict(zip(SEQUENCE, _SEQUENCE_DARK, strict=True))
    light = "".join(f"--{k}:{v};" for k, v in names.items())
    dark = "".join(f"--{k}:{worn[v]};" for k, v in names.items())
    return f":root{{{light}}}:root[data-theme=dark]{{{dark}}}"
