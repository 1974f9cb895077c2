"""The benchmark of crops: what it says of boxes and pairs, how it reckons the overhead, and its figure."""

import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

from pairlens.data import sources
from pairlens.data.images import ImageSet
from pairlens.data.scenes import make_scenes
from pairlens.place import find_place
from pairlens.pretrain import pretrain
from pairlens.recipes import find_recipe, flatten, restore
from pairlens.record.run import Run
from pairlens.settings import Machine
from pairlens.start import start_run
from pairlens.studies.arms import Setting, job
from pairlens.views.boxes import Boxes, iou
from pairlens.views.crops import contrastive_crop, full_image, random_resized_crop

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
PLACE = find_place(Machine(device="cpu", threads=1))


@pytest.fixture(autouse=True)
def beside() -> Iterator[None]:
    """The benchmarks import each other, as scripts in one folder do."""
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def module(name: str) -> ModuleType:
    return import_module(name)


def images_with(boxes: list[list[float]], side: int = 64) -> ImageSet:
    count = len(boxes)
    pixels = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    return ImageSet(pixels, torch.full((count, 2), side), [str(i) for i in range(count)], boxes=torch.tensor(boxes))


def test_pairs_are_judged_by_the_true_box() -> None:
    located = module("located")
    truth = [[0.0, 0.0, 0.1, 0.1], [0.2, 0.2, 0.8, 0.8]]
    images, half = images_with(truth), torch.tensor([[0.5, 0.0, 1.0, 1.0]] * 2)
    whole = located._moment(0, None, half, full_image(), images)
    assert (whole.missed, whole.hidden, whole.overlap) == (0.0, 0.0, 1.0)
    assert whole.cover == 0.5
    assert whole.iou == pytest.approx((0.0 + 0.18 / (0.36 + 0.5 - 0.18)) / 2)
    right = contrastive_crop(Boxes.known(torch.tensor([[0.9, 0.0, 1.0, 1.0]] * 2)), 1.0, (0.2, 0.3))
    found = located._moment(3, 0.2, half, right, images)
    assert found.missed == 0.5  # the first image's object always, the second's never
    assert 0.5 <= found.hidden <= 1
    assert 0 < found.overlap < 1


def test_an_arm_differs_from_random_crops_in_its_crops_alone() -> None:
    located = module("located")
    recipe = find_recipe(located.RECIPE)
    for arm in located.STUDY.arms:
        made = restore(located.RECIPE, flatten(recipe()) | dict(arm.flags))
        made.crops.resolve(64, 10).check(10)
        assert made.views.crop == (0.2, 1.0)
    assert set(module("crops_page").COLORS) == set(located.ARMS)


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """A finished run of random crops, and one that finds boxes twice, on a few small scenes; accuracies by hand."""
    monkeypatch.setattr(sources, "make_scenes", partial(make_scenes, train=96, test=16))
    located = module("located")
    made = Setting(located.SOURCE, tmp_path / "scenes", (0,), {"epochs": 3, "batch": 32})
    for label in (located.RANDOM, "ContrastiveCrop, alpha .1"):
        arm = located.STUDY.arm(label)
        recipe = restore(arm.recipe, flatten(find_recipe(arm.recipe)()) | dict(made.budget) | dict(arm.flags))
        folder = job(arm, made, 0).folder
        machine = Machine(device="cpu", threads=1)
        _, t, source, _ = start_run(made.source, recipe, folder=folder, machine=machine, say=lambda text: None)
        assert pretrain(folder, t, source, say=lambda text: None) == "finished"
        row = {kind: {"top1": 0.5} for kind in ("knn", "linear")}
        result = {"step": t.step, "test": {"encoder": row}, "data": {"train": 96, "test": 16}}
        (folder / "evaluation.json").write_text(json.dumps(result))
    return made


