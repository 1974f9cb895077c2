"""What is kept, measured of a run for real, on tiny images: once, again, in part, and without labels or factors."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pairlens import commands, opened
from pairlens.assess import assess
from pairlens.data.images import Source
from pairlens.data.scenes import make_scenes
from pairlens.errors import InputError
from pairlens.kept import kept_table, measure_kept
from pairlens.pretrain import pretrain
from pairlens.recipes.general import simclr
from pairlens.record.run import Run
from pairlens.report.kept import read_kept
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.start import start_run


def quiet(text: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A short training on 90 labelled images, a fifth of them to test on."""
    folder = tmp_path_factory.mktemp("kept")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (90, 16, 16, 3), dtype=np.uint8)
    images[:, :8] //= 2  # darker above
    np.savez(folder / "images.npz", x=images, y=np.arange(90) % 3)
    recipe = simclr(
        network=Network(encoder="resnet8w", hidden=16, dim=8),
        views=Views(size=16),
        optimisation=Optimisation(batch=16, epochs=1),
    )
    machine = Machine("cpu", threads=1)
    where, training, source, _ = start_run(
        str(folder / "images.npz"), recipe, folder=folder / "run", machine=machine, say=quiet
    )
    assert pretrain(where, training, source, say=quiet) == "finished"
    return Run.open(where)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[[Source], None]:
    """Lets a run be measured on other images."""

    def show(source: Source) -> None:
        monkeypatch.setattr(opened, "open_run_source", lambda *args: source)

    return show


def test_a_labelled_set_has_rotation_and_class_beside_baselines(run: Run) -> None:
    said: list[str] = []
    done: list[tuple[str, int, int]] = []
    result = measure_kept(run, say=said.append, progress=lambda *told: done.append(told))
    assert Run.open(run.folder).kept == result
    turns, factors = result["probes"]["rotation"], result["probes"]["factors"]
    test = result["data"]["test"]
    assert turns["images"] == {"train": 90 - test, "test": test}
    assert (turns["measure"], turns["chance"], list(factors), result["probes"]["skipped"]) == (
        "accuracy", 0.25, ["class"], {}
    )  # fmt: skip
    for one in (turns, factors["class"]):
        assert all(0 <= one[who]["value"] <= 1 for who in ("encoder", "random", "pixels"))
    assert turns["pixels"]["value"] > 0.9
    assert sum(map(sum, turns["random"]["confusion"])) == 4 * test
    assert (result["step"], result["seed"], result["training_seed"]) == (run.status["step"], 0, 0)
    views, images = 4 * 3 * 90, 2 * 90
    assert [told for told in done if told[1] == told[2]] == [
        ("encoding views", views, views), ("encoding images", images, images)
    ]  # fmt: skip
    read = read_kept(Run.open(run.folder))
    assert read is not None
    assert [quantity.name for quantity in read.quantities] == ["4 rotations", "class"]
    assert read.quantities[1].told["random"].value == factors["class"]["random"]["value"]


def test_the_class_is_told_as_the_linear_read_out_tells_it(run: Run) -> None:
    told = measure_kept(run, probes=("factors",), baselines=False, seed=7, say=quiet)["probes"]["factors"]["class"]
    linear = assess(run, baselines=False, seed=7, say=quiet)
    assert told["encoder"]["value"] == linear["test"]["encoder"]["linear"]["top1"]
    assert told["encoder"]["strength"] == linear["protocol"]["linear"]["strength"]["encoder"]
    assert "pixels" not in told


def test_what_was_measured_stays_unless_it_is_of_another_seed_or_damaged(run: Run) -> None:
    both = measure_kept(run, say=quiet)["probes"]
    alone = measure_kept(run, probes=("rotation",), baselines=False, say=quiet)["probes"]
    assert alone["factors"] == both["factors"]
    assert "pixels" not in alone["rotation"]
    assert alone["rotation"]["encoder"] == both["rotation"]["encoder"]
    assert list(measure_kept(run, probes=("rotation",), baselines=False, seed=1, say=quiet)["probes"]) == ["rotation"]
    (run.folder / "kept.json").write_text("{")
    assert set(measure_kept(run, probes=("factors",), baselines=False, say=quiet)["probes"]) == {"factors", "skipped"}


