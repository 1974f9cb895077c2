"""What is drawn for a view, over thousands of draws: each parameter of its augmentation as a distribution.

P draws of a kind of view, G x G cells of a density.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from pairlens.inspection.subject import Subject
from pairlens.report.panels.gallery import FACTORS
from pairlens.views.params import ViewParams
from pairlens.views.randaugment import Operation

DRAWS = 4000  # of each view
CELLS = 24  # of a density, along each side


@dataclass(frozen=True)
class Kind:
    """Views of one size, pooled: they share a distribution."""

    names: tuple[str, ...]
    size: int  # pixels
    numbers: Mapping[str, Float[np.ndarray, "P"]]  # what is drawn, by name; only of views to which it is applied
    shares: Mapping[str, float]  # of the views to which something is done
    operations: Mapping[str, float]  # likewise, of RandAugment
    centres: Float[np.ndarray, "G G"]  # share of the crops' centres in each cell of the image, row by row


def compute(subject: Subject) -> tuple[Kind, ...]:
    """Draw every view of random images, the large views first."""
    generator = subject.generator()
    index = subject.some(DRAWS, generator)
    sizes = subject.images.sizes[index].double()
    by_size: dict[int, dict[str, ViewParams]] = {}
    for name, params in subject.drawn(index, generator).items():
        by_size.setdefault(params.size or subject.size, {})[name] = params
    return tuple(_kind(size, by_size[size], sizes) for size in sorted(by_size, reverse=True))


def _kind(size: int, views: Mapping[str, ViewParams], sizes: torch.Tensor) -> Kind:
    drawn = list(views.values())
    crop = torch.cat([p.crop for p in drawn]).double()
    jittered, gray = (torch.cat([getattr(p, field) for p in drawn]) for field in ("jittered", "gray"))
    factors, blur = torch.cat([p.factors for p in drawn]), torch.cat([p.blur for p in drawn])
    height, width = sizes.repeat(len(drawn), 1).unbind(1)
    numbers = {
        "crop area": crop[:, 2] * crop[:, 3],
        "crop aspect": crop[:, 2] * width / (crop[:, 3] * height),
        **{name: factors[jittered, i] for i, name in enumerate(FACTORS)},
        "blur": blur[blur > 0],
    }
    shares = {
        "mirrored": torch.cat([p.flip for p in drawn]),
        "jittered": jittered,
        "gray": gray,
        "blurred": blur > 0,
        "turned": torch.cat([p.rotation for p in drawn]) > 0,
        "another texture": torch.cat([p.texture for p in drawn]) > 0,
    }
    return Kind(
        names=tuple(views),
        size=size,
        numbers={name: values.numpy().astype(np.float64) for name, values in numbers.items()},
        shares={name: float(done.double().mean()) for name, done in shares.items()},
        operations=_operations(drawn),
        centres=_centres(crop),
    )


def _operations(drawn: Sequence[ViewParams]) -> dict[str, float]:
    """The share of views to which each of RandAugment's operations is applied, by its name."""
    applied = torch.cat([p.operations for p in drawn])
    return {
        operation.name.lower().replace("_", " "): float((applied == operation).any(1).double().mean())
        for operation in Operation
        if operation != Operation.IDENTITY and (applied == operation).any()
    }


def _centres(crop: torch.Tensor) -> Float[np.ndarray, "G G"]:
    column, row = ((crop[:, :2] + crop[:, 2:] / 2) * CELLS).long().clamp_(0, CELLS - 1).unbind(1)
    counts = torch.bincount(row * CELLS + column, minlength=CELLS**2)
    return (counts.view(CELLS, CELLS).double() / len(crop)).numpy()
