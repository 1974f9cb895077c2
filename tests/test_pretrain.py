"""Runs: killed, interrupted, resumed, refused; every one ends as the uninterrupted one does, bit for bit."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pairlens import start as starting
from pairlens.cli import run
from pairlens.console import Console
from pairlens.errors import InputError
from pairlens.methods.moco import MoCoSettings
from pairlens.phases import PHASES
from pairlens.pretrain import pretrain
from pairlens.recipes.general import moco_v2, simclr
from pairlens.recipes.recipe import Recipe
from pairlens.record.checkpoint import checkpoints
from pairlens.record.disk import locked
from pairlens.record.run import Run
from pairlens.reopen import reopen_run
from pairlens.report.page import write_report
from pairlens.report.panels import gallery
from pairlens.settings import FeatureTransform, Machine, Network, Optimisation, Selection, Views
from pairlens.start import start_run
from pairlens.train import Observer, Outcome, Training

ENDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
MACHINE = Machine("cpu", "fp32", threads=1)
CLOCKS = ("seconds", *(f"time_{phase}" for phase in PHASES))
FLAGS = [
    *("--encoder", "resnet8w", "--hidden", "16", "--dim", "8", "--splits", "2", "--batch", "8", "--epochs", "2"),
    *("--negatives", "40", "--extrapolate", "2.0", "--interpolate", "1.6", "--per", "element"),
    *("--device", "cpu", "--precision", "fp32", "--threads", "1"),
]


def quiet(text: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of labelled images, 208 of which are for training: 26 steps an epoch."""
    path = tmp_path_factory.mktemp("data") / "images.npz"
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (260, 16, 16, 3), dtype=np.uint8)
    np.savez(path, x=images, y=np.arange(260) % 4)
    return str(path)


def moco(epochs: int = 2) -> Recipe:
    return moco_v2(
        network=Network("resnet8w", hidden=16, dim=8, splits=2),
        optimisation=Optimisation(epochs=epochs, batch=52),
        transform=FeatureTransform(extrapolate=2.0, interpolate=1.6, per="element"),
        method=MoCoSettings(negatives=40),
    )


def begin(folder: Path, source: str, recipe: Recipe | None = None, record: bool = True, **arguments: Any) -> str:
    """Start a run of 8 steps and train it."""
    recipe = recipe or moco()
    folder, training, images, _ = start_run(source, recipe, folder=folder, machine=MACHINE, record=record, say=quiet)
    return pretrain(folder, training, images, say=quiet, **arguments)


def go_on(folder: Path, **arguments: Any) -> str:
    training, images, seconds = reopen_run(folder, quiet)
    return pretrain(folder, training, images, seconds=seconds, say=quiet, **arguments)


def assert_same_run(one: Path, other: Path) -> None:
    """The encoder, everything in the last checkpoint, and all statistics but the clocks."""
    a, b = load_file(one / "encoder.safetensors"), load_file(other / "encoder.safetensors")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    last = [checkpoints(folder / "checkpoints")[-1] for folder in (one, other)]
    assert last[0].name == last[1].name
    for file in ("weights.safetensors", "state.safetensors"):
        a, b = (load_file(path / file) for path in last)
        assert a.keys() == b.keys()
        assert [name for name in a if not torch.equal(a[name], b[name])] == []
    a, b = (np.load(folder / "statistics.npy") for folder in (one, other))
    assert len(a) == len(b)
    assert a["step"].tolist() == list(range(len(a)))
    columns = [name for name in a.dtype.names if name not in CLOCKS]
    assert [name for name in columns if not np.array_equal(a[name], b[name])] == []
    for name in ("histograms.npy", "probes.npy"):
        assert np.array_equal(np.load(one / name), np.load(other / name))


