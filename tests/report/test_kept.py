"""What is kept, read from a run and shown: who told what, what was lost in words, and what damaged files come to."""

import json
import re
from pathlib import Path

import fake_run
import pytest
from reader import reading

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.report.kept import Kept, read_kept
from pairlens.report.page import page, write_report
from pairlens.report.panels.kept import bars, compared, compute, draw, verdict
from pairlens.report.read import Missing

PLAIN = {"rotation": (0.6, 0.45, 0.3), "hue": (0.2, 0.6, 0.66), "lean": (0.5, 0.5, 0.4), "texture": (0.21, 0.3, 0.2)}


def keep(run: Path, told: dict[str, tuple[float, ...]] = PLAIN, error: float = 0.01, **more: dict) -> Path:
    """Let a run have what it keeps, of the encoder, the untrained one and raw pixels."""

    def result(name: str, values: tuple[float, ...]) -> dict:
        accuracy = name in ("rotation", "texture")
        made: dict = {"measure": "accuracy" if accuracy else "r2", "chance": 0.25 if accuracy else 0.0}
        for who, value in zip(("encoder", "random", "pixels"), values, strict=False):
            made[who] = {"value": value, "error": error, "strength": 0.1}
        return made

    given = {name: result(name, values) for name, values in told.items()}
    turns = (
        {**given.pop("rotation"), "turns": 4, "images": {"train": 5000, "test": 1500}} if "rotation" in given else None
    )
    factors = {"rotation" if name == "lean" else name: one for name, one in given.items()}
    probes = ({"rotation": turns} if turns else {}) | {"factors": factors, "skipped": {}} | more
    made = {"step": 1170, "data": {"train": 10_000, "test": 2000}, "probes": probes}
    (run / "kept.json").write_text(json.dumps(made))
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_run.make(tmp_path_factory.mktemp("kept") / "plain", steps=60)


def kept(folder: Path, told: dict[str, tuple[float, ...]] = PLAIN, **more: float) -> Kept:
    found = read_kept(Run.open(keep(folder, told, **more)))
    assert found is not None
    return found


def said(fates: dict) -> dict[str, list[str]]:
    return {kind: [re.sub("<[^>]*>", "", one).replace("\u00a0", " ") for one in told] for kind, told in fates.items()}


def test_what_was_measured_is_read(folder: Path) -> None:
    found = kept(folder)
    assert [(q.name, q.accuracy, q.chance) for q in found.quantities] == [
        ("4 rotations", True, 0.25),
        ("hue", False, 0.0),
        ("lean", False, 0.0),
        ("texture", True, 0.25),
    ]
    assert (found.step, found.images, found.turned) == (1170, 2000, 1500)
    assert found.quantities[1].told["pixels"].value == 0.66
    alone = kept(folder, {"hue": (0.2,)})
    assert (alone.turned, list(alone.quantities[0].told)) == (None, ["encoder"])


def test_each_quantity_has_its_fate(folder: Path) -> None:
    assert said(verdict(kept(folder))) == {
        "gained": ["4 rotations"],
        "lost": ["hue (0.20; raw pixels 0.66)"],
        "same": ["lean"],
        "blind": ["texture"],
    }
    close = {"hue": (0.62, 0.6, 0.5), "lean": (0.02, 0.5, 0.5)}  # within two standard errors of the better baseline
    assert said(verdict(kept(folder, close))) == {"same": ["hue"], "blind": ["lean"]}
    assert said(verdict(kept(folder, close, error=0.005))) == {
        "gained": ["hue"],
        "lost": ["lean (0.02; untrained encoder 0.50)"],
    }
    assert said(verdict(kept(folder, {"hue": (0.3,), "lean": (0.01,)}))) == {"told": ["hue"], "blind": ["lean"]}


def test_runs_are_compared_with_one_another(folder: Path) -> None:
    other = {"rotation": (0.5, 0.45, 0.3), "hue": (0.21, 0.6, 0.66), "size": (0.3, 0.2, 0.1)}
    found = [kept(folder), kept(folder, other)]
    assert said(compared(found, ["a", "b"], 0)) == {
        "best": ["4 rotations", "hue"],
        "lost": ["hue (0.20; raw pixels 0.66)"],
        "blind": ["texture"],
    }
    assert said(compared(found, ["a", "b"], 1)) == {
        "worse": ["4 rotations (50.0 %; a 60.0 %)"],
        "best": ["hue"],
        "lost": ["hue (0.21; raw pixels 0.66)"],
    }


def test_baselines_stand_once_where_runs_agree(folder: Path) -> None:
    found = [kept(folder), kept(folder, {"hue": (0.3, 0.6, 0.5)}), kept(folder, {"size": (0.3,)})]
    quantity, rows = bars(found, ["a", "b", "c"], [0, 2, 5], "hue")
    assert quantity.name == "hue"
    assert [(row.label, row.kind, row.place, row.told.value) for row in rows] == [
        ("a", "encoder", 0, 0.2),
        ("b", "encoder", 2, 0.3),
        ("untrained encoder", "random", 0, 0.6),
        ("raw pixels, a", "pixels", 0, 0.66),
        ("raw pixels, b", "pixels", 2, 0.5),
    ]
    assert bars(found[:1], ["a"], [0], "hue")[1][0].label == "trained encoder"


def test_values_and_chance_are_drawn(folder: Path) -> None:
    drawn = draw([kept(folder, {"rotation": (0.6,), "hue": (-0.3,), "lean": (0.455,)})], ["a"], [0])
    assert re.findall(r'class="(top1|chance)" style="(?:width|left):([0-9.]+)%"', drawn) == [
        ("top1", "60.00"),
        ("chance", "25.00"),
        ("top1", "0.00"),
        ("top1", "45.50"),
    ]
    assert "<b>60.0\u00a0%</b>" in drawn
    assert "<b>\u22120.30</b>" in drawn
    assert "\u00b1 2.0\u00a0%" in drawn
    assert "(rotations: of 1\u202f500, each in all four turns)" in drawn


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"probes": []}', '{"step": 1, "data": {"test": 1}, "probes": {"factors": {"hue": {}}}}']
)
def test_damage_is_told(folder: Path, text: str) -> None:
    (folder / "kept.json").write_text(text)
    with pytest.raises(InputError, match="damaged"):
        compute(Run.open(folder))
    assert "kept.json" in page([Run.open(folder)])


def test_without_it_there_is_no_section(folder: Path, tmp_path: Path) -> None:
    (folder / "kept.json").unlink(missing_ok=True)
    assert 'id="kept"' not in page([Run.open(folder)])
    assert isinstance(compute(Run.open(folder)), Missing)
    other = keep(fake_run.make(tmp_path / "other", steps=60))
    both = page([Run.open(folder), Run.open(other)])
    assert 'id="kept"' in both
    assert "It was not measured what this encoder keeps" in both


def test_it_is_shown_and_names_do_no_harm(browser, tmp_path: Path) -> None:
    hostile = fake_run.HOSTILE[0].replace("/", "")
    runs = [keep(fake_run.make(tmp_path / name, steps=60), {**PLAIN, hostile: (0.1, 0.5, 0.2)}) for name in "ab"]
    written = write_report([Run.open(run) for run in runs], tmp_path / "page.html")
    with reading(browser, written, 390, "dark") as opened:
        assert opened.locator("#kept .bars").count() == 5
        assert opened.locator("#kept .fates").count() == 2
        assert hostile in opened.inner_text("#kept")
        assert opened.evaluate("window.hacked") is None
        assert opened.locator("#kept img").count() == 0
