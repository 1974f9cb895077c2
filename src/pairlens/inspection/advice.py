"""Which of loader and encoder waits for the other, and how many workers and threads to give to them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from pairlens.inspection.speed import Speed
from pairlens.report.text import count

ENOUGH = 0.97  # of the best rate that is expected: more workers or threads for the rest are not worth it


@dataclass(frozen=True)
class Advice:
    """What to run, and what to expect of it."""

    workers: int | None  # None where no files are decoded while training
    threads: int | None  # None on a GPU
    images: float  # a second, that a training is expected to take
    limit: str  # "files", "views" or "encoder": what keeps it from being faster

    @property
    def sentence(self) -> str:
        """Who waits, and what to type."""
        flags = [f"--workers {self.workers}"] if self.workers is not None else []
        flags += [f"--threads {self.threads}"] if self.threads is not None else []
        said = {
            "files": "Decoding files is the bottleneck: the encoder waits for them",
            "views": "Rendering views takes longer than the encoder does",
            "encoder": "The encoder is the bottleneck: it does not wait for its images",
        }[self.limit]
        typed = f"; `{' '.join(flags)}` suits this machine" if flags else ""
        return f"{said}{typed}, at about {count(self.rounded)} images a second."

    @property
    def rounded(self) -> float:
        """The rate to two digits: it is no more certain."""
        return float(f"{self.images:.2g}")


def advise(speed: Speed) -> Advice | None:
    """Choose workers and threads by the measured rates; None where nothing is trained.

    A training renders and trains one after the other, while workers decode ahead: its rate is the smaller of the files'
    rate and 1 / (1 / views + 1 / encoder). Between one and all, rates are taken to grow as powers of the number. On a
    CPU workers and threads share its cores.
    """
    if not speed.encoder:
        return None
    on_cpu = speed.device == "cpu"
    threads = range(1, max(speed.encoder) + 1) if on_cpu else [max(speed.encoder)]
    workers = range(1, max(speed.files) + 1) if speed.files else [0]
    room = max(speed.cores, 2) if speed.files else max(threads)
    fitting = [(w, n) for w, n in product(workers, threads) if not on_cpu or w + n <= room]
    rates = {(w, n): _together(speed, w, n) for w, n in fitting or [(min(workers), min(threads))]}
    best = max(rates.values())
    w, n = min((w + n, w, n) for (w, n), images in rates.items() if images >= ENOUGH * best)[1:]
    limit = _limit(speed, w, n)
    return Advice(w if speed.files else None, n if on_cpu else None, rates[w, n], limit)


def at(rates: Mapping[int, float], number: int) -> float:
    """The rate with so many workers or threads: measured, or between one and the most on a line of logarithms."""
    if number in rates:
        return rates[number]
    low, high = min(rates), max(rates)
    power = math.log(rates[high] / rates[low]) / math.log(high / low)
    return rates[low] * (number / low) ** power


def _together(speed: Speed, workers: int, threads: int) -> float:
    taken = _taken(speed, threads)
    return min(taken, at(speed.files, workers)) if speed.files else taken


def _taken(speed: Speed, threads: int) -> float:
    """The rate at which images are rendered and trained on where they never have to be waited for."""
    return 1 / (1 / at(speed.views, threads) + 1 / at(speed.encoder, threads))


def _limit(speed: Speed, workers: int, threads: int) -> str:
    """What would help if it were faster; files do not where just as many workers were chosen as it takes."""
    if speed.files and at(speed.files, workers) < ENOUGH * _taken(speed, threads):
        return "files"
    return "views" if at(speed.views, threads) < at(speed.encoder, threads) else "encoder"
