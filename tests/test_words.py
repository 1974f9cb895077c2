"""Lengths of time in words, and words on what takes long."""

import math

import pytest

import pairlens.console
import pairlens.report.panels.run_table
import pairlens.report.panels.verdict
from pairlens import words
from pairlens.words import duration, patient


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7505, "2 h 05 min"),
        (90_000, "25 h 00 min"),
        (math.nan, "\u2013"),
        (math.inf, "\u2013"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_terminal_and_report_say_it_alike() -> None:
    for module in (pairlens.console, pairlens.report.panels.run_table, pairlens.report.panels.verdict):
        assert module.duration is duration


def test_what_takes_long_is_spoken_of_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(words.time, "monotonic", lambda: now)
    said: list[str] = []
    tell = patient(said.append, str)
    for second in range(60):
        now = 100.0 + second
        tell(second)
    assert said == ["2", "6", "14", "24", "34", "44", "54"]
