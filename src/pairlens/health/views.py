"""Rules on the views themselves, by held-out images that the encoder sees in several views (`quality.npy`)."""

import math

from pairlens.health.collapse import collapsed
from pairlens.health.evidence import Evidence
from pairlens.health.rule import BEGUN, LATE, Finding, above, below, found, known, rule, unknown
from pairlens.words import number

ALIKE = 0.03
"""Distance of two views of an image over that of two images, both squared, below which views hardly differ."""
NEAR = 0.1
"""Ratio below which it is worth watching."""
APART = 0.9
"""Ratio above which two views of an image are no more alike than views of two images."""
FAR = 0.8
"""Ratio above which it is worth watching."""


def relative_distance(evidence: Evidence) -> float:
    """Mean squared distance of two views of an image over that of views of different images, in the encoder's features.

    The latter follows from uniformity, log E exp(-2 d^2), as if all distances were alike: d^2 = -uniformity / 2.
    """
    alignment, uniformity = (evidence.quality.get(f"h.{name}", math.nan) for name in ("alignment", "uniformity"))
    return 2 * alignment / -uniformity if uniformity < 0 else math.nan


@rule(
    since=BEGUN,
    looks_at="distance of two views of a held-out image over that of two images, in the encoder's features",
    threshold=f"ill: below {ALIKE:g}; watch: below {NEAR:g}",
    meaning="The two views of an image hardly differ: there is nothing to learn to ignore.",
    cause="Augmentation is off, or very weak.",
    remedy="Strengthen the views: smaller crops (`--crop 0.2 1`), `--jitter`, `--gray`, `--flip`.",
)
def views_too_weak(evidence: Evidence) -> Finding:
    """The two views of an image hardly differ."""
    ratio = relative_distance(evidence)
    if not known(ratio):
        return unknown("no held-out views were looked at yet")
    said = f"two views of an image lie at {number(ratio, 2)} of the distance of two images"
    return found(below(ratio, ALIKE, NEAR), said)


@rule(
    since=LATE,
    looks_at="distance of two views of a held-out image over that of two images, in the encoder's features",
    threshold=f"ill: above {APART:g}; watch: above {FAR:g}",
    meaning="Two views of an image are no more alike than views of two images.",
    cause="Views are so strong that little of the image is left in both.",
    remedy="Weaken the views: larger crops (`--crop 0.4 1`), less `--jitter`; look at them with `pairlens inspect`.",
)
def views_too_strong(evidence: Evidence) -> Finding:
    """Two views of an image have little in common."""
    ratio = relative_distance(evidence)
    if not known(ratio):
        return unknown("no held-out views were looked at yet")
    if any(map(collapsed, evidence.spaces)):
        return unknown("the embeddings have collapsed, and features tell nothing of the views")
    said = f"two views of an image lie at {number(ratio, 2)} of the distance of two images"
    return found(above(ratio, APART, FAR), said)
