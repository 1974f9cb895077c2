"""Where the objects are: boxes found in heat maps (CCrop, Section 3.2), the table of a set's boxes, and overlap.

B images of a batch, N of the set, D channels, h x w positions of a heat map, S pixels of a view's side, R refreshes.
A box is left, top, right and bottom, as fractions of the image.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import astuple, dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pairlens.errors import InputError

NEARLY_WHOLE = 0.95
"""A box that covers more than this share of its image is nearly the whole image."""

POINT_AREA, POINT_SIDE = 0.01, 1 / 16
"""A box that covers less of its image, or has a side that is shorter (under 2 pixels of 32), is nearly a point."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""At which the coverage of a set's boxes is summed up."""

CONSTANT = 1e-6
"""A map whose range is less than this share of its greatest magnitude has nothing but rounding in it."""

TOUCH = 1e-5
"""An overlap that is no more than this share of the object is rounding."""

CHUNK = 256
"""Heat maps that are enlarged at a time."""

FULL, CENTRAL = (0.0, 0.0, 1.0, 1.0), (0.25, 0.25, 0.75, 0.75)


def heat_map(features: Float[Tensor, "B D h w"]) -> Float[Tensor, "B h w"]:
    """How active each position is: the sum over channels, brought to [0, 1] image by image (CCrop, Section 3.2).

    A map without any contrast, or with activations that are no finite numbers, is 1 everywhere: the object may be
    anywhere.
    """
    heat = features.float().sum(1)
    low, high = heat.amin((1, 2), keepdim=True), heat.amax((1, 2), keepdim=True)
    contrast = high - low
    usable = contrast.isfinite() & (contrast > CONSTANT * torch.maximum(low.abs(), high.abs()))
    return torch.where(usable, (heat - low) / torch.where(usable, contrast, 1.0), 1.0)


def boxes_of(heat: Float[Tensor, "B h w"], size: int, k: float) -> Float[Tensor, "B 4"]:
    """The smallest rectangle around all that is hotter than `k` (CCrop, Eq. 2), or the full box where nothing is.

    The heat is enlarged bilinearly to views of `size` x `size` pixels, whose far edges belong to a box: right and
    bottom are (index + 1) / size.
    """
    return _closure(_profiles(heat, size) > k)


def threshold_for(heat: Float[Tensor, "B h w"], size: int, target: float) -> float:
    """The greatest k, in steps of 0.005, at which half of the boxes cover the share `target` of their image or more.

    Some encoders are active everywhere, and at the paper's k = 0.1 every box is the whole image. One k for the whole
    set, chosen on a sample of its heat maps, keeps the boxes' sizes apart. At most 1 % of the images may have nothing
    that is hotter than it. It is 0 where no k will do.
    """
    profiles = _profiles(heat, size)
    grid = [i / 200 for i in range(200)]

    def too_great(k: float) -> bool:
        hot = profiles > k
        something = hot.any(2).all(1)
        enough = (coverage(_closure(hot)) >= target) & something
        return bool((enough.double().mean() < 0.5) | (something.double().mean() < 0.99))

    return grid[max(0, bisect_left(grid, True, key=too_great) - 1)]


def coverage(boxes: Float[Tensor, "B 4"]) -> Float[Tensor, "B"]:
    """The share of its image that each box covers; parts outside of the image do not count."""
    inside = boxes.clamp(0, 1)
    return (inside[:, 2:] - inside[:, :2]).clamp_(min=0).prod(1)


def iou(a: Float[Tensor, "B 4"], b: Float[Tensor, "B 4"]) -> Float[Tensor, "B"]:
    """Intersection over union of two boxes of each image; 0 where neither has an area."""
    shared = _overlap(a, b)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    return torch.where(union > 0, shared / torch.where(union > 0, union, 1.0), 0.0)


def corners(crop: Float[Tensor, "B 4"]) -> Float[Tensor, "B 4"]:
    """A crop (left, top, width, height) as a box: left, top, right, bottom."""
    return torch.cat([crop[:, :2], crop[:, :2] + crop[:, 2:]], 1)


