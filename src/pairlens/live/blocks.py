"""Curves that grow by appending: blocks of 2^k rows, of which only the last changes, so that only new ones travel.

A cursor "GENERATION.K.ROWS" says what a reader already holds. It needs no memory of the reader, and outlives the
server. Whole blocks never change until k does; a run that is resumed cuts rows off, and begins a new generation.

N rows, M blocks.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from pairlens.report.thin import Curve, thinned

POINTS = 512  # of a curve, at most; at least half as many where there are rows enough


@dataclass(frozen=True)
class Place:
    """Where a reader's copy begins to be old."""

    generation: int
    k: int
    first: int  # block; earlier ones are held already

    def cursor(self, rows: int) -> str:
        """What the reader holds after the answer."""
        return f"{self.generation}.{self.k}.{rows}"


def level(rows: int, points: int) -> int:
    """The least k with which at most so many blocks of 2^k rows hold them all."""
    return max(0, (max(0, -(-rows // points) - 1)).bit_length())


def place(cursor: object, generation: int, rows: int, points: int) -> Place:
    """From which block on the rows have to be told to whom holds `cursor`; from the first on where it fits nothing."""
    k = level(rows, points)
    try:
        held = tuple(map(int, str(cursor).split(".")))
    except ValueError:
        held = ()
    fits = len(held) == 3 and held[:2] == (generation, k) and 0 <= held[2] <= rows
    return Place(generation, k, held[2] >> k if fits else 0)


def edges(rows: int, at: Place) -> Int[np.ndarray, "M"]:
    """Where each block from the place on begins, among all rows."""
    return np.arange(at.first << at.k, rows, 1 << at.k)


class Store:
    """The whole blocks of curves, kept so that each row is thinned once; the oldest are forgotten."""

    def __init__(self, limit: int = 4096) -> None:
        self.limit = limit
        self.kept: dict[tuple[str, str], tuple[Place, dict[str, Float[np.ndarray, "M"]]]] = {}

    def curve(
        self,
        name: tuple[str, str],
        step: Num[np.ndarray, "N"],
        value: Num[np.ndarray, "N"],
        at: Place,
    ) -> dict[str, Float[np.ndarray, "M"]]:
        """The blocks of a curve from a place on: step, mean, low and high, and the share of values that are none.

        Args:
            name: of the curve, for the store.
            step: of all rows, and
            value: theirs; both are read only where they are new.
            at: from where on the reader needs it.
        """
        before, parts = self.kept.pop(name, (None, {}))
        whole = 0
        if before and (before.generation, before.k) == (at.generation, at.k) and before.first <= len(step) >> at.k:
            whole = before.first
        new = edges(len(step), Place(at.generation, at.k, whole))
        start = whole << at.k
        made = _parts(thinned(step[start:], value[start:], new - start), step[start:], new - start)
        made = {k: np.concatenate([parts[k][:whole], v]) if whole else v for k, v in made.items()}
        done = len(step) >> at.k
        self.kept[name] = (Place(at.generation, at.k, done), {k: v[:done] for k, v in made.items()})
        while len(self.kept) > self.limit:
            del self.kept[next(iter(self.kept))]
        return {k: v[at.first :] for k, v in made.items()}


def _parts(curve: Curve, step: Num[np.ndarray, "N"], begins: Int[np.ndarray, "M"]) -> dict[str, Float[np.ndarray, "M"]]:
    """A thinned curve as float32 columns, the broken steps counted by block."""
    broken = np.zeros(len(curve), np.float32)
    if len(curve.broken):
        blocks = np.searchsorted(step[begins], curve.broken, side="right") - 1
        np.add.at(broken, blocks, 1)
    columns = {"step": curve.step, "mean": curve.mean, "low": curve.low, "high": curve.high}
    return {k: v.astype(np.float32) for k, v in columns.items()} | {"broken": broken}
