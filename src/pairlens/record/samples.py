"""Samples: what a step showed the method, kept for the report's gallery.

B images of the batch, H x W stored pixels; _ the side of a view, of each its own.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from pairlens.draw import Draw
from pairlens.record.disk import write_arrays, writing
from pairlens.views.params import ViewParams

SAMPLED = 8  # images of a sample


def write_sample(
    path: Path,
    draw: Draw,
    images: UInt8[Tensor, "_ 3 H W"],  # the sampled ones alone, or the whole batch
    views: Mapping[str, Float[Tensor, "B 3 _ _"]],
    params: Mapping[str, ViewParams],
    mean: Float[Tensor, "3"],
    std: Float[Tensor, "3"],
) -> None:
    """Write the first images of a batch, their views (normalised; kept as uint8) and the parameters, as `.npz`."""
    first = slice(0, SAMPLED)
    arrays: dict[str, np.ndarray] = {
        "step": np.asarray(draw.step),
        "index": draw.index[first].numpy(),
        "sizes": draw.sizes[first].numpy(),
        "images": images[first].cpu().numpy(),
    }
    for name, view in views.items():
        pixels = (view[first].float() * std[:, None, None] + mean[:, None, None]).clamp(0, 1) * 255
        arrays[f"view.{name}"] = pixels.round().byte().cpu().numpy()
    for name, drawn in params.items():
        arrays |= {f"params.{name}.{field}": value[first].cpu().numpy() for field, value in drawn.tensors().items()}
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        write_arrays(path, arrays)
