"""What the map's script draws from: columns, maps, neighbours and thumbnails, in numbers as small as will do.

N images, K neighbours.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from plotly.colors import cyclical, sequential, unlabel_rgb

from pairlens.mapping.asked import Frame, Looking, Track
from pairlens.mapping.columns import Column, Kinds
from pairlens.mapping.sheet import Sheet
from pairlens.report.text import clean, shorten

RADIUS = 4000
"""Units of the drawn maps: the root mean square distance of points from their middle."""

LONGEST = 200
"""Characters of a name that are kept."""

KINDS = 24
"""Kinds with a look of their own; the rarest of more share one."""


@dataclass(frozen=True)
class Drawn:
    """An encoder's maps with what its points can be coloured by."""

    track: Track
    columns: Sequence[Column]


def payload(look: Looking, shared: Sequence[Column], drawn: Sequence[Drawn], sheet: Sheet) -> dict[str, Any]:
    """All of it, as JSON takes it."""
    images = look.images
    return {
        "names": [shorten(clean(name), LONGEST) for name in images.names],
        "index": look.asked.shown.tolist(),
        "labels": None if images.labels is None else images.labels.tolist(),
        "columns": [_column(one) for one in shared],
        "tracks": [_track(one) for one in drawn],
        "scale": _stops(sequential.Viridis),
        "cycle": _stops(cyclical.Twilight),
        "sheet": {"side": sheet.side, "columns": sheet.columns, "webp": sheet.text},
    }


def _track(one: Drawn) -> dict[str, Any]:
    track = one.track
    return {
        "name": clean(track.name),
        "columns": [_column(column) for column in one.columns],
        "k": track.last.near.index.shape[1],
        "frames": [_frame(frame) for frame in track.frames],
    }


def _frame(frame: Frame) -> dict[str, Any]:
    return {
        "title": frame.moment.title,
        "flat": frame.flat,
        "axes": _points(frame.axes),
        "tsne": None if frame.t_sne is None else _points(frame.t_sne),
        "explained": list(frame.explained),
        "near": _packed(frame.near.index.numpy(), "<u2"),
        "cosine": _packed((frame.near.cosine.numpy().clip(-1, 1) + 1) / 2 * 65535, "<u2"),
    }


def _column(column: Column) -> dict[str, Any]:
    about = {"name": clean(column.name), "words": column.words}
    if isinstance(column, Kinds):
        codes, names = _common(column)
        return about | {"kinds": names, "codes": _packed(codes, "<i2")}
    numbers = {"values": _packed(column.values, "<f4"), "unit": column.unit, "cyclic": column.cyclic}
    return about | numbers


def _common(column: Kinds) -> tuple[np.ndarray, list[str]]:
    """Codes and names of the kinds that are there; where they are many, the most frequent and one for all others."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.names))
    there = counts.nonzero()[0]
    others: list[str] = []
    if len(there) > KINDS:
        kept = np.sort(there[np.argsort(-counts[there], kind="stable")[: KINDS - 1]])
        others = [f"{len(there) - len(kept)} others"]
        there = kept
    place = np.full(len(column.names) + 1, len(there) if others else -1)
    place[there] = np.arange(len(there))
    place[-1] = -1  # of images that have none
    return place[column.codes], [*(shorten(clean(column.names[i]), 60) for i in there), *others]


def _points(points: Float[np.ndarray, "N 2"]) -> str:
    """A map about its middle, at one size."""
    centred = points - points.mean(0)
    radius = float(np.sqrt(np.square(centred).sum(1).mean()))
    return _packed((centred * (RADIUS / radius if radius > 0 else 0)).clip(-32767, 32767), "<i2")


def _packed(values: np.ndarray, kind: str) -> str:
    """Numbers as bytes in base64."""
    whole = values if kind.endswith("f4") else np.rint(values)
    return base64.b64encode(np.ascontiguousarray(whole.astype(kind)).tobytes()).decode()


def _stops(colours: Sequence[str]) -> list[list[float]]:
    """A scale's colours as red, green and blue from 0 to 255."""

    def rgb(colour: str) -> list[float]:
        if colour.startswith("#"):
            return [float(int(colour[i : i + 2], 16)) for i in (1, 3, 5)]
        return [float(part) for part in unlabel_rgb(colour)]

    return [rgb(colour) for colour in colours]
