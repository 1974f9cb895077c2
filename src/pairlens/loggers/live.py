"""Logging a run while it trains: each logger reads the run's files in a thread of its own.

The training knows nothing of it. A logger that fails or hangs is told of once, and is sent the rest by `pairlens log`.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pairlens.loggers.logger import Target
from pairlens.loggers.stream import open_stream

EVERY = 2.0  # seconds between looks at the files
PATIENCE = 90.0  # seconds that the loggers have in the end to take what is left

Say = Callable[[str], None]


@contextmanager
def logged(
    folder: Path, targets: Sequence[Target], *, everything: bool = False, say: Say = print, every: float = EVERY
) -> Iterator[None]:
    """Log a run for as long as the context is open, and what is left when it closes.

    Args:
        folder: the run's.
        targets: the loggers, checked already (`logger.check`).
        everything: send every step.
        say: told how to see the run, and of a logger that fails; called by other threads.
        every: seconds between looks at the files.
    """
    over = threading.Event()
    threads = [
        threading.Thread(target=_log, args=(folder, target, everything, say, every, over), daemon=True)
        for target in targets
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        until = time.monotonic() + PATIENCE
        for thread, target in zip(threads, targets, strict=True):
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                say(f"{target.name} has not taken all in {PATIENCE:.0f} seconds; {remedy(folder, target)}")


def remedy(folder: Path, target: Target) -> str:
    """What to type where a logger did not take everything."""
    return f"send the rest with `pairlens log {folder} --to {target.name}`"


def _log(folder: Path, target: Target, everything: bool, say: Say, every: float, over: threading.Event) -> None:
    try:
        with open_stream(folder, target, everything=everything) as stream:
            say(f"{target.name}: {stream.logger.where}")
            while not over.wait(every):
                stream.advance()
            stream.advance()
    except Exception as error:  # whatever it is, the training must not feel it
        reason = " ".join(str(error).split()) or type(error).__name__
        say(f"{target.name} takes nothing more ({reason}); the training goes on: {remedy(folder, target)}")
