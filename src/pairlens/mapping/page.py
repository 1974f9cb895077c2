"""The page of a map: the findings, the map itself, how it came about, outliers, near-duplicates, and the method."""

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import torch

import pairlens
from pairlens.evaluate.embedding import MISSING
from pairlens.evaluate.nearest import thumbnails
from pairlens.mapping.asked import Looking
from pairlens.mapping.columns import columns_of_images, columns_of_track
from pairlens.mapping.curves import curves
from pairlens.mapping.galleries import near_duplicates, outliers
from pairlens.mapping.payload import Drawn, payload
from pairlens.mapping.sheet import SIDE, make_sheet
from pairlens.mapping.summary import Found, sentences
from pairlens.mapping.words import method
from pairlens.report.document import Section, document
from pairlens.report.html import Html, choice, data_json, join, notice, switch, tag, user
from pairlens.report.text import clean, count


def page(look: Looking, found: Sequence[Found]) -> str:
    """The whole page as text."""
    names = [one.track.name for one in found]
    title = f"Embedding map: {' and '.join(names)}"
    asked, several = look.asked, len(found) > 1
    frames = sum(len(one.track.frames) for one in found)
    shown = f"{count(len(look.images))} of {count(len(asked.source.train))} training images of "
    at = "" if frames == len(found) else f", at {frames} moments of the training"
    header = tag(
        "header",
        {},
        tag("h1", {}, user(title)),
        tag("p", {"class": "aside"}, shown, user(Path(asked.source.name).name or asked.source.name), f"{at}."),
    )
    made = f"Made by pairlens {pairlens.__version__} with seed {asked.seed}. All numbers are in the files beside. "
    footer = tag("footer", {}, made + "This page is complete in itself and asks nothing of the network.")
    said = tag("ul", {"class": "findings"}, *(tag("li", {}, clean(text)) for text in sentences(found, look)))
    sections = [
        Section("glance", "At a glance", "", said),
        Section(
            "map",
            "The map",
            "Each point is an image; images that the encoder finds alike lie close together. Point at one to see it, "
            "choose it to see its nearest neighbours.",
            _map(look, found),
        ),
    ]
    if any(len(one.track.frames) > 1 for one in found):
        lead = "Choose a point of a curve to see the map of that moment."
        sections.append(Section("training", "Over the training", lead, _each(found, lambda one: curves(one.track))))
    sections += [
        Section(
            "outliers",
            "Far from everything",
            "The training images with the greatest mean cosine distance to their 10 nearest others: rare things, odd "
            "crops, broken files.",
            _each(found, lambda one: outliers(one.track, look)),
        ),
        Section(
            "copies",
            "Near-duplicates",
            "Training images that lie far nearer to each other than images usually lie to their nearest, beside what "
            "their pixels say.",
            _each(found, lambda one: near_duplicates(one, look)),
        ),
        Section("method", "How it was done", "", method(look, found)),
    ]
    styles = files("pairlens.mapping").joinpath("page.css").read_text(encoding="utf-8")
    scripts = "".join(
        files("pairlens.mapping").joinpath(name).read_text(encoding="utf-8") for name in ("scatter.js", "map.js")
    )
    text = f"{title} and others" if several else title
    return document(text, "map", header, sections, footer, styles, charts=False, code=scripts)


def _each(found: Sequence[Found], draw: Callable[[Found], Html]) -> Html:
    """What is drawn for each encoder; of several the one is shown whose map is."""
    if len(found) == 1:
        return draw(found[0])
    return join(
        choice("track", str(i), i == 0, tag("h3", {}, user(one.track.name)), draw(one)) for i, one in enumerate(found)
    )


def _map(look: Looking, found: Sequence[Found]) -> Html:
    pixels = look.images.pixels
    side = min(SIDE, *pixels.shape[-2:])
    small = thumbnails(look.images, torch.arange(len(look.images)), side)
    drawn = [Drawn(one.track, columns_of_track(one.track, look.labels)) for one in found]
    data = payload(look, columns_of_images(look.images, small), drawn, make_sheet(small))
    tools = [
        switch("encoder", "track", [(str(i), one.track.name) for i, one in enumerate(found)], "0")
        if len(found) > 1
        else None,
        switch("map", "projection", [("tsne", "t-SNE"), ("axes", "principal axes")], "tsne")
        if any(frame.t_sne is not None for one in found for frame in one.track.frames)
        else None,
        switch("marks", "marks", [("points", "points"), ("images", "images")], "points"),
        tag("label", {"class": "by"}, "Colour", tag("select", {"id": "colour"})),
        _search(),
    ]
    return join(
        [
            notice(MISSING) if all(one.track.clusters is None for one in found) else None,
            tag("div", {"class": "map-tools"}, *tools),
            tag("div", {"class": "map-grid"}, _field(len(look.images)), tag("div", {"id": "legend"})),
            _time(),
            tag("p", {"class": "minor", "id": "caption"}),
            tag("p", {"class": "unseen", "id": "told", "aria-live": "polite"}),
            tag("div", {"id": "chosen", "class": "chosen", "hidden": True}),
            data_json(data, {"id": "map-data"}),
        ]
    )


def _search() -> Html:
    label = "file name, or number in the training set"
    box = tag("input", {"type": "search", "id": "search", "placeholder": "Find an image", "aria-label": label})
    return tag("div", {"class": "search"}, box, tag("div", {"id": "hits", "hidden": True}))


def _field(images: int) -> Html:
    about = (
        f"Map of {images} images. Arrow keys walk from image to image, Enter chooses one, plus and minus enlarge and "
        "reduce, 0 shows all, Escape lets go."
    )
    canvas = tag("canvas", {"id": "field", "tabindex": 0, "role": "application", "aria-label": about})
    keys = (("nearer", "+", "Enlarge"), ("farther", "\u2212", "Reduce"), ("all", "\u2922", "Show all"))
    buttons = (tag("button", {"type": "button", "data-zoom": k, "aria-label": say}, text) for k, text, say in keys)
    hint = tag(
        "p", {"class": "hint minor"}, "Drag to move; scroll to enlarge after a click, or with Ctrl; arrow keys walk."
    )
    tip = tag("div", {"id": "tip", "hidden": True})
    return tag("div", {"class": "field"}, canvas, tag("div", {"class": "zooms"}, *buttons), tip, hint)


def _time() -> Html:
    slider = tag("input", {"type": "range", "id": "moment", "min": 0, "max": 0, "value": 0, "aria-label": "moment"})
    play = tag("button", {"type": "button", "id": "play"}, "Play")
    return tag("div", {"class": "time", "id": "time", "hidden": True}, play, slider, tag("output", {"id": "when"}))
