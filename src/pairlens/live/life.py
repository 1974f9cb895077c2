"""What has become of a run: what it says of itself, and whether somebody is still there to say it.

A training that is killed cannot say so: its status goes on to say "running". It held its folder's lock, though, and the
system has taken that back. So a run that says that it is running and writes nothing is asked for its lock.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pairlens.record.disk import is_held

QUIET = 3.0  # seconds without a word before a running run's lock is looked at: its status is told every five
BEGINNING = 30.0  # seconds that a run may take from its folder to its first word
PATIENCE = 120.0  # seconds after which a run without a lock is taken for ended; or twenty blocks of its steps

STATES = ("running", "starting", "finished", "interrupted", "failed", "died", "silent", "unknown")
"""What a run can be; `died`: it says running, and nobody holds its lock. `silent`: the same by its silence alone."""


def state_of(folder: Path, status: Mapping[str, Any], quiet: float, block: float, observed: bool) -> str:
    """One of `STATES`.

    Args:
        folder: the run's.
        status: what it says of itself; empty before its first word.
        quiet: seconds since it last wrote.
        block: seconds that a hundred of its steps take, which is how often it writes; NaN where that is not known.
        observed: it is somebody else's loop, which holds no lock.
    """
    said = status.get("state") if status else "starting"
    if said not in ("running", "starting"):
        return said if isinstance(said, str) and said in STATES else "unknown"
    if quiet < (QUIET if said == "running" else BEGINNING):
        return said
    alive = None if observed else is_held(folder)
    if alive is None:
        return "silent" if quiet > max(PATIENCE, 20 * block) else said
    return said if alive else "died"


def sentence(state: str, folder: str, observed: bool) -> str | None:
    """What there is to say about a state, with the remedy; None where it speaks for itself."""
    go_on = "" if observed else f" Go on with: pairlens resume {folder}"
    return {
        "died": f"It says that it is running, but its process is gone: it was killed, or the machine stopped.{go_on}",
        "silent": f"It stopped without a word: it says that it is running, but has not written for long.{go_on}",
        "interrupted": f"It was stopped.{go_on}",
        "failed": "It ended with an error, which its terminal told.",
        "unknown": "Its status.json does not say how it is.",
    }.get(state)
