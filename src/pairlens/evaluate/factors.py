"""Probes of known factors: what of an image's hue, position, texture, ... a linear layer finds in frozen features.

N and M images, D features, K numbers of an image.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.evaluate.parts import Part
from pairlens.evaluate.told import Told, tell_class, tell_numbers

CIRCULAR: Mapping[str, float] = {"hue": 1.0}
"""Factors whose values go round, and after how much they come back: the hue of `scenes` is in turns."""

MOST = 100
"""An integer with more values than this counts or names something; it is no class."""

Kind = Literal["class", "number", "circular"]


@dataclass(frozen=True)
class Factor:
    """One known quantity of the training and the test images, as a linear layer is asked for it."""

    name: str
    kind: Kind
    train: Tensor  # [N] classes from 0 on; or [N, K] numbers, of a circular one cosine and sine
    test: Tensor  # [M] or [M, K]
    values: int = 0  # of a class: how many there are


def find_factors(
    train: Part, test: Part, circular: Mapping[str, float] = CIRCULAR
) -> tuple[list[Factor], dict[str, str]]:
    """What is known of the images and can be asked for, and why what else is known cannot.

    The labels' class; each of the sets' factors: integers of few values are classes, real ones are numbers, the
    `circular` ones (name -> period) are asked for as cosine and sine; and of the boxes the position (the centre's x and
    y) and the size (the root of the area), as fractions of the image. Passed over are integers that name an image
    rather than a property of it (of `scenes`, the handwritten original: no test image shares its own with a training
    image), and what does not vary.
    """
    known = [_quantities(part.images) for part in (train, test)]
    found: list[Factor] = []
    skipped: dict[str, str] = {}
    for name, values in known[0].items():
        if name not in known[1]:
            skipped[name] = "the test images do not have it"
            continue
        made = _factor(name, values[train.index], known[1][name][test.index], circular.get(name))
        if isinstance(made, Factor):
            found.append(made)
        else:
            skipped[name] = made
    return found, skipped


def tell_factor(
    factor: Factor, fitted: Float[Tensor, "N D"], tested: Float[Tensor, "M D"], generator: torch.Generator
) -> Told:
    """How well features of the training and the test images tell a factor: a class's accuracy, or a number's R2.

    Fitted on the training images, its regularisation chosen on a tenth of them, and told of the test images. The class
    of the labels is told exactly as `evaluate`'s linear read-out by the fast solver tells it.

    Raises:
        InputError: the features are not finite.
    """
    if factor.kind == "class":
        return tell_class(fitted, factor.train, tested, factor.test, classes=factor.values, generator=generator)
    return tell_numbers(fitted, factor.train, tested, factor.test, generator=generator)


def _quantities(images: ImageSet) -> dict[str, Tensor]:
    """All that is known of the images, by name; labels go before a factor of the same name."""
    known = dict(images.factors)
    if images.labels is not None:
        known = {"class": images.labels} | {name: values for name, values in known.items() if name != "class"}
    if images.boxes is not None:
        corner, opposite = images.boxes[:, :2], images.boxes[:, 2:]
        known["position"] = (corner + opposite) / 2
        known["size"] = (opposite - corner).prod(1).sqrt()
    return known


def _factor(name: str, train: Tensor, test: Tensor, period: float | None) -> Factor | str:
    """A factor as it is asked for, or why it is not."""
    if train.is_floating_point() or period is not None:
        return _number(name, train.double(), test.double(), period)
    train, test = train.long(), test.long()
    names, place = train.unique(return_inverse=True)
    if len(names) > MOST:
        return f"its {len(names)} values name images rather than a property of them"
    if len(names) < 2:
        return "it is the same in all training images"
    unknown = ~torch.isin(test, names)
    if unknown.any():
        return f"{int(unknown.sum())} test images have values that no training image has"
    return Factor(name, "class", place, torch.searchsorted(names, test), len(names))


def _number(name: str, train: Tensor, test: Tensor, period: float | None) -> Factor | str:
    train, test = (values.reshape(len(values), -1) for values in (train, test))
    if not (train.isfinite().all() and test.isfinite().all()):
        return "some of its values are not finite"
    if period is not None:
        train, test = (
            torch.cat([angle.cos(), angle.sin()], 1) for angle in (_angle(train, period), _angle(test, period))
        )
    if not (train.std(0, correction=0).max() > 0 and test.std(0, correction=0).max() > 0):
        return "it is the same in all training images or in all test images"
    return Factor(name, "number" if period is None else "circular", train.float(), test.float())


def _angle(values: Tensor, period: float) -> Tensor:
    return 2 * math.pi * values / period
