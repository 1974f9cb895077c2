"""What `pairlens log` does: send runs to TensorBoard, Weights & Biases or trackio, afterwards or while they train."""

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tyro import MISSING
from tyro.conf import Positional

from pairlens.console import Console
from pairlens.errors import InputError
from pairlens.flags import parse
from pairlens.loggers.logger import LoggerName, targets_of
from pairlens.loggers.rows import ended
from pairlens.loggers.stream import Stream, open_stream
from pairlens.record.disk import held
from pairlens.record.run import Run

LOOK = 2.0  # seconds between looks at the files of runs that are followed


def log(argv: list[str]) -> int:
    """`pairlens log RUN... --to NAME... [--follow] [flags]`."""

    def command(
        runs: Positional[tuple[Path, ...]],
        *,
        to: tuple[LoggerName, ...] = MISSING,
        follow: bool = False,
        folder: Path | None = None,
        project: str | None = None,
        everything: bool = False,
        anew: bool = False,
    ) -> int:
        """Send what runs have recorded to TensorBoard, Weights & Biases or trackio.

        Their files stay as they are, and what was sent before is not sent again: after `pairlens resume`, or where a
        logger failed, call it once more. Of a long run every k-th step is sent, at most about 2 000, and all probes.

        Args:
            runs: run folders, also of loops that were observed.
            to: tensorboard, wandb or trackio, or several of them.
            follow: go on until the runs are over.
            folder: where the logger's files go. tensorboard: to FOLDER/RUN instead of RUN/tensorboard; wandb: to
                FOLDER/wandb instead of RUN/wandb; trackio: to FOLDER instead of its own place.
            project: of wandb and trackio; pairlens by default.
            everything: send every step, and every histogram.
            anew: send from the beginning, as a new run of the logger.
        """
        if not runs or not to:
            missing = "logger to send it to; add --to tensorboard" if runs else "run; give a run's folder"
            raise InputError(f"there is no {missing}")
        targets = targets_of(to, project, folder)
        opened = [Run.open(run).folder for run in dict.fromkeys(runs)]
        with Console() as console, ExitStack() as stack:
            streams = []
            for run in opened:
                for target in targets:
                    stream = open_stream(run, target, everything=everything, anew=anew)
                    if follow:
                        streams.append(stack.enter_context(stream))
                        _tell(console, streams[-1], streams[-1].advance())
                    else:
                        with stream as one:
                            _tell(console, one, one.advance(partial(console.advance, f"sending {run.name}")))
            _follow(streams)
        return 0

    return parse(command, "log", argv)


def _tell(console: Console, stream: Stream, sent: int) -> None:
    console.close()
    rows = f"{sent:,} row{'' if sent == 1 else 's'} sent to {stream.cursor.target.name}"
    console.say(f"{stream.folder}: {rows}; {stream.logger.where}")


def _follow(streams: list[Stream]) -> None:
    """Send what comes, until every run is over."""
    while streams:
        over = [
            is_over(stream.folder) for stream in streams
        ]  # before the last look, so that none of its rows is missed
        for stream in streams:
            stream.advance()
        streams = [stream for stream, done in zip(streams, over, strict=True) if not done]
        if streams:
            time.sleep(LOOK)


def is_over(folder: Path) -> bool:
    """Whether no more rows will come: a run says so, or nobody trains it any more."""
    run = Run.open(folder)
    if ended(run) or run.observed or not run.status:
        return ended(run)
    try:
        with held(folder / "lock", ""):
            return True
    except InputError:
        return False
