"""How a training changed what lies near what, as small curves: drawn here, since a page of maps needs no plotly."""

from collections.abc import Sequence

from pairlens.mapping.asked import Frame, Track
from pairlens.report.html import Html, tag
from pairlens.report.text import percent

WIDTH, HEIGHT, EDGE = 320.0, 110.0, 8.0


def curves(track: Track) -> Html:
    """Agreement with labels, of neighbours and clusters, neighbours of the end, and how alike all images are."""
    frames = [frame for frame in track.frames if not frame.flat]
    made = [
        _curve(track, frames, [f.agreed for f in frames], "Neighbours of the same label", True),
        _curve(
            track,
            frames,
            [None if f.clusters is None else f.clusters.nmi for f in frames],
            "Clusters agree with labels (NMI)",
            False,
        ),
        _curve(track, frames, [f.kept for f in frames], "Neighbours that are those of the end", True),
        _curve(track, list(track.frames), [f.mean_cosine for f in track.frames], "Mean cosine of two images", False),
    ]
    return tag("div", {"class": "multiples curves"}, *made)


def _curve(
    track: Track, frames: Sequence[Frame], values: Sequence[float | None], title: str, shares: bool
) -> Html | None:
    """One curve over the steps; None where there is nothing to draw."""
    points = [(frame, float(value)) for frame, value in zip(frames, values, strict=True) if value is not None]
    if len(points) < 2:
        return None
    last = max(1, *(frame.moment.step or 0 for frame, _ in points))
    low, high = min(0.0, *(value for _, value in points)), max(value for _, value in points)
    scale = (HEIGHT - 2 * EDGE) / max(high - low, 1e-9)
    at = [
        (EDGE + (WIDTH - 2 * EDGE) * (frame.moment.step or 0) / last, HEIGHT - EDGE - scale * (value - low))
        for frame, value in points
    ]
    line = tag("polyline", {"points": " ".join(f"{x:.1f},{y:.1f}" for x, y in at)})
    base = tag(
        "line",
        {"x1": 0, "x2": WIDTH, "y1": f"{HEIGHT - EDGE + scale * low:.1f}", "y2": f"{HEIGHT - EDGE + scale * low:.1f}"},
    )
    dots = [
        tag(
            "circle",
            {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": 4.5, "data-moment": track.frames.index(frame)},
            tag("title", {}, f"{frame.moment.title}: {_text(value, shares)}"),
        )
        for (frame, value), (x, y) in zip(points, at, strict=True)
    ]
    told = f"{_text(points[0][1], shares)} \u2192 {_text(points[-1][1], shares)}"
    drawn = tag(
        "svg",
        {"viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "role": "img", "aria-label": f"{title}: {told}"},
        base,
        line,
        *dots,
    )
    return tag("div", {}, tag("h3", {}, title), tag("p", {"class": "aside"}, told), drawn)


def _text(value: float, shares: bool) -> str:
    return percent(value, 0) if shares else f"{value:.2f}".replace("-", "\u2212")
