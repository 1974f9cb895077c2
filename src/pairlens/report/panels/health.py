"""Health: what the rules say of a run, the gravest first, with its evidence, likely cause and remedy."""

from collections.abc import Sequence
from dataclasses import dataclass

from pairlens.health import Finding, evidence_of, examine, headline
from pairlens.health.examine import SOUND, UNKNOWN
from pairlens.record.run import Run
from pairlens.report.html import Html, join, prose, tag
from pairlens.report.read import Missing
from pairlens.report.text import count

MARKS = {"ill": "!", "watch": "\u2248", "ok": "\u2713", "unknown": "\u2026"}
NAMES = {"ill": "ill", "watch": "worth watching", "ok": "fine", "unknown": "not judged"}


@dataclass(frozen=True)
class Health:
    """What every rule says of a run, the gravest first, and after how many steps."""

    findings: tuple[Finding, ...]
    steps: int


def compute(run: Run) -> Health | Missing:
    """Ask every rule."""
    if not len(run.statistics):
        return Missing("Nothing is recorded yet by which this run's health could be judged.")
    evidence = evidence_of(run)
    return Health(examine(evidence), evidence.rows)


def draw(health: Health) -> Html:
    """A headline, a card for each finding that wants something done, and the others behind a fold."""
    grave = [finding for finding in health.findings if finding.verdict in ("ill", "watch")]
    fine = [finding for finding in health.findings if finding.verdict == "ok"]
    silent = [finding for finding in health.findings if finding.verdict == "unknown"]
    said = headline(health.findings)
    state = {SOUND: "Sound: no rule finds anything wrong", UNKNOWN: "Too early to tell"}.get(said)
    words = f"{state or said[:1].upper() + said[1:]}, after {count(health.steps)} steps."
    return join(
        [
            tag("p", {"class": "state-of-health"}, words),
            tag("div", {"class": "findings"}, *map(_card, grave)) if grave else None,
            _folded(fine, f"{len(fine)} rules find nothing wrong"),
            _folded(silent, f"{len(silent)} rules do not apply, or cannot tell"),
        ]
    )


def _card(finding: Finding) -> Html:
    mark = tag("span", {"class": "mark", "aria-hidden": "true"}, MARKS[finding.verdict])
    kind = tag("span", {"class": "minor"}, NAMES[finding.verdict])
    head = tag("h3", {}, finding.title[:1].upper() + finding.title[1:], " ", kind)
    rows = [("Evidence", finding.evidence), ("Likely cause", finding.cause), ("Remedy", finding.remedy)]
    facts = [part for name, text in rows for part in (tag("dt", {}, name), tag("dd", {}, prose(_sentence(text))))]
    return tag(
        "article",
        {"class": "finding", "data-verdict": finding.verdict},
        mark,
        tag("div", {}, head, tag("dl", {}, *facts)),
    )


def _folded(findings: Sequence[Finding], title: str) -> Html | None:
    if not findings:
        return None
    lines = [
        tag("li", {}, tag("b", {}, finding.title), ": ", prose(finding.evidence), "." if finding.evidence else None)
        for finding in findings
    ]
    return tag("details", {"class": "fine-rules"}, tag("summary", {}, title), tag("ul", {}, *lines))


def _sentence(text: str) -> str:
    """Words with a capital and a full stop."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."
