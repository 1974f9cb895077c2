"""Opens what the user names: the built-in set, a file of arrays, a known set's folder, or a folder of images.

N images, S pixels a side.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from pairlens.data.arrays import open_arrays
from pairlens.data.cifar import find_cifar
from pairlens.data.decode import Progress
from pairlens.data.folder import open_folder
from pairlens.data.images import ImageSet, Source
from pairlens.data.scenes import make_scenes
from pairlens.data.stl10 import find_stl10
from pairlens.errors import InputError


def open_source(
    spec: str,
    *,
    labels: bool = False,
    test: str | None = None,
    size: int | None = None,
    view: int | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> Source:
    """Open a source of images by what is found there.

    Args:
        spec: "scenes" or "scenes:shortcut"; a `.npy` or `.npz` file; a folder with CIFAR-10, CIFAR-100 or STL-10 in
            an original layout, or its parent; a folder with `train` and `test` (or `val`, `validation`) and a folder
            for each class in them; any other folder of images, nested or not.
        labels: ask a plain folder for labels, its first sub-folders' names; ask STL-10 to leave its unlabelled images
            out of training. The other kinds always have the labels that they have.
        test: another such source whose test part, or whose images where it has none, become the test set. Without
            it, a labelled source that has no test part gives a stratified fifth of its images, and an unlabelled one
            has no test set.
        size: pixels a side at which images are stored; None leaves it to the source (see `decode.store_side`).
        view: pixels a side of the views to be made, which helps to choose the store's side for photographs.
        seed: draws `scenes` and the held-out fifth.
        say: told in a sentence what was found.
        progress: told how many files of how many are decoded.

    Raises:
        InputError: there is nothing that can be read, or an argument is out of range.
    """
    for name, value in (("size", size), ("view", view)):
        if value is not None and value < 1:
            raise InputError(f"the {name} must be a positive number of pixels, not {value}; leave it out to choose it")

    def open_one(place: str, side: int | None, split: int | None) -> Source:
        return _open(place, labels=labels, size=side, view=view, seed=seed, split=split, say=say, progress=progress)

    source = open_one(spec, size, None if test else seed)
    if test is not None:
        other = open_one(test, size or source.train.pixels.shape[-1], None)
        source = replace(source, test=_matched(source.train, other.test or other.train, test))
    say(_summary(source))
    _warn_of_one_class(source.train, say)
    return source


def _open(
    spec: str,
    *,
    labels: bool,
    size: int | None,
    view: int | None,
    seed: int,
    split: int | None,
    say: Callable[[str], None],
    progress: Progress,
) -> Source:
    path = Path(spec).expanduser()
    kind, _, setting = spec.partition(":")
    if kind == "scenes" and not path.exists():
        return make_scenes(setting or "plain", size or 32, seed=seed)
    if path.is_file() and path.suffix.lower() in (".npy", ".npz"):
        return _resized(open_arrays(spec, path, split), size)
    if path.is_file():
        raise InputError(f"{spec} is a file of an unknown kind; give a folder of images, or a .npy or .npz file")
    if not path.is_dir():
        raise InputError(f"there is no folder {spec}; give a folder of images, a .npy or .npz file, or scenes")
    if cifar := find_cifar(path):
        return _resized(cifar(spec), size)
    if stl10 := find_stl10(path):
        return _resized(stl10(spec, labels), size)
    return open_folder(spec, path, labels=labels, size=size, view=view, split=split, say=say, progress=progress)


def _resized(source: Source, size: int | None) -> Source:
    """A set of arrays at the side that is asked for, else at its own, squeezed if not square; `sizes` stays true."""
    height, width = source.train.pixels.shape[2:]
    side = size or round((height * width) ** 0.5)

    def resize(images: ImageSet) -> ImageSet:
        if images.pixels.shape[2:] == (side, side):
            return images
        small = [
            F.interpolate(chunk.float(), (side, side), mode="bicubic", antialias=True).round_().clamp_(0, 255).byte()
            for chunk in images.pixels.split(256)
        ]
        return replace(images, pixels=torch.cat(small))

    return replace(source, train=resize(source.train), test=None if source.test is None else resize(source.test))


def _matched(train: ImageSet, test: ImageSet, spec: str) -> ImageSet:
    """The test images, with labels numbered as in training where both have them."""
    if train.labels is None or test.labels is None or train.classes == test.classes:
        return test
    unknown = [name for name in test.classes if name not in train.classes]
    if unknown:
        raise InputError(
            f"{spec} has the class {unknown[0]}, which the training images lack; give a test set with the same classes"
        )
    number = torch.tensor([*(train.classes.index(name) for name in test.classes), -1])  # -1, the last, stays -1
    return replace(test, labels=number[test.labels], classes=train.classes)


def _warn_of_one_class(train: ImageSet, say: Callable[[str], None]) -> None:
    there = [] if train.labels is None else train.labels[train.labelled()].unique().tolist()
    if len(there) == 1:
        say(
            f"all labelled training images are of one class, {train.classes[there[0]]}: every accuracy will be 100 % "
            "and say nothing; give images of two classes at least, or no labels"
        )


def _summary(source: Source) -> str:
    train, test = source.train, source.test
    height, width = train.pixels.shape[2:]
    number = len(train.classes)
    known = f"{number} class{'' if number == 1 else 'es'}" if train.labels is not None else "no labels"
    labelled = f" ({len(train.labelled()):,} labelled)" if 0 < len(train.labelled()) < len(train) else ""
    parts = [
        f"{source.name}: {len(train):,} training images{labelled}",
        f"{len(test):,} test images" if test else "no test set",
    ]
    skipped = len(train.skipped) + (len(test.skipped) if test else 0)
    if skipped:
        parts.append(f"{skipped:,} unreadable files skipped")
    return ", ".join([*parts, f"{known}, stored at {height} x {width} pixels"])
