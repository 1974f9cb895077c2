"""`pairlens log` and `--log`, as they are typed."""

import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from growing import Growing, Taker, steps_of
from PIL import Image

from pairlens import log_command
from pairlens.cli import run
from pairlens.given import Given
from pairlens.loggers import logger
from pairlens.record.disk import locked
from pairlens.record.observe import Observer
from pairlens.train_command import RunArguments

QUICK = ["--device", "cpu", "--threads", "1", "--epochs", "1", "--encoder", "resnet8w", "--hidden", "16", "--dim", "8"]


@pytest.fixture(autouse=True)
def at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a run looks again at once."""
    monkeypatch.setattr(log_command, "LOOK", 0.01)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No logger is installed."""
    monkeypatch.setattr(logger, "find_spec", lambda name: None)


@pytest.fixture
def photos(here: Path) -> str:
    """A folder of 24 small photographs."""
    folder = here / "photos"
    folder.mkdir()
    for i, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (24, 20, 24, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return str(folder)


def call(*argv: str) -> int:
    """The exit code, by whichever way the command leaves."""
    try:
        return run(list(argv))
    except SystemExit as left:
        return int(left.code or 0)


def test_runs_are_sent_afterwards_and_not_twice(taker: type[Taker], capsys: pytest.CaptureFixture[str]) -> None:
    Growing(Path("runs/a"), steps=5).grow(5)
    Growing(Path("runs/b"), steps=3).grow(3)
    assert call("log", "runs/a", "runs/b", "--to", "tensorboard", "wandb") == 0
    said = capsys.readouterr().out
    assert "runs/a: 8 rows sent to tensorboard; nowhere to be seen" in said  # 5 steps, 1 probe, 2 histograms
    assert "runs/b: 5 rows sent to wandb; nowhere to be seen" in said
    assert steps_of("scalars") == [*range(5), *range(5), *range(3), *range(3)]
    assert call("log", "runs/a", "--to", "wandb") == 0
    assert "runs/a: 0 rows sent to wandb" in capsys.readouterr().out
    assert call("log", "runs/a", "--to", "wandb", "--anew") == 0
    assert "runs/a: 8 rows sent to wandb" in capsys.readouterr().out


def test_a_long_run_is_thinned_unless_everything_is_asked_for(taker: type[Taker]) -> None:
    Growing(Path("long"), steps=6000).grow(6000)
    assert call("log", "long", "--to", "tensorboard") == 0
    assert steps_of("scalars") == [*range(0, 6000, 3), 5999]
    assert steps_of("probe") == list(range(5, 6001, 5))
    taker.taken = []
    Growing(Path("short"), steps=6000).grow(200)
    assert call("log", "short", "--to", "tensorboard", "--everything") == 0
    assert steps_of("scalars") == steps_of("histograms") == list(range(200))


def test_an_observed_loop_is_logged(taker: type[Taker]) -> None:
    generator = torch.Generator().manual_seed(0)
    with Observer("observed", temperature=0.1, say=lambda text: None) as observer:
        for _ in range(4):
            observer(torch.randn(8, 6, generator=generator), torch.randn(8, 6, generator=generator))
    assert call("log", "observed", "--to", "tensorboard") == 0
    assert steps_of("scalars") == [0, 1, 2, 3]
    values = next(what for kind, _, what in taker.taken if kind == "scalars")
    assert "z/positive_mean" in values
    assert "train/gradient_norm" not in values


def follow(*runs: Growing) -> int:
    return call("log", *(str(run.folder) for run in runs), "--to", "tensorboard", "--follow", "--everything")


def test_runs_are_followed_to_their_ends(taker: type[Taker]) -> None:
    runs = [Growing(Path("one")), Growing(Path("two"))]

    def train() -> None:
        for i in range(6):
            runs[0].grow(2)
            time.sleep(0.01)
            if i < 3:
                runs[1].grow(2)
            if i == 2:
                runs[1].tell("interrupted")
            time.sleep(0.01)
        runs[0].tell("finished")

    thread = threading.Thread(target=train)
    for run_ in runs:
        run_.tell("running")
    with locked(Path("one")), locked(Path("two")):
        thread.start()
        assert follow(*runs) == 0
    thread.join()
    assert sorted(steps_of("scalars")) == sorted([*range(12), *range(6)])
    assert taker.closed == 2


def test_a_run_that_was_killed_is_not_waited_for(taker: type[Taker]) -> None:
    run = Growing(Path("killed"))
    run.grow(3)
    run.tell("running")
    assert follow(run) == 0
    assert steps_of("scalars") == [0, 1, 2]


def test_ctrl_c_ends_following_and_keeps_what_was_sent(
    taker: type[Taker], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    run = Growing(Path("run"), observed=True)
    run.grow(3)
    run.tell("running")
    monkeypatch.setattr(log_command.time, "sleep", interrupt)
    assert follow(run) == 130
    run.grow(2)
    assert call("log", "run", "--to", "tensorboard", "--everything") == 0
    assert steps_of("scalars") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere", "--to", "tensorboard"], "there is no run folder nowhere"),
        (["empty", "--to", "tensorboard"], "empty is not a run folder"),
        (["--to", "tensorboard"], "there is no run; give a run's folder"),
        (["run", "--to", "tensorboard", "--project", "birds"], "no logger that has projects"),
        (["run", "--to", "tensorboard", "--folder", "run/run.json"], "run.json/run"),
    ],
)
def test_what_cannot_be_used_gets_one_sentence(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--folder" in argv and find_spec("tensorboard") is None:
        pytest.skip("tensorboard is not installed")
    if "--folder" not in argv:
        monkeypatch.setattr(logger, "check", lambda target: None)
    Growing(Path("run"))
    Path("empty").mkdir()
    assert call("log", *argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("pairlens: ")
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize("argv", [["run"], ["run", "--to"], ["run", "--to", "neptune"]])
def test_a_logger_must_be_named_and_known(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Growing(Path("run"))
    assert call("log", *argv) == 2
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    assert "tensorboard" in said


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_missing_library_is_named_before_anything_is_made(
    name: str, here: Path, photos: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Growing(Path("run"))
    before = sorted(here.rglob("*"))
    for argv in (
        ["log", "run", "--to", name],
        ["train", photos, *QUICK, "--log", name],
        ["resume", "run", "--log", name],
    ):
        assert call(*argv) == 2
        assert f'run `pip install "pairlens[{name}]"`, or leave {name} out' in capsys.readouterr().err
    assert sorted(here.rglob("*")) == before


def test_a_training_is_logged_while_it_runs(
    taker: type[Taker], photos: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--batch", "8", "--splits", "2", "--negatives", "16", "--out", "run"]
    assert call("train", photos, *QUICK, *flags, "--log", "tensorboard") == 0
    assert "tensorboard: nowhere to be seen" in capsys.readouterr().out
    assert steps_of("scalars") == [0, 1, 2]
    events = [what["kind"] for kind, _, what in taker.taken if kind == "event"]
    assert [kind for kind in events if kind != "health"] == ["begun", "finished"]


def test_a_file_of_flags_may_name_loggers(here: Path) -> None:
    (here / "mine.yaml").write_text("log: [tensorboard, wandb]\nlog_project: birds\n")
    given = Given.of(["--config", "mine.yaml"], {"run": RunArguments()})
    assert given.groups["run"] == RunArguments(log=("tensorboard", "wandb"), log_project="birds")
