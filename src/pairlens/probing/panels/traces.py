"""One alteration: a picture at all strengths, how near images stay to themselves, and what can be read off."""

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from pairlens.evaluate.alterations import Alteration
from pairlens.evaluate.invariance import Estimate, Traces
from pairlens.probing.panels.verdicts import chip
from pairlens.probing.verdict import SURE
from pairlens.probing.whole import Probe, Strip
from pairlens.probing.words import WORDS
from pairlens.report.html import Html, chart, picture, prose, tag, user
from pairlens.report.text import percent, plot_text
from pairlens.report.theme import MUTED, fade, figure, run_style

TURNS = ("", "90\u00b0", "180\u00b0", "270\u00b0")


def draw(probes: Sequence[Probe], name: str, strip: Strip) -> Html:
    """The alteration's row; `strip` shows it."""
    alteration = next(a for a in probes[0].alterations if a.name == name)
    chips = None if len(probes) > 1 else chip(probes[0].verdicts[name].kind, probes[0].verdicts[name].sure)
    head = tag("h3", {"id": name}, WORDS[name].noun.capitalize(), " ", chips)
    near = tag(
        "div",
        {},
        tag("h4", {}, "How near it stays to itself"),
        chart(curves(probes, alteration), _alt(probes, name), 250),
    )
    read = tag("div", {}, tag("h4", {}, "What can be read off"), _bars(probes, name), _asked(alteration))
    return tag(
        "article",
        {"class": "alteration"},
        head,
        _pictures(alteration, strip),
        tag("div", {"class": "columns"}, near, read),
        _sentences(probes, name),
    )


def label(alteration: Alteration, strength: float) -> str:
    """A strength as people say it."""
    if alteration.name == "rotation":
        return TURNS[int(strength)]
    if alteration.classes == 2:
        return {"gray": "in gray", "flip": "mirrored"}.get(alteration.name, alteration.unit)
    if alteration.classes:
        return f"texture {int(strength)}"
    return {
        "hue": f"{360 * strength:.0f}\u00b0",
        "scale": percent(strength, 0),
        "position": percent(strength, 0),
        "blur": f"{strength:g} px",
    }.get(alteration.name, f"\u00d7 {strength:g}")


def ordered(alteration: Alteration) -> list[float | None]:
    """The strengths in ascending order, None where the un-altered view stands among them."""
    neutral = alteration.neutral[0]
    found: list[float | None] = [s for s in alteration.strengths if s < neutral]
    return [*found, None, *(s for s in alteration.strengths if s >= neutral)]


def curves(probes: Sequence[Probe], alteration: Alteration) -> go.Figure:
    """Cosine over strength: an encoder's images to themselves, with their band, and to others."""
    traces: list[go.Scatter] = []
    for place, probe in enumerate(probes):
        mine = next(a for a in probe.alterations if a.name == alteration.name)
        traces += _curve(probe.own(alteration.name), mine, plot_text(probe.name, 32), place, len(probes) == 1)
    if len(probes) == 1:
        traces.append(_reference(probes[0].traces[alteration.name]["untrained"], alteration))
    drawn = figure(traces, _axis(alteration), "cosine")
    drawn.update_yaxes(range=[-0.25, 1.05], dtick=0.25)
    steps = ordered(alteration)
    names = ["as it is" if s is None else label(alteration, s) for s in steps]
    return drawn.update_xaxes(tickvals=list(range(len(steps))), ticktext=names, range=[-0.3, len(steps) - 0.7])


def _axis(alteration: Alteration) -> str:
    return {
        "scale": "share of the area that is seen",
        "position": "distance from the middle",
        "hue": "turn of the hue",
        "blur": "standard deviation of the blur",
        "rotation": "turned by",
    }.get(alteration.name, "")


def _points(traces: Traces, alteration: Alteration) -> tuple[list[Estimate], list[float]]:
    """Own and other cosines in the order of the axis; un-altered, an image is itself, and other to none."""
    by = {one.strength: one for one in traces.curve}
    steps = ordered(alteration)
    own = [Estimate(1.0, 0.0) if s is None else by[s].own for s in steps]
    return own, [math.nan if s is None else by[s].other.value for s in steps]


def _curve(traces: Traces, alteration: Alteration, name: str, place: int, alone: bool) -> list[go.Scatter]:
    style = run_style(place)
    own, other = _points(traces, alteration)
    x = np.arange(len(own))
    y = np.array([one.value for one in own])
    reach = SURE * np.nan_to_num(np.array([one.error for one in own]))
    band = go.Scatter(
        x=np.concatenate([x, x[::-1]]).tolist(),
        y=np.concatenate([y + reach, (y - reach)[::-1]]).tolist(),
        fill="toself",
        fillcolor=fade(style.color, 0.16),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
    )
    line = go.Scatter(
        x=x.tolist(),
        y=y.tolist(),
        customdata=reach.tolist(),
        name=name,
        mode="lines+markers",
        line={"color": style.color, "width": 2, "dash": style.dash},
        marker={"color": style.color, "size": 6},
        hovertemplate="to itself %{y:.3f} \u00b1 %{customdata:.3f}<extra>%{fullData.name}</extra>",
    )
    known = [(i, value) for i, value in enumerate(other) if math.isfinite(value)]
    others = go.Scatter(
        x=[i for i, _ in known],
        y=[value for _, value in known],
        name=f"{name}, others",
        mode="lines+markers" if len(known) == 1 else "lines",
        line={"color": MUTED if alone else style.color, "width": 1.5, "dash": "dot"},
        marker={"color": MUTED if alone else style.color, "size": 5, "symbol": "line-ew-open"},
        hovertemplate="to others %{y:.3f}<extra>%{fullData.name}</extra>",
    )
    return [band, line, others]


