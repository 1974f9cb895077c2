"""Rules on negatives: how many there are, of what time, and whose."""

from pairlens.health.collapse import once_collapsed
from pairlens.health.evidence import Evidence, Space
from pairlens.health.rule import BEGUN, LATE, Finding, found, has_begun, known, rule, unknown, worst
from pairlens.health.usual import LOW_MOMENTUM
from pairlens.words import count, number, percent

STALE = 0.3
"""Mean cosine by which a query is nearer to this step's keys than to stored ones, above which it knows them by age."""
AGEING = 0.15
"""Difference that is worth watching."""
BY_AGE = 0.75
"""Share of the distance from stored keys to the positive that other images' new keys have, too, above which a query
tells keys by their age more than by their image."""
LASTING = 0.9
"""Share of the difference half a course ago that still stands, below which the queue is growing younger: every queue is
stale at first, while the encoder learns fast."""
RESTLESS = 0.05
"""Standard deviation of the smoothed mean negative cosine about a line above which it is volatile (FT, Figure 3 b)."""
FEW = 32
"""Negatives of a query below which telling its positive is too easy."""
SCARCE = 128
"""Negatives below which it is worth watching, where the positive is nearly always found."""
FOUND = 0.9
"""Contrastive accuracy that counts as nearly always."""


def ageing(space: Space) -> float:
    """By how much a query is nearer to other images' keys of this step than to stored ones, in mean cosine."""
    return space["batch_negative_mean"].end - space["raw_negative_mean"].end


def _lasts(space: Space) -> bool:
    """Whether the queue is about as stale as it was in the middle of the course."""
    fresh, stored = space["batch_negative_mean"], space["raw_negative_mean"]
    return ageing(space) >= LASTING * (fresh.mean(0.4, 0.7) - stored.mean(0.4, 0.7))


def _stored(evidence: Evidence) -> str | None:
    """Why nothing can be said of a store of keys; None where there is one."""
    if evidence.source in ("batch", "none"):
        return "this method stores no negatives"
    return None


@rule(
    since=BEGUN,
    looks_at="mean cosine of queries to new keys of other images, to stored keys and to the positive; the momentum",
    threshold=f"ill: a momentum of 1, or after {LATE:.0%} of the training new keys nearer than stored ones by more "
    f"than {STALE:g}, and by more than {BY_AGE:g} of what the positive is, and that not shrinking; watch: nearer by "
    f"more than {AGEING:g}, not shrinking",
    meaning="Stored keys are of another encoder than new ones: queries know them by their age instead of by what they "
    "show. With momentum 1 the key encoder stays as it was drawn.",
    cause="The key encoder changes much while a key waits in the queue: the queue is long, the momentum low or the "
    "learning rate high.",
    remedy="Raise `--momentum` (0.99 to 0.999), shorten the queue (`--negatives`), or lower `--lr`.",
)
def stale_queue(evidence: Evidence) -> Finding:
    """Stored keys are of another time than new ones."""
    if why := _stored(evidence):
        return unknown(why)
    if evidence.source != "bank" and evidence.argument("momentum") == 1:
        return found(
            "ill",
            "momentum 1: the key encoder is never moved",
            "The key encoder stays as it was drawn, and queries learn to match it.",
            "Lower `--momentum` to 0.99.",
        )

    def judge(space: Space) -> Finding:
        difference = ageing(space)
        if not has_begun(evidence, LATE):
            return unknown("too early to tell: every queue is stale at first")
        if not known(difference):
            return unknown("scores with this step's keys are not recorded beside those with stored ones")
        said = (
            f"mean cosine {number(space['batch_negative_mean'].end, 2)} to other images' keys of the same step, "
            f"{number(space['raw_negative_mean'].end, 2)} to stored ones"
        )
        if difference <= AGEING:
            return found("ok", said)
        if not _lasts(space):
            return found("ok", f"{said}, and coming together")
        ahead = space["raw_positive_mean"].end - space["raw_negative_mean"].end
        return found("ill" if difference > STALE and difference > BY_AGE * ahead else "watch", said)

    return worst(evidence, judge)


