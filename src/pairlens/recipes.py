"""Recipes: a method with the numbers it is trained with. A recipe is a function; its keyword arguments are flags.

The defaults suit small sets on one machine and name their source; the papers' own settings for their own data are
other recipes.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import wraps
from typing import Any, ParamSpec

import torch

from pairlens.errors import InputError
from pairlens.losses import info_nce
from pairlens.methods import Method
from pairlens.methods.moco import MoCo
from pairlens.methods.simclr import SimCLR
from pairlens.negatives import Queue
from pairlens.nets.branch import Branch
from pairlens.pairs import Contrast
from pairlens.settings import FeatureTransform, Network, Optimisation, Views
from pairlens.views.plans import Plan, two_views

P = ParamSpec("P")
Build = Callable[[Branch, Plan, Contrast, torch.Generator], Method]


@dataclass(frozen=True)
class Recipe:
    """A method ready to be put together with data and a machine (`assemble`)."""

    network: Network
    views: Views
    optimisation: Optimisation
    transform: FeatureTransform
    temperature: float
    build: Build  # from a branch, a plan, a contrast and a generator on the device
    negatives: int | None = None  # queued negatives; None where the batch provides them
    name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)  # as called, by parameter

    def plan(self) -> Plan:
        """The two views of the recipe."""
        return two_views(self.views.augmentation())

    def negatives_of_a_query(self, part: int) -> int:
        """How many negatives each query has where `part` images are compared at a time.

        Twice as many with the union queue (FT, Table 5); mixed in-batch negatives lose a few more to exclusion.
        """
        count = 2 * part - 2 if self.negatives is None else self.negatives
        return 2 * count if self.transform.union and self.transform.mixes_negatives else count

    def contrast(self) -> Contrast:
        """InfoNCE behind the recipe's feature transformation."""
        if not 0 < self.temperature < math.inf:
            raise InputError(f"the temperature must be positive, not {self.temperature}; common values: 0.07 to 0.5")
        return Contrast(info_nce, self.temperature, self.transform.transform())


