"""What is inverted already: one `.npz` beside the page, written after each part, and the part that is under way.

PAGE.npz            arrays KEY.NAME of each finished part; KEY is a digest of all that the part depends on
PAGE.safetensors    the networks of the part under way, every few seconds; gone when all is done

C x H x W pixels.
"""

import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pairlens.errors import InputError
from pairlens.record.disk import write_arrays, writing

MARK = "pairlens.inversion"
EVERY = 15.0  # seconds between writes of what is under way


class Store:
    """Finished parts by their keys; what an earlier call finished is found again, also after a kill.

    Raises:
        InputError: what stands where the parts are to be kept is something else, or cannot be written.
    """

    def __init__(self, page: Path, say: Callable[[str], None] = lambda text: None) -> None:
        self.path, self.partial = page.with_suffix(".npz"), page.with_suffix(".safetensors")
        self._parts = _read(self.path, say)
        _check(self.partial)
        self._written = time.monotonic()

    def __contains__(self, key: str) -> bool:
        return f"{key}.done" in self._parts

    def get(self, key: str) -> dict[str, np.ndarray]:
        """The arrays of a finished part."""
        return {n.removeprefix(f"{key}."): a for n, a in self._parts.items() if n.startswith(f"{key}.")}

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished part, on the disk as well."""
        self._parts |= {f"{key}.{name}": array for name, array in arrays.items()} | {f"{key}.done": np.array(True)}
        self._write()

    def keep_only(self, keys: set[str]) -> None:
        """Forget parts of other keys, and what was under way."""
        self._parts = {name: a for name, a in self._parts.items() if name.partition(".")[0] in keys}
        self._write()
        self.partial.unlink(missing_ok=True)

    def under_way(self, key: str, state: Callable[[], Mapping[str, Tensor]]) -> None:
        """Write the state of a part that is under way, if the last write was some seconds ago."""
        if time.monotonic() - self._written < EVERY:
            return
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state().items()}
        new = self.partial.with_name(self.partial.name + ".partial")
        with writing(self.partial):
            self.partial.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, new, {MARK: key})
            new.replace(self.partial)
        self._written = time.monotonic()

    def left_off(self, key: str) -> dict[str, Tensor] | None:
        """The state in which an earlier call left this part; None where there is none."""
        try:
            with safe_open(self.partial, "pt") as file:
                if (file.metadata() or {}).get(MARK) != key:
                    return None
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError):
            return None

    def _write(self) -> None:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_arrays(self.path, {MARK: np.array(1), **self._parts})


def _read(path: Path, say: Callable[[str], None]) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise _not_ours(path) from error
    if MARK not in arrays:
        raise _not_ours(path)
    del arrays[MARK]
    done = sum(name.endswith(".done") for name in arrays)
    say(f"{path}: {done} part{'' if done == 1 else 's'} of an earlier call")
    return arrays


def _check(path: Path) -> None:
    """Whether what stands there is a part that was under way."""
    if not path.exists():
        return
    try:
        with safe_open(path, "pt") as file:
            ours = MARK in (file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _not_ours(path) from error
    if not ours:
        raise _not_ours(path)


def _not_ours(path: Path) -> InputError:
    return InputError(
        f"{path} is there and holds no inversions that can be gone on with, so it is not replaced; delete it, or give "
        "another page with --output"
    )


def to_numpy(images: Tensor) -> np.ndarray:
    """Images in [0, 1] as bytes, [N, 3, H, W]."""
    return (images * 255).round().to(torch.uint8).cpu().numpy()
