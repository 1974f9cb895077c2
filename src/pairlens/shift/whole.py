"""Measuring label shift: some draws of images and views for each encoder, and a picture of the first.

N images, D features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pairlens.data.images import Source
from pairlens.errors import InputError
from pairlens.evaluate.embedding import t_sne
from pairlens.evaluate.features import encode
from pairlens.evaluate.label_shift import Chosen, Separation, augmented, choose, separation, strengths
from pairlens.intervals import Estimate, interval
from pairlens.opened import Opened
from pairlens.report.text import percent

MEASURES = tuple(field.name for field in fields(Separation))


@dataclass(frozen=True)
class Asked:
    """What is to be measured."""

    source: Source
    classes: int = 10
    each: int = 64  # images of a class
    draws: int = 5  # of images and views
    seed: int = 0
    space: str | None = None  # whose head's output is looked at; None: the encoder's features
    weak_crop: tuple[float, float] = (0.08, 1.0)
    strong_crop: tuple[float, float] = (0.2, 1.0)


@dataclass(frozen=True)
class Shift:
    """One encoder's label shift."""

    name: str
    chosen: Chosen  # of the first draw
    names: tuple[str, ...]  # of its images
    measured: Mapping[str, Sequence[Separation]]  # by strength, one a draw
    points: Mapping[str, np.ndarray] | None  # [N, 2] by strength, of the first draw; None without scikit-learn

    def estimate(self, strength: str, measure: str) -> Estimate:
        """Mean and 95 % interval over the draws."""
        return interval([getattr(one, measure) for one in self.measured[strength]])


def measure_shift(
    opened: Opened,
    name: str,
    asked: Asked,
    *,
    points: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Shift:
    """Measure one encoder; all encoders with the same arguments see the same images, cut by the same numbers.

    `progress` is told how many draws and pictures of how many are done.

    Raises:
        InputError: there are no labels, too few images, no such space, or nothing to draw.
    """
    images = asked.source.train if asked.source.test is None else asked.source.test
    if asked.draws < 1:
        raise InputError(f"{asked.draws} draws measure nothing; give 1 at least")
    look = _look(opened, name, asked.space)
    levels = strengths(opened.size, asked.weak_crop, asked.strong_crop)
    measured: dict[str, list[Separation]] = {level: [] for level in levels}
    first: tuple[Chosen, dict[str, Tensor]] | None = None
    total = asked.draws + len(levels) * points
    for draw in range(asked.draws):
        generator = torch.Generator().manual_seed((asked.seed << 20) + draw)
        chosen = choose(images, asked.classes, asked.each, generator, of=asked.seed)
        seen = {
            level: augmented(look, images, chosen.index, one, opened.size, opened.mean, opened.std, generator)
            for level, one in levels.items()
        }
        for level, features in seen.items():
            measured[level].append(separation(features, chosen.labels, seen["none"]))
        first = first or (chosen, seen)
        progress(draw + 1, total)
    assert first is not None
    placed: dict[str, np.ndarray] | None = {} if points else None
    for done, (level, features) in enumerate(first[1].items()):
        if placed is not None:
            placed[level] = t_sne(features, asked.seed)
            progress(asked.draws + done + 1, total)
    names = tuple(images.names[i] for i in first[0].index.tolist())
    return Shift(name, first[0], names, measured, placed)


def sentences(found: Sequence[Shift]) -> list[str]:
    """The findings, in plain words."""
    said = []
    for one in found:
        moved = {level: _share(one.estimate(level, "moved")) for level in ("weak", "strong")}
        there, then = (percent(one.estimate(level, "elsewhere").mean, 0) for level in ("none", "strong"))
        said.append(
            f"{one.name}: strong augmentation moves {moved['strong']} of the images nearer to another class, weak "
            f"{moved['weak']}; {there} lie nearer to another class as they are, "
            f"{then} under strong augmentation."
        )
    return said


def record(asked: Asked, found: Sequence[Shift]) -> dict[str, Any]:
    """What was asked for, and all figures, for JSON."""
    return {
        "source": asked.source.name,
        "arguments": {field.name: getattr(asked, field.name) for field in fields(Asked) if field.name != "source"},
        "classes": list(found[0].chosen.classes),
        "encoders": [
            {
                "name": one.name,
                "figures": {
                    level: {measure: asdict(one.estimate(level, measure)) for measure in MEASURES}
                    for level in one.measured
                },
            }
            for one in found
        ],
    }


def _share(value: Estimate) -> str:
    half = "" if value.half is None else f" \u00b1 {100 * value.half:.0f}"
    return f"{100 * value.mean:.0f}{half}\u00a0%"


def _look(opened: Opened, name: str, space: str | None) -> Callable[[Tensor], Tensor]:
    """The encoder's features, or what the head of a space makes of them."""
    if space is None:
        return lambda views: encode(opened.encoder, views, opened.place.precision)
    if space not in opened.heads:
        there = f"use one of {', '.join(opened.heads)}" if opened.heads else "it has no head; leave --space out"
        raise InputError(f"{name} has no space {space!r}; {there}")
    head = opened.heads[space]

    @torch.no_grad()
    def look(views: Tensor) -> Tensor:
        return head(encode(opened.encoder, views, opened.place.precision)).float()

    return look
