"""Means of a few independent values with their 95 % intervals, by Student's t.

S values: of as many seeds, or trials.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with the half-width of its 95 % interval; None where a single value leaves it unknown."""

    mean: float
    half: float | None
    count: int


def interval(values: Sequence[float]) -> Estimate:
    """Mean and half-width of the 95 % interval by Student's t over S independent values."""
    mean, count = statistics.mean(values), len(values)
    if count < 2:
        return Estimate(mean, None, count)
    return Estimate(mean, student(count - 1) * statistics.stdev(values) / math.sqrt(count), count)


def student(freedom: int, confidence: float = CONFIDENCE) -> float:
    """How many standard errors Student's t with so many degrees of freedom (1 or more) strays at most, so confidently.

    Found by halving the angle atan(t / sqrt(freedom)), between 0 and a right angle.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle, freedom) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def within(angle: float, freedom: int) -> float:
    """P(|T| <= sqrt(freedom) tan(angle)): the finite sums of Abramowitz & Stegun 1964, 26.7.3 and 26.7.4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    term = total = cosine if freedom % 2 else 1.0
    for n in range(3 if freedom % 2 else 2, freedom - 1, 2):
        term *= cosine**2 * (n - 1) / n
        total += term
    if freedom % 2:
        return 2 / math.pi * (angle + (sine * total if freedom > 1 else 0.0))
    return sine * total
