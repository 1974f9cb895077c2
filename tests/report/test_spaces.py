"""The panels of embedding spaces: what is read, said and drawn, of one run and of several, and what is damaged."""

import json
import re
from dataclasses import replace
from pathlib import Path

import fake_run
import numpy as np
import pytest
from reader import reading, undrawn

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.report.by_space import BySpace, read_attributed, read_by_space
from pairlens.report.page import page, write_report
from pairlens.report.panels import attribution, few_shot, retrieval, spaces
from pairlens.report.read import Missing
from pairlens.report.retrieved import read_retrieved

SPACES = ("z", "color", "rotation")
LINEAR = {  # class, hue and rotations of each set
    ("encoder",): (0.7, 0.5, 0.6),
    ("z",): (0.55, 0.2, 0.4),
    ("color",): (0.3, 0.8, 0.41),
    ("rotation",): (0.56, 0.1, 0.58),
    SPACES: (0.69, 0.81, 0.6),
}
TASKS = {"class": ("accuracy", 0.1), "rotation": ("r2", 0.0), "4 rotations": ("accuracy", 0.25)}


def measured(run: Path, *, own: bool = False, names: tuple[str, ...] = SPACES, seed: int = 0) -> Path:
    """Let a run have what its spaces tell; the queries depend on the seed, the neighbours on the names."""
    named = dict(zip(SPACES, names, strict=False))
    sets = []
    for chosen, values in LINEAR.items():
        linear = {task: {"value": v, "error": 0.01, "strength": 1.0} for task, v in zip(TASKS, values, strict=True)}
        knn = {task: None if about[0] == "r2" else v for (task, about), v in zip(TASKS.items(), values, strict=True)}
        sets.append({"spaces": [named.get(s, s) for s in chosen], "features": 8, "linear": linear, "knn": knn})
    sources = {"share": [0.2, 0.1, 0.7], "entropy": 1.157, "most": [0.1, 0.05, 0.85], "right": 60, "tested": 100}
    sources |= {"histogram": [[6] * 10] * 3, "names": list(fake_run.DIGITS), "count": [0, *[6] * 9, 6][:10]}
    sources |= {"by_class": [None, *[[0.2, 0.1, 0.7]] * 9]}
    qualities = {"upright": {"class": 0.1, "hue": 1 / 6}, "turned": {"4 rotations": 0.25, "class": 0.1, "hue": 1 / 6}}
    found = {
        name: {
            "queries": 50,
            "gallery": 900,
            "k": 10,
            "chance": chance,
            "spaces": {s: {q: p + 0.1 * (1 + i) for q, p in chance.items()} for i, s in enumerate(("encoder", *names))},
        }
        for name, chance in qualities.items()
    }
    made = {
        "date": "2026-11-20T08:15:00+00:00",
        "spaces": list(names),
        "own": own,
        "step": 1170,
        "data": {"train": 10000, "test": 2000},
        "turned": {"train": 5000, "test": 1500},
        "tasks": {n: {"kind": "class", "measure": m, "chance": c} for n, (m, c) in TASKS.items()},
        "sets": sets,
        "attribution": {"4 rotations": sources, "class": sources},
        "retrieval": found,
    }
    (run / "spaces.json").write_text(json.dumps(made))
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    arrays = {"pictures": pictures, "label": np.arange(20) % 10, "example": np.array([3, 4])}
    arrays["example_share"] = np.array([[0.0, 0.0, 1.0], [0.5, 0.3, 0.2]], np.float32)
    for name, chance in qualities.items():
        arrays |= {f"{name}.query": np.arange(5), f"{name}.query_turn": np.arange(5) % 4 * (name == "turned")}
        for space in ("encoder", *names):
            arrays[f"{name}.neighbour.{space}"] = rng.integers(0, 20, (5, 6))
            arrays[f"{name}.turn.{space}"] = rng.integers(0, 4, (5, 6)) * (name == "turned")
            arrays[f"{name}.similarity.{space}"] = np.zeros((5, 6), np.float32)
            arrays |= {f"{name}.alike.{q}.{space}": rng.random((5, 6)) < 0.5 for q in chance}
    np.savez(run / "spaces.npz", **arrays)
    return run


def labelled(run: Path) -> Path:
    """Let a run have few-shot accuracies."""
    cells = {shots: {"mean": mean, "half": 0.012, "count": 10, "trials": [mean] * 10} for shots, mean in SHOTS.items()}
    sets = [{"spaces": ["encoder"], **cells}, {"spaces": ["z", "color"], **cells, "5": cells["5"] | {"mean": 0.5}}]
    made = {"classes": 10, "data": {"train": 10000, "test": 2000}, "shots": [5, 10], "spaces": ["z"], "sets": sets}
    (run / "few_shot.json").write_text(json.dumps(made))
    return run


