"""Means, intervals and differences against numbers worked out apart from the code, on run folders made by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from pairlens.clock import PHASES
from pairlens.data.images import ImageSet
from pairlens.record.localised import write_boxes
from pairlens.record.table import Table
from pairlens.studies.arms import Arm, Setting, Study, job
from pairlens.studies.page import page, table
from pairlens.studies.summary import summarise, training_minutes
from pairlens.views.boxes import Boxes

PLAIN = {0: (0.5, 0.6), 1: (0.54, 0.62), 2: (0.52, 0.7)}  # kNN and linear by seed
OTHER = {0: (0.51, 0.5), 1: (0.53, 0.55), 2: (0.56, 0.57)}
STUDY = Study(
    "try",
    "A try",
    (
        Arm("plain", "simclr", {}, None, 64.4, baselines=True),
        Arm("other", "simclr", {"temperature": 0.2}, "plain", 59.2),
    ),
    "minus plain",
    "somebody's",
    ("Said below.",),
)


def make_run(
    folder: Path, words: tuple[str, ...], accuracies: tuple[float, float], pixels: float | None = None
) -> None:
    """A finished and measured run of 3 epochs of 2 steps, as far as a summary reads it."""
    folder.mkdir(parents=True)
    environment = {"python": "3.11", "processor": "a fast one", "gpu": None, "git": "abc"}
    call = {"argv": [*words, "--out", str(folder)], "arguments": {"epochs": 3, "temperature": 0.1}}
    info = {"pairlens": "0.1", "call": call, "spaces": {"z": {}}, "steps_per_epoch": 2, "size": 16}
    (folder / "run.json").write_text(json.dumps({**info, "environment": environment}))
    (folder / "status.json").write_text(json.dumps({"state": "finished", "step": 6, "steps": 6, "seconds": 60}))

    def row(knn: float, linear: float) -> dict:
        return {"knn": {"top1": knn}, "linear": {"top1": linear}}

    test = {"encoder": row(*accuracies)} | ({"pixels": row(pixels, pixels)} if pixels else {})
    result = {"step": 6, "test": test, "data": {"train": 52, "test": 12}}
    (folder / "evaluation.json").write_text(json.dumps(result))
    scores = ("raw_positive_mean", "raw_negative_mean", "raw_negative_variance")
    names = ["loss", *(f"z.{name}" for name in scores), *(f"time_{phase}" for phase in PHASES)]
    rows = np.zeros(6, [(name, "<f4") for name in names])
    rows["z.raw_positive_mean"] = [0, 0, 0, 0, 0.25, 0.5]
    rows["z.raw_negative_mean"] = [1, 1, 1, 1, 0.125, 0.125]
    rows["time_forward"], rows["time_data"] = [10, 3, 3, 3, 3, 99], 1
    statistics = Table(folder / "statistics.npy", rows.dtype)
    statistics.append(rows)
    statistics.close()


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    made = Setting("scenes", tmp_path / "runs", (0, 1, 2), {"epochs": 3})
    for arm, found in zip(STUDY.arms, (PLAIN, OTHER), strict=True):
        for seed in made.seeds:
            one = job(arm, made, seed)
            make_run(one.folder, one.words, found[seed], 0.4 if arm.baselines else None)
    return made


def test_every_arm_gets_its_mean_and_its_difference_seed_by_seed(setting: Setting) -> None:
    plain, other = summarise(STUDY, setting)
    assert plain.estimate(lambda one: one.knn).mean == pytest.approx(0.52)
    assert plain.differences == {}
    found = other.differences["knn"]  # +.01, -.01, +.04
    assert found.mean == pytest.approx(0.04 / 3)
    low, high = stats.ttest_rel([o[0] for o in OTHER.values()], [p[0] for p in PLAIN.values()]).confidence_interval()
    assert (found.mean - found.half, found.mean + found.half) == (pytest.approx(low), pytest.approx(high))
    assert other.differences["linear"].mean == pytest.approx(-0.1)


def test_scores_are_of_the_last_epoch_and_minutes_of_the_median_step(setting: Setting) -> None:
    one = summarise(STUDY, setting)[0].runs[0]
    assert one.positive == pytest.approx(0.375)
    assert one.negative == pytest.approx(0.125)
    assert one.minutes == pytest.approx(6 * 4 / 60)


def test_a_training_of_no_steps_takes_no_time_and_has_no_scores(setting: Setting) -> None:
    from pairlens.record.run import Run

    folder = job(STUDY.arms[0], setting, 1).folder
    (folder / "statistics.npy").unlink()
    assert training_minutes(Run.open(folder)) == 0
    row = summarise(STUDY, setting)[0]
    assert math.isnan(row.runs[1].positive)
    assert row.estimate(lambda one: one.positive).count == 2


def test_pairs_of_seeds_of_which_one_has_no_result_are_left_out(setting: Setting) -> None:
    (job(STUDY.arms[0], setting, 2).folder / "evaluation.json").unlink()
    plain, other = summarise(STUDY, setting)
    assert plain.failed == (2,)
    assert plain.estimate(lambda one: one.knn).count == 2
    assert other.failed == ()
    assert other.differences["knn"].count == 2
    assert other.differences["knn"].mean == pytest.approx(0.0)


def test_the_table_has_the_numbers_of_both_and_of_the_paper(setting: Setting) -> None:
    head, _, plain, other, pixels = table(STUDY, summarise(STUDY, setting)).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, plain, other, pixels)]
    assert {len(row) for row in cells} == {12}
    names = ["kNN, %", "linear, %", "kNN, minus plain", "linear, minus plain", "paper, %", "paper, minus plain"]
    assert cells[0][1:7] == names
    assert cells[1][:7] == ["plain", "52.0 ± 5.0", "64.0 ± 13.1", "", "", "64.4", ""]
    assert cells[2][:2] == ["other", "53.3 ± 6.3"]
    assert cells[2][3:7] == ["+1.3 ± 6.3", "-10.0 ± 7.5", "59.2", "-5.2"]
    assert cells[2][-1] == "`simclr` `--temperature 0.2`"
    assert cells[3][:3] == ["raw pixels", "40.0 ± 0.0", "40.0 ± 0.0"]


def test_boxes_have_columns_where_some_run_found_any(setting: Setting) -> None:
    """The last boxes of two seeds, of 3 images, and those of the third, whose file is damaged."""
    assert "boxes" not in table(STUDY, summarise(STUDY, setting))
    images = ImageSet(
        torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.full((3, 2), 8), ["a", "b", "c"], labels=None, classes=()
    )
    for seed, right in ((0, 0.5), (1, 0.75), (2, 0.5)):
        folder = job(STUDY.arms[1], setting, seed).folder
        for step, edges in ((2, [0.1, 0.1, 0.1]), (4, [0.25, right, 1.0])):
            found = torch.tensor([[0.0, 0.0, edge, 1.0] for edge in edges])
            made = Boxes.unknown(3).refresh(found, step, step // 2, 0.25)
            write_boxes(folder, images, found, torch.zeros(3, 2, 2), made, 1.5)
    (folder / "boxes" / "000004.npz").write_bytes(b"PK")
    head, _, plain, other, _ = table(STUDY, summarise(STUDY, setting)).splitlines()
    names, first, second = ([cell.strip() for cell in line.strip("|").split("|")] for line in (head, plain, other))
    at = names.index("boxes: k")
    assert names[at : at + 3] == ["boxes: k", "median cover, %", "nearly whole, %"]
    assert first[at : at + 3] == ["", "", ""]
    assert second[at : at + 3] == ["0.25", "62.5 ± 158.8", "33.3 ± 0.0"]


def test_the_page_says_what_was_run_and_what_failed(setting: Setting) -> None:
    failed = job(STUDY.arms[1], setting, 1)
    (failed.folder / "evaluation.json").unlink()
    text = page("Title", [STUDY], setting, {failed: "it has diverged"}, "pairlens study SOURCE", "A lead.")
    assert text.startswith("# Title\n\n`pairlens study SOURCE`, 20")
    for said in (
        "52 training and 12 test images of 16 px",
        "Seeds 0, 1, 2; budget: epochs 3.",
        "5 trainings took 5 min 00 s",
        "A lead.",
        "Paper: somebody's. Its figures are of other data and another scale",
        "| other (2 of 3 seeds) |",
        "- other, seed 1: failed, it has diverged",
        "- Said below.",
        "- processor: a fast one",
        "epochs 3, temperature 0.1.",
    ):
        assert said in text
    assert "abc" not in text
    assert "gpu" not in text
    assert str(setting.folder) not in text
