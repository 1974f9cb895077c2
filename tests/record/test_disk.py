"""The lock of a run's folder, and disks that cannot be written."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from pairlens.errors import InputError
from pairlens.record import disk
from pairlens.record.disk import locked, writing
from pairlens.record.run import log_event, write_json

HOLD = """
import sys, time
from pathlib import Path
from pairlens.record.disk import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def test_a_lock_is_held_by_one_and_released_by_leaving(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InputError, match="another process is training the run"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_lock_is_released_by_kill_minus_nine(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="wait for it to end, or stop it first"), locked(tmp_path):
        pass
    process.kill()
    process.communicate(timeout=30)
    with locked(tmp_path):
        pass


def test_a_file_system_without_locks_is_used_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(disk, "_lock", refuse)
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    for write in (lambda path: write_json(path / "status.json", {}), lambda path: log_event(path, "begun", "")):
        with pytest.raises(InputError, match=r"none/.* cannot be written \(No such file or directory\); make room"):
            write(tmp_path / "none")


def test_a_defect_stays_a_defect(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writing(tmp_path):
        1 / 0  # noqa: B018
