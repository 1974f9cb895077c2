"""Words and numbers for the page: what comes from files or users is made harmless here, numbers are made readable."""

import html
from datetime import datetime, timedelta
from pathlib import Path

from pairlens.words import count, listed, number, percent

__all__ = [
    "clean",
    "count",
    "listed",
    "moment",
    "number",
    "percent",
    "plot_text",
    "shorten",
    "unique_names",
]

_BIDI = dict.fromkeys(map(ord, "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"), "\ufffd")
_CONTROL = {i: " " if chr(i) in "\t\n\r" else "\ufffd" for i in (*range(32), *range(127, 160))}


def clean(value: object) -> str:
    """Any value as one line of text: control and direction characters are replaced, and so are lone surrogates."""
    return str(value).encode("utf-8", "replace").decode("utf-8").translate(_BIDI | _CONTROL)


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis in the middle of what is longer."""
    if len(text) <= limit:
        return text
    return text[: (limit + 1) // 2 - 1] + "…" + text[len(text) - limit // 2 :]


def plot_text(value: object, limit: int = 28) -> str:
    """Text of others inside a plotly figure: plotly reads some HTML-like tags, so they are escaped, and isolated."""
    return f"\u2068{html.escape(shorten(clean(value), limit), quote=False)}\u2069"


def moment(text: str) -> str:
    """An ISO date and time as people write it, to the minute; what is none is given back as it came."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = " UTC" if when.utcoffset() == timedelta(0) else ""
    return f"{when:%Y-%m-%d %H:%M}{zone}"


def unique_names(folders: list[Path]) -> list[str]:
    """A name for each folder, with as many of its parents as it takes to tell them apart; equal ones are numbered."""
    parts = [folder.resolve().parts for folder in folders]
    names = ["/".join(p[-1:]) for p in parts]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        shared = {n for n in names if len({p for p, m in zip(parts, names, strict=True) if m == n}) > 1}
        names = ["/".join(p[-depth:]) if n in shared else n for n, p in zip(names, parts, strict=True)]
    return [n if names.count(n) == 1 else f"{n} ({names[: i + 1].count(n)})" for i, n in enumerate(names)]
