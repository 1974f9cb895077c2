"""Arms become command lines and folders; what cannot be run is refused before anything is."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from pairlens.errors import InputError
from pairlens.localisation import ContrastiveCrop
from pairlens.recipes import find_recipe, flatten, restore
from pairlens.studies import STUDIES, find_study
from pairlens.studies.arms import Arm, Setting, Study, all_jobs, job

SETTING = Setting("scenes", Path("runs"), (0, 1), {"epochs": 3, "batch": 64})
PLAIN = Arm("plain", "moco_v2", {"splits": 1})
LOOC = {"designated", "last_stage"}  # which spaces there are, and in LooC++ a last stage for each
CROPS = {field.name for field in fields(ContrastiveCrop)}  # which belong together: boxes, alpha and how they are found


def study(*arms: Arm) -> Study:
    return Study("try", "Try", arms, "minus plain")


def test_an_arm_is_the_words_of_a_command_line() -> None:
    arm = Arm("a", "moco_v2", {"fixed_head": True, "crop": (0.2, 0.5), "symmetric": False, "batch": 32})
    words = "scenes --recipe moco_v2 --batch 32 --crop 0.2 0.5 --epochs 3 --fixed-head --no-symmetric --seed 7"
    one = job(arm, SETTING, 7)
    assert list(one.words) == words.split()
    assert one.folder == Path("runs/moco_v2-batch32-crop0.2_0.5-fixed_headTrue-symmetricFalse-7")


def test_a_recipe_without_epochs_is_given_none() -> None:
    assert list(job(Arm("a", "random"), SETTING, 0).words) == ["scenes", "--recipe", "random", "--seed", "0"]


def test_what_two_studies_share_is_trained_once_and_seeds_come_one_after_the_other() -> None:
    first = study(PLAIN, Arm("a", "simclr"))
    second = study(Arm("another name", "moco_v2", {"splits": 1}, baselines=True))
    jobs = all_jobs([first, second], SETTING)
    assert [one.name for one in jobs] == ["moco_v2-splits1-0", "simclr-0", "moco_v2-splits1-1", "simclr-1"]
    assert [one.baselines for one in jobs] == [True, False, True, False]


def test_what_is_probed_of_a_shared_training_is_what_any_study_asks() -> None:
    first = replace(study(PLAIN), probes=("factors",))
    second = replace(study(PLAIN, Arm("a", "simclr")), probes=("rotation",))
    jobs = all_jobs([first, second, study(PLAIN)], replace(SETTING, seeds=(0,)))
    assert [one.probes for one in jobs] == [("factors", "rotation"), ("rotation",)]
    assert jobs[0] == job(PLAIN, SETTING, 0)  # the same training, whatever is measured of it


@pytest.mark.parametrize(
    ("wrong", "setting", "message"),
    [
        (study(PLAIN, PLAIN), SETTING, "two arms 'plain'"),
        (study(replace(PLAIN, reference="nobody")), SETTING, "'nobody', which is no arm"),
        (study(Arm("a", "simclr", {"momentum": 0.5})), SETTING, "simclr of the arm 'a' has no flag 'momentum'"),
        (study(Arm("a", "simclrr")), SETTING, "there is no recipe 'simclrr'"),
        (study(PLAIN), replace(SETTING, budget={"epoch": 3}), "have no flag 'epoch'"),
        (study(PLAIN), replace(SETTING, seeds=()), "needs different seeds"),
        (study(PLAIN), replace(SETTING, seeds=(1, 1)), "needs different seeds"),
        (study(PLAIN), replace(SETTING, jobs=0), "not 0"),
    ],
)
def test_what_cannot_be_run_is_refused(wrong: Study, setting: Setting, message: str) -> None:
    with pytest.raises(InputError, match=message):
        all_jobs([wrong], setting)


def test_a_study_that_does_not_exist_is_named() -> None:
    with pytest.raises(InputError, match=r"there is no study 'gp.tabel1'; did you mean gp.table1\?"):
        find_study("gp.tabel1")


@pytest.mark.parametrize("name", STUDIES)
def test_the_papers_studies_can_be_run(name: str) -> None:
    """Every flag exists, every value is one that its recipe can be made with, and one thing differs from reference."""
    found = find_study(name)
    assert found.name == name
    assert all_jobs([found], SETTING)
    for arm in found.arms:
        usual = flatten(find_recipe(arm.recipe)())
        assert all(type(usual[flag]) in (type(value), type(None)) for flag, value in arm.flags.items())
        made = restore(arm.recipe, usual | dict(arm.flags))
        made.contrast()
        made.views.plan()
        made.crops.resolve(32, 5).check(5)
        if arm.reference is not None:
            other = found.arm(arm.reference)
            differ = {flag for flag in {*arm.flags, *other.flags} if arm.flags.get(flag) != other.flags.get(flag)}
            assert len(differ) == 1 or (differ and (differ <= CROPS or differ <= LOOC))


def test_gp_tables_have_the_papers_figures() -> None:
    assert [arm.paper for arm in find_study("gp.table1").arms] == [64.4, 59.2, 62.9, 63.9, 62.2]
    rows = [arm.paper for arm in find_study("gp.table3").arms]
    assert rows == [67.3, 61.7, 65.5, 67.2, 59.8, 67.5, 63.6, 66.4, 67.3, 64.5]
    few, many = ({arm.flags["negatives"] for arm in half} for half in _halves(find_study("gp.table3").arms))
    assert max(many) / max(few) == 65536 / 512


def test_looc_tables_have_the_papers_figures_and_ask_what_is_kept() -> None:
    for name, probes in (("table1", ("rotation",)), ("scenes", ("rotation", "factors"))):
        found = find_study(f"looc.{name}")
        assert found.probes == probes
        assert {(arm.paper, arm.paper_kept.get("4 rotations")) for arm in found.arms if arm.paper} == {
            (81.0, 61.1), (79.4, 43.3), (78.1, 45.5), (80.2, 65.2)
        }  # fmt: skip
        assert {one.probes for one in all_jobs([found], SETTING)} == {probes}
        assert [arm.label for arm in found.arms if arm.baselines] == ["untrained"]


def test_ccrop_tables_have_the_papers_figures() -> None:
    arms = find_study("ccrop.table1").arms
    assert [arm.recipe for arm in arms[::3]] == ["moco_v2", "simclr", "byol", "simsiam"]
    assert [arm.paper for arm in arms[::3]] == [86.73, 89.63, 91.96, 90.96]
    assert [arm.paper for arm in arms[1::3]] == [88.78, 90.08, 92.54, 91.48]
    assert {(arm.flags["box_threshold"], arm.flags["alpha"]) for arm in arms[1::3]} == {(0.1, 0.1)}
    assert all(arm.paper is None and arm.flags["box_coverage"] == 0.5 for arm in arms[2::3])
    views = find_study("ccrop.views").arms
    assert [(a.paper, b.paper) for a, b in zip(views[::2], views[1::2], strict=True)] == [
        (63.4, 64.6), (50.4, 50.9), (60.6, 61.4), (44.9, 45.2), (45.5, 45.9)
    ]  # fmt: skip
    gains = [round(b.paper - a.paper, 1) for a, b in zip(views[::2], views[1::2], strict=True)]
    assert gains == [1.2, 0.5, 0.8, 0.3, 0.4]  # as the text has them: .3 to .8 with one, .4 with none, 1.2 with all


def test_what_the_ccrop_studies_share_is_trained_once() -> None:
    studies = [find_study(f"ccrop.{name}") for name in ("table1", "parts", "k", "alpha")]
    one_seed = replace(SETTING, seeds=(0,))
    alone = sum(len(all_jobs([study], one_seed)) for study in studies)
    assert alone - len(all_jobs(studies, one_seed)) == 8  # 3 random crops, 2 localised, 2 both, 1 by coverage


def _halves(arms: tuple[Arm, ...]) -> tuple[tuple[Arm, ...], tuple[Arm, ...]]:
    return arms[: len(arms) // 2], arms[len(arms) // 2 :]
