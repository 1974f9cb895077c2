"""The recorder writes what the steps say, a row each, and goes on where a run went on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pairlens.clock import PHASES
from pairlens.optim import l2_norm
from pairlens.record.observers import BINS, COUNTED, histograms, scalars
from pairlens.record.recorder import Recorder
from pairlens.record.ring import Ring, columns, histogram_columns
from pairlens.record.run import Run, log_event
from pairlens.train import Outcome, Training, fit
from pairlens.views.params import ViewParams

MakeTraining = Callable[..., Training]


def recorder_of(folder: Path, t: Training, **arguments: int) -> Recorder:
    return Recorder(folder, ("z",), device=t.mean.device, steps=t.steps, **arguments)


@pytest.mark.parametrize(("every", "block"), [(1, 3), (3, 4), (10, 100), (4, 1)])
def test_rows_hold_what_the_steps_say(tmp_path: Path, make_training: MakeTraining, every: int, block: int) -> None:
    t = make_training()
    expected: list[dict[str, float]] = []
    counts: list[dict[str, list[float]]] = []

    def read(t: Training, outcome: Outcome) -> None:
        comparison = outcome.parts[-1].comparisons["z"]
        squares = [p.grad.double().square().sum() for p in t.method.online.parameters()]
        row = {"step": t.step, "epoch": t.step / 5, "learning_rate": t.schedule(t.step), "images": 8}
        row |= {"loss": comparison.loss.item(), "gradient_norm": float(sum(squares).sqrt())}
        expected.append(row | {f"z.{k}": v.item() for k, v in scalars(comparison).items()})
        if t.step % every == 0:
            counted = {f"z.{k}": v.tolist() for k, v in histograms(comparison).items()}
            counts.append({"step": t.step, **counted})

    recorder = recorder_of(tmp_path, t, every=every, block=block)
    fit(t, [recorder, read])
    recorder.close()
    table = np.load(tmp_path / "statistics.npy")
    assert len(table) == len(expected) == t.steps == 10
    for row, values in zip(table, expected, strict=True):
        assert {name: row[name].item() for name in values} == pytest.approx(values, rel=1e-5)
    assert set(table.dtype.names) == {*expected[0], "seconds", *(f"time_{phase}" for phase in PHASES)}
    found = np.load(tmp_path / "histograms.npy")
    assert [dict(zip(found.dtype.names, (v.tolist() for v in row), strict=True)) for row in found] == counts


def test_times_are_plausible_and_seconds_rise(tmp_path: Path, make_training: MakeTraining) -> None:
    t = make_training()
    recorder = recorder_of(tmp_path, t, block=4)
    recorder.ring.begun -= 1000  # as if resumed after so long
    fit(t, [recorder])
    recorder.close()
    table = np.load(tmp_path / "statistics.npy")
    assert (np.diff(table["seconds"]) > 0).all()
    assert table["seconds"][0] >= 1000
    phases = np.stack([table[f"time_{phase}"] for phase in PHASES])
    assert (phases >= 0).all()
    assert (phases[1:4] > 0).all()  # a step without views, forward or backward would be none
    assert phases.sum(0)[:-1].sum() <= table["seconds"][-1] - table["seconds"][0] + 1


def test_a_full_ring_is_written_without_being_asked(tmp_path: Path, make_training: MakeTraining) -> None:
    t = make_training()
    recorder = recorder_of(tmp_path, t, block=3, every=1)
    written: list[int] = []
    fit(t, [recorder], [lambda t: written.append(len(np.load(tmp_path / "statistics.npy")))])
    assert written == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9]
    recorder.sync()
    assert len(np.load(tmp_path / "statistics.npy")) == 10
    recorder.sync()  # nothing is written twice
    recorder.close()
    assert np.load(tmp_path / "statistics.npy")["step"].tolist() == list(range(10))
    assert np.load(tmp_path / "histograms.npy")["step"].tolist() == list(range(10))


@pytest.mark.parametrize(("at", "every"), [(0, 3), (1, 3), (3, 3), (4, 3), (5, 1), (7, 10)])
def test_a_resumed_recorder_keeps_one_row_a_step(
    tmp_path: Path, make_training: MakeTraining, at: int, every: int
) -> None:
    first, second = make_training(), make_training(1)
    recorder = recorder_of(tmp_path, first, every=every, block=2)
    fit(first, [recorder])
    recorder.close()  # all ten rows are there, and the checkpoint is older
    second.step = at
    recorder = recorder_of(tmp_path, second, start=at, every=every, block=2)
    assert np.load(tmp_path / "statistics.npy")["step"].tolist() == list(range(at))
    fit(second, [recorder])
    recorder.close()
    assert np.load(tmp_path / "statistics.npy")["step"].tolist() == list(range(10))
    assert np.load(tmp_path / "histograms.npy")["step"].tolist() == list(range(0, 10, every))


def test_raw_statistics_are_taken_before_the_queue_changes(tmp_path: Path, make_training: MakeTraining) -> None:
    t = make_training()
    queues = [t.method.queue.keys.clone()]  # before each step
    queries: list[torch.Tensor] = []
    recorder = recorder_of(tmp_path, t)
    fit(
        t,
        [recorder, lambda t, outcome: queries.append(outcome.parts[-1].comparisons["z"].raw.query.detach().clone())],
        [lambda t: queues.append(t.method.queue.keys.clone())],
    )
    recorder.close()
    means = [(query @ keys.T).mean().item() for query, keys in zip(queries, queues[:-1], strict=True)]
    assert np.load(tmp_path / "statistics.npy")["z.raw_negative_mean"] == pytest.approx(means, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("local", [0, 3])
def test_samples_hold_images_views_and_parameters(tmp_path: Path, make_training: MakeTraining, local: int) -> None:
    t = make_training(local=local)
    seen: dict[int, Outcome] = {}
    recorder = recorder_of(tmp_path, t)
    fit(t, [recorder, lambda t, outcome: seen.update({t.step: outcome})])
    recorder.close()
    files = Run(tmp_path).sample_files()
    assert files[0].name == "000000.npz"
    assert files[-1].name == "000009.npz"
    assert 8 <= len(files) <= 9
    for file in files:
        with np.load(file, allow_pickle=False) as sample:
            outcome = seen[int(sample["step"])]
            assert file.name == f"{sample['step']:06d}.npz"
            assert np.array_equal(sample["index"], outcome.draw.index)
            assert np.array_equal(sample["images"], t.loader.whole(outcome.draw.index))
            assert len(outcome.params) == 2 + local
            assert {k.split(".")[1] for k in sample if k.startswith(("view.", "params."))} == set(outcome.params)
            for name, params in outcome.params.items():
                assert sample[f"view.{name}"].shape == (8, 3, *[8 if name.startswith("local") else 16] * 2)
                stored = {k: sample[f"params.{name}.{k}"] for k in params.tensors()}
                assert isinstance(params, ViewParams)
                assert all(np.array_equal(stored[k], v) for k, v in params.tensors().items())
                pixels = outcome.views[name] * t.std[:, None, None] + t.mean[:, None, None]
                assert sample[f"view.{name}"].dtype == np.uint8
                assert np.abs(sample[f"view.{name}"] / 255 - pixels.numpy()).max() <= 0.51 / 255


@pytest.mark.parametrize("local", [0, 2])
def test_selected_negatives_are_told_beside_all_of_them(
    tmp_path: Path, make_training: MakeTraining, local: int
) -> None:
    t = make_training(local=local, select="hardest")
    recorder = recorder_of(tmp_path, t)
    seen: list[tuple[float, float]] = []

    def look(t: Training, outcome: Outcome) -> None:
        comparison = outcome.parts[-1].comparisons["z"]
        assert comparison.scores.negative.shape == (8 * (1 + local), 12)
        every = comparison.raw.query @ comparison.raw.negatives.T
        seen.append((comparison.scores.negative.mean().item(), every.mean().item()))

    fit(t, [recorder, look])
    recorder.close()
    table, counts = np.load(tmp_path / "statistics.npy"), np.load(tmp_path / "histograms.npy")
    assert table["z.negative_mean"] == pytest.approx([after for after, _ in seen], rel=1e-4, abs=1e-6)
    assert table["z.raw_negative_mean"] == pytest.approx([raw for _, raw in seen], rel=1e-4, abs=1e-6)
    assert (table["z.negative_mean"] > table["z.raw_negative_mean"]).all()
    rows = min(COUNTED, 8 * (1 + local))
    assert (counts["z.negative"].sum(1) == rows * 12).all()
    assert (counts["z.raw_negative"].sum(1) == rows * 24).all()


def test_the_gradient_norm_is_that_of_all_gradients_together() -> None:
    gradients = [torch.tensor([3.0]), torch.tensor([[4.0, 12.0]])]
    assert l2_norm(gradients).item() == pytest.approx(13)


def test_every_space_has_columns_of_its_own(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ("all", "color"), device=torch.device("cpu"), steps=4)
    recorder.close()
    names = np.load(tmp_path / "statistics.npy").dtype.names
    assert names[5:7] == ("loss", "gradient_norm")
    assert {"all.positive_mean", "color.positive_mean"} <= set(names)
    assert len(columns(("all", "color"))) == 2 + 2 * (len(columns(("z",))) - 2)
    counted = np.load(tmp_path / "histograms.npy").dtype
    assert counted.names == ("step", *histogram_columns(("all", "color")))
    assert counted["all.positive"] == np.dtype(("<u4", (BINS,)))


def test_a_ring_lacks_the_columns_that_a_run_cannot_know(tmp_path: Path) -> None:
    ring = Ring(tmp_path, ("z",), device=torch.device("cpu"), without=["epoch", "gradient_norm", "z.loss", "time_data"])
    values = {name: torch.tensor(float(i)) for i, name in enumerate(columns(("z",)))}
    ring.add({"step": 7, "images": 4}, values, {})
    ring.close()
    table = np.load(tmp_path / "statistics.npy")
    assert not {"epoch", "gradient_norm", "z.loss", "time_data"} & set(table.dtype.names)
    assert (table["step"], table["loss"], table["z.accuracy"]) == (7, 0, 3)
    assert len(np.load(tmp_path / "histograms.npy")) == 0


def test_a_step_that_gave_no_gradient_is_recorded(tmp_path: Path, make_training: MakeTraining) -> None:
    t = make_training()
    recorder = recorder_of(tmp_path, t)

    def forget(t: Training, outcome: Outcome) -> None:
        t.optimizer.zero_grad()

    fit(t, [forget, recorder])
    recorder.close()
    assert np.load(tmp_path / "statistics.npy")["gradient_norm"].tolist() == [0.0] * 10


def test_events_are_lines_of_json(tmp_path: Path) -> None:
    log_event(tmp_path, "skipped", 'a "name"\nwith a line break: ü')
    log_event(tmp_path, "finished", "at step 10 of 10")
    events = Run(tmp_path).events
    assert [(e["kind"], e["text"]) for e in events] == [
        ("skipped", 'a "name"\nwith a line break: ü'),
        ("finished", "at step 10 of 10"),
    ]
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [set(json.loads(line)) for line in lines] == [{"time", "kind", "text"}] * 2
