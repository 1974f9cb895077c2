"""The one place where pixels change: drawn parameters and stored images in, normalised views out.

B images of the batch, S pixels of a view's side, H x W pixels of a stored image.
"""

from functools import cache

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from pairlens.errors import InputError
from pairlens.views.color import HUE, adjust_, adjustments, luma, per_image, shift_hue_
from pairlens.views.params import ViewParams
from pairlens.views.randaugment import apply_operations
from pairlens.views.resize import crop_resize, crop_resize_dense

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
    RandAugment's operations, where there are any, stand between the blur and gray (InfoMin: `views.randaugment`).
    Parameters stay on the CPU, where plans draw them; nothing is read back from an accelerator. The result is
    contiguous and in float32, also under autocast. On the CPU plain calls are faster than torch.compile, which gets
    every adjustment computed for every view.

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
            views = _render_masked(images, params, size)
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
    scale, gray, level = adjustments(jittered.factors, jittered.order[jittered.order != HUE].view(-1, 3))
    for j in range(4):
        shared = slice(starts[j], starts[j + 1])
        if shared.start < shared.stop:
            shift_hue_(view[shared], jittered.factors[shared, HUE])
        if j < 3 and len(jittered):
            adjust_(view[: len(jittered)], scale[:, j], gray[:, j], level[:, j])

    operated = drawn.operations.shape[1] > 0
    if not operated:
        _turn_gray_(view, drawn.gray)
    rows = drawn.blur.nonzero().squeeze(1)
    if len(rows):
        view.index_copy_(0, rows, blur(view.index_select(0, rows), drawn.blur[rows], blur_kernel(size)))
    if operated:
        view = apply_operations(view, drawn.operations, drawn.magnitudes)
        _turn_gray_(view, drawn.gray)
    torch.index_select(view, 0, by_place.argsort(), out=views)


def _turn_gray_(view: Float[Tensor, "B 3 S S"], gray: Bool[Tensor, "B"]) -> None:
    rows = gray.nonzero().squeeze(1)
    if len(rows):
        view.index_copy_(0, rows, luma(view.index_select(0, rows)).expand(-1, 3, -1, -1))


def _render_masked(images: UInt8[Tensor, "B 3 H W"], params: ViewParams, size: int) -> Float[Tensor, "B 3 S S"]:
    """On accelerators and under torch.compile: no step depends on a value, absent adjustments get neutral factors.

    The one hue shift stands between three places for what comes before it and three for what comes after.
    """
    operations, magnitudes = params.operations, params.magnitudes  # on the CPU: which rows are due is read there
    params = params.to(images.device)
    view = crop_resize_dense(images, params.crop, params.flip, size)
    turns = params.rotation[:, None, None, None]
    for k in range(1, 4):
        view = torch.where(turns == k, torch.rot90(view, k, (2, 3)), view)
    order = params.order.where(params.jittered[:, None], HUE)
    place = (params.order == HUE).int().argmax(1, keepdim=True)
    rank = torch.arange(4, device=view.device)
    for j, due in enumerate((order.where(rank < place, HUE)[:, :3], order.where(rank > place, HUE)[:, 1:])):
        if j == 1:
            shift_hue_(view, params.factors[:, HUE] * params.jittered)
        scale, gray, level = adjustments(params.factors, due)
        for k in range(3):
            adjust_(view, scale[:, k], gray[:, k], level[:, k])
    if operations.shape[1]:
        view = apply_operations(blur(view, params.blur, blur_kernel(size)), operations, magnitudes)
    turned_gray = params.gray.float()
    adjust_(view, 1 - turned_gray, turned_gray, torch.zeros_like(turned_gray))
    if not operations.shape[1]:
        view = blur(view, params.blur, blur_kernel(size))
    return view + torch.where(params.texture == 0, 0.0, float("nan"))[:, None, None, None]


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
        view = padded.narrow(axis, half, side) * per_image(taps[:, 0])
        for d in range(1, half + 1):
            torch.add(padded.narrow(axis, half - d, side), padded.narrow(axis, half + d, side), out=both)
            view.addcmul_(both, per_image(taps[:, d]))
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
