"""MoCo (He et al. 2020), v1 and v2: a momentum encoder and a queue of its keys.

B images, S view size, D dimensions, K queued keys.
"""

import copy
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.negatives import Queue
from pairlens.nets.branch import Branch
from pairlens.pairs import Contrast, Pairs, Step
from pairlens.views.plans import Plan


class MoCo(nn.Module):
    """Queries of the online branch against keys of its moving average; negatives are the queue of earlier keys.

    With `shuffle` the keys are encoded in another order than the queries, so that batch normalisation over parts of
    the batch (`SplitBatchNorm2d`, or one device of many) cannot tell which query belongs to which key.
    v1 and v2 differ in head, views and temperature only: those are arguments of the recipe.
    """

    def __init__(
        self, branch: Branch, queue: Queue, contrast: Contrast, plan: Plan, *, momentum: float, shuffle: bool = False
    ) -> None:
        if not 0 <= momentum <= 1:
            raise InputError(f"the momentum must lie in [0, 1], not {momentum}; MoCo uses 0.999, short runs 0.99")
        super().__init__()
        self.online = branch
        self.target = copy.deepcopy(branch).requires_grad_(False)
        self.queue = queue
        self.contrast = contrast
        self.plan = plan
        self.momentum = momentum
        self.shuffle = shuffle

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare `views["query"]` with `views["key"]`, [B, 3, S, S] each, and with the queue."""
        query = self.online(views["query"])["z"]
        key = self._keys(views["key"], draw)
        comparison = self.contrast(Pairs(query, key, self.queue.keys), draw)
        return Step(comparison.loss, {"z": comparison})

    def after_step(self, *steps: Step) -> None:
        """Move the key branch and enqueue the raw keys, never transformed ones."""
        for step in steps:
            self.queue.enqueue(step.comparisons["z"].raw.key)
        update_momentum(self.online, self.target, self.momentum)

    @torch.no_grad()
    def _keys(self, images: Float[Tensor, "B 3 S S"], draw: Draw) -> Float[Tensor, "B D"]:
        if not self.shuffle:
            return self.target(images)["z"]
        order = torch.randperm(len(images), generator=draw.features, device=draw.features.device)
        return self.target(images[order])["z"][order.argsort()]


@torch.no_grad()
def update_momentum(online: nn.Module, target: nn.Module, momentum: float) -> None:
    """theta_k <- m theta_k + (1 - m) theta_q for every parameter (FT, Eq. 2); buffers are left alone."""
    torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), 1 - momentum)
