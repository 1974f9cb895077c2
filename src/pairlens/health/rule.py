"""A rule of health: a named, documented, pure function from evidence to a finding."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pairlens.health.evidence import Evidence, Space

Verdict = Literal["ok", "watch", "ill", "unknown"]
VERDICTS: tuple[Verdict, ...] = ("ill", "watch", "ok", "unknown")
"""The gravest first."""

FEWEST = 50
"""Recorded steps below which no curve is judged."""
BEGUN = 0.1
"""Share of the planned training below which no rule that waits for its beginning judges (warm-up guard)."""
LATE = 0.3
"""Share of it after which a state is no longer that of a beginning: a loss that guesses, a flat space."""
SHORT, LATE_OF_SHORT = 10.0, 0.5
"""Epochs below which a training is short, and the share of it after which it is late: a queue that is longer than the
first steps, and the narrow cone that trainings begin in, take some of its few epochs to pass."""
BEGUN_STEPS = 200
"""Steps that count as the beginning where nobody knows how many there will be."""


@dataclass(frozen=True)
class Finding:
    """What a rule says of a run."""

    rule: str
    verdict: Verdict
    evidence: str  # numbers in words
    cause: str = ""  # what is likely; empty where nothing is wrong
    remedy: str = ""  # what to change, with its flag in backticks

    @property
    def title(self) -> str:
        """The rule's name in words."""
        return self.rule.replace("_", " ")


Judge = Callable[[Evidence], Finding]


@dataclass(frozen=True)
class Rule:
    """A rule and what is written about it; call it with evidence.

    Before `since`, a share of the planned training, it says nothing (`unknown`); 0 is at any time.
    """

    name: str
    since: float
    looks_at: str
    threshold: str
    meaning: str
    cause: str
    remedy: str
    judge: Judge

    def __call__(self, evidence: Evidence) -> Finding:
        """Judge; a finding that is ill or to be watched names a cause and a remedy."""
        if not has_begun(evidence, self.since):
            return Finding(self.name, "unknown", f"too early to tell: {_until(evidence, self.since)}")
        found = replace(self.judge(evidence), rule=self.name)
        if found.verdict in ("ok", "unknown"):
            return replace(found, cause="", remedy="")
        return replace(found, cause=found.cause or self.cause, remedy=found.remedy or self.remedy)


def rule(
    *, since: float, looks_at: str, threshold: str, meaning: str, cause: str, remedy: str
) -> Callable[[Judge], Rule]:
    """Make a rule of a function, which is called as the function is."""

    def make(judge: Judge) -> Rule:
        return Rule(judge.__name__, since, looks_at, threshold, meaning, cause, remedy, judge)

    return make


def has_begun(evidence: Evidence, since: float) -> bool:
    """Whether so much of the training is recorded that curves say something."""
    if since <= 0:
        return True
    if evidence.rows < FEWEST:
        return False
    if math.isnan(evidence.share):
        return evidence.rows >= BEGUN_STEPS * since / BEGUN
    return evidence.share >= _share(evidence, since)


def _share(evidence: Evidence, since: float) -> float:
    """The share of this training that `since` means: later for `LATE` in a short one."""
    short = evidence.epochs < SHORT * evidence.share
    return max(since, LATE_OF_SHORT) if since >= LATE and short else since


def _until(evidence: Evidence, since: float) -> str:
    if evidence.rows < FEWEST:
        return f"{evidence.rows} of {FEWEST} steps"
    if math.isnan(evidence.share):
        return f"{evidence.rows} of {BEGUN_STEPS * since / BEGUN:.0f} steps"
    return f"{evidence.share:.0%} of {_share(evidence, since):.0%} of the training"


def found(verdict: Verdict, evidence: str, cause: str = "", remedy: str = "") -> Finding:
    """A finding of the rule at hand, which fills in its name."""
    return Finding("", verdict, evidence, cause, remedy)


def unknown(why: str) -> Finding:
    """Nothing can be said, and why."""
    return found("unknown", why)


def above(value: float, ill: float, watch: float) -> Verdict:
    """Ill above one bound, to be watched above a lower one."""
    return "ill" if value > ill else "watch" if value > watch else "ok"


def below(value: float, ill: float, watch: float) -> Verdict:
    """Ill below one bound, to be watched below a higher one."""
    return "ill" if value < ill else "watch" if value < watch else "ok"


def worst(evidence: Evidence, judge: Callable[[Space], Finding]) -> Finding:
    """The gravest finding among the embedding spaces, which it names where there are several."""
    if not evidence.trains:
        return unknown("embeddings are not what this training compares")
    if not evidence.spaces:
        return unknown("no embedding space is recorded")
    several = len(evidence.spaces) > 1
    findings = [(space, judge(space)) for space in evidence.spaces]
    space, gravest = min(findings, key=lambda pair: VERDICTS.index(pair[1].verdict))
    return replace(gravest, evidence=f"space {space.name}: {gravest.evidence}") if several else gravest


def known(*values: float) -> bool:
    """Whether all of these numbers are known."""
    return all(map(math.isfinite, values))


def by_severity(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The gravest first; those of one verdict stay in order."""
    return tuple(sorted(findings, key=lambda finding: VERDICTS.index(finding.verdict)))
