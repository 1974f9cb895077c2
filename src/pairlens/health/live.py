"""Health while a run goes on: a hook that looks at what is recorded now and then, and tells what has changed."""

import time
from collections.abc import Callable
from pathlib import Path

from pairlens.health.evidence import evidence_of
from pairlens.health.examine import examine, headline
from pairlens.health.rule import VERDICTS, Finding, Verdict
from pairlens.record.run import Run, log_event
from pairlens.train import Training

PATIENCE = 10.0
"""Seconds between two looks, at least."""
NEGLIGIBLE = 1000.0
"""Times a look's own length that pass before the next one: it takes less than a thousandth of the training."""
NEWS = 100
"""Steps between two looks, at least: the recorder writes as many at a time."""
KIND = "health"
"""Of the events that tell of verdicts."""


class Watcher:
    """A hook that examines a run's own folder; it reads files, and changes nothing of the training.

    A verdict that has changed is an event of the run's log, once; one that has become ill is said in a sentence, once.

    Args:
        folder: the run's folder.
        say: told in a sentence what has become ill.
        show: told the state in a few words after each look.
    """

    def __init__(self, folder: Path, say: Callable[[str], None], show: Callable[[str], None]) -> None:
        self.folder, self.say, self.show = folder, say, show
        self.verdicts = told(Run(folder))
        self.said = {name for name, verdict in self.verdicts.items() if verdict == "ill"}
        self.due, self.step = time.monotonic() + PATIENCE, 0

    def __call__(self, t: Training) -> None:
        """Look if it is time and there is something new."""
        if time.monotonic() >= self.due and t.step - self.step >= NEWS:
            self.step = t.step
            self.look()

    def look(self) -> tuple[Finding, ...]:
        """Look now: log what has changed, say what has become ill, and show the state."""
        began = time.perf_counter()
        findings = examine(evidence_of(Run(self.folder)))
        for finding in findings:
            self._tell(finding)
        self.show(headline(findings))
        self.due = time.monotonic() + max(PATIENCE, NEGLIGIBLE * (time.perf_counter() - began))
        return findings

    def _tell(self, finding: Finding) -> None:
        before = self.verdicts.get(finding.rule, "ok")
        if finding.verdict in (before, "unknown"):
            return
        self.verdicts[finding.rule] = finding.verdict
        log_event(self.folder, KIND, f"{finding.rule}: {finding.verdict}: {finding.evidence}")
        if finding.verdict == "ill" and finding.rule not in self.said:
            self.said.add(finding.rule)
            self.say(f"health: {finding.title}: {finding.evidence}; `pairlens doctor {self.folder}` tells what to do")


def told(run: Run) -> dict[str, Verdict]:
    """The verdict of each rule that a run's log tells of, the last one of each."""
    verdicts: dict[str, Verdict] = {}
    for event in run.events:
        name, _, rest = str(event.get("text")).partition(": ")
        verdict = rest.partition(": ")[0]
        if event.get("kind") == KIND and verdict in VERDICTS:
            verdicts[name] = verdict
    return verdicts
