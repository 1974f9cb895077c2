"""What is inverted already: one `.npz` beside the page, written after each part, and the part that is under way.

PAGE.npz            arrays KEY.NAME of each finished part; KEY is a digest of all that the part depends on
PAGE.safetensors    the networks of the part under way, every few seconds; gone when all is done

C x H x W pixels.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pairlens.record.disk import writing
from pairlens.record.parts import Parts, not_ours

MARK = "pairlens.inversion"
NOUN = "inversions"
EVERY = 15.0  # seconds between writes of what is under way


class Store(Parts):
    """Finished parts by their keys; what an earlier call finished is found again, also after a kill.

    Raises:
        InputError: what stands where the parts are to be kept is something else, or cannot be written.
    """

    def __init__(self, page: Path, say: Callable[[str], None] = lambda text: None) -> None:
        super().__init__(page.with_suffix(".npz"), MARK, NOUN, say)
        self.partial = page.with_suffix(".safetensors")
        _check(self.partial)
        self._written = time.monotonic()

    def keep_only(self, keys: set[str]) -> None:
        """Forget parts of other keys, and what was under way."""
        super().keep_only(keys)
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


def _check(path: Path) -> None:
    """Whether what stands there is a part that was under way."""
    if not path.exists():
        return
    try:
        with safe_open(path, "pt") as file:
            ours = MARK in (file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise not_ours(path, NOUN) from error
    if not ours:
        raise not_ours(path, NOUN)


def to_numpy(images: Tensor) -> np.ndarray:
    """Images in [0, 1] as bytes, [N, 3, H, W]."""
    return (images * 255).round().to(torch.uint8).cpu().numpy()
