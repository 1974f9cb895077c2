"""Images that someone saved as NumPy arrays.

N images, H x W pixels.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from pairlens.data.images import ImageSet, Source
from pairlens.data.split import hold_out
from pairlens.errors import InputError

TRAIN = ("x", "images", "x_train", "train_images")
TRAIN_LABELS = ("y", "labels", "y_train", "train_labels")
TEST = ("x_test", "test_images")
TEST_LABELS = ("y_test", "test_labels")


def open_arrays(name: str, path: Path, split: int | None) -> Source:
    """Open a `.npy` file of images, or a `.npz` with images and perhaps labels and a test part.

    Images are uint8, [N, H, W, 3], [N, 3, H, W] or grey [N, H, W]. In a `.npz` they are called `x` or `images`, the
    labels `y` or `labels` (integers from 0), the test part `x_test` and `y_test`. Labels without a test part give
    a stratified fifth for it, drawn by the seed `split`; None keeps all images together.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    arrays = _load(path)
    images = _first(arrays, TRAIN)
    if images is None:
        raise InputError(
            f"{path} holds no images but {', '.join(arrays) or 'nothing'}; save them under one of: {', '.join(TRAIN)}"
        )
    labels, test, test_labels = (_first(arrays, keys) for keys in (TRAIN_LABELS, TEST, TEST_LABELS))
    every = [int(column.max()) for column in (labels, test_labels) if column is not None and column.size]
    classes = tuple(str(i) for i in range(max(every, default=-1) + 1)) if labels is not None else ()
    train_set = _image_set("train", path, images, labels, classes)
    if test is not None:
        test_part = _image_set("test", path, test, test_labels, classes)
        return Source(name, train_set, test_part)
    if train_set.labels is None or split is None:
        return Source(name, train_set)
    rows, held = hold_out(train_set.labels, split)
    return Source(name, train_set.rows(rows), train_set.rows(held) if len(held) else None)


def _load(path: Path) -> Mapping[str, np.ndarray]:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)  # only a .npy is mapped
        if isinstance(found, np.ndarray):
            return {"x": found}
        with found:
            return {key: found[key] for key in found.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as NumPy arrays ({error}); save plain arrays again") from error


def _first(arrays: Mapping[str, np.ndarray], keys: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[key] for key in keys if key in arrays), None)


def _image_set(
    part: str, path: Path, images: np.ndarray, labels: np.ndarray | None, classes: tuple[str, ...]
) -> ImageSet:
    pixels = _planes(path, images)
    count, _, height, width = pixels.shape
    return ImageSet(
        pixels=pixels,
        sizes=torch.tensor([height, width]).repeat(count, 1),
        names=[f"{part}/{i:05d}" for i in range(count)],
        labels=None if labels is None else _labels(path, labels, count),
        classes=() if labels is None else classes,
    )


def _planes(path: Path, images: np.ndarray) -> UInt8[Tensor, "N 3 H W"]:
    if images.dtype != np.uint8:
        raise InputError(f"{path} holds images of {images.dtype}; save them as uint8, 0 to 255")
    if images.ndim == 4 and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    elif images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.size == 0:
        raise InputError(
            f"{path} holds images of shape {images.shape}; save them as [N, H, W, 3], [N, 3, H, W] or [N, H, W]"
        )
    full = np.broadcast_to(images, (len(images), 3, *images.shape[2:]))
    return torch.from_numpy(np.array(full, order="C"))


def _labels(path: Path, labels: np.ndarray, count: int) -> Int64[Tensor, "N"]:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise InputError(
            f"{path} holds labels of shape {labels.shape} and type {labels.dtype} for {count} images; "
            "save one integer from 0 for each"
        )
    return torch.from_numpy(labels.astype(np.int64))
