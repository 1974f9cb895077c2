"""trackio's database holds our tables, bit by bit, and nothing twice."""

import json
from pathlib import Path

import numpy as np
import pytest

from pairlens.errors import InputError
from pairlens.loggers.logger import Target
from pairlens.loggers.stream import open_stream
from pairlens.record.run import log_event

pytest.importorskip("trackio", reason="trackio is not installed")

from growing import HISTOGRAMS, STATISTICS, Growing, rows_of
from reading import from_trackio

HERE = Target("trackio")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where trackio writes."""
    from trackio import sqlite_storage, utils

    folder = tmp_path / "trackio"
    for module in (utils, sqlite_storage):
        monkeypatch.setattr(module, "TRACKIO_DIR", folder)
    return folder


def send(folder: Path, target: Target = HERE, **how: bool) -> None:
    with open_stream(folder, target, **how) as stream:
        stream.advance()


def test_the_database_holds_what_the_tables_hold(tmp_path: Path, home: Path) -> None:
    run = Growing(tmp_path / "run", steps=25)
    run.grow(25)
    log_event(run.folder, "warning", "the boxes are of no use")
    send(run.folder)
    rows, alerts, configs = from_trackio(home, "pairlens")
    found = [(step, json.loads(metrics)) for _, step, _, metrics in rows]
    table, counted = rows_of(STATISTICS, np.arange(25)), rows_of(HISTOGRAMS, np.arange(25))
    scalars = [(step, values) for step, values in found if "train/loss" in values]
    assert [step for step, _ in scalars] == list(range(25))
    for step, values in scalars:
        assert values["z/negative_variance"] == table["z.negative_variance"][step].item()
        assert values["train/seconds"] == table["seconds"][step].item()
    assert [step for step, values in found if "probe/knn" in values] == [5, 10, 15, 20, 25]
    histograms = {step: values for step, values in found if "z/positive_scores" in values}
    assert list(histograms) == [0, 20, 24]
    assert histograms[20]["z/positive_scores"]["values"] == counted["z.positive"][20].tolist()
    assert [(title, level) for title, _, level, _ in alerts] == [("begun", "info"), ("warning", "warn")]
    assert len(configs) == 1
    assert json.loads(configs[0][1])["crop"] == [0.2, 1.0]
    assert {name for name, *_ in rows} == {"run"}
    assert rows[0][2].startswith("2026-11-20T08:12:40.1")


def test_rows_that_are_sent_again_after_a_kill_are_not_there_twice(tmp_path: Path, home: Path) -> None:
    run = Growing(tmp_path / "run")
    run.grow(4)
    send(run.folder, everything=True)
    cursor = (run.folder / "logged" / "trackio.json").read_bytes()
    run.begin(2)
    run.grow(6)
    log_event(run.folder, "resumed", "at step 2")
    for _ in range(2):
        send(run.folder, everything=True)
        (run.folder / "logged" / "trackio.json").write_bytes(cursor)
    rows, alerts, _ = from_trackio(home, "pairlens")
    assert [step for _, step, _, metrics in rows if "train/loss" in metrics] == list(range(8))
    assert len(alerts) == 2


def test_a_project_that_cannot_be_called_so_and_another_folder_are_told(tmp_path: Path, home: Path) -> None:
    run = Growing(tmp_path / "run")
    with pytest.raises(InputError, match=r"trackio failed: .*registry-birds"):
        send(run.folder, Target("trackio", project="registry-birds"))
    with pytest.raises(InputError, match="in this process already"):
        send(run.folder, Target("trackio", tmp_path / "elsewhere"))
