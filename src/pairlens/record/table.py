"""A table of fixed-size rows in one `.npy` file that grows while it is read, and survives a kill at any moment."""

import ast
import os
import re
from bisect import bisect_left
from functools import lru_cache
from pathlib import Path

import numpy as np

from pairlens.errors import InputError
from pairlens.record.disk import writing

HEADER = 4096  # bytes, of some hundred columns; a header of more is a multiple of it (and of 64, as the format asks)
_DIGITS = 20  # room for the row count, whatever it will be
_LONGEST = 15 * HEADER  # a version-1 header says its length in two bytes
_OURS = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': (?P<descr>.*), 'fortran_order': False, 'shape': \((?P<rows>\d+),\)\} *\n$", re.S
)


class Table:
    """Append rows of a structured NumPy dtype to a file that `numpy.load` can read at any time.

    Rows are written behind the last counted row first, the header's row count after them, in place. A process that is
    killed in between leaves rows that nobody counts, and the next append overwrites them. NumPy and pandas read the
    file without pairlens: `numpy.load(path)`, `pandas.DataFrame(numpy.load(path))`. Where some hundreds of columns need
    a header of more than 10 000 bytes, NumPy wants to be told (`max_header_size`).
    """

    def __init__(self, path: Path, dtype: np.dtype, rows: int | None = None) -> None:
        """Open or create a table; `rows` cuts an existing one back to that many rows (resuming a run).

        Raises:
            InputError: the file that is there is damaged, or the disk cannot be written.
        """
        self.path, self.dtype = path, np.dtype(dtype)
        self._offset = len(_header(self.dtype, 0))
        found = mapped(path)
        if found is not None:
            if found.dtype != self.dtype:
                raise InputError(
                    f"{path} holds columns {found.dtype.names}, not {self.dtype.names}; it is of another version, "
                    "delete it to go on without its rows"
                )
            self.rows = len(found) if rows is None else min(rows, len(found))
            del found
        else:
            partial = path.with_name(path.name + ".partial")
            with writing(path):
                partial.write_bytes(_header(self.dtype, 0))
                os.replace(partial, path)
            self.rows = 0
        with writing(path):
            self._file = open(path, "r+b")  # noqa: SIM115 - held open for the run's length, closed in close()
            self._count()

    def append(self, rows: np.ndarray) -> None:
        """Add rows: [n] of the table's dtype."""
        content = np.ascontiguousarray(rows, dtype=self.dtype).tobytes()
        with writing(self.path):
            self._file.seek(self._offset + self.rows * self.dtype.itemsize)
            self._file.write(content)
            self._file.flush()
            self.rows += len(rows)
            self._count()

    def sync(self) -> None:
        """Make sure that all rows are on the disk (before a checkpoint that refers to them)."""
        with writing(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        self._file.close()

    def _count(self) -> None:
        self._file.seek(0)
        self._file.write(_header(self.dtype, self.rows))
        self._file.flush()


def read(path: Path) -> np.ndarray:
    """All counted rows of a table, as a copy; a table that does not exist yet reads as an empty array.

    Raises:
        InputError: the file is damaged.
    """
    found = mapped(path)
    return np.empty(0) if found is None else np.array(found)


def rows_before(path: Path, step: int) -> int:
    """How many rows of a table with a rising column `step` lie before a step; none of one that does not exist.

    Raises:
        InputError: the file is damaged.
    """
    found = mapped(path)
    if found is None or "step" not in (found.dtype.names or ()):
        return 0
    return int((found["step"] < step).sum())


def rows_from(path: Path, step: int, most: int) -> np.ndarray:
    """The rows of a table with a rising column `step` from a step on, at most so many, as a copy.

    It touches no other rows, so that a long table is cheap to follow. Empty where there is no table, or none of them.

    Raises:
        InputError: the file is damaged.
    """
    found = mapped(path)
    if found is None or "step" not in (found.dtype.names or ()):
        return np.empty(0)
    first = bisect_left(found["step"], step)
    return np.array(found[first : first + most])


def mapped(path: Path) -> np.ndarray | None:
    """The counted rows, mapped and not read; None where there is no file, or an empty one.

    Keep it no longer than it takes to read some rows: what a file loses meanwhile cannot be read any more.

    Raises:
        InputError: the file is damaged.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with open(path, "rb") as file:
            header = file.read(HEADER)
            header += file.read(max(_length(header) - HEADER, 0))
        ours = _OURS.match(header)
        if ours is None:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        shape = (int(ours["rows"]),)
        if not shape[0]:
            return np.empty(0, _layout(ours["descr"]))
        return np.memmap(str(path), _layout(ours["descr"]), "r", len(header), shape)
    except Exception as error:  # a broken header ends in half a dozen kinds
        raise InputError(
            f"the table {path} is damaged or cannot be read ({type(error).__name__}); delete it, and only the report "
            "misses what it held"
        ) from error


@lru_cache(maxsize=64)
def _layout(descr: bytes) -> np.dtype:
    """What a header says of the columns; the tables of many runs say the same, and reading it anew takes a while."""
    return np.lib.format.descr_to_dtype(ast.literal_eval(descr.decode("latin1")))


def _length(header: bytes) -> int:
    """How long a header says that it is, with what says so."""
    return 10 + int.from_bytes(header[8:10], "little")


def _header(dtype: np.dtype, rows: int) -> bytes:
    """A version-1 `.npy` header padded to whole `HEADER`s, so that the row count can be rewritten in place."""
    text = repr({"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (rows,)})
    room = len(text) - len(str(rows)) + _DIGITS + 11
    length = HEADER * -(-room // HEADER)
    if length > _LONGEST:
        raise InputError(
            f"a table of {len(dtype.names or ())} columns is more than a file of rows can name; record fewer spaces, "
            "or give them shorter names"
        )
    return (
        b"\x93NUMPY\x01\x00" + (length - 10).to_bytes(2, "little") + (text.ljust(length - 11) + "\n").encode("latin1")
    )
