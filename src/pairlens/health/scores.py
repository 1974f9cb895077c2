"""Rules on positive scores, and on the temperature that scores are divided by."""

import math

from pairlens.health.collapse import collapsed
from pairlens.health.evidence import Evidence, Space
from pairlens.health.rule import BEGUN, LATE, Finding, above, below, found, known, rule, unknown, worst
from pairlens.health.usual import COLDEST, stands_out
from pairlens.words import count, number, percent

GUESSING_ABOVE = 0.35
"""Share of negatives that score above the positive: 0.5 is a guess."""
UNSURE_ABOVE = 0.2
"""Share of negatives above the positive that is worth watching."""
GUESSING_LOSS = 0.99
"""Share of log(K + 1), where that share of negatives is not recorded."""
EASY_POSITIVE = 0.97
"""Mean positive cosine above which pairs have nothing left to teach, where they are always found."""
EASY_FOUND = 0.95
"""Contrastive accuracy above which they are."""
SEPARATED = 1.0
"""Distance of the two means, in their root mean square standard deviations, below which it is worth watching."""
APART = 0.5
"""Distance below which positives count as not found at all."""
FEW_CARRY = 2.0
"""Negatives that carry a query's softmax, below which it is the hardest alone."""
SOME_CARRY = 4.0
"""Negatives that carry it, below which it is worth watching."""
COLD = 0.04
"""Temperature that is worth watching."""
ENOUGH = 32
"""Negatives below which it says nothing that few of them carry the softmax."""
ATTAINABLE = 0.2
"""Share of a guess's loss that perfect positives could take away, below which the temperature is too high."""
MODEST = 0.3
"""Share below which it is worth watching."""


@rule(
    since=LATE,
    looks_at="share of a query's negatives above its positive, and loss against log(K + 1)",
    threshold=f"ill: share above {GUESSING_ABOVE:g} (a guess has 0.5); watch: above "
    f"{UNSURE_ABOVE:g}; where it is not recorded, ill: loss above {GUESSING_LOSS:g} log(K + 1)",
    meaning="The positive is no more like its query than any negative: nothing is learned.",
    cause="The two views have nothing in common, or the learning rate is far too high or too low.",
    remedy="Look at the views (`pairlens inspect`); use larger crops (`--crop`) and weaker `--jitter`; else change "
    "`--lr` by a factor of 4, down first.",
)
def guessing(evidence: Evidence) -> Finding:
    """The loss is a guess's. Early that is normal; late it is not."""

    def judge(space: Space) -> Finding:
        share, loss = space["negatives_above"].end, space["loss"].end
        if space.negatives == 0:
            return unknown("this loss compares with no negatives")
        if known(share):
            said = f"{percent(share)} of a query's negatives score above its positive (a guess: 50.0\u00a0%)"
            return found(above(share, GUESSING_ABOVE, UNSURE_ABOVE), said, *stands_out(evidence))
        if not known(loss, space.negatives, space.temperature):
            return unknown("neither the share of negatives above the positive nor a guess's loss is known")
        guess = math.log(space.negatives + 1)
        said = f"loss {number(loss)}, a guess has {number(guess)}"
        guessed = loss > GUESSING_LOSS * guess and space.separation < SEPARATED
        return found("ill" if guessed else "ok", said, *stands_out(evidence))

    return worst(evidence, judge)


@rule(
    since=BEGUN,
    looks_at="mean positive cosine and contrastive accuracy, before any feature transform",
    threshold=f"ill: cosine above {EASY_POSITIVE:g} and accuracy above {EASY_FOUND:g}; without negatives, watch: "
    f"cosine above {EASY_POSITIVE:g}",
    meaning="The two views of an image are alike to the encoder: pairs have little left to teach.",
    cause="The views differ too little; or a low momentum makes keys like queries (FT, Section 3.3).",
    remedy="Strengthen the views: smaller crops (`--crop 0.2 1`), `--jitter`, `--gray`; or make positives harder with "
    "`--extrapolate 2`.",
)
def positives_too_easy(evidence: Evidence) -> Finding:
    """Pairs have little left to teach; views are too weak."""

    def judge(space: Space) -> Finding:
        positive, accuracy = space["raw_positive_mean"].end, space["accuracy"].end
        if collapsed(space):
            return unknown("the embeddings have collapsed, and every pair is alike")
        if not known(positive):
            return unknown("no positive scores are recorded")
        said = f"mean positive cosine {number(positive, 3)}"
        said += f", {percent(accuracy)} of positives above all negatives" if known(accuracy) else ""
        easy = positive > EASY_POSITIVE
        if space.negatives == 0:
            return found("watch" if easy else "ok", said)
        return found("ill" if easy and accuracy > EASY_FOUND else "ok", said)

    return worst(evidence, judge)


