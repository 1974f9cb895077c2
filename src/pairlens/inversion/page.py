"""The page of an inversion: the findings, the pictures, their scores, and whether the optimisation came to its end."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

import pairlens
from pairlens.intervals import interval
from pairlens.inversion.contestants import PIXELS, UNTRAINED, WORDS
from pairlens.inversion.store import to_numpy
from pairlens.inversion.summary import NAMES, estimate, sentences, shown, warnings
from pairlens.inversion.whole import LIKENESS, SCORES, Asked, Found
from pairlens.report.document import Section, document
from pairlens.report.html import Html, chart, join, notice, picture, prose, scrolling, tag, user
from pairlens.report.text import clean, count, plot_text
from pairlens.report.theme import figure, run_style

MEASURES = {
    "psnr": "Peak signal-to-noise ratio over all pixels. A blurred image in the right colours can score higher than a "
    "sharp one whose object stands elsewhere.",
    "ssim": "Structural similarity: 1 for equal images, about 0 where no detail agrees.",
    "layout": "PSNR of the mean colours of 4 x 4 blocks: what is where, roughly, and in which colour.",
    "recognised": "How often the reconstruction is nearer to its own image, pixel by pixel, than to {others} others.",
    "error": "Squared distance of the features that was left, in per cent of that between different images. Only near "
    "0 do the other numbers speak of the features, and not of the fit.",
}


def page(asked: Asked, found: Sequence[Found], missing: Sequence[str]) -> str:
    """The whole page as text.

    Args:
        asked: what was to be inverted.
        found: what has been.
        missing: contestants that are not finished.
    """
    encoders = list(dict.fromkeys(one.encoder for one in asked.contestants if one.encoder))
    title = f"Inverted: {' and '.join(encoders)}"
    about = f"What {count(asked.images)} images look like when they are made anew from an encoder's features alone."
    header = tag("header", {}, tag("h1", {}, user(title)), tag("p", {"class": "aside"}, about))
    made = f"Made by pairlens {pairlens.__version__} from {clean(Path(asked.source.name).name)}, seed {asked.seed}. "
    footer = tag("footer", {}, made + "This page is complete in itself and asks nothing of the network.")
    css = files("pairlens.inversion").joinpath("page.css").read_text(encoding="utf-8")
    return document(title, "page", header, _sections(asked, found, missing), footer, css)


def _sections(asked: Asked, found: Sequence[Found], missing: Sequence[str]) -> list[Section]:
    nothing = notice("Nothing is finished yet: the same command goes on.")
    return [
        Section("glance", "At a glance", "", _glance(asked, found, missing)),
        Section(
            "pictures",
            "Originals and reconstructions",
            "What is in a reconstruction is in the features; what differs from the original they do not tell. Colours, "
            "layout, outlines: which survive at which depth?",
            _pictures(asked, found) if found else nothing,
        ),
        Section(
            "scores",
            "Scores",
            "Means over images with 95 % intervals. Raw pixels show the most that these U-Nets can do, the untrained "
            "encoder what chance keeps.",
            _scores(asked, found) if found else nothing,
        ),
        Section(
            "convergence",
            "Convergence",
            "How far the features still are from those of the original. All curves should end near the bottom.",
            _convergence(found) if found else nothing,
        ),
        Section("method", "How it was done", "", _method(asked)),
    ]


def _glance(asked: Asked, found: Sequence[Found], missing: Sequence[str]) -> Html:
    said = sentences(found, {size: views.of_mean() for size, views in asked.views.items()})
    alarm = [tag("li", {}, prose(clean(text))) for text in warnings(found, missing)]
    words = tag("ul", {"class": "findings"}, *(tag("li", {}, clean(text)) for text in said)) if said else None
    return join([words, tag("ul", {"class": "warnings"}, *alarm) if alarm else None])


def _pictures(asked: Asked, found: Sequence[Found]) -> Html:
    sizes = list(dict.fromkeys(one.contestant.size for one in found))
    return join(_grid(asked, [one for one in found if one.contestant.size == size], size) for size in sizes)


def _grid(asked: Asked, found: Sequence[Found], size: int) -> Html:
    """A row an image: the original, and what was made from each contestant's features."""
    originals = to_numpy(asked.views[size].images)
    starts = [i == 0 or one.contestant.encoder != found[i - 1].contestant.encoder for i, one in enumerate(found)]
    heads = [tag("th", {"scope": "col"}, tag("b", {}, "original"), f"{size} px")]
    for one, start in zip(found, starts, strict=True):
        name = user(one.contestant.encoder) if one.contestant.encoder else None
        shown_as = tag("b", {}, one.contestant.depth)
        heads.append(tag("th", {"scope": "col", "class": "next" if start else None}, shown_as, name))
    rows = []
    for i, original in enumerate(originals):
        cells = [tag("td", {}, picture(original, f"image {i + 1}"))]
        for one, start in zip(found, starts, strict=True):
            alt = f"image {i + 1} from {one.contestant.label}"
            shown_as = picture(one.images[i], alt)
            score = f"{one.scores['layout'][0, i]:.1f} dB layout, SSIM {one.scores['ssim'][0, i]:.2f}"
            cells.append(tag("td", {"class": "next" if start else None, "title": score}, shown_as))
        rows.append(tag("tr", {}, *cells))
    grid = tag("table", {"class": "inversions"}, tag("thead", {}, tag("tr", {}, *heads)), tag("tbody", {}, *rows))
    return scrolling(grid, "originals and reconstructions")


