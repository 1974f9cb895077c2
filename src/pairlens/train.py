"""The training loop. One straight line: draw, render, compare, descend, observe, update.

B images of a batch, N images of the set; _ the side of a view, of each its own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Integer, UInt8
from torch import Tensor

from pairlens.clock import Clock, Laps
from pairlens.data.loader import Batches
from pairlens.draw import Draw
from pairlens.methods import Method
from pairlens.optim import Schedule
from pairlens.pairs import Step
from pairlens.views.params import ViewParams
from pairlens.views.render import render


@dataclass
class Training:
    """Everything that one training consists of; `step` advances, and a checkpoint holds what changes."""

    method: Method
    batches: Batches
    sizes: Integer[Tensor, "N 2"]  # height and width of the original images, on the CPU
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    views: torch.Generator  # on the CPU
    features: torch.Generator  # on the device
    size: int  # pixels of a view's side
    mean: Float[Tensor, "3"]  # on the device
    std: Float[Tensor, "3"]
    epochs: int
    accumulate: int = 1  # parts in which a batch is compared, one after the other, for one step
    step: int = 0  # optimiser steps done
    stop: bool = False  # set it, and the loop ends after the step at hand
    render: Callable[..., Tensor] = render

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.epochs * len(self.batches)


@dataclass(frozen=True)
class Outcome:
    """What one optimiser step did; observers read it while its gradients are still there."""

    draw: Draw  # of the batch's last part, like all that follows
    images: UInt8[Tensor, "B 3 H W"]
    params: Mapping[str, ViewParams]
    views: Mapping[str, Float[Tensor, "B 3 _ _"]]
    parts: list[Step]  # of every part
    laps: Laps  # complete when the next step begins


Observer = Callable[[Training, Outcome], None]
Hook = Callable[[Training], None]


def fit(t: Training, observers: Iterable[Observer] = (), hooks: Iterable[Hook] = ()) -> None:
    """Train until `t.steps` steps are done or `t.stop` is set; called again, it goes on where it stopped.

    Args:
        t: what to train.
        observers: read each step, before the method changes what it refers to; they change nothing.
        hooks: called after each step (progress, checkpoints, probes).
    """
    t.method.train()
    t.batches.load(t.batches.state())
    stream = forever(t.batches)
    clock = Clock(t.mean.device)
    while t.step < t.steps and not t.stop:
        clock.start()
        index, images = next(stream)
        clock.lap("data")
        parts = []
        for rows, pixels in zip(index.chunk(t.accumulate), images.chunk(t.accumulate), strict=True):
            draw = Draw(rows, t.sizes[rows], t.step // len(t.batches), t.step, t.views, t.features)
            params = t.method.plan(draw)
            views = render_views(t, pixels, params)
            clock.lap("views")
            step = t.method(views, draw)
            clock.lap("forward")
            (step.loss / t.accumulate).backward()
            parts.append(step)
            clock.lap("backward")
        set_rate(t.optimizer, t.schedule(t.step))
        t.optimizer.step()
        clock.lap("backward")
        for observe in observers:
            observe(t, Outcome(draw, pixels, params, views, parts, clock.laps))
        t.method.after_step(*parts)
        t.optimizer.zero_grad()
        t.step += 1
        clock.lap("rest")
        for hook in hooks:
            hook(t)


def render_views(t: Training, images: UInt8[Tensor, "B 3 H W"], params: Mapping[str, ViewParams]) -> dict[str, Tensor]:
    """Every view of a batch, [B, 3, S, S] with an S of its own, normalised."""
    return {name: t.render(images, p, p.size or t.size, t.mean, t.std) for name, p in params.items()}


def forever(batches: Batches) -> Iterator[tuple[Int64[Tensor, "B"], UInt8[Tensor, "B 3 H W"]]]:
    """Batches, epoch after epoch."""
    while True:
        yield from batches.epoch()


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group this learning rate, but those whose rate is constant."""
    for group in optimizer.param_groups:
        if not group.get("constant_rate", False):
            group["lr"] = rate
