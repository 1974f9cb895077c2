"""Weighted sums of an image's rows: how the CPU crops, resizes and blurs along one axis, then along the other.

B images of the batch, C channels, R rows of K pixels, S sums of T rows each.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Integer, Shaped
from torch import Tensor
from torch.nn import functional as F


class Taps(NamedTuple):
    """Which rows each sum takes, and what they weigh."""

    rows: Integer[Tensor, "#B S T"]
    weights: Float[Tensor, "#B #S T"]


def sum_rows(images: Float[Tensor, "B C R K"], taps: Taps) -> Float[Tensor, "B C S K"]:
    """Sums of each image's rows, in every channel.

    They are computed as bags of embeddings: in one pass, without a temporary for each term.
    """
    batch, channels, height, width = images.shape
    _, sums, terms = taps.rows.shape
    planes = torch.arange(0, batch * channels * height, height).view(batch, channels, 1, 1)
    rows = (taps.rows[:, None] + planes).view(-1, terms)
    weights = taps.weights[:, None].expand(batch, channels, sums, terms).reshape(-1, terms)
    summed = F.embedding_bag(rows, images.view(-1, width), per_sample_weights=weights, mode="sum")
    return summed.view(batch, channels, sums, width)


def sum_columns(images: Shaped[Tensor, "B C K R"], taps: Taps) -> Float[Tensor, "B C K S"]:
    """Sums of each image's columns, in every channel: of rows, across all channels at once, of the transposed image."""
    batch, channels, height, _ = images.shape
    columns = transposed(images.flatten(1, 2)).float()
    return transposed(sum_rows(columns[:, None], taps).squeeze(1)).view(batch, channels, height, -1)


def transposed(images: Shaped[Tensor, "B R K"]) -> Shaped[Tensor, "B K R"]:
    """Columns as rows, contiguous in memory.

    Shuffling R groups of K channels transposes them, and where channels stand last in memory it is the transposition
    that torch vectorises: it takes a fifth of the time of `.mT.contiguous()`.
    """
    batch, height, width = images.shape
    as_channels = images.view(batch, 1, 1, height * width).permute(0, 3, 1, 2)
    return torch.channel_shuffle(as_channels, height).view(batch, width, height)