def misses(crop: Float[Tensor, "B 4"], box: Float[Tensor, "B 4"], share: float = 0.0) -> Bool[Tensor, "B"]:
    """Whether a crop (left, top, width, height) misses the object: it shows no more than `share` of the box's area.

    By default a crop misses if it shows nothing of the box; touching it is a miss. Where the crop's centre lies does
    not matter. A box without an area is always missed. A pair misses if either of its views does.
    """
    shown = _overlap(corners(crop), box)
    return shown <= (share + TOUCH) * (box[:, 2:] - box[:, :2]).prod(1)


@dataclass(frozen=True)
class Refresh:
    """What is remembered of one refresh of a set's boxes."""

    step: int  # optimiser steps finished before it
    epoch: int  # epochs finished before it
    k: float  # the threshold
    whole: float  # share of boxes that are nearly the whole image
    point: float  # share of boxes that are nearly a point
    coverage: tuple[float, ...]  # at QUANTILES


class Boxes:
    """The boxes of a set, by image, on the CPU: what `contrastive_crop` asks.

    Make it with `unknown` (boxes are to be found while training), `central`, `whole` or `known`. `table` is [N, 4],
    `ready` whether it holds anything yet, `k` the threshold it was found with (None: it was not found in heat maps),
    and `history` one `Refresh` after another. A new table is seen by the next draw.
    """

    def __init__(self, table: Float[Tensor, "N 4"], ready: bool) -> None:
        self.table = _checked(table)
        self.ready = ready
        self.k: float | None = None
        self.history: list[Refresh] = []

    @classmethod
    def unknown(cls, count: int) -> "Boxes":
        """No boxes of `count` images yet: crops fall anywhere until the first refresh (warm-up)."""
        return cls(torch.tensor(FULL).repeat(count, 1), ready=False)

    @classmethod
    def central(cls, count: int) -> "Boxes":
        """The central half of each side, for every image (the authors' cheap variant, from their code)."""
        return cls(torch.tensor(CENTRAL).repeat(count, 1), ready=True)

    @classmethod
    def whole(cls, count: int) -> "Boxes":
        """The whole image, for every image: centre suppression without localisation (CCrop, Section 4.4)."""
        return cls(torch.tensor(FULL).repeat(count, 1), ready=True)

    @classmethod
    def known(cls, table: Float[Tensor, "N 4"]) -> "Boxes":
        """Boxes that somebody knows; they may reach out of their images.

        Raises:
            InputError: a box is not finite, or its right edge is left of its left edge, or its bottom above its top.
        """
        return cls(table, ready=True)

    def __len__(self) -> int:
        return len(self.table)

    def of(self, index: Int64[Tensor, "B"]) -> Float[Tensor, "B 4"] | None:
        """The boxes of the images that `index` names; None before the first refresh."""
        return self.table[index] if self.ready else None

    def refresh(self, found: Float[Tensor, "N 4"], step: int, epoch: int, k: float) -> Refresh:
        """Take over boxes that were found for the whole set with threshold `k`, and remember what they are like.

        Raises:
            InputError: these are not boxes, or not one for each image.
        """
        if len(found) != len(self):
            raise InputError(
                f"{len(found)} boxes were found for {len(self)} images; find one for each image of the set"
            )
        self.table, self.ready, self.k = _checked(found), True, k
        covered = coverage(self.table).quantile(torch.tensor(QUANTILES))
        whole, point = nearly(self.table)
        self.history.append(Refresh(step, epoch, k, whole, point, tuple(covered.tolist())))
        return self.history[-1]

    def state(self) -> dict[str, Tensor]:
        """Everything as tensors, for checkpoints."""
        past = [[*astuple(refresh)[:-1], *refresh.coverage] for refresh in self.history]
        return {
            "table": self.table.clone(),
            "ready": torch.tensor(self.ready),
            "k": torch.tensor(float("nan") if self.k is None else self.k, dtype=torch.float64),
            "history": torch.tensor(past, dtype=torch.float64).view(len(past), 5 + len(QUANTILES)),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Become what `state` was made of, bit for bit.

        Raises:
            InputError: it holds the boxes of another number of images.
        """
        if state["table"].shape != self.table.shape:
            raise InputError(
                f"the stored boxes are those of {len(state['table'])} images, and the set has {len(self)}; continue "
                "with the set that the boxes were found for"
            )
        self.table, self.ready = _checked(state["table"]), bool(state["ready"])
        threshold = float(state["k"])
        self.k = None if math.isnan(threshold) else threshold
        self.history = [
            Refresh(int(step), int(epoch), k, whole, point, tuple(covered))
            for step, epoch, k, whole, point, *covered in state["history"].tolist()
        ]


def nearly(boxes: Float[Tensor, "N 4"]) -> tuple[float, float]:
    """The shares of boxes that are nearly the whole image, and nearly a point."""
    covered = coverage(boxes)
    shortest = (boxes[:, 2:] - boxes[:, :2]).amin(1)
    point = (covered < POINT_AREA) | (shortest < POINT_SIDE)
    return float((covered > NEARLY_WHOLE).double().mean()), float(point.double().mean())


def useless(boxes: Boxes) -> str | None:
    """One sentence if most of the boxes that were found last say next to nothing, with the evidence and a remedy.

    None if they are of use, and for boxes that were not found in heat maps: those are as somebody wanted them.
    """
    if boxes.k is None:
        return None
    whole, point = nearly(boxes.table)
    if max(whole, point) <= 0.5:
        return None
    what, does, remedy = (
        ("the whole image", "crops fall almost anywhere", "raise the threshold k")
        if whole > point
        else ("a point", "the two crops of an image fall almost together", "lower the threshold k")
    )
    median = float(coverage(boxes.table).quantile(0.5))
    return (
        f"{max(whole, point):.0%} of the boxes found with k = {boxes.k:g} are nearly {what} (the median box covers "
        f"{median:.1%} of its image), so {does}; {remedy} (--box-threshold), choose it by coverage (--box-coverage), "
        "or let the encoder warm up longer (--box-start)"
    )


def _profiles(heat: Float[Tensor, "B h w"], size: int) -> Float[Tensor, "B 2 S"]:
    """The hottest of each column, and of each row, of the enlarged maps: all that their closures depend on."""
    parts = []
    for some in heat.split(CHUNK):
        enlarged = F.interpolate(some[:, None].float(), (size, size), mode="bilinear", align_corners=False)[:, 0]
        parts.append(torch.stack([enlarged.amax(1), enlarged.amax(2)], 1))
    return torch.cat(parts)


def _closure(hot: Bool[Tensor, "B 2 S"]) -> Float[Tensor, "B 4"]:
    """The box from the first to the last hot column and row, or the full box where none is hot."""
    size = hot.shape[2]
    first = hot.int().argmax(2)
    last = size - hot.flip(2).int().argmax(2)
    return torch.where(
        hot.any(2).repeat(1, 2), torch.cat([first, last], 1) / size, torch.tensor(FULL, device=hot.device)
    )


def _overlap(a: Float[Tensor, "B 4"], b: Float[Tensor, "B 4"]) -> Float[Tensor, "B"]:
    """Area that two boxes share."""
    return (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp_(min=0).prod(1)


def _checked(table: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """A copy in float32 on the CPU, if all are boxes."""
    boxes = table.detach().to("cpu", torch.float32, copy=True)
    bad = ~(boxes.isfinite().all(1) & (boxes[:, :2] <= boxes[:, 2:]).all(1))
    if bad.any():
        first = int(bad.nonzero()[0, 0])
        raise InputError(
            f"{int(bad.sum())} of {len(boxes)} boxes are none, the first for image {first}: {boxes[first].tolist()}; "
            "give left, top, right and bottom as fractions of the image"
        )
    return boxes
