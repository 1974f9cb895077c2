"""What is usual of the arguments that rules compare with."""

import math

from pairlens.assemble import USUAL
from pairlens.health.evidence import Evidence

LOW_MOMENTUM = 0.9
"""Momentum below which keys follow the query encoder too closely (FT, Table 1: 46.5 % at .9, 56.2 % at .99)."""
COLDEST = 0.02
"""Temperature below which scores of cosines saturate any softmax: methods take 0.05 to 0.5."""
FAST = 8.0
"""Times the usual rate above which a collapse is put down to it."""
ABSURD = 100.0
"""Times the usual rate that are a mistake, whatever the curves look like."""
SLOW = 1 / 16
"""Times the usual rate below which a loss that does not fall is put down to it."""

__all__ = ["ABSURD", "COLDEST", "FAST", "LOW_MOMENTUM", "SLOW", "USUAL", "usual_rate"]


def usual_rate(evidence: Evidence) -> float:
    """The learning rate as a multiple of the optimiser's usual one; NaN where either is not known."""
    name = evidence.arguments.get("optimizer")
    usual = {str(key): rate for key, (rate, _) in USUAL.items()}
    return evidence.argument("lr") / usual.get(str(name), math.nan)
