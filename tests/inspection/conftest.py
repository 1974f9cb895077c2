"""Small subjects to look at, and the report's way of reading pages."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pairlens.data.images import ImageSet, Source
from pairlens.inspection.subject import Subject

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "report")]  # for `subjects` and `reader`
from subjects import made  # noqa: E402


@pytest.fixture(scope="session")
def images() -> ImageSet:
    """40 images of 24 px with classes, boxes and originals of many sizes."""
    numbers = torch.Generator().manual_seed(5)
    corners = torch.rand(40, 2, 2, generator=numbers).mul(0.9).sort(1).values
    return ImageSet(
        pixels=torch.randint(0, 256, (40, 3, 24, 24), generator=numbers, dtype=torch.uint8),
        sizes=torch.randint(20, 90, (40, 2), generator=numbers),
        names=[f"part/{i:02d}.{'png' if i % 4 else 'JPG'}" for i in range(40)],
        labels=torch.arange(40) % 3,
        classes=("a", "b", "c"),
        boxes=torch.cat([corners[:, 0], corners[:, 1] + 0.1], 1),
    )


@pytest.fixture(scope="session")
def source(images: ImageSet) -> Source:
    return Source("some/images", images, images.rows(torch.tensor([3, 7])))


@pytest.fixture(scope="session")
def subject(source: Source) -> Subject:
    return made(source)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """12 photographs in two classes, one of them there twice, one named to do harm, and one that is none."""
    root = tmp_path / "photos"
    numbers = np.random.default_rng(0)
    for i in range(12):
        place = root / ("cats" if i % 2 else "dogs")
        place.mkdir(parents=True, exist_ok=True)
        coarse = numbers.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        size = (60, 20) if i == 4 else (40 + 2 * i, 48)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(place / f"{i:02d}.jpg", quality=92)
    (root / "dogs" / "<img src=x onerror=hacked=1>`\u202e.jpg").write_bytes((root / "dogs" / "00.jpg").read_bytes())
    (root / "cats" / "broken.jpg").write_bytes(b"none")
    return root
