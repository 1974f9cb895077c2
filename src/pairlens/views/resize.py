"""Crop, resize and flip: each image's rectangle, antialiased, in every pixel of its view.

B images of the batch, S pixels of a view's side, H x W pixels of a stored image, L = H or W; P and T some of L.
"""

import math

import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from pairlens.views.sums import Taps, sum_columns, sum_rows


def crop_taps(
    crop: Float[Tensor, "B 4"], flip: Bool[Tensor, "B"], height: int, width: int, size: int
) -> tuple[Taps, Taps]:
    """The few columns and rows that weigh in each pixel of the views: what `crop_resize` needs to know."""
    columns = _taps(crop[:, 0::2], flip, width, size)
    rows = _taps(crop[:, 1::2], torch.zeros_like(flip), height, size)
    return columns, Taps(rows.rows, rows.weights.div_(255))


def crop_resize(images: UInt8[Tensor, "B 3 H W"], columns: Taps, rows: Taps) -> Float[Tensor, "B 3 S S"]:
    """Cut each rectangle, resize it antialiased and mirror it where asked, as sums of columns, then of rows.

    Work grows with the pixels of the view, not with their square as in the matrix products of `crop_resize_dense`; but
    how many pixels weigh in is read from the crops.
    """
    return sum_rows(sum_columns(images, columns), rows)


def crop_resize_dense(
    images: UInt8[Tensor, "B 3 H W"], crop: Float[Tensor, "B 4"], flip: Bool[Tensor, "B"], size: int
) -> Float[Tensor, "B 3 S S"]:
    """What `crop_resize` computes, as two batched matrix products that depend on no value."""
    batch, _, height, width = images.shape
    columns = _matrix(crop[:, 0::2], flip, width, size)
    rows = _matrix(crop[:, 1::2], torch.zeros_like(flip), height, size).div_(255)
    narrow = images.float().view(batch, 3 * height, width) @ columns.mT
    return rows[:, None] @ narrow.view(batch, 3, height, size)


def _matrix(span: Float[Tensor, "B 2"], flip: Bool[Tensor, "B"], length: int, size: int) -> Float[Tensor, "B S L"]:
    """What each of `length` source pixels weighs in each of `size` pixels of the view, along one axis."""
    centre, reach = _centres(span, flip, length, size)
    return _weights(span, centre, reach, torch.arange(length, device=span.device).view(1, 1, -1), length)


def _taps(span: Float[Tensor, "B 2"], flip: Bool[Tensor, "B"], length: int, size: int) -> Taps:
    """Which T of an image's `length` pixels along one axis can weigh in each of S = `size` of its view."""
    centre, reach = _centres(span, flip, length, size)
    count = min(length, math.ceil(2 * float(reach.max())))
    first = (centre - reach + 0.5).floor_().clamp_(0, length - count)
    pixel = first + torch.arange(count)
    return Taps(pixel.long(), _weights(span, centre, reach, pixel, length))


def _centres(
    span: Float[Tensor, "B 2"], flip: Bool[Tensor, "B"], length: int, size: int
) -> tuple[Float[Tensor, "B S 1"], Float[Tensor, "B 1 1"]]:
    """Where each pixel of the view has its centre along one axis, and how far it reaches, in source pixels."""
    start, step = (span * length)[:, :, None, None].unbind(1)
    step = step / size
    place = torch.arange(size, device=span.device).view(1, -1, 1) + 0.5
    place = torch.where(flip[:, None, None], size - place, place)
    return start + place * step, step.clamp(min=1)


def _weights(
    span: Float[Tensor, "B 2"],
    centre: Float[Tensor, "B S 1"],
    reach: Float[Tensor, "B 1 1"],
    pixel: Shaped[Tensor, "#B #S P"],
    length: int,
) -> Float[Tensor, "B S P"]:
    """What source pixels weigh: a triangle about each centre, cut off at the span's ends and normalised.

    Pixels that the span covers partly count for that part, so spans need not end on pixels.
    """
    start, extent = (span * length)[:, :, None, None].unbind(1)
    covered = (torch.minimum(start + extent, pixel + 1) - torch.maximum(start, pixel)).clamp_(0, 1)
    away = ((pixel + 0.5) / reach - centre / reach).abs_()
    weight = away.neg_().add_(1).clamp_(min=0).mul_(covered)
    return weight.div_(weight.sum(2, keepdim=True))
