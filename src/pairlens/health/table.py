"""The rules as a table for people, made from the rules themselves."""

from pairlens.health.course import LONGEST, SHORTEST
from pairlens.health.examine import RULES
from pairlens.health.rule import BEGUN, BEGUN_STEPS, FEWEST, LATE, LATE_OF_SHORT, SHORT

HEAD = f"""\
# Health: the rules

`pairlens doctor RUN` asks each of these rules about what a run has recorded; the progress line and the report show the
same. Every rule is a pure function in `pairlens.health`, every threshold a constant beside it. This page is made from
them: `pairlens doctor --rules`.

A verdict is `ok`, `watch` (worth a look), `ill` (something is wrong) or `unknown` (not recorded, does not apply, or too
early).

- A number without more is the mean of the last tenth of the recorded steps, of {SHORTEST} to {LONGEST} of them.
- Of a training of fewer than {SHORT:g} epochs, {LATE:.0%} means {LATE_OF_SHORT:.0%}.
- Where nobody knows how many steps there will be, as of an observed loop, {BEGUN_STEPS} stand for {BEGUN:.0%}.
- Of fewer than {FEWEST} steps no curve is judged.
"""


def rules_table() -> str:
    """Every rule: its name, what it looks at, its thresholds, what they mean, and what to do. Markdown."""
    rows = [
        f"## {rule.name}\n\n{rule.meaning}\n\n- Looks at: {rule.looks_at}.\n- Asked {_since(rule.since)}.\n"
        f"- Thresholds: {rule.threshold}.\n- Likely cause: {rule.cause}\n- Remedy: {rule.remedy}"
        for rule in RULES
    ]
    return HEAD + "\n" + "\n\n".join(rows) + "\n"


def _since(share: float) -> str:
    return f"after {share:.0%} of the training" if share else "at any time"
