"""The command line: one clear sentence and exit code 2 for what cannot be used, and nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pairlens import __version__
from pairlens.cli import main, run
from pairlens.errors import InputError
from pairlens.recipes import RECIPES, find_recipe, flatten
from pairlens.record.observe import Observer

QUICK = ["--device", "cpu", "--threads", "1", "--epochs", "1", "--encoder", "resnet8w", "--hidden", "16", "--dim", "8"]
pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of 24 small photographs, one of them broken."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(24):
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(folder / f"{i:02d}.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    return str(folder)


def call(*argv: str) -> int:
    """The exit code, by whichever way the command leaves."""
    try:
        return run(list(argv))
    except SystemExit as left:
        return int(left.code or 0)


def refuse(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run a command that must refuse its input, and return what it says."""
    before = sorted(Path.cwd().rglob("*"))
    assert call(*argv) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert sorted(Path.cwd().rglob("*")) == before
    return error


def one_sentence(error: str) -> str:
    assert error.startswith("pairlens: ")
    assert error.endswith("\n")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--negatives", "0"], "number of negatives and of dimensions must be positive, not 0"),
        (["--negatives", "-5"], "must be positive, not -5"),
        (["--batch", "64"], "a batch of 64 is larger than the set of 24 images"),
        (["--batch", "0"], "batch must be a positive whole number, not 0"),
        (["--batch", "12"], "12 images at a time give no 8 equal splits of 2 or more"),
        (["--batch", "8"], "8 images at a time give no 8 equal splits of 2 or more"),
        (["--size", "1"], "views of 1 pixel"),
        (["--seed", "-1"], "seed must lie between 0 and 4294967295, not -1"),
        (["--seed", "99999999999999999999"], "seed must lie between"),
        (["--temperature", "inf"], "temperature must be positive, not inf"),
        (["--splits", "0"], "splits must be a positive whole number, not 0"),
        (["--accumulate", "3"], "cannot be cut in 3 equal parts"),
        (["--extrapolate", "0"], "alpha of the Beta distribution must be positive, not 0.0"),
        (["--interpolate", "-1"], "alpha of the Beta distribution must be positive, not -1.0"),
        (["--extrapolate", "2", "--interpolate-positives", "2"], "exclude each other; give one of them"),
        (["--temperature", "0"], "temperature must be positive, not 0.0"),
        (["--temperature", "nan"], "temperature must be positive, not nan"),
        (["--momentum", "2"], "momentum must lie in [0, 1], not 2.0"),
        (["--epochs", "0"], "epochs must be a positive whole number, not 0"),
        (["--epochs", "-1"], "epochs must be a positive whole number, not -1"),
        (["--size", "0"], "not 0"),
        (["--size", "-4"], "not -4"),
        (["--lr", "0"], "learning rate must be positive"),
        (["--lr", "nan"], "learning rate must be positive"),
        (["--crop", "0", "1"], "scale"),
        (["--flip", "2"], "flip"),
        (["--warmup", "-1"], "warm-up must be a number of epochs"),
        (["--device", "toaster"], "there is no device 'toaster' on this machine"),
        (["--threads", "0"], "threads must be positive, not 0"),
        (["--encoder", "vgg16"], "no encoder 'vgg16'; use one of resnet8w"),
        (["--recipe", "byo"], "there is no recipe 'byo'; did you mean byol? `pairlens recipes` lists them all"),
        (["--recipe=cifar10.mocov2"], "did you mean cifar10.moco_v2 or"),
        (["--config", "nowhere.yaml"], "the configuration nowhere.yaml cannot be read (No such file or directory)"),
        (["--test", "nowhere"], "there is no folder nowhere"),
        (["--ft-start", "-1", "--interpolate", "1"], "must not be negative"),
        (["--local-size", "8"], "local_size shapes the small views, and there are none"),
        (["--head", "linear", "--hidden", "32"], "hidden shapes the hidden layers of an MLP head"),
        (["--schedule", "constant", "--floor", "0.1"], "floor is where a cosine ends, and the schedule is constant"),
        (["--recipe", "byol", "--extrapolate", "2", "--negatives-see", "raw"], "byol compares with no negatives"),
        (["--recipe", "simclr", "--select", "hardest", "--selected", "500"], "500 negatives cannot be selected of the"),
    ],
)
def test_an_argument_that_cannot_be_used_gets_one_sentence(
    photos: str, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert message in one_sentence(refuse(capsys, "train", photos, *QUICK, *flags))
    assert not Path("runs").exists()


def test_sources_that_hold_no_images_get_one_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "empty").mkdir()
    (here / "texts").mkdir()
    (here / "texts" / "a.txt").write_text("no image", encoding="utf-8")
    (here / "broken").mkdir()
    for i in range(3):
        (here / "broken" / f"{i}.jpg").write_bytes(b"\xff\xd8\xff no image")
    for source in ("nowhere", "empty", "texts", "broken", "texts/a.txt", "scenes:strange", "photos\n[red]"):
        error = refuse(capsys, "train", source, *QUICK)
        assert source.split(":", maxsplit=1)[0].split("\n")[0] in error
        assert error.startswith("pairlens: ")


