"""The one place where pixels change: drawn parameters and stored images in, normalised views out.

B images of the batch, S pixels of a view's side, H x W pixels of a stored image.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pairlens.errors import InputError
from pairlens.views.blur import blur, blur_kernel
from pairlens.views.chunks import render_chunks
from pairlens.views.color import HUE, adjust_, adjustments, normalize_, shift_hue_
from pairlens.views.params import ViewParams
from pairlens.views.randaugment import apply_operations
from pairlens.views.resize import crop_resize_dense


def render(
    images: UInt8[Tensor, "B 3 H W"],
    params: ViewParams,
    size: int,
    mean: Float[Tensor, "3"] | None = None,
    std: Float[Tensor, "3"] | None = None,
    cut: bool = False,
) -> Float[Tensor, "B 3 S S"]:
    """One view of each image, S = `size` pixels wide and high; values in [0, 1], then (view - mean) / std.

    Every step gives what torchvision's float transforms give for the same parameters: antialiased bilinear crop and
    resize, flip, quarter turns, jitter clamped after each adjustment, gray, Gaussian blur with `blur_kernel(size)`.
    With `cut`, images are the views' rectangles, S x S pixels already: their crop is not looked at, all else is done.
    RandAugment's operations, where there are any, stand between the blur and gray (InfoMin: `views.randaugment`).
    The texture is not looked at: images are the copies that it names already (`data.styles.chosen`), or, where there
    are no copies, the images themselves.
    Parameters stay on the CPU, where plans draw them; nothing is read back from an accelerator. The result is
    contiguous and in float32, also under autocast. On the CPU plain calls are faster than torch.compile, which gets
    every adjustment computed for every view.

    Raises:
        InputError: on a batch of another length, images of another kind, cut ones of another size, or a size below 2.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise InputError(f"Images are {images.dtype} of shape {tuple(images.shape)}; give uint8 of shape [B, 3, H, W].")
    if size < 2 or len(params) != len(images):
        raise InputError(
            f"{len(images)} images cannot be rendered with parameters of {len(params)} views at {size} pixels; "
            "give as many views as images, and a size of at least 2."
        )
    if cut and images.shape[2:] != (size, size):
        raise InputError(
            f"Images of {images.shape[2]} x {images.shape[3]} pixels are said to be cut, for views of {size} x {size}; "
            "cut and resize them to the views' size, or leave `cut` out."
        )
    with torch.autocast(images.device.type, enabled=False):
        if images.device.type == "cpu" and not torch.compiler.is_compiling():
            return render_chunks(images, params, size, mean, std, cut)
        return normalize_(_render_masked(images, params, size, cut), mean, std)


def _render_masked(
    images: UInt8[Tensor, "B 3 H W"], params: ViewParams, size: int, cut: bool = False
) -> Float[Tensor, "B 3 S S"]:
    """On accelerators and under torch.compile: no step depends on a value, absent adjustments get neutral factors.

    The one hue shift stands between three places for what comes before it and three for what comes after.
    """
    operations, magnitudes = params.operations, params.magnitudes  # on the CPU: which rows are due is read there
    params = params.to(images.device)
    if cut:
        view = torch.where(params.flip[:, None, None, None], images.flip(3), images).float().div_(255)
    else:
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
    return view
