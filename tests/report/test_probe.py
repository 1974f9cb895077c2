"""The probe in a run's report: read from probe.json, told in words, and a damaged file in a sentence."""

import json
from pathlib import Path

import fake_run
import pytest

from pairlens.record.run import Run
from pairlens.report.page import page
from pairlens.report.panels.probe import compute, draw
from pairlens.report.read import Missing


def estimates(value: float | None, error: float | None = 0.02) -> dict:
    made = {"value": value, "error": error}
    return {"invariance": made, "predictability": {"value": None if value is None else 1 - value, "error": error}}


def probed(run: Path) -> Path:
    """Let a run have been probed: its encoder, and one space with a name that is markup."""
    alterations = {
        "hue": {"verdict": "blind", "sure": True, "encoder": estimates(0.97), "untrained": estimates(0.4)},
        "blur": {"verdict": "keeps", "sure": False, "encoder": estimates(None, None), "pixels": estimates(0.1)},
    }
    advice = {"worth": True, "sentence": "Yes, if your task needs colour.", "command": "pairlens train x --recipe looc"}
    encoder = {"space": None, "headline": "Blind to hue; keeps blur.", "advice": advice, "alterations": alterations}
    space = encoder | {"space": "<b>z</b>", "headline": "Keeps hue and blur.", "advice": None}
    (run / "probe.json").write_text(json.dumps({"encoders": [encoder, space]}))
    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fake_run.make(tmp_path / "plain", steps=20)


def test_without_a_probe_the_report_says_nothing_of_it(folder: Path) -> None:
    found = compute(Run.open(folder))
    assert isinstance(found, Missing)
    assert "pairlens probe RUN" in found.reason
    assert "Blind spots" not in page([Run.open(folder)])


def test_verdicts_numbers_and_advice_are_told(folder: Path) -> None:
    found = compute(Run.open(probed(folder)))
    assert not isinstance(found, Missing)
    hue, blur = found[0].rows
    assert (hue.verdict, hue.invariance, hue.untrained) == ("\u25cb blind", (0.97, 0.02), pytest.approx(0.6))
    assert blur.verdict == "\u25cf probably keeps"
    said = draw(found)
    assert "Blind to hue; keeps blur." in said
    assert "0.97 \u00b1 0.04" in said
    assert "<pre><bdi>pairlens train x --recipe looc</bdi></pre>" in said
    assert "&lt;b&gt;z&lt;/b&gt;" in said
    assert "nan" not in said
    assert said in page([Run.open(folder)])


@pytest.mark.parametrize("text", ["[", "{}", '{"encoders": [{}]}', '{"encoders": 3}'])
def test_a_damaged_probe_is_told_and_ends_no_report(folder: Path, text: str) -> None:
    (folder / "probe.json").write_text(text)
    assert "This cannot be shown" in page([Run.open(folder)])
