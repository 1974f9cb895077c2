"""SimCLR (Chen et al. 2020): every other view of the batch is a negative.

B images, S view size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.methods import MethodSettings, Parts
from pairlens.methods.crossed import GLOBAL, batch_pairs, encode_together
from pairlens.nets.branch import Branch
from pairlens.pairs import Contrast, Step
from pairlens.views.plans import Plan


@dataclass(frozen=True)
class SimCLRSettings(MethodSettings):
    """SimCLR's own arguments."""

    live_keys: ClassVar[bool] = True

    temperature: float = 0.1
    """What scores are divided by before the loss."""

    def build(self, parts: Parts) -> "SimCLR":
        """SimCLR; its negatives come with the batch."""
        return SimCLR(parts.branch, parts.contrast, parts.plan)


class SimCLR(nn.Module):
    """Both views of each image are queries, and each other's keys; the other 2B - 2 views are the negatives.

    Local views of a multi-crop plan are further queries, against the large views.
    """

    def __init__(self, branch: Branch, contrast: Contrast, plan: Plan) -> None:
        super().__init__()
        self.online = branch
        self.contrast = contrast
        self.plan = plan

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare all views, [B, 3, S, S] each of "query" and "key"."""
        z = encode_together(self.online, views)
        comparison = self.contrast(batch_pairs(z, {name: z[name] for name in GLOBAL}), draw)
        return Step(comparison.loss, {"z": comparison}, draw)

    def after_step(self, *steps: Step) -> None:
        """Nothing lives outside the gradient's reach."""
