"""Which argument runs differ in, and its curves with seeds averaged, against naive loops."""

import json
import math
import statistics
from pathlib import Path

import fake_run
import numpy as np
import pytest

from pairlens.intervals import interval
from pairlens.record.run import Run
from pairlens.report.page import page
from pairlens.report.panels import sweep as panel
from pairlens.report.plots import SCORES
from pairlens.report.read import Missing
from pairlens.report.sweep import Sweep, axis_of, find_sweep, over_seeds
from pairlens.report.swept import Swept, accuracies, compute, figures, groups, in_space, over_steps
from pairlens.report.thin import Curve, thin


def call(seed: int = 0, recipe: str = "moco_v1", threads: int = 1, **arguments: object) -> dict[str, object]:
    """A call of run.json."""
    return {
        "argv": [str(seed)],
        "recipe": recipe,
        "source": "scenes",
        "seed": seed,
        "machine": {"threads": threads},
        "arguments": {"momentum": 0.9, "lr": 0.03, "union": False, "crop": [0.2, 1.0], "extrapolate": None} | arguments,
    }


def test_the_argument_that_differs_is_found_whatever_the_seeds() -> None:
    calls = [call(seed, momentum=m, threads=seed + 1) for m in (1, 0.5, 0.99) for seed in (0, 1)]
    assert find_sweep(calls) == Sweep("momentum", (0.5, 0.99, 1.0), ((2, 3), (4, 5), (0, 1)))
    found = find_sweep(calls[:3])
    assert found is not None
    assert (found.first, found.of_run) == ((2, 0), {2: 0, 0: 1, 1: 1})
    assert found.worth_drawing  # two values, but several runs of one
    assert not Sweep("lr", (1.0, 2.0), ((0,), (1,))).worth_drawing
    assert Sweep("lr", (1.0, 2.0, 3.0), ((0,), (1,), (2,))).worth_drawing


@pytest.mark.parametrize(
    "others",
    [
        [call(1)],  # another seed alone
        [],
        [call(momentum=0.5, lr=0.1)],  # two at once
        [call(momentum=0.5, recipe="moco_v2")],
        [call(union=True)],
        [call(crop=[0.1, 1.0])],
        [call(extrapolate=2.0)],  # a number beside none
        [call(momentum="fast")],
        [call(momentum=math.nan)],
        [call(momentum=math.inf)],
        [call(another=3)],  # one that the first run does not have
        [{"recipe": "moco_v1", "source": "scenes", "arguments": None}],
        [{}],
    ],
)
def test_what_is_no_sweep(others: list[dict[str, object]]) -> None:
    assert find_sweep([call(), *others]) is None


@pytest.mark.parametrize(
    ("name", "values", "axis"),
    [
        ("momentum", (0.5, 0.6, 0.7), "categories"),
        ("lr", (0.01, 0.03, 0.1, 0.3), "log"),
        ("negatives", (512.0, 65536.0), "log"),
        ("temperature", (0.1, 0.2, 0.3), "linear"),
        ("alpha", (0.0, 0.001, 1.0), "categories"),
        ("gray", (0.0, 0.5, 1.0), "linear"),
    ],
)
def test_the_axis_suits_the_values(name: str, values: tuple[float, ...], axis: str) -> None:
    assert axis_of(name, values) == axis


def test_seeds_are_averaged_with_their_extremes() -> None:
    rng = np.random.default_rng(0)
    step = np.arange(400)
    values = [rng.normal(size=400) for _ in range(3)]
    values[1][37:40] = np.nan
    curves = [thin(step, one, 100) for one in values]
    found = over_seeds(curves)
    for i in range(100):
        rows = [v for c in curves if np.isfinite(v := c.mean[i])]
        assert found.mean[i] == pytest.approx(sum(rows) / len(rows))
        assert (found.low[i], found.high[i]) == (min(rows), max(rows))
    assert found.broken.tolist() == [37, 38, 39]


def test_a_shorter_run_counts_as_far_as_it_reaches() -> None:
    long, short = thin(np.arange(200), np.full(200, 1.0), 50), thin(np.arange(100), np.full(100, 3.0), 50)
    found = over_seeds([short, long])
    assert found.step.tolist() == long.step.tolist()
    assert found.mean[:24].tolist() == [2.0] * 24
    assert found.mean[-24:].tolist() == [1.0] * 24
    nothing = Curve(long.step, *[np.full(50, np.nan)] * 3, np.arange(3))
    assert np.isnan(over_seeds([nothing, nothing]).mean).all()
    assert over_seeds([nothing, long]).mean.tolist() == [1.0] * 50


def wild(folder: Path, spread: float) -> None:
    """Let a run's negatives' mean jump from step to step."""
    table = np.load(folder / "statistics.npy")
    table["z.negative_mean"] = 0.1 + spread * (-1.0) ** np.arange(len(table))
    np.save(folder / "statistics.npy", table)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sweep")
    given = [(m, s) for m in (1.0, 0.5, 0.99) for s in (0, 1)]
    paths = [
        fake_run.make(
            folder / f"m{m}-{s}",
            steps=80,
            transformed=False,
            arguments={"momentum": m, "seed": s},
            seed=s,
            skill=0.3 + m / 2 + s / 50,
        )
        for m, s in given
    ]
    for path, (m, _) in zip(paths, given, strict=True):
        wild(path, 1.1 - m)
    return paths


def swept_of(paths: list[Path]) -> tuple[list[Swept], Sweep]:
    runs = [Run.open(path) for path in paths]
    sweep = find_sweep([run.call for run in runs])
    found = [compute(run) for run in runs]
    assert sweep is not None
    assert all(isinstance(one, Swept) for one in found)
    return found, sweep  # type: ignore[return-value]


