"""The growing table: readable at any moment, safe against a kill at any moment."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pairlens.errors import InputError
from pairlens.record.table import HEADER, Table, read, rows_before

DTYPE = np.dtype([("step", "<i8"), ("loss", "<f4"), ("z.positive", "<u4", (3,))])


def rows_of(start: int, count: int) -> np.ndarray:
    rows = np.zeros(count, DTYPE)
    rows["step"] = np.arange(start, start + count)
    rows["loss"] = rows["step"] / 8
    rows["z.positive"] = rows["step"][:, None] + np.arange(3)
    return rows


def test_numpy_and_pandas_read_the_table_after_every_append_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    table = Table(path, DTYPE)
    assert len(np.load(path, allow_pickle=False)) == 0
    count = 0
    for more in (1, 2, 0, 120):  # one digit, two and three in the header's row count
        table.append(rows_of(count, more))
        count += more
        expected = rows_of(0, count)
        for found in (np.load(path, allow_pickle=False), np.load(path, mmap_mode="r"), read(path)):
            assert found.dtype == DTYPE
            assert np.array_equal(found, expected)
        frame = pd.DataFrame(np.load(path)[["step", "loss"]])
        assert frame["step"].tolist() == list(range(count))
        assert frame["loss"].tolist() == [i / 8 for i in range(count)]
    table.close()
    assert np.array_equal(read(path), rows_of(0, 123))
    assert path.stat().st_size == HEADER + 123 * DTYPE.itemsize


@pytest.mark.parametrize("columns", [60, 110, 180])
def test_a_header_of_many_columns_grows_by_whole_pages(tmp_path: Path, columns: int) -> None:
    """LooC's spaces have a dozen columns each, of names that a user may choose."""
    dtype = np.dtype([("step", "<i8"), *[(f"a rather long space's name {i}.positive", "<f4") for i in range(columns)]])
    path = tmp_path / "table.npy"
    offset = -(-len(repr(dtype.descr)) // HEADER) * HEADER
    table = Table(path, dtype)
    for count in (1, 9, 990):
        more = np.zeros(count, dtype)
        more["step"] = table.rows + np.arange(count)
        table.append(more)
        assert path.stat().st_size == offset + table.rows * dtype.itemsize
    table.close()
    for found in (np.load(path, max_header_size=20_000), read(path)):
        assert found.dtype == dtype
        assert found["step"].tolist() == list(range(1000))
    cut = Table(path, dtype, rows=3)
    cut.append(more[:1])
    cut.close()
    assert read(path)["step"].tolist() == [0, 1, 2, 10]


def test_columns_that_no_header_can_name_are_refused_in_a_sentence(tmp_path: Path) -> None:
    dtype = np.dtype([(f"{i:060}", "<f4") for i in range(1000)])
    with pytest.raises(InputError, match=r"1000 columns is more .* fewer spaces, or give them shorter names"):
        Table(tmp_path / "table.npy", dtype)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("extra", [1, DTYPE.itemsize, 5 * DTYPE.itemsize + 7])
def test_rows_that_nobody_counted_are_overwritten(tmp_path: Path, extra: int) -> None:
    path = tmp_path / "table.npy"
    table = Table(path, DTYPE)
    table.append(rows_of(0, 4))
    table.close()
    with open(path, "ab") as file:  # killed between the rows and the header
        file.write(b"\xff" * extra)
    assert np.array_equal(np.load(path), rows_of(0, 4))
    again = Table(path, DTYPE)
    assert again.rows == 4
    again.append(rows_of(4, 2))
    assert np.array_equal(np.load(path), rows_of(0, 6))
    again.close()


def test_the_header_counts_rows_only_after_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.npy"
    table = Table(path, DTYPE)
    table.append(rows_of(0, 2))

    def killed(self: Table) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Table, "_count", killed)
    with pytest.raises(KeyboardInterrupt):
        table.append(rows_of(2, 3))
    assert np.array_equal(np.load(path), rows_of(0, 2))
    assert path.stat().st_size == HEADER + 5 * DTYPE.itemsize


