"""Whether a run that says that it is running still is: told by its lock, and without disturbing who takes it."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pairlens.live.life import state_of
from pairlens.record import disk
from pairlens.record.disk import is_held, locked

RUNNING = {"state": "running"}
HOLD = """
import sys, time
from pathlib import Path
from pairlens.record.disk import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def of(folder: Path, status: dict, quiet: float, observed: bool = False, block: float = 1.0) -> str:
    return state_of(folder, status, float(quiet), float(block), observed)


def test_a_killed_trainer_is_told_by_its_lock(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert of(tmp_path, RUNNING, 1000) == "running"
    process.kill()
    process.communicate(timeout=30)
    assert of(tmp_path, RUNNING, 1) == "running"  # it has just written: nobody looks yet
    assert of(tmp_path, RUNNING, 1000) == "died"
    assert of(tmp_path, {"state": "finished"}, 1000) == "finished"


def test_a_lock_of_another_machine_is_seen_by_trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_listed", lambda about: False)
    with locked(tmp_path):
        assert is_held(tmp_path) is True
    assert is_held(tmp_path) is False
    with locked(tmp_path):  # what was tried was given back
        pass


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="this system lists no locks")
def test_a_lock_of_this_machine_is_not_even_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(tmp_path):
        if not disk._listed(os.stat(tmp_path / "lock")):
            pytest.skip("this file system's locks are listed under another number")
        monkeypatch.setattr(disk, "_refused", lambda file: pytest.fail("it was tried"))
        assert is_held(tmp_path) is True


def test_where_locks_do_not_work_silence_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    (tmp_path / "lock").touch()
    monkeypatch.setattr(disk, "_listed", lambda about: False)
    monkeypatch.setattr(disk.fcntl, "flock", refuse)
    assert is_held(tmp_path) is None
    assert of(tmp_path, RUNNING, 60) == "running"
    assert of(tmp_path, RUNNING, 1000) == "silent"
    assert of(tmp_path, RUNNING, 1000, block=100) == "running"  # its steps are slow


def test_an_observed_loop_and_a_run_that_begins_hold_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert of(tmp_path, RUNNING, 60, observed=True) == "running"
    assert of(tmp_path, RUNNING, 1000, observed=True) == "silent"
    assert of(tmp_path, {}, 10) == "starting"
    assert of(tmp_path, {}, 100) == "died"
    assert of(tmp_path, {"state": "</script>"}, 0) == "unknown"
    assert of(tmp_path, {"state": 3}, 0) == "unknown"


def test_asking_writes_nothing(tmp_path: Path) -> None:
    before = time.time_ns() - 10**9
    assert is_held(tmp_path) is None
    (tmp_path / "lock").touch()
    os.utime(tmp_path / "lock", ns=(before, before))
    assert is_held(tmp_path) is False
    assert os.stat(tmp_path / "lock").st_mtime_ns == before
    assert [p.name for p in tmp_path.iterdir()] == ["lock"]
