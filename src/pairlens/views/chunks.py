"""Rendering on the CPU: a few views at a time, and each adjustment only where it is due.

B images of the batch, R of them, S pixels of a view's side, H x W pixels of a stored image.
"""

from collections.abc import Callable
from functools import cache, partial

import torch
from jaxtyping import Bool, Float, Integer, Shaped, UInt8
from torch import Tensor

from pairlens.views.blur import blur_by_sums, blur_kernel
from pairlens.views.color import HUE, jitter_, luma, normalize_
from pairlens.views.params import ViewParams
from pairlens.views.randaugment import apply_operations
from pairlens.views.resize import crop_resize, crop_taps
from pairlens.views.sums import Taps

CHUNK_PIXELS = 1 << 18
"""How many pixels of views are worked on at a time: 256 views of 32 pixels, 5 of 224."""

LARGE = 1 << 14
"""Numbers of a view from which on views are copied one by one: several at once, torch copies number by number."""


def render_chunks(
    images: UInt8[Tensor, "B 3 H W"],
    params: ViewParams,
    size: int,
    mean: Float[Tensor, "3"] | None,
    std: Float[Tensor, "3"] | None,
    cut: bool,
) -> Float[Tensor, "B 3 S S"]:
    """What `render` returns, on the CPU. Images are taken by the order of their jitter, so that neighbours share it."""
    _keep_freed_memory()
    by_order = _by_order(params)
    drawn = params.rows(by_order)
    height, width = images.shape[2:]
    taps = () if cut else crop_taps(drawn.crop, drawn.flip, height, width, size)
    views = torch.empty(len(images), 3, size, size)
    step = max(1, CHUNK_PIXELS // size**2)
    for first in range(0, len(images), step):
        chunk = slice(first, first + step)
        part = images.index_select(0, by_order[chunk])
        if cut:
            _change_(part, drawn.flip[chunk], partial(torch.flip, dims=(3,)))
            view = part.float().mul_(1 / 255)
        else:
            view = crop_resize(part, *(Taps(rows[chunk], weights[chunk]) for rows, weights in taps))
        view = _augment(view, drawn.rows(chunk))
        _put_(views, by_order[chunk], normalize_(view, mean, std))
    return views


def _by_order(params: ViewParams) -> Integer[Tensor, "B"]:
    """Indices that sort images by the order of their jitter, hue's place first; those without jitter come last."""
    hue = (params.order == HUE).int().argmax(1)
    key = hue * 256 + params.order.long() @ torch.tensor([64, 16, 4, 1])
    return key.masked_fill_(~params.jittered, 4 * 256).argsort()


def _augment(view: Float[Tensor, "B 3 S S"], drawn: ViewParams) -> Float[Tensor, "B 3 S S"]:
    """All that follows crop and flip, on views whose jittered ones come first; `view` is overwritten."""
    if drawn.rotation.any():
        for turns in range(1, 4):
            _change_(view, drawn.rotation == turns, partial(torch.rot90, k=turns, dims=(2, 3)))
    jittered = slice(int(drawn.jittered.sum()))
    jitter_(view[jittered], drawn.factors[jittered], drawn.order[jittered])
    operated = drawn.operations.shape[1] > 0
    if not operated:
        _change_(view, drawn.gray, _gray)
    blurred = drawn.blur > 0
    sigma, kernel = drawn.blur[blurred], blur_kernel(view.shape[3])
    _change_(view, blurred, partial(blur_by_sums, sigma=sigma, kernel=kernel))
    if operated:
        view = apply_operations(view, drawn.operations, drawn.magnitudes)
        _change_(view, drawn.gray, _gray)
    return view


def _gray(view: Float[Tensor, "R 3 S S"]) -> Float[Tensor, "R 3 S S"]:
    return luma(view).expand(-1, 3, -1, -1)


def _change_(views: Shaped[Tensor, "B 3 S S"], due: Bool[Tensor, "B"], change: Callable[[Tensor], Tensor]) -> None:
    """Put what `change` makes of the views for which it is due in their place."""
    rows = due.nonzero().squeeze(1)
    if len(rows):
        _put_(views, rows, change(views.index_select(0, rows)))


def _put_(views: Shaped[Tensor, "B 3 S S"], rows: Integer[Tensor, "R"], values: Shaped[Tensor, "R 3 S S"]) -> None:
    """views[rows] = values."""
    if views[0].numel() < LARGE:
        views.index_copy_(0, rows, values)
    else:
        torch._foreach_copy_([views[row] for row in rows.tolist()], list(values.unbind()))


@cache
def _keep_freed_memory() -> None:
    """Have the C library keep what is freed, once a process: each view's temporaries else cost 12 page faults.

    glibc hands freed memory back to the system from a threshold on, which a freed block of up to 32 MiB raises to its
    own size. This one is never written to, so it takes no memory. Other C libraries are not affected.
    """
    torch.empty(31 << 20, dtype=torch.uint8)
