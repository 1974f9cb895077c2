"""Duplicates: what was found in a sentence, then the groups and the leaks as pictures."""

from collections.abc import Sequence

from pairlens.inspection.copies import Alike, Copies, Picture
from pairlens.report.html import Html, join, picture, tag, user
from pairlens.report.overlay import FLATTEST, TALLEST
from pairlens.report.text import count, shorten

CAUTION = (
    "What is nearly the same is told by small thumbnails, mostly by their brightness: look at such images before you "
    "take any away, for they may be different things before one background."
)


def draw(copies: Copies) -> Html:
    """The sentence and the pictures."""
    found = copies.found
    parts = [
        _part("Training images that show one picture", copies.groups, len(found.groups), ()),
        _part("Test images with a copy in training", copies.leaks, len(found.leaks), ("test", "training")),
    ]
    near = any(not alike.exact for alike in (*copies.groups, *copies.leaks))
    return join([tag("p", {}, copies.summary), tag("p", {"class": "aside"}, CAUTION) if near else None, *parts])


def _part(title: str, shown: Sequence[Alike], of: int, roles: Sequence[str]) -> Html | None:
    if not shown:
        return None
    more = f"{len(shown)} of {count(of)}" if of > len(shown) else ("1" if of == 1 else f"all {count(of)}")
    head = tag("h3", {"class": "apart"}, title, tag("span", {"class": "minor"}, f" \u00b7 {more} shown"))
    return join([head, tag("div", {"class": "alikes"}, *(_alike(alike, roles) for alike in shown))])


def _alike(alike: Alike, roles: Sequence[str]) -> Html:
    kind = "identical pixels" if alike.exact else "nearly the same"
    more = alike.count - len(alike.pictures)
    said = f"{count(alike.count)} images, {kind}" if not roles else kind
    pictures = [_picture(one, roles[place] if roles else "") for place, one in enumerate(alike.pictures)]
    rest = tag("p", {"class": "minor"}, f"and {count(more)} more") if more else None
    return tag("article", {"class": "alike-group"}, tag("p", {"class": "minor"}, said), tag("div", {}, *pictures), rest)


def _picture(one: Picture, role: str) -> Html:
    aspect = min(FLATTEST, max(TALLEST, one.aspect))
    name = user(shorten(one.name, 44))
    words = [tag("b", {}, f"{role} "), name] if role else [name]
    shown = picture(one.pixels, f"{role} {one.name}".strip(), aspect)
    return tag("figure", {}, shown, tag("figcaption", {}, *words))
