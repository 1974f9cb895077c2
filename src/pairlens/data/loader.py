"""From stored pixels or files to the training device: at once where the set is there, else steps ahead of its use.

B images of the batch, N images of the set, S stylised copies of each, H x W pixels; _ the side of a view, of each its
own.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64, Integer, UInt8
from torch import Tensor

from pairlens.data.photographs import Photographs, Rectangles
from pairlens.data.styles import chosen
from pairlens.errors import InputError

Wait = Callable[[], Mapping[str, UInt8[Tensor, "B 3 _ _"]]]
"""Waits for what was asked for: pixels on the training device by the view's name."""

Textures = Mapping[str, Integer[Tensor, "B"]]
"""For each view that shows any stylised copies, which of each image (1 to S; 0 the image itself); on the CPU."""


@runtime_checkable
class Loader(Protocol):
    """Brings pixels to the training device."""

    ahead: int
    """How many steps before its own a batch is to be asked for."""
    cut: bool
    """Whether each view's pixels are its rectangle already, at the view's size, or the whole image."""

    def ask(self, index: Int64[Tensor, "B"], rectangles: Rectangles, textures: Textures) -> Wait:
        """Ask for the pixels of a batch, of every view; they are waited for once.

        Raises:
            InputError: stylised copies are asked for, and there are none.
        """
        ...

    def whole(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        """Some images as they are stored, now."""
        ...


class Resident:
    """The whole set on the training device."""

    ahead, cut = 0, False

    def __init__(
        self,
        pixels: UInt8[Tensor, "N 3 H W"],
        device: torch.device,
        styles: UInt8[Tensor, "S N 3 H W"] | None = None,
    ) -> None:
        self._pixels, self._styles = pixels.to(device), None if styles is None else styles.to(device)

    def ask(self, index: Int64[Tensor, "B"], rectangles: Rectangles, textures: Textures) -> Wait:
        """Gathered when waited for."""
        styles = _needed(self._styles, textures)
        return lambda: _of_each(self.whole(index), styles, index, rectangles, textures)

    def whole(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        """Gathered on the device."""
        return self._pixels.index_select(0, index.to(self._pixels.device))


class Moving:
    """The set stays in main memory or a mapped file; a thread gathers each batch one step ahead."""

    ahead, cut = 1, False

    def __init__(
        self,
        pixels: UInt8[Tensor, "N 3 H W"],
        device: torch.device,
        styles: UInt8[Tensor, "S N 3 H W"] | None = None,
    ) -> None:
        self._pixels, self._styles, self._device = pixels, styles, device
        self._pool = ThreadPoolExecutor(1)

    def ask(self, index: Int64[Tensor, "B"], rectangles: Rectangles, textures: Textures) -> Wait:
        """Gathered by the thread, moved when waited for: what views have in common once."""
        styles = _needed(self._styles, textures)

        def gather() -> dict[str, Tensor]:
            views = _of_each(self._gather(index), styles, index, rectangles, textures)
            return {name: self._pinned(view) for name, view in views.items()}

        def wait() -> dict[str, Tensor]:
            views = there.result()
            moved = {id(view): self._moved(view) for view in views.values()}
            return {name: moved[id(view)] for name, view in views.items()}

        there = self._pool.submit(gather)
        return wait

    def whole(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        """Gathered and moved."""
        return self._pixels[index].to(self._device)

    def _gather(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        shape = (len(index), *self._pixels.shape[1:])
        out = torch.empty(shape, dtype=torch.uint8, pin_memory=self._device.type == "cuda")
        return torch.index_select(self._pixels, 0, index, out=out)

    def _pinned(self, view: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
        return view.pin_memory() if self._device.type == "cuda" and not view.is_pinned() else view

    def _moved(self, view: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
        return view.to(self._device, non_blocking=True)


class Cutting:
    """The set is files; threads decode each once for all its views, and cut these, some steps ahead."""

    ahead, cut = 3, True

    def __init__(self, photographs: Photographs, device: torch.device) -> None:
        self._photographs, self._device = photographs, device

    def ask(self, index: Int64[Tensor, "B"], rectangles: Rectangles, textures: Textures) -> Wait:
        """Cut by the threads, moved when waited for."""
        _needed(None, textures)
        there = self._photographs.cut(index, rectangles, pin=self._device.type == "cuda")
        return lambda: {name: view.to(self._device, non_blocking=True) for name, view in there.result().items()}

    def whole(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        """Decoded and moved."""
        return self._photographs[index].to(self._device)


def make_loader(
    pixels: UInt8[Tensor, "N 3 H W"] | Photographs,
    device: torch.device,
    styles: UInt8[Tensor, "S N 3 H W"] | None = None,
) -> Loader:
    """The loader for a set that is stored so, its stylised copies beside it: resident wherever all of it fits."""
    if isinstance(pixels, Photographs):
        return Cutting(pixels, device)
    fits = _fits(pixels.nbytes + (0 if styles is None else styles.nbytes), device)
    return Resident(pixels, device, styles) if fits else Moving(pixels, device, styles)


def _of_each(
    images: UInt8[Tensor, "B 3 H W"],
    styles: UInt8[Tensor, "S N 3 H W"] | None,
    index: Int64[Tensor, "B"],
    rectangles: Rectangles,
    textures: Textures,
) -> dict[str, Tensor]:
    """What every view is rendered from; views without textures have the same pixels in common."""
    return {
        name: images if styles is None or name not in textures else chosen(images, styles, index, textures[name])
        for name in rectangles
    }


def _needed(styles: Tensor | None, textures: Textures) -> Tensor | None:
    """The copies; refused where they are asked for and are not there."""
    if styles is None and textures:
        raise InputError(
            f"the views {' and '.join(textures)} show stylised copies of the images, and there are none; make them "
            "with `styling.add_copies`, or draw no textures"
        )
    return styles


def _fits(size: int, device: torch.device) -> bool:
    """Whether so many bytes go to the device: always to the CPU, and to up to half of a GPU's free memory."""
    if device.type == "cpu":
        return True
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return size <= free // 2
    return size <= 2**31
