"""The training loop. One straight line: draw, render, compare, descend, observe, update.

B images of a batch, N images of the set; _ the side of a view, of each its own.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor

from pairlens.clock import Clock, Laps
from pairlens.data.loader import Loader, Wait
from pairlens.data.order import Order, State
from pairlens.draw import Draw
from pairlens.methods import Method
from pairlens.optim import Schedule
from pairlens.pairs import Step
from pairlens.views.boxes import Boxes
from pairlens.views.params import ViewParams
from pairlens.views.render import render


@dataclass
class Training:
    """Everything that one training consists of; `step` advances, and a checkpoint holds what changes."""

    method: Method
    order: Order
    loader: Loader
    sizes: Integer[Tensor, "N 2"]  # height and width of the original images, on the CPU
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    views: torch.Generator  # on the CPU
    features: torch.Generator  # on the device
    size: int  # pixels of a view's side
    mean: Float[Tensor, "3"]  # on the device
    std: Float[Tensor, "3"]
    epochs: int
    boxes: Boxes | None = None  # where the objects are, if crops are to fall on them
    accumulate: int = 1  # parts in which a batch is compared, one after the other, for one step
    step: int = 0  # optimiser steps done
    stop: bool = False  # set it, and the loop ends after the step at hand
    render: Callable[..., Tensor] = render

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.epochs * len(self.order)


@dataclass(frozen=True)
class Part:
    """What is drawn for one part of a batch, and its pixels when they are there."""

    draw: Draw
    params: Mapping[str, ViewParams]
    wait: Wait


@dataclass(frozen=True)
class Outcome:
    """What one optimiser step did; observers read it while its gradients are still there."""

    draw: Draw  # of the batch's last part, like all that follows
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
    stream = drawn(t)
    clock = Clock(t.mean.device)
    while t.step < t.steps and not t.stop:
        clock.start()
        due, parts = next(stream), []
        clock.lap("views")
        for part in due:
            pixels = part.wait()
            clock.lap("data")
            views = render_views(t, part.params, pixels)
            clock.lap("views")
            step = t.method(views, part.draw)
            clock.lap("forward")
            (step.loss / t.accumulate).backward()
            parts.append(step)
            clock.lap("backward")
        set_rate(t.optimizer, t.schedule(t.step))
        t.optimizer.step()
        clock.lap("backward")
        for observe in observers:
            observe(t, Outcome(part.draw, part.params, views, parts, clock.laps))
        clock.lap("record")
        t.method.after_step(*parts)
        t.optimizer.zero_grad()
        t.step += 1
        clock.lap("rest")
        for hook in hooks:
            hook(t)


def drawn(t: Training) -> Iterator[list[Part]]:
    """The steps to come, each in parts, drawn as early as the loader wants to be asked for their pixels.

    `t.order` and `t.views` stand where the step that was handed out last has brought them, however far ahead others
    are drawn: a checkpoint holds exactly what goes on after it. New boxes make what was drawn ahead void.
    """
    while True:
        yield from _drawn_with_these_boxes(t)


def _drawn_with_these_boxes(t: Training) -> Iterator[list[Part]]:
    """The steps to come, until there are other boxes."""
    found = t.boxes and len(t.boxes.history)
    views = torch.Generator()
    views.set_state(t.views.get_state())
    ahead: deque[tuple[list[Part], State, Tensor]] = deque()
    for number, (index, behind) in enumerate(t.order.walk(), t.step):
        parts = [draw_part(t, rows, number, views, t.features) for rows in index.chunk(t.accumulate)]
        ahead.append((parts, behind, views.get_state()))
        if len(ahead) > t.loader.ahead:
            due, order, state = ahead.popleft()
            t.order.load(order)
            t.views.set_state(state)
            yield due
            if found != (t.boxes and len(t.boxes.history)):
                return


def draw_part(
    t: Training, rows: Int64[Tensor, "B"], step: int, views: torch.Generator, features: torch.Generator
) -> Part:
    """Draw the views of these images as step number `step` sees them, and ask for their pixels."""
    draw = Draw(rows, t.sizes[rows], step // len(t.order), step, views, features)
    params = t.method.plan(draw)
    return Part(replace(draw, drawn=params), params, ask(t.loader, rows, params, t.size))


def ask(loader: Loader, index: Int64[Tensor, "B"], params: Mapping[str, ViewParams], size: int) -> Wait:
    """Ask a loader for the pixels that every view is rendered from; `size` is the side of views that do not say theirs.

    Textures are told of views only in which an image has any; they are on the CPU, where plans draw them.
    """
    rectangles = {name: (p.crop, p.size or size) for name, p in params.items()}
    return loader.ask(index, rectangles, {name: p.texture for name, p in params.items() if p.texture.any()})


def render_views(t: Training, params: Mapping[str, ViewParams], pixels: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every view of a batch, [B, 3, S, S] with an S of its own, normalised."""
    return {
        name: t.render(pixels[name], p, p.size or t.size, t.mean, t.std, t.loader.cut) for name, p in params.items()
    }


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group this learning rate, but those whose rate is constant."""
    for group in optimizer.param_groups:
        if not group.get("constant_rate", False):
            group["lr"] = rate
