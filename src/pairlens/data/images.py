"""A set of images as training sees it: fixed-size uint8 pixels, and what is known beside them.

N images of the set, L of them labelled, S stylised copies of each, C x H x W pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int64, Integer, UInt8
from torch import Tensor

from pairlens.data.photographs import Photographs
from pairlens.words import patient

CHUNK = 64
"""Images that are copied at a time to measure their pixels."""

MEASURED, DECODED = 4096, 1024
"""Images whose pixels are measured at most: stored ones, and files."""


@dataclass(frozen=True)
class ImageSet:
    """N images stored at one size, with labels, names and known factors where there are any.

    Photographs of any shape are stored squeezed to one square size; `sizes` keeps their true shapes, crops are drawn
    as fractions from the true shapes, and so the views' geometry is that of the original. Sets too large for that are
    `Photographs`, which decode the files that they are asked for.
    """

    pixels: (
        UInt8[Tensor, "N 3 H W"] | Photographs
    )  # a tensor may be backed by a file; on the CPU until training moves it
    sizes: Integer[Tensor, "N 2"]  # height and width of the originals, pixels
    names: Sequence[str]  # the file's path below the source, or "train/00017"
    labels: Int64[Tensor, "N"] | None = None  # -1 where an image has none; None where no image has
    classes: tuple[str, ...] = ()  # label -> class name; empty without labels
    factors: Mapping[str, Tensor] = field(default_factory=dict)  # known factors of variation, [N] each (`scenes`)
    boxes: Float[Tensor, "N 4"] | None = None  # the object: left, top, right, bottom; fractions of the image
    skipped: tuple[tuple[str, str], ...] = ()  # (file, reason) of what could not be read
    styles: UInt8[Tensor, "S N 3 H W"] | None = (
        None  # copies with another texture (`styling.add_copies`); may be a file
    )

    def __len__(self) -> int:
        return len(self.pixels)

    def labelled(self) -> Int64[Tensor, "L"]:
        """Indices of the images that have a label, in ascending order."""
        return torch.empty(0).long() if self.labels is None else (self.labels >= 0).nonzero()[:, 0]

    def rows(self, index: Tensor) -> "ImageSet":
        """Some of the images, in the given order; always copied, but for files."""
        keep = index.tolist()
        return replace(
            self,
            pixels=self.pixels.rows(index) if isinstance(self.pixels, Photographs) else self.pixels[index],
            sizes=self.sizes[index],
            names=[self.names[i] for i in keep],
            labels=None if self.labels is None else self.labels[index],
            factors={k: v[index] for k, v in self.factors.items()},
            boxes=None if self.boxes is None else self.boxes[index],
            styles=None if self.styles is None else self.styles[:, index],
        )

    def mean_std(
        self, limit: int | None = None, say: Callable[[str], None] = lambda text: None
    ) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
        """Per-channel mean and standard deviation in [0, 1] units, over up to `limit` evenly spaced images.

        By default these are 4096 images, or 1024 where each must be decoded for it; `say` hears of it if it is slow.
        """
        limit = limit or (DECODED if isinstance(self.pixels, Photographs) else MEASURED)
        index = torch.linspace(0, len(self) - 1, min(limit, len(self))).long()
        counts = torch.zeros(3, 256, dtype=torch.float64, device=self.pixels.device)
        tell = patient(say, lambda done: f"measuring the images' colours: {done:,} of {len(index):,}")
        for done, rows in enumerate(index.split(CHUNK)):
            tell(done * CHUNK)
            counts += _histogram(self.pixels[rows])
        values = torch.arange(256, dtype=torch.float64, device=self.pixels.device) / 255
        number = counts[0].sum()
        mean = counts @ values / number
        squares = (counts * (values - mean[:, None]).square()).sum(1)
        return mean.float(), (squares / (number - 1)).sqrt().float().clamp_(min=1e-3)


def _histogram(pixels: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "3 256"]:
    """How often each channel has each value."""
    return torch.stack([torch.bincount(plane.flatten(), minlength=256) for plane in pixels.unbind(1)]).double()


@dataclass(frozen=True)
class Source:
    """Where images come from: a training set, and a test set where the source has one."""

    name: str  # what the user named: "scenes", or a path
    train: ImageSet
    test: ImageSet | None = None
