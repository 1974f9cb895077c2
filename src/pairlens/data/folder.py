"""Folders of image files: nested, of any mix of formats; labels from sub-folders where that is asked or plain.

N images of one part, n files of a sample, S pixels of the stored side.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, Integer, UInt8
from torch import Tensor

from pairlens.data.choice import Wish, choose
from pairlens.data.decode import Decoded, Unreadable, decode_all, peek_sizes, read_size
from pairlens.data.files import Files, Say, is_image_name, list_files, printable, walk
from pairlens.data.images import ImageSet, Source
from pairlens.data.parallel import READERS, Progress, cores, each
from pairlens.data.photographs import Photographs
from pairlens.data.split import hold_out
from pairlens.data.store import cache_key, is_kept, keep, remember
from pairlens.errors import InputError

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "validation", "valid")  # the first that is there is the test part
SAMPLE = 200  # files whose headers are read to learn the images' sizes


def open_folder(
    name: str,
    root: Path,
    *,
    labels: bool,
    wish: Wish,
    split: int | None,
    say: Say,
    progress: Progress,
) -> Source:
    """Open a folder of images, or one with `train` and `test` (or `val`, `validation`) below it.

    The first folder below a part's root names the class: always if all files of both parts lie in one, in a single
    folder only if `labels`; there `train` or `test` is a part too, if it alone has folders in it. Images in no class
    folder have the label -1. A labelled folder without a test part gives a stratified fifth for it, drawn by the seed
    `split`; None keeps all images together. Both parts are decoded once, or both anew in every epoch.

    Raises:
        InputError: no image file is there, none can be decoded, or labels were asked and cannot be had.
    """
    folders = {name.lower(): root / name for name, folder in _entries(root) if folder}
    train_root, test_root = (next((folders[n] for n in names if n in folders), None) for names in (TRAIN, TEST))
    if train_root and test_root:
        _say_left_out(root, [train_root, test_root], say)
        train, test = list_files(train_root, say), list_files(test_root, say)
        if labels or (_in_classes(train) and _in_classes(test)):
            train, test = _labelled(train, say), _labelled(test, say)
        else:
            say(f"{root} has images outside class folders, so its images have no labels")
    else:
        train, test = list_files(root, say), None
        if labels:
            if part := _only_part(train, train_root or test_root):
                _say_left_out(root, [part], say)
                train = list_files(part, say)
            train = _labelled(train, say)
            if split is not None:
                train, test = _divided(train, split)
    parts = [part for part in (train, test) if part]
    choice = choose(wish, _some_sizes(train, wish.view), sum(map(len, parts)), lambda side: _are_kept(parts, side, say))
    if choice.sentence:
        say(choice.sentence)
    classes = tuple(sorted(set(train.classes or ()) - {""}))
    sets = [
        _decode(part, choice.side, classes, progress, say)
        if choice.once
        else _look(part, choice.side, classes, progress, say, wish.workers)
        for part in parts
    ]
    return Source(name, *sets)


def _entries(root: Path) -> list[tuple[str, bool]]:
    """What lies in a folder, sorted, and whether it is a folder itself."""
    with os.scandir(root) as entries:
        return sorted((entry.name, entry.is_dir()) for entry in entries)


def _only_part(files: Files, part: Path | None) -> Path | None:
    """The folder `train` or `test`, if it is a part of the set rather than a class: it alone has folders in it."""
    deep = {name.split("/", 1)[0] for name in files.names if name.count("/") > 1}
    return part if part and deep == {part.name} else None


def _say_left_out(root: Path, parts: list[Path], say: Say) -> None:
    """Tell of images that lie beside the parts and are therefore not read."""
    read = [part.name for part in parts]
    beside = [(name, folder) for name, folder in _entries(root) if not name.startswith(".") and name not in read]
    counts = {f"{name}/": sum(1 for _ in walk(root / name, [])) for name, folder in beside if folder}
    counts["files"] = sum(not folder and is_image_name(name) for name, folder in beside)
    found = [f"{printable(name)} ({count:,} images)" for name, count in counts.items() if count]
    if found:
        verb = "is" if len(parts) == 1 else "are"
        say(f"only {' and '.join(read)} of {root} {verb} read; left out: {', '.join(found)}")


def _in_classes(files: Files) -> bool:
    return all("/" in name for name in files.names)


def _labelled(files: Files, say: Say) -> Files:
    stray = [name for name in files.names if "/" not in name]
    if len(stray) == len(files.names):
        raise InputError(
            f"{files.root / stray[0]} lies in no class folder, so it has no label, nor does any other image of "
            f"{files.root}; make a folder for each class, or do not ask for labels"
        )
    if stray:
        say(
            f"{len(stray):,} of the images in {files.root} lie in no class folder ({printable(stray[0])}): "
            "they have no label, and are trained on but not evaluated on"
        )
    folders: dict[str, str] = {}  # each class's name once in memory
    found = (name.rpartition("/")[0].split("/", 1)[0] for name in files.names)
    return replace(files, classes=[folders.setdefault(name, name) for name in found])


def _divided(files: Files, seed: int) -> tuple[Files, Files]:
    order = {name: i for i, name in enumerate(sorted(set(files.classes or ()) - {""}))}
    train, test = hold_out(torch.tensor([order.get(name, -1) for name in files.classes or ()]), seed)
    if len(test) == 0:
        raise InputError(f"{files.root} has one image a class, too few to hold out a test part; give one with test=")
    return files.take(train.tolist()), files.take(test.tolist())


def _some_sizes(files: Files, view: int) -> Integer[Tensor, "n 2"]:
    rows = np.linspace(0, len(files) - 1, min(SAMPLE, len(files))).astype(int)
    sizes = peek_sizes(files.root / files.names[i] for i in rows)
    return torch.tensor(sizes or [(view, view)])


def _are_kept(parts: list[Files], side: int, say: Say) -> bool:
    return all(is_kept(cache_key(part.stamps(say), side)) for part in parts)


def _decode(files: Files, side: int, classes: tuple[str, ...], progress: Progress, say: Say) -> ImageSet:
    """Decode a part's files to one store; what cannot be read is listed."""
    paths = [os.path.join(files.root, name) for name in files.names]

    def fill(facts: dict[str, Any]) -> Iterator[np.ndarray]:
        facts |= {"sizes": [], "skipped": []}
        for row, result in enumerate(decode_all(paths, side, progress)):
            if isinstance(result, Decoded):
                facts["sizes"].append(result.size)
                yield result.pixels
            else:
                facts["skipped"].append((row, result.reason))

    pixels, facts = keep(fill, len(files), side, cache_key(files.stamps(say), side))
    kept = _without(files, dict(facts["skipped"]))
    return _image_set(kept, pixels, torch.tensor(facts["sizes"]), classes)


