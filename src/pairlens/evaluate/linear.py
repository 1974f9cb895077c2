"""The linear read-out: one linear layer on frozen features, by the papers' SGD or by a fast solver.

N and M images, F of them to fit on, H held out, B images of a batch, D features, R principal axes, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.evaluate.features import encode, finite
from pairlens.evaluate.logistic import minimise, principal_axes
from pairlens.evaluate.scored import Scored, check_labels, score_classes
from pairlens.views.plans import Augmentation, weak_views
from pairlens.views.render import render

STRENGTHS = tuple(10 ** (1 - half / 2) for half in range(15))
"""L2 strengths that the solver may choose from: 10 down to 1e-6, two a decade."""

FEW = 1e-2
"""The strength where there are too few images to hold any out."""

HELD_OUT = 0.1
"""Part of the training images on which the strength is chosen, ..."""

HELD_OUT_MOST = 10_000
"""... and its greatest size."""

Fresh = Callable[[Int64[Tensor, "B"]], Float[Tensor, "B D"]]
"""Features of newly augmented views of the training images with these indices."""


@dataclass(frozen=True)
class Readout:
    """A linear layer on raw features."""

    weight: Float[Tensor, "D C"]
    bias: Float[Tensor, "C"]
    strength: float | None = None  # of the L2 penalty on standardised features, where the solver made it

    def __call__(self, features: Float[Tensor, "M D"]) -> Float[Tensor, "M C"]:
        """The classes' logits."""
        return torch.addmm(self.bias, features, self.weight)

    def score(self, features: Float[Tensor, "M D"], labels: Int64[Tensor, "M"]) -> Scored:
        """How well it names other images."""
        check_labels(labels, labels, len(self.bias))
        return score_classes(self(finite(features)), labels)


def linear_solver(
    features: Float[Tensor, "N D"],
    labels: Int64[Tensor, "N"],
    *,
    classes: int,
    generator: torch.Generator,
    strength: float | None = None,
    views: int = 1,
) -> Readout:
    """Multinomial logistic regression on standardised features, to its optimum, in the features' own precision.

    It minimises mean cross-entropy + strength / 2 * squared weights. Without a given strength, the one of least
    cross-entropy on a random tenth of these (training) images is taken, searched from strong to weak until it rises,
    and the regression is made again on all of them. Where each image has several `views`, they stand one behind the
    other, and are held out together. More than 2 048 features are projected on their 512 leading principal axes first.

    Raises:
        InputError: labels lie outside the classes, features are not finite, or the strength is not positive.
    """
    if strength is not None and not strength > 0:
        raise InputError(f"the read-out's L2 strength is {strength}; it must be positive")
    check_labels(labels, labels, classes)
    labels = labels.to(features.device)
    axes = principal_axes(finite(features))
    points = axes(features)
    if strength is None:
        strength = choose_strength(points, labels, classes, axes.variance, generator, views)
    weight, bias = minimise(points, labels, classes, strength, axes.variance)
    raw = axes.scale[:, None] * (axes.axes @ weight)
    return Readout(raw, bias - axes.mean @ raw, strength)


def choose_strength(
    points: Float[Tensor, "N R"],
    labels: Int64[Tensor, "N"],
    classes: int,
    variance: Float[Tensor, "R"],
    generator: torch.Generator,
    views: int = 1,
) -> float:
    """The strength under which a random tenth of the images, held out of these points, has the least cross-entropy."""
    split = held_out(len(points), generator, views)
    if split is None:
        return FEW
    train, test = (rows.to(points.device) for rows in split)
    fitted, best, chosen = None, float("inf"), STRENGTHS[0]
    for strength in STRENGTHS:
        fitted = minimise(points[train], labels[train], classes, strength, variance, fitted)
        loss = F.cross_entropy(points[test] @ fitted[0] + fitted[1], labels[test]).item()
        if loss >= best:
            break
        best, chosen = loss, strength
    return chosen


