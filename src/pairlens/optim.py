"""Optimisers and learning-rate schedules."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.errors import InputError

OptimizerName = Literal["sgd", "adamw", "lars"]
Schedule = Callable[[int], float]
"""The learning rate at a step; stateless, so a resumed run needs nothing but the step."""


def make_optimizer(
    name: OptimizerName,
    module: nn.Module,
    *,
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    constant_rate: Sequence[str] = (),
) -> torch.optim.Optimizer:
    """An optimiser over a module's trainable parameters.

    SGD decays every parameter, as MoCo's authors do. AdamW and LARS leave biases and normalisation out of the decay
    (and LARS out of its layer-wise scaling), as SimCLR's authors do. The parameters of the submodules that
    `constant_rate` names are marked so: their rate stays `lr` whatever the schedule (SimSiam's predictor).
    """
    if not (0 < lr < math.inf and 0 <= weight_decay < math.inf):
        raise InputError(
            f"the learning rate must be positive and the weight decay not negative, not {lr:g} (for this batch) and "
            f"{weight_decay:g}; SGD commonly takes 0.03 to 0.5, and 1e-4 to 5e-4"
        )
    groups = []
    for constant in (False, True):
        named = [
            p
            for path, p in module.named_parameters()
            if p.requires_grad and any(path.startswith(f"{part}.") for part in constant_rate) == constant
        ]
        decays = [p for p in named if name == "sgd" or p.ndim > 1]
        spared = [p for p in named if name != "sgd" and p.ndim <= 1]
        for parameters, decay in ((decays, weight_decay), (spared, 0.0)):
            if parameters:
                groups.append({"params": parameters, "weight_decay": decay, "constant_rate": constant})
    if name == "sgd":
        return torch.optim.SGD(groups, lr, momentum=momentum)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr)
    if name == "lars":
        return LARS(groups, lr, momentum=momentum)
    raise InputError(f"there is no optimiser {name!r}; use sgd, adamw or lars")


class LARS(torch.optim.Optimizer):
    """Momentum whose rate differs from weight matrix to weight matrix (You et al. 2017, Algorithm 1).

    With rate gamma, momentum m, decay beta and trust eta: v <- m v + gamma * lambda * (g + beta w), then w <- w - v,
    where lambda = eta * |w| / (|g| + beta |w|). The rate of each step stays with that step's share of v, so a schedule
    does not rescale what was gathered before. Vectors (biases, normalisation) have lambda = 1, as in SimCLR's settings.
    """

    def __init__(
        self, params: Iterable, lr: float, *, momentum: float = 0.9, weight_decay: float = 0.0, trust: float = 1e-3
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step down the gradients."""
        for group in self.param_groups:
            lr, decay = group["lr"], group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                step = p.grad.add(p, alpha=decay).mul_(lr)
                if p.ndim > 1:
                    step.mul_(trust_ratio(p, p.grad, decay, group["trust"]))
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                p.sub_(state["momentum_buffer"].mul_(group["momentum"]).add_(step))


def trust_ratio(weight: Tensor, gradient: Tensor, decay: float, trust: float) -> Float[Tensor, ""]:
    """trust * |w| / (|g| + decay |w|), and 1 where that is 0 or divided by 0; stays on the device.

    The exception is ours: by the formula a weight matrix that begins at 0 would stay there.
    """
    w, g = weight.norm(), gradient.norm()
    ratio = trust * w / (g + decay * w)
    return torch.where((ratio > 0) & ratio.isfinite(), ratio, torch.ones_like(ratio))


def l2_norm(tensors: Sequence[Tensor]) -> Float[Tensor, ""]:
    """The l2 norm of all tensors together, as of one long vector, on their device."""
    return torch.stack(torch._foreach_norm(list(tensors))).norm()


def cosine(lr: float, steps: int, warmup: int = 0, floor: float = 0.0) -> Schedule:
    """Linear warm-up over `warmup` steps, then half a cosine down to `floor` * lr (Loshchilov & Hutter 2017).

    Raises:
        InputError: the floor lies outside [0, 1].
    """
    if not 0 <= floor <= 1:
        raise InputError(f"the cosine ends at a share of the learning rate between 0 and 1, not at {floor}")

    def at(step: int) -> float:
        if step < warmup:
            return lr * (step + 1) / warmup
        falling = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
        return lr * (floor + (1 - floor) * falling)

    return at


def constant(lr: float, warmup: int = 0) -> Schedule:
    """Linear warm-up over `warmup` steps, then always the same rate."""
    return lambda step: lr * min(1.0, (step + 1) / max(1, warmup))


def step_decay(lr: float, milestones: Sequence[int], factor: float = 0.1, warmup: int = 0) -> Schedule:
    """Linear warm-up, then the rate is multiplied by `factor` at each milestone (steps)."""

    def at(step: int) -> float:
        if step < warmup:
            return lr * (step + 1) / warmup
        return lr * factor ** sum(step >= m for m in milestones)

    return at
