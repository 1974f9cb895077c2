"""The rules as a table for people, made from the rules themselves."""

from pairlens.health.examine import RULES

HEAD = """\
# Health: the rules

`pairlens doctor RUN` asks each of these rules about what a run has recorded; the progress line and the report show the
same. Every rule is a pure function in `pairlens.health`, every threshold a constant beside it. This page is made from
them: `pairlens doctor --rules`.

A verdict is `ok`, `watch` (worth a look), `ill` (something is wrong) or `unknown` (not recorded, does not apply, or too
early). "Now" is the mean of the last tenth of the recorded steps, of 20 at least and 500 at most.
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