def test_flags_that_do_not_exist_are_named(photos: str, capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (
        ["--wrong-flag", "3"],
        ["--epochs", "many"],
        ["--precision", "fp8"],
        ["--optimizer", "adam"],
        ["--per", "batch"],
        ["--recipe", "simclr", "--momentum", "0.9"],  # not one of its own
    ):
        error = refuse(capsys, "train", photos, *QUICK, *flags)
        assert flags[-2] in error


@pytest.mark.parametrize(
    "argv", [["train"], ["resume"], ["evaluate"], ["report"], ["data"], ["data", "imagenet"], ["recipes", "--all"]]
)
def test_a_command_that_lacks_its_argument_says_so(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert refuse(capsys, *argv)


@pytest.mark.parametrize("argv", [["--recipe"], ["scenes", "--recipe"], ["scenes", "--recipe", ""]])
def test_a_recipe_without_a_name_is_none(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert "there is no recipe ''" in one_sentence(refuse(capsys, "train", *argv))


def test_an_unknown_command_is_named_without_importing_torch(capsys: pytest.CaptureFixture[str]) -> None:
    error = one_sentence(refuse(capsys, "trian", "scenes"))
    assert "there is no command 'trian'; use one of inspect, train, recipes, resume, evaluate, " in error
    assert all(name in error.partition("use one of")[2] for name in ("invert", "shift", "report", "study", "data"))


def test_an_output_folder_in_use_is_left_alone(here: Path, photos: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "full").mkdir()
    (here / "full" / "notes.txt").write_text("mine", encoding="utf-8")
    error = one_sentence(refuse(capsys, "train", photos, *QUICK, "--out", "full"))
    assert "the folder full is not empty" in error
    (here / "file").write_text("mine", encoding="utf-8")
    assert "file is a file" in one_sentence(refuse(capsys, "train", photos, *QUICK, "--out", "file"))
    error = one_sentence(refuse(capsys, "train", photos, *QUICK, "--out", "file/below"))
    assert "file/below cannot be made" in error
    assert (here / "full" / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("command", ["resume", "evaluate", "report"])
def test_a_folder_that_is_no_run_gets_one_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (here / "plain").mkdir()
    (here / "broken").mkdir()
    (here / "broken" / "run.json").write_text('{"call": ', encoding="utf-8")
    (here / "lacking").mkdir()
    (here / "lacking" / "run.json").write_text('{"call": {}}', encoding="utf-8")
    (here / "file").touch()
    assert "there is no run folder nowhere" in one_sentence(refuse(capsys, command, "nowhere"))
    assert "there is no run folder file" in one_sentence(refuse(capsys, command, "file"))
    assert "plain is not a run folder" in one_sentence(refuse(capsys, command, "plain"))
    assert "run.json is damaged" in one_sentence(refuse(capsys, command, "broken"))
    if command != "report":
        assert "run.json is damaged or of another version" in one_sentence(refuse(capsys, command, "lacking"))


@pytest.mark.parametrize("command", ["resume", "evaluate"])
def test_an_observed_run_holds_no_encoder(here: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    with Observer("loop", say=lambda text: None) as observe:
        observe(torch.eye(4, 6), torch.eye(4, 6))
    error = one_sentence(refuse(capsys, command, "loop"))
    assert "the run loop was observed in somebody else's loop and holds no encoder" in error
    assert "`pairlens report loop` shows its pairs" in error
    assert call("report", "loop") == 0
    assert (here / "loop" / "report.html").is_file()


def test_a_short_run_says_where_it_is_and_what_comes_next(
    here: Path, photos: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("train", photos, *QUICK, "--recipe", "simclr", "--batch", "8", "--out", "a run [x]") == 0
    said = capsys.readouterr().out
    assert "24 training images" in said
    assert "1 unreadable files skipped" in said
    assert "simclr: 1 epochs of 3 steps, batch 8" in said
    assert "run folder: a run [x]" in said
    assert "next: pairlens evaluate a run [x]" in said
    folder = here / "a run [x]"
    assert "broken.jpg" in (folder / "events.jsonl").read_text(encoding="utf-8")
    assert (folder / "encoder.safetensors").is_file()
    error = one_sentence(refuse(capsys, "resume", "a run [x]"))
    assert "is finished" in error
    (folder / "encoder.safetensors").write_bytes((folder / "encoder.safetensors").read_bytes()[:-100])
    error = one_sentence(refuse(capsys, "evaluate", "a run [x]"))
    assert "encoder.safetensors is missing, truncated or damaged" in error


def test_a_run_without_a_checkpoint_cannot_be_evaluated(
    here: Path, photos: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("train", photos, *QUICK, "--out", "run") == 0
    (here / "run" / "encoder.safetensors").unlink()
    for file in (here / "run" / "checkpoints").rglob("*.*"):
        file.unlink()
    for folder in (here / "run" / "checkpoints").iterdir():
        folder.rmdir()
    capsys.readouterr()
    assert "has no checkpoint yet" in one_sentence(refuse(capsys, "evaluate", "run"))


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == call("-V") == 0
    assert capsys.readouterr().out == f"pairlens {__version__}\n" * 2
    assert call("--help") == call("-h") == call("help") == 0
    usage = capsys.readouterr().out
    assert all(f"pairlens {name} " in usage for name in ("train", "recipes", "resume", "evaluate", "report", "data"))
    assert call() == 2  # nothing was asked
    assert capsys.readouterr().out * 3 == usage


@pytest.mark.parametrize("command", ["train", "recipes", "resume", "evaluate", "report", "data"])
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert call(command, "--help") == 0
    said = capsys.readouterr()
    assert f"pairlens {command}" in said.out
    assert said.err == ""


def test_the_help_of_train_follows_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", "--help") == 0
    moco = capsys.readouterr().out
    assert call("train", "--recipe", "simclr", "--help") == 0
    simclr = capsys.readouterr().out
    assert all(flag in moco for flag in ("--negatives", "--momentum", "--extrapolate", "--epochs", "--device"))
    assert "--momentum" not in simclr
    assert "--extrapolate" in simclr
    assert all(f" {group} options " in moco for group in ("run", "method", "network", "views", "machine"))
    assert "made" not in moco.split()
    assert "--epochs INT" in moco
    assert "The recipe simclr: SimCLR (Chen, Kornblith et al. 2020)" in simclr


def test_recipes_are_listed_by_data_each_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("recipes") == 0
    said = capsys.readouterr().out
    lines = [line.split() for line in said.splitlines()]
    assert [words[0] for words in lines if words and words[0] in RECIPES] == list(RECIPES)
    assert "Recipes for any images" in said
    assert "Recipes for CIFAR-10" in said


def test_a_recipe_is_shown_with_its_description_and_every_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("recipes", "cifar10.moco_v2") == 0
    said = capsys.readouterr().out
    assert "CCrop, Section 4.2" in said
    shown = {words[0]: words[1] for line in said.splitlines() if (words := line.split()) and words[0][:2] == "--"}
    assert set(shown) == {f"--{name.replace('_', '-')}" for name in flatten(find_recipe("cifar10.moco_v2")())}
    assert (shown["--negatives"], shown["--momentum"], shown["--extrapolate"]) == ("65536", "0.999", "-")
    assert "did you mean simclr" in one_sentence(refuse(capsys, "recipes", "simcrl"))


def test_a_configuration_and_a_run_train_what_flags_train(
    here: Path, photos: str, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = dict(zip((q.removeprefix("--") for q in QUICK[::2]), QUICK[1::2], strict=True))
    lines = [f"{name}: {value}" for name, value in quick.items()] + ["recipe: simclr", "batch: 12", "crop: [0.3, 1]"]
    (here / "c.yaml").write_text("\n".join([*lines, f"source: {photos}", "seed: 5"]), encoding="utf-8")
    flags = ["--recipe", "simclr", "--crop", "0.3", "1", "--batch", "8", "--seed", "5"]
    assert call("train", photos, *QUICK, *flags, "--out", "flags") == 0
    assert call("train", "--config", "c.yaml", "--batch", "8", "--out", "file") == 0
    assert call("train", "--config", "flags/run.json", "--out", "again") == 0
    first, *others = [(here / run / "encoder.safetensors").read_bytes() for run in ("flags", "file", "again")]
    assert all(first == other for other in others)
    capsys.readouterr()
    (here / "c.yaml").write_text("epoch: 3", encoding="utf-8")
    error = one_sentence(refuse(capsys, "train", photos, "--config", "c.yaml"))
    assert error == "pairlens: c.yaml: the recipe moco_v2 has no argument 'epoch'; did you mean epochs?\n"


def test_a_wrong_value_is_named_with_its_flag(photos: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = refuse(capsys, "train", photos, "--epochs", "many")
    assert "--epochs" in error
    assert "invalid literal" in error
    assert call("train", "nowhere", "--epochs", "None") == 2  # left open, so that it is the source that is missed
    assert "there is no folder nowhere" in one_sentence(capsys.readouterr().err)


def test_main_leaves_with_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["trian"])
    assert left.value.code == 2
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0


def test_an_interrupt_before_training_leaves_without_a_traceback(
    photos: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pairlens import train_command

    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_command, "start_run", interrupt)
    assert call("train", photos, *QUICK) == 130
    assert capsys.readouterr().err == "pairlens: interrupted\n"


@pytest.mark.parametrize("ending", [KeyboardInterrupt, InputError("no")])
@pytest.mark.parametrize("command", ["train", "resume", "evaluate"])
def test_the_cursor_comes_back_whatever_ends_a_bar(
    command: str, ending: Any, photos: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pairlens import assess, commands, train_command

    def work(*args: Any, progress: Any = None, **kwargs: Any) -> None:
        if command == "evaluate":
            progress("reading", 3, 9)
        else:
            (progress or args[2])(3, 9)
        raise ending

    for module, name in ((train_command, "start_run"), (train_command, "reopen_run"), (assess, "assess")):
        monkeypatch.setattr(module, name, work)
    monkeypatch.setattr(commands.Run, "open", lambda folder: None)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("TERM", "xterm")
    assert call(command, photos) == (130 if ending is KeyboardInterrupt else 2)
    out = capsys.readouterr().out
    assert (out.count("\x1b[?25l"), out.count("\x1b[?25h")) == (1, 1)
    assert "3/9" in out
    assert "0/9" not in out


def in_process(code: str, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *argv]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def test_help_version_and_mistakes_answer_without_torch() -> None:
    code = (
        "import sys\nfrom pairlens.cli import run\n"
        "codes = [run([a]) for a in ('--help', '--version', 'trian')]\n"
        "print(codes, sorted({'torch', 'numpy', 'plotly', 'tyro'} & set(sys.modules)))"
    )
    done = in_process(code)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "[0, 0, 2] []"


def test_a_mistake_in_a_process_of_its_own(here: Path) -> None:
    done = in_process("from pairlens.cli import main; main()", "train", "nowhere")
    assert done.returncode == 2
    assert one_sentence(done.stderr) == (
        "pairlens: there is no folder nowhere; give a folder of images, a .npy or .npz file, or scenes\n"
    )
    assert done.stdout == ""
    assert list(here.iterdir()) == []
