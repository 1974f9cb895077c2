"""TensorBoard's own reader finds our tables in what was written, bit by bit."""

import json
from pathlib import Path

import numpy as np
import pytest

from pairlens.errors import InputError
from pairlens.loggers.logger import Target
from pairlens.loggers.stream import open_stream
from pairlens.record.run import log_event
from pairlens.record.table import Table

pytest.importorskip("tensorboard", reason="tensorboard is not installed")

from growing import HISTOGRAMS, STATISTICS, Growing, rows_of
from reading import from_tensorboard, hparams_from_tensorboard, times_from_tensorboard

HERE = Target("tensorboard")


def send(folder: Path, target: Target = HERE, **how: bool) -> Path:
    """Send all there is, and return where it lies."""
    with open_stream(folder, target, **how) as stream:
        stream.advance()
        return Path(stream.logger.path).parent  # type: ignore[attr-defined]


def test_what_tensorboard_reads_is_what_the_tables_hold(tmp_path: Path) -> None:
    run = Growing(tmp_path / "run", steps=45)
    run.grow(45)
    scalars, counts, texts = from_tensorboard(send(run.folder))
    rows = rows_of(STATISTICS, np.arange(45))
    for name, tag in (("loss", "train/loss"), ("z.positive_mean", "z/positive_mean"), ("time_rest", "time/rest")):
        assert scalars[tag] == {step: float(rows[name][step]) for step in range(45)}
    assert scalars["train/seconds"] == {step: float(np.float32(rows["seconds"][step])) for step in range(45)}
    assert len(scalars) == len(STATISTICS.names or ()) - 1 + 1
    assert list(scalars["probe/knn"]) == [5, 10, 15, 20, 25, 30, 35, 40, 45]
    counted = rows_of(HISTOGRAMS, np.arange(45))
    assert set(counts) == {f"z/{name}_scores" for name in ("positive", "negative", "raw_positive", "raw_negative")}
    assert list(counts["z/negative_scores"]) == [0, 20, 40, 44]
    for step, (buckets, edges) in counts["z/negative_scores"].items():
        assert buckets == counted["z.negative"][step].tolist()
        assert edges == np.linspace(-1, 1, 65)[1:].tolist()
    assert texts["events/begun"][0].endswith(": at step 0")
    assert json.loads(texts["config"][0])["lr"] == 0.06
    hparams = hparams_from_tensorboard(run.folder / "tensorboard")
    assert hparams.items() >= {"lr": 0.06, "recipe": "moco_v2", "crop": "[0.2, 1.0]", "flip": True}.items()
    assert "weights" not in hparams


def test_points_bear_the_time_of_their_step_and_not_that_of_sending(tmp_path: Path) -> None:
    run = Growing(tmp_path, steps=10)
    run.grow(10)
    quality = np.dtype([("step", "<i8"), ("epoch", "<f4"), ("seconds", "<f4"), ("h.rankme", "<f4")])
    table = Table(tmp_path / "quality.npy", quality)
    table.append(np.array([(7, 0.7, 99.0, 31.5)], quality))
    folder = send(tmp_path)
    began = 1_795_162_360.0  # 2026-11-20T08:12:40+00:00
    assert times_from_tensorboard(folder, "train/loss") == {step: began + step / 4 + 0.1 for step in range(10)}
    assert times_from_tensorboard(folder, "probe/knn") == {5: began + 1.1, 10: began + 2.35}
    assert times_from_tensorboard(folder, "quality/h/rankme") == {7: began + 1.6}
    assert from_tensorboard(folder)[0]["quality/seconds"] == {7: 99.0}  # that the look took


def test_one_file_goes_on_through_resumptions_without_gaps_or_doubles(tmp_path: Path) -> None:
    run = Growing(tmp_path)
    for begin, end in ((0, 12), (7, 19), (19, 30)):
        run.begin(begin)
        run.grow(end - begin)
        folder = send(tmp_path, everything=True)
    assert len(list(folder.iterdir())) == 1
    scalars, counts, _ = from_tensorboard(folder)
    assert list(scalars["train/loss"]) == list(counts["z/positive_scores"]) == list(range(30))


def test_what_was_written_but_not_counted_before_a_kill_is_not_there_twice(tmp_path: Path) -> None:
    run = Growing(tmp_path)
    run.grow(5)
    folder = send(tmp_path, everything=True)
    run.grow(5)
    cursor = (tmp_path / "logged" / "tensorboard.json").read_bytes()
    send(tmp_path, everything=True)
    (tmp_path / "logged" / "tensorboard.json").write_bytes(cursor)  # killed before it was replaced, ...
    (file,) = folder.iterdir()
    with file.open("ab") as half:  # ... and in mid-record
        half.write(b"\x07\x00\x00")
    send(tmp_path, everything=True)
    assert list(from_tensorboard(folder)[0]["train/loss"]) == list(range(10))


def test_folders_hold_runs_by_name_and_anew_replaces_the_file(tmp_path: Path) -> None:
    run = Growing(tmp_path / "runs" / "first")
    run.grow(5)
    there = Target("tensorboard", tmp_path / "there")
    for anew in (False, True):
        assert send(run.folder, there, anew=anew) == tmp_path / "there" / "first"
    assert len(list((tmp_path / "there" / "first").iterdir())) == 1
    assert list(from_tensorboard(tmp_path / "there" / "first")[0]["train/loss"]) == list(range(5))


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    run = Growing(tmp_path)
    run.grow(5)
    (file,) = send(tmp_path).iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"is gone or cut short; .* --to tensorboard --anew"):
        send(tmp_path)
    file.unlink()
    with pytest.raises(InputError, match="is gone or cut short"):
        send(tmp_path)
    assert list(from_tensorboard(send(tmp_path, anew=True))[0]["train/loss"]) == list(range(5))


def test_hostile_names_are_plain_text(tmp_path: Path) -> None:
    run = Growing(tmp_path / "a <b>'\"[x](javascript:1) \u202egnp")
    log_event(run.folder, "skipped", "</script>\udcff.jpg: line\nbreak")
    text = from_tensorboard(send(run.folder))[2]["events/skipped"][1]
    assert text.startswith("    20")  # a block of code, in which nothing is Markdown
    assert text.endswith("</script>\ufffd.jpg: line\ufffdbreak")
