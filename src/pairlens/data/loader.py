"""From stored pixels or files to the training device: at once where the set is there, else steps ahead of its use.

B images of the batch, H x W pixels; _ the side of a view, of each its own.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from pairlens.data.photographs import Photographs, Rectangles

Wait = Callable[[], Mapping[str, UInt8[Tensor, "B 3 _ _"]]]
"""Waits for what was asked for: pixels on the training device by the view's name."""


@runtime_checkable
class Loader(Protocol):
    """Brings pixels to the training device."""

    ahead: int
    """How many steps before its own a batch is to be asked for."""
    cut: bool
    """Whether each view's pixels are its rectangle already, at the view's size, or the whole image."""

    def ask(self, index: Int64[Tensor, "B"], rectangles: Rectangles) -> Wait:
        """Ask for the pixels of a batch, of every view; they are waited for once."""
        ...

    def whole(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        """Some images as they are stored, now."""
        ...


class Resident:
    """The whole set on the training device."""

    ahead, cut = 0, False

    def __init__(self, pixels: UInt8[Tensor, "N 3 H W"], device: torch.device) -> None:
        self._pixels = pixels.to(device)

    def ask(self, index: Int64[Tensor, "B"], rectangles: Rectangles) -> Wait:
        """Gathered when waited for."""
        return lambda: dict.fromkeys(rectangles, self.whole(index))

    def whole(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        """Gathered on the device."""
        return self._pixels.index_select(0, index.to(self._pixels.device))


class Moving:
    """The set stays in main memory or a mapped file; a thread gathers each batch one step ahead."""

    ahead, cut = 1, False

    def __init__(self, pixels: UInt8[Tensor, "N 3 H W"], device: torch.device) -> None:
        self._pixels, self._device = pixels, device
        self._pool = ThreadPoolExecutor(1)

    def ask(self, index: Int64[Tensor, "B"], rectangles: Rectangles) -> Wait:
        """Gathered by the thread, moved when waited for."""
        there = self._pool.submit(self._gather, index)
        return lambda: dict.fromkeys(rectangles, there.result().to(self._device, non_blocking=True))

    def whole(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        """Gathered and moved."""
        return self._pixels[index].to(self._device)

    def _gather(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        shape = (len(index), *self._pixels.shape[1:])
        out = torch.empty(shape, dtype=torch.uint8, pin_memory=self._device.type == "cuda")
        return torch.index_select(self._pixels, 0, index, out=out)


class Cutting:
    """The set is files; threads decode each once for all its views, and cut these, some steps ahead."""

    ahead, cut = 3, True

    def __init__(self, photographs: Photographs, device: torch.device) -> None:
        self._photographs, self._device = photographs, device

    def ask(self, index: Int64[Tensor, "B"], rectangles: Rectangles) -> Wait:
        """Cut by the threads, moved when waited for."""
        there = self._photographs.cut(index, rectangles, pin=self._device.type == "cuda")
        return lambda: {name: view.to(self._device, non_blocking=True) for name, view in there.result().items()}

    def whole(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        """Decoded and moved."""
        return self._photographs[index].to(self._device)


def make_loader(pixels: UInt8[Tensor, "N 3 H W"] | Photographs, device: torch.device) -> Loader:
    """The loader for a set that is stored so: resident wherever it fits."""
    if isinstance(pixels, Photographs):
        return Cutting(pixels, device)
    return Resident(pixels, device) if _fits(pixels, device) else Moving(pixels, device)


def _fits(pixels: Tensor, device: torch.device) -> bool:
    """Whether the whole set goes to the device: always to the CPU, and to up to half of a GPU's free memory."""
    if device.type == "cpu":
        return True
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return pixels.nbytes <= free // 2
    return pixels.nbytes <= 2**31
