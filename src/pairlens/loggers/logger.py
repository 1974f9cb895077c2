"""What a logger is to us: five functions that each tool's own file gives it.

A logger only takes. It is handed rows that lie in the run's files already, so that nothing is lost where it fails.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from jaxtyping import Float, Integer
from numpy import ndarray

from pairlens.errors import InputError
from pairlens.record.run import Run

LoggerName = Literal["tensorboard", "wandb", "trackio"]
State = dict[str, Any]  # of JSON

TITLES = {"tensorboard": "TensorBoard", "wandb": "Weights & Biases", "trackio": "trackio"}
PROJECT = "pairlens"


@dataclass(frozen=True)
class Target:
    """Where a run is logged to."""

    name: LoggerName
    folder: Path | None = None  # each tool's own file says what lies there
    project: str | None = None  # of Weights & Biases and trackio; `PROJECT` by default


@runtime_checkable
class Logger(Protocol):
    """One run in one tool, open to be written."""

    where: str
    """How to see it, in one sentence."""

    def scalars(self, step: int, time: float, values: Mapping[str, float]) -> None:
        """Take what is known of a step, by tag; `time` is that of the step, in seconds since 1970."""

    def histograms(
        self,
        step: int,
        time: float,
        counts: Mapping[str, Integer[ndarray, "bins"]],
        edges: Float[ndarray, "bins+1"],
    ) -> None:
        """Take counts between edges, by tag."""

    def event(self, number: int, event: Mapping[str, Any]) -> None:
        """Take the run's event of this number, a line of its `events.jsonl`."""

    def flush(self) -> State:
        """Keep what was taken, and return what is needed to go on behind it."""

    def close(self) -> None:
        """Let go."""


Open = Callable[[Run, Target, State], Logger]
"""Begin a run in a tool where the state is empty, or go on with the one that `flush` told of.

Raises:
    InputError: it cannot be opened.
"""


def targets_of(names: Iterable[LoggerName], project: str | None, folder: Path | None = None) -> list[Target]:
    """Where to by the loggers' names, each named once, and checked.

    Raises:
        InputError: one cannot be used.
    """
    targets = []
    for name in dict.fromkeys(names):
        whose = None if name == "tensorboard" else project
        targets.append(Target(name, None if folder is None else folder.absolute(), whose))
    if project is not None and not any(target.project for target in targets):
        raise InputError(
            "a project is given, and no logger that has projects; name wandb or trackio, too, or leave it out"
        )
    for target in targets:
        check(target)
    return targets


def check(target: Target) -> None:
    """Whether a logger can be used at all; asked before a training begins.

    Raises:
        InputError: its library is missing, or its settings cannot be used.
    """
    if find_spec(target.name) is None:
        raise InputError(
            f"{TITLES[target.name]} is not installed here; run `pip install "
            f'"pairlens[{target.name}]"`, or leave {target.name} out'
        )
    if target.name == "wandb":
        from pairlens.loggers.wandb import find_mode

        find_mode()


def opener(name: LoggerName) -> Open:
    """The function that opens a logger; its library is imported only now."""
    if name == "tensorboard":
        from pairlens.loggers.tensorboard import TensorBoard

        return TensorBoard
    if name == "wandb":
        from pairlens.loggers.wandb import WeightsAndBiases

        return WeightsAndBiases
    from pairlens.loggers.trackio import Trackio

    return Trackio
