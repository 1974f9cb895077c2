"""How long steps of a training take, with and without what observes them; shared by the benchmarks of its parts."""

import time
from collections.abc import Sequence

import torch

from pairlens.train import Observer, Training, fit


def steps(t: Training, count: int, observers: Sequence[Observer] = ()) -> float:
    """Seconds of so many steps; the first of a call draws an epoch's order and is not counted."""
    end, began = t.step + count + 1, 0.0

    def hook(t: Training) -> None:
        nonlocal began
        if t.step == end - count:
            began = now(t)
        t.stop = t.step >= end

    t.stop = False
    fit(t, observers, [hook])
    return now(t) - began


def now(t: Training) -> float:
    """Processor time on a CPU, wall time once the device has done all it was told elsewhere."""
    if t.mean.device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(t.mean.device)
    return time.perf_counter()
