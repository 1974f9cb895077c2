"""What features make of an alteration: how near an image stays to itself, and whether the alteration can be read off.

N images, B of a batch, I of the curves, F to fit on, T to test on, D features, K numbers of a parameter, J of what is
read out in its place, S pixels of a view's side.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from pairlens.data.styles import chosen
from pairlens.evaluate.alterations import Alteration, Values
from pairlens.evaluate.features import central_crop, finite
from pairlens.evaluate.parts import Part
from pairlens.evaluate.protocol import Sight
from pairlens.evaluate.retrieval import Encode
from pairlens.evaluate.told import Told, tell_class, tell_numbers
from pairlens.views.params import ViewParams
from pairlens.views.render import render

FOLDS = 4
"""Read-outs of each parameter: each is fitted on all images but one fold, and tested on that."""

PIXELS = 16
"""Raw pixels are averaged to at most this many a side: 768 numbers, which some hundred images can be regressed on."""


@dataclass(frozen=True)
class Estimate:
    """A number that was measured on some images, and its standard error over them."""

    value: float
    error: float


@dataclass(frozen=True)
class Similar:
    """Cosines of features about the mean of the un-altered images."""

    strength: float
    own: Estimate  # between an image and its altered self
    other: Estimate  # between an altered image and different, un-altered ones
    invariance: Estimate  # (own - other) / (1 - other)


@dataclass(frozen=True)
class Traces:
    """What one reader's features make of one alteration."""

    curve: tuple[Similar, ...]  # by strength
    invariance: Estimate  # mean over the strengths: 1 blind to it, 0 as far as another image
    told: Estimate  # how well its parameter is read off: 1 exactly, 0 not at all


