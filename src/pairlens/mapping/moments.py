"""The moments of a training at which its encoder is looked at: as it was drawn, each checkpoint, and the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pairlens.assemble import make_branch, seeded
from pairlens.errors import InputError
from pairlens.opened import Opened, untrained_like
from pairlens.record.checkpoint import checkpoints, load_encoder, step_of
from pairlens.reopen import recall
from pairlens.report.text import count

MOST = 24
"""Moments of one training, at most; of more, evenly spread ones."""


@dataclass(frozen=True)
class Moment:
    """An encoder at one moment."""

    name: str  # "untrained", "in training" or "trained"; a bare encoder's own
    step: int | None  # optimiser steps done; None of a bare encoder
    epoch: float | None
    load: Callable[[], nn.Module]  # on the encoder's device, in eval mode

    @property
    def title(self) -> str:
        """What it is called on the page."""
        if self.step is None:
            return self.name
        epoch = "" if self.epoch is None else f", epoch {self.epoch:.1f}"
        return f"{self.name}, step {count(self.step)}{epoch}"


def moments(opened: Opened, say: Callable[[str], None] = lambda text: None) -> list[Moment]:
    """All moments of an encoder that are there, in their order; the last one is that of the encoder as it was opened.

    A run's first is its start, drawn anew from the run's seed, or read from the weights that it began with. What
    cannot be read is left out and told of. An encoder without a run has one moment.
    """
    run = opened.run
    if run is None:
        return [Moment("as it is", None, None, lambda: opened.encoder)]
    length = run.info.get("steps_per_epoch")

    def at(name: str, step: int, load: Callable[[], nn.Module]) -> Moment:
        return Moment(name, step, step / length if isinstance(length, int) and length > 0 else None, load)

    end = opened.step or 0
    saved = [path for path in checkpoints(run.folder / "checkpoints") if 0 < step_of(path) != end]
    between = [at("in training", step_of(path), _loader(opened, path)) for path in _whole(saved, opened, say)]
    first = [] if end == 0 and not between else _start(opened, say)
    found = [*(at("untrained", 0, load) for load in first), *between]
    return [*_spread(found, MOST - 1, say), at("trained", end, lambda: opened.encoder)]


def _start(opened: Opened, say: Callable[[str], None]) -> list[Callable[[], nn.Module]]:
    """The encoder as the training began with it, if that can be made again."""
    assert opened.run is not None
    network, seed, place = recall(opened.run)[0].network, int(opened.run.call["seed"]), opened.place
    if network.weights is None:
        return [lambda: untrained_like(opened, seed)]
    try:
        branch = make_branch(network, place.precision, seeded(seed, "weights", "cpu"), (opened.size,), opened.spaces)
    except InputError as error:
        say(f"the start of {opened.name} is left out, because the weights that it began with cannot be read: {error}")
        return []
    encoder = branch.encoder.to(place.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return [lambda: encoder.eval().requires_grad_(False)]


def _loader(opened: Opened, path: Path) -> Callable[[], nn.Module]:
    def load() -> nn.Module:
        encoder = untrained_like(opened)
        load_encoder(path / "weights.safetensors", encoder, prefix="online.encoder.")
        return encoder

    return load


def _whole(paths: Sequence[Path], opened: Opened, say: Callable[[str], None]) -> list[Path]:
    """The checkpoints that can be read."""
    found = []
    for path in paths:
        try:
            _loader(opened, path)()
        except InputError as error:
            say(f"a checkpoint is left out: {error}")
        else:
            found.append(path)
    return found


def _spread(found: Sequence[Moment], most: int, say: Callable[[str], None]) -> list[Moment]:
    if len(found) <= most:
        return list(found)
    say(f"of {len(found) + 1} moments {most + 1} are looked at, evenly spread")
    return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, most).round().astype(int))]