@rule(
    since=LATE,
    looks_at="distance of the mean positive and mean negative cosine in standard deviations, before any transform",
    threshold=f"ill: below {APART:g}; watch: below {SEPARATED:g}",
    meaning="Positives hardly stand out from negatives.",
    cause="The two views have too little in common, or a feature transform makes positives too hard.",
    remedy="Weaken the views: larger crops (`--crop 0.4 1`), less `--jitter`; leave out `--extrapolate`, or let it "
    "begin later (`--ft-start`).",
)
def positives_too_hard(evidence: Evidence) -> Finding:
    """Positives hardly stand out; views are too strong."""

    def judge(space: Space) -> Finding:
        apart, positive = space.separation, space["raw_positive_mean"].end
        if space.negatives == 0:
            return unknown("this loss sets positives against no negatives")
        if collapsed(space):
            return unknown("the embeddings have collapsed, and every pair is alike")
        if not known(apart):
            return unknown("positive and negative scores are not both recorded")
        said = (
            f"mean positive cosine {number(positive, 2)}, mean negative {number(space['raw_negative_mean'].end, 2)}: "
            f"{number(apart, 2)} standard deviations apart"
        )
        return found(below(apart, APART, SEPARATED), said)

    return worst(evidence, judge)


@rule(
    since=BEGUN,
    looks_at="the temperature, and the effective number of negatives in a query's softmax",
    threshold=f"ill: temperature below {COLDEST:g}, or of {ENOUGH} negatives or more fewer than {FEW_CARRY:g} carry "
    f"the softmax; watch: below {COLD:g}, or fewer than {SOME_CARRY:g}",
    meaning="The softmax is saturated: each query is pushed from its hardest negative alone, often an image of its own "
    "kind.",
    cause="The temperature is too low.",
    remedy="Raise `--temperature`, to 0.1 or 0.2.",
)
def temperature_low(evidence: Evidence) -> Finding:
    """One negative carries the softmax."""

    def judge(space: Space) -> Finding:
        carry = space["effective_negatives"].end
        if space.negatives == 0:
            return unknown("this loss compares with no negatives")
        if not known(carry) and not known(space.temperature):
            return unknown("neither the temperature nor how many negatives carry the softmax is known")
        said = f"temperature {space.temperature:g}" if known(space.temperature) else "temperature not known"
        said += (
            f", {number(carry, 2)} of {count(space.negatives)} negatives carry a query's softmax"
            if known(carry)
            else ""
        )
        judged = space.negatives >= ENOUGH
        if space.temperature < COLDEST or (judged and carry < FEW_CARRY):
            return found("ill", said)
        return found("watch" if space.temperature < COLD or (judged and carry < SOME_CARRY) else "ok", said)

    return worst(evidence, judge)


def attainable(negatives: float, temperature: float) -> float:
    """The share of a guess's loss log(K + 1) that is gone when positives score 1 and negatives 0: what can be learned
    at this temperature.
    """
    guess = math.log(negatives + 1)
    best = math.log1p(negatives * math.exp(-1 / max(temperature, 1e-3)))
    return 1 - best / guess


@rule(
    since=BEGUN,
    looks_at="the loss of perfect positives, log(1 + K exp(-1/t)), against that of a guess, log(K + 1)",
    threshold=f"ill: lower by less than {ATTAINABLE:.0%}; watch: by less than {MODEST:.0%}",
    meaning="The softmax is nearly flat whatever the scores: every negative pushes alike, hard ones no more than easy "
    "ones.",
    cause="The temperature is too high for so many negatives.",
    remedy="Lower `--temperature`, to 0.1 or 0.2.",
)
def temperature_high(evidence: Evidence) -> Finding:
    """All negatives carry the softmax alike."""

    def judge(space: Space) -> Finding:
        if not known(space.negatives, space.temperature) or space.negatives < 1:
            return unknown("temperature or number of negatives is not known, or there are none")
        share, carry = attainable(space.negatives, space.temperature), space["effective_negatives"].end
        said = (
            f"perfect positives would take away {percent(share, 0)} of a guess's loss at temperature "
            f"{space.temperature:g} with {count(space.negatives)} negatives"
        )
        said += f", of which {count(carry)} carry the softmax" if known(carry) else ""
        return found(below(share, ATTAINABLE, MODEST), said)

    return worst(evidence, judge)
