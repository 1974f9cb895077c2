"""The landscape of the loss along its own gradient: how far the slope tells what comes (Santurkar et al. 2018).

From the weights w, where the loss L of some fixed batches has the gradient g, one walks to w - e g for several e, and
asks at each place for the loss and for the gradient (How Does Batch Normalization Help Optimization?, Section 3.2 and
Figure 4: "loss landscape", "gradient predictiveness" and "effective beta-smoothness"). FT's Figures 4 and 7 c, d name
a gradient (l2 norm) landscape whose details are in a supplement that we do not have; this is our reading of it, beside
the gradient norm of every step that the recorder keeps.

M step sizes of a walk.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.optim import l2_norm
from pairlens.train import Training, draw_part, render_views

SEED = 0
"""Of the batches' images, views and features: not the run's, so that runs on the same images see the same ones."""


@dataclass(frozen=True)
class Sizes:
    """How far to walk, in two units.

    The learning rate's is that of the steps that are taken: it tells whether *this training* can trust its gradients.
    But schedules shrink it to nothing, an adaptive optimiser's is no multiple of the gradient, and a run with another
    rate walks elsewhere. So the same is asked at equal distances, too. They are shares of the weights' norm, because
    behind a normalisation a loss does not change when weights are scaled: only relative distances compare networks, or
    one network early and late, when weight decay or long training have changed its norm.
    """

    rates: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
    """e as multiples of the learning rate; Santurkar et al. walk from half of it to four times."""
    shares: tuple[float, ...] = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016)
    """e |g| as shares of |w|: with MoCo from a step's length, about, to where the loss rises again."""

    def __post_init__(self) -> None:
        for name, values in (("step sizes", self.rates), ("distances", self.shares)):
            if not values or list(values) != sorted({float(v) for v in values if 0 < v < float("inf")}):
                given = ", ".join(f"{v:g}" for v in values) or "none"
                raise InputError(f"the {name} must be positive numbers that rise, not {given}; give some like 0.5 1 2")


USUAL = Sizes()


@dataclass(frozen=True)
class Walk:
    """What was found at each step size; NaN where there is no finite slope to walk down."""

    loss: Float[np.ndarray, "M"]
    change: Float[np.ndarray, "M"]  # l2 norm of the gradient there minus the gradient here


@dataclass(frozen=True)
class Point:
    """The landscape around the weights after some step."""

    step: int  # optimiser steps done
    epoch: float
    batches: int
    learning_rate: float  # of the next step, and at the end of the last one
    loss: float
    gradient_norm: float
    weight_norm: float  # of all that the optimiser moves
    sizes: Sizes
    rates: Walk
    shares: Walk


def landscape(t: Training, batches: int = 1, sizes: Sizes = USUAL) -> Point:
    """Measure the landscape around a training's weights, and leave the training as it was, bit for bit.

    The loss is the one that is descended, as the step to come has it: in training mode, in the training's precision,
    with its transform, its selection and as many parts as it accumulates; over several batches it is their mean. Its
    images are drawn by a seed, and at each place on the way the same views are shown and the same random numbers given
    to the features. (ContrastiveCrop's boxes may have changed the views since the last time, as training's own.) What
    the optimiser moves is walked along the gradient of the loss alone, all of it by the same e: without momentum or
    decay, and without a second learning rate. What the optimiser does not move stays: a momentum branch, a queue, a
    bank, as they do within a step. Targets without a gradient that the weights make anew (SwAV's codes, SimSiam's keys)
    move along; there the loss may rise from the first step on.

    A loss or a gradient that is no finite number is kept as it is.

    Raises:
        InputError: there are not enough images for so many batches.
    """
    weights = [p for group in t.optimizer.param_groups for p in group["params"]]
    shown = _fixed(t, batches)
    with _undisturbed(t, weights) as (start, buffers):
        loss, gradient = _look(t, weights, buffers, shown)
        norm, length = l2_norm(gradient).item(), l2_norm(start).item()
        rate = t.schedule(max(0, min(t.step, t.steps - 1)))

        def walk(steps: Sequence[float]) -> Walk:
            found = np.full((2, len(steps)), np.nan)
            for i, step in enumerate(steps if isfinite(norm) and norm > 0 else ()):
                with torch.no_grad():
                    for weight, origin, slope in zip(weights, start, gradient, strict=True):
                        weight.copy_(origin - step * slope)
                there, turned = _look(t, weights, buffers, shown)
                found[:, i] = there, l2_norm(torch._foreach_sub(turned, gradient)).item()
            return Walk(*found)

        return Point(
            step=t.step,
            epoch=t.step / len(t.order),
            batches=batches,
            learning_rate=rate,
            loss=loss,
            gradient_norm=norm,
            weight_norm=length,
            sizes=sizes,
            rates=walk([r * rate for r in sizes.rates]),
            shares=walk([s * length / norm if norm else np.nan for s in sizes.shares]),
        )


Shown = list[tuple[Draw, Mapping[str, Tensor]]]
"""Parts of all batches: what was drawn for each, and its views."""


def _fixed(t: Training, batches: int) -> Shown:
    """The batches' parts, drawn by the seed."""
    if not 1 <= batches <= len(t.order):
        raise InputError(
            f"{batches} batches of {t.order.batch} cannot be taken from {t.order.count} images; take 1 to "
            f"{len(t.order)} batches"
        )
    images, views = torch.Generator().manual_seed(SEED), torch.Generator().manual_seed(SEED + 1)
    features = torch.Generator(t.features.device)
    rows = torch.randperm(t.order.count, generator=images)[: batches * t.order.batch].chunk(batches)
    drawn = [draw_part(t, part, t.step, views, features) for batch in rows for part in batch.chunk(t.accumulate)]
    return [(part.draw, render_views(t, part.params, part.wait())) for part in drawn]


def _look(
    t: Training, weights: list[Tensor], buffers: list[tuple[Tensor, Tensor]], shown: Shown
) -> tuple[float, list[Tensor]]:
    """The mean loss at the weights as they are now, and its gradient; nothing that an earlier look has left is seen."""
    _put_back(buffers)
    torch.default_generator.manual_seed(SEED)  # of an encoder with dropout, of another library
    if t.mean.device.type == "cuda":
        torch.cuda.manual_seed(SEED)
    shown[0][0].features.manual_seed(SEED)
    total, gradient = 0.0, [torch.zeros_like(weight) for weight in weights]
    for draw, views in shown:
        loss = t.method(views, draw).loss / len(shown)
        slopes = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        torch._foreach_add_(gradient, slopes)
        total += loss.item()
    return total, gradient


@contextmanager
def _undisturbed(t: Training, weights: list[Tensor]) -> Iterator[tuple[list[Tensor], list[tuple[Tensor, Tensor]]]]:
    """Give copies of the weights, and every buffer with its copy; at the end, come as it may, all is as it was.

    Gradients are not touched, and generators are the measurement's own, but for the global one, which is put back.
    """
    assert isinstance(t.method, nn.Module)
    start = [weight.detach().clone() for weight in weights]
    buffers = [(buffer, buffer.detach().clone()) for buffer in t.method.buffers()]
    device = t.mean.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield start, buffers
        finally:
            _put_back(buffers)
            _put_back(list(zip(weights, start, strict=True)))


@torch.no_grad()
def _put_back(tensors: list[tuple[Tensor, Tensor]]) -> None:
    for tensor, before in tensors:
        tensor.copy_(before)
