"""Which space a linear classifier's right answers come from (LooC, Section 4 and Figure 4).

N images, D features of all spaces in a row, C classes, n spaces, T bins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pairlens.evaluate.features import finite
from pairlens.evaluate.linear import Readout

BINS = 10
"""Of the histograms of shares, from 0 to 1."""


def contributions(
    features: Float[Tensor, "N D"],
    readout: Readout,
    labels: Int64[Tensor, "N"],
    widths: Sequence[int],
    centre: Float[Tensor, "D"] | None = None,
) -> Float[Tensor, "N n"]:
    """What each space adds to the logit of an image's right class: the sum of activation x weight over its features.

    LooC says "activations x weights of classifier" and no more. A softmax does not change if all classes' weights are
    moved alike, so weights are counted from their mean over the classes. An activation's part that all images share is
    no evidence for any of them and could as well stand in the bias; `centre` (their mean over the training images)
    takes it out, and the contributions then add up to what sets the logit apart from the average image's. Without it
    activations count as they are, as the paper's words have it.

    Args:
        features: of all spaces in a row.
        readout: the classifier on them.
        labels: the right classes.
        widths: how many features each space has, n numbers whose sum is D.
        centre: what is taken from the activations.
    """
    labels = labels.to(features.device)
    weight = (readout.weight - readout.weight.mean(1, keepdim=True)).T[labels]
    active = features if centre is None else features - centre
    return torch.stack([part.sum(1) for part in (active * weight).split(list(widths), 1)], 1)


def shares(found: Float[Tensor, "N n"]) -> Float[Tensor, "N n"]:
    """Contributions as parts of their sum, those below 0 counted as 0; NaN of an image to which no space contributes.

    The paper shows histograms of such shares, but not what becomes of a space that speaks against the right class.
    """
    above = found.clamp(min=0)
    return above / above.sum(1, keepdim=True)


def entropy(distribution: Float[Tensor, "n"]) -> float:
    """The entropy of a distribution in bits: 0 where one space does all, log2(n) where all do alike."""
    return float(-torch.special.xlogy(distribution, distribution).sum()) / math.log(2)


@dataclass(frozen=True)
class Attribution:
    """Where a classifier's right answers come from; all shares are over the images that it named rightly."""

    share: Float[Tensor, "N n"]  # of each image; NaN where it was named wrongly, or no space contributes
    counted: Bool[Tensor, "N"]  # the others
    labels: Int64[Tensor, "N"]
    classes: int  # C

    @property
    def mean(self) -> Float[Tensor, "n"]:
        """The mean distribution over the spaces."""
        return self.share[self.counted].mean(0)

    @property
    def most(self) -> Float[Tensor, "n"]:
        """The part of the images to which each space contributes most."""
        best = self.share[self.counted].argmax(1)
        return best.bincount(minlength=self.share.shape[1]) / max(1, len(best))

    def histogram(self) -> Int64[Tensor, "n T"]:
        """How many images a space has a share of 0 to .1 in, of .1 to .2, and so on."""
        bins = (self.share[self.counted] * BINS).long().clamp(max=BINS - 1)
        return torch.stack([column.bincount(minlength=BINS) for column in bins.T])

    def by_class(self) -> tuple[Float[Tensor, "C n"], Int64[Tensor, "C"]]:
        """The mean distribution over each class's images, and how many these are; NaN of none."""
        labels, share = self.labels[self.counted], self.share[self.counted]
        count = labels.bincount(minlength=self.classes)
        total = share.new_zeros(self.classes, share.shape[1]).index_add_(0, labels, share)
        return total / count[:, None], count

    def record(self) -> dict[str, Any]:
        """For JSON: `right` images of `tested`, `share`, `entropy`, `most`, `histogram` and `by_class` with `count`.

        `entropy` (bits) is that of the mean distribution, as the paper averages over a data set before it gives one.
        """
        right, (of_class, count) = int(self.counted.sum()), self.by_class()
        if not right:
            return {"right": 0, "tested": len(self.labels)}
        return {
            "right": right,
            "tested": len(self.labels),
            "share": self.mean.tolist(),
            "entropy": entropy(self.mean),
            "most": self.most.tolist(),
            "histogram": self.histogram().tolist(),
            "by_class": [row if known else None for row, known in zip(of_class.tolist(), count.tolist(), strict=True)],
            "count": count.tolist(),
        }


def attribute(
    features: Float[Tensor, "N D"],
    readout: Readout,
    labels: Int64[Tensor, "N"],
    widths: Sequence[int],
    centre: Float[Tensor, "D"] | None = None,
) -> Attribution:
    """Where a classifier's right answers on these images come from; arguments as of `contributions`.

    Raises:
        InputError: features are not finite.
    """
    labels = labels.to(features.device)
    right = readout(finite(features)).argmax(1) == labels
    share = shares(contributions(features, readout, labels, widths, centre))
    counted = right & share.isfinite().all(1)
    share = share.where(counted[:, None], torch.nan)
    return Attribution(share.cpu(), counted.cpu(), labels.cpu(), len(readout.bias))
