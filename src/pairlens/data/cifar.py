"""CIFAR-10 and CIFAR-100 as their authors distribute them: the binary layout and the Python one.

N images, always 3 x 32 x 32; rows of the files are planes of red, green and blue.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pairlens.data.images import ImageSet, Source
from pairlens.errors import InputError

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class _Layout:
    """One of the four published layouts."""

    folder: str  # the name that the archive unpacks to
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: tuple[str, ...]  # binary: meaning of the leading bytes of a row; Python: keys; the class comes last
    names: str  # the file with the class names
    binary: bool


_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
_LAYOUTS = (
    _Layout(
        "cifar-10-batches-bin",
        tuple(f"{name}.bin" for name in _BATCHES),
        ("test_batch.bin",),
        ("labels",),
        "batches.meta.txt",
        True,
    ),
    _Layout(
        "cifar-100-binary",
        ("train.bin",),
        ("test.bin",),
        ("coarse_labels", "fine_labels"),
        "fine_label_names.txt",
        True,
    ),
    _Layout("cifar-10-batches-py", _BATCHES, ("test_batch",), ("labels",), "batches.meta", False),
    _Layout("cifar-100-python", ("train",), ("test",), ("coarse_labels", "fine_labels"), "meta", False),
)


def find_cifar(folder: Path) -> Callable[[str], Source] | None:
    """A reader for the CIFAR set in this folder or one below it; None where there is none.

    A folder is taken for a CIFAR set if it holds the first training file of a layout next to the layout's class
    names, or bears the layout's name.
    """
    for layout in _LAYOUTS:
        for place in (folder, folder / layout.folder):
            held = (place / layout.train[0]).is_file() and (layout.binary or (place / layout.names).is_file())
            if held or (place.is_dir() and place.name == layout.folder):
                return lambda name, layout=layout, place=place: _read(name, layout, place)  # type: ignore[misc]
    return None


def _read(name: str, layout: _Layout, folder: Path) -> Source:
    missing = [file for file in layout.train + layout.test if not (folder / file).is_file()]
    if missing:
        raise InputError(f"{folder} lacks {', '.join(missing)} of the CIFAR layout; unpack the archive again")
    classes = _classes(layout, folder)
    return Source(
        name,
        _read_part("train", layout, [folder / file for file in layout.train], classes),
        _read_part("test", layout, [folder / file for file in layout.test], classes),
    )


def _read_part(part: str, layout: _Layout, paths: list[Path], classes: tuple[str, ...]) -> ImageSet:
    read = _read_binary if layout.binary else _read_python
    pixels, labels = (np.concatenate(arrays) for arrays in zip(*(read(p, layout.labels) for p in paths), strict=True))
    count = len(pixels)
    columns = {key: torch.from_numpy(labels[:, i].astype(np.int64)) for i, key in enumerate(layout.labels)}
    target = columns.pop(layout.labels[-1])
    if count == 0:
        raise InputError(f"{paths[0].parent} holds no {part} images; unpack the archive again")
    if int(target.max()) >= len(classes):
        raise InputError(
            f"{paths[0].parent} holds the label {int(target.max())}, but only {len(classes)} class names; "
            "it is no CIFAR set or is damaged: unpack the archive again"
        )
    return ImageSet(
        pixels=torch.from_numpy(pixels.reshape(count, 3, 32, 32)),
        sizes=torch.full((count, 2), 32),
        names=[f"{part}/{i:05d}" for i in range(count)],
        labels=target,
        classes=classes,
        factors={key.removesuffix("_labels"): values for key, values in columns.items()},
    )


def _read_binary(path: Path, labels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 3072] and labels [N, columns] of one file: rows of label bytes followed by 3072 pixel bytes."""
    row = len(labels) + PIXELS
    size = path.stat().st_size
    if size == 0 or size % row:
        raise InputError(
            f"{path} is {size} bytes long, not a multiple of {row}: it is damaged or no CIFAR file; "
            "unpack the archive again"
        )
    rows = np.fromfile(path, dtype=np.uint8).reshape(-1, row)
    return rows[:, len(labels) :], rows[:, : len(labels)]


def _read_python(path: Path, labels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 3072] and labels [N, columns] of one pickled batch."""
    batch = _unpickle(path)
    try:
        pixels = np.asarray(batch["data"])
        columns = np.stack([np.asarray(batch[key], dtype=np.int64) for key in labels], 1)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is no CIFAR batch ({error!r}); unpack the archive again") from error
    if pixels.dtype != np.uint8 or pixels.shape != (len(columns), PIXELS) or columns.min(initial=0) < 0:
        raise InputError(
            f"{path} holds {pixels.dtype} pixels of shape {pixels.shape} for {len(columns)} labels, "
            f"not uint8 [N, {PIXELS}]; unpack the archive again"
        )
    return pixels, columns


def _classes(layout: _Layout, folder: Path) -> tuple[str, ...]:
    """Class names from the layout's own file; CIFAR-10's are known, should that file be missing."""
    path = folder / layout.names
    if not path.is_file():
        if layout.labels == ("labels",):
            return CIFAR10
        raise InputError(f"{folder} lacks {layout.names} with the class names; unpack the archive again")
    if layout.binary:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    meta = _unpickle(path)
    names = meta.get("label_names") or meta.get("fine_label_names")
    if not isinstance(names, list):
        raise InputError(f"{path} holds no class names; unpack the archive again")
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)


def _unpickle(path: Path) -> dict[str, Any]:
    """A dictionary from a pickle that may hold plain values and NumPy arrays, and nothing that runs."""
    try:
        with path.open("rb") as file:
            value = _PlainUnpickler(file, encoding="bytes").load()
    except InputError as error:
        raise InputError(f"{path} {error}") from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"{path} is damaged ({error!r}); unpack the archive again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no CIFAR batch but a {type(value).__name__}; unpack the archive again")
    return {key.decode() if isinstance(key, bytes) else str(key): item for key, item in value.items()}


def _latin1(text: str, encoding: str) -> bytes:
    """What Python 3 pickles of protocol 2 call to rebuild bytes."""
    if encoding != "latin1":
        raise InputError(f"asks for the codec {encoding}, which no CIFAR file does; it is not read")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}


class _PlainUnpickler(pickle.Unpickler):
    """Refuses every name but those that rebuild a NumPy array."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise InputError(f"asks for {module}.{name}, which no CIFAR file does; it may be malicious and is not read")
        return _ALLOWED[module, name]
