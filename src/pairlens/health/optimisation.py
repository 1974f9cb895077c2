"""Rules on the descent: whether it goes down at all, how roughly, and whether it has arrived."""

import math
from collections.abc import Sequence
from itertools import pairwise

from pairlens.health.collapse import LEAN, collapsed, rank_of_features
from pairlens.health.evidence import Evidence
from pairlens.health.rule import BEGUN, LATE, Finding, below, found, known, rule, unknown
from pairlens.health.usual import ABSURD, FAST, SLOW, USUAL, usual_rate
from pairlens.words import count, number, percent

EXPLODED = 100.0
"""Factor by which gradients have grown over their middle course that counts as exploding, where the loss rises, too."""
HUGE = 1e4
"""Gradient norm that counts as exploded by itself."""
VANISHED = 0.01
"""Share of its early size below which a gradient has vanished, where little is learned."""
FADING = 0.03
"""Share that is worth watching."""
IDLE = 0.02
"""Change of the loss, as a share of where it began, below which next to nothing was learned."""
FLAT = 0.05
"""Change of the loss over a quarter or a half of the course, as a share of its whole fall, below which it is flat."""
BETTER = 0.01
"""Gain of kNN accuracy in that time from which training on is worth it, whatever the loss does."""
HALF = 0.5
"""Share of the training after which a flat loss means something."""
LAST_DROP = 0.05
"""Share of its highest value above which a rate that falls in steps (by tenths, twice) has a drop before it."""
HIGH_RATE = 0.2
"""Share of its highest value above which a falling learning rate still promises much."""


@rule(
    since=0.0,
    looks_at="loss and gradient norm of every step",
    threshold="ill: one of them is NaN or infinite, and still is; watch: it was",
    meaning="The training has diverged: from there on the weights are worth nothing.",
    cause="The learning rate is too high, or low precision has overflowed.",
    remedy="Train anew with a lower `--lr` and some `--warmup`, or with `--precision fp32`.",
)
def not_a_number(evidence: Evidence) -> Finding:
    """Loss or gradients are no numbers."""
    if evidence.loss.parts == () and evidence.gradient.parts == () and not evidence.broken:
        return unknown("neither loss nor gradients are recorded")
    if not evidence.broken:
        return found("ok", "loss and gradients were finite at every step")
    first, last = evidence.broken
    still = last >= evidence.last_step
    said = f"loss or gradient was not a number at step {count(first)}"
    said += " and still is" if still else f", last at step {count(last)}"
    return found("ill" if still else "watch", said)


@rule(
    since=BEGUN,
    looks_at="gradient norm against its middle course, and the loss",
    threshold=f"ill: above {HUGE:g}, or {EXPLODED:g} times its mean course while the loss rises",
    meaning="Steps throw the weights far away.",
    cause="The learning rate is too high, or the temperature too low.",
    remedy="Lower `--lr`, add `--warmup`, or raise `--temperature`.",
)
def exploding_gradients(evidence: Evidence) -> Finding:
    """Gradients have grown beyond use."""
    gradient, loss = evidence.gradient, evidence.loss
    if not known(gradient.end):
        return unknown("gradients are not recorded")
    middle = gradient.mean(0.1, 0.8)
    said = f"gradient norm {number(gradient.end)}, {number(middle)} in the middle of its course"
    grown = gradient.end > EXPLODED * middle and loss.end > loss.mean(0.1, 0.8)
    return found("ill" if gradient.end > HUGE or grown else "ok", said)


@rule(
    since=BEGUN,
    looks_at="gradient norm against that of the first twentieth, where embeddings collapsed or negatives are not told",
    threshold=f"ill: below {VANISHED:g} of it; watch: below {FADING:g}",
    meaning="Nothing is left to push the weights, though little is learned.",
    cause="The embeddings have collapsed, or the temperature saturates the softmax.",
    remedy="Train anew with a lower `--lr`; raise `--temperature` if it is below 0.05.",
)
def vanishing_gradients(evidence: Evidence) -> Finding:
    """Nothing is left to push the weights."""
    gradient = evidence.gradient
    start = gradient.mean(0.0, 0.05)
    if not known(gradient.end, start):
        return unknown("gradients are not recorded")
    said = f"gradient norm {number(gradient.end)}, {number(start)} at the beginning"
    learned = evidence.trains and not any(map(collapsed, evidence.spaces))
    if learned or not start > 0:
        return found("ok", said)
    share = gradient.end / start
    return found(below(share, VANISHED, FADING), said)


@rule(
    since=BEGUN,
    looks_at="the learning rate against the optimiser's usual one, and collapse, whole or dimensional",
    threshold=f"ill: more than {FAST:g} times the usual rate, with collapse or RankMe of the encoder's features below "
    f"{LEAN:g}, or more than {ABSURD:g} times it; watch: more than {FAST:g} times it alone",
    meaning="Steps are so large that what was learned is lost again.",
    cause="The learning rate is too high for this network and batch.",
    remedy="Lower `--lr` by a factor of 4 to 10, and add `--warmup`.",
)
def rate_too_high(evidence: Evidence) -> Finding:
    """Steps are too large."""
    times = usual_rate(evidence)
    if not known(times):
        return unknown("the learning rate, or what is usual for the optimiser, is not known")
    said = f"learning rate {evidence.argument('lr'):g}, {number(times, 2)} times the usual one"
    lost = any(map(collapsed, evidence.spaces))
    said += ", and the embeddings have collapsed" if lost else ""
    if times <= FAST:
        return found("ok", said)
    ill = lost or times > ABSURD or rank_of_features(evidence) < LEAN
    return found("ill" if ill else "watch", said, remedy=f"Lower `--lr` to {_near(evidence)}, and add `--warmup`.")


