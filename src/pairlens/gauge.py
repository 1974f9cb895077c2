"""How good the features are while they are trained, measured without labels on views that are not trained on.

n images with q views each, D features.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pairlens.draw import Draw
from pairlens.evaluate.features import evaluating
from pairlens.evaluate.spectrum import columns, measure
from pairlens.methods.crossed import GLOBAL
from pairlens.record.table import Table, rows_before
from pairlens.train import Training, ask, render_views

IMAGES = 256
"""n: images that are looked at, evenly spaced over the set; all of a smaller one."""

VIEWS = 4
"""q: of each; LiDAR asks for more than two."""

LOOKS = (4, 20)
"""Looks in the course of a training: at least, where there are so many steps; at most."""

SHARE = 0.005
"""Of the work of a training that the looks may take, counted in images that are encoded."""

SEED = 20_23
"""Of the views; every look draws the same ones."""


def looks(steps: int, batch: int, images: int) -> frozenset[int]:
    """After which steps there is a look: evenly spaced, the last after the last step.

    A step encodes two views an image and goes back through both, which is worth about six encodings an image; a look
    encodes `VIEWS` of each of its images. There are as many looks as `SHARE` of the training allows, within `LOOKS`.
    """
    if steps < 1:
        return frozenset()
    allowed = int(SHARE * 6 * steps * batch / (VIEWS * min(images, IMAGES)))
    count = min(max(allowed, LOOKS[0]), LOOKS[1], steps)
    return frozenset(round(steps * (i + 1) / count) for i in range(count))


class Gauge:
    """A hook that measures the features of held-out views after some steps, and keeps a row of each in `quality.npy`.

    The steps are `looks` and those in `also`: of checkpoints that stay, so that the best of them can be told.

    The views are drawn by the training's own plan from a generator of the gauge's own, the same ones each time (about
    the boxes of the moment, where crops fall on boxes). The encoder sees them in eval mode. Nothing of the training is
    drawn from or changed.
    """

    def __init__(self, folder: Path, t: Training, spaces: Sequence[str], also: Collection[int] = ()) -> None:
        self.groups = ("h", *[space for space in spaces if space in t.method.online.heads])
        names = [
            ("step", "<i8"),
            ("epoch", "<f4"),
            ("seconds", "<f4"),
            *[(name, "<f4") for name in columns(self.groups)],
        ]
        path = folder / "quality.npy"
        self.table = Table(path, np.dtype(names), rows_before(path, t.step + 1))
        self.at = looks(t.steps, t.order.batch, len(t.sizes)).union(also)

    def __call__(self, t: Training) -> None:
        """Look, if it is time."""
        if t.step not in self.at:
            return
        began = time.perf_counter()
        found = quality(t)
        row = np.zeros(1, self.table.dtype)
        row["step"], row["epoch"] = t.step, t.step / len(t.order)
        for group in self.groups:
            for name, value in found[group].items():
                row[f"{group}.{name}"] = value
        row["seconds"] = time.perf_counter() - began
        self.table.append(row)


def quality(t: Training) -> Mapping[str, Mapping[str, float]]:
    """What `evaluate.spectrum` measures of a training's features now: "h" for the encoder's, and each space's."""
    return {group: measure(features) for group, features in held_out(t).items()}


def held_out(t: Training) -> dict[str, Float[Tensor, "n q D"]]:
    """Features of views that are not trained on: of the encoder ("h"), and what each head makes of them, by space."""
    index = torch.linspace(0, len(t.sizes) - 1, min(IMAGES, len(t.sizes))).long()
    views = torch.Generator().manual_seed(SEED)
    features = torch.Generator(t.features.device).manual_seed(SEED)
    found: dict[str, list[Tensor]] = {}
    branch = t.method.online
    while len(found.get("h", ())) < VIEWS:
        draw = Draw(index, t.sizes[index], t.step // len(t.order), t.step, views, features)
        drawn = t.method.plan(draw)
        params = {name: drawn[name] for name in GLOBAL if name in drawn}  # a plan may draw one view of an image
        pixels = ask(t.loader, index, params, t.size)()
        with evaluating(branch):
            for images in render_views(t, params, pixels).values():
                h = branch.encode(images)
                found.setdefault("h", []).append(h.float())
                with branch.autocast(images.device):
                    for space, head in branch.heads.items():
                        found.setdefault(space, []).append(head(h).float())
    return {group: torch.stack(parts, 1) for group, parts in found.items()}
