"""Is it converging? Has it collapsed? When to stop? Named rules over what a run has recorded.

Each rule is a pure function from `Evidence` to a `Finding`; thresholds are named constants beside their rules.
"""

from pairlens.health.evidence import Evidence, evidence_of
from pairlens.health.examine import RULES, examine, first_alarm, headline
from pairlens.health.rule import Finding, Rule

__all__ = ["RULES", "Evidence", "Finding", "Rule", "evidence_of", "examine", "first_alarm", "headline"]
