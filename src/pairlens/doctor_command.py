"""What `pairlens doctor` does: judge runs by the rules of health, and say what to change."""

import json
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from pairlens.console import Console
from pairlens.errors import InputError
from pairlens.flags import parse
from pairlens.health import Finding, evidence_of, examine, headline
from pairlens.health.rule import VERDICTS
from pairlens.health.table import rules_table
from pairlens.record.run import Run
from pairlens.report.text import clean, listed

ILL = 3
"""Exit code where a run is ill."""

MARKS = {"ill": "!", "watch": "~", "ok": "\u2713", "unknown": "\u2026"}


def doctor(argv: list[str]) -> int:
    """`pairlens doctor RUN... [--all] [--json] [--rules]`."""

    def command(
        runs: Positional[tuple[Path, ...]] = (),
        *,
        all: bool = False,
        json: bool = False,
        rules: bool = False,
    ) -> int:
        """Say whether runs are healthy, why not, and what to change. Runs may still be going on.

        The exit code is 0 where none is ill, and 3 where one is.

        Args:
            runs: run folders, observed ones among them.
            all: show the evidence of rules that find nothing wrong, too.
            json: print the findings as JSON.
            rules: print every rule, what it looks at and its thresholds, and nothing else.
        """
        console = Console()
        if rules:
            console.say(rules_table().rstrip("\n"))
            return 0
        if not runs:
            raise InputError("doctor needs a run; give the folders that `pairlens train` printed, or --rules")
        return _examine([Run.open(folder) for folder in runs], console, whole=all, as_json=json)

    return parse(command, "doctor", argv)


def _examine(runs: list[Run], console: Console, *, whole: bool, as_json: bool) -> int:
    damages = [_damage(run) for run in runs]
    found = [() if damage else examine(evidence_of(run)) for run, damage in zip(runs, damages, strict=True)]
    told = list(zip(runs, found, damages, strict=True))
    if as_json:
        console.say(json.dumps([record(*one) for one in told], indent=1))
    else:
        console.say("\n\n".join(tell(*one, whole=whole) for one in told))
    return ILL if any(finding.verdict == "ill" for findings in found for finding in findings) else 0


def record(run: Run, findings: tuple[Finding, ...], damage: str) -> dict[str, Any]:
    """What was found of a run, as plain values."""
    worst = next((v for v in VERDICTS if any(f.verdict == v for f in findings)), "unknown")
    return {
        "run": str(run.folder),
        "verdict": worst,
        "headline": headline(findings),
        "damage": damage,
        "findings": [
            {"rule": f.rule, "verdict": f.verdict, "evidence": f.evidence, "cause": f.cause, "remedy": f.remedy}
            for f in findings
        ],
    }


def tell(run: Run, findings: tuple[Finding, ...], damage: str = "", *, whole: bool = False) -> str:
    """What was found of a run, in lines: the worst first, what is fine in one."""
    if damage:
        return f"{clean(run.folder)}: cannot be judged, because {clean(damage)}"
    lines = [f"{clean(run.folder)}: {headline(findings)}{_state(run)}"]
    for finding in findings:
        if finding.verdict in ("ill", "watch") or (whole and finding.verdict == "ok"):
            lines.append(f"  {MARKS[finding.verdict]} {finding.title} ({finding.verdict}): {clean(finding.evidence)}")
            lines += [f"      likely cause: {finding.cause}", f"      remedy: {finding.remedy}"][
                : 2 * bool(finding.cause)
            ]
    fine = [finding.title for finding in findings if finding.verdict == "ok"]
    if fine and not whole:
        lines.append(f"  {MARKS['ok']} nothing wrong by: {listed(fine)}")
    silent = [finding for finding in findings if finding.verdict == "unknown"]
    if whole:
        lines += [f"  {MARKS['unknown']} {f.title} (unknown): {clean(f.evidence)}" for f in silent]
    elif silent:
        lines.append(f"  {MARKS['unknown']} not judged (--all says why): {listed([f.title for f in silent])}")
    return "\n".join(lines)


def _state(run: Run) -> str:
    step, steps, state = (run.status.get(name) for name in ("step", "steps", "state"))
    if not isinstance(step, int) or not isinstance(state, str):
        return ""
    return f" ({clean(state)}, at step {step:,}" + (f" of {steps:,})" if isinstance(steps, int) else ")")


def _damage(run: Run) -> str:
    """Why the statistics cannot be read; empty where they can."""
    try:
        run.statistics  # noqa: B018 - reads the file
    except InputError as error:
        return str(error)
    return ""
