"""A branch that follows another one's moving average (MoCo; BYOL's target network).

B images, S view size, D dimensions of a space.
"""

import copy
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.nets.branch import Branch

MomentumSchedule = Callable[[int], float]
"""The momentum after a step; stateless, so a resumed run needs nothing but the step."""


class MomentumBranch(nn.Module):
    """A copy of a branch that no gradient reaches; it begins as the branch and moves towards it after each step.

    With `shuffle` its views are encoded in another order than they come, so that batch normalisation over parts of
    the batch (`SplitBatchNorm2d`, or one device of many) cannot tell which query belongs to which key (MoCo,
    Section 3.3). Normalisation statistics are its own: buffers are not averaged.
    """

    def __init__(self, online: Branch, momentum: float | MomentumSchedule, *, shuffle: bool = False) -> None:
        if isinstance(momentum, int | float) and not 0 <= momentum <= 1:
            raise InputError(f"the momentum must lie in [0, 1], not {momentum}; MoCo uses 0.999, short runs 0.99")
        super().__init__()
        self.branch = copy.deepcopy(online).requires_grad_(False)
        self.momentum = momentum
        self.shuffle = shuffle

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "B 3 S S"], draw: Draw) -> dict[str, Float[Tensor, "B D"]]:
        """Unit embeddings by space, without gradients."""
        if not self.shuffle:
            return self.branch(images)
        order = torch.randperm(len(images), generator=draw.features, device=draw.features.device)
        back = order.argsort()
        return {space: z[back] for space, z in self.branch(images[order]).items()}

    def follow(self, online: Branch, step: int) -> None:
        """Move towards the online branch, after optimiser step number `step`."""
        momentum = self.momentum(step) if callable(self.momentum) else self.momentum
        update_momentum(online, self.branch, momentum)


@torch.no_grad()
def update_momentum(online: nn.Module, target: nn.Module, momentum: float) -> None:
    """theta_k <- m theta_k + (1 - m) theta_q for every parameter (FT, Eq. 2); buffers are left alone."""
    torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), 1 - momentum)


def rising_momentum(start: float, steps: int) -> MomentumSchedule:
    """From `start` to 1 along half a cosine: 1 - (1 - start)(cos(pi k / K) + 1) / 2 (BYOL, Section 3.2)."""
    if not 0 <= start <= 1:
        raise InputError(f"the momentum must lie in [0, 1], not {start}; BYOL uses 0.996")
    return lambda step: 1 - (1 - start) * (math.cos(math.pi * min(step, steps) / max(1, steps)) + 1) / 2
