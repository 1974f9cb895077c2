"""Words and numbers for the page: what comes from files or users is made harmless here, numbers are made readable."""

import html
import math
from datetime import datetime, timedelta
from pathlib import Path

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


def percent(share: float | int, digits: int = 1) -> str:
    """A share as a percentage; a dash for what is not a number."""
    return f"{100 * share:.{digits}f}\u00a0%" if math.isfinite(share) else "\u2013"


def number(value: float | int, digits: int = 3) -> str:
    """A number with so many significant digits; no exponent for usual sizes."""
    if not math.isfinite(value):
        return "\u2013"
    if value == 0 or 1e-4 <= abs(value) < 1e9:
        places = 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{places}f}".replace(",", "\u202f")
        return text.replace("-", "\u2212")
    return f"{value:.{digits - 1}e}".replace("-", "\u2212")


def count(value: float | int) -> str:
    """A whole number, thousands set apart by thin spaces."""
    return f"{value:,.0f}".replace(",", "\u202f").replace("-", "\u2212") if math.isfinite(value) else "\u2013"


def moment(text: str) -> str:
    """An ISO date and time as people write it, to the minute; what is none is given back as it came."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = " UTC" if when.utcoffset() == timedelta(0) else ""
    return f"{when:%Y-%m-%d %H:%M}{zone}"


def listed(words: list[str]) -> str:
    """Words as a sentence lists them: "a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""


def unique_names(folders: list[Path]) -> list[str]:
    """A name for each folder, with as many of its parents as it takes to tell them apart; equal ones are numbered."""
    parts = [folder.resolve().parts for folder in folders]
    names = ["/".join(p[-1:]) for p in parts]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        shared = {n for n in names if len({p for p, m in zip(parts, names, strict=True) if m == n}) > 1}
        names = ["/".join(p[-depth:]) if n in shared else n for n, p in zip(names, parts, strict=True)]
    return [n if names.count(n) == 1 else f"{n} ({names[: i + 1].count(n)})" for i, n in enumerate(names)]
