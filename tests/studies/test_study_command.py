"""What `pairlens study` and the scripts of benchmarks hand on, and what they write."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pairlens import study_command
from pairlens.errors import InputError
from pairlens.studies.arms import Job, Setting, Study, all_jobs
from pairlens.studies.engine import Outcomes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict:
    """What the engine is called with; nothing is trained, and one run fails."""
    seen: dict = {}

    def run_studies(studies: list[Study], setting: Setting, **_: object) -> Outcomes:
        seen.update(studies=studies, setting=setting)
        return Outcomes({Job((), Path("x")): "it failed"})

    monkeypatch.setattr(study_command, "run_studies", run_studies)
    return seen


def test_the_command_makes_a_setting_and_a_page(given: dict, tmp_path: Path) -> None:
    out = tmp_path / "new" / "page.md"
    flags = ["--epochs", "3", "--batch", "64", "--seeds", "2", "--jobs", "2", "--threads", "1"]
    code = study_command.study(["scenes", "gp.table1", "gp.table3", *flags, "--out", str(out)])
    assert code == 2
    assert [study.name for study in given["studies"]] == ["gp.table1", "gp.table3"]
    budget = {"epochs": 3, "batch": 64}
    assert given["setting"] == Setting("scenes", Path("runs/studies/scenes"), (0, 1), budget, 2, 1)
    text = out.read_text(encoding="utf-8")
    assert f"`pairlens study SOURCE gp.table1 gp.table3 {' '.join(flags)} --out " in text
    assert text.count("## GP, Table") == 2
    assert [path.name for path in out.parent.iterdir()] == ["page.md"]


def test_without_a_name_the_studies_are_listed(given: dict, capsys: pytest.CaptureFixture[str]) -> None:
    assert study_command.study(["scenes"]) == 0
    assert "gp.table3    GP, Table 3" in capsys.readouterr().out
    assert not given
    with pytest.raises(InputError, match="no study 'gp'"):
        study_command.study(["scenes", "gp"])


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["methods", "cifar10"])
def test_the_studies_of_the_benchmarks_can_be_run(name: str) -> None:
    study = script(name).STUDY
    setting = Setting("scenes", Path("runs"), (0, 1, 2), {"epochs": 1, "batch": 128, "encoder": "resnet8w"})
    assert len(all_jobs([study], setting)) == 3 * len(study.arms)


def test_methods_with_a_transformation_stand_beside_those_without() -> None:
    study: Study = script("methods").STUDY
    for arm in study.arms:
        if arm.reference is not None:
            plain = study.arm(arm.reference)
            assert arm.recipe == plain.recipe
            assert arm.flags["extrapolate"] == 2.0
            assert {**plain.flags, "extrapolate": 2.0, "interpolate": 1.6}.items() >= arm.flags.items()
    with_ft = [arm.recipe for arm in study.arms if arm.reference]
    assert with_ft == ["instdisc", "moco_v1", "moco_v2", "simclr", "infomin", "byol", "simsiam", "swav"]
