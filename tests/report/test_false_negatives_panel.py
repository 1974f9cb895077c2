"""The panel of false negatives: words, bars, and what is damaged."""

import json
from pathlib import Path
from typing import Any

import fake_run
import pytest

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.report.page import page
from pairlens.report.panels import false_negatives as panel
from pairlens.report.read import Missing

NAMES = ("cat", "dog", "<script>window.hacked=1</script>")


def measured(**changes: Any) -> dict[str, Any]:
    one = {
        "queries": [10, 10, 0],
        "negatives": [1, 5, 10],
        "share": [0.6, 0.5, 0.4],
        "by_class": [[0.5, 0.7, None], [0.4, 0.6, None], [0.3, 0.5, None]],
    }
    found = {
        "classes": list(NAMES),
        "expected": [0.3, 0.2, 0.5],
        "expected_share": 0.2,
        "parts": [0.01, 0.05, 0.1],
        "spaces": {"encoder": one, "z": one},
        "data": {"train": 100, "queries": 20, "gallery": 100},
        "step": 60,
        "queue": {"negatives": 200, "images": 100, "same_image": 2.0},
    }
    return found | changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = fake_run.make(tmp_path / "r", steps=40)
    (made / "false_negatives.json").write_text(json.dumps(measured()))
    return made


def test_words_and_bars_say_the_same(folder: Path) -> None:
    found = panel.compute(Run.open(folder))
    assert isinstance(found, panel.FalseNegatives)
    assert panel.shown_classes(found, found.spaces[0]) == [1, 0]  # the third has no queries
    drawn = panel.plot(found, found.spaces[0])
    assert [list(trace.x) for trace in drawn.data] == [[0.7, 0.5], [0.6, 0.4], [0.5, 0.3], [0.2, 0.3]]
    text = panel.draw(found, 0).replace("\u00a0", " ")
    assert "By chance 20.0 % of the negatives are of their query\u2019s own class." in text
    assert "Of the hardest 1 % 60.0 % are, 3.0 times as often" in text
    assert "Most of them has <bdi>dog</bdi> (70.0 %), fewest <bdi>cat</bdi> (50.0 %)." in text
    assert "longer than the set, so that every query meets itself" in text
    assert "1 more classes are not drawn" in text
    assert "<script>window" not in page([Run.open(folder)])


def test_of_many_classes_the_worst_are_drawn(folder: Path) -> None:
    count = 100
    rows = [[i / count for i in range(count)]] * 3
    one = measured()["spaces"]["z"] | {"by_class": rows}
    changes = {"classes": [str(i) for i in range(count)], "expected": [0.01] * count, "spaces": {"z": one}}
    (folder / "false_negatives.json").write_text(json.dumps(measured(**changes)))
    found = panel.compute(Run.open(folder))
    assert isinstance(found, panel.FalseNegatives)
    assert panel.shown_classes(found, found.spaces[0]) == list(range(99, 69, -1))


def test_what_was_not_measured_or_is_damaged_is_said(folder: Path) -> None:
    for bad in (
        measured(spaces={}),
        measured(classes=["cat"]),
        measured(expected=[0.1]),
        measured(parts="x"),
        measured(queue=[]),
        {},
    ):
        (folder / "false_negatives.json").write_text(json.dumps(bad))
        with pytest.raises(
            InputError, match=r"false_negatives.json is damaged or of another version; measure it again"
        ):
            panel.compute(Run.open(folder))
    assert "false_negatives.json is damaged" in page([Run.open(folder)])
    (folder / "false_negatives.json").unlink()
    assert isinstance(panel.compute(Run.open(folder)), Missing)
    assert "False negatives" not in page([Run.open(folder)])
