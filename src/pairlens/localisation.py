"""Where crops are taken, as a group of arguments: ContrastiveCrop (CCrop), with and without each of its halves.

N images of the set.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.idle import check_effect
from pairlens.views.boxes import Boxes
from pairlens.views.crops import CropSampler, contrastive_crop, random_resized_crop

SMALL = 96
"""Views up to this side are of the paper's small data (CIFAR, Tiny ImageNet, STL-10), pixels."""

Cropper = Callable[[tuple[float, float]], CropSampler]
"""Makes a sampler of crops that take a share of the image's area between two bounds."""


@dataclass(frozen=True)
class ContrastiveCrop:
    """ContrastiveCrop (CCrop, Section 3): keep crops on the object, and apart from each other. Off by default."""

    boxes: Literal["none", "found", "central", "whole", "known"] = "none"
    """Keep crops' centres in boxes: found in heat maps while training, central, whole (only alpha acts), or known."""
    alpha: float | None = None
    """Crops' centres follow Beta(alpha, alpha) within the box, 1 is uniform; by default 0.1 up to 96 px, 0.6 above."""
    box_threshold: float = 0.1
    """Heat, between 0 and 1, that belongs to the object (k; the paper: 0.1)."""
    box_coverage: float | None = None
    """Choose the threshold so that half of the boxes cover this share of their images or more."""
    box_start: int | None = None
    """Epochs before the first boxes are found; by default a fifth of all (the paper: 100 of 500, 20 of 100)."""
    box_every: int | None = None
    """Epochs between boxes; by default a fifth of all (the paper: 100 of 500, and 10 of 100 on ImageNet)."""

    @property
    def idle(self) -> Mapping[str, str]:
        """Without boxes nothing acts, and only boxes that are found have a threshold and a schedule."""
        search = ("box_threshold", "box_coverage", "box_start", "box_every")
        if self.boxes == "none":
            why = "shapes ContrastiveCrop, which is off; switch it on with boxes found"
            return dict.fromkeys(("alpha", *search), why)
        if self.boxes != "found":
            return dict.fromkeys(search, f"says how boxes are found, and these are {self.boxes}; choose boxes found")
        if self.box_coverage is not None:
            return {"box_threshold": "is chosen by box_coverage; give one of the two"}
        return {}

    def resolve(self, size: int, epochs: int) -> "ContrastiveCrop":
        """Choose what was left open, for views of `size` pixels and a training of so many epochs."""
        if self.boxes == "none":
            return self
        alpha = (0.1 if size <= SMALL else 0.6) if self.alpha is None else self.alpha
        if self.boxes != "found":
            return replace(self, alpha=alpha)
        fifth = max(1, round(epochs / 5))
        start = fifth if self.box_start is None else self.box_start
        return replace(self, alpha=alpha, box_start=start, box_every=self.box_every or fifth)

    def check(self, epochs: int) -> None:
        """Refuse what cannot be, or has no effect in so many epochs.

        Raises:
            InputError: a number is out of range, an argument has no effect, or boxes are never found.
        """
        check_effect(self)
        if self.alpha is not None and not 0 < self.alpha < math.inf:
            raise InputError(f"alpha must be positive, not {self.alpha}; the paper has 0.1 and 0.6, and 1 is uniform")
        if not 0 <= self.box_threshold < 1:
            raise InputError(f"the box_threshold is {self.box_threshold}; give a heat from 0 to below 1, such as 0.1")
        if self.box_coverage is not None and not 0 < self.box_coverage < 1:
            raise InputError(f"the box_coverage is {self.box_coverage}; give a share between 0 and 1, such as 0.5")
        if self.boxes == "found":
            if not 1 <= (self.box_start or 0) < epochs:
                raise InputError(
                    f"boxes that are first found after epoch {self.box_start} are never used in {epochs} epochs; "
                    "choose a box_start of 1 at least and below the epochs"
                )
            if (self.box_every or 0) < 1:
                raise InputError(f"box_every must be a positive number of epochs, not {self.box_every}")

    def table(self, images: ImageSet) -> Boxes | None:
        """The boxes of a set as a training begins, [N, 4]; None where crops fall anywhere.

        Raises:
            InputError: the boxes should be known, and are not.
        """
        if self.boxes == "none":
            return None
        if self.boxes == "known":
            if images.boxes is None:
                raise InputError("these images come without boxes; have them found (boxes found), or train on scenes")
            return Boxes.known(images.boxes)
        made = {"found": Boxes.unknown, "central": Boxes.central, "whole": Boxes.whole}
        return made[self.boxes](len(images))

    def cropper(self, boxes: Boxes | None) -> Cropper:
        """Crops about these boxes; without any, RandomResizedCrop."""
        if boxes is None:
            return random_resized_crop
        return lambda scale: contrastive_crop(boxes, self.alpha or 1.0, scale)