@rule(
    since=BEGUN,
    looks_at="number of negatives of a query, and contrastive accuracy",
    threshold=f"ill: below {FEW}; watch: below {SCARCE} and accuracy above {FOUND:g}",
    meaning="So few negatives are told from the positive by little.",
    cause="The queue is short, or the batch is small where its other images are the negatives.",
    remedy="Raise `--negatives`, or `--batch` where negatives are of the batch; or choose a recipe with a queue.",
)
def small_queue(evidence: Evidence) -> Finding:
    """Too few negatives."""

    def judge(space: Space) -> Finding:
        few, accuracy = space.negatives, space["accuracy"].end
        if not known(few) or few == 0:
            return unknown("this loss compares with no negatives, or their number is not known")
        said = f"{count(few)} negatives of each query"
        said += f", {percent(accuracy)} of positives above all of them" if known(accuracy) else ""
        return found("ill" if few < FEW else "watch" if few < SCARCE and accuracy > FOUND else "ok", said)

    return worst(evidence, judge)


@rule(
    since=BEGUN,
    looks_at="momentum of the key encoder, volatility of the smoothed mean negative cosine, collapse (FT, Section 3.3)",
    threshold=f"ill: momentum below {LOW_MOMENTUM:g} with a collapse at any time since the beginning, or with mean "
    f"cosines to stored and new keys that differ by more than {AGEING:g}, or with a volatility above {RESTLESS:g}; "
    f"watch: momentum below {LOW_MOMENTUM:g} alone, or volatility alone",
    meaning="The key encoder follows the query encoder so closely that the queue's keys disagree with each other, and "
    "scores fluctuate.",
    cause="The momentum is low.",
    remedy="Raise `--momentum`, to 0.99.",
)
def low_momentum(evidence: Evidence) -> Finding:
    """The queue's keys disagree with each other."""
    if why := _stored(evidence):
        return unknown(why)
    if evidence.source == "bank":
        return unknown("a memory bank has no key encoder")
    momentum = evidence.argument("momentum")

    def judge(space: Space) -> Finding:
        unrest = space["raw_negative_mean"].unrest
        if not known(momentum) and not known(unrest):
            return unknown("neither a momentum nor negative scores over enough steps are known")
        restless = unrest > RESTLESS
        said = f"momentum {momentum:g}, " if known(momentum) else ""
        said += f"smoothed mean negative cosine varies by {number(unrest, 2)}"
        said += f", queue and new keys differ by {number(ageing(space), 2)}" if known(ageing(space)) else ""
        if momentum < LOW_MOMENTUM:
            harmed = once_collapsed(space) or restless or abs(ageing(space)) > AGEING
            return found("ill" if harmed else "watch", said)
        return found("watch" if restless else "ok", said)

    return worst(evidence, judge)


@rule(
    since=0.0,
    looks_at="stored negatives against images of the training set",
    threshold="ill: as many or more; watch: more than half as many",
    meaning="Stored negatives hold keys of the query's own image, which is pushed away from itself.",
    cause="The queue is longer than the set.",
    remedy="Shorten the queue (`--negatives`) to half the set or less.",
)
def false_negatives(evidence: Evidence) -> Finding:
    """The queue holds the query's own image."""
    if why := _stored(evidence):
        return unknown(why)
    if evidence.source == "bank":
        return unknown("a memory bank leaves the query's own entry out")

    def judge(space: Space) -> Finding:
        if not known(space.negatives, evidence.images) or evidence.images <= 0:
            return unknown("the number of negatives or of images is not known")
        keys, above = space.negatives / evidence.images, space["negatives_above"].end
        said = f"{count(space.negatives)} stored negatives, {count(evidence.images)} training images"
        if known(above):
            said += f"; in the mean {number(above * space.negatives, 2)} negatives score above the positive"
        return found("ill" if keys >= 1 else "watch" if keys > 0.5 else "ok", said)

    return worst(evidence, judge)
