"""A source's images in a few bytes: enough to tell whether they are still those that a run was trained on.

N images of the set, n of them looked at.
"""

import hashlib

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from pairlens.data.images import ImageSet, Source

ROWS = 256  # images whose pixels are looked at, evenly spaced


def fingerprint(source: Source) -> str:
    """A hash over the pixels of some training images, the sizes and labels of all, and the number of test images."""
    train = source.train
    digest = hashlib.sha256(repr((tuple(train.pixels.shape), len(source.test) if source.test else 0)).encode())
    digest.update(train.pixels[sample(len(train))].contiguous().numpy().tobytes())
    for known in (train.sizes, train.labels):
        digest.update(b"" if known is None else known.to(torch.int64).contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def looks(images: ImageSet) -> np.ndarray:
    """A hash of the pixels of each of the images that `sample` names, [n], as text."""
    shown = images.pixels[sample(len(images))].cpu()
    return np.array([hashlib.sha256(image.numpy().tobytes()).hexdigest()[:16] for image in shown])


def sample(count: int) -> Int64[Tensor, "n"]:
    """The images that are looked at, of so many: evenly spaced."""
    number = min(ROWS, count)
    return torch.arange(number) * (count - 1) // max(1, number - 1)
