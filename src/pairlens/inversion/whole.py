"""Inverting all that is asked for, part by part: what is finished stays, and a further call goes on from there.

N images, R references, T images of a part, M draws, S pixels of a side, P points of a curve.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pairlens.data.images import ImageSet, Source
from pairlens.errors import InputError
from pairlens.evaluate.features import plain_views
from pairlens.evaluate.inversion import Inverting, Prior, typical_distance
from pairlens.evaluate.likeness import layout_psnr, psnr, recognised, ssim
from pairlens.inversion.contestants import Contestant
from pairlens.inversion.store import Store, to_numpy
from pairlens.words import duration

REFERENCES = 256
"""Other images that tell how far apart features are, and among which a reconstruction must be recognised, at most."""

POINTS = 60
"""Points of a curve that are kept."""

PIXELS = {"cpu": 1 << 15}
"""Pixels of the images that are inverted together, at most: bounds the memory; one image at least."""

ELSEWHERE = 1 << 20

LIKENESS = {"psnr": psnr, "ssim": ssim, "layout": layout_psnr}
"""Measures of how alike a reconstruction and its image are, more is better."""

SCORES = (*LIKENESS, "recognised", "error")
"""What a reconstruction is scored with; `error` is the squared distance of its features, 1 = that of other images."""

Progress = Callable[[str, int, int, str], None]
"""Told what is done, how far of how much, and rate and time left."""


@dataclass(frozen=True)
class Views:
    """The images as encoders of one size see them, pixels in [0, 1]."""

    images: Float[Tensor, "N 3 S S"]
    references: Float[Tensor, "R 3 S S"]

    def of_mean(self) -> dict[str, np.ndarray]:
        """What the mean of the references would score, [N] by the name: less than nothing was kept below this."""
        mean = self.references.mean(0, keepdim=True).expand_as(self.images)
        return {name: score(mean, self.images).cpu().numpy() for name, score in LIKENESS.items()}


@dataclass(frozen=True)
class Found:
    """What became of the images at one contestant."""

    contestant: Contestant
    images: np.ndarray  # [N, 3, S, S] uint8, of the first draw
    scores: Mapping[str, np.ndarray]  # [M, N] by the names of `SCORES`
    curve: np.ndarray  # [M, N, P] feature error before the steps of `at`
    at: np.ndarray  # [P]


@dataclass(frozen=True)
class Asked:
    """What is to be inverted."""

    source: Source
    contestants: Sequence[Contestant]
    prior: Prior
    images: int = 8  # N
    draws: int = 1  # M: of noise and weights
    seed: int = 0
    device: torch.device | str = "cpu"

    @property
    def set(self) -> ImageSet:
        """The images are taken from the test set, where there is one."""
        return self.source.train if self.source.test is None else self.source.test

    @cached_property
    def index(self) -> tuple[Int64[Tensor, "N"], Int64[Tensor, "R"]]:
        """Which images, and which others beside them.

        Raises:
            InputError: there are too few.
        """
        if self.images < 1 or self.draws < 1:
            raise InputError(f"{self.images} images with {self.draws} draws are nothing to invert; give 1 at least")
        if len(self.set) < self.images + 2:
            raise InputError(
                f"{self.images} of {len(self.set)} images cannot be inverted, for 2 others must be left to compare "
                "with; ask for fewer with --images"
            )
        order = torch.randperm(len(self.set), generator=torch.Generator().manual_seed(self.seed))
        return order[: self.images], order[self.images :][:REFERENCES]

    @cached_property
    def views(self) -> dict[int, Views]:
        """The images by the side at which encoders see them."""
        made = {}
        for size in dict.fromkeys(c.size for c in self.contestants):
            own, others = (
                torch.cat(list(plain_views(self.set, size, index=index, device=self.device))) for index in self.index
            )
            made[size] = Views(own, others)
        return made


@dataclass(frozen=True)
class Part:
    """Some images at one contestant with one draw: what is inverted in one go."""

    contestant: Contestant
    draw: int
    first: int  # of its images
    last: int  # the one behind them
    seeds: tuple[int, ...]  # one an image
    key: str

    @property
    def rows(self) -> slice:
        """Of the images."""
        return slice(self.first, self.last)


def parts(asked: Asked) -> list[Part]:
    """All there is to do, the first draw of every contestant first."""
    found = []
    for draw in range(asked.draws):
        for one in asked.contestants:
            views = asked.views[one.size]
            most = max(1, PIXELS.get(torch.device(asked.device).type, ELSEWHERE) // one.size**2)
            for first in range(0, asked.images, most):
                last = min(asked.images, first + most)
                seeds = tuple(((asked.seed + draw) << 32) + int(i) for i in asked.index[0][first:last])
                key = _key(one, views, slice(first, last), seeds, asked.prior)
                found.append(Part(one, draw, first, last, seeds, key))
    return found


def invert_all(asked: Asked, store: Store, progress: Progress = lambda what, done, total, detail: None) -> list[Found]:
    """Invert what the store does not hold yet; each finished part is stored at once.

    Raises:
        InputError: there are too few images, features are not finite, or the disk is full.
    """
    todo = parts(asked)
    missing = [part for part in todo if part.key not in store]
    steps, done, began = asked.prior.iterations, 0, time.monotonic()
    restored: int | None = None  # steps of the first part that an earlier call made
    others: dict[str, Tensor] = {}  # features of the references, of one contestant at a time
    for part in missing:

        def tell(step: int, part: Part = part, done: int = done) -> None:
            nonlocal restored
            restored = step if restored is None else restored
            rate = max(1, done + step - restored) / max(1e-9, time.monotonic() - began)
            left = (steps * len(missing) - done - step) / rate
            detail = f"{part.contestant.label}  {rate:,.1f} iterations/s  {duration(left)} left"
            progress("inverting", done + step, steps * len(missing), detail)

        one = part.contestant
        if one.digest not in others:
            others = {one.digest: _features(one, asked.views[one.size].references)}
        store.put(part.key, _invert(part, asked, others[one.digest], store, tell))
        done += steps
    store.keep_only({part.key for part in todo})
    return collect(asked, store)


def collect(asked: Asked, store: Store) -> list[Found]:
    """What the store holds of each contestant; only draws that are finished for all images count."""
    by_draw: dict[tuple[str, int], list[Part]] = {}
    for part in parts(asked):
        by_draw.setdefault((part.contestant.label, part.draw), []).append(part)
    found = []
    for one in asked.contestants:
        draws = [by_draw[one.label, draw] for draw in range(asked.draws)]
        whole = [[store.get(part.key) for part in draw] for draw in draws if all(part.key in store for part in draw)]
        if not whole:
            continue
        scores = {name: np.stack([np.concatenate([p[name] for p in draw]) for draw in whole]) for name in SCORES}
        curve = np.stack([np.concatenate([p["curve"] for p in draw]) for draw in whole])
        images = np.concatenate([p["images"] for p in whole[0]])
        found.append(Found(one, images, scores, curve, whole[0][0]["at"]))
    return found


@torch.no_grad()
def _features(one: Contestant, images: Float[Tensor, "R 3 S S"]) -> Float[Tensor, "R D"]:
    return torch.cat([one.features(some) for some in images.split(32)])


def _invert(
    part: Part, asked: Asked, others: Float[Tensor, "R D"], store: Store, tell: Callable[[int], None]
) -> dict[str, np.ndarray]:
    """One part from its beginning, or from where an earlier call left it, to its scores."""
    views = asked.views[part.contestant.size]
    images, features = views.images[part.rows], part.contestant.features
    scale = typical_distance(_features(part.contestant, images), others)
    inverting = Inverting(features, images, scale, asked.prior, part.seeds)
    state = store.left_off(part.key)
    if state is not None:
        inverting.restore(state)
    tell(inverting.done)
    told = time.monotonic()
    while inverting.done < asked.prior.iterations:
        inverting.step()
        store.under_way(part.key, inverting.state)
        if time.monotonic() - told > 0.5:
            tell(inverting.done)
            told = time.monotonic()
    tell(inverting.done)
    found = inverting.result()
    at = np.unique(np.geomspace(1, asked.prior.iterations, POINTS).round().astype(np.int64)) - 1
    return {
        "images": to_numpy(found.images),
        **{name: score(found.images, images).cpu().numpy() for name, score in LIKENESS.items()},
        "recognised": recognised(found.images, images, views.references).float().cpu().numpy(),
        "error": found.error.cpu().numpy(),
        "curve": found.curve.cpu().numpy()[:, at],
        "at": at,
    }


def _key(one: Contestant, views: Views, rows: slice, seeds: Sequence[int], prior: Prior) -> str:
    """A digest of all that a part depends on."""
    about: dict[str, Any] = {"seeds": seeds, "first": rows.start, **asdict(prior)}
    digest = hashlib.sha256(f"{one.digest} {sorted(about.items())}".encode())
    for images in (views.images[rows], views.references):
        digest.update(images.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]