def test_known_factors_are_told(run: Run, seen: Callable[[Source], None]) -> None:
    seen(make_scenes(size=16, train=150, test=60))
    result = measure_kept(run, probes=("factors",), baselines=False, say=quiet)
    factors = result["probes"]["factors"]
    assert {name: one["kind"] for name, one in factors.items()} == {
        "class": "class",
        "hue": "circular",
        "rotation": "number",
        "texture": "class",
        "position": "number",
        "size": "number",
    }
    assert list(result["probes"]["skipped"]) == ["original"]
    read = read_kept(Run.open(run.folder))
    assert read is not None
    assert [quantity.name for quantity in read.quantities] == ["class", "hue", "lean", "texture", "position", "size"]
    assert [quantity.accuracy for quantity in read.quantities] == [True, False, False, True, False, False]
    assert read.turned is None


@pytest.mark.parametrize("with_test", [True, False])
def test_a_set_of_which_nothing_is_known_has_rotation_alone(
    run: Run, seen: Callable[[Source], None], with_test: bool
) -> None:
    images = make_scenes(size=16, train=40, test=20)
    assert images.test is not None
    train, test = (
        replace(part, labels=None, classes=(), factors={}, boxes=None) for part in (images.train, images.test)
    )
    seen(Source("bare", train, test if with_test else None))
    result = measure_kept(run, baselines=False, seed=9, say=quiet)
    assert result["data"] == ({"train": 40, "test": 20} if with_test else {"train": 36, "test": 4})
    assert result["probes"]["factors"] == {}
    assert 0 <= result["probes"]["rotation"]["encoder"]["value"] <= 1


def test_the_lines_for_the_terminal() -> None:
    def told(**values: float) -> dict:
        return {who: {"value": value, "error": 0.01} for who, value in values.items()}

    turns = {"measure": "accuracy", "chance": 0.25, **told(encoder=0.5, random=0.4, pixels=0.3)}
    hue = {"measure": "r2", "chance": 0.0, **told(encoder=-0.125)}
    factors = {"hue": hue, "rotation": {**hue, **told(encoder=0.5)}}
    probes = {"rotation": turns, "factors": factors, "skipped": {"original": "it names images"}}
    text = kept_table({"data": {"test": 1200}, "probes": probes, "training_seed": 4, "seed": 3})
    first, head, turned, colour, lean, skipped, seeds = text.splitlines()
    assert first.endswith("on 1,200 test images")
    assert head.split() == ["trained", "encoder", "untrained", "encoder", "raw", "pixels", "by", "chance"]
    assert turned.split()[-5:] == ["accuracy", "50.0%", "40.0%", "30.0%", "25.0%"]
    assert (turned.split()[:2], lean.split()[0]) == (["4", "rotations"], "lean")
    assert colour.split() == ["hue", "R2", "-0.125", "\u2013", "\u2013", "0"]
    assert turned.index("50.0%") + 5 == colour.index("-0.125") + 6
    assert skipped == "  original: not asked for, it names images"
    assert seeds == "  seeds: 4 of the training, 3 of the read-out"


def test_the_command_measures_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list = []
    monkeypatch.setattr("pairlens.assess.assess", lambda run, **flags: asked.append(("accuracy", flags["solver"])))
    monkeypatch.setattr("pairlens.assess.table", lambda result: "")
    monkeypatch.setattr(
        "pairlens.kept.measure_kept", lambda run, **flags: asked.append((flags["probes"], flags["seed"]))
    )
    monkeypatch.setattr("pairlens.kept.kept_table", lambda result: "")
    monkeypatch.setattr(commands, "write_report", lambda runs, page: page)
    (tmp_path / "run.json").write_text('{"call": {}}')
    commands.evaluate([str(tmp_path)])
    commands.evaluate([str(tmp_path), "--probes", "factors", "rotation", "--seed", "5"])
    commands.evaluate([str(tmp_path), "--probes", "accuracy", "rotation", "--solver", "sgd"])
    assert asked == [("accuracy", "lbfgs"), (("rotation", "factors"), 5), ("accuracy", "sgd"), (("rotation",), 0)]
    with pytest.raises(InputError, match="add accuracy to --probes"):
        commands.evaluate([str(tmp_path), "--probes", "rotation", "--solver", "sgd"])
