"""What is read off a run folder: whole, damaged, with few columns, and at any step."""

import json
import math
import shutil
from pathlib import Path

import fake_run
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pairlens.health import RULES, evidence_of, examine, first_alarm, headline
from pairlens.health.collapse import complete_collapse
from pairlens.record.run import Run, log_event
from pairlens.record.table import Table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_run.make(tmp_path_factory.mktemp("runs") / "plain", steps=400, transformed=False)


def rewrite(folder: Path, **columns: np.ndarray | float | None) -> None:
    """Change columns of a run's statistics (dots as double underscores); None takes one out."""
    path = folder / "statistics.npy"
    rows = np.load(path)
    named = {name.replace("__", "."): value for name, value in columns.items()}
    kept = [name for name in rows.dtype.names if named.get(name, 0) is not None]
    made = np.zeros(len(rows), [(name, rows.dtype[name]) for name in kept])
    for name in kept:
        made[name] = named.get(name, rows[name])
    path.unlink()
    table = Table(path, made.dtype)
    table.append(made)
    table.close()


def change(folder: Path, **values: object) -> None:
    """Change values of a run's run.json."""
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(info | values))


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "run"))


def test_a_run_is_read_until_a_step(folder: Path) -> None:
    whole, half = evidence_of(Run.open(folder)), evidence_of(Run.open(folder), 200)
    assert (whole.rows, whole.last_step, whole.share) == (400, 399, 1.0)
    assert (half.rows, half.last_step, half.share) == (200, 199, 0.5)
    rows = Run.open(folder).statistics
    assert half.spaces[0]["feature_std"].end == pytest.approx(rows["z.feature_std"][180:200].mean(), rel=1e-6)
    assert whole.rate == pytest.approx(rows["learning_rate"][-1] / rows["learning_rate"].max())
    assert (whole.images, whole.batch, whole.spaces[0].negatives) == (10_000, 256, 4096)
    assert whole.files == (1, 0)
    assert len(half.probes) < len(whole.probes) == 12


def test_nothing_after_a_step_matters(run: Path) -> None:
    before = evidence_of(Run.open(run), 250)
    std = Run.open(run).statistics["z.feature_std"].copy()
    std[250:] = 0
    rewrite(run, z__feature_std=std)
    log_event(run, "unreadable", "a.jpg: gone; another image takes its place")
    assert evidence_of(Run.open(run), 250) == before
    assert evidence_of(Run.open(run)).files == (1, 1)
    assert examine(evidence_of(Run.open(run), 250)) == examine(before)


def test_boxes_are_those_found_until_a_step(tmp_path: Path) -> None:
    run = fake_run.localise(fake_run.make(tmp_path / "r", steps=400), refreshes=3, every=100)
    assert evidence_of(Run.open(run), 99).boxes is None
    first, last = evidence_of(Run.open(run), 150).boxes, evidence_of(Run.open(run)).boxes
    assert first is not None
    assert last is not None
    assert first.coverage > last.coverage
    (run / "boxes" / "000300.npz").write_bytes(b"no archive")
    second = evidence_of(Run.open(run)).boxes
    assert second is not None
    assert first.coverage > second.coverage > last.coverage


