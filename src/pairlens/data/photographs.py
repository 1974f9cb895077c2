"""Image files that are looked at whenever they are asked for: sets too large to be kept decoded.

Threads do the work: decoders, resizers and reads release the interpreter's lock, nothing is pickled, and no worker
holds state that could be out of date. Of the 0.5 to 1 ms of processor time that two views of a 400 x 533 JPEG take,
60 us are Python's own (measured with decoder and resizer replaced by ready results; the same with 1 thread and with
16), 25 us more where EXIF must be read or simplejpeg is absent: the lock lets about 10 000 images/s pass in a process.

N images of the set, B of them asked for, S pixels of the stored side, s of a view's.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from threading import Lock
from typing import TypeVar

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from pairlens.data.cut import View, cut_file
from pairlens.data.decode import Unreadable, decode_file
from pairlens.data.files import printable
from pairlens.data.parallel import cores, share
from pairlens.errors import InputError

Rectangles = Mapping[str, tuple[Float[Tensor, "B 4"], int]]
"""For each view its rectangles (left, top, width, height; fractions of the upright image), and its side in pixels."""

TRIES = 100
"""Files that are tried in the place of one before it is given up."""

T = TypeVar("T")


class Photographs:
    """N image files in the place of their pixels: what a tensor [N, 3, S, S] is asked for, and cut views.

    A file that cannot be read any more is reported once (`drain`), and each time another takes its place: the first
    that can be read of those 1, 2, 4, 8, ... places further on. Which one depends on the files alone, not on time.
    """

    dtype = torch.uint8
    device = torch.device("cpu")

    def __init__(
        self, root: str | os.PathLike[str], names: Sequence[str], side: int, workers: int | None = None
    ) -> None:
        """Take files, named below `root`, as squares of `side` pixels; `workers` threads, as many as cores if None."""
        self.root, self.names = os.fspath(root), names
        self.workers = workers or cores()
        self.shape = torch.Size((len(names), 3, side, side))
        self._failures: list[tuple[str, str]] = []
        self._reported: set[int] = set()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(self.workers, "pairlens-photographs")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Integer[Tensor, "B"] | slice) -> UInt8[Tensor, "B 3 S S"]:
        """Whole images, squeezed to the side: what a store of the same side holds."""
        index = list(range(len(self))[rows]) if isinstance(rows, slice) else rows.tolist()
        squares = torch.empty(len(index), *self.shape[1:], dtype=torch.uint8)

        def fill(i: int) -> None:
            found = self._read(index[i], lambda path: decode_file(path, self.shape[-1]))
            squares[i] = torch.from_numpy(found.pixels)

        return share(self._pool, fill, len(index), self.workers, squares).result()

    def cut(
        self, index: Integer[Tensor, "B"], rectangles: Rectangles, *, pin: bool = False
    ) -> Future[dict[str, UInt8[Tensor, "B 3 s s"]]]:
        """Begin to cut views out of images; every file is decoded once (see `cut.cut_file`).

        Args:
            index: which images, on the CPU; any order, any number of times.
            rectangles: of each view its rectangles and its side; on the CPU. Read before this returns.
            pin: put the views in pinned memory, for a copy to a GPU that waits for nothing.

        Returns:
            The views by name. Earlier calls are served first. Its `result()` raises an InputError where none of the
            files that could take an unreadable one's place can be read either.
        """
        rows = index.tolist()
        crops = {name: crop.tolist() for name, (crop, _) in rectangles.items()}
        views = {
            name: torch.empty(len(rows), 3, size, size, dtype=torch.uint8, pin_memory=pin)
            for name, (_, size) in rectangles.items()
        }
        outs = {name: view.numpy() for name, view in views.items()}

        def fill(i: int) -> None:
            wanted = [View(crops[name][i], outs[name][i]) for name in outs]
            self._read(rows[i], lambda path: cut_file(path, wanted))

        return share(self._pool, fill, len(rows), self.workers, views)

    def rows(self, index: Integer[Tensor, "K"]) -> "Photographs":
        """Some of the files."""
        return Photographs(self.root, [self.names[i] for i in index.tolist()], self.shape[-1], self.workers)

    def drain(self) -> list[tuple[str, str]]:
        """The files that could not be read since the last call, with the reason; each is reported once."""
        with self._lock:
            found, self._failures = sorted(self._failures), []
        return found

    def _read(self, row: int, look: Callable[[str], T | Unreadable]) -> T:
        """What `look` gives for an image's file, or for the first readable one of those that may take its place."""
        reason = ""
        for place in islice(chain([row], substitutes(row, len(self))), 1 + TRIES):
            found = look(os.path.join(self.root, self.names[place]))
            if not isinstance(found, Unreadable):
                return found
            reason = reason or found.reason
            self._report(place, found.reason)
        raise InputError(
            f"{printable(self.names[row])} in {self.root} can no longer be read ({reason}), nor can any file that was "
            "tried in its place; see whether the disk is still there, and resume the run"
        )

    def _report(self, row: int, reason: str) -> None:
        with self._lock:
            if row not in self._reported:
                self._reported.add(row)
                self._failures.append((printable(self.names[row]), reason))


def substitutes(row: int, count: int) -> Iterator[int]:
    """Which of `count` images may take the place of one that cannot be read, in this order.

    The next is mostly of the same class; distances of 1, 2, 4, 8, ... leave a lost folder soon; all others follow.
    """
    doubled = (2**k for k in range((count - 1).bit_length()))
    others = (distance for distance in range(3, count) if distance & (distance - 1))
    return ((row + distance) % count for distance in chain(doubled, others))
