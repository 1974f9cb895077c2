"""The landscapes of a run (`landscape.npy`), read for the report, and what they come to in one sentence.

P points along the training, M step sizes of a walk.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pairlens.record.run import Run
from pairlens.report.read import intact
from pairlens.report.text import count, percent

HOLDS, LOST = 0.5, 1.0
"""Change of the gradient over a step, as a share of its own length: up to the first it holds, beyond the second it is
lost, for a loss that is as curved all the way (|g' - g| = e beta |g|) is lowest where it is 1."""
RUGGED, SMOOTH = 1 / 3, 1 / 20
"""Share of the points at which the gradient is lost: from the first on rugged, up to the second smooth."""

REMEDY = "delete it, and measure anew with `pairlens landscape`"


@dataclass(frozen=True)
class Walk:
    """What was found along the gradient, at every point for every step size."""

    size: Float[np.ndarray, "M"]  # multiples of the learning rate, or shares of the weights' norm
    loss: Float[np.ndarray, "P M"]
    change: Float[np.ndarray, "P M"]  # of the gradient, l2
    distance: Float[np.ndarray, "P M"]  # that was walked, l2

    @property
    def middle(self) -> int:
        """The step size that stands for all: the learning rate itself, or of distances the middle one."""
        at = int(np.abs(self.size - 1).argmin())
        return at if self.size[-1] >= 0.5 else (len(self.size) - 1) // 2


@dataclass(frozen=True)
class Landscape:
    """All that was measured of a run."""

    step: Float[np.ndarray, "P"]
    batches: int
    loss: Float[np.ndarray, "P"]
    norm: Float[np.ndarray, "P"]  # of the gradient
    walks: Mapping[str, Walk]  # "rate" and "share"

    def rise(self, walk: str) -> Float[np.ndarray, "P M"]:
        """How much the loss rises; negative where it falls."""
        return self.walks[walk].loss - self.loss[:, None]

    def turn(self, walk: str) -> Float[np.ndarray, "P M"]:
        """The gradient's change as a share of its length."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.walks[walk].change / self.norm[:, None]

    @property
    def smoothness(self) -> Float[np.ndarray, "P"]:
        """The effective beta (Santurkar et al. 2018): the gradient's greatest change for its distance, of all equal
        distances; NaN where there is none."""
        walk = self.walks["share"]
        with np.errstate(divide="ignore", invalid="ignore"):
            found = walk.change / walk.distance
        return np.fmax.reduce(np.where(np.isfinite(found), found, np.nan), axis=1)

    @property
    def verdict(self) -> str:
        """What is seen, in one sentence, by the gradient's change over a step of the learning rate.

        Points after the start are judged, or the start where there is no other: weights that were just drawn tell
        nothing of a training. Smooth: the gradient is lost at one point in twenty at most, and at half of the points it
        holds. Rugged: it is lost at a third of the points or more. Uneven: all between.
        """
        walk = self.walks["rate"]
        later = self.step > 0 if (self.step > 0).any() else self.step >= 0
        turn = self.turn("rate")[later, walk.middle]
        known = turn[np.isfinite(turn)]
        broken = int((~np.isfinite(turn) & ~(self.norm[later] == 0)).sum())
        rest = f"; at {_points(broken)} loss or gradient is no finite number" if broken else ""
        if not len(known):
            return f"Nothing can be said: no point has a finite slope to walk down{rest}."
        median, lost = float(np.median(known)), int((known > LOST).sum())
        if lost >= RUGGED * len(known):
            word, tail = "Rugged", f"at {lost} of {_points(len(known))} by more than its own length"
        else:
            word = "Smooth" if lost <= SMOOTH * len(known) and median <= HOLDS else "Uneven"
            tail = f"at {count(lost) if lost else 'none'} of {_points(len(known))} by more than its own length"
        times = float(walk.size[walk.middle])
        step = "a step of the learning rate" if times == 1 else f"a step of {times:g} times the learning rate"
        typical = f"the gradient changes by {percent(median, 0)} of its length (median)"
        return f"{word}: over {step} {typical}, {tail}{rest}."


def read_landscape(run: Run) -> Landscape | None:
    """What was measured of this run; None where nothing was.

    Raises:
        InputError: `landscape.npy` does not hold what it should.
    """
    return intact(_landscape, run.landscape, "landscape.npy", REMEDY) if len(run.landscape) else None


def _landscape(rows: np.ndarray) -> Landscape:
    rate, weights, norm = (rows[name][:, None] for name in ("learning_rate", "weight_norm", "gradient_norm"))
    units = {"rate": rate * norm, "share": weights}
    walks = {
        name: Walk(rows[name][0], rows[f"{name}.loss"], rows[f"{name}.change"], rows[name] * unit)
        for name, unit in units.items()
    }
    return Landscape(rows["step"].astype(float), int(rows["batches"][0]), rows["loss"], norm[:, 0], walks)


def _points(number: int) -> str:
    return f"{count(number)} point" if number == 1 else f"{count(number)} points"
