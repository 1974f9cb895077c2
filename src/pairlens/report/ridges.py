"""The distributions of scores over training as a row of ridges, one behind the other: an alternative to the heat map.

N bins, T columns of the histograms.
"""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from pairlens.report.histograms import Distributions, Space, Stage, extent, strongest
from pairlens.report.text import count
from pairlens.report.theme import NEGATIVE, NEGATIVE_LINE, PAPER, POSITIVE, POSITIVE_LINE, fade, figure

RIDGES = 16
REACH = 2.6  # rows that a peak of `strongest` reaches over
TALLEST = 5.0  # rows at which a ridge is cut: a collapsed encoder has all scores in one bin
LOOK = {"negative": (NEGATIVE, NEGATIVE_LINE), "positive": (POSITIVE, POSITIVE_LINE)}


def chosen(columns: int, ridges: int = RIDGES) -> Int[np.ndarray, "R"]:
    """Which columns are drawn: evenly spread, with the first and the last."""
    return np.unique(np.linspace(0, columns - 1, min(ridges, columns)).round().astype(np.int64))


def heights(shares: Float[np.ndarray, "N"], top: float) -> Float[np.ndarray, "N"]:
    """How many rows high a ridge is over each bin."""
    return np.minimum(shares * (REACH / top), TALLEST)


def is_cut(space: Space, columns: Int[np.ndarray, "R"]) -> bool:
    """Whether any ridge is drawn lower than it is."""
    peaks = [
        float(shares[:, columns].max(initial=0)) for one in space.stages.values() for shares in one.shares.values()
    ]
    return max(peaks) * REACH / strongest(space) > TALLEST


def plot(found: Distributions, space: Space, stage: Stage) -> go.Figure:
    """Both kinds at some steps, the first on top and the last in front."""
    top, columns = strongest(space), chosen(len(found.step))
    low, high = extent(space, found.bins)
    inside = np.flatnonzero((found.bins >= low) & (found.bins <= high))
    bins = found.bins[inside]
    width = float(bins[1] - bins[0]) if len(bins) > 1 else 0.05
    traces = []
    for row, column in enumerate(columns):
        base = float(len(columns) - 1 - row)
        ridges = {kind: heights(shares[inside, column], top) for kind, shares in stage.shares.items()}
        behind = np.max(list(ridges.values()), axis=0)
        traces.append(
            _ridge(behind, base, bins, width, {"fillcolor": PAPER, "line": {"width": 0}, "hoverinfo": "skip"})
        )
        for kind in ("negative", "positive"):
            color, line = LOOK[kind]
            look = {"fillcolor": fade(color, 0.5), "line": {"color": line, "width": 1.2}, "name": f"{kind}s"}
            said = f"step {count(float(found.step[column]))}, cosine %{{x:.2f}}: {kind}s<extra></extra>"
            first = {"showlegend": row == 0, "hovertemplate": said}
            traces.append(_ridge(ridges[kind], base, bins, width, look | first))
    drawn = figure(traces, "cosine", "step")
    texts = [count(float(found.step[column])) for column in columns]
    every = 1 if len(columns) < 10 else 3
    places = [len(columns) - 1 - row for row in range(len(columns))]
    kept = [*range(0, len(columns) - every, every), len(columns) - 1]  # the last one always
    drawn.update_yaxes(
        tickvals=[places[i] for i in kept],
        ticktext=[texts[i] for i in kept],
        range=[-0.15, len(columns) - 1 + max(1.2, min(TALLEST, _headroom(stage, columns, top)) + 0.2)],
        showgrid=False,
    )
    return drawn.update_xaxes(range=[low, high], tickformat=".1f", dtick=0.2 if high - low < 1.4 else 0.5)


def _headroom(stage: Stage, columns: Int[np.ndarray, "R"], top: float) -> float:
    """How far the ridges of the first rows stand out above the first one's foot."""
    reach = 0.0
    for row, column in enumerate(columns[:6]):
        peak = max(float(heights(shares[:, column], top).max(initial=0)) for shares in stage.shares.values())
        reach = max(reach, peak - row)
    return reach


def _ridge(
    height: Float[np.ndarray, "N"], base: float, bins: Float[np.ndarray, "N"], width: float, look: dict[str, object]
) -> go.Scatter:
    """A ridge's outline from foot to foot; evenly spaced, so that its cosines need not be kept."""
    y = np.concatenate([[0.0], height, [0.0]]) + base
    given = {"showlegend": False, "mode": "lines", "fill": "toself"} | look
    return go.Scatter(x0=float(bins[0]) - width, dx=width, y=y.astype(np.float32), **given)
