"""How well a linear layer tells one quantity from frozen features: a class by its accuracy, numbers by their R2.

N and M images, V views of each, D features, K numbers of an image.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pairlens.evaluate.features import finite
from pairlens.evaluate.linear import linear_solver
from pairlens.evaluate.ridge import ridge
from pairlens.evaluate.scored import score_classes

Measure = Literal["accuracy", "r2"]


@dataclass(frozen=True)
class Told:
    """What a read-out told of the test images."""

    measure: Measure
    value: float  # share of right answers, or R2; at most 1
    chance: float  # the value of an answer that ignores the features
    error: float  # standard error of the value over the test images
    strength: float  # of the L2 penalty, chosen on held-out training images
    confusion: Int64[Tensor, "C C"] | None = None  # of a class: rows the true one, columns the predicted one

    def record(self) -> dict[str, Any]:
        """What differs between encoders, for JSON."""
        return {"value": self.value, "error": self.error, "strength": self.strength}


def tell_class(
    fitted: Float[Tensor, "NV D"],
    known: Int64[Tensor, "NV"],
    tested: Float[Tensor, "MV D"],
    asked: Int64[Tensor, "MV"],
    *,
    classes: int,
    generator: torch.Generator,
    views: int = 1,
) -> Told:
    """Accuracy of `linear_solver` on other images; chance is naming the training images' most frequent class always.

    Where each image has several views, they stand one behind the other: they are held out together, and the standard
    error is over images, not over views.

    Raises:
        InputError: labels lie outside the classes, or features are not finite.
    """
    readout = linear_solver(fitted, known, classes=classes, generator=generator, views=views)
    scores, asked = readout(finite(tested)), asked.to(fitted.device)
    scored = score_classes(scores, asked)
    hits = (scores.argmax(1) == asked).double().view(-1, views).mean(1)
    usual = known.bincount(minlength=classes).argmax().to(asked.device)
    chance = float((asked == usual).double().mean())
    assert readout.strength is not None
    return Told("accuracy", scored.top1, chance, _error(hits), readout.strength, scored.confusion)


def tell_numbers(
    fitted: Float[Tensor, "N D"],
    known: Float[Tensor, "N K"],
    tested: Float[Tensor, "M D"],
    asked: Float[Tensor, "M K"],
    *,
    generator: torch.Generator,
    leave_one_out: bool = False,
) -> Told:
    """R2 of ridge regression on other images; chance, 0, is always saying the test images' mean.

    R2 is 1 - squared errors / squared distances from the mean, both summed over the K numbers, so that numbers of one
    unit count by how much they vary. It is below 0 where the read-out is worse than the mean. `leave_one_out` is that
    of `ridge`.

    Raises:
        InputError: features or numbers are not finite.
    """
    fit = ridge(fitted, known, generator=generator, leave_one_out=leave_one_out)
    asked = asked.to(fitted.device, torch.float64)
    wrong = (fit(finite(tested)).double() - asked).square().sum(1)
    spread = (asked - asked.mean(0)).square().sum(1)
    missed = float(wrong.sum() / spread.sum())
    error = _error(wrong - missed * spread) / float(spread.mean())  # of a ratio of means, by the delta method
    return Told("r2", 1 - missed, 0.0, error, fit.strength)


def _error(values: Float[Tensor, "M"]) -> float:
    """The standard error of a mean over images."""
    return float(values.std(correction=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