def test_runs_are_grouped_in_the_values_order(made: list[Path]) -> None:
    found, sweep = swept_of(made)
    rows = groups(found, range(6), sweep)
    assert [group.label for group in rows] == ["0.5", "0.99", "1"]
    assert [len(group.runs) for group in rows] == [2, 2, 2]
    assert rows[0].runs == (found[2], found[3])
    assert [group.label for group in groups(found[:2], [0, 1], sweep)] == ["1"]  # the others cannot be read
    drawn = over_steps(rows, sweep, SCORES[1], "z")
    lines = [trace for trace in drawn.data if trace.fill is None and trace.mode == "lines"]
    assert [line.name for line in lines] == [f"\u2068momentum\u2069 {m}" for m in ("0.5", "0.99", "1")]
    assert len({line.line.color for line in lines}) == 3
    assert len(drawn.data) == 6  # with a band each
    deep = in_space(rows, sweep, SCORES[1], "z")
    assert [set(trace.y) for trace in deep.data] == [{0.0}, {1.0}, {2.0}]
    assert list(deep.layout.scene.yaxis.ticktext) == ["0.5", "0.99", "1"]


def test_accuracy_and_jumps_are_those_of_the_runs(made: list[Path]) -> None:
    found, sweep = swept_of(made)
    rows = groups(found, range(6), sweep)
    drawn = accuracies(rows, sweep)
    assert drawn is not None
    knn = drawn.data[0]
    assert list(knn.x) == [0, 1, 2]  # momenta stand equally far apart
    assert list(drawn.layout.xaxis.ticktext) == ["0.5", "0.99", "1"]
    for place, m in enumerate((0.5, 0.99, 1.0)):
        values = [0.3 + m / 2, 0.3 + m / 2 + 0.02]
        assert knn.y[place] == pytest.approx(statistics.mean(values))
        assert knn.error_y.array[place] == pytest.approx(interval(values).half)
    assert found[2].jumps["z"] == pytest.approx(2 * 0.6, rel=1e-3)
    assert found[0].jumps["z"] == pytest.approx(2 * 0.1, rel=1e-3)
    assert sorted(figures(rows, sweep, "z")) == sorted(
        [
            "negative_variance",
            "negative_mean",
            "positive_mean",
            "loss",
            "gradient_norm",
            "accuracy",
            "accuracy_by_value",
        ]
    )


def test_what_is_missing_or_damaged_costs_only_itself(made: list[Path], tmp_path: Path) -> None:
    broken = fake_run.make(tmp_path / "b", steps=80, transformed=False, arguments={"momentum": 0.1})
    table = np.load(broken / "statistics.npy")
    table["loss"] = table["z.loss"] = np.nan
    table["z.negative_mean"][40:] = np.inf
    np.save(broken / "statistics.npy", table)
    (broken / "evaluation.json").write_text("{")
    bare = fake_run.make(tmp_path / "bare", steps=30, transformed=False, arguments={"momentum": 0.2})
    (bare / "statistics.npy").unlink()
    assert isinstance(compute(Run.open(bare)), Missing)
    one = compute(Run.open(broken))
    assert isinstance(one, Swept)
    assert one.accuracy == {}
    assert ("loss", "z") not in one.curves
    text = page([Run.open(path) for path in [*made, broken, bare]])
    assert "Over the sweep" in text
    assert "The 7 runs differ in <code><bdi>momentum</bdi></code> alone: 4 values, 1 to 2 of each" in text
    assert "No step has been recorded yet" in text


def test_runs_without_negatives_have_no_curves_of_them(tmp_path: Path) -> None:
    paths = []
    for lr in (0.1, 0.2, 0.3):
        path = fake_run.make(tmp_path / f"lr{lr}", steps=40, transformed=False, arguments={"lr": lr})
        info = json.loads((path / "run.json").read_text())
        info["spaces"]["z"]["negatives"] = 0
        (path / "run.json").write_text(json.dumps(info))
        table = np.load(path / "statistics.npy")
        for name in ("negative_mean", "negative_variance", "accuracy"):
            table[f"z.{name}"] = np.nan
        np.save(path / "statistics.npy", table)
        paths.append(path)
    found, sweep = swept_of(paths)
    assert {key for key, _ in found[0].curves} == {"positive_mean", "loss", "gradient_norm"}
    text = panel.draw(found, range(3), sweep)
    assert "one run of each" in text
    assert "log(K+1)" not in text


def test_many_runs_are_drawn_by_value(made: list[Path], tmp_path: Path) -> None:
    more = [
        fake_run.make(tmp_path / f"m0-{s}", steps=80, transformed=False, arguments={"momentum": 0.0, "seed": s}, seed=s)
        for s in range(3)
    ]
    text = page([Run.open(path) for path in [*made, *more]])
    assert "What is to be thought of each of the 9 runs" in text
    assert text.count('data-group="run" data-value="3"') > 0  # one run of each of four values
    assert 'data-group="run" data-value="4"' not in text
    assert text.count("Lines are means of blocks of steps, averaged over the runs of a value") == 3


def test_a_hostile_argument_does_nothing(tmp_path: Path) -> None:
    bad = "</script><img src=x onerror='window.hacked=1'>"
    paths = [fake_run.make(tmp_path / str(i), steps=40, transformed=False, arguments={bad: float(i)}) for i in range(3)]
    text = page([Run.open(path) for path in paths])
    assert "Over the sweep" in text
    assert "<img src=x" not in text
