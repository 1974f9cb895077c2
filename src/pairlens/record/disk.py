"""Writing to a run: a full or protected disk is told in one sentence, and one process at a time trains a run."""

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from safetensors import SafetensorError

from pairlens.errors import InputError

UNSUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # file systems without locks, as on some clusters


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say that a file cannot be written, should it turn out so.

    Raises:
        InputError: the disk is full, or the folder may not be written.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(
            f"{path} cannot be written ({reason}); make room on the disk or allow writing there, a run then goes on "
            "with `pairlens resume`"
        ) from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a `.npz` so that a reader finds the old file or the new one, never half of one."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder: one process at a time trains it.

    Raises:
        InputError: another process holds it.
    """
    busy = f"another process is training the run {folder}; wait for it to end, or stop it first"
    with held(folder / "lock", busy):
        yield


@contextmanager
def held(path: Path, busy: str) -> Iterator[None]:
    """Hold a lock, which is an empty file; the system releases it when the process ends, however it ends.

    On a file system without locks nothing is held, and two processes are not kept apart.

    Args:
        path: the file.
        busy: what to say where it is held already.

    Raises:
        InputError: it is held already, by this process or another one.
    """
    with writing(path):
        file = open(path, "ab")  # noqa: SIM115 - held for as long as the lock is
    with file:
        try:
            _lock(file)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise InputError(busy) from error
        yield


def is_held(folder: Path) -> bool | None:
    """Whether a process holds the lock of a run's folder; None where that cannot be told. Nothing is written.

    Linux lists the locks of this machine, and reading the list disturbs nobody. A lock that it does not show may be
    held on another machine or in another container, so it is then tried, shared, and given back at once. A training
    that begins within those microseconds would be refused: ask this of a run that has been quiet for a while.
    """
    try:
        with open(folder / "lock", "rb") as file:
            return _listed(os.fstat(file.fileno())) or _refused(file)
    except OSError:  # there is no lock file, or it may not be read
        return None


def _listed(about: os.stat_result) -> bool:
    """Whether Linux lists a lock on this file."""
    place = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii", errors="replace").split("\n")
    except OSError:
        return False
    return any(place in line.split() and "FLOCK" in line for line in lines)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _refused(file: IO[bytes]) -> bool | None:
        return None

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _refused(file: IO[bytes]) -> bool | None:
        """Whether a shared lock is refused, because a training holds its own; None on file systems without locks."""
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return True if error.errno in (errno.EAGAIN, errno.EACCES) else None
        return False  # closing the file gives it back
