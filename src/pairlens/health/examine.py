"""All rules of health on one run: the findings, in words, and when a rule first raised its alarm."""

import math
from collections.abc import Sequence

from pairlens.health import collapse, machine, negatives, optimisation, scores, views
from pairlens.health.evidence import Evidence, evidence_of
from pairlens.health.rule import Finding, Rule, by_severity
from pairlens.record.run import Run

RULES: tuple[Rule, ...] = (
    optimisation.not_a_number,
    collapse.complete_collapse,
    optimisation.rate_too_high,
    optimisation.exploding_gradients,
    scores.guessing,
    collapse.dimensional_collapse,
    negatives.low_momentum,
    negatives.stale_queue,
    negatives.false_negatives,
    negatives.small_queue,
    scores.temperature_low,
    scores.temperature_high,
    views.views_too_weak,
    views.views_too_strong,
    scores.positives_too_hard,
    scores.positives_too_easy,
    optimisation.rate_too_low,
    optimisation.vanishing_gradients,
    machine.useless_boxes,
    machine.data_bound,
    machine.lost_files,
    optimisation.plateau,
)
"""The gravest first: what a rule says may be the cause of what the next ones say."""

PREFIXES = 20
"""Points of a run at which it is asked when an alarm began."""


SOUND, UNKNOWN = "sound", "not known yet"
"""Headlines of runs of which no rule finds anything wrong, and of which nobody can tell yet."""


def examine(evidence: Evidence) -> tuple[Finding, ...]:
    """What every rule says, the gravest findings first; a pure function."""
    return by_severity([rule(evidence) for rule in RULES])


def headline(findings: Sequence[Finding]) -> str:
    """The state of a run in a few words: "sound", "complete collapse", "watch the temperature low"."""
    ill = [f.title for f in findings if f.verdict == "ill"]
    watch = [f.title for f in findings if f.verdict == "watch"]
    if ill:
        return ill[0] + (f" and {len(ill) - 1} more" if len(ill) > 1 else "")
    if watch:
        return f"watch: {watch[0]}" + (f" and {len(watch) - 1} more" if len(watch) > 1 else "")
    curves = {rule.name for rule in RULES if rule.since}
    return SOUND if any(f.rule in curves and f.verdict == "ok" for f in findings) else UNKNOWN


def first_alarm(run: Run, rule: Rule, prefixes: int = PREFIXES) -> float:
    """The share of the recorded training at which a rule's verdict became ill and stayed so; NaN where it is not ill.

    It is asked at so many equal prefixes, so the answer is exact to one of them.
    """
    rows, since = len(run.statistics), math.nan
    for place in range(prefixes, 0, -1):
        if rule(evidence_of(run, math.ceil(rows * place / prefixes))).verdict != "ill":
            break
        since = place / prefixes
    return since
