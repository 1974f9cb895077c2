"""Line charts side by side with one legend below, as a small SVG: what a committed result needs, and no more."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

INK, MUTED, GRID, PAPER = "#1c1e24", "#646b78", "#e5e4df", "#ffffff"
FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"

WIDTH, HEIGHT = 300, 210  # of a chart's area, pixels
LEFT, TOP, RIGHT, BOTTOM = 46, 44, 16, 46  # around it
ROW, KEY = 20, 26  # a legend's line, and its stroke


@dataclass(frozen=True)
class Line:
    """A line of a chart; lines of one name share a place in the legend."""

    name: str
    color: str
    points: Sequence[tuple[float, float]]
    dash: str = ""  # as SVG has it: "6 4"
    band: Sequence[tuple[float, float, float]] = ()  # x, low and high


@dataclass(frozen=True)
class Chart:
    """One chart; a line with a single point is drawn as a level, from side to side."""

    title: str
    x: str
    lines: Sequence[Line]
    per_cent: bool = False  # y is a share, told in per cent


def figure(charts: Sequence[Chart], columns: int = 2) -> str:
    """All charts in a row, and their lines' names below in so many columns."""
    lines = list({line.name: line for chart in charts for line in chart.lines}.values())
    wide, high = LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM
    width, rows = wide * len(charts), math.ceil(len(lines) / columns)
    height = high + ROW * rows + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="{FONT}" font-size="12" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
    ]
    for place, chart in enumerate(charts):
        parts += [f'<g transform="translate({place * wide + LEFT} {TOP})">', *_chart(chart), "</g>"]
    for place, line in enumerate(lines):
        x, y = LEFT + (place % columns) * (width - LEFT) // columns, high + ROW * (place // columns)
        stroke = f'<line x1="{x}" y1="{y}" x2="{x + KEY}" y2="{y}"{_stroke(line)}/>'
        parts += [stroke, f'<text x="{x + KEY + 8}" y="{y + 4}">{escape(line.name)}</text>']
    return "\n".join([*parts, "</svg>"]) + "\n"


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """At most so many round numbers within a range."""
    span = high - low
    if span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span))
    step = next(s * power for s in (0.1, 0.2, 0.5, 1, 2) if span / (s * power) <= most - 1)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _chart(chart: Chart) -> list[str]:
    """Grid, axes and lines; y begins at 0."""
    across = [x for line in chart.lines for x, _ in line.points if len(line.points) > 1] or [0.0, 1.0]
    up = [y for line in chart.lines for _, y in line.points]
    up += [high for line in chart.lines for _, _, high in line.band]
    left, right, top = min(across), max(across), 1.06 * max([*up, 1e-3])

    def at(x: float, y: float) -> tuple[float, float]:
        return WIDTH * (x - left) / max(right - left, 1e-9), HEIGHT * (1 - y / top)

    parts = [f'<text x="0" y="-20" font-weight="600">{escape(chart.title)}</text>']
    for value in ticks(0, top):
        y = at(0, value)[1]
        label = f"{100 * value:g} %" if chart.per_cent else f"{value:g}"
        parts.append(f'<line x1="0" y1="{y:.1f}" x2="{WIDTH}" y2="{y:.1f}" stroke="{GRID}"/>')
        parts.append(f'<text x="-8" y="{y + 4:.1f}" text-anchor="end" fill="{MUTED}">{label}</text>')
    for value in ticks(left, right):
        x = at(value, 0)[0]
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT + 18}" text-anchor="middle" fill="{MUTED}">{value:g}</text>')
    middle = f'x="{WIDTH / 2}" y="{HEIGHT + 36}" text-anchor="middle" fill="{MUTED}"'
    parts.append(f"<text {middle}>{escape(chart.x)}</text>")
    for line in chart.lines:
        if line.band:
            edge = [at(x, high) for x, _, high in line.band] + [at(x, low) for x, low, _ in reversed(line.band)]
            parts.append(f'<polygon points="{_points(edge)}" fill="{line.color}" opacity="0.14"/>')
        level = len(line.points) == 1
        ends = [(left, line.points[0][1]), (right, line.points[0][1])] if level else line.points
        parts.append(f'<polyline points="{_points([at(*p) for p in ends])}" fill="none"{_stroke(line)}/>')
    return parts


def _stroke(line: Line) -> str:
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    return f' stroke="{line.color}" stroke-width="2" stroke-linejoin="round"{dash}'


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
