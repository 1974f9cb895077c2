"""What is usual of the arguments that rules compare with."""

import math

from pairlens.health.evidence import Evidence
from pairlens.health.rule import known
from pairlens.resolve import USUAL
from pairlens.words import number

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

STRONG_DECAY = 0.05
"""Weight decay to which a collapse is put down."""

__all__ = ["ABSURD", "COLDEST", "FAST", "LOW_MOMENTUM", "SLOW", "USUAL", "stands_out", "usual_rate"]


def usual_rate(evidence: Evidence) -> float:
    """The learning rate as a multiple of the optimiser's usual one; NaN where either is not known."""
    name = evidence.arguments.get("optimizer")
    usual = {str(key): rate for key, (rate, _) in USUAL.items()}
    return evidence.argument("lr") / usual.get(str(name), math.nan)


def stands_out(evidence: Evidence) -> tuple[str, str]:
    """What was asked for that explains a collapse or a guess, and its remedy; empty where nothing stands out."""
    momentum, decay = evidence.argument("momentum"), evidence.argument("weight_decay")
    if evidence.source == "queue" and momentum <= LOW_MOMENTUM:
        return (
            f"The momentum of {momentum:g} lets keys follow queries, which tell keys by their age.",
            "Raise `--momentum`, to 0.99.",
        )
    cold = [space.temperature for space in evidence.spaces if space.temperature < COLDEST]
    if cold:
        return f"The temperature of {cold[0]:g} saturates the loss.", "Raise `--temperature`, to 0.1 or 0.2."
    if usual_rate(evidence) > FAST:
        return (
            f"The learning rate is {number(usual_rate(evidence), 2)} times the usual one.",
            "Lower `--lr` by a factor of 4 to 10, and add `--warmup`.",
        )
    if decay > STRONG_DECAY:
        return f"The weight decay of {decay:g} draws all weights to 0.", "Lower `--weight-decay`, to 0.0005 or less."
    if known(evidence.argument("extrapolate")):
        return (
            "Positives are made harder (`--extrapolate`) before the encoder can tell them.",
            "Let the feature transform begin later (`--ft-start`), or leave it out.",
        )
    return "", ""