def _scores(asked: Asked, found: Sequence[Found]) -> Html:
    heads = [tag("th", {"scope": "col"}, text) for text in ("inverted", *NAMES.values())]
    rows = [_row(one) for one in found]
    sizes = list(dict.fromkeys(one.contestant.size for one in found))
    for size in sizes:
        of_mean = asked.views[size].of_mean()
        cells = [shown(n, interval(of_mean[n].tolist())) if n in LIKENESS else "\u2013" for n in SCORES]
        name = "the mean of the other images" + (f", {size} px" if len(sizes) > 1 else "")
        cells_html = (tag("td", {}, cell) for cell in cells)
        rows.append(tag("tr", {"class": "reference"}, tag("th", {"scope": "row"}, name), *cells_html))
    body = tag("thead", {}, tag("tr", {}, *heads)), tag("tbody", {}, *rows)
    measures: list[Html] = []
    others = len(asked.index[1])
    for name, text in MEASURES.items():
        measures += [tag("dt", {}, NAMES[name]), tag("dd", {}, text.format(others=others))]
    table = scrolling(tag("table", {"class": "scores-table"}, *body), "scores")
    return join([table, tag("dl", {"class": "measures"}, *measures)])


def _row(one: Found) -> Html:
    encoder = user(one.contestant.encoder) if one.contestant.encoder else None
    name = tag("th", {"scope": "row"}, tag("b", {}, one.contestant.depth), encoder)
    cells = (tag("td", {}, shown(score, estimate(one, score))) for score in SCORES)
    kind = "reference" if one.contestant.depth in (UNTRAINED, PIXELS) else None
    return tag("tr", {"class": kind}, name, *cells)


def _convergence(found: Sequence[Found]) -> Html:
    ends = ", ".join(f"{one.contestant.label} {shown('error', estimate(one, 'error'))} %" for one in found)
    return chart(convergence_figure(found), f"feature error over the iterations; at the end {ends}", 380)


def convergence_figure(found: Sequence[Found]) -> go.Figure:
    """A curve a contestant: the mean feature error over images and draws, both axes logarithmic."""
    traces = []
    for place, one in enumerate(found):
        style = run_style(place)
        traces.append(
            go.Scatter(
                x=one.at + 1,
                y=np.clip(one.curve.mean((0, 1)), 1e-7, None),
                name=plot_text(one.contestant.label, 40),
                mode="lines",
                line={"color": style.color, "dash": style.dash, "width": 2},
                hovertemplate="iteration %{x}: %{y:.2%}<extra>%{fullData.name}</extra>",
            )
        )
    drawn = figure(traces, "iteration", "feature error", legend=True)
    decades = range(int(np.floor(np.log10(max(1, found[0].at[-1])))) + 1)
    drawn.update_xaxes(type="log", tickvals=[10**k for k in decades], tickformat=",")
    ticks = [10.0**k for k in range(-7, 4)]
    return drawn.update_yaxes(type="log", tickvals=ticks, ticktext=[f"{100 * t:g} %" for t in ticks])


def _method(asked: Asked) -> Html:
    prior, words = asked.prior, []
    depths = dict.fromkeys(one.depth for one in asked.contestants)
    words.append(
        "A U-Net turns fixed noise into an image; its weights are fitted until the encoder sees in that image what it "
        "saw in the original (feature inversion by deep image prior: Ulyanov et al., CVPR 2018; Good Practices, 2020, "
        "Figure 2). The U-Net alone knows nothing of any image."
    )
    words.append(
        f"{count(prior.iterations)} steps of Adam, rate {prior.rate:g} falling to 0, jitter {prior.jitter:g}, "
        f"{asked.draws} draw{'s' * (asked.draws > 1)} of noise and weights; in float32. The pictures are of the first "
        "draw."
    )
    listed: Mapping[str, str] = {depth: WORDS[depth] for depth in depths}
    terms = [part for depth, text in listed.items() for part in (tag("dt", {}, depth), tag("dd", {}, text))]
    return join([*(tag("p", {}, text) for text in words), tag("dl", {"class": "measures"}, *terms)])
