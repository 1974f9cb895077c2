"""Weights & Biases: offline unless asked, resumed by id, and what its files hold is what our tables hold."""

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pairlens.errors import InputError
from pairlens.loggers.logger import Target
from pairlens.loggers.stream import open_stream
from pairlens.loggers.wandb import find_mode
from pairlens.record.run import log_event

from growing import HISTOGRAMS, STATISTICS, Growing, rows_of  # isort: skip
from reading import from_wandb  # isort: skip

KEYS = ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL", "WANDB_PROJECT", "NETRC")

HERE = Target("wandb")


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody is logged in, and nothing is asked for."""
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))


class Fake(ModuleType):
    """The part of wandb that is used."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.errors = SimpleNamespace(Error=type("Error", (Exception,), {}))
        self.calls: list[dict[str, Any]] = []
        self.lines: list[tuple[int, dict[str, Any]]] = []
        self.finished = 0
        self.broken = False

    def init(self, **arguments: Any) -> "Fake":
        self.calls.append(arguments)
        self.settings = SimpleNamespace(sync_dir=f"{arguments['dir']}/wandb/offline-run-{arguments['id']}")
        self.url = "https://wandb.ai/somebody/birds/runs/x"
        return self

    def Settings(self, **settings: Any) -> dict[str, Any]:  # noqa: N802 - as there
        return settings

    def Histogram(self, np_histogram: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:  # noqa: N802
        return np_histogram

    def define_metric(self, name: str, step_metric: str) -> None:
        assert (name, step_metric) == ("*", "step")

    def log(self, values: dict[str, Any], step: int) -> None:
        if self.broken:
            raise self.errors.Error("the server\nis on fire")
        if not self.lines or step > self.lines[-1][0]:  # as there
            self.lines.append((step, values))

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    module = Fake()
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def send(folder: Path, target: Target = HERE, **how: bool) -> str:
    with open_stream(folder, target, **how) as stream:
        stream.advance()
        return stream.logger.where


def test_nothing_leaves_the_machine_unless_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_mode() == "offline"
    netrc = tmp_path / "netrc"
    netrc.write_text("machine example.org login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert find_mode() == "offline"
    netrc.write_text("machine api.wandb.ai login user password secret\n")
    assert find_mode() == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert find_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert find_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert find_mode() == "offline"


def test_a_mode_that_would_ask_for_a_login_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(InputError, match=r"nobody is logged in .* `wandb login` first, or set WANDB_MODE to offline"):
        find_mode()
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(InputError, match="WANDB_MODE is 'disabled'"):
        find_mode()


def test_a_run_goes_on_by_its_id_behind_its_last_line(tmp_path: Path, fake: Fake, monkeypatch: Any) -> None:
    run = Growing(tmp_path / "birds")
    run.grow(4)
    assert send(run.folder, everything=True).startswith(f"to send it: wandb sync {run.folder}/wandb/offline-run-")
    run.begin(2)
    run.grow(4)
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert send(run.folder, everything=True) == fake.url
    offline, online = fake.calls
    assert offline["id"] == online["id"]
    assert (offline["mode"], offline["resume"], online["mode"], online["resume"]) == (
        "offline",
        None,
        "online",
        "allow",
    )
    assert (online["project"], online["name"], online["dir"]) == ("pairlens", "birds", run.folder)
    assert online["config"]["crop"] == [0.2, 1.0]
    assert (online["settings"]["console"], online["settings"]["save_code"]) == ("off", False)
    assert [number for number, _ in fake.lines] == list(range(len(fake.lines)))
    assert [values["step"] for _, values in fake.lines if "train/loss" in values] == list(range(6))
    assert fake.finished == 2


def test_lines_that_are_sent_again_after_a_kill_bear_the_same_numbers(tmp_path: Path, fake: Fake) -> None:
    run = Growing(tmp_path)
    run.grow(4)
    send(tmp_path, everything=True)
    cursor = (tmp_path / "logged" / "wandb.json").read_bytes()
    run.grow(3)
    for _ in range(2):
        send(tmp_path, everything=True)
        (tmp_path / "logged" / "wandb.json").write_bytes(cursor)
    assert [values["step"] for _, values in fake.lines if "train/loss" in values] == list(range(7))


def test_projects_and_folders_are_taken(tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "bees")
    send(Growing(tmp_path / "a").folder)
    send(Growing(tmp_path / "b").folder, Target("wandb", tmp_path / "there", "birds"))
    assert [(call["project"], call["dir"].name) for call in fake.calls] == [("bees", "a"), ("birds", "there")]


def test_what_it_says_of_itself_is_one_sentence(tmp_path: Path, fake: Fake) -> None:
    fake.broken = True
    run = Growing(tmp_path)
    run.grow(1)
    with pytest.raises(InputError, match="Weights & Biases failed: the server is on fire; try again later"):
        send(tmp_path)


def test_the_real_files_hold_what_the_tables_hold(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    run = Growing(tmp_path / "run </script>", steps=25)
    log_event(run.folder, "skipped", "</script>\udcff.jpg: line\nbreak")
    for begin, end in ((0, 12), (8, 25)):
        run.begin(begin)
        run.grow(end - begin)
        send(run.folder)
    lines, records = from_wandb(run.folder)
    assert len({record.run_id for record in records}) == 1
    assert {record.display_name for record in records} == {run.folder.name}
    assert [int(line["_step"]) for line in lines] == list(range(len(lines)))
    table, counted = rows_of(STATISTICS, np.arange(25)), rows_of(HISTOGRAMS, np.arange(25))
    scalars = {int(line["step"]): line for line in lines if "train/loss" in line}
    assert list(scalars) == list(range(25))
    for step, line in scalars.items():
        for name, tag in (("loss", "train/loss"), ("z.uniformity", "z/uniformity"), ("seconds", "train/seconds")):
            assert float(line[tag]) == table[name][step].item()
    assert [int(line["step"]) for line in lines if "probe/knn" in line] == [5, 10, 15, 20, 25]
    histograms = {int(line["step"]): line for line in lines if "z/negative_scores/values" in line}
    assert list(histograms) == [0, 20, 24]
    assert json.loads(histograms[20]["z/negative_scores/values"]) == counted["z.negative"][20].tolist()
    assert any("</script>" in line.get("events/skipped", "") for line in lines)
