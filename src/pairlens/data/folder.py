"""Folders of image files: nested, of any mix of formats; labels from sub-folders where that is asked or plain.

N images of one part.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pairlens.data.decode import EXTENSIONS, Decoded, Progress, decode_all, memory, peek_sizes, store_side
from pairlens.data.images import ImageSet, Source
from pairlens.data.split import hold_out
from pairlens.data.store import cache_key, keep
from pairlens.errors import InputError

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "validation", "valid")  # the first that is there is the test part
VIEW = 64  # pixels; the view that the store's side is chosen for where nobody says
SAMPLE = 200  # files whose headers are read to learn the images' sizes


@dataclass(frozen=True)
class Files:
    """The image files of one part, sorted, and what their folders call them."""

    root: Path
    names: list[str]  # below the root, with forward slashes
    classes: list[str] | None = None  # each file's class; "" where it lies in no class folder

    def take(self, rows: list[int]) -> "Files":
        """Some of the files."""
        return Files(self.root, [self.names[i] for i in rows], self.classes and [self.classes[i] for i in rows])


def open_folder(
    name: str,
    root: Path,
    *,
    labels: bool,
    size: int | None,
    view: int | None,
    split: int | None,
    say: Callable[[str], None],
    progress: Progress,
) -> Source:
    """Open a folder of images, or one with `train` and `test` (or `val`, `validation`) below it.

    The first folder below a part's root names the class: always if all files of both parts lie in one, in a single
    folder only if `labels`; there `train` or `test` is a part too, if it alone has folders in it. Images in no class
    folder have the label -1. A labelled folder without a test part gives a stratified fifth for it, drawn by the seed
    `split`; None keeps all images together.

    Raises:
        InputError: no image file is there, none can be decoded, or labels were asked and cannot be had.
    """
    train_root, test_root = _part(root, TRAIN), _part(root, TEST)
    if train_root and test_root:
        _say_left_out(root, [train_root, test_root], say)
        train, test = _list(train_root), _list(test_root)
        if labels or (_in_classes(train) and _in_classes(test)):
            train, test = _labelled(train, say), _labelled(test, say)
        else:
            say(f"{root} has images outside class folders, so its images have no labels")
    else:
        train, test = _list(root), None
        if labels:
            if part := _only_part(train, train_root or test_root):
                _say_left_out(root, [part], say)
                train = _list(part)
            train = _labelled(train, say)
            if split is not None:
                train, test = _divided(train, split)
    side = size or _choose_side(train, view or VIEW)
    classes = tuple(sorted(set(train.classes or ()) - {""}))
    first = _decode(train, side, classes, progress)
    return Source(name, first, _decode(test, side, classes, progress) if test else None)


def _part(root: Path, wanted: tuple[str, ...]) -> Path | None:
    found = {entry.name.lower(): entry for entry in sorted(root.iterdir()) if entry.is_dir()}
    return next((found[name] for name in wanted if name in found), None)


def _list(root: Path) -> Files:
    """All image files below a folder, sorted; hidden ones and other kinds of files are passed over."""
    names = sorted(_walk(root))
    if not names:
        raise InputError(f"{root} holds no image files; give a folder with images such as .jpg or .png in it")
    return Files(root, names)


def _walk(root: Path) -> Iterator[str]:
    seen = set()
    for place, folders, files in os.walk(root, followlinks=True):
        true_place = os.path.realpath(place)
        if true_place in seen:  # a link back to a folder that was visited
            folders.clear()
            continue
        seen.add(true_place)
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for file in files:
            if not file.startswith(".") and os.path.splitext(file)[1].lower() in EXTENSIONS:
                yield Path(place, file).relative_to(root).as_posix()


def _only_part(files: Files, part: Path | None) -> Path | None:
    """The folder `train` or `test`, if it is a part of the set rather than a class: it alone has folders in it."""
    deep = {name.split("/", 1)[0] for name in files.names if name.count("/") > 1}
    return part if part and deep == {part.name} else None


def _say_left_out(root: Path, parts: list[Path], say: Callable[[str], None]) -> None:
    """Tell of images that lie beside the parts and are therefore not read."""
    beside = [entry for entry in sorted(root.iterdir()) if not entry.name.startswith(".") and entry not in parts]
    counts = {f"{entry.name}/": sum(1 for _ in _walk(entry)) for entry in beside if entry.is_dir()}
    counts["files"] = sum(entry.is_file() and entry.suffix.lower() in EXTENSIONS for entry in beside)
    found = [f"{_printable(name)} ({count:,} images)" for name, count in counts.items() if count]
    if found:
        read = " and ".join(part.name for part in parts)
        say(f"only {read} of {root} {'is' if len(parts) == 1 else 'are'} read; left out: {', '.join(found)}")


def _in_classes(files: Files) -> bool:
    return all("/" in name for name in files.names)


def _labelled(files: Files, say: Callable[[str], None]) -> Files:
    stray = [name for name in files.names if "/" not in name]
    if len(stray) == len(files.names):
        raise InputError(
            f"{files.root / stray[0]} lies in no class folder, so it has no label, nor does any other image of "
            f"{files.root}; make a folder for each class, or do not ask for labels"
        )
    if stray:
        say(
            f"{len(stray):,} of the images in {files.root} lie in no class folder ({_printable(stray[0])}): "
            "they have no label, and are trained on but not evaluated on"
        )
    return Files(files.root, files.names, [name.rpartition("/")[0].split("/", 1)[0] for name in files.names])


def _divided(files: Files, seed: int) -> tuple[Files, Files]:
    order = {name: i for i, name in enumerate(sorted(set(files.classes or ()) - {""}))}
    train, test = hold_out(torch.tensor([order.get(name, -1) for name in files.classes or ()]), seed)
    if len(test) == 0:
        raise InputError(f"{files.root} has one image a class, too few to hold out a test part; give one with test=")
    return files.take(train.tolist()), files.take(test.tolist())


def _choose_side(files: Files, view: int) -> int:
    rows = np.linspace(0, len(files.names) - 1, min(SAMPLE, len(files.names))).astype(int)
    sizes = peek_sizes(files.root / files.names[i] for i in rows)
    return store_side(torch.tensor(sizes or [(view, view)]), len(files.names), view, memory())


def _decode(files: Files, side: int, classes: tuple[str, ...], progress: Progress) -> ImageSet:
    """Decode a part's files to one store; what cannot be read is listed."""
    paths = [files.root / name for name in files.names]

    def fill(facts: dict[str, Any]) -> Iterator[np.ndarray]:
        facts |= {"sizes": [], "skipped": []}
        for row, result in enumerate(decode_all(paths, side, progress)):
            if isinstance(result, Decoded):
                facts["sizes"].append(result.size)
                yield result.pixels
            else:
                facts["skipped"].append((row, result.reason))

    stats = (path.stat() if path.exists() else None for path in paths)
    stamps = ((n, s.st_size, s.st_mtime_ns) if s else (n, 0, 0) for n, s in zip(files.names, stats, strict=True))
    pixels, facts = keep(fill, len(paths), side, cache_key(stamps, side))
    skipped = tuple((_printable(files.names[row]), reason) for row, reason in facts["skipped"])
    if len(pixels) == 0:
        raise InputError(
            f"none of the {len(skipped)} image files in {files.root} can be decoded; the first, {skipped[0][0]}: "
            f"{skipped[0][1]}; give a folder of readable images"
        )
    missing = {row for row, _ in facts["skipped"]}
    kept = files.take([row for row in range(len(paths)) if row not in missing])
    return ImageSet(
        pixels=pixels,
        sizes=torch.tensor(facts["sizes"]),
        names=[_printable(name) for name in kept.names],
        labels=_numbers(kept, classes),
        classes=classes,
        skipped=skipped,
    )


def _numbers(files: Files, classes: tuple[str, ...]) -> torch.Tensor | None:
    if files.classes is None:
        return None
    unknown = sorted(set(files.classes) - set(classes) - {""})
    if unknown:
        raise InputError(
            f"{files.root} holds the class {_printable(unknown[0])}, which the training images lack; "
            "use the same class folders in both"
        )
    order = {name: i for i, name in enumerate(classes)}
    return torch.tensor([order.get(name, -1) for name in files.classes])


def _printable(name: str) -> str:
    """A file name that any JSON or HTML can hold: bytes that are no UTF-8 become replacement characters."""
    return os.fsencode(name).decode("utf-8", "replace")
