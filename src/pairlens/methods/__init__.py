"""Methods, one short file each: a module with a plan and two functions, and the arguments that are its own.

There is no base class for methods; the protocol only names what `fit` asks of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.losses import info_nce
from pairlens.nets.branch import Branch
from pairlens.pairs import Contrast, Loss, Step
from pairlens.views.plans import Augmentation, Plan


@runtime_checkable
class Method(Protocol):
    """What `fit` asks of a method. It is an `nn.Module`, which brings the last three functions."""

    plan: Plan  # names the views and says what they share
    online: Branch  # the branch that learns, and whose encoder is the result

    def __call__(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare rendered views, [B, 3, S, S] each; the loss is ready for backward."""
        ...

    def after_step(self, *steps: Step) -> None:
        """Update what no gradient reaches (momentum, queue), after the optimiser used these steps' gradients."""
        ...

    def train(self, mode: bool = True) -> object: ...  # noqa: D102 - nn.Module's

    def state_dict(self) -> dict[str, Tensor]: ...  # noqa: D102 - nn.Module's

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> object: ...  # noqa: D102 - nn.Module's


@dataclass(frozen=True)
class Parts:
    """What a method is built from."""

    branch: Branch
    plan: Plan
    contrast: Contrast  # the method's loss behind the recipe's transform and selection
    images: ImageSet  # the training set: its size for a bank, its labels for the supervised baseline
    dim: int  # of the embedding
    steps: int  # of the whole training
    shuffle: bool  # whether key views are encoded in another order, for batch normalisation in parts
    weights: torch.Generator  # on the CPU; for a method's own layers
    state: torch.Generator  # on the training device; for a queue or a bank


@dataclass(frozen=True)
class MethodSettings(ABC):
    """The arguments that are a method's own, every field a flag, and what is fixed by the method.

    Made to be specialised once a method, in the method's file.
    """

    trains: ClassVar[bool] = True  # whether there is anything to learn; 0 epochs are a mistake otherwise
    contrasts: ClassVar[bool] = True  # whether the loss compares with negatives, so that mixing those has an effect
    live_keys: ClassVar[bool] = (
        False  # whether gradients reach the keys, so that it matters how a transform treats them
    )
    constant_rate: ClassVar[tuple[str, ...]] = ()  # submodules whose learning rate follows no schedule

    @property
    def temperature(self) -> float:
        """What scores are divided by before the loss; a field, and so a flag, where a method leaves it to choose."""
        return 1.0

    @property
    def spaces(self) -> tuple[str, ...]:
        """The names of its comparisons, in their order."""
        return ("z",)

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the branch's heads, in their order."""
        return ("z",)

    def resolve(self, count: int) -> "MethodSettings":
        """The same with everything chosen that was left open, for a set of so many images."""
        return self

    @property
    def idle_epochs(self) -> int:
        """Epochs at the beginning in which no parameter moves."""
        return 0

    def loss(self) -> Loss:
        """The loss of its comparisons."""
        return info_nce

    def plan(self, plan: Plan, view: Augmentation, size: int) -> Plan:
        """The plan of its views: the recipe's own, unless the method needs more views of `size` pixels."""
        return plan

    def shared_negatives(self, part: int, images: int) -> int:
        """How many of the shared negatives each query is compared with, where `part` of `images` come at a time."""
        return 2 * part - 2

    @property
    def own_negatives(self) -> int:
        """How many negatives of its own each query has beside the shared ones."""
        return 0

    @abstractmethod
    def build(self, parts: Parts) -> Method:
        """Put the method together."""


def usual_negatives(count: int) -> int:
    """Stored negatives where nobody says how many: 4096, or at most half the set, that few are of the query's image."""
    return min(4096, power_of_two(count // 2))


def power_of_two(limit: int) -> int:
    """The largest power of two up to `limit`, and 1 at least."""
    return 1 << max(0, limit.bit_length() - 1)