@pytest.fixture(scope="module")
def whole(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of MoCo with feature transformation that nobody interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert begin(folder, source) == "finished"
    return folder


def test_a_finished_run_holds_all_that_its_layout_names(whole: Path) -> None:
    found = Run.open(whole)
    assert found.status.items() >= {"state": "finished", "step": 8, "steps": 8, "epoch": 2, "epochs": 2}.items()
    assert [event["kind"] for event in found.events] == ["begun", "finished"]
    assert found.statistics["step"].tolist() == list(range(8))
    assert found.histograms["step"].tolist() == list(range(8))
    assert found.probes["step"].tolist() == [4, 8]
    assert ((found.probes["knn"] >= 0) & (found.probes["knn"] <= 1)).all()
    assert len(found.sample_files()) == 8
    assert found.spaces == ("z",)
    assert found.info["spaces"]["z"] == {"negatives": 40, "temperature": 0.1}
    assert found.info["views"] == ["query", "key"]
    assert found.call["recipe"] == "moco_v2"
    assert found.call["arguments"]["batch"] == 52
    assert sorted(path.name for path in whole.iterdir()) == [
        "checkpoints", "encoder.safetensors", "events.jsonl", "histograms.npy", "lock", "probes.npy",
        "quality.npy", "run.json",
        "samples", "statistics.npy", "status.json",
    ]  # fmt: skip


def test_recording_or_not_gives_the_same_encoder(whole: Path, source: str, tmp_path: Path) -> None:
    assert begin(tmp_path / "run", source, record=False) == "finished"
    a, b = load_file(whole / "encoder.safetensors"), load_file(tmp_path / "run" / "encoder.safetensors")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert len(Run.open(tmp_path / "run").statistics) == 0


def test_a_multi_crop_run_shows_all_of_its_views(source: str, tmp_path: Path) -> None:
    recipe = replace(moco(epochs=1), views=Views(locals=2, local_size=8), selection=Selection("skewed"))
    assert begin(tmp_path / "run", source, recipe) == "finished"
    found = Run.open(tmp_path / "run")
    names = ["query", "key", "local_1", "local_2"]
    assert found.info["views"] == names
    assert found.info["spaces"]["z"]["negatives"] == 40
    assert found.call["arguments"].items() >= {"locals": 2, "local_size": 8, "select": "skewed"}.items()
    samples = gallery.compute(found)
    assert isinstance(samples, tuple)
    for example in (example for sample in samples for example in sample.examples):
        assert [view.name for view in example.views] == names
        assert [view.pixels.shape for view in example.views] == [(3, 16, 16)] * 2 + [(3, 8, 8)] * 2
    text = write_report([found], tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count('<div class="small-views">') == sum(len(sample.examples) for sample in samples)
    assert "This cannot be shown" not in text


def test_simclr_tells_how_many_negatives_a_view_has(source: str, tmp_path: Path) -> None:
    recipe = simclr(network=Network(hidden=16, dim=8), optimisation=Optimisation(epochs=1, batch=52, accumulate=2))
    counts: list[int] = []

    def count(t: Training, outcome: Outcome) -> None:
        excluded = outcome.parts[-1].comparisons["z"].raw.excluded
        assert excluded is not None
        counts.extend((~excluded).sum(1).unique().tolist())

    begin(tmp_path / "run", source, recipe, watch=count)
    assert set(counts) == {Run.open(tmp_path / "run").info["spaces"]["z"]["negatives"]}


def signalling(number: int, at: int) -> Observer:
    """An observer that sends this process a signal in the midst of a step."""

    def observe(t: Training, outcome: Outcome) -> None:
        if t.step == at:
            os.kill(os.getpid(), number)

    return observe


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [0, 2, 3])  # in an epoch, at its last step
def test_a_signal_ends_the_run_after_its_step_and_it_goes_on(
    whole: Path, source: str, tmp_path: Path, number: signal.Signals, at: int
) -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    folder = tmp_path / "run"
    assert begin(folder, source, watch=signalling(number, at)) == ENDS[number]
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
    status = Run.open(folder).status
    assert (status["state"], status["step"]) == ("interrupted", at + 1)
    assert checkpoints(folder / "checkpoints")[-1].name == f"step-{at + 1:08d}"
    assert np.load(folder / "statistics.npy")["step"].tolist() == list(range(at + 1))
    assert not (folder / "encoder.safetensors").exists()
    assert go_on(folder) == "finished"
    assert_same_run(whole, folder)
    assert [event["kind"] for event in Run.open(folder).events] == ["begun", "interrupted", "resumed", "finished"]


def test_an_interrupted_run_may_be_interrupted_again(whole: Path, source: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert begin(folder, source, watch=signalling(signal.SIGINT, 1)) == "interrupted"
    for at in (2, 5):
        assert go_on(folder, watch=signalling(signal.SIGTERM, at)) == "terminated"
    assert go_on(folder) == "finished"
    assert_same_run(whole, folder)


def test_a_second_interrupt_ends_at_once_and_the_run_goes_on_from_its_checkpoint(
    whole: Path, source: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"

    def twice(t: Training, outcome: Outcome) -> None:
        if t.step == 5:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        begin(folder, source, watch=twice, save_every=0.0)
    assert Run.open(folder).status["state"] in ("failed", "interrupted")
    assert checkpoints(folder / "checkpoints")[-1].name == "step-00000005"
    assert go_on(folder) == "finished"
    assert_same_run(whole, folder)


def test_a_defect_in_the_midst_is_told_as_failed_and_loses_no_row(whole: Path, source: str, tmp_path: Path) -> None:
    def fail(t: Training, outcome: Outcome) -> None:
        if t.step == 3:
            raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        begin(tmp_path / "run", source, watch=fail)
    found = Run.open(tmp_path / "run")
    assert found.status["state"] == "failed"
    assert found.statistics["step"].tolist() == [0, 1, 2, 3]
    assert found.events[-1]["kind"] == "failed"
    assert go_on(tmp_path / "run") == "finished"  # from the start: there was no checkpoint yet
    assert_same_run(whole, tmp_path / "run")


def test_a_kill_right_after_any_checkpoint_loses_neither_rows_nor_probes(
    whole: Path, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[Path] = []
    replaced = os.replace

    def copying(partial: Path, path: Path) -> None:
        """What a kill would leave behind whenever status.json is written."""
        replaced(partial, path)
        if Path(path).name == "status.json":
            copies.append(tmp_path / f"copy-{len(copies)}")
            shutil.copytree(tmp_path / "run", copies[-1])

    monkeypatch.setattr(os, "replace", copying)
    assert begin(tmp_path / "run", source, save_every=0.0) == "finished"
    monkeypatch.setattr(os, "replace", replaced)
    assert len(copies) >= 10
    unfinished = [copy for copy in copies if Run.open(copy).status["state"] == "running"]
    for copy in unfinished[1::3]:
        assert go_on(copy) == "finished"
        assert_same_run(whole, copy)


def start_process(*argv: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from pairlens.cli import main; main()", *argv]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_step(process: subprocess.Popen[str], folder: Path, step: int) -> None:
    """Wait until a checkpoint of at least this step is there."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        saved = checkpoints(folder / "checkpoints")
        if saved and saved[-1].name >= f"step-{step:08d}":
            return
        time.sleep(0.005)
    pytest.fail(f"no checkpoint came: {process.communicate(timeout=10)}")


def test_kill_minus_nine_in_mid_epoch_and_resume_equal_an_uninterrupted_run(source: str, tmp_path: Path) -> None:
    one, other = tmp_path / "killed", tmp_path / "whole"
    process = start_process("train", source, *FLAGS, "--out", str(one), "--save-every", "0")
    wait_for_step(process, one, 5)
    process.kill()
    _, error = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL, error
    saved = checkpoints(one / "checkpoints")
    if int(saved[-1].name[5:]) % 26 == 0:  # an epoch's end, by chance: let it be the checkpoint before
        shutil.rmtree(saved.pop())
    step = int(saved[-1].name[5:])
    assert 0 < step < 52
    assert step % 26 != 0
    assert Run.open(one).status["state"] == "running"
    assert len(np.load(one / "statistics.npy")) >= step
    assert run(["resume", str(one)]) == 0
    assert run(["train", source, *FLAGS, "--out", str(other)]) == 0
    assert_same_run(other, one)
    events = [event["kind"] for event in Run.open(one).events]
    assert [kind for kind in events if kind != "health"] == ["begun", "resumed", "finished"]


def test_a_run_in_training_is_not_resumed_and_sigterm_gives_its_exit_code(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    process = start_process("train", source, *FLAGS, "--epochs", "400", "--out", str(folder), "--save-every", "0")
    wait_for_step(process, folder, 2)
    assert run(["resume", str(folder)]) == 2
    assert f"another process is training the run {folder}" in capsys.readouterr().err
    process.terminate()
    out, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in error
    assert f"next: pairlens resume {folder}" in out
    assert Run.open(folder).status["state"] == "interrupted"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_names_the_signal(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    monkeypatch.setattr(Console, "training", lambda self, t: signalling(number, 1))
    assert run(["train", source, *FLAGS, "--batch", "52", "--out", str(tmp_path / "run")]) == code
    assert run(["resume", str(tmp_path / "run")]) == 0


def test_a_finished_run_cannot_be_resumed(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    with pytest.raises(InputError, match=r"is finished; evaluate it with `pairlens evaluate"):
        reopen_run(whole, quiet)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def interrupted(folder: Path, source: str) -> Path:
    """A run with checkpoints at steps 2 and 3."""

    def stop(t: Training, outcome: Outcome) -> None:
        t.stop = t.step == 2

    assert begin(folder, source, watch=stop, save_every=0.0) == "interrupted"
    return folder


@pytest.mark.parametrize("file", ["weights.safetensors", "state.safetensors", "state.json"])
def test_a_truncated_checkpoint_is_told_and_the_one_before_it_serves(
    whole: Path, source: str, tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = interrupted(tmp_path / "run", source)
    newest = checkpoints(folder / "checkpoints")[-1]
    content = (newest / file).read_bytes()
    (newest / file).write_bytes(content[: len(content) // 2])
    assert run(["resume", str(folder)]) == 2
    error = capsys.readouterr().err
    assert f"{file} is missing, truncated or damaged" in error
    assert "Traceback" not in error
    shutil.rmtree(newest)  # what the sentence says
    assert go_on(folder) == "finished"
    assert_same_run(whole, folder)


def test_a_source_that_changed_is_refused(source: str, tmp_path: Path) -> None:
    other = tmp_path / "images.npz"
    shutil.copy(source, other)
    folder = interrupted(tmp_path / "run", str(other))
    np.savez(other, x=np.zeros((60, 16, 16, 3), np.uint8))
    with pytest.raises(InputError, match="holds 60 training images now, and held 208"):
        reopen_run(folder, quiet)
    other.unlink()
    with pytest.raises(InputError, match="there is no folder"):
        reopen_run(folder, quiet)


@pytest.mark.parametrize("missing", ["machine", "recipe", "source", "seed", "arguments"])
def test_a_call_that_lacks_something_is_a_damaged_run(source: str, tmp_path: Path, missing: str) -> None:
    folder = interrupted(tmp_path / "run", source)
    info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    del info["call"][missing]
    (folder / "run.json").write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(InputError, match=r"run\.json"):
        reopen_run(folder, quiet)


@pytest.mark.parametrize(("group", "name"), [("arguments", "momentum"), ("machine", "threads"), ("data", "side")])
def test_an_argument_that_is_missing_or_unknown_is_a_damaged_run(
    source: str, tmp_path: Path, group: str, name: str
) -> None:
    folder = interrupted(tmp_path / "run", source)
    info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    place = info["data"] if group == "data" else info["call"][group]
    place[f"{name}_of_old"] = place.pop(name)
    (folder / "run.json").write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(InputError, match=r"run\.json"):
        reopen_run(folder, quiet)


def test_a_run_gets_the_next_free_folder(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [start_run(source, moco(), machine=MACHINE, say=quiet)[0] for _ in range(2)]
    assert names == [Path("runs/images.npz-moco_v2-1"), Path("runs/images.npz-moco_v2-2")]
    spaced = tmp_path / "my photos, all.npz"
    shutil.copy(source, spaced)
    assert start_run(str(spaced), moco(), machine=MACHINE, say=quiet)[0].name == "my-photos--all.npz-moco_v2-1"


def test_two_starts_at_once_get_folders_of_their_own(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mkdir = Path.mkdir

    def late(self: Path, *arguments: Any, **named: Any) -> None:
        """Another process makes the first folder in the very moment before."""
        if self.name.endswith("-1"):
            os.makedirs(self, exist_ok=True)
        mkdir(self, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", late)
    assert start_run(source, moco(), machine=MACHINE, say=quiet)[0].name == "images.npz-moco_v2-2"


def test_a_start_that_another_overtook_leaves_the_other_alone(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assemble = starting.assemble

    def slowly(*arguments: Any) -> Training:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "run.json").write_text("another's", encoding="utf-8")
        return assemble(*arguments)

    monkeypatch.setattr(starting, "assemble", slowly)
    with pytest.raises(InputError, match="another run has just begun in the folder"):
        start_run(source, moco(), folder=tmp_path / "run", machine=MACHINE, say=quiet)
    assert (tmp_path / "run" / "run.json").read_text(encoding="utf-8") == "another's"


def test_only_one_process_trains_a_run(source: str, tmp_path: Path) -> None:
    folder = interrupted(tmp_path / "run", source)
    training, images, seconds = reopen_run(folder, quiet)
    before = (folder / "statistics.npy").read_bytes()
    with locked(folder):
        with pytest.raises(InputError, match="another process is training the run"):
            reopen_run(folder, quiet)
        with pytest.raises(InputError, match="another process is training the run"):
            pretrain(folder, training, images, seconds=seconds, say=quiet)
    assert (folder / "statistics.npy").read_bytes() == before
    assert go_on(folder) == "finished"
    with pytest.raises(InputError, match=r"trained the run .* on to step 8 meanwhile; resume it again"):
        pretrain(folder, training, images, seconds=seconds, say=quiet)
    assert Run.open(folder).status["state"] == "finished"


def test_a_run_without_records_goes_on_without(whole: Path, source: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert begin(folder, source, record=False, watch=signalling(signal.SIGINT, 2)) == "interrupted"
    assert go_on(folder) == "finished"
    found = Run.open(folder)
    assert (len(found.statistics), len(found.histograms), found.sample_files()) == (0, 0, [])
    a, b = load_file(whole / "encoder.safetensors"), load_file(folder / "encoder.safetensors")
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("text", ["", '{"state": "runn'])
def test_a_damaged_status_or_an_empty_table_stops_no_run(source: str, tmp_path: Path, text: str) -> None:
    folder = interrupted(tmp_path / "run", source)
    (folder / "status.json").write_text(text, encoding="utf-8")
    (folder / "statistics.npy").write_bytes(b"")  # a kill between making and filling it
    assert go_on(folder) == "finished"
    found = Run.open(folder)
    assert found.status["state"] == "finished"
    assert found.statistics["step"].tolist() == list(range(3, 8))  # rows may begin later


def test_rows_that_begin_later_are_cut_by_their_step(source: str, tmp_path: Path) -> None:
    folder = interrupted(tmp_path / "run", source)  # checkpoints at 2 and 3
    (folder / "statistics.npy").unlink()
    assert go_on(folder, watch=signalling(signal.SIGINT, 5), save_every=0.0) == "interrupted"
    assert Run.open(folder).statistics["step"].tolist() == [3, 4, 5]
    shutil.rmtree(checkpoints(folder / "checkpoints")[-1])
    assert go_on(folder) == "finished"  # from step 5
    assert Run.open(folder).statistics["step"].tolist() == [3, 4, 5, 6, 7]


def test_a_training_outside_the_main_thread_runs_without_signals(whole: Path, source: str, tmp_path: Path) -> None:
    states: list[str] = []
    thread = threading.Thread(target=lambda: states.append(begin(tmp_path / "run", source)))
    thread.start()
    thread.join(timeout=60)
    assert states == ["finished"]
    assert_same_run(whole, tmp_path / "run")


def test_a_full_disk_ends_in_a_sentence(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resource = pytest.importorskip("resource", reason="limits of a process are a thing of Unix")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # bytes a file; a checkpoint takes more
    try:
        code = run(["train", source, *FLAGS, "--out", str(tmp_path / "run"), "--save-every", "0"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "step-00000001 cannot be written" in error
    assert "`pairlens resume`" in error
    assert Run.open(tmp_path / "run").status["state"] == "failed"
    assert run(["resume", str(tmp_path / "run")]) == 0


def test_skipped_files_are_listed_and_the_list_is_named(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(20):
        Image.fromarray(np.full((16, 16, 3), 10 * i, np.uint8)).save(photos / f"{i:02d}.png")
    for name in ("a.jpg", "b.png"):
        (photos / name).write_bytes(b"no image")
    said: list[str] = []
    recipe = moco_v2(network=Network(splits=1), optimisation=Optimisation(epochs=1, batch=4))
    folder, *_ = start_run(str(photos), recipe, folder=tmp_path / "run", machine=MACHINE, say=said.append)
    assert said[-1] == (
        "2 files cannot be read, such as a.jpg (not an image, or of an unknown format): they are skipped, and "
        f"{folder / 'events.jsonl'} names each"
    )
    events = Run.open(folder).events
    assert [event["kind"] for event in events] == ["skipped", "skipped"]
    assert {event["text"].split(":")[0] for event in events} == {"a.jpg", "b.png"}
