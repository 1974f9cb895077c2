"""Contrastive methods, one short file each.

A method is a module with a plan and two functions; there is no base class, this protocol only names them.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from pairlens.draw import Draw
from pairlens.nets.branch import Branch
from pairlens.pairs import Step
from pairlens.views.plans import Plan


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
