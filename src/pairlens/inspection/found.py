"""What was found: how many images, of which sizes, formats and classes, what cannot be read, and how they are kept.

N images of the set.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Int

from pairlens.data.images import ImageSet
from pairlens.data.photographs import Photographs
from pairlens.inspection.subject import Subject

FORMATS = {"jpg": "JPEG", "jpe": "JPEG", "jfif": "JPEG", "tif": "TIFF", "jp2": "JPEG 2000", "webp": "WebP"}


@dataclass(frozen=True)
class Image:
    """One image, by its name."""

    name: str
    height: int
    width: int

    @property
    def shape(self) -> str:
        """Width by height, as photographs are named."""
        return f"{self.width} \u00d7 {self.height}"


@dataclass(frozen=True)
class Found:
    """The images, before anything is done with them."""

    train: int
    test: int | None
    labelled: int  # of the training images
    classes: Mapping[str, int]  # training images of each, the most first; empty without labels
    formats: Mapping[str, int]  # training images of each, by their names' endings, the most first
    sizes: Int[np.ndarray, "N 2"]  # height and width of the originals
    smallest: Image  # by area
    largest: Image
    widest: Image  # by width over height
    tallest: Image
    side: tuple[int, int]  # height and width of a stored image, pixels
    from_files: bool  # whether they are decoded in every epoch anew
    bytes: int  # of the store; 0 where there is none
    skipped: tuple[tuple[str, str], ...]  # files that cannot be read, and why

    @property
    def one_size(self) -> bool:
        """Whether all images have the same size."""
        return bool((self.sizes == self.sizes[0]).all())

    @property
    def aspects(self) -> np.ndarray:
        """Width over height of each image."""
        return self.sizes[:, 1] / self.sizes[:, 0]


def compute(subject: Subject) -> Found:
    """Read off the images what is known of them; no pixel is looked at."""
    images, test = subject.images, subject.source.test
    sizes = np.maximum(1, images.sizes.numpy().astype(np.int64))
    area, aspect = sizes.prod(1), sizes[:, 1] / sizes[:, 0]

    def image(row: int) -> Image:
        return Image(images.names[row], int(sizes[row, 0]), int(sizes[row, 1]))

    files = isinstance(images.pixels, Photographs)
    kept = images.pixels.shape
    skipped = dict.fromkeys([*images.skipped, *(test.skipped if test else ())])
    return Found(
        train=len(images),
        test=None if test is None else len(test),
        labelled=len(images.labelled()),
        classes=_classes(images),
        formats=_formats(images),
        sizes=sizes,
        smallest=image(int(area.argmin())),
        largest=image(int(area.argmax())),
        widest=image(int(aspect.argmax())),
        tallest=image(int(aspect.argmin())),
        side=(int(kept[2]), int(kept[3])),
        from_files=files,
        bytes=0 if files else int(np.prod(kept)),
        skipped=tuple(skipped),
    )


def _classes(images: ImageSet) -> Mapping[str, int]:
    if images.labels is None:
        return {}
    counts = images.labels[images.labelled()].bincount(minlength=len(images.classes)).tolist()
    return dict(sorted(zip(images.classes, counts, strict=True), key=lambda item: (-item[1], item[0])))


def _formats(images: ImageSet) -> Mapping[str, int]:
    endings = Counter(PurePosixPath(name).suffix.lower().removeprefix(".") for name in images.names)
    named: Counter[str] = Counter()
    for ending, count in endings.items():
        if ending:
            named[FORMATS.get(ending, ending.upper())] += count
    return dict(named.most_common())
