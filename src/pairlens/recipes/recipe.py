"""What a recipe is: a method and the numbers it is trained with."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import ParamSpec

from pairlens.errors import InputError
from pairlens.localisation import ContrastiveCrop
from pairlens.methods import MethodSettings
from pairlens.pairs import Contrast
from pairlens.settings import FeatureTransform, Network, Optimisation, Selection, Views
from pairlens.views.boxes import Boxes
from pairlens.views.plans import Plan

P = ParamSpec("P")


@dataclass(frozen=True)
class Recipe:
    """A method ready to be put together with data and a machine (`assemble`).

    The functions that make recipes take some of these groups as keyword arguments; every field of a group is a flag.
    """

    method: MethodSettings
    network: Network
    views: Views
    crops: ContrastiveCrop
    optimisation: Optimisation
    transform: FeatureTransform = FeatureTransform()
    selection: Selection = Selection()
    name: str = ""

    def plan(self, boxes: Boxes | None = None) -> Plan:
        """The method's views, their crops about these boxes, or anywhere; everything must be resolved."""
        crop = self.crops.cropper(boxes)
        return self.method.plan(self.views.plan(crop), self.views.augmentation(crop), self.views.size or 0)

    def negatives_of_a_query(self, part: int, images: int) -> int:
        """How many negatives each query's loss sees, where `part` of the set's images are compared at a time.

        Mixed in-batch negatives lose a few more to exclusion.
        """
        return self.selection.of(self._negatives(part, images))

    def check_selection(self, part: int, images: int) -> None:
        """Whether there are as many negatives as are selected, where `part` of the set's images come at a time.

        Raises:
            InputError: there are fewer.
        """
        if self.method.contrasts:
            self.selection.check_count(self._negatives(part, images))

    def _negatives(self, part: int, images: int) -> int:
        """How many each query has before selection: the shared ones twice with the union queue (FT, Table 5)."""
        if not self.method.contrasts:
            return 0
        shared = self.method.shared_negatives(part, images)
        return (2 * shared if self._doubles else shared) + self.method.own_negatives

    def contrast(self) -> Contrast:
        """The method's loss behind the recipe's feature transformation and selection.

        Raises:
            InputError: the temperature is not positive, or what is asked for has no effect in this method.
        """
        temperature = self.method.temperature
        if not 0 < temperature < math.inf:
            raise InputError(f"the temperature must be positive, not {temperature}; common values: 0.07 to 0.5")
        transform = self.transform
        if not self.method.contrasts:
            self._check_without_negatives()
            if transform.renormalise is None and transform.mixes_positives:
                transform = replace(transform, renormalise=True)
        if transform.mixes_positives and transform.gradient == "both" and not self.method.live_keys:
            raise InputError(
                f"the keys of {self.name or 'this method'} carry no gradient, so gradient both is the same as query; "
                "leave it out, or choose simclr"
            )
        transforms = transform.transform()
        self._check_mining()
        return Contrast(self.method.loss(), temperature, transforms, self.selection.function(), self.selection.mine_on)

    def _check_without_negatives(self) -> None:
        """Refuse what acts on negatives where the loss sees none."""
        transform, who = self.transform, self.name or "this method"
        if transform.mixes_negatives:
            raise InputError(
                f"{who} compares with no negatives, so mixing them has no effect; transform its positives "
                "(extrapolate), or choose a contrastive method"
            )
        if transform.mixes_positives and transform.negatives_see == "raw":
            raise InputError(
                f"{who} compares with no negatives, so what negatives_see has no effect; leave it out, or choose a "
                "contrastive method"
            )

    def _check_mining(self) -> None:
        """Refuse raw scores to rank by where they are the same, or where not every negative has one."""
        if self.selection.select == "all" or self.selection.mine_on != "raw":
            return
        if self._doubles:
            raise InputError(
                "mine_on raw ranks the original negatives, and union adds mixed ones that have no raw scores; leave "
                "out one of the two"
            )
        if not (self.transform.mixes_positives or self.transform.mixes_negatives):
            raise InputError(
                "mine_on raw ranks by the scores before the feature transformation, and there is none; add extrapolate "
                "or interpolate, or leave it out"
            )

    @property
    def _doubles(self) -> bool:
        """Whether the shared negatives are doubled: mixed ones beside the original ones."""
        return self.transform.union and self.transform.mixes_negatives


def recipe(function: Callable[P, Recipe]) -> Callable[P, Recipe]:
    """Let a recipe know its name: the function's, after the data's where it lives in a data set's module."""
    module = function.__module__.rpartition(".")[2]
    name = function.__name__ if module == "general" else f"{module}.{function.__name__}"

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Recipe:
        return replace(function(*args, **kwargs), name=name)

    return call
