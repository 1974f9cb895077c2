"""The page of a label shift: the findings, three clouds of points for each encoder, and the figures."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import plotly.graph_objects as go

import pairlens
from pairlens.evaluate.embedding import MISSING
from pairlens.intervals import Estimate
from pairlens.report.document import Section, document
from pairlens.report.html import Html, chart, join, notice, prose, scrolling, tag, user
from pairlens.report.text import clean, count, plot_text
from pairlens.report.theme import NEGATIVE, POSITIVE, figure, run_style
from pairlens.shift.whole import MEASURES, Asked, Shift, sentences

NAMES = {
    "ratio": "between / within",
    "silhouette": "silhouette",
    "agreement": "neighbours agree, %",
    "elsewhere": "nearer to another class, %",
    "moved": "moved there, %",
}
WORDS = {
    "ratio": "Variance between the classes over variance within them: more is farther apart.",
    "silhouette": "How much nearer an image is to its own class than to the next: 1 is far apart, 0 is mixed.",
    "agreement": "Of the ten nearest images, equally augmented, how many are of the same class.",
    "elsewhere": "Images that are nearer to the mean of another class, as its images are without augmentation, than to "
    "that of their own.",
    "moved": "Those of them that augmentation has moved there: without it they were nearest to their own class.",
}
PERCENT = ("agreement", "elsewhere", "moved")
TITLES = {"none": "No augmentation", "weak": "Weak", "strong": "Strong"}
SYMBOLS = (
    ("circle", "\u25cf"),
    ("square", "\u25a0"),
    ("diamond", "\u25c6"),
    ("triangle-up", "\u25b2"),
    ("x", "\u2716"),
    ("star", "\u2605"),
    ("triangle-down", "\u25bc"),
    ("cross", "\u271a"),
    ("hexagon", "\u2b22"),
    ("bowtie", "\u29d3"),
)
"""Plotly's name of a symbol, and the letter that looks like it: classes differ in symbol and in colour."""
COLORS = (*((run_style(i).color, f"run-{i}") for i in range(8)), (POSITIVE, "positive"), (NEGATIVE, "negative"))
"""The theme's colours, each of which has a dark twin, and their names in the page's style."""


def page(asked: Asked, found: Sequence[Shift]) -> str:
    """The whole page as text."""
    title = f"Label shift: {' and '.join(one.name for one in found)}"
    first = found[0].chosen
    about = f"{count(len(first.index))} images of {len(first.classes)} classes, without, with weak and with strong "
    header = tag("header", {}, tag("h1", {}, user(title)), tag("p", {"class": "aside"}, about + "augmentation."))
    made = f"Made by pairlens {pairlens.__version__} from {clean(Path(asked.source.name).name)}, seed {asked.seed}. "
    footer = tag("footer", {}, made + "This page is complete in itself and asks nothing of the network.")
    css = files("pairlens.shift").joinpath("page.css").read_text(encoding="utf-8")
    said = tag("ul", {"class": "findings"}, *(tag("li", {}, clean(text)) for text in sentences(found)))
    sections = [
        Section("glance", "At a glance", "", said),
        Section(
            "clouds",
            "Where images lie",
            "Each point is an image; points that lie close have like features. Classes that stand apart on the left "
            "and flow together on the right have lost their borders to augmentation.",
            _clouds(found),
        ),
        Section(
            "figures",
            "How far classes are apart",
            f"In the features themselves, not in the picture: means and 95 % intervals over {asked.draws} draws of "
            "images and views.",
            _figures(found),
        ),
        Section("method", "How it was done", "", _method(asked)),
    ]
    return document(title, "page", header, sections, footer, css)


def _clouds(found: Sequence[Shift]) -> Html:
    parts = [_symbols(found[0].chosen.classes)]
    for one in found:
        head = tag("h3", {}, user(one.name)) if len(found) > 1 else None
        if one.points is None:
            parts.append(join([head, notice(MISSING)]))
            continue
        clouds = []
        for strength in one.points:
            moved = figure_text("moved", one.estimate(strength, "moved"))
            said = "as the images are" if strength == "none" else f"{moved}\u00a0% moved nearer to another class"
            alt = f"t-SNE of {one.name}, {TITLES[strength]}: {said}"
            body = (tag("h4", {}, TITLES[strength]), chart(cloud(one, strength), alt, 300))
            clouds.append(tag("div", {}, *body, tag("p", {"class": "minor"}, said)))
        parts.append(join([head, tag("div", {"class": "clouds"}, *clouds)]))
    return join(parts)


