"""A source's images in a few bytes: enough to tell whether they are still those that a run was trained on.

N images of the set, n of them looked at, S stylised copies of each, H x W pixels.
"""

import hashlib

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from pairlens.data.images import ImageSet, Source

ROWS = 256  # images whose pixels are looked at, evenly spaced


def shown(images: ImageSet) -> UInt8[Tensor, "n 3 H W"]:
    """The images that are looked at, those that `sample` names."""
    return images.pixels[sample(len(images))].cpu()


def fingerprint(source: Source, seen: UInt8[Tensor, "n 3 H W"] | None = None) -> str:
    """A hash over the pixels of some training images, the sizes and labels of all, and the number of test images.

    `seen` is what `shown` gives of the training images, where somebody has asked before: it may take long.
    """
    train = source.train
    seen = shown(train) if seen is None else seen
    digest = hashlib.sha256(repr((tuple(train.pixels.shape), len(source.test) if source.test else 0)).encode())
    digest.update(seen.contiguous().numpy().tobytes())
    for known in (train.sizes, train.labels):
        digest.update(b"" if known is None else known.to(torch.int64).contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def copies_mark(images: ImageSet) -> str | None:
    """A hash over the copies of the images that are looked at, and how many there are; None where there are none."""
    if images.styles is None:
        return None
    digest = hashlib.sha256(repr(tuple(images.styles.shape)).encode())
    for copies in images.styles:
        digest.update(copies[sample(len(images))].cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def looks(seen: UInt8[Tensor, "n 3 H W"]) -> np.ndarray:
    """A hash of what each of some images shows, [n], as text."""
    return np.array([hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest()[:16] for image in seen])


def sample(count: int) -> Int64[Tensor, "n"]:
    """The images that are looked at, of so many: evenly spaced."""
    number = min(ROWS, count)
    return torch.arange(number) * (count - 1) // max(1, number - 1)
