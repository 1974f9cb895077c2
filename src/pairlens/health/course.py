"""One statistic in the course of a run, in the few numbers that rules ask for.

N steps.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

PARTS = 20  # equal parts whose means stand for the whole course
SHORTEST, LONGEST = 20, 500  # steps of the window whose mean is where the course stands now, else a tenth of it
SMOOTH = 20  # steps of the moving mean about which restlessness is measured


@dataclass(frozen=True)
class Course:
    """A statistic until now; what is unknown is NaN, values that are no numbers are left out."""

    parts: tuple[float, ...] = ()  # means of at most `PARTS` equal parts, in order
    end: float = math.nan  # mean of the last window
    unrest: float = math.nan  # standard deviation of the moving mean about a straight line, in the last quarter

    def mean(self, begin: float, end: float) -> float:
        """The mean between two shares of the course until now."""
        few = self.parts[round(begin * len(self.parts)) : max(round(end * len(self.parts)), 1)]
        known = [value for value in few if math.isfinite(value)]
        return sum(known) / len(known) if known else math.nan


NOTHING = Course()


def course(values: Num[np.ndarray, "N"] | None) -> Course:
    """The course of a column; `NOTHING` of one that is absent or holds no number."""
    if values is None or not len(values):
        return NOTHING
    value = np.clip(np.asarray(values, np.float64), -1e30, 1e30)  # squares stay finite; NaN stays NaN
    known = np.where(np.isinf(np.asarray(values, np.float64)), np.nan, value)
    if not np.isfinite(known).any():
        return NOTHING
    late = _known(known[-max(1, len(known) // 4) :])
    window = min(LONGEST, max(SHORTEST, len(known) // 10))
    return Course(
        parts=tuple(_mean(part) for part in np.array_split(known, min(PARTS, len(known)))),
        end=_mean(known[-window:]),
        unrest=_unrest(late),
    )


def _unrest(late: Float[np.ndarray, "N"]) -> float:
    if len(late) < 2 * SMOOTH:
        return math.nan
    total = np.concatenate([[0.0], np.cumsum(late)])
    smooth = (total[SMOOTH:] - total[:-SMOOTH]) / SMOOTH
    place = np.linspace(-1, 1, len(smooth))
    centred = smooth - smooth.mean()
    line = place * (centred @ place) / (place @ place)
    return float((centred - line).std())


def _mean(values: Float[np.ndarray, "n"]) -> float:
    known = _known(values)
    return float(known.mean()) if len(known) else math.nan


def _known(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "m"]:
    return values[np.isfinite(values)]
