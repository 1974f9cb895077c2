"""Reading what a run has recorded: columns that may be absent, and files that may be damaged.

N steps.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from jaxtyping import Num

from pairlens.errors import InputError
from pairlens.phases import PHASES

T = TypeVar("T")

DAMAGED = (InputError, ValueError, OSError, KeyError, TypeError, EOFError)  # what a damaged file makes a reader raise


def undamaged(read: Callable[[], T], otherwise: T) -> T:
    """What `read` gives, or `otherwise` where its file is damaged and less important than its panel."""
    try:
        return read()
    except DAMAGED:
        return otherwise


def finite(value: object, otherwise: float) -> float:
    """A recorded number, or `otherwise` where it is none."""
    try:
        return float(value) if isinstance(value, int | float | np.number) and math.isfinite(value) else otherwise
    except OverflowError:  # a whole number beyond all floats
        return otherwise


def column(table: np.ndarray, name: str) -> Num[np.ndarray, "N ..."] | None:
    """A column of a structured table, or None where the table is empty or does not have it."""
    if not len(table) or table.dtype.names is None or name not in table.dtype.names:
        return None
    return table[name]


def step_seconds(table: np.ndarray) -> Num[np.ndarray, "N"] | None:
    """How long each step took: the sum of its phases, or the time since the step before where those are not known."""
    phases = [v for phase in PHASES if (v := column(table, f"time_{phase}")) is not None]
    if phases:
        return np.sum(phases, axis=0)
    passed = column(table, "seconds")
    if passed is None or len(passed) < 2:
        return None
    gaps = np.diff(passed)
    return np.concatenate([gaps[:1], gaps])


def settled(values: Num[np.ndarray, "N"] | None) -> float:
    """The mean of the finite values among the last tenth: where a noisy curve ended. NaN where there are none."""
    if values is None or not len(values):
        return float("nan")
    last = np.asarray(values[-max(1, len(values) // 10) :], np.float64)
    last = last[np.isfinite(last)]
    return float(last.mean()) if len(last) else float("nan")
