"""The landscapes of a run, `landscape.npy`: a row each, in the order of their steps.

step, epoch, batches, learning_rate, loss, gradient_norm, weight_norm: as in `pairlens.evaluate.landscape.Point`.
rate, rate.loss, rate.change [M]: multiples of the learning rate, the loss at such a step, the gradient's change (l2).
share, share.loss, share.change [M]: distances as shares of the weights' norm, and the same there.
"""

import os
from pathlib import Path

import numpy as np

from pairlens.errors import InputError
from pairlens.evaluate.landscape import Point, Sizes
from pairlens.record.disk import writing
from pairlens.record.table import read

NAME = "landscape.npy"
SCALARS = (("step", "<i8"), ("epoch", "<f4"), ("batches", "<i4"))
NUMBERS = ("learning_rate", "loss", "gradient_norm", "weight_norm")
WALKS = ("rate", "share")
ENDS = ("", ".loss", ".change")


def read_landscape(folder: Path) -> np.ndarray:
    """The rows of a run, none where nothing was measured.

    Raises:
        InputError: the file is damaged, or holds something else.
    """
    rows = read(folder / NAME)
    if not len(rows):
        return rows
    lengths = [rows[name].shape[1:] for name in WALKS if name in (rows.dtype.names or ())]
    if [len(shape) for shape in lengths] != [1, 1] or rows.dtype != _layout(*lengths):
        raise InputError(f"{folder / NAME} holds no landscapes, or those of another version; delete it")
    return rows


def add_point(folder: Path, point: Point) -> None:
    """Add a point, in the place of an earlier one of the same step; a reader finds the old rows or the new ones.

    Raises:
        InputError: the file is damaged or holds other step sizes, or the disk cannot be written.
    """
    row, before = _row(point), read_landscape(folder)
    if len(before) and before.dtype != row.dtype:
        raise InputError(f"{folder / NAME} holds points of other step sizes; delete it to measure anew")
    rows = np.concatenate([before[before["step"] != point.step], row]) if len(before) else row
    write_landscape(folder, rows[np.argsort(rows["step"])])


def write_landscape(folder: Path, rows: np.ndarray) -> None:
    """Replace all rows."""
    path = folder / NAME
    partial = path.with_name(path.name + ".partial")
    with writing(path):
        with partial.open("wb") as file:
            np.save(file, rows)
        os.replace(partial, path)


def sizes_of(rows: np.ndarray) -> tuple[int, Sizes] | None:
    """How many batches, and which step sizes rows were measured with; None where there are no rows."""
    if not len(rows):
        return None
    return int(rows["batches"][0]), Sizes(*(tuple(map(float, rows[name][0])) for name in WALKS))


def _layout(rates: tuple[int, ...], shares: tuple[int, ...]) -> np.dtype:
    """The columns, for walks of these shapes."""
    walks = [(f"{walk}{end}", "<f8", shape) for walk, shape in zip(WALKS, (rates, shares), strict=True) for end in ENDS]
    return np.dtype([*SCALARS, *((name, "<f8") for name in NUMBERS), *walks])


def _row(point: Point) -> np.ndarray:
    """One row."""
    sizes = point.sizes
    row = np.zeros(1, _layout((len(sizes.rates),), (len(sizes.shares),)))
    for name in (*(name for name, _ in SCALARS), *NUMBERS):
        row[name] = getattr(point, name)
    for name, units, walk in zip(WALKS, (sizes.rates, sizes.shares), (point.rates, point.shares), strict=True):
        row[name], row[f"{name}.loss"], row[f"{name}.change"] = units, walk.loss, walk.change
    return row
