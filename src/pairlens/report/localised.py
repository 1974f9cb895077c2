"""What a run tells about its boxes, read for the report: what was asked for, and each file of a refresh.

N images of the set, E of them as examples, H x W stored pixels, h x w positions of a heat map.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from pairlens.record.localised import UNREADABLE
from pairlens.record.run import Run
from pairlens.views.boxes import Boxes, Refresh, useless

KINDS = ("found", "central", "whole", "known")
ANYWHERE = "This run's crops fall anywhere in their images; `--boxes found` keeps them about the objects."
BROKEN = "The boxes that were found cannot be read: the files in boxes/ are damaged."


@dataclass(frozen=True)
class Examples:
    """Images that stand for the set."""

    index: tuple[int, ...]
    pixels: UInt8[np.ndarray, "E 3 H W"]  # as they are stored
    sizes: Int[np.ndarray, "E 2"]  # height and width of the originals, pixels


@dataclass(frozen=True)
class Found:
    """One refresh of the boxes."""

    refresh: Refresh
    examples: Examples
    boxes: Float[np.ndarray, "E 4"]  # of the examples
    heat: Float[np.ndarray, "E h w"]
    seconds: float  # that it took
    warning: str | None  # if most of the boxes of the set say next to nothing


def arguments(run: Run) -> Mapping[str, Any]:
    """The resolved arguments of the call; empty where a run has none."""
    given = run.call.get("arguments")
    return given if isinstance(given, dict) else {}


def kind(run: Run) -> str | None:
    """Which boxes the run was told to use, one of `KINDS`; None for crops that fall anywhere."""
    given = arguments(run).get("boxes")
    return given if isinstance(given, str) and given in KINDS else None


def none_found(run: Run) -> str:
    """Why a run that finds boxes has kept none."""
    if run.call.get("record") is False:
        return "Nothing was recorded of this run, and so not its boxes."
    start = arguments(run).get("box_start")
    due = f": the first are due after epoch {start}" if isinstance(start, int) else ""
    return f"No boxes have been found yet{due}, so crops still fall anywhere."


def box_files(run: Run) -> list[Path]:
    """The file of each refresh, oldest first."""
    return run.box_files()


def refresh_steps(run: Run) -> tuple[int, ...]:
    """Steps after which boxes were found, in order; no file is opened."""
    return tuple(int(path.stem) for path in box_files(run))


def read_found(path: Path) -> Found | None:
    """One refresh; None where its file is damaged."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        table = torch.from_numpy(arrays["boxes"].astype(np.float32))
        index, heat = arrays["index"], arrays["heat"].astype(np.float32)
        _check(arrays, heat)
        boxes = Boxes.unknown(len(table))
        refresh = boxes.refresh(table, int(arrays["step"]), int(arrays["epoch"]), float(arrays["k"]))
        examples = Examples(tuple(index.tolist()), arrays["images"], arrays["sizes"])
        return Found(refresh, examples, table.numpy()[index], heat, float(arrays["seconds"]), useless(boxes))
    except UNREADABLE:
        return None


def read_seconds(path: Path) -> float:
    """How long a refresh took; NaN where its file is damaged."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return float(file["seconds"])
    except UNREADABLE:
        return float("nan")


def _check(arrays: Mapping[str, np.ndarray], heat: np.ndarray) -> None:
    """Refuse arrays that do not fit together."""
    images, sizes, index, table = (arrays[key] for key in ("images", "sizes", "index", "boxes"))
    count = len(index)
    fits = images.ndim == 4 and images.shape[:2] == (count, 3) and images.dtype == np.uint8 and images.size > 0
    fits = fits and sizes.shape == (count, 2) and sizes.dtype.kind == "i" and heat.ndim == 3 and len(heat) == count
    fits = fits and bool((sizes > 0).all()) and heat.size > 0 and table.shape[1:] == (4,) and count > 0
    if not fits or index.min() < 0 or index.max() >= len(table):
        raise ValueError("these arrays are not of one refresh")
