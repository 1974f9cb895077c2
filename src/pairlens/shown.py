"""Encoders as users name them, and the images that they are shown.

N images.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from pairlens.data.images import ImageSet, Source
from pairlens.data.photographs import Photographs
from pairlens.data.sources import open_source
from pairlens.errors import InputError
from pairlens.opened import Opened
from pairlens.record.run import Run
from pairlens.reopen import open_run_source
from pairlens.report.text import unique_names

CHUNK = 64
"""Images that are decoded at a time."""


def short_names(what: Sequence[str]) -> list[str]:
    """Runs and files by the end of their path, as much of it as tells them apart; libraries' networks as they are."""
    paths = {name: Path(name).expanduser() for name in what}
    there = [name for name in dict.fromkeys(what) if paths[name].exists()]
    short = dict(zip(there, unique_names([paths[name] for name in there]), strict=True))
    names = [short.get(name, name) for name in what]
    return [n if names.count(n) == 1 else f"{n} ({names[: i + 1].count(n)})" for i, n in enumerate(names)]


def check_seed(seed: int) -> None:
    """Refuse seeds of which no generator can be made.

    Raises:
        InputError: it is such a one.
    """
    if not 0 <= seed < 2**31:
        raise InputError(f"the seed must lie between 0 and {2**31 - 1}, not {seed}; any such number will do")


def open_images(
    opened: Sequence[Opened],
    on: str | None,
    *,
    labels: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Source:
    """The images that are named, or else those that the opened runs were trained on.

    Args:
        opened: the encoders.
        on: the images, as `open_source` takes them; None takes the runs' own.
        labels: read a plain folder's sub-folder names as labels, of images that are named.
        seed: draws what a source draws.
        say: told in a sentence what was found.
        progress: told how many files of how many are decoded.

    Raises:
        InputError: none are named and no run knows any, or runs differ in theirs, or they cannot be read.
    """
    if on is not None:
        view = max(one.size for one in opened)
        return open_source(on, labels=labels, view=view, seed=seed, say=say, progress=progress)
    runs = [one.run for one in opened if one.run is not None]
    if not runs:
        raise InputError(
            "these encoders do not say which images they are for; name some with --on (a folder of images, a data "
            "set's folder, a .npy or .npz file, or scenes)"
        )
    if len({_images(run) for run in runs}) > 1:
        sources = " and ".join(dict.fromkeys(str(run.call["source"]) for run in runs))
        raise InputError(f"the runs were trained on different images ({sources}); name some for all of them with --on")
    return open_run_source(runs[0], say, progress)


def copied(
    images: ImageSet, index: Int64[Tensor, "N"], progress: Callable[[int, int], None] = lambda done, total: None
) -> ImageSet:
    """Some images, their pixels in memory, for those that are looked at many times; without stylised copies."""
    rows = replace(images, styles=None).rows(index)
    if not isinstance(images.pixels, Photographs):
        return rows
    pixels = []
    for some in index.split(CHUNK):
        pixels.append(images.pixels[some])
        progress(sum(map(len, pixels)), len(index))
    return replace(rows, pixels=torch.cat(pixels))


def _images(run: Run) -> tuple[str, ...]:
    """What makes two runs' images the same."""
    data = run.info.get("data", {})
    return str(data.get("fingerprint") or run.call["source"]), str(data.get("side")), str(data.get("train"))