def test_a_resumed_table_is_cut_back_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    table = Table(path, DTYPE)
    table.append(rows_of(0, 10))
    table.close()
    cut = Table(path, DTYPE, rows=7)
    assert np.array_equal(np.load(path), rows_of(0, 7))  # at once, not with the next append
    cut.append(rows_of(7, 1))
    cut.close()
    assert np.array_equal(read(path), rows_of(0, 8))
    kept = Table(path, DTYPE, rows=99)  # more than there are: all stay
    assert kept.rows == 8
    kept.close()
    emptied = Table(path, DTYPE, rows=0)
    emptied.close()
    assert len(read(path)) == 0


def test_a_table_of_other_columns_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    table = Table(path, DTYPE)
    table.append(rows_of(0, 3))
    table.close()
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"holds columns .*'step', 'loss', 'z\.positive'.* not .*'other'"):
        Table(path, np.dtype([("step", "<i8"), ("other", "<f4")]))
    assert path.read_bytes() == before


@pytest.mark.parametrize("start", [0, 7])
def test_rows_before_a_step_are_counted_wherever_the_table_begins(tmp_path: Path, start: int) -> None:
    path = tmp_path / "table.npy"
    assert rows_before(path, 5) == 0
    table = Table(path, DTYPE)
    assert rows_before(path, 5) == 0
    table.append(rows_of(start, 6))
    table.close()
    assert [rows_before(path, step) for step in (0, start, start + 2, 99)] == [0, 0, 2, 6]


def test_a_kill_before_the_header_leaves_no_file_or_an_empty_one_which_counts_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.npy"

    def killed(partial: Path, final: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            Table(path, DTYPE)
    assert not path.exists()
    path.touch()
    assert len(read(path)) == rows_before(path, 9) == 0
    table = Table(path, DTYPE, rows=0)
    table.append(rows_of(0, 2))
    table.close()
    assert np.array_equal(read(path), rows_of(0, 2))
    assert [p.name for p in tmp_path.iterdir()] == ["table.npy"]


@pytest.mark.parametrize("damage", ["garbage", "magic", "header", "rows", "zip"])
def test_a_damaged_table_is_named_in_one_sentence(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "table.npy"
    table = Table(path, DTYPE)
    table.append(rows_of(0, 200))
    table.close()
    whole = path.read_bytes()
    path.write_bytes(
        {
            "garbage": b"no table at all",
            "magic": whole[:7],
            "header": whole[:20] + b"(((" + whole[23:],
            "rows": whole[: HEADER + 30],
            "zip": b"PK\x03\x04" + whole[4:],
        }[damage]
    )
    for opening in (lambda: Table(path, DTYPE), lambda: read(path), lambda: rows_before(path, 3)):
        with pytest.raises(InputError, match=r"table\.npy is damaged or cannot be read .*; delete it"):
            opening()


def test_a_disk_that_is_full_is_told_and_loses_no_counted_row(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits of a process are a thing of Unix")
    path = tmp_path / "table.npy"
    table = Table(path, DTYPE)
    table.append(rows_of(0, 3))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER + 5 * DTYPE.itemsize, hard))
    try:
        with pytest.raises(InputError, match=r"table\.npy cannot be written \(File too large\)"):
            table.append(rows_of(3, 9))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert np.array_equal(read(path), rows_of(0, 3))
    table.append(rows_of(3, 9))
    table.close()
    assert np.array_equal(read(path), rows_of(0, 12))


def test_rows_of_another_kind_are_refused(tmp_path: Path) -> None:
    table = Table(tmp_path / "table.npy", DTYPE)
    with pytest.raises((TypeError, ValueError)):
        table.append(np.zeros(2, [("loss", "<f4")]))
    assert len(read(table.path)) == 0
    table.close()


def test_a_table_that_does_not_exist_reads_as_nothing(tmp_path: Path) -> None:
    assert len(read(tmp_path / "none.npy")) == 0
