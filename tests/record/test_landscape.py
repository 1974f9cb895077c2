"""Landscapes on the disk: in order, each step once, and nothing else taken for them."""

from pathlib import Path

import numpy as np
import pytest

from pairlens.errors import InputError
from pairlens.evaluate.landscape import Point, Sizes, Walk
from pairlens.record.landscape import add_point, read_landscape, sizes_of

SIZES = Sizes((0.5, 2.0), (0.001, 0.01, 0.1))


def point(step: int, loss: float = 2.0, sizes: Sizes = SIZES) -> Point:
    rates, shares = (np.arange(float(len(one))) for one in (sizes.rates, sizes.shares))
    return Point(step, step / 4, 2, 0.1, loss, 3.0, 40.0, sizes, Walk(rates, rates + 1), Walk(shares, shares + 2))


def test_points_stand_in_the_order_of_their_steps_and_each_once(tmp_path: Path) -> None:
    assert len(read_landscape(tmp_path)) == 0
    assert sizes_of(read_landscape(tmp_path)) is None
    for step, loss in ((8, 1.0), (0, 2.0), (4, 3.0), (8, np.inf)):
        add_point(tmp_path, point(step, loss))
    rows = read_landscape(tmp_path)
    assert rows["step"].tolist() == [0, 4, 8]
    assert rows["loss"].tolist() == [2, 3, np.inf]
    assert rows["epoch"].tolist() == [0, 1, 2]
    assert rows["share"].tolist() == [list(SIZES.shares)] * 3
    assert rows["rate.loss"].tolist() == [[0, 1]] * 3
    assert rows["share.change"].tolist() == [[2, 3, 4]] * 3
    assert sizes_of(rows) == (2, SIZES)
    assert [path.name for path in tmp_path.iterdir()] == ["landscape.npy"]


def test_other_step_sizes_are_not_mixed_in(tmp_path: Path) -> None:
    add_point(tmp_path, point(0))
    with pytest.raises(InputError, match="other step sizes; delete it"):
        add_point(tmp_path, point(1, sizes=Sizes((1.0,), (0.1,))))
    assert read_landscape(tmp_path)["step"].tolist() == [0]


@pytest.mark.parametrize("rows", [np.zeros(3), np.zeros(2, [("step", "<i8"), ("rate", "<f8"), ("share", "<f8")])])
def test_a_file_that_holds_something_else_is_told(tmp_path: Path, rows: np.ndarray) -> None:
    np.save(tmp_path / "landscape.npy", rows)
    with pytest.raises(InputError, match="holds no landscapes"):
        read_landscape(tmp_path)
