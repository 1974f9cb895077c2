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