SHOTS = {"5": 0.412, "10": 0.533}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled(measured(fake_run.make(tmp_path_factory.mktemp("spaces") / "looc", steps=60, spaces=SPACES)))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measured(fake_run.make(tmp_path_factory.mktemp("spaces") / "moco", steps=60))


def plain(markup: str) -> str:
    return re.sub("<[^>]*>", " ", markup).replace("\u00a0", " ")


def by_space(folder: Path) -> BySpace:
    found = read_by_space(Run.open(folder))
    assert found is not None
    return found


def test_what_was_told_is_read(folder: Path) -> None:
    found = by_space(folder)
    assert [(task.name, task.accuracy, task.chance) for task in found.tasks] == [
        ("class", True, 0.1),
        ("lean", False, 0.0),  # the page calls the degrees of lean so, beside four rotations
        ("4 rotations", True, 0.25),
    ]
    assert [row.single for row in found.rows] == [False, True, True, True, False]
    assert found.rows[2].linear[1].value == 0.8
    assert found.rows[2].knn == (0.3, None, 0.41)


def test_which_single_space_tells_what_best(folder: Path) -> None:
    """Of class the lead is a hundredth, less than two standard errors of the difference."""
    found = spaces.leaders(by_space(folder))
    assert {space: [task.name for task in tasks] for space, tasks in found.items()} == {
        "color": ["lean"],
        "rotation": ["4 rotations"],
    }
    text = plain(spaces.draw(by_space(folder), 0))
    assert "No space alone stands out in class." in text
    assert re.search(r"rotation\s+alone tells best: 4 rotations\.", text)


def test_the_best_of_a_column_is_framed_and_chance_has_no_heat(folder: Path) -> None:
    drawn = spaces.draw(by_space(folder), 0)
    linear = drawn.split("</table>")[0]
    assert re.findall(r'class="best"><b [^>]*>([^<]*)<', linear) == [
        "70.0\u00a0%",
        "60.0\u00a0%",
        "0.81",
        "60.0\u00a0%",
    ]
    heats = [int(h) for h in re.findall(r"--h:(\d+)%", linear)]
    assert max(heats) == 100
    assert heats[6] == round(100 * ((0.3 - 0.1) / (0.7 - 0.1)) ** 2)  # color's class
    knn = drawn.split("</table>")[1]
    assert "lean" not in knn


def test_own_last_stages_are_told_from_embeddings(folder: Path, tmp_path: Path) -> None:
    own = measured(fake_run.make(tmp_path / "own", steps=60), own=True)
    assert "pooled output of its own last stage" in spaces.draw(by_space(own), 0)
    assert "z + color + rotation  (encoder)" in re.sub(" +", " ", plain(spaces.draw(by_space(own), 0))).replace(
        "rotation (", "rotation  ("
    )
    assert "which the loss compared" in spaces.draw(by_space(folder), 0)


def test_attributions_begin_with_the_class(folder: Path) -> None:
    found = attribution.compute(Run.open(folder))
    assert isinstance(found, attribution.Found)
    assert [one.task for one in found.tasks] == ["class", "4 rotations"]
    assert [example.label for example in found.examples] == [3, 4]
    text = plain(attribution.draw(found, 0))
    assert "Of 100 test images 60 are named rightly, most of all by" in text
    assert re.search(r"rotation\s*: 70 % on average, and the largest part in 85 % of them", text)
    assert "1.16 bits" in text
    assert "of 1.58 possible" in text


def test_of_many_classes_the_most_one_sided_and_the_most_even_are_shown(folder: Path) -> None:
    one = read_attributed(Run.open(folder))[0]
    even = tuple(np.array([1 / 3 + i / 200, 1 / 3 - i / 400, 1 / 3 - i / 400]) for i in range(60))
    many = replace(one, by_class=even, names=tuple(f"class {i}" for i in range(60)), count=(1,) * 60)
    drawn = attribution.draw(attribution.Found((many,), ()), 0)
    shown = [int(i) for i in re.findall(r"<bdi>class (\d+)</bdi>", drawn)]
    assert shown == [*range(12), *range(48, 60)]
    assert "24 of 60 classes" in drawn


