"""Checkpoints: whole or not at all, the newest two, and a clear sentence where one cannot be used."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pairlens.errors import InputError
from pairlens.record import checkpoint
from pairlens.record.checkpoint import (
    FILES,
    checkpoints,
    load_checkpoint,
    load_encoder,
    milestones,
    save_checkpoint,
    save_encoder,
    step_of,
)
from pairlens.train import Training, fit

MakeTraining = Callable[..., Training]


def trained(make: MakeTraining, steps: int = 3, **arguments: object) -> Training:
    t = make(**arguments)

    def stop(t: Training) -> None:
        t.stop = t.step >= steps

    fit(t, hooks=[stop])
    t.stop = False
    return t


def test_a_checkpoint_holds_three_files_and_gives_back_the_seconds(tmp_path: Path, make_training: MakeTraining) -> None:
    t = trained(make_training)
    path = save_checkpoint(tmp_path, t, 12.5)
    assert path == tmp_path / "step-00000003"
    assert sorted(p.name for p in path.iterdir()) == sorted(FILES)
    other = make_training(seed=1)
    assert load_checkpoint(path, other) == 12.5
    assert other.step == 3
    assert all(torch.equal(v, other.method.state_dict()[k]) for k, v in t.method.state_dict().items())


def test_milestones_are_kept_beside_the_newest_two(tmp_path: Path, make_training: MakeTraining) -> None:
    t = make_training()
    keep = milestones(t, 3)
    assert keep == {3, 7, 10}
    fit(t, hooks=[lambda t: save_checkpoint(tmp_path, t, 0.0, keep)])  # type: ignore[list-item]
    assert [step_of(path) for path in checkpoints(tmp_path)] == [3, 7, 9, 10]


def test_checkpoints_stand_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (99_999_999, 100_000_000, 5):
        (tmp_path / f"step-{step:08d}").mkdir()
    assert [step_of(path) for path in checkpoints(tmp_path)] == [5, 99_999_999, 100_000_000]


def test_only_the_newest_two_are_kept(tmp_path: Path, make_training: MakeTraining) -> None:
    t = make_training()
    kept: list[list[str]] = []

    def save(t: Training) -> None:
        save_checkpoint(tmp_path, t, 0.0)
        kept.append([p.name for p in checkpoints(tmp_path)])

    fit(t, hooks=[save])
    assert kept[0] == ["step-00000001"]
    assert kept[1:] == [[f"step-{i - 1:08d}", f"step-{i:08d}"] for i in range(2, 11)]
    assert sorted(p.name for p in tmp_path.iterdir()) == kept[-1]


def test_a_kill_while_a_checkpoint_is_written_leaves_the_older_ones_alone(
    tmp_path: Path, make_training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = trained(make_training)
    save_checkpoint(tmp_path, t, 0.0)
    t.step = 4
    save, calls = checkpoint.save_file, []

    def killed(tensors: dict[str, torch.Tensor], path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        save(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, t, 0.0)
    monkeypatch.setattr(checkpoint, "save_file", save)
    monkeypatch.setattr(os, "getpid", lambda: 1)  # the next one is another process
    assert len(list(tmp_path.iterdir())) == 2  # the unfinished one is there, and does not count
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000003"]
    save_checkpoint(tmp_path, t, 0.0)
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000003", "step-00000004"]
    assert len(list(tmp_path.iterdir())) == 2  # and it is swept away by the next one


def test_saving_a_step_again_keeps_a_whole_checkpoint_at_every_moment(
    tmp_path: Path, make_training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = trained(make_training)
    save_checkpoint(tmp_path, t, 0.0)

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", killed)
    with contextlib.suppress(KeyboardInterrupt):
        save_checkpoint(tmp_path, t, 1.0)
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000003"]
    load_checkpoint(checkpoints(tmp_path)[-1], make_training())


def test_files_are_synced_as_windows_asks_for(
    tmp_path: Path, make_training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        assert os.write(descriptor, b"") == 0  # fails with "bad file descriptor" where it is open for reading only
        synced.append(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    save_checkpoint(tmp_path, trained(make_training), 0.0)
    assert len(synced) == len(FILES)


@pytest.mark.parametrize("limit", [5_000, 2_000_000])  # bytes: stops the first file, the second
def test_a_full_disk_is_told_and_the_older_checkpoint_stays(
    tmp_path: Path, make_training: MakeTraining, limit: int
) -> None:
    resource = pytest.importorskip("resource", reason="limits of a process are a thing of Unix")
    t = trained(make_training, optimizer="adamw")
    save_checkpoint(tmp_path, t, 0.0)
    t.step = 4
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(InputError, match=r"step-00000004 cannot be written \(.*File too large.*\); make room"):
            save_checkpoint(tmp_path, t, 0.0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
        with pytest.raises(InputError, match=r"encoder\.safetensors cannot be written"):
            save_encoder(tmp_path / "encoder.safetensors", t.method.online.encoder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000003"]
    save_checkpoint(tmp_path, t, 0.0)
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000003", "step-00000004"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98, None])
def test_a_truncated_or_missing_file_is_named(
    tmp_path: Path, make_training: MakeTraining, file: str, keep: float | None
) -> None:
    t = trained(make_training)
    path = save_checkpoint(tmp_path, t, 0.0)
    whole = (path / file).read_bytes()
    if keep is None:
        (path / file).unlink()
    else:
        (path / file).write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(InputError, match=rf"{file} is missing, truncated or damaged .*delete its folder step-00000003"):
        load_checkpoint(path, make_training())


@pytest.mark.parametrize("text", ["[]", "3", '{"step": 3}', "null"])
def test_a_state_that_says_something_else_is_damaged(tmp_path: Path, make_training: MakeTraining, text: str) -> None:
    path = save_checkpoint(tmp_path, trained(make_training), 0.0)
    (path / "state.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"state\.json is missing, truncated or damaged"):
        load_checkpoint(path, make_training())


def test_another_model_is_refused(tmp_path: Path, make_training: MakeTraining) -> None:
    path = save_checkpoint(tmp_path, trained(make_training), 0.0)
    with pytest.raises(InputError, match=r"holds another model than run\.json describes"):
        load_checkpoint(path, make_training(dim=4))


@pytest.mark.parametrize("optimizer", ["lars", "adamw"])
def test_another_optimiser_is_refused(tmp_path: Path, make_training: MakeTraining, optimizer: str) -> None:
    path = save_checkpoint(tmp_path, trained(make_training), 0.0)
    with pytest.raises(InputError, match=r"state\.safetensors is missing, truncated or damaged"):
        load_checkpoint(path, make_training(optimizer=optimizer))


def test_a_place_outside_the_epoch_says_so(tmp_path: Path, make_training: MakeTraining) -> None:
    path = save_checkpoint(tmp_path, trained(make_training, steps=4), 0.0)
    with pytest.raises(InputError, match="batch 4, lies outside an epoch of 2 batches"):
        load_checkpoint(path, make_training(batch=16))


def test_tensors_are_never_pickled(tmp_path: Path, make_training: MakeTraining) -> None:
    path = save_checkpoint(tmp_path, trained(make_training, optimizer="adamw"), 0.0)
    for name in FILES[:2]:
        content = (path / name).read_bytes()
        length = int.from_bytes(content[:8], "little")
        assert isinstance(json.loads(content[8 : 8 + length]), dict)
    assert isinstance(json.loads((path / "state.json").read_text(encoding="utf-8")), dict)


def test_an_encoder_comes_back_from_its_file_and_from_a_checkpoint(tmp_path: Path, make_training: MakeTraining) -> None:
    t = trained(make_training)
    encoder = t.method.online.encoder
    save_encoder(tmp_path / "encoder.safetensors", encoder)
    path = save_checkpoint(tmp_path, t, 0.0)
    for file, prefix in ((tmp_path / "encoder.safetensors", ""), (path / FILES[0], "online.encoder.")):
        other = make_training(seed=5).method.online.encoder
        load_encoder(file, other, prefix)
        assert all(torch.equal(v, other.state_dict()[k]) for k, v in encoder.state_dict().items())
    assert not list(tmp_path.glob("*.partial"))
    with pytest.raises(InputError, match="another encoder"):
        load_encoder(path / FILES[0], encoder)
    shutil.rmtree(path)
    with pytest.raises(InputError, match="missing, truncated or damaged"):
        load_encoder(path / FILES[0], encoder, "online.encoder.")
