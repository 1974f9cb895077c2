"""Some images beside their stylised copies, from which views with a texture are cut.

E images, H x W pixels of a thumbnail.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from pairlens.inspection.subject import Subject
from pairlens.inspection.views import shrink
from pairlens.report.overlay import FLATTEST, TALLEST

IMAGES = 6
COPIES = 5  # of each that are shown, at most
SIDE = 160  # pixels of a thumbnail


@dataclass(frozen=True)
class Image:
    """One image and its copies."""

    name: str
    pixels: UInt8[np.ndarray, "3 H W"]
    copies: tuple[UInt8[np.ndarray, "3 H W"], ...]
    aspect: float  # width over height of the original


@dataclass(frozen=True)
class Styled:
    """How the copies are made, and some of them."""

    way: str  # in words
    neural: bool
    probability: float  # of a view from a copy
    count: int  # copies of each image
    bytes: int  # of all copies
    images: tuple[Image, ...]


def compute(subject: Subject) -> Styled | None:
    """The images that the views are shown of first; None where there are no copies."""
    views, images = subject.recipe.views, subject.images
    if views.styling is None or images.styles is None:
        return None
    index = subject.some(min(IMAGES, len(images)), subject.generator()).sort().values
    originals = shrink(images.pixels[index], SIDE).numpy()
    copies = [shrink(copy[index], SIDE).numpy() for copy in images.styles[:COPIES]]
    aspects = (images.sizes[index, 1] / images.sizes[index, 0].clamp(min=1)).clamp(TALLEST, FLATTEST).tolist()
    shown = tuple(
        Image(images.names[row], originals[i], tuple(copy[i] for copy in copies), aspects[i])
        for i, row in enumerate(index.tolist())
    )
    neural = views.styling.neural
    return Styled(views.styling.words, neural, views.texture, views.styles, images.styles.nbytes, shown)
