"""Studies for real, on tiny images: interrupted, killed, failed, resumed, and never computed twice."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.studies import engine
from pairlens.studies.arms import Arm, Job, Setting, Study, job
from pairlens.studies.engine import run_studies
from pairlens.studies.page import page
from pairlens.studies.process import Process, clear
from pairlens.studies.stages import stage_of

SLOW: dict = {"epochs": 250, "save_every": 0.3}
GOOD, BAD = Arm("good", "simclr", SLOW), Arm("bad", "simclr", {"lr": 1e30}, "good")
STUDY = Study("tiny", "Tiny", (GOOD, BAD), "minus good")


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests were started in the background, with a signal that is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "tiny.npz", x=pixels, y=np.arange(64) % 4)
    return Setting(
        str(tmp_path / "tiny.npz"), tmp_path / "runs", (0, 1), {"epochs": 1, "encoder": "resnet8w"}, jobs=2, threads=1
    )


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """Every process that the engine starts, in order."""
    seen: list[Process] = []
    start = engine.start

    def watched(one: Job, stage: str, setting: Setting) -> Process:
        seen.append(start(one, stage, setting))
        return seen[-1]

    monkeypatch.setattr(engine, "start", watched)
    return seen


def when(ready: Callable[[], bool], act: Callable[[], object]) -> threading.Thread:
    """Do something in a thread as soon as something else is so; give up after minutes."""

    def wait() -> None:
        for _ in range(4000):
            if ready():
                act()
                return
            time.sleep(0.05)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def newest(folder: Path) -> str:
    return max((path.name for path in (folder / "checkpoints").glob("step-*")), default="")


def stages(seen: list[Process]) -> list[tuple[str, str]]:
    return sorted((p.job.name, p.stage) for p in seen)


def test_a_study_survives_ctrl_c_and_kill_and_goes_on(setting: Setting, started: list[Process]) -> None:
    good, other = job(GOOD, setting, 0), job(GOOD, setting, 1)

    # Ctrl-C: the training writes a checkpoint and ends, and so does the study.
    one_seed = Setting(setting.source, setting.folder, (0,), setting.budget, 2, 1)
    thread = when(lambda: newest(good.folder) != "", lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run_studies([Study("one", "One", (GOOD,), "")], one_seed, say=lambda text: None)
    thread.join()
    assert Run.open(good.folder).status["state"] == "interrupted"
    assert all(process.popen.poll() is not None for process in started)
    assert stages(started) == [(good.name, "train")]

    # Killed: the others are trained and measured all the same, and one that diverges is told.
    started.clear()

    def kill_first() -> None:
        started[0].popen.kill()

    thread = when(lambda: Run.open(good.folder).status.get("state") == "running", kill_first)
    told: list[str] = []
    outcomes = run_studies([STUDY], setting, say=told.append)
    thread.join()
    bad = [job(BAD, setting, seed) for seed in (0, 1)]
    assert started[0].stage == "resume"
    assert stages(started) == sorted(
        [(good.name, "resume"), *((b.name, "train") for b in bad), (other.name, "train"), (other.name, "measure")]
    )
    assert set(outcomes.failures) == {good, *bad}
    assert "signal 9" in outcomes.failures[good]
    assert all("diverged" in outcomes.failures[b] for b in bad)
    assert any(text.startswith(f"{other.name}: kNN ") for text in told)

    # Again: only what is left of the killed one; then nothing at all.
    started.clear()
    progress: list[tuple] = []
    outcomes = run_studies([STUDY], setting, say=lambda text: None, progress=lambda *told: progress.append(told))
    assert stages(started) == sorted([(good.name, "resume"), (good.name, "measure")])
    assert set(outcomes.failures) == set(bad)
    assert progress[-1][:3] == ("runs", 4, 4)
    assert list((Run.open(good.folder).evaluation or {})["test"]) == ["encoder"]
    started.clear()
    before = (good.folder / "evaluation.json").stat().st_mtime_ns
    outcomes = run_studies([STUDY], setting, say=lambda text: None)
    assert started == []
    assert (good.folder / "evaluation.json").stat().st_mtime_ns == before

    text = page("Tiny", [STUDY], setting, outcomes.failures, "pairlens study SOURCE tiny")
    assert "## What all runs share" in text
    assert "| bad (0 of 2 seeds) | \u2013 | \u2013 |" in text
    assert "- bad, seed 1: failed, the training has diverged" in text

    # What was trained otherwise must not stand for it.
    changed = Setting(setting.source, setting.folder, (0, 1), {**setting.budget, "batch": 8}, 2, 1)
    with pytest.raises(InputError, match="give the study another folder"):
        run_studies([STUDY], changed, say=lambda text: None)


def test_the_beginnings_of_a_run_are_in_nobodys_way(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "lock").touch()
    assert stage_of(Job((), folder)) == "train"
    clear(folder)
    assert list(folder.iterdir()) == []
    clear(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nope", "there is no folder nope; give a folder of images"),
        ("bare.npy", r"bare\.npy have no labels, and a study"),
    ],
)
def test_a_source_that_cannot_be_used_is_told_once_and_nothing_is_started(
    setting: Setting,
    started: list[Process],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("bare.npy", np.zeros((8, 16, 16, 3), dtype=np.uint8))
    with pytest.raises(InputError, match=message):
        run_studies([STUDY], replace(setting, source=source), say=lambda text: None)
    assert started == []
    assert not setting.folder.exists()


def test_labels_that_an_arm_asks_for_are_labels(tmp_path: Path, setting: Setting) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (16, 16), (40 * number, 0, 0)).save(tmp_path / "photos" / name / f"{number}.png")
    photos = replace(setting, source=str(tmp_path / "photos"))
    asking = Study("asking", "Asking", (Arm("one", "simclr", {"labels": True}),), "")
    engine.check_source([asking], photos, lambda what, done, total, detail: None)
    with pytest.raises(InputError, match="add --labels where a folder"):
        engine.check_source([STUDY], photos, lambda what, done, total, detail: None)


def test_a_page_without_results_has_no_section_of_what_runs_share(setting: Setting) -> None:
    text = page("Tiny", [STUDY], setting, {}, "pairlens study SOURCE tiny")
    assert "No run has a result." in text
    assert "What all runs share" not in text
    assert "Nothing" not in text
