"""Measuring an embedding map: features at every moment, their maps, neighbours, clusters, outliers and duplicates.

N images of the map, M images that are searched (the N first), D features.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pairlens.data.images import ImageSet
from pairlens.data.photographs import Photographs
from pairlens.errors import InputError
from pairlens.evaluate import clusters
from pairlens.evaluate.embedding import COMPONENTS, aligned, can_draw, collapsed, principal, t_sne
from pairlens.evaluate.features import extract
from pairlens.evaluate.vicinity import Duplicates, Nearest, agree, duplicates, mean_cosine, nearest, shared
from pairlens.mapping.asked import COUNTED, Advance, Frame, Looking, Track
from pairlens.mapping.moments import Moment
from pairlens.opened import Opened
from pairlens.record.parts import digest_of
from pairlens.words import duration


def measure(opened: Opened, name: str, found: Sequence[Moment], look: Looking, beside: Track | None = None) -> Track:
    """All maps of one encoder; where there is another encoder's, `beside`, they are turned until they lie as those do.

    Raises:
        InputError: features are not finite.
    """
    keys, features, more = _features(opened, name, found, look)
    frames = _frames(found, features, look)
    frames = _kept(_along_axes(frames, None if beside is None else beside.last.axes))
    maps = _t_snes(name, keys, features, frames, look, None if beside is None else beside.frames[0].t_sne)
    frames = [replace(frame, t_sne=points) for frame, points in zip(frames, maps, strict=True)]
    every = torch.cat([features[-1], more])
    near = nearest(every, COUNTED, lambda done, total: look.advance(f"comparing images of {name}", done, total, ""))
    flat = frames[-1].flat
    alike = Duplicates(torch.empty(0, 2).long(), torch.empty(0), 2.0, 0) if flat else duplicates(every, near)
    made = _clusters(features[-1], look) if can_draw() else None
    return Track(name, opened, tuple(frames), made, near, alike, every, tuple(keys))


def _features(
    opened: Opened, name: str, found: Sequence[Moment], look: Looking
) -> tuple[list[str], list[Float[Tensor, "N D"]], Float[Tensor, "_ D"]]:
    """Unit features of the map's images at every moment, with their keys, and of the further ones at the last."""
    further = look.asked.searched[len(look.images) :]
    tell = _Rate(look.advance, f"encoding with {name}", len(found) * len(look.images) + len(further), "image")
    keys, made = [], []
    for moment in found:
        encoder = moment.load()
        key = digest_of(look.mark + repr((opened.size, opened.place.precision)), {**encoder.state_dict()})[:20]
        keys.append(key)
        made.append(_extract(encoder, key, moment.title, opened, look.images, None, look, tell))
    key = f"{keys[-1]}more"
    more = made[-1][:0]
    if len(further):
        train = look.asked.source.train
        more = _extract(opened.encoder, key, found[-1].title, opened, train, further, look, tell)
    return keys, made, more


def _extract(
    encoder: nn.Module,
    key: str,
    title: str,
    opened: Opened,
    images: ImageSet,
    index: Int64[Tensor, "_"] | None,
    look: Looking,
    tell: "_Rate",
) -> Float[Tensor, "_ D"]:
    look.used.add(key)
    if key in look.parts:
        stored = torch.from_numpy(look.parts.get(key)["features"])
        tell.skip(len(stored))
        return stored
    sight = (opened.size, opened.mean, opened.std)
    batch = 128 if isinstance(images.pixels, Photographs) or opened.size > 64 else 512
    more = {"batch": batch, "device": opened.place.device, "precision": opened.place.precision}
    try:
        features = extract(encoder, images, *sight, index=index, progress=tell, **more)  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{opened.name}, {title}: {error}") from error
    unit = F.normalize(features, dim=1).cpu()
    look.parts.put(key, {"features": unit.numpy()})
    return unit


