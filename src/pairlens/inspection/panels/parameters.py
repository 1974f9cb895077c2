"""What is drawn for the views: a small plot for each parameter, and the shares of views to which something is done."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from pairlens.inspection.parameters import Kind
from pairlens.report.html import Html, chart, join, tag
from pairlens.report.text import count, listed, percent
from pairlens.report.theme import ENCODER, MUTED, figure, heat, run_style

CELLS = 24  # of a histogram

PLOTS: Mapping[str, tuple[str, str, str]] = {
    "crop area": ("Area of crops", "Its share of the image's.", ".0%"),
    "crop aspect": ("Shape of crops", "Width over height, of the original's pixels, before it is squeezed.", "~g"),
    "brightness": ("Brightness", "The factor, where there is jitter.", "~g"),
    "contrast": ("Contrast", "The factor, where there is jitter.", "~g"),
    "saturation": ("Saturation", "The factor, where there is jitter.", "~g"),
    "hue": ("Hue", "Turns of the colour wheel, where there is jitter.", "~g"),
    "blur": ("Blur", "Its standard deviation in pixels of the view, where there is one.", "~g"),
}
NEUTRAL = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0, "crop aspect": 1.0}

RARE = ("turned", "another texture")
"""What few recipes do to a view: told only where it is done."""


def draw(kinds: Sequence[Kind]) -> Html:
    """All parameters that vary; those that do not are named in a sentence."""
    varying = [name for name in PLOTS if any(_varies(kind.numbers[name]) for kind in kinds)]
    idle = [PLOTS[name][0].lower() for name in PLOTS if name not in varying]
    plots = [_plot(name, kinds) for name in varying]
    plots[2:2] = [_centres(kind, several=len(kinds) > 1) for kind in kinds]
    note = tag("p", {"class": "aside"}, f"Left as it is in every view: {listed(idle)}.") if idle else None
    draws = count(len(kinds[0].numbers["crop area"]))
    aside = tag("p", {"class": "aside"}, f"{draws} draws of {_who(kinds[0])}, for random images of the set.")
    return join([_legend(kinds), tag("div", {"class": "multiples"}, *plots, _shares(kinds)), note, aside])


def _varies(values: np.ndarray) -> bool:
    return len(values) > 1 and float(np.ptp(values)) > 1e-9


def _who(kind: Kind) -> str:
    """The views of a kind: all names, or as many as can be read."""
    names = kind.names if len(kind.names) <= 3 else (kind.names[0], "\u2026", kind.names[-1])
    return f"{listed(list(names)) if len(kind.names) <= 3 else ' '.join(names)} ({kind.size} px)"


def _legend(kinds: Sequence[Kind]) -> Html | None:
    if len(kinds) == 1:
        return None
    keys = []
    for place, kind in enumerate(kinds):
        style = run_style(place)
        stroke = tag(
            "span", {"class": f"stroke {style.dash}", "style": f"--c:var(--run-{place})", "aria-hidden": "true"}
        )
        keys.append(tag("li", {}, stroke, _who(kind)))
    return tag("ul", {"class": "legend"}, *keys)


def _plot(name: str, kinds: Sequence[Kind]) -> Html:
    title, sentence, form = PLOTS[name]
    means = listed([f"{np.mean(kind.numbers[name]):.2f}" for kind in kinds if len(kind.numbers[name])])
    alt = f"distribution of {title.lower()}; mean {means}"
    drawn = distribution(name, [kind.numbers[name] for kind in kinds], form)
    return tag("div", {}, tag("h3", {}, title), tag("p", {"class": "aside"}, sentence), chart(drawn, alt, 170))


def distribution(name: str, numbers: Sequence[np.ndarray], form: str) -> go.Figure:
    """A histogram of each kind of view over the same cells, as shares of the draws; filled where there is one kind."""
    given = [values for values in numbers if len(values)]
    low, high = min(v.min() for v in given), max(v.max() for v in given)
    edges = np.linspace(low, high if high > low else low + 1, CELLS + 1)
    traces: list[go.Scatter | go.Bar] = []
    for place, values in enumerate(numbers):
        if len(values) == 0:
            continue
        shares = np.histogram(values, edges)[0] / len(values)
        style = run_style(place)
        if len(numbers) == 1:
            middles = (edges[:-1] + edges[1:]) / 2
            traces.append(go.Bar(x=middles, y=shares, marker={"color": style.color, "line": {"width": 0}}))
        else:
            line = {"color": style.color, "dash": style.dash, "shape": "hv", "width": 2}
            traces.append(go.Scatter(x=edges, y=[*shares, shares[-1]], mode="lines", line=line))
    shown = ":.0%" if form == ".0%" else ":.2f"
    for trace in traces:
        trace.hovertemplate = f"%{{x{shown}}}: %{{y:.1%}}<extra></extra>"
    drawn = figure(traces, "", "").update_layout(bargap=0.06)
    if name in NEUTRAL and edges[0] < NEUTRAL[name] < edges[-1]:
        drawn.add_vline(NEUTRAL[name], line={"color": MUTED, "width": 1, "dash": "dash"})
    return drawn.update_xaxes(tickformat=form).update_yaxes(tickformat=".0%", nticks=4, rangemode="tozero")


def _centres(kind: Kind, *, several: bool) -> Html:
    title = "Centres of crops" + (f", {kind.size} px" if several else "")
    sentence = "Where in the image they lie, from pale to full colour. Large crops stay near the middle."
    middle = float(kind.centres[6:18, 6:18].sum())
    alt = f"density of the crops' centres over the image; {percent(middle, 0)} lie in its central quarter"
    return tag(
        "div", {}, tag("h3", {}, title), tag("p", {"class": "aside"}, sentence), chart(centres_figure(kind), alt, 170)
    )


def centres_figure(kind: Kind) -> go.Figure:
    """The density over the image, as wide as high."""
    cells = len(kind.centres)
    places = (np.arange(cells) + 0.5) / cells
    density = go.Heatmap(
        x=places,
        y=places,
        z=kind.centres * cells**2,
        colorscale=heat(ENCODER),
        zmin=0,
        showscale=False,
        hovertemplate="%{x:.0%} from the left, %{y:.0%} from the top: %{z:.2f} of an even density<extra></extra>",
    )
    drawn = figure([density], "", "")
    drawn.update_xaxes(tickformat=".0%", range=[0, 1], constrain="domain", nticks=3)
    return drawn.update_yaxes(
        tickformat=".0%", range=[1, 0], scaleanchor="x", constrain="domain", nticks=3, showgrid=False
    )


def _shares(kinds: Sequence[Kind]) -> Html:
    """What is done to which share of the views."""
    names = [name for name in kinds[0].shares if name not in RARE or any(kind.shares[name] for kind in kinds)]
    rows = [_share(name, [kind.shares[name] for kind in kinds]) for name in names]
    operations = dict.fromkeys(name for kind in kinds for name in kind.operations)
    rows += [_share(name, [kind.operations.get(name, 0.0) for kind in kinds]) for name in operations]
    head = tag("h3", {}, "Done to a view")
    about = "The share of views to which it is done."
    return tag("div", {}, head, tag("p", {"class": "aside"}, about), tag("ul", {"class": "counts shares"}, *rows))


def _share(name: str, shares: Sequence[float]) -> Html:
    bars = [
        tag("i", {"style": f"width:{100 * share:.1f}%;--c:var(--run-{place})"}) for place, share in enumerate(shares)
    ]
    said = " / ".join(percent(share, 0) for share in shares)
    return tag(
        "li",
        {},
        tag("span", {"class": "label"}, name),
        tag("span", {"class": "bar", "aria-hidden": "true"}, *bars),
        tag("b", {}, said),
    )
