"""SimCLR (Chen et al. 2020): every other view of the batch is a negative.

B images, S view size.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.nets.branch import Branch
from pairlens.pairs import Contrast, Pairs, Step
from pairlens.views.plans import Plan


class SimCLR(nn.Module):
    """Both views of each image are queries, and each other's keys; the other 2B - 2 views are the negatives."""

    def __init__(self, branch: Branch, contrast: Contrast, plan: Plan) -> None:
        super().__init__()
        self.online = branch
        self.contrast = contrast
        self.plan = plan

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare all 2B views, [B, 3, S, S] each of "query" and "key"."""
        z = self.online(torch.cat([views["query"], views["key"]]))["z"]
        batch = len(z) // 2
        pairs = Pairs(query=z, key=z.roll(batch, 0), negatives=z, excluded=own_pair(batch, z.device))
        comparison = self.contrast(pairs, draw)
        return Step(comparison.loss, {"z": comparison})

    def after_step(self, *steps: Step) -> None:
        """Nothing lives outside the gradient's reach."""


def own_pair(batch: int, device: torch.device) -> Bool[Tensor, "{2*batch} {2*batch}"]:
    """Which of the 2B views are no negatives of a view: itself, and the other view of its image."""
    image = torch.arange(2 * batch, device=device) % batch
    return image[:, None] == image[None, :]
