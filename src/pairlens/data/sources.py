"""Opens what the user names: the built-in set, a file of arrays, a known set's folder, or a folder of images.

N images, S pixels a side.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from pairlens.data.arrays import open_arrays
from pairlens.data.choice import SMALLEST_CROP, Decode, Wish
from pairlens.data.cifar import find_cifar
from pairlens.data.folder import open_folder
from pairlens.data.images import ImageSet, Source
from pairlens.data.parallel import Progress
from pairlens.data.photographs import Photographs
from pairlens.data.scenes import make_scenes
from pairlens.data.stl10 import find_stl10
from pairlens.errors import InputError

VIEW = 64  # pixels; the view that the store's side is chosen for where nobody says


def open_source(
    spec: str,
    *,
    labels: bool = False,
    test: str | None = None,
    size: int | None = None,
    view: int | None = None,
    decode: Decode = "auto",
    smallest_crop: float = SMALLEST_CROP,
    workers: int | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> Source:
    """Open a source of images by what is found there.

    Args:
        spec: "scenes", "scenes:shortcut" or "scenes:small"; a `.npy` or `.npz` file; a folder with CIFAR-10, CIFAR-100
            or STL-10 in an original layout, or its parent; a folder with `train` and `test` (or `val`, `validation`)
            and a folder for each class in them; any other folder of images, nested or not.
        labels: ask a plain folder for labels, its first sub-folders' names; ask STL-10 to leave its unlabelled images
            out of training. The other kinds always have the labels that they have.
        test: another such source whose test part, or whose images where it has none, become the test set. Without
            it, a labelled source that has no test part gives a stratified fifth of its images, and an unlabelled one
            has no test set.
        size: pixels a side at which images are stored; None leaves it to the source (see `choice.store_side`).
        view: pixels a side of the views to be made, which helps to choose the store's side for photographs.
        decode: whether photographs are decoded "once", to a store, or "always", in every epoch anew, from files that
            then have to stay; "auto" takes a store where it pays (see `choice.choose`). Other sources are not asked.
        smallest_crop: the least share of an image's area that a view will show, which helps likewise.
        workers: threads that decode where it is done in every epoch; None takes as many as there are cores.
        seed: draws `scenes` and the held-out fifth.
        say: told in a sentence what was found.
        progress: told how many files of how many are decoded.

    Raises:
        InputError: there is nothing that can be read, or an argument is out of range.
    """
    for name, value in (("size", size), ("view", view)):
        if value is not None and value < 1:
            raise InputError(f"the {name} must be a positive number of pixels, not {value}; leave it out to choose it")
    if not 0 < smallest_crop <= 1:
        raise InputError(f"the smallest crop is a share of the image between 0 and 1, not {smallest_crop}")
    if workers is not None and workers < 1:
        raise InputError(f"{workers} threads can decode nothing; give one at least, or leave it out")
    wish = Wish(decode, size, view or VIEW, smallest_crop, workers)

    source = _open(spec, labels=labels, wish=wish, seed=seed, split=None if test else seed, say=say, progress=progress)
    if test is not None:
        pixels = source.train.pixels
        mode: Decode = "always" if isinstance(pixels, Photographs) else decode
        beside = replace(wish, size=size or pixels.shape[-1], decode=mode)
        other = _open(test, labels=labels, wish=beside, seed=seed, split=None, say=say, progress=progress)
        source = replace(source, test=_matched(source.train, other.test or other.train, test))
    say(_summary(source))
    _warn_of_one_class(source.train, say)
    return source


def _open(
    spec: str,
    *,
    labels: bool,
    wish: Wish,
    seed: int,
    split: int | None,
    say: Callable[[str], None],
    progress: Progress,
) -> Source:
    path = Path(spec).expanduser()
    kind, _, setting = spec.partition(":")
    if kind == "scenes" and not path.exists():
        return make_scenes(setting or "plain", wish.size, seed=seed)
    if path.is_file() and path.suffix.lower() in (".npy", ".npz"):
        return _resized(open_arrays(spec, path, split), wish.size)
    if path.is_file():
        raise InputError(f"{spec} is a file of an unknown kind; give a folder of images, or a .npy or .npz file")
    if not path.is_dir():
        raise InputError(f"there is no folder {spec}; give a folder of images, a .npy or .npz file, or scenes")
    if cifar := find_cifar(path):
        return _resized(cifar(spec), wish.size)
    if stl10 := find_stl10(path):
        return _resized(stl10(spec, labels), wish.size)
    return open_folder(spec, path, labels=labels, wish=wish, split=split, say=say, progress=progress)


def _resized(source: Source, size: int | None) -> Source:
    """A set of arrays at the side that is asked for, else at its own, squeezed if not square; `sizes` stays true."""
    height, width = source.train.pixels.shape[2:]
    side = size or round((height * width) ** 0.5)

    def resize(images: ImageSet) -> ImageSet:
        pixels = images.pixels
        if isinstance(pixels, Photographs) or pixels.shape[2:] == (side, side):
            return images
        small = [
            F.interpolate(chunk.float(), (side, side), mode="bicubic", antialias=True).round_().clamp_(0, 255).byte()
            for chunk in pixels.split(256)
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
    kept = "read from their files" if isinstance(train.pixels, Photographs) else f"stored at {height} x {width} pixels"
    return ", ".join([*parts, f"{known}, {kept}"])
