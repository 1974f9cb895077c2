"""Words that the terminal, the report and the files of a run share."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

PATIENCE = 2.0  # seconds of silence before the first word on work that takes long; up to five times as many later


def patient(say: Callable[[str], None], text: Callable[[int], str]) -> Callable[[int], None]:
    """A function to be told again and again how much is done, which says so now and then where it takes long."""
    due, gap = time.monotonic() + PATIENCE, PATIENCE

    def tell(done: int) -> None:
        nonlocal due, gap
        if time.monotonic() >= due:
            say(text(done))
            gap = min(2 * gap, 5 * PATIENCE)
            due = time.monotonic() + gap

    return tell


def duration(seconds: float | int) -> str:
    """A length of time as people say it: 45 s, 3 min 20 s, 2 h 05 min; a dash for what is no number."""
    if not math.isfinite(seconds):
        return "\u2013"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {left:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def timestamp() -> str:
    """The time now in UTC, to the second, as every file of a run has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


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


def listed(words: list[str]) -> str:
    """Words as a sentence lists them: "a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""