def _reference(traces: Traces, alteration: Alteration) -> go.Scatter:
    own, _ = _points(traces, alteration)
    return go.Scatter(
        x=list(range(len(own))),
        y=[one.value for one in own],
        name="untrained",
        mode="lines",
        line={"color": MUTED, "width": 1.5, "dash": "dash"},
        hovertemplate="to itself %{y:.3f}<extra>untrained</extra>",
    )


def legend(probes: Sequence[Probe]) -> Html:
    """What the lines and bars of every row are."""
    keys = [_key(f"--c:var(--run-{i % 8})", run_style(i).dash, user(probe.name)) for i, probe in enumerate(probes)]
    if len(probes) == 1:
        keys = [
            _key("--c:var(--run-0)", "solid", "an image to its altered self"),
            _key("--c:var(--muted)", "dot", "altered, to other images"),
            _key("--c:var(--muted)", "dash", "to itself, untrained network"),
        ]
    else:
        keys.append(_key("--c:var(--muted)", "dot", "dotted: altered, to other images"))
    return tag("ul", {"class": "legend"}, *keys)


def _key(style: str, dash: str, text: str) -> Html:
    return tag("li", {}, tag("span", {"class": f"stroke {dash}", "style": style, "aria-hidden": "true"}), text)


def _alt(probes: Sequence[Probe], name: str) -> str:
    said = [
        f"{probe.name}: to itself "
        + ", ".join(f"{one.own.value:.2f}" for one in probe.own(name).curve)
        + f", to others {probe.own(name).curve[-1].other.value:.2f}"
        for probe in probes
    ]
    return f"cosines under {WORDS[name].noun} by strength; " + "; ".join(said)


def _pictures(alteration: Alteration, strip: Strip) -> Html:
    by = dict(zip(strip.strengths[1:], strip.pictures[1:], strict=True))
    shown = []
    for strength in ordered(alteration):
        said = "as it is" if strength is None else label(alteration, strength)
        pixels = strip.pictures[0] if strength is None else by[strength]
        caption = tag("figcaption", {}, tag("b", {}, said) if strength is None else said)
        shown.append(tag("figure", {}, picture(pixels, f"{WORDS[alteration.name].noun}: {said}"), caption))
    return tag("div", {"class": "strip"}, *shown)


def _bars(probes: Sequence[Probe], name: str) -> Html:
    """A bar for each encoder, then the references of the first."""
    rows = [
        (user(p.name) if len(probes) > 1 else "this encoder", p.own(name).told, f"--c:var(--run-{i % 8})")
        for i, p in enumerate(probes)
    ]
    rows += [
        (
            ("untrained network" if r == "untrained" else "raw pixels"),
            probes[0].traces[name][r].told,
            "--c:var(--muted)",
        )
        for r in ("untrained", "pixels")
    ]
    return tag("ul", {"class": "read"}, *(_bar(*row) for row in rows))


def _bar(said: str, told: Estimate, style: str) -> Html:
    known = math.isfinite(told.value)
    share, reach = (max(0.0, min(1.0, told.value)), SURE * told.error) if known else (0.0, 0.0)
    low, high = max(0.0, share - reach), min(1.0, share + reach)
    bar = tag("i", {"style": f"width:{100 * share:.1f}%"})
    whisker = tag("u", {"style": f"left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"})
    value = f"{percent(told.value, 0)} \u00b1 {100 * reach:.0f}" if known else "\u2013"
    return tag(
        "li",
        {"style": style},
        tag("span", {"class": "label"}, said),
        tag("span", {"class": "bar", "aria-hidden": "true"}, bar, whisker),
        tag("b", {}, value),
    )


def _asked(alteration: Alteration) -> Html:
    """What the linear layer is asked for, and how its answers count."""
    if alteration.classes:
        what = "whether it was done" if alteration.classes == 2 else f"which of {alteration.classes}"
        what = f"{what} (its own, or that of one of three pictures)" if alteration.name == "texture" else what
        text = f"Asked for: {what}. Share of right answers above chance: 0 % is guessing, 100 % always right."
    else:
        what = {
            "hue": "the picture's mean colour after the turn (by how much it was turned is in no picture)",
            "scale": "the share of the area",
            "position": "where the crop lies, across and down",
            "blur": "the standard deviation",
        }.get(alteration.name, "the factor")
        text = f"Asked for: {what}. Variance that is explained (R\u00b2): 0 % is always saying the mean, 100 % exact."
    return tag("p", {"class": "aside"}, text)


def _sentences(probes: Sequence[Probe], name: str) -> Html:
    """What it means; of several encoders on demand."""
    if len(probes) == 1:
        return tag("p", {"class": "said"}, prose(" ".join(probes[0].verdicts[name].sentences)))
    said = []
    for probe in probes:
        judged = probe.verdicts[name]
        who = (tag("b", {}, user(probe.name)), " ", chip(judged.kind, judged.sure), " ")
        said.append(tag("p", {"class": "said"}, *who, prose(" ".join(judged.sentences))))
    return tag("details", {}, tag("summary", {}, "In words"), *said)
