"""Words that the page and the terminal share."""

import re


def spaced(text: str) -> str:
    """A sentence whose thousands are set apart by thin spaces, as everywhere on the page, not by commas."""
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "\u202f", text)
