"""Words that the page and the terminal share."""

import re

from pairlens.report.text import shorten


def spaced(text: str) -> str:
    """A sentence whose thousands are set apart by thin spaces, as everywhere on the page, not by commas."""
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "\u202f", text)


def named(name: str, limit: int) -> str:
    """A file's or a class's name within a sentence of ours, where backticks stand around code."""
    return shorten(name.replace("`", "'"), limit)


def roughly(seconds: float) -> str:
    """A length of time that is known to a tenth at best."""
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 1.5:
        return f"{seconds:.0f} s"
    if hours < 1.5:
        return f"{minutes:.0f} min"
    return f"{hours:.2g} h" if days < 2 else f"{days:.0f} days"