def test_runs_that_were_asked_the_same_stand_side_by_side(folder: Path, other: Path, tmp_path: Path) -> None:
    asked_else = measured(fake_run.make(tmp_path / "else", steps=60), seed=1)
    found = [read_retrieved(Run.open(one)) for one in (folder, other, asked_else)]
    assert found[0].asked() == found[1].asked() != found[2].asked()
    drawn = retrieval.draw(found, ["a", "b", "c"], [0, 1, 2])
    assert drawn.count('data-group="gallery-0"') == 3  # the switch and both galleries
    assert drawn.count('data-group="gallery-1"') == 3
    first, second = drawn.split('aria-label="what neighbours share with their query"')[1:]
    assert len(re.findall('<th scope="row">', first.split("</tbody>")[0])) == 8
    assert len(re.findall('<th scope="row">', second.split("</tbody>")[0])) == 4
    assert "More queries" in drawn


def test_pictures_are_shown_in_their_turn(folder: Path) -> None:
    found = read_retrieved(Run.open(folder))
    image = np.zeros((3, 2, 2), np.uint8)
    image[:, 0, 0] = 255
    found.pictures[:1, :, :2, :2] = image
    upright = found.pictures[0]
    turned = retrieval._turned(found, 0, 1)
    assert np.array_equal(turned, np.rot90(upright, 1, (1, 2)))
    assert np.array_equal(turned[:, -1, 0], upright[:, 0, 0])  # counter-clockwise: the upper left goes down


def test_marks_are_short_and_differ() -> None:
    assert retrieval.marks(["turn", "class", "hue", "texture"]) == {
        "turn": "\u21bb",
        "class": "C",
        "hue": "H",
        "texture": "T",
    }
    assert retrieval.marks(["class", "colour"]) == {"class": "Cl", "colour": "Co"}


def test_few_shots_of_several_runs_are_one_table(folder: Path, other: Path) -> None:
    found = few_shot.compute(Run.open(folder))
    assert isinstance(found, few_shot.FewShot)
    drawn = few_shot.draw([found, found], ["a", "b"], [0, 1])
    assert re.findall(r'class="best"><b [^>]*>([^<]*)<', drawn)[0] == "53.3\u00a0%"
    assert "50.0\u00a0%" in drawn
    assert "\u00b1 1.2" in drawn
    assert isinstance(few_shot.compute(Run.open(other)), Missing)


def test_the_page_has_the_sections_where_a_run_has_their_data(folder: Path, tmp_path: Path) -> None:
    bare = Run.open(fake_run.make(tmp_path / "bare", steps=60))
    text = page([Run.open(folder), bare])
    anchors = [f'id="{anchor}"' for anchor in ("spaces", "retrieval", "attribution")]
    assert all(anchor in text for anchor in anchors)
    assert "With few labels" in text
    assert "The spaces of this run were not read out" in text
    alone = page([bare])
    assert not any(said in alone for said in [*anchors, "With few labels"])


@pytest.mark.parametrize("name", ["spaces.json", "spaces.npz", "few_shot.json"])
def test_damage_is_said_and_costs_no_other_panel(tmp_path: Path, name: str) -> None:
    run = labelled(measured(fake_run.make(tmp_path / "run", steps=60)))
    (run / name).write_text('{"sets": [1], "tasks": {"class": 2}, "shots": [5], "attribution": {"class": 3}}')
    text = page([Run.open(run)])
    assert "of another version" in text
    assert "Training curves" in text


def test_what_lacks_its_own_is_damaged(folder: Path, tmp_path: Path) -> None:
    run = measured(fake_run.make(tmp_path / "run", steps=60))
    made = json.loads((run / "spaces.json").read_text())
    made["attribution"]["class"]["share"] = [1.0]
    (run / "spaces.json").write_text(json.dumps(made))
    with pytest.raises(InputError, match="measure the spaces again"):
        read_attributed(Run.open(run))


def test_it_is_shown_and_names_do_no_harm(browser, tmp_path: Path) -> None:
    names = fake_run.HOSTILE[:3]
    made = fake_run.make(tmp_path / "run", steps=60, spaces=names, classes=fake_run.HOSTILE)
    run = Run.open(labelled(measured(made, names=names)))
    written = write_report([run, Run.open(measured(fake_run.make(tmp_path / "other", steps=60)))], tmp_path / "r.html")
    with reading(browser, written, 390, "dark") as opened:
        assert opened.evaluate("window.hacked") is None
        assert opened.locator("#spaces").inner_text().count(names[0]) > 0
        opened.locator("#attribution button", has_text="4 rotations").first.click()
        assert undrawn(opened) == 0
        opened.locator("#retrieval button", has_text="Images as they are").click()
        assert opened.locator("#retrieval .in-space img").first.is_visible()
