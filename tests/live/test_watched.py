"""What the server tells of run folders: what is new and nothing else, and a sentence where something is damaged."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import fake_run
import numpy as np
import pytest

from pairlens.live import watched as module
from pairlens.live.found import find_runs
from pairlens.live.watched import Watched
from pairlens.record.run import log_event
from pairlens.record.table import Table


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer looks at the folders anew."""
    monkeypatch.setattr(module, "FRESH", -1.0)
    monkeypatch.setattr(module, "WALK", -1.0)


def numbers(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def next_question(answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    known = {"boot": answer["boot"], "since": answer["version"], "spark_since": answer["version"]}
    return known | {"pairs": 10_000, "layouts": 10_000} | more


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(folder.rglob("*"))}


def test_runs_are_found_at_any_depth_and_links_once(tmp_path: Path) -> None:
    for name in ("a", "studies/x/b", ".hidden/c", "a/checkpoints/d"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").write_text("{}")
    os.symlink(tmp_path, tmp_path / "studies" / "round")
    assert find_runs(tmp_path) == [tmp_path / "a", tmp_path / "studies/x/b"]
    assert find_runs(tmp_path / "a") == [tmp_path / "a"]
    assert find_runs(tmp_path / "none") == []


def test_a_line_says_how_a_run_is(tmp_path: Path) -> None:
    fake_run.make(tmp_path / "one", steps=200, arguments={"batch": 128})
    for text in ("collapse: ill: the spread fell to 0.1", "negatives: watch: few", "collapse: ok: the spread is 0.9"):
        log_event(tmp_path / "one", "health", text)
    before = state(tmp_path)
    answer = Watched(tmp_path).answer({})
    (line,) = answer["runs"]
    assert (line["name"], line["state"], line["recipe"], line["source"]) == ("one", "finished", "moco_v2", "scenes")
    assert (line["step"], line["steps"], line["note"]) == (200, 200, None)
    table = np.load(tmp_path / "one" / "statistics.npy")
    assert line["loss"] == pytest.approx(table["loss"][-100:].mean(), rel=1e-5)
    assert line["knn"] == pytest.approx(float(np.load(tmp_path / "one" / "probes.npy")["knn"][-1]))
    assert line["health"] == "negatives: watch: few"  # the gravest that holds
    assert ["batch", "128"] in [list(answer["pairs"][n]) for n in line["arguments"]]
    assert "probes/knn" in answer["layouts"][line["layout"]]
    assert len(numbers(answer["sparks"][line["id"]]["mean"])) == 50
    assert state(tmp_path) == before  # nothing is written
    json.dumps(answer, allow_nan=False)


def test_only_what_is_new_is_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fake_run.make(tmp_path / name, steps=640)
    seen = Watched(tmp_path)
    first = seen.answer({})
    a, b = (line["id"] for line in first["runs"])
    asked = {"curves": [[a, "statistics/z.loss", None], [b, "statistics/z.loss", None], [a, "statistics/none", None]]}
    told = seen.answer(next_question(first, **asked))
    assert (told["runs"], told["alive"], told["pairs"], told["sparks"]) == ([], None, [], {})
    assert [(c["run"], c["from"], len(numbers(c["mean"]))) for c in told["curves"]] == [(a, 0, 320), (b, 0, 320)]
    cursors = [[c["run"], c["column"], c["cursor"]] for c in told["curves"]]
    again = seen.answer(next_question(told, curves=cursors))
    assert again["curves"] == []

    rows = np.load(tmp_path / "a" / "statistics.npy")[-5:].copy()
    rows["step"] += 5
    table = Table(tmp_path / "a" / "statistics.npy", rows.dtype)
    table.append(rows)
    table.close()
    grown = seen.answer(next_question(again, curves=cursors))
    assert [line["id"] for line in grown["runs"]] == [a]
    assert list(grown["sparks"]) == [a]
    (curve,) = grown["curves"]
    assert (curve["run"], curve["from"], len(numbers(curve["mean"]))) == (a, 320, 3)

    fake_run.make(tmp_path / "c", steps=60)
    assert len(seen.answer(next_question(grown))["alive"]) == 3
    other = seen.answer({"boot": "another", "since": 99, "spark_since": 99, "pairs": 99, "layouts": 99})
    assert len(other["runs"]) == 3
    assert other["pairs"]


def test_a_resumed_run_is_told_anew(tmp_path: Path) -> None:
    fake_run.make(tmp_path / "a", steps=640)
    seen = Watched(tmp_path)
    run = seen.answer({})["runs"][0]["id"]
    told = seen.answer({"curves": [[run, "statistics/loss", None]]})["curves"][0]
    dtype = np.load(tmp_path / "a" / "statistics.npy").dtype
    Table(tmp_path / "a" / "statistics.npy", dtype, rows=600).close()
    fresh = seen.answer({"curves": [[run, "statistics/loss", told["cursor"]]]})["curves"][0]
    assert (fresh["from"], len(numbers(fresh["mean"]))) == (0, 300)
    table = Table(tmp_path / "a" / "statistics.npy", dtype)
    table.append(np.zeros(40, dtype))  # as many rows as before, but others
    table.close()
    assert seen.answer({"curves": [[run, "statistics/loss", told["cursor"]]]})["curves"][0]["from"] == 0
    log_event(tmp_path / "a", "resumed", "at step 600")
    assert seen.answer({"curves": [[run, "statistics/loss", fresh["cursor"]]]})["curves"][0]["from"] == 0


def test_a_heat_map_grows_by_columns(tmp_path: Path) -> None:
    fake_run.make(tmp_path / "a", steps=1300, every=10)
    seen = Watched(tmp_path)
    run = seen.answer({})["runs"][0]["id"]
    asked = {"run": run, "space": "z", "stage": "raw_", "cursor": None}
    heat = seen.answer({"heat": asked})["heat"]
    assert len(numbers(heat["step"])) == 65  # two histograms a column
    shares = numbers(heat["positive"]).reshape(65, heat["bins"])
    counts = np.load(tmp_path / "a" / "histograms.npy")["z.raw_positive"][:2].sum(0)
    np.testing.assert_allclose(shares[0], counts / counts.sum(), rtol=1e-6)
    again = seen.answer({"heat": asked | {"cursor": heat["cursor"]}})["heat"]
    assert (again["from"], again["step"]) == (65, "")
    assert seen.answer({"heat": asked | {"space": "none"}})["heat"] is None
    assert seen.answer({"heat": asked | {"run": "none"}})["heat"] is None


DAMAGED = {
    "run.json": b"{",
    "status.json": b"[]",
    "events.jsonl": b'\xff\n{"kind": "health"}\n[1]\n' + b"x" * 100,
    "statistics.npy": b"\x93NUMPY\x01\x00garbage",
    "probes.npy": b"no table",
    "quality.npy": b"\x00" * 9000,
    "histograms.npy": b"\x93NUMPY",
}


@pytest.mark.parametrize("name", [*DAMAGED, "truncated", "foreign", "huge", "deep", "empty"])
def test_a_damaged_run_is_a_line_with_a_sentence(tmp_path: Path, name: str) -> None:
    fake_run.make(tmp_path / "good", steps=60)
    bad = fake_run.make(tmp_path / "bad", steps=60)
    if name in DAMAGED:
        (bad / name).write_bytes(DAMAGED[name])
    elif name == "truncated":
        os.truncate(bad / "statistics.npy", 5000)
    elif name == "foreign":
        (bad / "run.json").write_text('{"call": {"arguments": 3, "machine": [1]}, "spaces": [1], "steps": "many"}')
    elif name == "huge":
        (bad / "status.json").write_text(f'{{"state": "running", "step": {10**400}, "steps": {"9" * 5000}}}')
        info = json.loads((bad / "run.json").read_text()) | {"histogram": {"low": float("nan")}, "steps": 10**400}
        (bad / "run.json").write_text(json.dumps(info))
    elif name == "deep":
        for path in ("run.json", "status.json", "events.jsonl"):
            (bad / path).write_text('{"kind": ' * 100_000)
    else:
        for path in bad.iterdir():
            if path.is_file():
                path.write_bytes(b"")
    seen = Watched(tmp_path)
    answer = seen.answer({})
    lines = {line["name"]: line for line in answer["runs"]}
    assert set(lines) == {"good", "bad"}
    asked = [[line["id"], c, None] for line in lines.values() for c in ("statistics/loss", "probes/knn")]
    heat = {"run": lines["bad"]["id"], "space": "z", "stage": "", "cursor": None}
    told = seen.answer(next_question(answer, curves=asked, heat=heat))
    json.dumps([answer, told], allow_nan=False)
    if name in ("run.json", "statistics.npy", "probes.npy", "quality.npy", "truncated", "empty"):
        assert "damaged" in lines["bad"]["note"]
    assert lines["good"]["note"] is None


def test_further_measures_are_offered_and_a_broken_loss_is_told(tmp_path: Path) -> None:
    run = fake_run.make(tmp_path / "a", steps=60)
    looks = np.load(run / "quality.npy")
    last = np.load(run / "statistics.npy")[-1:].copy()
    last["loss"] = np.nan
    table = Table(run / "statistics.npy", last.dtype)
    table.append(last)
    table.close()
    seen = Watched(tmp_path)
    answer = seen.answer({"spark": "quality/rankme"})
    (line,) = answer["runs"]
    columns = answer["layouts"][line["layout"]]
    assert "quality/h.rankme" in columns
    assert "quality/seconds" not in columns
    assert line["note"] == "The loss is no longer a number."
    assert line["loss"] is None
    np.testing.assert_allclose(numbers(answer["sparks"][line["id"]]["mean"]), looks["h.rankme"])
    curve = seen.answer({"curves": [[line["id"], "quality/h.rankme", None]]})["curves"][0]
    np.testing.assert_allclose(numbers(curve["step"]), looks["step"])
    broken = seen.answer({"curves": [[line["id"], "statistics/loss", None]]})["curves"][0]
    assert numbers(broken["broken"]).sum() == 1
