"""Finding the objects of a set with the encoder in training: heat maps of whole images, and boxes around what is hot.

N images, B images of a batch, S pixels of a view's side, h x w positions of the encoder's last stage.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor, nn

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.evaluate.features import Progress, evaluating, plain_views
from pairlens.views.boxes import boxes_of, heat_map, threshold_for

SAMPLE = 1024
"""Heat maps that a threshold is chosen on."""


@dataclass(frozen=True)
class Located:
    """Where the objects of a set were found."""

    boxes: Float[Tensor, "N 4"]  # left, top, right, bottom, fractions of the image; on the CPU
    k: float  # the threshold of heat


def whole_image(sizes: Integer[Tensor, "B 2"]) -> Float[Tensor, "B 4"]:
    """All of each image: its rectangle, squeezed to a square when a view is made of it."""
    return torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(len(sizes), 1)


def heat_maps(
    encoder: nn.Module,
    images: ImageSet,
    size: int,
    mean: Float[Tensor, "3"] | None,
    std: Float[Tensor, "3"] | None,
    *,
    index: Int64[Tensor, "N"] | None = None,
    batch: int = 512,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    progress: Progress = lambda images: None,
) -> Float[Tensor, "N h w"]:
    """Heat maps of un-augmented whole images (CCrop, Section 3.2), float32 in [0, 1] on the CPU, in one pass.

    The encoder works in eval mode and without gradients, and is left exactly as it was. Positions are those of the
    image squeezed to S x S, so that a box found in a map is a box of the image.

    Args:
        encoder: has `features_map`, from [B, 3, S, S] to [B, D, h, w]; already on `device`.
        images: the set.
        size: S, pixels of a view's side, as in training.
        mean: of the pixels in [0, 1] units, as in training; None leaves them.
        std: likewise.
        index: which images, on the CPU; None: all of them.
        batch: images at a time.
        device: where to compute.
        precision: bfloat16 runs the encoder under autocast.
        progress: told how many more images are done, after each batch.

    Raises:
        InputError: the encoder has no map of features over the image, or one of a single position.
    """
    features_map = getattr(encoder, "features_map", None)
    if features_map is None:
        raise InputError(
            f"the encoder {type(encoder).__name__} has no features_map to find objects in; give it one that returns "
            "the last stage before pooling, [B, D, h, w]"
        )
    index = torch.arange(len(images)) if index is None else index
    kind, parts = torch.device(device).type, []
    for views in plain_views(images, size, mean, std, index=index, batch=batch, device=device, cut=whole_image):
        laid_out = views.contiguous(memory_format=torch.channels_last)
        with evaluating(encoder), torch.autocast(kind, precision, enabled=precision != torch.float32):
            features = features_map(laid_out)
        if features.shape[2:].numel() == 1:
            raise InputError(
                f"the encoder sees a view of {size} px at a single position, so no object can be found in it; use "
                "larger views, or an encoder that shrinks them less (stem small)"
            )
        parts.append(heat_map(features).cpu())
        progress(len(views))
    return torch.cat(parts)


def locate(
    encoder: nn.Module,
    images: ImageSet,
    size: int,
    mean: Float[Tensor, "3"] | None,
    std: Float[Tensor, "3"] | None,
    *,
    k: float = 0.1,
    coverage: float | None = None,
    index: Int64[Tensor, "N"] | None = None,
    batch: int = 512,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    progress: Progress = lambda images: None,
) -> Located:
    """The boxes of a set's objects (CCrop, Eq. 2), at the cost of one inference pass.

    Args:
        k: the threshold of heat; the paper has 0.1.
        coverage: choose one k for the whole set instead, so that half of the boxes cover this share of their images
            or more; on up to 1024 evenly spaced images.
        encoder, images, size, mean, std, index, batch, device, precision, progress: as `heat_maps` has them.

    Raises:
        InputError: as `heat_maps` does.
    """
    heat = heat_maps(
        encoder,
        images,
        size,
        mean,
        std,
        index=index,
        batch=batch,
        device=device,
        precision=precision,
        progress=progress,
    )
    if coverage is not None:
        sample = torch.linspace(0, len(heat) - 1, min(SAMPLE, len(heat))).long()
        k = threshold_for(heat[sample], size, coverage)
    return Located(torch.cat([boxes_of(part.to(device), size, k).cpu() for part in heat.split(batch)]), k)
