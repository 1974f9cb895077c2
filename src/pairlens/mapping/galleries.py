"""Pictures of outliers and of near-duplicates, with names; those that are on the map can be chosen there."""

from collections.abc import Sequence

import torch

from pairlens.evaluate.nearest import thumbnails
from pairlens.mapping.asked import Looking, Track
from pairlens.mapping.copies import EXACT, FEATURES, NEARLY, Pair
from pairlens.mapping.summary import Found
from pairlens.report.html import Html, join, notice, picture, tag, user
from pairlens.report.text import count, number, shorten

OUTLIERS = 18
PAIRS = {EXACT: 6, NEARLY: 6, FEATURES: 12}
"""Pairs of each kind that are shown."""

SIDE = 96
"""Pixels a side of a shown picture, at most."""


def outliers(track: Track, look: Looking) -> Html:
    """The images of the greatest outlier scores."""
    if track.last.flat:
        return notice("All images have the same features, so none lies farther away than others.")
    scores = track.near.outlying
    rows = scores.argsort(descending=True, stable=True)[:OUTLIERS].tolist()
    said = [f"score {number(float(scores[row]))}" for row in rows]
    return tag("div", {"class": "shots"}, *_shots(rows, look, said))


def near_duplicates(found: Found, look: Looking) -> Html:
    """Pairs by what their pixels say, and the copies in pixels that lie apart."""
    copies, track = found.copies, found.track
    if track.last.flat:
        return notice("All images have the same features, so all are duplicates of all others, and none is.")
    parts = []
    for kind, most in PAIRS.items():
        pairs = [pair for pair in copies.near if pair.kind == kind]
        if pairs:
            parts.append(_pairs(f"{kind[:1].upper()}{kind[1:]}", pairs, most, look))
    if not parts:
        parts.append(notice("There are none."))
    if copies.apart:
        title = "Copies in pixels that lie apart in features"
        parts.append(_pairs(title, copies.apart, PAIRS[NEARLY], look))
    return join([*parts, tag("p", {"class": "aside"}, _difference(found))])


def _difference(found: Found) -> str:
    copies = found.copies
    total = f"{count(copies.pixel_pairs)} pair{'s' * (copies.pixel_pairs != 1)}"
    return (
        f"By their pixels, as `pairlens inspect` compares them, {total} of these images are copies. That comparison "
        "finds an image that was compressed, resized, mirrored, darkened or cropped by a few percent, whatever an "
        "encoder makes of it. Features also bring together what only looks alike to the encoder: the same thing in "
        "another picture, or what its training taught it to ignore; and they may keep a copy apart that was altered in "
        "a way that it was not taught to ignore."
    ).replace("`", "")


def _pairs(title: str, pairs: Sequence[Pair], most: int, look: Looking) -> Html:
    shown = pairs[:most]
    more = f" \u00b7 {count(len(shown))} of {count(len(pairs))}" if len(shown) < len(pairs) else f" \u00b7 {len(pairs)}"
    rows = [row for pair in shown for row in (pair.one, pair.other)]
    shots = _shots(rows, look, [""] * len(rows))
    made = [
        tag(
            "article",
            {"class": "couple"},
            tag("div", {}, shots[2 * i], shots[2 * i + 1]),
            tag("p", {"class": "minor"}, f"cosine {pair.cosine:.4f}"),
        )
        for i, pair in enumerate(shown)
    ]
    head = tag("h3", {}, title, tag("span", {"class": "minor"}, more))
    return join([head, tag("div", {"class": "couples"}, *made)])


def _shots(rows: Sequence[int], look: Looking, said: Sequence[str]) -> list[Html]:
    """Pictures of searched images, as the encoder sees them."""
    train = look.asked.source.train
    index = look.asked.searched[torch.tensor(rows)]
    pictures = thumbnails(train, index, min(SIDE, *train.pixels.shape[-2:])).numpy()
    made = []
    for row, place, pixels, text in zip(rows, index.tolist(), pictures, said, strict=True):
        name = train.names[place]
        shown = picture(pixels, name)
        if row < len(look.images):
            shown = tag("button", {"type": "button", "data-image": row, "title": "Show on the map"}, shown)
        label = train.labels is not None and int(train.labels[place]) >= 0
        kind = tag("span", {}, user(shorten(train.classes[int(train.labels[place])], 40))) if label else None  # type: ignore[index]
        caption = tag("figcaption", {}, user(shorten(name, 44)), kind, tag("span", {}, text) if text else None)
        made.append(tag("figure", {}, shown, caption))
    return made
