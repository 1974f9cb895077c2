"""What was found: sizes, formats, classes, and the files that cannot be read."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from pairlens.inspection.found import Found, Image
from pairlens.inspection.wording import spaced
from pairlens.report.html import Html, chart, join, scrolling, tag, user
from pairlens.report.text import count, percent, shorten
from pairlens.report.theme import ENCODER, MUTED, fade, figure

POINTS = 1500  # different sizes that are drawn
CLASSES = 24  # shown
SKIPPED = 200  # files listed
CELLS = 40  # of the histogram of aspects


def draw(found: Found, said: Sequence[str], view: int) -> Html:
    """Sentences, then the distributions; `view` is the side of the views, pixels."""
    first = tag("p", {}, sentence(found))
    told = [tag("p", {"class": "aside"}, user(spaced(f"{text[:1].upper()}{text[1:]}."))) for text in said]
    return join([first, *told, _sizes(found, view), _groups(found), _skipped(found)])


def sentence(found: Found) -> str:
    """How many images of which kinds, and how they are kept."""
    parts = [f"{count(found.train)} training images" if found.train != 1 else "1 training image"]
    parts.append("no test set" if found.test is None else f"{count(found.test)} to test on")
    if found.classes:
        whose = "" if found.labelled == found.train else f", {count(found.labelled)} of the images labelled"
        parts.append(f"{len(found.classes)} class{'es' * (len(found.classes) != 1)}{whose}")
    else:
        parts.append("no labels, and none are needed to train")
    if len(found.formats) == 1:
        parts[0] += f" ({next(iter(found.formats))})"
    return f"{', '.join(parts)}. {kept(found)}"


def kept(found: Found) -> str:
    """How pixels are stored, or that they are not."""
    height, width = found.side
    if found.from_files:
        return "Each file is decoded once an epoch, for all its views."
    size = f"{found.bytes / 1e9:.1f} GB" if found.bytes >= 1e9 else f"{max(1, found.bytes / 1e6):.0f} MB"
    squeezed = "" if found.one_size else ", whatever their shape; crops are drawn in the originals' geometry"
    return f"They are kept at {width} \u00d7 {height} pixels, {size} in all{squeezed}."


def _sizes(found: Found, view: int) -> Html:
    if found.one_size:
        return tag("p", {}, f"All images are {found.smallest.shape} pixels; the views are {view} \u00d7 {view}.")
    named = {
        "smallest": found.smallest,
        "largest": found.largest,
        "widest": found.widest,
        "tallest": found.tallest,
    }
    rows = [_image(kind, image) for kind, image in named.items()]
    grid = tag("table", {"class": "extremes"}, tag("tbody", {}, *rows))
    return join([tag("div", {"class": "columns"}, _scatter(found, view), _aspects(found)), scrolling(grid, "extremes")])


def _image(kind: str, image: Image) -> Html:
    shape = f"{image.shape} px"
    return tag(
        "tr",
        {},
        tag("th", {"scope": "row"}, kind),
        tag("td", {}, shape),
        tag("td", {}, user(shorten(image.name, 90))),
    )


def _scatter(found: Found, view: int) -> Html:
    drawn = sizes_figure(found, view)
    head = tag("h3", {}, "Sizes")
    about = "Each dot is a size, larger where more images have it; dashed: the side of the views."
    low, high = found.smallest, found.largest
    alt = f"width and height of the images, from {low.shape} to {high.shape} pixels"
    return tag("div", {}, head, tag("p", {"class": "aside"}, about), chart(drawn, alt, 300))


def sizes_figure(found: Found, view: int) -> go.Figure:
    """Width against height, a dot for each size that there is."""
    sizes, counts = np.unique(found.sizes, axis=0, return_counts=True)
    chosen = np.linspace(0, len(sizes) - 1, min(POINTS, len(sizes))).astype(int)
    (height, width), counts = sizes[chosen].T, counts[chosen]
    dots = go.Scatter(
        x=width,
        y=height,
        customdata=counts,
        mode="markers",
        marker={"color": fade(ENCODER, 0.5), "size": 4 + 14 * np.sqrt(counts / len(found.sizes)), "line": {"width": 0}},
        hovertemplate="%{x} \u00d7 %{y} px: %{customdata:,}<extra></extra>",
    )
    drawn = figure([dots], "width, pixels", "height, pixels")
    line = {"color": MUTED, "width": 1, "dash": "dash"}
    drawn.add_vline(view, line=line).add_hline(view, line=line)
    return drawn.update_xaxes(rangemode="tozero").update_yaxes(rangemode="tozero")


def _aspects(found: Found) -> Html:
    middle = float(np.median(found.aspects))
    upright = float((found.aspects < 1).mean())
    head = tag("h3", {}, "Width over height")
    about = f"Median {middle:.2f}; {percent(upright, 0)} of the images are higher than wide."
    return tag("div", {}, head, tag("p", {"class": "aside"}, about), chart(aspects_figure(found), about, 300))


def aspects_figure(found: Found) -> go.Figure:
    """A histogram over the logarithm: twice as wide lies as far to the right as twice as high to the left."""
    turns = np.log2(found.aspects)
    edge = max(1.0, float(np.abs(turns).max()) * 1.05)
    counts, edges = np.histogram(turns, np.linspace(-edge, edge, CELLS + 1))
    middles = (edges[:-1] + edges[1:]) / 2
    bars = go.Bar(
        x=middles,
        y=counts / counts.sum(),
        customdata=2**middles,
        marker={"color": ENCODER, "line": {"width": 0}},
        hovertemplate="%{customdata:.2f}: %{y:.1%}<extra></extra>",
    )
    whole = [k for k in range(-12, 13) if abs(k) <= edge][:: max(1, int(edge) // 3)]
    texts = [f"{2**k}" if k >= 0 else f"1/{2**-k}" for k in whole]
    drawn = figure([bars], "width over height", "share of the images").update_layout(bargap=0.06)
    return drawn.update_xaxes(tickvals=whole, ticktext=texts).update_yaxes(tickformat=".0%")


def _groups(found: Found) -> Html | None:
    """Formats and classes, as bars."""
    shown = []
    if len(found.formats) > 1:
        shown.append(_bars("Formats", "By the endings of the files' names.", found.formats, found.train))
    if found.classes:
        told = classes_told(found)
        shown.append(_bars("Classes", told, dict(list(found.classes.items())[:CLASSES]), found.train))
    return tag("div", {"class": "columns kinds"}, *shown) if shown else None


def classes_told(found: Found) -> str:
    """How the training images are spread over the classes."""
    most, least = next(iter(found.classes.values())), list(found.classes.values())[-1]
    even = "All have as many images" if most == least else f"From {count(least)} to {count(most)} training images"
    more = len(found.classes) - CLASSES
    return f"{even}{f'; the {CLASSES} largest are shown' if more > 0 else ''}. Training does not look at them."


def _bars(title: str, about: str, counts: Mapping[str, int], of: int) -> Html:
    most = max(1, *counts.values())
    rows = [
        tag(
            "li",
            {"title": percent(number / of)},
            tag("span", {"class": "label"}, user(shorten(name, 40))),
            tag(
                "span",
                {"class": "bar", "aria-hidden": "true"},
                tag("i", {"style": f"width:{100 * number / most:.1f}%"}),
            ),
            tag("b", {}, count(number)),
        )
        for name, number in counts.items()
    ]
    head = tag("h3", {}, title)
    return tag("div", {}, head, tag("p", {"class": "aside"}, about), tag("ul", {"class": "counts"}, *rows))


def _skipped(found: Found) -> Html | None:
    """Files that cannot be read, by name and reason."""
    if not found.skipped:
        return None
    rows = [
        tag("tr", {}, tag("th", {"scope": "row"}, user(shorten(name, 90))), tag("td", {}, user(shorten(reason, 160))))
        for name, reason in found.skipped[:SKIPPED]
    ]
    number = len(found.skipped)
    said = f"{count(number)} file{'s' * (number != 1)} cannot be read and {'are' if number != 1 else 'is'} left out"
    more = f"The first {SKIPPED} of them:" if number > SKIPPED else ""
    grid = tag("table", {"class": "skipped"}, tag("tbody", {}, *rows))
    opened = number <= 12
    return tag(
        "details",
        {"open": opened},
        tag("summary", {}, said),
        tag("p", {"class": "aside"}, more) if more else None,
        scrolling(grid, "files that cannot be read"),
    )
