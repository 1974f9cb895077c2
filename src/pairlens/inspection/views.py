"""The views themselves: some images, several independent draws of each, rendered as the training would.

E images, H x W stored pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from pairlens.data.loader import make_loader
from pairlens.inspection.subject import Subject
from pairlens.report.overlay import FLATTEST, TALLEST
from pairlens.report.panels.gallery import Example, View
from pairlens.train import ask
from pairlens.views.render import render

IMAGES = 8
DRAWS = 3  # of each
SHOWN = 256  # pixels of a shown image's longer side, at most


@dataclass(frozen=True)
class Drawn:
    """One image, and several draws of its views."""

    name: str
    label: str | None
    height: int  # of the original
    width: int
    draws: tuple[Example, ...]
    box: Float[np.ndarray, "4"] | None  # of its object, where it is known


def compute(subject: Subject) -> tuple[Drawn, ...]:
    """Choose images by the seed and draw for each, always on the CPU."""
    images, generator = subject.images, subject.generator()
    chosen = subject.some(min(IMAGES, len(images)), generator).sort().values
    index = chosen.repeat_interleave(DRAWS)
    params = subject.drawn(index, generator)
    loader = make_loader(images.pixels, torch.device("cpu"), images.styles)
    pixels = ask(loader, index, params, subject.size)()
    views = {
        name: to_bytes(render(pixels[name], p, p.size or subject.size, cut=loader.cut)) for name, p in params.items()
    }
    originals = shrink(images.pixels[chosen], SHOWN)

    def example(place: int, image: int) -> Example:
        shown = [
            View(name, view[place].numpy(), {k: v[place].tolist() for k, v in params[name].tensors().items()})
            for name, view in views.items()
        ]
        height, width = images.sizes[chosen[image]].tolist()
        aspect = min(FLATTEST, max(TALLEST, width / max(1, height)))  # slivers are shown squeezed
        return Example(int(chosen[image]), originals[image].numpy(), 1000, round(1000 * aspect), tuple(shown))

    return tuple(
        Drawn(
            images.names[row],
            label_of(subject, row),
            int(images.sizes[row, 0]),
            int(images.sizes[row, 1]),
            tuple(example(i * DRAWS + j, i) for j in range(DRAWS)),
            None if subject.objects is None else subject.objects.boxes.table[row].numpy(),
        )
        for i, row in enumerate(chosen.tolist())
    )


def label_of(subject: Subject, row: int) -> str | None:
    """The class that a training image has."""
    labels = subject.images.labels
    return None if labels is None or labels[row] < 0 else subject.images.classes[int(labels[row])]


def to_bytes(views: Float[Tensor, "B 3 S S"]) -> UInt8[Tensor, "B 3 S S"]:
    """Views that were not normalised, as pixels."""
    return views.clamp(0, 1).mul(255).round_().byte()


def shrink(pixels: UInt8[Tensor, "E 3 H W"], side: int) -> UInt8[Tensor, "E 3 h w"]:
    """Images at a side that a page can hold; small ones are left as they are."""
    height, width = pixels.shape[2:]
    if max(height, width) <= side:
        return pixels
    scale = side / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return to_bytes(F.interpolate(pixels.float() / 255, size, mode="bilinear", antialias=True))