def trace(
    readers: Mapping[str, Encode],
    part: Part,
    alteration: Alteration,
    sight: Sight,
    *,
    seed: int,
    curve: int = 256,
    batch: int = 128,
) -> dict[str, Traces]:
    """What each reader makes of one alteration of these images, whose order must be random.

    Every reader sees the same views. `curve` of the images are altered by every strength; all are altered once more,
    each by a parameter of its own, and that is read off linearly from the altered images' features alone: a class by
    logistic regression, whose accuracy is given as (accuracy - chance) / (1 - chance), and numbers by ridge regression,
    whose R2 is given. Of four folds of images each is told by a read-out that was fitted on the others.

    Args:
        readers: normalised views in, features out; by name.
        part: the images.
        alteration: by what they are altered.
        sight: how images are looked at; its `progress` is told of every view.
        seed: of all parameters.
        curve: images of the curves.
        batch: images at a time.

    Raises:
        InputError: features are not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    few = replace(part, index=part.index[:curve])
    look: dict[str, Any] = {"alteration": alteration, "sight": sight, "batch": batch}
    neutral = torch.tensor(alteration.neutral).repeat(len(few), 1)
    plain, _ = _features(readers, few, neutral, **look)
    curves: dict[str, list[_Cosines]] = {name: [] for name in readers}
    for strength in alteration.strengths:
        altered, _ = _features(readers, few, alteration.at(strength, len(few), generator), **look)
        for name in readers:
            curves[name].append(_cosines(plain[name], altered[name]))
    values = alteration.draw(len(part), generator)
    drawn, seen = _features(readers, part, values, **look)
    asked = values if seen is None else seen
    found = {}
    for name, cosines in curves.items():
        shown = tuple(c.similar(s) for c, s in zip(cosines, alteration.strengths, strict=True))
        level, error = _mean(torch.stack([c.influence for c in cosines]).mean(0))
        level = sum(c.invariance for c in cosines) / len(cosines)
        found[name] = Traces(shown, Estimate(level, error), read_off(drawn[name], asked, alteration.classes, seed))
    return found


def views_of(alteration: Alteration, images: int, curve: int) -> int:
    """How many views `trace` makes."""
    return (1 + len(alteration.strengths)) * min(curve, images) + images


def pixels(views: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B D"]:
    """The reader that looks at pixels only."""
    return F.adaptive_avg_pool2d(views, min(views.shape[-1], PIXELS)).flatten(1)


def similar(plain: Float[Tensor, "I D"], altered: Float[Tensor, "I D"], strength: float = math.nan) -> Similar:
    """Cosines of features of images and of their altered selves, row by row, about the un-altered images' mean.

    An image is compared with the un-altered ones of others, so what an alteration adds to all features alike counts as
    a change: it takes an image away from itself, and does not bring it nearer to others. Standard errors are over
    images; of `other`, and so of the invariance, both the altered and the un-altered image of a pair vary.
    """
    return _cosines(plain, altered).similar(strength)


@dataclass(frozen=True)
class _Cosines:
    """Of one strength."""

    own: Float[Tensor, "I"]
    other: Float[Tensor, "I"]  # of each image: altered to all others, and un-altered to all altered others, the sum

    @property
    def means(self) -> tuple[float, float]:
        return float(self.own.mean()), float(self.other.mean()) / 2

    @property
    def invariance(self) -> float:
        own, other = self.means
        return (own - other) / (1 - other)

    @property
    def influence(self) -> Float[Tensor, "I"]:
        """By how much each image moves the invariance, times I: its derivatives along own and other."""
        own, other = self.means
        return (self.own - own) / (1 - other) - (self.other - 2 * other) * (1 - own) / (1 - other) ** 2

    def similar(self, strength: float) -> Similar:
        own, other = self.means
        return Similar(
            strength,
            Estimate(own, _mean(self.own)[1]),
            Estimate(other, _mean(self.other)[1]),
            Estimate(self.invariance, _mean(self.influence)[1]),
        )


def _cosines(plain: Float[Tensor, "I D"], altered: Float[Tensor, "I D"]) -> _Cosines:
    middle = plain.double().mean(0)
    here, there = (F.normalize(features.double() - middle, dim=1) for features in (plain, altered))
    own = (here * there).sum(1)
    others = (there @ here.sum(0) - own) + (here @ there.sum(0) - own)
    return _Cosines(own, others / (len(own) - 1))


def read_off(features: Float[Tensor, "N D"], values: Values, classes: int, seed: int) -> Estimate:
    """How well a linear read-out tells a parameter of images that it was not fitted on: 1 exactly, 0 not at all.

    NaN where the parameter does not vary. Of the folds, the mean; its error is that of as many images as there are.
    """
    if not float(values.std(0).max()) > 1e-6:
        return Estimate(math.nan, math.nan)
    folds = torch.arange(len(features)).chunk(FOLDS)
    told = [
        _told(finite(features), values, torch.cat([*folds[:k], *folds[k + 1 :]]), folds[k], classes, seed)
        for k in range(len(folds))
    ]
    scale = 1 / (1 - 1 / classes) if classes else 1.0
    chance = 1 / classes if classes else 0.0
    level = sum(one.value for one in told) / len(told)
    error = math.sqrt(sum(one.error**2 for one in told)) / len(told)
    return Estimate(scale * (level - chance), scale * error)


def _told(
    features: Float[Tensor, "N D"],
    values: Values,
    fit: Int64[Tensor, "F"],
    test: Int64[Tensor, "T"],
    classes: int,
    seed: int,
) -> Told:
    generator = torch.Generator().manual_seed(seed)
    values = values.cpu()
    known, asked, (fit, test) = values[fit], values[test], (rows.to(features.device) for rows in (fit, test))
    if classes:
        known, asked = known[:, 0].long(), asked[:, 0].long()
        return tell_class(features[fit], known, features[test], asked, classes=classes, generator=generator)
    return tell_numbers(features[fit], known, features[test], asked, generator=generator, leave_one_out=True)


def _features(
    readers: Mapping[str, Encode], part: Part, values: Values, alteration: Alteration, sight: Sight, batch: int
) -> tuple[dict[str, Tensor], Float[Tensor, "N J"] | None]:
    """Every reader's features of altered images, and what is to be read out in the parameter's place."""
    found: dict[str, list[Tensor]] = {name: [] for name in readers}
    seen = []
    for views in altered_views(part, values, alteration, sight, batch):
        for name, reader in readers.items():
            found[name].append(reader(views))
        if alteration.seen is not None:
            seen.append(alteration.seen(_unnormalised(views, sight)))
        sight.progress(len(views))
    return {name: finite(torch.cat(rows)) for name, rows in found.items()}, torch.cat(seen) if seen else None


def altered_views(
    part: Part, values: Values, alteration: Alteration, sight: Sight, batch: int = 128
) -> Iterator[Float[Tensor, "B 3 S S"]]:
    """Views of what evaluation looks at, altered; normalised, batch by batch."""
    images = part.images
    for rows, some in zip(part.index.split(batch), values.split(batch), strict=True):
        plain = replace(ViewParams.identity(len(rows)), crop=central_crop(images.sizes[rows]))
        params = alteration.alter(plain, some)
        stored = images.pixels[rows.to(images.pixels.device)]
        if images.styles is not None and params.texture.any():
            stored = chosen(stored, images.styles, rows, params.texture)
        yield render(stored.to(sight.device), params, sight.size, sight.mean, sight.std)


def _unnormalised(views: Float[Tensor, "B 3 S S"], sight: Sight) -> Float[Tensor, "B 3 S S"]:
    if sight.std is not None:
        views = views * sight.std[:, None, None]
    return views if sight.mean is None else views + sight.mean[:, None, None]


def _mean(values: Float[Tensor, "I"]) -> tuple[float, float]:
    """A mean and its standard error."""
    error = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), error
