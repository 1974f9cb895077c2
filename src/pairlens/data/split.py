"""Holding out a part of a labelled set for testing.

N images.
"""

import torch
from jaxtyping import Int64
from torch import Tensor

HELD_OUT = 0.2  # of each class


def hold_out(labels: Int64[Tensor, "N"], seed: int) -> tuple[Int64[Tensor, "T"], Int64[Tensor, "E"]]:
    """Indices of T training and E test images, each in ascending order: a fifth of every class is for testing.

    A class of two or more images gives at least one; a class of one image stays in training, as do all without a
    label (-1).
    """
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels[labels >= 0].unique():
        members = (labels == label).nonzero()[:, 0]
        take = 0 if len(members) < 2 else max(1, round(HELD_OUT * len(members)))
        held[members[torch.randperm(len(members), generator=generator)[:take]]] = True
    return (~held).nonzero()[:, 0], held.nonzero()[:, 0]
