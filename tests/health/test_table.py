"""The page of rules is what the rules say."""

from pathlib import Path

from pairlens.health.examine import RULES
from pairlens.health.table import rules_table


def test_the_page_is_made_from_the_rules() -> None:
    page = Path(__file__).parents[2] / "docs" / "health.md"
    assert page.read_text(encoding="utf-8") == rules_table(), "make it anew: pairlens doctor --rules > docs/health.md"
    for rule in RULES:
        assert f"## {rule.name}\n" in rules_table()
        assert rule.threshold in rules_table()
