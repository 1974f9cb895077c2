"""What a long measurement has finished, kept beside its page: a `.npz` of arrays KEY.NAME, one KEY for each part.

A key is a digest of all that its part depends on, so a part is found again by who asks the same, and by nobody else.
"""

import hashlib
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pairlens.errors import InputError
from pairlens.record.disk import write_arrays, writing


class Parts:
    """Finished parts by their keys; what an earlier call finished is found again, also after a kill.

    Raises:
        InputError: what stands where the parts are to be kept is something else, or cannot be written.
    """

    def __init__(
        self, path: Path, mark: str, noun: str, say: Callable[[str], None] = lambda text: None, pause: float = 0.0
    ) -> None:
        """Open or begin them.

        Args:
            path: of the `.npz`.
            mark: the array in it by which it is told from other files.
            noun: what it holds, in the plural, where a sentence needs it.
            say: told how many parts are there.
            pause: seconds between two writes at least; `write` writes what waits.
        """
        self.path, self.mark, self.noun, self.pause = path, mark, noun, pause
        self._parts = self._read(say)
        self._wrote, self._waiting = 0.0, False

    def __contains__(self, key: str) -> bool:
        return f"{key}.done" in self._parts

    def get(self, key: str) -> dict[str, np.ndarray]:
        """The arrays of a finished part."""
        return {n.removeprefix(f"{key}."): a for n, a in self._parts.items() if n.startswith(f"{key}.")}

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished part, on the disk as well unless the last write was less than `pause` seconds ago."""
        self._parts |= {f"{key}.{name}": array for name, array in arrays.items()} | {f"{key}.done": np.array(True)}
        self._waiting = True
        if time.monotonic() - self._wrote >= self.pause:
            self.write()

    def keep_only(self, keys: set[str]) -> None:
        """Forget parts of other keys."""
        self._parts = {name: a for name, a in self._parts.items() if name.partition(".")[0] in keys}
        self._waiting = True
        self.write()

    def write(self) -> None:
        """Write what waits to be written."""
        if not self._waiting:
            return
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_arrays(self.path, {self.mark: np.array(1), **self._parts})
        self._wrote, self._waiting = time.monotonic(), False

    def _read(self, say: Callable[[str], None]) -> dict[str, np.ndarray]:
        if not self.path.exists():
            return {}
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = dict(file)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise not_ours(self.path, self.noun) from error
        if self.mark not in arrays:
            raise not_ours(self.path, self.noun)
        del arrays[self.mark]
        done = sum(name.endswith(".done") for name in arrays)
        say(f"{self.path}: {done} part{'' if done == 1 else 's'} of an earlier call")
        return arrays


def not_ours(path: Path, noun: str) -> InputError:
    """What is said of a file that stands where parts are to be kept."""
    return InputError(
        f"{path} is there and holds no {noun} that can be gone on with, so it is not replaced; delete it, or give "
        "another page with --output"
    )


def digest_of(about: str, tensors: Mapping[str, Tensor]) -> str:
    """A digest of a text and of tensors by their names, such as an encoder's weights."""
    digest = hashlib.sha256(about.encode())
    for key, value in tensors.items():
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