def _look(
    files: Files, side: int, classes: tuple[str, ...], progress: Progress, say: Say, workers: int | None
) -> ImageSet:
    """Read the sizes of a part's files, which are decoded when they are asked for; files without one are listed."""

    def read() -> dict[str, np.ndarray]:
        threads = max(READERS, cores())
        found = list(each(lambda name: read_size(files.root / name), files.names, progress, threads))
        bad = {row: size.reason for row, size in enumerate(found) if isinstance(size, Unreadable)}
        sizes = [size for size in found if not isinstance(size, Unreadable)]
        return {"sizes": np.array(sizes), "rows": np.array([*bad]), "reasons": np.array([*bad.values()], str)}

    facts = remember(read, cache_key(files.stamps(say), "sizes"))
    kept = _without(files, dict(zip(facts["rows"].tolist(), facts["reasons"].tolist(), strict=True)))
    pixels = Photographs(files.root, kept.names, side, workers)
    return _image_set(kept, pixels, torch.from_numpy(facts["sizes"]), classes)


def _without(files: Files, bad: dict[int, str]) -> Files:
    """The files that can be read; the others, by row with their reasons, are added to what is skipped.

    Raises:
        InputError: none can be read.
    """
    skipped = [(printable(files.names[row]), reason) for row, reason in bad.items()]
    if len(skipped) == len(files):
        raise InputError(
            f"none of the {len(skipped)} image files in {files.root} can be decoded; the first, {skipped[0][0]}: "
            f"{skipped[0][1]}; give a folder of readable images"
        )
    kept = files.take([row for row in range(len(files)) if row not in bad]) if bad else files
    return replace(kept, skipped=(*files.skipped, *skipped))


def _image_set(
    files: Files,
    pixels: UInt8[Tensor, "N 3 S S"] | Photographs,
    sizes: Int64[Tensor, "N 2"],
    classes: tuple[str, ...],
) -> ImageSet:
    return ImageSet(
        pixels=pixels,
        sizes=sizes,
        names=[printable(name) for name in files.names],
        labels=_numbers(files, classes),
        classes=classes,
        skipped=files.skipped,
    )


def _numbers(files: Files, classes: tuple[str, ...]) -> torch.Tensor | None:
    if files.classes is None:
        return None
    unknown = sorted(set(files.classes) - set(classes) - {""})
    if unknown:
        raise InputError(
            f"{files.root} holds the class {printable(unknown[0])}, which the training images lack; "
            "use the same class folders in both"
        )
    order = {name: i for i, name in enumerate(classes)}
    return torch.tensor([order.get(name, -1) for name in files.classes])
