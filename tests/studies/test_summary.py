"""Means, intervals and differences against numbers worked out apart from the code, on run folders made by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from pairlens.clock import PHASES
from pairlens.data.images import ImageSet
from pairlens.record.localised import write_boxes
from pairlens.record.run import Run
from pairlens.record.table import Table
from pairlens.studies import measure
from pairlens.studies.arms import Arm, Setting, Study, job
from pairlens.studies.kept import kept_table
from pairlens.studies.page import page, table
from pairlens.studies.process import measured_words
from pairlens.studies.stages import missing, stage_of
from pairlens.studies.summary import Asked, summarise, training_minutes
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


def keep(folder: Path, step: int = 6, **told: float) -> None:
    """Let a run have what it keeps: four rotations as told, and hue with half of that as its R2."""

    def result(share: float) -> dict:
        names = {"encoder": told["encoder"], "pixels": told.get("pixels")}
        return {who: {"value": share * v, "error": 0.01, "strength": 1.0} for who, v in names.items() if v is not None}

    turns = {"measure": "accuracy", "chance": 0.25, "images": {"train": 52, "test": 12}, **result(1)}
    hue = {"measure": "r2", "chance": 0.0, "kind": "circular", **result(0.5)}
    made = {"step": step, "data": {"train": 52, "test": 12}, "probes": {"rotation": turns, "factors": {"hue": hue}}}
    (folder / "kept.json").write_text(json.dumps(made))


TURNS = Asked("4 rotations", "%")
KEPT = {0: (0.6, 0.5), 1: (0.64, 0.5), 2: (0.62, 0.6)}  # of plain and of other, by seed


@pytest.fixture
def probed(setting: Setting) -> Setting:
    for arm, place in zip(STUDY.arms, (0, 1), strict=True):
        for seed in setting.seeds:
            keep(job(arm, setting, seed).folder, encoder=KEPT[seed][place], pixels=0.3)
    return setting


def test_what_is_kept_gets_means_and_differences(probed: Setting) -> None:
    plain, other = summarise(STUDY, probed)
    assert plain.runs[1].kept == {TURNS: 0.64, Asked("hue", "R2"): 0.32}
    assert plain.runs[1].pixels_kept == {TURNS: 0.3, Asked("hue", "R2"): 0.15}
    low, high = stats.ttest_rel([b for _, b in KEPT.values()], [a for a, _ in KEPT.values()]).confidence_interval()
    found = other.kept_differences[TURNS]
    assert (found.mean - found.half, found.mean + found.half) == (pytest.approx(low), pytest.approx(high))
    assert plain.kept_differences == {}


def test_the_table_of_what_is_kept(probed: Setting) -> None:
    keep(job(STUDY.arms[1], probed, 2).folder, step=5, encoder=0.9)  # of an older encoder: does not count
    study = replace(STUDY, arms=(replace(STUDY.arms[0], paper_kept={"4 rotations": 61.1}), STUDY.arms[1]))
    told = kept_table(study, summarise(study, probed))
    assert told is not None
    head, _, plain, other, pixels = ([c.strip() for c in line.strip("|").split("|")] for line in told.splitlines())
    under = "<br>(minus plain)"
    assert head == ["", f"4 rotations, %{under}", f"paper: 4 rotations, %{under}", f"hue, R2{under}"]
    assert plain == ["plain", "62.0 ± 5.0", "61.1", "0.31 ± 0.02"]
    assert other == ["other", "50.0 ± 0.0<br>(-12.0 ± 25.4)", "", "0.25 ± 0.00<br>(-0.06 ± 0.13)"]
    assert pixels == ["raw pixels", "30.0 ± 0.0", "", "0.15 ± 0.00"]
    study = replace(study, arms=(study.arms[0], replace(study.arms[1], paper_kept={"4 rotations": 43.3})))
    told = kept_table(study, summarise(study, probed))
    assert told is not None
    assert "| 43.3<br>(-17.8) |" in told


def test_without_anything_kept_there_is_no_such_table(setting: Setting) -> None:
    assert kept_table(STUDY, summarise(STUDY, setting)) is None
    assert "frozen features" not in page("Title", [STUDY], setting, {}, "a command")


def test_a_probe_that_failed_is_told_beside_accuracies_that_are_there(probed: Setting) -> None:
    failed = replace(job(STUDY.arms[1], probed, 1), probes=("rotation",))
    text = page("Title", [STUDY], probed, {failed: "the features are not finite"}, "a command")
    assert "- other, seed 1: failed, the features are not finite" in text
    assert "| other | 53.3 ± 6.3 |" in text
    assert "What a linear layer tells from the frozen features:\n\n|  | 4 rotations, %" in text


def test_only_what_is_missing_is_measured(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, other = (job(arm, setting, 0, ("rotation", "factors")) for arm in STUDY.arms)
    run = Run.open(other.folder)
    assert missing(run, False, ()) == []
    assert missing(run, True, ()) == ["accuracy"]
    assert missing(run, False, other.probes) == ["rotation", "factors"]
    assert (stage_of(other), stage_of(job(STUDY.arms[1], setting, 0))) == ("measure", "done")
    asked: list = []
    monkeypatch.setattr(measure, "assess", lambda run, **flags: asked.append(("accuracy", flags)))
    monkeypatch.setattr(measure, "measure_kept", lambda run, **flags: asked.append(("kept", flags)))
    for name in ("table", "kept_table"):
        monkeypatch.setattr(measure, name, lambda result: "")
    assert measure.main([str(other.folder), *measured_words(other)]) == 0
    assert asked == [("kept", {"probes": ("rotation", "factors"), "baselines": False})]

    keep(other.folder, encoder=0.5)
    assert missing(Run.open(other.folder), False, other.probes) == []
    assert missing(Run.open(other.folder), True, other.probes) == ["accuracy", "rotation", "factors"]
    assert stage_of(other) == "done"
    keep(plain.folder, encoder=0.5, pixels=0.3)
    assert missing(Run.open(plain.folder), True, plain.probes) == []
    keep(plain.folder, step=5, encoder=0.5, pixels=0.3)
    assert missing(Run.open(plain.folder), False, plain.probes) == ["rotation", "factors"]
    (plain.folder / "kept.json").write_text("{")
    assert missing(Run.open(plain.folder), False, ("rotation",)) == ["rotation"]
    asked.clear()
    (plain.folder / "evaluation.json").unlink()
    assert measure.main([str(plain.folder), "--baselines", "--probes", "rotation"]) == 0
    kept = ("kept", {"probes": ("rotation",), "baselines": True})
    assert asked == [("accuracy", {"baselines": True}), kept]
