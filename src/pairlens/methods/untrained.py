"""Random initialisation as a method: the baseline that every other one has to beat.

B images, S view size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.methods import MethodSettings, Parts
from pairlens.methods.crossed import GLOBAL, batch_pairs, encode_together
from pairlens.nets.branch import Branch
from pairlens.pairs import Contrast, Step
from pairlens.views.plans import Plan


@dataclass(frozen=True)
class UntrainedSettings(MethodSettings):
    """Random initialisation has no arguments of its own; its recipe trains for 0 epochs."""

    trains: ClassVar[bool] = False

    @property
    def temperature(self) -> float:
        """Of the InfoNCE that is recorded; nothing is trained with it."""
        return 0.1

    def build(self, parts: Parts) -> "Untrained":
        """The branch as it was drawn."""
        return Untrained(parts.branch, parts.contrast, parts.plan)


class Untrained(nn.Module):
    """Compares views as SimCLR does, and never changes.

    It is always in evaluation mode, so normalisation keeps its first statistics, and its loss is a number without
    history: `backward` runs but reaches no parameter, so an optimiser finds no gradient and changes nothing.
    """

    def __init__(self, branch: Branch, contrast: Contrast, plan: Plan) -> None:
        super().__init__()
        self.online = branch
        self.contrast = contrast
        self.plan = plan
        self.eval()

    def train(self, mode: bool = True) -> "Untrained":
        """Stay in evaluation mode, whatever is asked for."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare all views, [B, 3, S, S] each of "query" and "key"."""
        z = encode_together(self.online, views)
        comparison = self.contrast(batch_pairs(z, {name: z[name] for name in GLOBAL}), draw)
        return Step(comparison.loss.clone().requires_grad_(), {"z": comparison}, draw)

    def after_step(self, *steps: Step) -> None:
        """Nothing ever changes."""
