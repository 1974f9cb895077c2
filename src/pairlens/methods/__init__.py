"""Contrastive methods, one short file each.

A method is a module with a plan and two functions; there is no base class, this protocol only names them.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor

from pairlens.draw import Draw
from pairlens.nets.branch import Branch
from pairlens.pairs import Step
from pairlens.views.params import ViewParams

Plan = Callable[[Draw], dict[str, ViewParams]]


class Method(Protocol):
    """What `fit` asks of a method (an `nn.Module` too)."""

    plan: Plan  # names the views and says what they share
    online: Branch  # the branch that learns, and whose encoder is the result

    def __call__(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare rendered views, [B, 3, S, S] each; the loss is ready for backward."""
        ...

    def after_step(self, *steps: Step) -> None:
        """Update what no gradient reaches (momentum, queue), after the optimiser used these steps' gradients."""
        ...
