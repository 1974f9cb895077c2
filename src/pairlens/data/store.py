"""Where decoded pixels are kept: in memory, or above a gibibyte in a file of the user's cache that is mapped.

N images, S pixels a side.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from pairlens.errors import InputError

IN_MEMORY = 2**30  # bytes; a larger store becomes a mapped file
FORMAT = 1  # counted up when what a cache file means changes
DAY = 24 * 3600  # seconds; an unfinished file untouched for so long is a killed run's

Fill = Callable[[dict[str, Any]], Iterator[UInt8[np.ndarray, "3 S S"]]]


def keep(
    fill: Fill, count: int, side: int, key: str, *, dear: bool = False
) -> tuple[UInt8[Tensor, "N 3 S S"], dict[str, Any]]:
    """Keep the images that `fill` yields, at most `count` of them; N is how many came.

    `fill` may note facts (plain JSON values) in the dictionary that it is given; they are returned, and kept beside
    a cache file. A finished cache file under the same key is opened instead of filling it again; one that a killed
    process left unfinished is not. What the disk has no room for is kept in memory, up to a quarter of it. What is
    `dear` takes long to make, and goes to a file however small it is.

    Raises:
        InputError: the cache folder cannot be written, or its disk is full.
    """
    size = store_bytes(count, side)
    facts: dict[str, Any] = {}
    small = size <= IN_MEMORY and not dear
    if small or (not is_kept(key) and size > free_room() and held_in_memory(size, memory(), free_room())):
        pixels = torch.empty(count, 3, side, side, dtype=torch.uint8)
        rows = 0
        for rows, image in enumerate(fill(facts), 1):
            pixels[rows - 1] = torch.from_numpy(image)
        return pixels[:rows], facts
    path, marker = _cache_files(key)
    if not is_kept(key):
        try:
            _write(fill, facts, path, marker)
        except OSError as error:
            raise InputError(
                f"{size / 1e9:.1f} GB of decoded images cannot be cached in {path.parent} ({error.strerror}); set "
                "PAIRLENS_CACHE to a folder with room, choose a smaller size, or decode the files in every epoch"
            ) from error
    finished = json.loads(marker.read_text(encoding="utf-8"))
    if finished["rows"] == 0:
        return torch.empty(0, 3, side, side, dtype=torch.uint8), finished["facts"]
    mapped = np.memmap(path, np.uint8, "r+", shape=(finished["rows"], 3, side, side))
    return torch.from_numpy(mapped), finished["facts"]


def remember(make: Callable[[], dict[str, np.ndarray]], key: str) -> dict[str, np.ndarray]:
    """The arrays that `make` computes, none of them of objects; from the cache folder where it has them.

    A cache that cannot be written is done without.
    """
    path = cache_folder() / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, EOFError, BadZipFile):  # not there, or damaged
        made = make()
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                np.savez(file, **made)  # type: ignore[arg-type]
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    return made


def is_kept(key: str) -> bool:
    """Whether the cache folder has a finished file under the key."""
    return all(path.is_file() for path in _cache_files(key))


def held_in_memory(size: int, memory: int, room: int) -> bool:
    """Whether a store of so many bytes is kept in memory: if it is small, or if the disk has no room for it."""
    return size <= IN_MEMORY or room < size <= memory / 4


def store_bytes(count: int, side: int) -> int:
    """What so many images take, kept at a side in pixels."""
    return count * 3 * side * side


def memory() -> int:
    """The machine's main memory in bytes; 8 GiB where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30


def free_room() -> int:
    """Bytes that are free on the cache folder's disk."""
    folder = cache_folder().absolute()
    there = next((place for place in (folder, *folder.parents) if place.exists()), Path.cwd())
    return shutil.disk_usage(there).free


def cache_key(files: Iterable[tuple[str, int, int]], *choices: object) -> str:
    """A name for what these files (relative name, bytes, modification time in ns) become under these choices."""
    digest = hashlib.sha256(repr((FORMAT, choices)).encode())
    for file in files:
        digest.update(repr(file).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def cache_folder() -> Path:
    """`PAIRLENS_CACHE`, or `pairlens` below the user's cache folder."""
    if chosen := os.environ.get("PAIRLENS_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "pairlens"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pairlens"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pairlens"


def _cache_files(key: str) -> tuple[Path, Path]:
    """The pixels, and the marker that says they are finished."""
    return cache_folder() / f"{key}.pixels", cache_folder() / f"{key}.json"


def _write(fill: Fill, facts: dict[str, Any], path: Path, marker: Path) -> None:
    """Fill a partial file, name it, and only then write the marker that says it is finished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob("*.partial"):
        if time.time() - left.stat().st_mtime > DAY:
            left.unlink(missing_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    rows = 0
    try:
        with partial.open("wb") as file:
            for image in fill(facts):
                file.write(image.tobytes())
                rows += 1
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        partial.write_text(json.dumps({"rows": rows, "facts": facts}), encoding="utf-8")
        os.replace(partial, marker)
    finally:
        partial.unlink(missing_ok=True)