def recipe(function: Callable[P, Recipe]) -> Callable[P, Recipe]:
    """Let a recipe remember how it was called, so that a run folder can tell, and call it again."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Recipe:
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        return replace(function(*bound.args, **bound.kwargs), name=function.__name__, arguments=bound.arguments)

    return call


@recipe
def moco_v1(
    *,
    network: Network = Network(head="linear", splits=8),
    views: Views = Views(jitter=(0.4, 0.4, 0.4, 0.4), jitter_probability=1.0, blur=0.0),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    temperature: float = 0.07,
    negatives: int | None = None,
    momentum: float = 0.99,
) -> Recipe:
    """MoCo v1 (He et al. 2020; FT's main baseline): linear head, temperature .07, always-on jitter, no blur.

    Momentum .99 is FT's for ImageNet-100; optimiser and queue are those of lightly's CIFAR-10 benchmark.

    Args:
        network: the encoder and its head.
        views: the augmented views.
        optimisation: budget, optimiser, schedule.
        transform: feature transformation.
        temperature: what scores are divided by before the loss.
        negatives: keys in the queue (K); 4096, or up to half the set.
        momentum: of the key encoder (m); 1 never moves it.
    """
    return _moco(network, views, optimisation, transform, temperature, negatives, momentum)


@recipe
def moco_v2(
    *,
    network: Network = Network(splits=8),
    views: Views = Views(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    temperature: float = 0.1,
    negatives: int | None = None,
    momentum: float = 0.99,
) -> Recipe:
    """MoCo v2 (Chen, Fan et al. 2020): MLP head, jitter .8, blur above 64 px, cosine schedule.

    Temperature .1 (the paper: .2 on ImageNet), momentum, optimiser and queue are those of lightly's CIFAR-10 benchmark.

    Args:
        network: the encoder and its head.
        views: the augmented views.
        optimisation: budget, optimiser, schedule.
        transform: feature transformation.
        temperature: what scores are divided by before the loss.
        negatives: keys in the queue (K); 4096, or up to half the set.
        momentum: of the key encoder (m); 1 never moves it.
    """
    return _moco(network, views, optimisation, transform, temperature, negatives, momentum)


@recipe
def simclr(
    *,
    network: Network = Network(),
    views: Views = Views(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    temperature: float = 0.1,
) -> Recipe:
    """SimCLR (Chen, Kornblith et al. 2020): every other view of the batch is a negative; MLP head.

    Its authors' jitter on CIFAR-10 (strength .5) is the default here: (.4, .4, .4, .1); so is their temperature on
    ImageNet, .1 (their .5 on CIFAR-10 is for batches and trainings many times as long).

    Args:
        network: the encoder and its head.
        views: the augmented views.
        optimisation: budget, optimiser, schedule.
        transform: feature transformation.
        temperature: what scores are divided by before the loss.
    """

    def build(branch: Branch, plan: Plan, contrast: Contrast, generator: torch.Generator) -> Method:
        return SimCLR(branch, contrast, plan)

    return Recipe(network, views, optimisation, transform, temperature, build)


@recipe
def scenes_simclr(
    *,
    network: Network = Network(),
    views: Views = Views(crop=(0.4, 1.0), jitter=(0.8, 0.8, 0.8, 0.2), gray=0.5, flip=0.0),
    optimisation: Optimisation = Optimisation(batch=128, optimizer="adamw", lr=8e-3),
    transform: FeatureTransform = FeatureTransform(),
    temperature: float = 0.1,
) -> Recipe:
    """SimCLR (Chen, Kornblith et al. 2020) for the built-in `scenes`: strong jitter, much gray, no mirrored digits.

    The numbers were chosen by kNN on a held-out part of its training images.

    Args:
        network: the encoder and its head.
        views: the augmented views.
        optimisation: budget, optimiser, schedule.
        transform: feature transformation.
        temperature: what scores are divided by before the loss.
    """
    return simclr(network=network, views=views, optimisation=optimisation, transform=transform, temperature=temperature)


RECIPES: Mapping[str, Callable[..., Recipe]] = {f.__name__: f for f in (moco_v1, moco_v2, simclr, scenes_simclr)}


def usual_recipe(source: str) -> str:
    """The recipe for a source where none is named."""
    return "scenes_simclr" if source.split(":", maxsplit=1)[0] == "scenes" else "moco_v2"


def find_recipe(name: str) -> Callable[..., Recipe]:
    """A recipe by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in RECIPES:
        raise InputError(f"there is no method {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]


def flatten(recipe: Recipe) -> dict[str, Any]:
    """The recipe's arguments as one flat record, a key a flag."""
    flat: dict[str, Any] = {}
    for name, value in recipe.arguments.items():
        flat |= asdict(value) if is_dataclass(value) and not isinstance(value, type) else {name: value}
    return flat


def restore(name: str, flat: Mapping[str, Any]) -> Recipe:
    """The recipe that `flatten` described."""
    function = find_recipe(name)
    arguments = {}
    for parameter in inspect.signature(function).parameters.values():
        group = parameter.annotation
        if isinstance(group, type) and is_dataclass(group):
            values = {f.name: flat[f.name] for f in fields(group)}
            values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            arguments[parameter.name] = group(**values)
        else:
            arguments[parameter.name] = flat[parameter.name]
    return function(**arguments)


def _moco(
    network: Network,
    views: Views,
    optimisation: Optimisation,
    transform: FeatureTransform,
    temperature: float,
    negatives: int | None,
    momentum: float,
) -> Recipe:
    def build(branch: Branch, plan: Plan, contrast: Contrast, generator: torch.Generator) -> Method:
        assert negatives is not None
        queue = Queue(negatives, network.dim, generator)
        return MoCo(branch, queue, contrast, plan, momentum=momentum, shuffle=network.splits > 1)

    return Recipe(network, views, optimisation, transform, temperature, build, negatives)