@rule(
    since=LATE,
    looks_at="the learning rate against the optimiser's usual one, and the fall of the loss",
    threshold=f"ill: less than {SLOW:g} of the usual rate, and the loss has moved by less than {IDLE:.0%}",
    meaning="Steps are so small that next to nothing is learned.",
    cause="The learning rate is too low.",
    remedy="Raise `--lr`.",
)
def rate_too_low(evidence: Evidence) -> Finding:
    """Steps are too small."""
    times, loss = usual_rate(evidence), evidence.loss
    start = _start(evidence)
    if not known(times, loss.end, start) or start == 0:
        return unknown("the learning rate, what is usual for the optimiser, or the loss is not known")
    fall, slow = (start - loss.end) / abs(start), times < SLOW
    said = f"learning rate {evidence.argument('lr'):g}, {number(times, 2)} times the usual one; the loss "
    said += f"has fallen by {percent(fall)}" if fall >= 0 else f"has risen by {percent(-fall)}"
    return found(
        "ill" if slow and abs(fall) < IDLE else "watch" if slow else "ok",
        said,
        remedy=f"Raise `--lr` to {_near(evidence)}.",
    )


def _start(evidence: Evidence) -> float:
    """Where the loss began: the first twentieth of the course, after a queue of random keys has been replaced."""
    return evidence.loss.mean(evidence.filled, evidence.filled + 0.05)


def _near(evidence: Evidence) -> str:
    """The usual rate, as it is typed."""
    return f"{USUAL[evidence.arguments['optimizer']][0]:g}"


@rule(
    since=HALF,
    looks_at="the loss and kNN accuracy (with labels) over the last quarter and half of the course, and the schedule",
    threshold=f"watch: in the last quarter the loss has changed by less than {FLAT:.0%} of its whole fall, and kNN has "
    f"gained less than {BETTER:.0%} or than its standard error; ill: in the last half; never with a cosine, or before "
    "the last drop of steps: a falling rate lowers the loss once more",
    meaning="The loss has arrived: more steps like these bring next to nothing. Stop now, or lower the rate.",
    cause="The learning rate is constant, and the loss is as low as it lets it be.",
    remedy="Stop (Ctrl-C keeps everything), or train with `--schedule cosine`, whose falling rate lowers the loss once "
    "more.",
)
def plateau(evidence: Evidence) -> Finding:
    """The loss has arrived."""
    loss, start = evidence.loss, _start(evidence)
    half, before, now = loss.mean(0.25, 0.5), loss.mean(0.5, 0.75), loss.mean(0.75, 1.0)
    if not known(start, half, before, now):
        return unknown("the loss is not recorded")
    whole = start - min(part for part in loss.parts if known(part))
    (more, error), (more_of_half, error_of_half) = (gain(evidence.probes, share) for share in (0.75, 0.5))
    said = f"loss {number(now)}, {number(before)} a quarter of the course before; it began at {number(start)}"
    said += f"; kNN accuracy has changed by {number(100 * more, 2)} points in it" if known(more) else ""
    if whole <= 0:
        return found("ok", f"{said}; it never fell")
    quarter_flat = abs(before - now) < FLAT * whole and not more >= max(BETTER, error)
    half_flat = abs(half - now) < FLAT * whole and not more_of_half >= max(BETTER, error_of_half)
    if not quarter_flat:
        return found("ok", f"{said}: still {'falling' if before > now else 'on its way'}")
    schedule = evidence.arguments.get("schedule")
    if schedule == "steps" and evidence.rate > LAST_DROP:
        return found("ok", f"{said}: flat, but the rate will drop once more: go on")
    if schedule == "cosine":
        rest = f"still at {percent(evidence.rate, 0)}: go on" if evidence.rate > HIGH_RATE else "nearly gone"
        return found("ok", f"{said}: flat, but the cosine's rate is {rest}")
    return found(
        "ill" if half_flat else "watch", f"{said}: flat, with the rate at {percent(evidence.rate, 0)} of its peak"
    )


def gain(accuracies: Sequence[float], share: float) -> tuple[float, float]:
    """By how much the mean accuracy after a share of the course exceeds that of as many before, and its standard error
    by how much accuracies jump from one to the next; NaN where there are fewer than four.
    """
    count = len(accuracies) - round(share * len(accuracies))
    if len(accuracies) < 4 or not known(*accuracies):
        return math.nan, math.nan
    last, before = accuracies[-count:], accuracies[-2 * count : -count]
    jumps = [b - a for a, b in pairwise(accuracies[len(accuracies) // 3 :])]
    noise = math.sqrt(sum(jump * jump for jump in jumps) / len(jumps) / 2)
    return sum(last) / count - sum(before) / len(before), noise * math.sqrt(2 / count)
