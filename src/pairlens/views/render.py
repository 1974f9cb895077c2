"""The one place where pixels change: drawn parameters and stored images in, normalised views out.

B images of the batch, S pixels of a view's side, H x W pixels of a stored image, L = H or W, J colour adjustments.
"""

from functools import cache

import torch
from jaxtyping import Bool, Float, Integer, UInt8
from torch import Tensor
from torch.nn import functional as F

from pairlens.errors import InputError
from pairlens.views.params import ViewParams

LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in gray (ITU-R BT.601, as Pillow and torchvision have them)."""

CONTRAST, SATURATION, HUE = 1, 2, 3
"""Columns of `ViewParams.factors`; brightness is column 0."""

CHUNK_PIXELS = 1 << 18
"""How many pixels of views the CPU works on at a time: 256 views of 32 pixels, 5 of 224."""


def render(
    images: UInt8[Tensor, "B 3 H W"],
    params: ViewParams,
    size: int,
    mean: Float[Tensor, "3"] | None = None,
    std: Float[Tensor, "3"] | None = None,
) -> Float[Tensor, "B 3 S S"]:
    """One view of each image, S = `size` pixels wide and high; values in [0, 1], then (view - mean) / std.

    Every step gives what torchvision's float transforms give for the same parameters: antialiased bilinear crop and
    resize, flip, quarter turns, jitter clamped after each adjustment, gray, Gaussian blur with `blur_kernel(size)`.
    Parameters stay on the CPU, where plans draw them; nothing is read back from an accelerator. The result is
    contiguous and in float32, also under autocast.

    Raises:
        InputError: on a textured view (not rendered yet), a batch of another length, images of another kind, or a
            size below 2. On an accelerator and under torch.compile nothing may be read back: textured views are NaN.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise InputError(f"Images are {images.dtype} of shape {tuple(images.shape)}; give uint8 of shape [B, 3, H, W].")
    if size < 2 or len(params) != len(images):
        raise InputError(
            f"{len(images)} images cannot be rendered with parameters of {len(params)} views at {size} pixels; "
            "give as many views as images, and a size of at least 2."
        )
    with torch.autocast(images.device.type, enabled=False):
        if images.device.type == "cpu" and not torch.compiler.is_compiling():
            if params.texture.any():
                raise InputError("Textured views cannot be rendered yet; set every entry of `texture` to 0.")
            views = _render_rows(images, params, size)
        else:
            views = _render_masked(images, params.to(images.device), size)
        return normalize_(views, mean, std)