def held_out(
    points: int, generator: torch.Generator, views: int = 1
) -> tuple[Int64[Tensor, "F"], Int64[Tensor, "H"]] | None:
    """Rows to fit on and rows held out: a random tenth of the images, each with all its views in a row.

    None where there are too few images.
    """
    images = points // views
    held = min(HELD_OUT_MOST, round(HELD_OUT * images))
    if held < 1 or held >= images:
        return None
    order = torch.randperm(images, generator=generator)
    rows = (order[:, None] * views + torch.arange(views)).flatten()
    return rows[held * views :], rows[: held * views]


def linear_sgd(
    features: Float[Tensor, "N D"],
    labels: Int64[Tensor, "N"],
    *,
    classes: int,
    generator: torch.Generator,
    fresh: Fresh | None = None,
    batch: int = 512,
    rate: float = 10.0,
    epochs: int = 100,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    progress: Callable[[int], None] = lambda images: None,
) -> Readout:
    """The papers' protocol: SGD on frozen features, the rate divided by 10 after 60 and after 80 % of the epochs.

    Defaults are CCrop's (Section 4.1: batch 512, rate 10, no weight decay, 100 epochs); MoCo and FT use rate 30 and
    batch 256. The layer starts at zero. So that one rate serves every encoder and raw pixels alike, features are
    centred and divided by one number, the root of their greatest variance in any direction.

    Args:
        features: of the un-augmented training images.
        labels: theirs.
        classes: how many there are.
        generator: draws the batches; on the CPU.
        fresh: features of freshly augmented views, as the papers train (`fresh_features`); None: the given ones.
        batch: images of a batch; cut to N.
        rate: the first learning rate.
        epochs: passes over the training images.
        momentum: of SGD.
        weight_decay: of SGD.
        progress: told how many more images are done.

    Raises:
        InputError: labels lie outside the classes, features are not finite, or the loss diverges.
    """
    check_labels(labels, labels, classes)
    labels = labels.to(features.device)
    mean, spread = finite(features).mean(0), greatest_spread(features)
    layer = nn.Linear(features.shape[1], classes, device="meta", dtype=features.dtype).to_empty(device=features.device)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=rate, momentum=momentum, weight_decay=weight_decay)
    milestones = [round(0.6 * epochs), round(0.8 * epochs)]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1)
    for _ in range(epochs):
        for index in torch.randperm(len(features), generator=generator).split(batch):
            seen = features[index] if fresh is None else fresh(index)
            loss = F.cross_entropy(layer((seen - mean) / spread), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress(len(index))
        schedule.step()
    raw = layer.weight.detach().T / spread
    return Readout(finite(raw), layer.bias.detach() - mean @ raw)


def greatest_spread(features: Float[Tensor, "N D"]) -> Float[Tensor, ""]:
    """The standard deviation of features along the direction in which it is greatest, by power iteration."""
    rows = features[: 1 << 14] - features.mean(0)
    direction = torch.ones(features.shape[1], 1, dtype=features.dtype, device=features.device)
    for _ in range(30):
        direction = F.normalize(rows.T @ (rows @ direction) + 1e-12, dim=0)
    return ((rows @ direction).square().mean()).sqrt().clamp(min=1e-12)


def fresh_features(
    encoder: nn.Module,
    images: ImageSet,
    size: int,
    mean: Float[Tensor, "3"] | None,
    std: Float[Tensor, "3"] | None,
    *,
    generator: torch.Generator,
    index: Int64[Tensor, "N"] | None = None,
    augmentation: Augmentation | None = None,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
) -> Fresh:
    """A function from indices to features of newly cropped and flipped views, for `linear_sgd`.

    The views are those of the papers' read-outs, `weak_views()` (crop .08-1, flip), unless another augmentation is
    given; `generator`, on the CPU, draws them. Where `index` names some of the images, the function counts among them.
    """
    augment = augmentation or weak_views()

    def fresh(batch: Int64[Tensor, "B"]) -> Float[Tensor, "B D"]:
        rows = batch if index is None else index[batch]
        params = augment.draw(Draw(rows, images.sizes[rows], 0, 0, generator, generator))
        views = render(images.pixels[rows.to(images.pixels.device)].to(device), params, size, mean, std)
        return encode(encoder, views, precision)

    return fresh
