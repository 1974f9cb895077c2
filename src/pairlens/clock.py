"""Where a step's time goes, phase by phase, without waiting for the device."""

import time
from itertools import pairwise

import torch

from pairlens.phases import PHASES

Moment = float | torch.cuda.Event
Laps = list[tuple[str, Moment]]


class Clock:
    """Laps of one step; on CUDA they are events, which `seconds` reads after the device has passed them."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self.start()

    def start(self) -> None:
        """Begin a step."""
        self.laps: Laps = [("", self._now())]

    def lap(self, phase: str) -> None:
        """What happened since the last lap belongs to `phase`, one of `PHASES`."""
        self.laps.append((phase, self._now()))

    def _now(self) -> Moment:
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def seconds(laps: Laps) -> list[float]:
    """Seconds of each of `PHASES`; on CUDA this waits for the step's last event."""
    totals = dict.fromkeys(PHASES, 0.0)
    for (_, before), (phase, after) in pairwise(laps):
        if isinstance(before, float) and isinstance(after, float):
            totals[phase] += after - before
        elif isinstance(before, torch.cuda.Event) and isinstance(after, torch.cuda.Event):
            after.synchronize()
            totals[phase] += before.elapsed_time(after) / 1000
    return list(totals.values())