def _render_rows(images: UInt8[Tensor, "B 3 H W"], params: ViewParams, size: int) -> Float[Tensor, "B 3 S S"]:
    """On the CPU: each adjustment touches only the images that have it, in chunks of `CHUNK_PIXELS`."""
    _keep_freed_memory()
    views = torch.empty(len(images), 3, size, size)
    step = max(1, CHUNK_PIXELS // size**2)
    for first in range(0, len(images), step):
        chunk = slice(first, first + step)
        _render_chunk(images[chunk], params.rows(chunk), size, views[chunk])
    return views


@cache
def _keep_freed_memory() -> None:
    """Have the C library keep what is freed, once a process: each view's temporaries else cost 12 page faults.

    glibc hands freed memory back to the system from a threshold on, which a freed block of up to 32 MiB raises to its
    own size. This one is never written to, so it takes no memory. Other C libraries are not affected.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


def _render_chunk(
    images: UInt8[Tensor, "B 3 H W"], params: ViewParams, size: int, views: Float[Tensor, "B 3 S S"]
) -> None:
    """Write a chunk's views. Images are sorted by the place of hue in their jitter, so that slices share it."""
    place = (params.order == HUE).int().argmax(1).masked_fill_(~params.jittered, 4)  # 4: no jitter
    by_place = place.argsort()
    drawn = params.rows(by_place)
    view = crop_resize(images.index_select(0, by_place), drawn.crop, drawn.flip, size)
    for turns in range(1, 4):
        rows = (drawn.rotation == turns).nonzero().squeeze(1)
        if len(rows):
            view.index_copy_(0, rows, torch.rot90(view.index_select(0, rows), turns, (2, 3)))

    starts = [0, *torch.bincount(place, minlength=5).cumsum(0).tolist()]
    jittered = drawn.rows(slice(starts[4]))
    scale, gray, level = _adjustments(jittered.factors, jittered.order[jittered.order != HUE].view(-1, 3))
    for j in range(4):
        shared = slice(starts[j], starts[j + 1])
        if shared.start < shared.stop:
            shift_hue_(view[shared], jittered.factors[shared, HUE])
        if j < 3 and len(jittered):
            adjust_(view[: len(jittered)], scale[:, j], gray[:, j], level[:, j])

    rows = drawn.gray.nonzero().squeeze(1)
    if len(rows):
        view.index_copy_(0, rows, luma(view.index_select(0, rows)).expand(-1, 3, -1, -1))
    rows = drawn.blur.nonzero().squeeze(1)
    if len(rows):
        view.index_copy_(0, rows, blur(view.index_select(0, rows), drawn.blur[rows], blur_kernel(size)))
    torch.index_select(view, 0, by_place.argsort(), out=views)


def _render_masked(images: UInt8[Tensor, "B 3 H W"], params: ViewParams, size: int) -> Float[Tensor, "B 3 S S"]:
    """On accelerators and under torch.compile: no step depends on a value, absent adjustments get neutral factors.

    The one hue shift stands between three places for what comes before it and three for what comes after.
    """
    view = crop_resize(images, params.crop, params.flip, size)
    turns = params.rotation[:, None, None, None]
    for k in range(1, 4):
        view = torch.where(turns == k, torch.rot90(view, k, (2, 3)), view)
    order = params.order.where(params.jittered[:, None], HUE)
    place = (params.order == HUE).int().argmax(1, keepdim=True)
    rank = torch.arange(4, device=view.device)
    for j, due in enumerate((order.where(rank < place, HUE)[:, :3], order.where(rank > place, HUE)[:, 1:])):
        if j == 1:
            shift_hue_(view, params.factors[:, HUE] * params.jittered)
        scale, gray, level = _adjustments(params.factors, due)
        for k in range(3):
            adjust_(view, scale[:, k], gray[:, k], level[:, k])
    turned_gray = params.gray.float()
    adjust_(view, 1 - turned_gray, turned_gray, torch.zeros_like(turned_gray))
    view = blur(view, params.blur, blur_kernel(size))
    return view + torch.where(params.texture == 0, 0.0, float("nan"))[:, None, None, None]


def crop_resize(
    images: UInt8[Tensor, "B 3 H W"], crop: Float[Tensor, "B 4"], flip: Bool[Tensor, "B"], size: int
) -> Float[Tensor, "B 3 S S"]:
    """Cut each rectangle, resize it antialiased and mirror it where asked, as two batched matrix products."""
    batch, _, height, width = images.shape
    columns = _resize_weights(crop[:, 0::2], flip, width, size)
    rows = _resize_weights(crop[:, 1::2], torch.zeros_like(flip), height, size).div_(255)
    narrow = images.float().view(batch, 3 * height, width) @ columns.mT
    return rows[:, None] @ narrow.view(batch, 3, height, size)


def _resize_weights(
    span: Float[Tensor, "B 2"], flip: Bool[Tensor, "B"], length: int, size: int
) -> Float[Tensor, "B S L"]:
    """What each of `length` source pixels weighs in each of `size` pixels of the view, along one axis.

    A triangle as wide as one pixel of the coarser of both grids, cut off at the span's ends and normalised. Pixels
    that the span covers partly count for that part, so spans need not end on pixels.
    """
    start, extent = (span * length).unsqueeze(2).unbind(1)  # [B, 1]
    step = extent / size
    place = torch.arange(size, device=span.device) + 0.5
    place = torch.where(flip[:, None], size - place, place)
    pixel = torch.arange(length, device=span.device) + 0.5
    reach = step.clamp(min=1)
    covered = (torch.minimum(start + extent, pixel + 0.5) - torch.maximum(start, pixel - 0.5)).clamp_(0, 1)  # [B, L]
    away = ((pixel / reach)[:, None] - ((start + place * step) / reach)[:, :, None]).abs_()
    weight = away.neg_().add_(1).clamp_(min=0).mul_(covered[:, None])
    return weight.div_(weight.sum(2, keepdim=True))


def luma(view: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 1 S S"]:
    """The gray image, as one channel."""
    red, green, blue = view.split(1, 1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def adjust_(
    view: Float[Tensor, "B 3 S S"], scale: Float[Tensor, "B"], gray: Float[Tensor, "B"], level: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """scale * view + gray * its gray image + level * that image's mean, clamped to [0, 1]; in place.

    Brightness, contrast and saturation are all of this form (`_adjustments`), so images that differ in which of them
    is due are adjusted together.
    """
    shade = luma(view)
    mean = shade.mean((2, 3), keepdim=True)
    shade.mul_(_per_image(gray)).add_(mean.mul_(_per_image(level)))
    return view.mul_(_per_image(scale)).add_(shade).clamp_(0, 1)


def _adjustments(
    factors: Float[Tensor, "B 4"], order: Integer[Tensor, "B J"]
) -> tuple[Float[Tensor, "B J"], Float[Tensor, "B J"], Float[Tensor, "B J"]]:
    """`adjust_`'s three factors for each image and each of the adjustments in its order; neutral ones for hue."""
    factor = factors.gather(1, order.long())
    rest = 1 - factor
    return (
        torch.where(order == HUE, 1.0, factor),
        torch.where(order == SATURATION, rest, 0.0),
        torch.where(order == CONTRAST, rest, 0.0),
    )


def shift_hue_(view: Float[Tensor, "B 3 S S"], turns: Float[Tensor, "B"]) -> Float[Tensor, "B 3 S S"]:
    """Turn the hue of every pixel in HSV space, by `turns` of the full circle; in place.

    With value V and chroma C = V - min, the hue is sign(green - blue) * (1 + (green + blue - red - min) / C) / 6 turns.
    A channel at a distance d (at most half a turn) of the hue from its own (red 0, green 1/3, blue 2/3) is
    V - C * clamp(6 d - 1, 0, 1), which with e = 1/2 - d is V - 2 C + 6 C * clamp(e, 1/6, 1/3).
    """
    red, green, blue = view.split(1, 1)
    value = torch.maximum(red, green).maximum(blue)
    least = torch.minimum(red, green).minimum(blue)
    chroma = value - least
    floor = value.sub_(chroma, alpha=2)
    six = chroma.mul_(6)
    hue = (green + blue).sub_(red).sub_(least).div_(six + 1e-12).add_(1 / 6).copysign_(green - blue)
    own = torch.arange(3, device=view.device)[:, None, None] / 3
    offset = _per_image(turns) - own
    torch.add(hue, offset - offset.round(), out=view)  # within a turn of 0
    return view.abs_().sub_(0.5).abs_().clamp_(1 / 6, 1 / 3).mul_(six).add_(floor)


def blur_kernel(size: int) -> int:
    """Side of the blur's kernel, pixels: a tenth of the view, odd, at least 3 (SimCLR, Appendix A; 23 for 224)."""
    return max(3, size // 10 | 1)


def blur(view: Float[Tensor, "B 3 S S"], sigma: Float[Tensor, "B"], kernel: int) -> Float[Tensor, "B 3 S S"]:
    """Gaussian blur with a standard deviation per image, reflecting at the edges; sigma 0 changes nothing."""
    half = kernel // 2
    distance = torch.arange(half + 1, device=view.device)
    taps = (distance / sigma.clamp(min=1e-3)[:, None]).square_().mul_(-0.5).exp_()
    taps = taps / (2 * taps.sum(1, keepdim=True) - taps[:, :1])
    both = torch.empty_like(view)
    for axis, margins in ((2, (0, 0, half, half)), (3, (half, half, 0, 0))):
        side = view.shape[axis]
        padded = F.pad(view, margins, mode="reflect")
        view = padded.narrow(axis, half, side) * _per_image(taps[:, 0])
        for d in range(1, half + 1):
            torch.add(padded.narrow(axis, half - d, side), padded.narrow(axis, half + d, side), out=both)
            view.addcmul_(both, _per_image(taps[:, d]))
    return view


def normalize_(
    view: Float[Tensor, "B 3 S S"], mean: Float[Tensor, "3"] | None, std: Float[Tensor, "3"] | None
) -> Float[Tensor, "B 3 S S"]:
    """(view - mean) / std per channel, in place; either may be None."""
    if mean is not None:
        view.sub_(mean.to(view.device)[:, None, None])
    if std is not None:
        view.mul_(1 / std.to(view.device)[:, None, None])
    return view


def _per_image(values: Float[Tensor, "B"] | Integer[Tensor, "B"]) -> Tensor:
    return values[:, None, None, None]
