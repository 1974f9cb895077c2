"""How well scores of classes name the right one, and the checks on labels that all protocols share.

N and M images, C classes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.errors import InputError


@dataclass(frozen=True)
class Scored:
    """What a read-out achieved; accuracies are fractions."""

    top1: float
    top5: float  # within the first five, or within all of them where there are fewer classes
    confusion: Int64[Tensor, "C C"]  # rows the true class, columns the predicted one; on the CPU

    def accuracies(self) -> dict[str, float]:
        """Top-1 and top-5 by name, for JSON."""
        return {"top1": self.top1, "top5": self.top5}


def score_classes(scores: Float[Tensor, "M C"], labels: Int64[Tensor, "M"]) -> Scored:
    """Compare the best-scored classes with the true ones; a class scored -inf is not among the first five."""
    count, classes = scores.shape
    labels = labels.to(scores.device)
    best, ranked = scores.topk(min(5, classes), 1)
    hits = (ranked == labels[:, None]) & (best > -torch.inf)
    pairs = labels * classes + ranked[:, 0]
    confusion = torch.bincount(pairs, minlength=classes**2).view(classes, classes)
    return Scored(int(hits[:, 0].sum()) / count, int(hits.any(1).sum()) / count, confusion.cpu())


def labels_of(images: ImageSet, which: str) -> Int64[Tensor, "N"]:
    """The labels of a set.

    Raises:
        InputError: it has none.
    """
    if images.labels is None:
        raise InputError(
            f"the {which} images have no labels, so no accuracy can be measured; use a source with labels "
            "(`--labels` takes the sub-folders' names), or the label-free retrieval"
        )
    return images.labels


def check_labels(
    train: Int64[Tensor, "N"], test: Int64[Tensor, "M"], names: tuple[str, ...] | int, *, covered: bool = True
) -> None:
    """Check that labels are usable for a read-out among the named (or so many) classes.

    Raises:
        InputError: a set is empty, a label lies outside the classes, or (`covered`) a test class has no training image.
    """
    classes = names if isinstance(names, int) else len(names)
    for which, labels in (("training", train), ("test", test)):
        if not len(labels):
            raise InputError(f"there is no {which} image to read out from; give a source with training and test images")
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= classes:
            raise InputError(
                f"the {which} labels run from {low} to {high}, but there are {classes} classes; "
                f"labels must lie in 0 to {classes - 1}"
            )
    missing = sorted(set(test.unique().tolist()) - set(train.unique().tolist())) if covered else []
    if missing:
        shown = ", ".join(str(m) if isinstance(names, int) else names[m] for m in missing[:5])
        raise InputError(
            f"{len(missing)} of the test set's classes have no training image ({shown}); "
            "add training images of them, or take them out of the test set"
        )
