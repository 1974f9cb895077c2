"""STL-10 in its original binary layout.

N images, always 3 x 96 x 96; the files hold each colour plane column by column.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from pairlens.data.images import ImageSet, Source
from pairlens.data.store import cache_key, keep
from pairlens.errors import InputError

STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
SIDE = 96
IMAGE = 3 * SIDE * SIDE  # bytes
FOLDER = "stl10_binary"
BLOCK = 512  # images read at a time


def find_stl10(folder: Path) -> Callable[[str, bool], Source] | None:
    """A reader, called with a name and whether labels are wanted, for the STL-10 in this folder or one below it."""
    for place in (folder, folder / FOLDER):
        if (place / "train_X.bin").is_file():
            return lambda name, labels, place=place: _read(name, place, labels)  # type: ignore[misc]
    return None


def _read(name: str, folder: Path, labels: bool) -> Source:
    """Training images are the 100 000 unlabelled ones followed by the 5 000 of the training part, or these alone.

    That is the set's convention: pretrain on both, read out on the latter. The labels of the 100 000 are -1.
    """
    unlabelled = [] if labels or not (folder / "unlabeled_X.bin").is_file() else ["unlabeled"]
    train = _read_part(folder, [*unlabelled, "train"])
    test = _read_part(folder, ["test"]) if (folder / "test_X.bin").is_file() else None
    return Source(name, train, test)


def _read_part(folder: Path, parts: list[str]) -> ImageSet:
    paths = [folder / f"{part}_X.bin" for part in parts]
    counts = [_count(path) for path in paths]
    names = [f"{part}/{i:06d}" for part, count in zip(parts, counts, strict=True) for i in range(count)]

    def fill(facts: dict[str, Any]) -> Iterator[np.ndarray]:
        for path, count in zip(paths, counts, strict=True):
            with path.open("rb") as file:
                for begin in range(0, count, BLOCK):
                    planes = np.fromfile(file, np.uint8, min(BLOCK, count - begin) * IMAGE)
                    yield from np.ascontiguousarray(planes.reshape(-1, 3, SIDE, SIDE).swapaxes(2, 3))

    stats = [path.stat() for path in paths]
    key = cache_key((p.name, s.st_size, s.st_mtime_ns) for p, s in zip(paths, stats, strict=True))
    pixels, _ = keep(fill, len(names), SIDE, key)
    return ImageSet(
        pixels=pixels,
        sizes=torch.full((len(names), 2), SIDE),
        names=names,
        labels=torch.cat([_labels(folder, part, count) for part, count in zip(parts, counts, strict=True)]),
        classes=STL10,
    )


def _count(path: Path) -> int:
    size = path.stat().st_size
    if size == 0 or size % IMAGE:
        raise InputError(
            f"{path} is {size} bytes long, not a multiple of {IMAGE}: it is damaged or no STL-10 file; "
            "unpack the archive again"
        )
    return size // IMAGE


def _labels(folder: Path, part: str, count: int) -> Int64[Tensor, "N"]:
    """Labels from 0, where the file counts from 1; -1 throughout the unlabelled part."""
    path = folder / f"{part}_y.bin"
    if part == "unlabeled":
        return torch.full((count,), -1)
    if not path.is_file():
        raise InputError(f"{path} is missing beside its images; unpack the archive again")
    labels = np.fromfile(path, np.uint8).astype(np.int64) - 1
    if len(labels) != count or labels.min() < 0 or labels.max() >= len(STL10):
        raise InputError(
            f"{path} does not hold {count} labels from 1 to {len(STL10)}, one for each image; unpack the archive again"
        )
    return torch.from_numpy(labels)
