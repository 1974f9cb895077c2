"""What a run is reopened with: its own device, precision, threads and images, or a sentence why not."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pairlens import environment, reopen
from pairlens.data.fingerprint import fingerprint
from pairlens.data.images import ImageSet, Source
from pairlens.errors import InputError
from pairlens.place import Place
from pairlens.recipes.general import simclr
from pairlens.record.run import Run, write_json
from pairlens.reopen import open_run_source, reopen_run
from pairlens.settings import Machine, Network, Optimisation
from pairlens.start import start_run

RECIPE = simclr(network=Network("resnet8w", hidden=16, dim=8), optimisation=Optimisation(epochs=1, batch=8))


def quiet(text: str) -> None:
    """Say nothing."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of 40 labelled images, 8 of which become the test set."""
    path = tmp_path / "images.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    np.savez(path, x=pixels, y=np.arange(40) % 4)
    return path


def on_machine(monkeypatch: pytest.MonkeyPatch, *, cores: int, bf16: bool) -> None:
    """As if this machine had so many cores, and bfloat16 in hardware or not."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)


def begin(tmp_path: Path, source: Path, machine: Machine = Machine("cpu")) -> Path:
    return start_run(str(source), RECIPE, folder=tmp_path / "run", machine=machine, say=quiet)[0]


def edit(folder: Path, group: str, **values: Any) -> None:
    info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    info[group] |= values
    write_json(folder / "run.json", info)


@pytest.mark.parametrize("bf16", [False, True])
def test_a_run_goes_on_with_what_was_chosen_when_it_began(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, bf16: bool
) -> None:
    on_machine(monkeypatch, cores=2, bf16=bf16)
    folder = begin(tmp_path, source)
    on_machine(monkeypatch, cores=1, bf16=True)
    training, *_ = reopen_run(folder, quiet)
    assert training.method.online.precision is (torch.bfloat16 if bf16 else torch.float32)
    assert torch.get_num_threads() == 2


def test_missing_bfloat16_hardware_is_refused_before_the_checkpoint_is_touched(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, cores=1, bf16=True)
    folder = begin(tmp_path, source)
    on_machine(monkeypatch, cores=1, bf16=False)
    monkeypatch.setattr(reopen, "checkpoints", lambda folder: pytest.fail("the checkpoint was looked at"))
    with pytest.raises(InputError, match="began on cpu with bfloat16 in hardware, and cpu has none here; resume it on"):
        reopen_run(folder, quiet)


def test_bfloat16_that_was_asked_for_without_hardware_goes_on_without(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, cores=1, bf16=False)
    folder = begin(tmp_path, source, Machine("cpu", "bf16"))
    assert reopen_run(folder, quiet)[0].method.online.precision is torch.bfloat16


def test_a_missing_device_is_refused_before_the_checkpoint_is_touched(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begin(tmp_path, source, Machine("cpu", "fp32", 1))
    edit(folder, "environment", device="cuda:77", gpu="A Large One")
    monkeypatch.setattr(reopen, "checkpoints", lambda folder: pytest.fail("the checkpoint was looked at"))
    with pytest.raises(InputError, match=r"began on cuda:77 \(A Large One\), and this machine has .*; resume it where"):
        reopen_run(folder, quiet)


@pytest.mark.parametrize("values", [{"precision": "float8"}, {"threads": None}, {"threads": "many"}])
def test_an_environment_that_cannot_be_read_is_a_damaged_run(
    tmp_path: Path, source: Path, values: dict[str, Any]
) -> None:
    folder = begin(tmp_path, source, Machine("cpu", "fp32", 1))
    edit(folder, "environment", **values)
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        reopen_run(folder, quiet)


def test_what_may_round_otherwise_is_told_and_kept(tmp_path: Path, source: Path) -> None:
    folder = begin(tmp_path, source, Machine("cpu", "fp32", 1))
    said: list[str] = []
    reopen_run(folder, said.append)
    assert not any("bits" in text for text in said)
    edit(folder, "environment", torch="1.0.0", gpu="unused on a CPU")
    reopen_run(folder, said.append)
    told = [text for text in said if "bits" in text]
    assert len(told) == 1
    assert told[0].startswith("the torch was 1.0.0 and is ")
    assert [event["text"] for event in Run.open(folder).events] == told


@pytest.mark.parametrize("what", ["pixels", "labels", "test"])
def test_other_images_of_the_same_number_are_refused(tmp_path: Path, source: Path, what: str) -> None:
    folder = begin(tmp_path, source, Machine("cpu", "fp32", 1))
    run = Run.open(folder)
    assert len(open_run_source(run, quiet).train) == 32
    with np.load(source) as arrays:
        x, y = arrays["x"], arrays["y"]
    if what == "test":
        edit(folder, "call", test=str(source.with_name("test.npy")))
        np.save(source.with_name("test.npy"), x[:3])
        edit(folder, "data", train=40)
        run = Run.open(folder)
    else:
        np.savez(source, x=x[::-1] if what == "pixels" else x, y=(y + 1) % 4 if what == "labels" else y)
    with pytest.raises(InputError, match="holds other images, labels or test images now than when the run"):
        open_run_source(run, quiet)


def images_of(count: int, seed: int = 0) -> ImageSet:
    pixels = torch.randint(0, 256, (count, 3, 4, 4), generator=torch.Generator().manual_seed(seed)).byte()
    return ImageSet(pixels, torch.full((count, 2), 4), [str(i) for i in range(count)])


@pytest.mark.parametrize("count", [1, 2, 300, 1000])
def test_a_fingerprint_sees_the_first_image_and_the_last(count: int) -> None:
    source = Source("a", images_of(count))
    assert fingerprint(source) == fingerprint(Source("b", images_of(count)))
    found = {fingerprint(source), fingerprint(Source("a", images_of(count), images_of(1)))}
    for row in {0, count - 1}:
        other = images_of(count)
        other.pixels[row, 0, 0, 0] += 1
        found.add(fingerprint(Source("a", other)))
    other = images_of(count)
    other.sizes[count // 2] = 5
    found.add(fingerprint(Source("a", other)))
    assert len(found) == 3 + len({0, count - 1})


def test_a_place_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    environment.apply(Place(torch.device("cpu"), torch.float32, threads=2, compile=False))
    assert (torch.get_num_threads(), chosen) == (2, [])
    environment.apply(Place(torch.device("cuda:1"), torch.bfloat16, threads=1, compile=False))
    assert (torch.get_num_threads(), chosen) == (1, [torch.device("cuda:1")])
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
