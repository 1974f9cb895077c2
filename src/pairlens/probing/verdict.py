"""Blind, partly or keeps: what measured traces mean, by stated thresholds, in plain words."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pairlens.evaluate.invariance import Estimate, Traces
from pairlens.probing.words import WORDS
from pairlens.report.text import listed, percent

NEAR = 0.9
"""Invariance from here on: an altered image stays so near to itself that its neighbours remain the same."""

FAR = 0.75
"""Invariance up to here: an altered image is clearly elsewhere."""

LOST = 1 / 3
"""Below this share of what the reference reads off, the alteration is not kept."""

KEPT = 2 / 3
"""Above this share it is."""

READABLE = 0.3
"""The reference counts as at least this much: where it reads off little itself, little is asked of the encoder."""

FAINT = 0.97
"""Invariance from here on, of everybody: the alteration hardly changes these pictures."""

SURE = 2.0
"""Standard errors that a verdict has to stand."""

Kind = Literal["blind", "partly", "keeps", "faint"]
REFERENCES: Mapping[str, str] = {"untrained": "the untrained network", "pixels": "raw pixels"}


@dataclass(frozen=True)
class Verdict:
    """A judgement on one alteration."""

    kind: Kind
    sure: bool  # it stands at both ends of the intervals
    share: float  # of what the reference reads off, or of .3 where that is less
    sentences: tuple[str, ...]  # what it means, and why


def judge(name: str, traces: Mapping[str, Traces], reader: str = "encoder") -> Verdict:
    """Judge what a reader makes of an alteration, beside the untrained network and raw pixels.

    It is blind where its features stay (invariance from `NEAR` on) and a linear layer reads off less than `LOST` of
    what it reads off the reference, the better of the two. It keeps where its features go (invariance up to `FAR`) and
    more than `KEPT` is read off. Everything else is partly. A verdict is sure if it would be the same with both numbers
    `SURE` standard errors off, either way. Where nobody's features move (`FAINT`) nothing can be said.
    """
    own, best = traces[reader], _reference(traces)
    reference = max(READABLE, traces[best].told.value if best else 0.0)
    level, told = own.invariance, own.told
    if all(t.invariance.value >= FAINT for t in traces.values()):
        return Verdict("faint", True, math.nan, ("It changes these pictures too little to say anything.",))
    share = told.value / reference if math.isfinite(told.value) else math.nan
    kind = _kind(level.value, share)
    ends = {
        _kind(level.value + a * SURE * level.error, share + a * b * SURE * told.error / reference)
        for a in (-1, 1)
        for b in (-1, 1)
    }
    sentences = (_meaning(name, kind), _evidence(level, told, traces, best))
    return Verdict(kind, ends == {kind}, share, sentences)


def headline(verdicts: Mapping[str, Verdict]) -> str:
    """All verdicts of an encoder in a sentence."""
    nouns: dict[str, list[str]] = {kind: [] for kind in ("blind", "partly", "keeps", "faint")}
    for name, verdict in verdicts.items():
        nouns[verdict.kind].append(WORDS[name].noun)
    said = []
    if nouns["blind"]:
        said.append(f"blind to {listed(nouns['blind'])}")
    if nouns["partly"]:
        said.append(f"partly blind to {listed(nouns['partly'])}")
    if nouns["keeps"]:
        said.append(f"keeps {listed(nouns['keeps'])}")
    text = "; ".join(said) or "nothing can be said"
    return f"{text[0].upper()}{text[1:]}."


def _kind(level: float, share: float) -> Kind:
    if level >= NEAR and not share >= LOST:
        return "blind"
    return "keeps" if level <= FAR and share > KEPT else "partly"


def _reference(traces: Mapping[str, Traces]) -> str | None:
    """Which of the references reads off most; None where neither can."""
    known = {name: traces[name].told.value for name in REFERENCES if math.isfinite(traces[name].told.value)}
    return max(known, key=lambda name: known[name]) if known else None


def _meaning(name: str, kind: Kind) -> str:
    words = WORDS[name]
    if kind == "partly":
        return f"It keeps {words.noun} in part; do not rely on it for {words.needs}."
    return f"{words.blind} Not the encoder for {words.needs}." if kind == "blind" else words.keeps


def _evidence(level: Estimate, told: Estimate, traces: Mapping[str, Traces], best: str | None) -> str:
    """Where features go, and what is read off them, beside the reference."""
    if level.value >= NEAR:
        moved = "Altered, an image hardly moves"
    else:
        moved = "Altered, an image is clearly elsewhere" if level.value <= FAR else "Altered, an image moves a little"
    moved = f"{moved} (invariance {level.value:.2f} \u00b1 {SURE * level.error:.2f})"
    if not math.isfinite(told.value):
        return f"{moved}; how it was altered cannot be asked of these pictures."
    read = "nothing of it" if told.value < 0.05 else f"{percent(told.value, 0)} of it"
    if best is None:
        return f"{moved}; a linear layer reads off {read}."
    theirs = traces[best].told.value
    other = f"{percent(theirs, 0)} from {REFERENCES[best]}" if theirs >= 0.05 else f"nothing from {REFERENCES[best]}"
    return f"{moved}; a linear layer reads off {read}, and {other}."
