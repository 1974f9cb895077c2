"""Rules on the geometry of embeddings: whether they still tell images apart."""

import math

from pairlens.health.evidence import Evidence, Space
from pairlens.health.rule import BEGUN, LATE, Finding, below, found, has_begun, known, rule, unknown, worst
from pairlens.health.usual import stands_out
from pairlens.words import number

COLLAPSED_STD = 0.1
"""Feature standard deviation times sqrt(D) below which embeddings count as all alike; evenly spread ones have 1."""
COLLAPSED_COSINE = 0.95
"""Mean cosine between a query and other images' keys above which they do."""
NARROW_STD = 0.2
"""Feature standard deviation below which it is worth watching."""
NARROW_COSINE = 0.9
"""Mean cosine to others above which it is."""
SPREADING = 1.25
"""Growth of the standard deviation, since the middle of the course, that counts as coming out of it: trainings often
begin in a narrow cone, and leave it by themselves."""
THIN = 8.0
"""RankMe of the encoder's features of held-out views below which they fill next to nothing of their space."""
LEAN = 16.0
"""RankMe of them that is worth watching; short trainings of a small encoder reached 30 and more."""
LINE = 1.2
"""Effective dimensions (participation ratio) of a batch's embeddings below which they lie on a line. It counts where no
held-out views are looked at: projection heads flatten embeddings much, to 1.4 in good trainings."""
BAND = 1.5
"""Effective dimensions that are worth watching."""
NARROW_DIM = 8
"""Width of the embedding (`--dim`) below which it is flat by itself."""


def others(space: Space) -> float:
    """The highest mean cosine between a query and other images' keys: those of the batch, or stored ones."""
    cosines = [space[name].end for name in ("raw_negative_mean", "batch_negative_mean")]
    return max((c for c in cosines if math.isfinite(c)), default=math.nan)


def collapsed(space: Space) -> bool:
    """Whether all images are embedded alike, now."""
    return space["feature_std"].end < COLLAPSED_STD or others(space) > COLLAPSED_COSINE


def once_collapsed(space: Space) -> bool:
    """Whether they were at any time since the beginning."""
    later = space["feature_std"].parts[round(BEGUN * len(space["feature_std"].parts)) :]
    return collapsed(space) or any(part < COLLAPSED_STD for part in later)


@rule(
    since=BEGUN,
    looks_at="feature standard deviation and mean cosine to other images, before any feature transform",
    threshold=f"ill: deviation below {COLLAPSED_STD:g} or cosine above {COLLAPSED_COSINE:g}, and not growing by a "
    f"factor of {SPREADING:g}; watch: growing, or after {LATE:.0%} of the training "
    f"below {NARROW_STD:g} or above {NARROW_COSINE:g}",
    meaning="All images are embedded alike: the encoder tells none from another.",
    cause="The learning rate is too high, or (without negatives) the predictor or the momentum does not hold the two "
    "branches apart.",
    remedy="Train anew with a lower `--lr` and some `--warmup`; leave out `--extrapolate` if it is set; without "
    "negatives keep normalisation in the head (`--head-norm all`).",
)
def complete_collapse(evidence: Evidence) -> Finding:
    """All images are embedded alike."""

    def judge(space: Space) -> Finding:
        std, cosine = space["feature_std"], others(space)
        if not known(std.end) and not known(cosine):
            return unknown("no spread of features is recorded")
        said = f"feature standard deviation {number(std.end, 2)} (1 is spread evenly)"
        said += f", mean cosine to other images {number(cosine, 2)}" if known(cosine) else ""
        growing = std.end > COLLAPSED_STD / 2 and std.end > SPREADING * std.mean(0.4, 0.7)
        if collapsed(space):
            return found("watch", f"{said}, but growing") if growing else found("ill", said, *stands_out(evidence))
        narrow = std.end < NARROW_STD or cosine > NARROW_COSINE
        if narrow and not growing and has_begun(evidence, LATE):
            return found("watch", said, *stands_out(evidence))
        return found("ok", said)

    return worst(evidence, judge)


def rank_of_features(evidence: Evidence) -> float:
    """RankMe of the encoder's features at the newest look at held-out views; NaN without one."""
    return evidence.quality.get("h.rankme", math.nan)


@rule(
    since=LATE,
    looks_at="RankMe of the encoder's features of held-out views, or the effective rank (participation ratio) of a "
    "batch's embeddings where there were none; the embedding's width",
    threshold=f"ill: RankMe below {THIN:g}, or else effective rank below {LINE:g}, "
    f"or an embedding of less than {NARROW_DIM} dimensions; watch: below {LEAN:g}, or else {BAND:g}",
    meaning="Features fill a few dimensions only, whatever their width.",
    cause="Views are told apart by one or two easy features (colour, brightness), or large steps have flattened the "
    "network.",
    remedy="Take the easy feature away with stronger colour changes (`--jitter`, `--gray`), lower `--lr`, or widen the "
    "head (`--hidden`).",
)
def dimensional_collapse(evidence: Evidence) -> Finding:
    """Features fill a few dimensions only."""

    def judge(space: Space) -> Finding:
        rank, dim, full = space["effective_rank"].end, evidence.argument("dim"), rank_of_features(evidence)
        if collapsed(space):
            return unknown("the embeddings have collapsed wholly")
        if not known(rank) and not known(full):
            return unknown("no effective rank is recorded")
        said = f"RankMe of the encoder's features {number(full, 2)}, " if known(full) else ""
        said += f"{number(rank, 2)} effective dimensions of embeddings" + (f" of {dim:.0f}" if known(dim) else "")
        if dim < NARROW_DIM:
            return found("ill", said, "The embedding is too narrow.", "Widen it (`--dim`), to 128.")
        if known(full):
            return found(below(full, THIN, LEAN), said)
        return found(below(rank, LINE, BAND), said)

    return worst(evidence, judge)