def test_where_negatives_come_from(run: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    arguments = info["call"]["arguments"]
    for added, spaces, source in (
        ({}, {"z": {"negatives": 4096}}, "batch"),
        ({"negatives": 4096}, {"z": {"negatives": 4096}}, "queue"),
        ({"negatives": 4096, "bank_momentum": 0.5}, {"z": {"negatives": 4096}}, "bank"),
        ({}, {"z": {"negatives": 0}}, "none"),
        ({}, {"z": {}}, "unknown"),
    ):
        change(run, spaces=spaces, call=info["call"] | {"arguments": arguments | added})
        assert evidence_of(Run.open(run)).source == source


def test_an_observed_loop_has_few_columns(run: Path) -> None:
    absent = ("learning_rate", "gradient_norm", "epoch", "z__positive_exp", "z__effective_negatives")
    rewrite(run, **dict.fromkeys([*absent, *(f"time_{p}" for p in ("data", "views", "forward", "backward", "rest"))]))
    change(run, observed=True, spaces={"z": {}}, call={"recipe": "observed", "source": "x.py"}, steps=None, data=None)
    found = evidence_of(Run.open(run))
    assert found.observed
    assert math.isnan(found.share)
    verdicts = {finding.rule: finding.verdict for finding in examine(found)}
    assert verdicts["complete_collapse"] == "ok"
    assert verdicts["data_bound"] == verdicts["rate_too_high"] == verdicts["small_queue"] == "unknown"
    rewrite(run, z__feature_std=0.01)
    assert complete_collapse(evidence_of(Run.open(run))).verdict == "ill"


def test_a_method_without_negatives_is_judged_by_what_it_has(run: Path) -> None:
    change(run, spaces={"z": {"negatives": 0, "temperature": 1.0}})
    verdicts = {finding.rule: finding.verdict for finding in examine(evidence_of(Run.open(run)))}
    for rule in ("guessing", "small_queue", "stale_queue", "low_momentum", "false_negatives", "temperature_high"):
        assert verdicts[rule] == "unknown", rule
    assert verdicts["complete_collapse"] == verdicts["plateau"] == "ok"


def test_the_supervised_baseline_compares_no_embeddings(run: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    change(run, call=info["call"] | {"recipe": "cifar10.supervised"})
    verdicts = {finding.rule: finding.verdict for finding in examine(evidence_of(Run.open(run)))}
    assert verdicts["complete_collapse"] == verdicts["guessing"] == "unknown"
    assert verdicts["not_a_number"] == "ok"


def test_files_that_are_gone_or_damaged_say_nothing(run: Path) -> None:
    for name in ("statistics.npy", "probes.npy", "events.jsonl"):
        (run / name).write_bytes(b"\x93NUMPY garbage")
    found = evidence_of(Run.open(run))
    assert found.rows == 0
    assert found.probes == ()
    assert headline(examine(found)) == "not known yet"
    change(run, spaces=None, data=3, steps="many", batch=None)
    assert evidence_of(Run.open(run)).spaces == ()


def test_an_alarm_is_dated(run: Path) -> None:
    std = Run.open(run).statistics["z.feature_std"].copy()
    assert math.isnan(first_alarm(Run.open(run), complete_collapse))
    always = next(rule for rule in RULES if rule.name == "false_negatives")
    change(run, data={"train": 100})
    info = json.loads((run / "run.json").read_text())
    change(run, call=info["call"] | {"arguments": info["call"]["arguments"] | {"negatives": 4096}})
    assert first_alarm(Run.open(run), always) == 0.05
    std[200:] = 0.02
    rewrite(run, z__feature_std=std)
    assert 0.5 < first_alarm(Run.open(run), complete_collapse) <= 0.6
    std[:] = 0.9
    std[200:300] = 0.02  # it came back
    rewrite(run, z__feature_std=std)
    assert math.isnan(first_alarm(Run.open(run), complete_collapse))


def test_verdicts_of_a_healthy_run_never_flicker(folder: Path) -> None:
    for rows in range(0, 401, 20):
        findings = examine(evidence_of(Run.open(folder), rows))
        assert not [f for f in findings if f.verdict == "ill"], rows
        assert len(findings) == len(RULES)


VALUES = st.floats(width=32, allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0, -1.0, 1e30, math.nan])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_table_makes_a_rule_fail(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    rows = data.draw(st.integers(0, 120))
    table = np.load(folder / "statistics.npy")[:rows].copy()
    names = data.draw(st.sets(st.sampled_from(sorted(table.dtype.names)), max_size=8))
    for name in names - {"step", "images"}:
        table[name] = data.draw(st.lists(VALUES, min_size=1, max_size=5).map(lambda v: np.resize(v, rows)))
    run = Run.open(folder)
    run.__dict__["statistics"] = table  # as if it had been read
    findings = examine(evidence_of(run))
    assert {finding.rule for finding in findings} == {rule.name for rule in RULES}
    assert all(finding.evidence for finding in findings)
