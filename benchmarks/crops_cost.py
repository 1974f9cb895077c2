"""What ContrastiveCrop costs: finding boxes, and drawing crops about them, against the training around it."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from timing import now, steps

from pairlens.assemble import assemble
from pairlens.data.images import ImageSet
from pairlens.data.scenes import make_scenes
from pairlens.draw import Draw
from pairlens.hooks import Localiser
from pairlens.place import Place
from pairlens.recipes import find_recipe
from pairlens.resolve import resolve
from pairlens.settings import Network, Optimisation
from pairlens.train import Training
from pairlens.views.boxes import Boxes


@dataclass(frozen=True)
class Case:
    """A training of the paper's, and how it is measured here."""

    name: str
    recipe: str
    epochs: int  # of the paper
    side: int  # of the stored images, pixels
    batch: int
    images: int  # whose boxes are found at a time
    encoder: str | None = None  # in place of the recipe's

    @property
    def refreshes(self) -> int:
        """How often boxes are found in the paper's training."""
        crops = find_recipe(self.recipe)().crops
        return len(range(crops.box_start or 0, self.epochs, crops.box_every or 1))

    @property
    def about_boxes(self) -> int:
        """Epochs of it whose crops fall about boxes."""
        return self.epochs - (find_recipe(self.recipe)().crops.box_start or 0)


CASES = (
    Case("CIFAR-10, MoCo, ResNet-18", "cifar10.moco_v2", 500, 32, 128, 512),
    Case("CIFAR-10, SimCLR, ResNet-18", "cifar10.simclr", 500, 32, 128, 512),
    Case("CIFAR-10, BYOL, ResNet-18", "cifar10.byol", 500, 32, 128, 512),
    Case("CIFAR-10, SimSiam, ResNet-18", "cifar10.simsiam", 500, 32, 128, 512),
    Case("CIFAR-10, MoCo, resnet8w", "cifar10.moco_v2", 500, 32, 128, 2048, "resnet8w"),
    Case("ImageNet, MoCo v2, ResNet-50", "imagenet.moco_v2", 100, 256, 32, 64),
)
"""The paper's two schedules. MoCo's steps are the cheapest, so its share is the greatest; so is a small encoder's."""


@dataclass(frozen=True)
class Cost:
    """Seconds an image, medians over the rounds, and what they come to."""

    case: str
    schedule: str
    step: float  # of training with random crops
    refresh: float  # of finding boxes once
    random: float  # of drawing both rectangles anywhere
    about: float  # of drawing both about boxes
    share: float  # of the training's time that ContrastiveCrop adds, both together
    sampling: float  # of it, what drawing adds


def measure(case: Case, place: Place, rounds: int, tell: Callable[[int, int], None]) -> Cost:
    """Time steps, a refresh by the training's own hook, and both samplers, in turns: a busy machine slows all alike.

    Processor time on a CPU, wall time elsewhere. Images are in memory already.
    """
    images = pictures(case)
    recipe = find_recipe(case.recipe)(
        network=_with(find_recipe(case.recipe)().network, case.encoder),
        optimisation=Optimisation(epochs=10_000, batch=case.batch),
    )
    crops = replace(recipe.crops, boxes="found").resolve(recipe.views.size or 32, 10_000)
    t = assemble(resolve(recipe, images, place), images, place, seed=0)
    boxes = Boxes.unknown(len(images))
    samplers = {"random": recipe.crops.cropper(None), "about": crops.cropper(boxes)}
    draws = {name: make(recipe.views.crop) for name, make in samplers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ("step", "refresh", *draws)}
    with tempfile.TemporaryDirectory() as folder:
        localiser = Localiser(Path(folder), images, crops, t, record=False, say=lambda text: None)
        for number in range(rounds + 1):  # the first only warms up
            seconds["step"].append(steps(t, 2) / (2 * t.order.batch))
            seconds["refresh"].append(_refresh(localiser, t, boxes) / len(images))
            for name, sample in draws.items():
                seconds[name].append(_draws(sample, images, t.order.batch))
            tell(number, rounds)
    step, refresh, random, about = (statistics.median(found[1:]) for found in seconds.values())
    training = case.epochs * step
    sampling = case.about_boxes * (about - random) / training
    schedule = f"{case.epochs} epochs, {case.refreshes} refreshes"
    return Cost(
        case.name, schedule, step, refresh, random, about, case.refreshes * refresh / training + sampling, sampling
    )


def pictures(case: Case) -> ImageSet:
    """Scenes at the size of the paper's images: what they show costs nothing."""
    return make_scenes(size=case.side, train=case.images, test=1).train


def _with(network: Network, encoder: str | None) -> Network:
    return network if encoder is None else replace(network, encoder=encoder)


def _refresh(localiser: Localiser, t: Training, boxes: Boxes) -> float:
    """Seconds of the hook that finds the boxes of all images."""
    t.boxes, localiser.at = boxes, {t.step}
    began = now(t)
    localiser(t)
    seconds = now(t) - began
    t.boxes = None
    return seconds


def _draws(sample: Callable[[Draw], torch.Tensor], images: ImageSet, batch: int, times: int = 50) -> float:
    """Processor seconds of drawing both rectangles of an image, in batches."""
    generator = torch.Generator().manual_seed(0)
    index = torch.arange(batch) % len(images)
    draw = Draw(index, images.sizes[index], 0, 0, generator, generator)
    began = time.process_time()
    for _ in range(2 * times):
        sample(draw)
    return (time.process_time() - began) / (times * batch)


def table(costs: list[Cost]) -> Iterator[str]:
    """Markdown lines."""
    yield (
        "| training | schedule | a step, ms an image | finding boxes once, ms an image | drawing both crops, µs an "
        "image: random | about boxes | added: finding | drawing | both |"
    )
    yield "|" + "---|" * 9
    for c in costs:
        yield (
            f"| {c.case} | {c.schedule} | {1e3 * c.step:.2f} | {1e3 * c.refresh:.3f} | {1e6 * c.random:.2f} | "
            f"{1e6 * c.about:.2f} | {c.share - c.sampling:.2%} | {c.sampling:.2%} | **{c.share:.2%}** |"
        )
