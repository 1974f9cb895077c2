"""`pairlens probe`: a page, its numbers and a table; one sentence for what cannot be used, and nothing else written."""

import json
import shutil
from pathlib import Path

import pytest

from pairlens import probe_command
from pairlens.cli import USAGE, run
from pairlens.probing.whole import Probing

QUICK = ["--device", "cpu", "--threads", "1", "--images", "40"]
pytestmark = pytest.mark.usefixtures("here")


def call(*argv: str) -> int:
    try:
        return run(["probe", *argv])
    except SystemExit as left:
        return int(left.code or 0)


def test_one_run_is_written_into_its_folder(
    request: pytest.FixtureRequest, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(request.getfixturevalue("run"), here / "mine")
    assert call("mine", *QUICK) == 0
    said = capsys.readouterr().out
    assert "probing mine with 40 training images" in said
    assert "views/s" in said
    assert said.splitlines()[-2:] == [f"page: {here / 'mine/probe.html'}", f"numbers: {here / 'mine/probe.json'}"]
    assert json.loads((here / "mine/probe.json").read_text())["encoders"][0]["what"] == "mine"
    assert [path.name for path in here.iterdir()] == ["mine"]


def test_a_file_is_written_here_or_where_it_is_asked_for(
    bare: Path, photos: Path, here: Path, probing: Probing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_command, "look", lambda *args, **given: probing)
    assert call(str(bare), "--on", str(photos), *QUICK, "-o", "deep/seen.html") == 0
    assert sorted(path.name for path in (here / "deep").iterdir()) == ["seen.html", "seen.json"]
    assert probe_command._usual_output((str(bare),)) == Path("probe.html")
    assert probe_command._usual_output(("a", "b")) == Path("probe.html")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere", "--on", "scenes"], "there is no encoder nowhere"),
        (["BARE"], "name some with --on"),
        (["BARE", "--on", "nowhere"], "there is no folder nowhere"),
        (["BARE", "--on", "scenes", "--seed", "-1"], "the seed must lie between"),
        (["BARE", "--on", "scenes", "--device", "gpu9"], "there is no device 'gpu9'"),
        (["BARE", "--on", "scenes", "--images", "3"], "3 images are too few"),
        (["BARE", "--on", "scenes", "-o", "."], "(it is a folder)"),
        (["BARE", "--on", "scenes", "-o", "BARE"], "is there and is no page"),
        (["BARE", "--on", "scenes", "--encoder", "resnet99"], "resnet99"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(
    bare: Path, here: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert call(*QUICK, *(word.replace("BARE", str(bare)) for word in argv)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("pairlens: ")
    assert said.count("\n") == 1
    assert list(here.iterdir()) == []


def test_it_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert "pairlens probe WHAT..." in USAGE
    assert call("--help") == 0
    said = capsys.readouterr().out
    assert "--on" in said
    assert "whether LooC is worth trying" in said


@pytest.mark.parametrize(
    ("library", "name", "size"),
    [
        ("timm", "resnet10t", 64),
        ("timm", "test_convnext", 64),
        ("timm", "test_vit", 64),
        ("torchvision", "mobilenet_v3_small", 64),
    ],
)
def test_other_libraries_encoders(library: str, name: str, size: int, photos: Path, here: Path) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed", exc_type=ImportError)
    what = f"{library}/{name}"
    assert call(what, "--no-pretrained", "--size", str(size), "--on", str(photos), *QUICK) == 0
    found = json.loads((here / "probe.json").read_text())["encoders"][0]
    assert (found["name"], found["size"], found["training"]) == (what, size, None)
