"""Choose what a recipe left open, from the images and the machine."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pairlens.data.images import ImageSet
from pairlens.idle import without_brought
from pairlens.methods import power_of_two
from pairlens.nets.backbones import is_backbone
from pairlens.nets.weights import PRETRAINED
from pairlens.optim import OptimizerName
from pairlens.place import Place
from pairlens.recipes import RECIPES
from pairlens.recipes.recipe import Recipe
from pairlens.settings import Network
from pairlens.styling import WAYS

T = TypeVar("T")
USUAL: Mapping[OptimizerName, tuple[float, float]] = {"sgd": (0.12, 5e-4), "adamw": (4e-3, 1e-4), "lars": (0.3, 1e-6)}
"""Learning rate for a batch of 256, and weight decay: lightly's CIFAR-10 benchmark; ours with resnet8w; SimCLR's."""
OWN = ("stem", "splits", "zero_init_residual")
"""Arguments that shape our own encoders, and nothing of another library's."""


def resolve(recipe: Recipe, images: ImageSet, place: Place) -> Recipe:
    """The same recipe with everything chosen that was left open, from the images' size and count and the machine.

    Small images (up to 64 px) get views of their own size and the small stem; photographs 64 px on a CPU and 224 px on
    a GPU. A CPU gets resnet8w, batches of 128 (in short trainings many steps count for more than large batches) and as
    many epochs as take a few minutes; a GPU resnet18, 256 and 200 epochs. The queue takes at most half the set, so that
    few of its keys are views of the query's own image. A set too small for batches with two images in each split is
    normalised whole. What the recipe brought for something that is switched off is dropped.
    """
    usual = RECIPES[recipe.name]() if recipe.name in RECIPES else recipe
    recipe = replace(
        recipe,
        views=without_brought(recipe.views, usual.views),
        crops=without_brought(recipe.crops, usual.crops),
        network=without_brought(recipe.network, usual.network),
        optimisation=without_brought(recipe.optimisation, usual.optimisation),
    )
    count, stored = len(images), min(images.pixels.shape[2:])
    gpu = place.device.type == "cuda"
    size = _or(recipe.views.size, min(stored, 224 if gpu else 64))
    views = replace(
        recipe.views,
        size=size,
        blur=_or(recipe.views.blur, 0.5 if size > 64 else 0.0),
        local_size=_or(recipe.views.local_size, max(8, 8 * round(size * 3 / 7 / 8)) if recipe.views.locals else None),
        styled_by=_whole(recipe.views.styled_by),
        styles_from=None if recipe.views.styles_from is None else _whole(recipe.views.styles_from),
    )
    network = _resolve_network(recipe.network, usual.network, size, gpu)
    batch = _or(recipe.optimisation.batch, min(256 if gpu else 128, count, max(2, power_of_two(count // 2))))
    pixels = count * max(1, size) ** 2
    least = 1 + recipe.method.idle_epochs
    epochs = _or(recipe.optimisation.epochs, 200 if gpu else max(least, min(1000, 360_000 * 32**2 // pixels)))
    lr, decay = USUAL[recipe.optimisation.optimizer]
    optimisation = replace(
        recipe.optimisation,
        batch=batch,
        epochs=epochs,
        lr=_or(recipe.optimisation.lr, lr),
        weight_decay=_or(recipe.optimisation.weight_decay, decay),
    )
    if recipe.optimisation.batch is None and batch < 2 * network.splits:
        network = replace(network, splits=1)
    method, crops = recipe.method.resolve(count), recipe.crops.resolve(size, epochs)
    return replace(recipe, method=method, views=views, crops=crops, network=network, optimisation=optimisation)


def _resolve_network(network: Network, usual: Network, size: int, gpu: bool) -> Network:
    """Choose encoder and stem; drop what the recipe brought, its usual network, and another library's has not.

    A path of weights is made absolute, so that the run can be resumed from any folder.
    """
    if network.weights not in (None, PRETRAINED):
        network = replace(network, weights=_whole(network.weights))
    if is_backbone(network.encoder or ""):
        brought = [name for name in OWN if getattr(network, name) == getattr(usual, name)]
        return replace(network, **{name: getattr(Network, name) for name in brought})
    return replace(
        network,
        encoder=network.encoder or ("resnet18" if gpu else "resnet8w"),
        stem=network.stem or ("small" if size <= 64 else "imagenet"),
    )


def _whole(name: str) -> str:
    """A path by its whole name, where it is one of something that is there; any other text, and a way's, as it is."""
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() and name not in WAYS else name


def _or(value: T | None, default: T) -> T:
    return default if value is None else value
