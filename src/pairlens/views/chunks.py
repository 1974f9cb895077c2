"""Rendering on the CPU: a few views at a time, and each adjustment only where it is due.

B images of the batch, R of them, S pixels of a view's side, H x W pixels of a stored image.
"""

from collections.abc import Callable, Iterator
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
    """What `render` returns, on the CPU. Views are taken in such an order that neighbours share most work.

    Blur follows normalisation, with which it commutes: its weights sum to 1.
    """
    _keep_freed_memory()
    operated = params.operations.shape[1] > 0
    by_order = _by_order(params)
    drawn = params.rows(by_order)
    height, width = images.shape[2:]
    taps = () if cut else crop_taps(drawn.crop, drawn.flip, height, width, size)
    views = torch.empty(len(images), 3, size, size)
    for chunk in _chunks(len(images), size):
        part = images.index_select(0, by_order[chunk])
        if cut:
            _change_(part, drawn.flip[chunk], partial(torch.flip, dims=(3,)))
            view = part.float().mul_(1 / 255)
        else:
            view = crop_resize(part, *(Taps(rows[chunk], weights[chunk]) for rows, weights in taps))
        view = _adjust(view, drawn.rows(chunk))
        if not operated:
            _change_(view, drawn.gray[chunk], _gray)
            normalize_(view, mean, std)
        _put_(views, by_order[chunk], view)
    _blur_(views, params.blur)
    if operated:
        for chunk in _chunks(len(images), size):
            view = apply_operations(views[chunk], params.operations[chunk], params.magnitudes[chunk])
            _change_(view, params.gray[chunk], _gray)
            views[chunk] = normalize_(view, mean, std)
    return views


def _chunks(count: int, size: int) -> Iterator[slice]:
    """As many of `count` views as are worked on at a time."""
    step = max(1, CHUNK_PIXELS // size**2)
    return (slice(first, first + step) for first in range(0, count, step))


def _by_order(params: ViewParams) -> Integer[Tensor, "B"]:
    """Indices that sort images by the order of their jitter, hue's place first; those without jitter come last."""
    hue = (params.order == HUE).int().argmax(1)
    key = hue * 256 + params.order.long() @ torch.tensor([64, 16, 4, 1])
    return key.masked_fill_(~params.jittered, 4 * 256).argsort()


def _adjust(view: Float[Tensor, "B 3 S S"], drawn: ViewParams) -> Float[Tensor, "B 3 S S"]:
    """Turn and jitter views whose jittered ones come first; `view` is overwritten."""
    if drawn.rotation.any():
        for turns in range(1, 4):
            _change_(view, drawn.rotation == turns, partial(torch.rot90, k=turns, dims=(2, 3)))
    jittered = slice(int(drawn.jittered.sum()))
    jitter_(view[jittered], drawn.factors[jittered], drawn.order[jittered])
    return view


def _blur_(views: Float[Tensor, "B 3 S S"], sigma: Float[Tensor, "B"]) -> None:
    """Blur views in place, those of like deviations together, so that few are blurred more widely than they need."""
    size = views.shape[3]
    rising = sigma.argsort()[int((sigma == 0).sum()) :]
    for chunk in _chunks(len(rising), size):
        rows = rising[chunk]
        _put_(views, rows, blur_by_sums(views.index_select(0, rows), sigma[rows], blur_kernel(size)))


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