def _symbols(classes: Sequence[str]) -> Html:
    items = [
        tag(
            "li",
            {},
            tag("b", {"style": f"color:var(--{COLORS[i % len(COLORS)][1]})"}, SYMBOLS[i % len(SYMBOLS)][1]),
            user(name),
        )
        for i, name in enumerate(classes)
    ]
    return tag("ul", {"class": "symbols", "aria-label": "classes"}, *items)


def cloud(one: Shift, strength: str) -> go.Figure:
    """The points of one strength, a trace a class."""
    assert one.points is not None
    points, labels = one.points[strength], one.chosen.labels.numpy()
    traces = []
    for number, name in enumerate(one.chosen.classes):
        own = labels == number
        traces.append(
            go.Scatter(
                x=points[own, 0],
                y=points[own, 1],
                text=[plot_text(file, 40) for file, mine in zip(one.names, own, strict=True) if mine],
                name=plot_text(name),
                mode="markers",
                marker={
                    "color": COLORS[number % len(COLORS)][0],
                    "symbol": SYMBOLS[number % len(SYMBOLS)][0],
                    "size": 6,
                    "opacity": 0.8,
                    "line": {"width": 0},
                },
                hovertemplate="%{fullData.name}<br>%{text}<extra></extra>",
            )
        )
    drawn = figure(traces, "", "")
    axis = {"showticklabels": False, "showgrid": False, "title": None, "showline": True, "mirror": True}
    return drawn.update_xaxes(**axis).update_yaxes(**axis, scaleanchor="x")


def _figures(found: Sequence[Shift]) -> Html:
    heads = [tag("th", {"scope": "col"}, text) for text in ("", *NAMES.values())]
    rows = []
    for one in found:
        for i, strength in enumerate(one.measured):
            name = tag("th", {"scope": "row"}, tag("b", {}, TITLES[strength]), user(one.name))
            cells = (tag("td", {}, figure_text(m, one.estimate(strength, m))) for m in MEASURES)
            rows.append(tag("tr", {"class": "next" if i == 0 else None}, name, *cells))
    body = tag("thead", {}, tag("tr", {}, *heads)), tag("tbody", {}, *rows)
    terms = [part for m in MEASURES for part in (tag("dt", {}, NAMES[m]), tag("dd", {}, WORDS[m]))]
    table = scrolling(tag("table", {"class": "figures"}, *body), "figures")
    return join([table, tag("dl", {"class": "measures"}, *terms)])


def figure_text(measure: str, value: Estimate) -> str:
    """A figure with its interval."""
    scale, digits = (100, 1) if measure in PERCENT else (1, 3)
    text = f"{scale * value.mean:.{digits}f}".replace("-", "\u2212")
    return text if value.half is None else f"{text} \u00b1 {scale * value.half:.{digits}f}"


def _method(asked: Asked) -> Html:
    space = "the encoder's features" if asked.space is None else f"the output of the head {asked.space}"
    weak, strong = ("{:g} to {:g}".format(*crop) for crop in (asked.weak_crop, asked.strong_crop))
    words = [
        f"Looked at: {space}, brought to unit length. After Good Practices (2020), Figure 3, which shows it for a "
        "supervised network and does not say what weak and strong are.",
        f"Weak is what linear read-outs are trained with: crops of {weak} of the area, and mirroring. Strong is what "
        f"MoCo v2 is pretrained with: crops of {strong}, mirroring, colour jitter, gray, and blur above 64 px. The "
        "same images and the same draws for every encoder.",
        "The pictures are t-SNEs (van der Maaten & Hinton, 2008) of the first draw, each made by itself: neither "
        "distances nor sizes of its clusters mean anything, and nor do places from one picture to the next.",
    ]
    return join(tag("p", {}, prose(clean(text))) for text in words)