def _frames(found: Sequence[Moment], features: Sequence[Float[Tensor, "N D"]], look: Looking) -> list[Frame]:
    """Everything of each moment but t-SNE."""
    frames, labels = [], look.labels
    for moment, unit in zip(found, features, strict=True):
        axes, explained = principal(unit, 2)
        flat = collapsed(unit)
        near = nearest(unit, max(COUNTED, look.asked.neighbours))
        counted = Nearest(near.index[:, :COUNTED], near.cosine[:, :COUNTED])
        agreed = None if labels is None or flat else float(agree(counted, labels).nanmean())
        grouped = None
        if labels is not None and not flat and can_draw():
            grouped = clusters.agreement(_clusters(unit, look), labels.numpy())
        shown = Nearest(near.index[:, : look.asked.neighbours], near.cosine[:, : look.asked.neighbours])
        shares = (float(explained[0]), float(explained[1]))
        points = np.zeros((len(unit), 2), np.float32) if flat else axes.float().numpy()
        frames.append(Frame(moment, points, shares, None, shown, mean_cosine(unit), flat, agreed, grouped))
        look.advance("mapping", len(frames), len(found), moment.title)
    return frames


def _clusters(unit: Float[Tensor, "N D"], look: Looking) -> Int64[np.ndarray, "N"]:
    asked, labels = look.asked, look.labels
    if collapsed(unit):
        return np.zeros(len(unit), np.int64)
    given = asked.clusters or clusters.number_of_clusters(unit, None if labels is None else labels.numpy(), asked.seed)
    return clusters.cluster(unit, given, asked.seed)


def _along_axes(frames: Sequence[Frame], last: Float[np.ndarray, "N 2"] | None) -> list[Frame]:
    """Each frame along its own axes, turned until its points lie as those of the frame after it do."""
    done: list[Frame] = []
    for frame in reversed(frames):
        other = done[-1].axes if done else last
        done.append(frame if other is None else replace(frame, axes=aligned(frame.axes, other)))
    return done[::-1]


def _kept(frames: Sequence[Frame]) -> list[Frame]:
    return [replace(frame, kept=shared(frame.near, frames[-1].near)) for frame in frames]


def _t_snes(
    name: str,
    keys: Sequence[str],
    features: Sequence[Float[Tensor, "N D"]],
    frames: Sequence[Frame],
    look: Looking,
    first: Float[np.ndarray, "N 2"] | None,
) -> list[Float[np.ndarray, "N 2"] | None]:
    """A t-SNE of each moment that goes on from the one before it, turned until it lies as that one does."""
    if not can_draw():
        return [None] * len(keys)
    tell = _Rate(look.advance, f"t-SNE of {name}", len(keys), "map")
    maps: list[Float[np.ndarray, "N 2"] | None] = []
    before, chain = None, ""
    for key, unit, frame in zip(keys, features, frames, strict=True):
        if frame.flat:
            maps.append(None)
            tell.skip(1)
            continue
        chain = digest_of(f"t-SNE {key} {chain} {look.asked.seed}", {})[:20]
        look.used.add(chain)
        if chain in look.parts:
            made = look.parts.get(chain)["t_sne"]
            tell.skip(1)
        else:
            tell(0)
            made = t_sne(principal(unit, min(COMPONENTS, *unit.shape))[0], look.asked.seed, before)
            look.parts.put(chain, {"t_sne": made})
            tell(1)
        other = next((m for m in reversed(maps) if m is not None), first)
        before = made
        maps.append(made if other is None else aligned(made, other))
    return maps


class _Rate:
    """Tells how far something is, how fast it goes and how long it will take.

    What an earlier call did counts for no rate.
    """

    def __init__(self, advance: Advance, what: str, total: int, unit: str) -> None:
        self._advance, self._what, self._total, self._unit = advance, what, total, unit
        self._done = self._skipped = 0
        self._began = time.monotonic()

    def __call__(self, more: int) -> None:
        self._done += more
        own = self._done - self._skipped
        detail = " "  # nothing is known yet
        if own:
            each = (time.monotonic() - self._began) / own
            rate = f"{1 / max(each, 1e-9):,.0f} {self._unit}s/s" if each < 1 else f"{each:.0f} s a {self._unit}"
            detail = f"{rate}  {duration(each * (self._total - self._done))} left"
        self._advance(self._what, self._done, self._total, detail)

    def skip(self, more: int) -> None:
        """So many were done by an earlier call."""
        self._skipped += more
        self(more)
