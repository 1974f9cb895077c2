"""Building HTML that is escaped unless it was built here: a string child is text, an `Html` child is markup."""

import base64
import html
import io
import json
from collections.abc import Iterable, Mapping

import numpy as np
import plotly.graph_objects as go
import plotly.io
from jaxtyping import UInt8
from PIL import Image

from pairlens.report.text import clean

VOID = {"img", "input", "meta", "link"}


class Html(str):
    """Markup, made by the functions of this file; every other string is text and gets escaped."""


Attributes = Mapping[str, str | int | float | bool | None]


def tag(name: str, attributes: Attributes, *children: str | None) -> Html:
    """One element; attributes that are None or False are left out, True ones stand bare, None children vanish."""
    given = "".join(
        f" {key}" if value is True else f' {key}="{html.escape(clean(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[str | None]) -> Html:
    """Children in a row, text escaped."""
    parts = (c if isinstance(c, Html) else html.escape(clean(c)) for c in children if c is not None)
    return Html("".join(parts))


def user(text: object) -> Html:
    """Text that a file or a person gave, isolated so that its writing direction stays its own."""
    return tag("bdi", {}, clean(text))


def notice(sentence: str) -> Html:
    """One sentence in place of what cannot be shown."""
    return tag("p", {"class": "notice"}, prose(sentence))


def prose(sentence: str) -> Html:
    """A sentence in which what stands between backticks is code."""
    parts = sentence.split("`")
    return join(tag("code", {}, part) if place % 2 else part for place, part in enumerate(parts))


def embedded_json(text: str, attributes: Attributes) -> Html:
    """JSON as an inert script element that nothing inside the JSON can close."""
    opening = tag("script", {"type": "application/json"} | dict(attributes))
    return Html(opening.removesuffix("</script>") + text.replace("<", "\\u003c") + "</script>")


def data_json(value: object, attributes: Attributes) -> Html:
    """A plain value as embedded JSON."""
    return embedded_json(json.dumps(value, allow_nan=False), attributes)


def chart(figure: go.Figure, alt: str, height: int, role: str | None = None, name: str | None = None) -> Html:
    """A plotly figure to be drawn by the page's script; `alt` says in words what it shows.

    `name` is what its file is called where it is saved; by default it is called after the heading above it.
    """
    text = plotly.io.to_json(figure, validate=False, remove_uids=True)
    attributes: Attributes = {"class": "chart", "role": "img", "aria-label": alt, "style": f"height:{height}px"}
    return tag("div", {**attributes, "data-role": role, "data-name": name}, embedded_json(text, {}))


def data_uri(pixels: UInt8[np.ndarray, "3 H W"]) -> str:
    """An image as a data URI, exact where it is small."""
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    kind, options = ("png", {}) if is_small(pixels) else ("webp", {"quality": 85, "method": 2})
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def is_small(pixels: UInt8[np.ndarray, "3 H W"]) -> bool:
    """Whether an image is so small that its pixels are shown as they are."""
    return max(pixels.shape[1:]) <= 64


def picture(pixels: UInt8[np.ndarray, "3 H W"], alt: str, aspect: float = 1.0) -> Html:
    """An image as a data URI; `aspect` (width / height) is that of the original, which was stored squeezed."""
    style = f"aspect-ratio:{aspect:.4f}" if aspect != 1.0 else None
    shape = "pixelated" if is_small(pixels) else None
    return tag("img", {"src": data_uri(pixels), "alt": alt, "class": shape, "style": style})


def switch(label: str, group: str, options: Iterable[tuple[str, str]], chosen: str) -> Html:
    """Buttons of which one is pressed; pressing shows the `choice` elements of that value, in the whole page.

    `options` are (value, text) pairs; `group` ties buttons and contents together.
    """
    buttons = (
        tag("button", {"type": "button", "data-value": value, "aria-pressed": str(value == chosen).lower()}, text)
        for value, text in options
    )
    attributes: Attributes = {"class": "switch", "role": "group", "aria-label": label, "data-group": group}
    return tag("div", attributes, *buttons)


def choice(group: str, value: str, shown: bool, *children: str | None) -> Html:
    """What a `switch` shows when its button of this value is pressed."""
    return tag("div", {"class": "choice", "data-group": group, "data-value": value, "hidden": not shown}, *children)


def table(rows: Iterable[tuple[str, str]]) -> Html:
    """A table of names and values."""
    body = (tag("tr", {}, tag("th", {"scope": "row"}, k), tag("td", {}, v)) for k, v in rows)
    return tag("table", {"class": "facts"}, tag("tbody", {}, *body))


def scrolling(content: Html, label: str) -> Html:
    """Wide content that scrolls inside its own frame, by keyboard too."""
    return tag("div", {"class": "scroll", "tabindex": 0, "role": "region", "aria-label": label}, content)
