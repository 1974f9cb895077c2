"""The files of a run that decodes them in every epoch: which they are, and which of them cannot be read.

`files.npz` is kept so that the run can go on, and be evaluated, when some of its files are gone. It holds for each
part, "train" and "test", under PART.NAME:

root            of its files, relative to the source that the call names; a path, in bytes
names           below the root, each with a zero byte at its end
sizes           [N, 2] int32: upright heights and widths, pixels
labels          [N] int32, where it has any

and `classes`, JSON in bytes, and `looks` [n]: a hash of what each of n training images shows.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from pairlens.data.files import Skipped, printable
from pairlens.data.fingerprint import looks, sample, shown
from pairlens.data.images import ImageSet, Source
from pairlens.data.photographs import Photographs
from pairlens.errors import InputError
from pairlens.record.disk import write_arrays, writing
from pairlens.record.localised import UNREADABLE
from pairlens.record.run import Run, log_event

Say = Callable[[str], None]


def write_files(folder: Path, source: Source, call: Mapping[str, Any], seen: UInt8[Tensor, "n 3 H W"]) -> None:
    """Keep which files a source is made of, and what `shown` gave of it; of one with stored pixels nothing is kept.

    Raises:
        InputError: the disk is full, or the folder may not be written.
    """
    arrays: dict[str, np.ndarray] = {}
    for part, images in (("train", source.train), ("test", source.test)):
        if images is None:
            continue
        if not isinstance(images.pixels, Photographs):
            return
        root = os.path.relpath(os.path.realpath(images.pixels.root), _base(call, part))
        arrays[f"{part}.root"] = _packed(root)
        arrays[f"{part}.names"] = _packed("".join(f"{name}\0" for name in images.pixels.names))
        arrays[f"{part}.sizes"] = images.sizes.numpy().astype(np.int32)
        if images.labels is not None:
            arrays[f"{part}.labels"] = images.labels.numpy().astype(np.int32)
    arrays |= {"classes": _packed(json.dumps(source.train.classes)), "looks": looks(seen)}
    with writing(folder / "files.npz"):
        write_arrays(folder / "files.npz", arrays)


def read_files(run: Run, say: Say) -> Source | None:
    """The source as the run began with it, files that are gone included; None where it keeps none, or none readable.

    Raises:
        InputError: a folder of it or most of its files are gone, or they show something else now.
    """
    try:
        with np.load(run.folder / "files.npz", allow_pickle=False) as file:
            arrays = dict(file)
        roots = {part: _root(run, arrays, part) for part in ("train", "test") if f"{part}.root" in arrays}
        parts = {part: _part(run, arrays, part, root) for part, root in roots.items()}
        source, before = Source(run.call["source"], parts["train"], parts.get("test")), arrays["looks"]
    except UNREADABLE:
        return None
    for root in roots.values():
        if not os.path.isdir(root):
            raise InputError(
                f"there is no folder {root}, whose images the run {run.folder} began with; restore it or train anew"
            )
    _check(run, source.train, before, say)
    tests = f"{len(source.test):,} test images" if source.test else "no test set"
    say(f"{source.name}: {len(source.train):,} training images, {tests}, read from the files that the run began with")
    return source


def name_unreadable(folder: Path, *sets: ImageSet | None) -> list[Skipped]:
    """The files that could not be decoded since this was last asked; the run's log names each of them, once."""
    photographs = [images.pixels for images in sets if images and isinstance(images.pixels, Photographs)]
    found = [file for pixels in photographs for file in pixels.drain()]
    named = {event.get("text") for event in Run(folder).events} if found else set()
    for name, reason in found:
        if (text := f"{name}: {reason}; another image takes its place") not in named:
            log_event(folder, "unreadable", text)
    return found


def tell_unreadable(folder: Path, source: Source, say: Say) -> None:
    """Name the files of a source that could not be decoded meanwhile in the run's log, and tell of them if any."""
    if lost := name_unreadable(folder, source.train, source.test):
        say(unreadable_sentence(folder, lost))


def unreadable_sentence(folder: Path, files: Sequence[Skipped], count: int = 0, *, skipped: bool = False) -> str:
    """What is told of files that cannot be read, these among `count` of them, and where the log is that names them."""
    (name, reason), one = files[0], max(count, len(files)) == 1
    what = f"{name} cannot be read" if one else f"{max(count, len(files)):,} files cannot be read, such as {name}"
    fate = (
        ("it is skipped" if one else "they are skipped")
        if skipped
        else ("another image takes its place" if one else "other images take their places")
    )
    return f"{what} ({reason}): {fate}, and {folder / 'events.jsonl'} names {'it' if one else 'each'}"


def _root(run: Run, arrays: Mapping[str, np.ndarray], part: str) -> str:
    return os.path.normpath(os.path.join(_base(run.call, part), os.fsdecode(arrays[f"{part}.root"].tobytes())))


def _part(run: Run, arrays: Mapping[str, np.ndarray], part: str, root: str) -> ImageSet:
    names = os.fsdecode(arrays[f"{part}.names"].tobytes()).split("\0")[:-1]
    labels, sizes = arrays.get(f"{part}.labels"), torch.from_numpy(arrays[f"{part}.sizes"]).long()
    if sizes.shape != (len(names), 2) or not names:
        raise ValueError("these arrays do not fit together")
    return ImageSet(
        pixels=Photographs(root, names, run.info["data"]["side"], run.call["machine"]["workers"]),
        sizes=sizes,
        names=[printable(name) for name in names],
        labels=None if labels is None else torch.from_numpy(labels).long(),
        classes=tuple(json.loads(arrays["classes"].tobytes())),
    )


def _check(run: Run, train: ImageSet, before: np.ndarray, say: Say) -> None:
    """Refuse images that are not what they were; name those that are gone."""
    now = looks(shown(train))
    lost = name_unreadable(run.folder, train)
    gone = {name for name, _ in lost}
    seen = [train.names[i] for i in sample(len(train)).tolist()]
    other = [name for name, a, b in zip(seen, now, before, strict=True) if a != b and name not in gone]
    if other:
        raise InputError(
            f"{other[0]} in {run.call['source']} shows something else now than when the run {run.folder} began, or "
            "another decoder reads it; restore it or train anew"
        )
    if 2 * len(gone & set(seen)) > len(seen):
        raise InputError(
            f"most of the images in {run.call['source']} that the run {run.folder} began with can no longer be read, "
            f"such as {lost[0][0]} ({lost[0][1]}); restore them or train anew"
        )
    if lost:
        say(unreadable_sentence(run.folder, lost))


def _base(call: Mapping[str, Any], part: str) -> str:
    """The source that a part is of."""
    return call["test"] if part == "test" and call["test"] is not None else call["source"]


def _packed(text: str) -> UInt8[np.ndarray, "n"]:
    return np.frombuffer(os.fsencode(text), np.uint8)
