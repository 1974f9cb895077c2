"""`pairlens inspect`: a page and a summary, one sentence for what cannot be used, and nothing else written."""

import os
import re
from pathlib import Path

import pytest

from pairlens import inspect_command
from pairlens.cli import USAGE, run

QUICK = ["--device", "cpu", "--threads", "1", "--workers", "1", "--encoder", "resnet8w", "--hidden", "16", "--no-speed"]
pytestmark = pytest.mark.usefixtures("here")


def call(*argv: str) -> int:
    try:
        return run(["inspect", *argv])
    except SystemExit as left:
        return int(left.code or 0)


def test_a_page_and_a_summary(folder: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = here / "mine.yaml"
    config.write_text(f"recipe: simclr\nsource: {folder}\nout: runs/x\nbatch: 4\nepochs: 3\nseed: 5\nlabels: true\n")
    assert call("-o", "seen.html", "--config", "mine.yaml", *QUICK) == 0
    said = capsys.readouterr().out
    assert re.search(r"training +simclr: 3 epochs of 2 steps, batch 4, 6 negatives a query", said)
    assert said.splitlines()[-1] == f"page: {here / 'seen.html'}"
    assert sorted(path.name for path in here.iterdir()) == ["mine.yaml", "seen.html"]
    assert "with seed 5" in (here / "seen.html").read_text(encoding="utf-8")


def test_the_page_has_a_usual_place_and_flags_go_anywhere(folder: Path, here: Path) -> None:
    assert call("--decode", "always", "--no-duplicates", str(folder), *QUICK, "--epochs", "1", "--splits", "1") == 0
    assert [path.name for path in here.iterdir()] == ["inspect.html"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["PHOTOS", "--boxes-of", "nowhere"], "there is no run folder nowhere"),
        (["PHOTOS", "--recipe", "simcla"], "did you mean simclr"),
        (["PHOTOS", "--batch", "64"], "a batch of 64 is larger"),
        (["PHOTOS", "--boxes", "known", "--batch", "4", "--splits", "1"], "come without boxes"),
        (["PHOTOS", "-o", "."], "(it is a folder)"),
        (["PHOTOS", "-o", "PHOTOS/dogs/00.jpg/page.html"], "00.jpg is no folder that may be written"),
        (["PHOTOS", "-o", "PHOTOS/dogs/00.jpg"], "00.jpg is there and is no page"),
        (["PHOTOS", "-o", "n" * 300], "the page cannot be written"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(
    folder: Path, here: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert call(*(word.replace("PHOTOS", str(folder)) for word in argv), *QUICK) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("pairlens: ")
    assert said.count("\n") == 1
    assert list(here.iterdir()) == []


def test_a_page_that_cannot_be_written_is_known_before_any_image_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect_command, "open_subject", lambda *args, **kwargs: pytest.fail("images were opened"))
    assert call(str(folder), "-o", str(folder / "dogs" / "00.jpg"), *QUICK) == 2


def test_what_is_no_file_is_not_replaced(folder: Path, here: Path) -> None:
    """As a device is not, which root could replace: here a pipe, so that a fault harms nothing."""
    os.mkfifo(here / "pipe")
    assert call(str(folder), "-o", "pipe", *QUICK) == 2
    assert (here / "pipe").is_fifo()


def test_an_older_page_is_replaced_and_folders_are_made(folder: Path, here: Path) -> None:
    quick = (*QUICK, "--no-duplicates", "--batch", "4", "--splits", "1", "--epochs", "1")
    page = here / "deep" / "page.html"
    for seed in ("3", "4"):
        assert call(str(folder), "-o", "deep/page.html", "--seed", seed, *quick) == 0
        assert f"with seed {seed}" in page.read_text(encoding="utf-8")
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


def test_a_wrong_flag_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(str(folder), "--save-every", "5") == 2
    assert "--save-every" in capsys.readouterr().err
    assert call() == 2


def test_ctrl_c_leaves_with_130_and_no_page(
    folder: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect_command, "look", interrupted)
    assert call(str(folder), *QUICK, "--batch", "4", "--splits", "1") == 130
    assert "interrupted" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_the_usage_names_it() -> None:
    assert "pairlens inspect SOURCE" in USAGE
