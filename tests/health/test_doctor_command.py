"""`pairlens doctor`: sentences, JSON, exit codes, and runs of every state."""

import json
from pathlib import Path

import fake_run
import pytest
from test_evidence import rewrite

from pairlens.cli import run as command
from pairlens.health.table import rules_table
from pairlens.record.run import Run


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_run.make(tmp_path_factory.mktemp("runs") / "sound", steps=300)


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = fake_run.make(tmp_path_factory.mktemp("runs") / "ill", steps=300, state="failed")
    rewrite(made, z__feature_std=0.01)
    return made


def test_a_sound_run(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["doctor", str(sound)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{sound}: sound (finished, at step 300 of 300)\n")
    assert "nothing wrong by: not a number, complete collapse" in said
    assert "feature standard deviation" not in said
    assert command(["doctor", str(sound), "--all"]) == 0
    assert "complete collapse (ok): feature standard deviation" in capsys.readouterr().out


def test_an_ill_run_is_told_the_worst_first(sound: Path, ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["doctor", str(sound), str(ill)]) == 3
    first, second = capsys.readouterr().out.split("\n\n")
    assert "sound" in first
    lines = second.splitlines()
    assert lines[0].startswith(f"{ill}: complete collapse")
    assert "(failed, at step 180 of 300)" in lines[0]
    assert lines[1].startswith("  ! complete collapse (ill): feature standard deviation 0.010")
    assert lines[2].startswith("      likely cause: ")
    assert lines[3].startswith("      remedy: ")


def test_json(sound: Path, ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["doctor", str(sound), str(ill), "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert [(run["run"], run["verdict"]) for run in found] == [(str(sound), "ok"), (str(ill), "ill")]
    assert found[1]["findings"][0]["rule"] == "complete_collapse"
    assert set(found[0]["findings"][0]) == {"rule", "verdict", "evidence", "cause", "remedy"}


def test_rules_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["doctor", "--rules"]) == 0
    assert capsys.readouterr().out == rules_table()


def test_what_cannot_be_judged_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["doctor"]) == 2
    assert "doctor needs a run" in capsys.readouterr().err
    assert command(["doctor", str(tmp_path / "none")]) == 2
    assert "there is no run folder" in capsys.readouterr().err
    damaged = fake_run.make(tmp_path / "damaged", steps=60)
    (damaged / "statistics.npy").write_bytes(b"garbage")
    (damaged / "status.json").write_text("{")
    assert command(["doctor", str(damaged)]) == 0
    assert "cannot be judged, because the table" in capsys.readouterr().out
    (damaged / "statistics.npy").unlink()
    assert command(["doctor", str(damaged)]) == 0
    assert "not known yet" in capsys.readouterr().out


def test_hostile_names_do_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = fake_run.make(tmp_path / "r", steps=300, spaces=("z\x1b[31m\u202e", "[bold]"))
    rewrite(made, **{"z\x1b[31m\u202e__feature_std": 0.0})
    assert command(["doctor", str(made), "--all"]) == 3
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert Run.open(made).spaces
