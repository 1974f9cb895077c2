"""Semantic label shift: whether augmented images still lie with their own class, in an encoder's features.

N images, C classes, D features, S pixels of a view's side, B images of a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.evaluate.features import finite, plain_views
from pairlens.evaluate.scored import labels_of
from pairlens.views.crops import random_resized_crop
from pairlens.views.plans import Augmentation, weak_views
from pairlens.views.render import render

NEIGHBOURS = 10
BATCH = 256


@dataclass(frozen=True)
class Separation:
    """How far the classes of some features are apart. `elsewhere` and `moved` are judged by the un-augmented images."""

    ratio: float  # variance between the classes over variance within them
    silhouette: float  # mean over the images, -1 to 1
    agreement: float  # share of an image's 10 nearest that are of its class
    elsewhere: float  # share of the images that are nearer to another class's mean than to that of their own
    moved: float  # share of them that are, and were not without augmentation


@dataclass(frozen=True)
class Chosen:
    """Images of some classes."""

    index: Int64[Tensor, "N"]  # of the set
    labels: Int64[Tensor, "N"]  # 0 to C - 1
    classes: tuple[str, ...]  # C names


def strengths(
    size: int, weak_crop: tuple[float, float] = (0.08, 1.0), strong_crop: tuple[float, float] = (0.2, 1.0)
) -> dict[str, Augmentation | None]:
    """No, weak and strong augmentation (GP, Figure 3).

    The paper does not say which they are. Weak is what linear read-outs are trained with, a crop and a flip; strong is
    what MoCo v2 is pretrained with, whose blur is left out up to 64 px, as in our recipes.
    """
    strong = Augmentation(crop=random_resized_crop(strong_crop), blur=0.5 if size > 64 else 0.0)
    return {"none": None, "weak": weak_views(weak_crop), "strong": strong}


def choose(images: ImageSet, classes: int, each: int, generator: torch.Generator, of: int | None = None) -> Chosen:
    """So many images of each of so many classes, drawn at random; fewer where there are fewer.

    Which classes is drawn by the seed `of`, so that other draws are of the same classes.

    Raises:
        InputError: there are no labels, or fewer than two classes with two images.
    """
    labels = labels_of(images, "chosen")
    counts = torch.bincount(labels[labels >= 0], minlength=len(images.classes))
    there = (counts >= 2).nonzero()[:, 0]
    if len(there) < 2 or classes < 2 or each < 2:
        raise InputError(
            f"{classes} classes of {each} images cannot be compared where {len(there)} have two images or more; two "
            "classes of two images are the least"
        )
    picked = there[torch.randperm(len(there), generator=torch.Generator().manual_seed(of or 0))[:classes]].sort().values
    rows, numbers = [], []
    for number, label in enumerate(picked.tolist()):
        own = (labels == label).nonzero()[:, 0]
        rows.append(own[torch.randperm(len(own), generator=generator)[:each]])
        numbers.append(torch.full((len(rows[-1]),), number))
    return Chosen(torch.cat(rows), torch.cat(numbers), tuple(images.classes[i] for i in picked.tolist()))


def augmented(
    encode: Callable[[Float[Tensor, "B 3 S S"]], Float[Tensor, "B D"]],
    images: ImageSet,
    index: Int64[Tensor, "N"],
    augmentation: Augmentation | None,
    size: int,
    mean: Float[Tensor, "3"],
    std: Float[Tensor, "3"],
    generator: torch.Generator,
) -> Float[Tensor, "N D"]:
    """Unit features of one view of each image; of the images as they are, where there is no augmentation.

    Raises:
        InputError: features are not finite.
    """
    found = []
    for rows in index.split(BATCH):
        if augmentation is None:
            views = torch.cat(list(plain_views(images, size, mean, std, index=rows, device=mean.device)))
        else:
            params = augmentation.draw(Draw(rows, images.sizes[rows], 0, 0, generator, generator))
            views = render(images.pixels[rows].to(mean.device), params, size, mean, std)
        found.append(encode(views))
    return F.normalize(finite(torch.cat(found)), dim=1)


def separation(features: Float[Tensor, "N D"], labels: Int64[Tensor, "N"], plain: Float[Tensor, "N D"]) -> Separation:
    """All figures of some features; `plain` are those of the same images without augmentation."""
    labels = labels.to(features.device)
    before, after = (nearer_elsewhere(f, plain, labels) for f in (plain, features))
    return Separation(
        ratio=variance_ratio(features, labels),
        silhouette=silhouette(features, labels),
        agreement=agreement(features, labels),
        elsewhere=float(after.double().mean()),
        moved=float((after & ~before).double().mean()),
    )


def variance_ratio(features: Float[Tensor, "N D"], labels: Int64[Tensor, "N"]) -> float:
    """Variance of the class means, each counted as often as it has images, over the mean variance within classes."""
    one_hot = F.one_hot(labels).to(features.dtype)
    means = (one_hot.T @ features / one_hot.sum(0)[:, None])[labels]
    within = (features - means).square().sum(1).mean()
    return float((means - features.mean(0)).square().sum(1).mean() / within.clamp(min=1e-12))


def silhouette(features: Float[Tensor, "N D"], labels: Int64[Tensor, "N"]) -> float:
    """Mean silhouette (Rousseeuw, 1987) by Euclidean distances; every class must have two images."""
    one_hot = F.one_hot(labels).to(features.dtype)
    distances = torch.cdist(features, features)
    total, number = distances @ one_hot, one_hot.sum(0)
    own = total.gather(1, labels[:, None])[:, 0] / (number[labels] - 1)
    nearest = (total / number).masked_fill(one_hot.bool(), torch.inf).amin(1)
    return float(((nearest - own) / torch.maximum(nearest, own).clamp(min=1e-12)).mean())


def agreement(features: Float[Tensor, "N D"], labels: Int64[Tensor, "N"], neighbours: int = NEIGHBOURS) -> float:
    """Share of each image's nearest others, by cosine of unit features, that are of its class."""
    similarity = (features @ features.T).fill_diagonal_(-torch.inf)
    nearest = similarity.topk(min(neighbours, len(features) - 1), 1).indices
    return float((labels[nearest] == labels[:, None]).double().mean())


def nearer_elsewhere(
    features: Float[Tensor, "N D"], plain: Float[Tensor, "N D"], labels: Int64[Tensor, "N"]
) -> Bool[Tensor, "N"]:
    """Where features are nearer to the mean of another class than to that of their own.

    The means are of the un-augmented features `plain`, without the image itself.
    """
    one_hot = F.one_hot(labels).to(features.dtype)
    total, number = one_hot.T @ plain, one_hot.sum(0)[:, None]
    distances = torch.cdist(features, total / number)
    own = (total[labels] - plain) / (number[labels] - 1)
    to_own = (features - own).square().sum(1).sqrt()
    return distances.masked_fill(one_hot.bool(), torch.inf).amin(1) < to_own