def test_a_run_is_traced_and_told(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    located, crops, crops_page = (module(name) for name in ("located", "crops", "crops_page"))
    runs = crops.finished(located.STUDY, setting)
    assert {label: len(some) for label, some in runs.items() if some} == {
        located.RANDOM: 1,
        "ContrastiveCrop, alpha .1": 1,
    }
    found = located.traces(runs, lambda done, total: None)
    (anywhere,), (about,) = found[located.RANDOM], found["ContrastiveCrop, alpha .1"]
    assert [m.epoch for m in anywhere.moments] == [0]
    assert [m.epoch for m in about.moments] == [0, 1, 2]

    truth = make_scenes("small", train=96, test=16).train
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 96)
    expected = located._moment(0, None, whole, random_resized_crop((0.2, 1.0)), truth)
    assert anywhere.moments[0] == about.moments[0] == expected  # no boxes yet: crops fall anywhere
    folder = runs["ContrastiveCrop, alpha .1"][0].folder
    table = torch.from_numpy(_boxes(folder, -1)).float()
    assert about.moments[-1].iou == pytest.approx(float(iou(table, truth.boxes).mean()))
    crop = contrastive_crop(Boxes.known(table), 0.1, (0.2, 1.0))
    assert about.moments[-1] == located._moment(2, about.moments[-1].k, table, crop, truth)
    assert about.untrained == anywhere.untrained != about.trained
    assert about.untrained.best >= max(about.untrained.paper, about.untrained.chosen) - 0.02  # a grid's best
    assert 0 < about.refresh_share < 1 > anywhere.refresh_share == 0

    monkeypatch.setattr(located, "_trace", lambda run: pytest.fail("it was traced before"))
    assert located.traces({"again": runs[located.RANDOM]}, lambda done, total: None) == {"again": [anywhere]}

    text = crops_page.scenes_section(setting, runs, found, Path("crops.svg"))
    rows = [line for line in text.splitlines() if line.startswith("| ContrastiveCrop, alpha .1 |")]
    assert f"| {about.moments[-1].iou:.3f} |" in rows[0]
    assert f"| {100 * about.moments[-1].missed:.1f} |" in rows[0]
    assert "(crops.svg)" in text
    ET.fromstring(crops_page.draw(found))


def _boxes(folder: Path, place: int) -> "object":
    import numpy as np

    with np.load(Run.open(folder).box_files()[place]) as file:
        return file["boxes"]


def test_the_papers_schedules() -> None:
    cases = {case.recipe: case for case in module("crops_cost").CASES}
    small, large = cases["cifar10.moco_v2"], cases["imagenet.moco_v2"]
    assert (small.epochs, small.refreshes, small.about_boxes) == (500, 4, 400)  # after 100, 200, 300 and 400
    assert (large.epochs, large.refreshes, large.about_boxes) == (100, 8, 80)  # after 20, 30, ..., 90


def test_the_overhead_is_reckoned_from_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    overhead = module("crops_cost")
    case = overhead.Case("a case", "cifar10.moco_v2", 500, 32, 32, 64, "resnet8w")
    real = overhead.measure(case, PLACE, 1, lambda done, total: None)
    assert min(real.step, real.refresh, real.random, real.about) > 0
    drawing = iter([2e-6, 5e-6] * 2)
    monkeypatch.setattr(overhead, "steps", lambda t, count: 1e-3 * count * 32)
    monkeypatch.setattr(overhead, "_refresh", lambda localiser, t, boxes: 2e-4 * 64)
    monkeypatch.setattr(overhead, "_draws", lambda sample, images, batch: next(drawing))
    cost = overhead.measure(case, PLACE, 1, lambda done, total: None)
    assert cost.sampling == pytest.approx(0.8 * 3e-6 / 1e-3)
    assert cost.share == pytest.approx(4 * 2e-4 / (500 * 1e-3) + cost.sampling)
    assert "| **0.40%** |" in list(overhead.table([cost]))[-1]


def test_the_figure_is_drawn_to_scale() -> None:
    drawing = module("drawing")
    lines = [
        drawing.Line("a < b", "#000000", [(0, 0.0), (10, 1.0)], band=[(0, 0.0, 0.5), (10, 0.5, 1.0)]),
        drawing.Line("level", "#ff0000", [(0, 0.5)], "2 4"),
    ]
    chart = drawing.Chart("Share", "epochs", lines, per_cent=True)
    root = ET.fromstring(drawing.figure([chart, chart]))
    spell = "{http://www.w3.org/2000/svg}"
    rising, level = (
        [tuple(map(float, p.split(","))) for p in line.attrib["points"].split()]
        for line in list(root.iter(spell + "polyline"))[:2]
    )
    top = drawing.HEIGHT * (1 - 1 / 1.06)
    assert rising == [(0, drawing.HEIGHT), (drawing.WIDTH, pytest.approx(top, abs=0.06))]
    assert level == [(0, pytest.approx((drawing.HEIGHT + top) / 2, abs=0.06)), (drawing.WIDTH, level[0][1])]
    texts = [text.text for text in root.iter(spell + "text")]
    assert texts.count("Share") == 2
    assert texts.count("a < b") == 1
    assert {"0 %", "20 %", "100 %", "10"} <= set(texts)


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (1, 0.106, [1]), (0, 12, [0, 2, 4, 6, 8, 10, 12])]
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert module("drawing").ticks(low, high) == pytest.approx(expected)
