"""The supervised baseline: cross-entropy on the views that contrastive methods see (GP, Table 2).

B images, S view size, C encoder features, L classes, N images of the set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.methods import MethodSettings, Parts
from pairlens.methods.crossed import GLOBAL, batch_pairs
from pairlens.nets.branch import Branch
from pairlens.nets.heads import linear
from pairlens.pairs import Contrast, Step
from pairlens.views.plans import Plan


@dataclass(frozen=True)
class SupervisedSettings(MethodSettings):
    """The supervised baseline has no arguments of its own."""

    contrasts: ClassVar[bool] = False

    @property
    def temperature(self) -> float:
        """Of the InfoNCE that is recorded; nothing is trained with it."""
        return 0.1

    def build(self, parts: Parts) -> "Supervised":
        """The encoder under a linear classifier of the set's classes.

        Raises:
            InputError: no image has a label.
        """
        labels, classes = labels_of(parts.images)
        features = parts.branch.encoder.features
        assert isinstance(features, int)
        classifier = linear(features, classes, parts.weights)
        return Supervised(parts.branch, classifier, labels, parts.contrast, parts.plan)


class Supervised(nn.Module):
    """Cross-entropy of a linear classifier on the encoder's features, the mean over all views that have a label.

    Each view is encoded in a forward of its own. The branch's projection heads have no part in it: they are frozen as
    they were drawn. The comparison is of the features, brought to unit length and detached; it is there for the
    recorder, and the step's loss is the cross-entropy alone.
    """

    labels: Tensor  # [N], -1 where an image has none

    def __init__(
        self, branch: Branch, classifier: nn.Module, labels: Int64[Tensor, "N"], contrast: Contrast, plan: Plan
    ) -> None:
        super().__init__()
        self.online = branch
        self.classifier = classifier
        self.contrast = contrast
        self.plan = plan
        branch.heads.requires_grad_(False)
        self.register_buffer("labels", labels, persistent=False)  # the images know them: no checkpoint needs them

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Classify all views, [B, 3, S, S] each, and compare their features."""
        features = {name: self.online.encode(view) for name, view in views.items()}
        rows = torch.cat(list(features.values()))
        with self.online.autocast(rows.device):
            logits = self.classifier(rows)
        target = self.labels[draw.index.to(rows.device, non_blocking=True)].repeat(len(views))
        z = {name: F.normalize(rows.detach().float(), dim=1) for name, rows in features.items()}
        comparison = self.contrast(batch_pairs(z, {name: z[name] for name in GLOBAL}), draw)
        return Step(cross_entropy(logits.float(), target), {"z": comparison}, draw)

    def after_step(self, *steps: Step) -> None:
        """Nothing lives outside the gradient's reach."""


def cross_entropy(logits: Float[Tensor, "rows L"], target: Int64[Tensor, "rows"]) -> Float[Tensor, ""]:
    """The mean over the rows that have a label (not -1), and 0 where none has one."""
    total = F.cross_entropy(logits, target, ignore_index=-1, reduction="sum")
    return total / (target >= 0).sum().clamp(min=1)


def labels_of(images: ImageSet) -> tuple[Int64[Tensor, "N"], int]:
    """A set's labels and the number of its classes.

    Raises:
        InputError: no image has a label.
    """
    if images.labels is None or not len(images.labelled()):
        raise InputError(
            "supervised training needs labels, and no image of the training set has one; sort the images into a folder "
            "for each class, or choose a method that needs none"
        )
    return images.labels, max(len(images.classes), int(images.labels.max()) + 1)
