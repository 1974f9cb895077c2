"""Semantics against variance on the page: the classifier's numbers as they are, or a sentence why there are none."""

import json
import random
import re
from pathlib import Path
from typing import Any

import fake_run
import numpy as np
import pytest
import torch
from reader import reading, undrawn

from pairlens.evaluate.semantics import Judged as JudgedPairs
from pairlens.evaluate.semantics import semantics as related
from pairlens.record.run import Run
from pairlens.report.compose import each
from pairlens.report.judged import Judged, read_judged
from pairlens.report.measured_sections import localisation_sections
from pairlens.report.page import write_report
from pairlens.report.panels import semantics
from pairlens.report.read import Missing
from pairlens.report.theme import dark_colors

NAMES = ("Random crop", "Localised only", "ContrastiveCrop, \u03b1 = 0.1")


def judged(folder: Path, names: tuple[str, ...] = NAMES, images: int = 60, **changes: Any) -> dict[str, Any]:
    """Let a run have been judged: scores fall with distances, and localised ones lie higher."""
    rng = np.random.default_rng(0)
    pairs = {}
    for place, name in enumerate(names):
        distance = rng.gamma(2, 0.1, (images, 10))
        score = np.clip(0.9 + 0.05 * place - distance + rng.normal(0, 0.05, (images, 10)), 0, 1)
        pairs[name] = JudgedPairs(torch.from_numpy(score), torch.from_numpy(distance))
    classifier = {"name": "runs/supervised", "top1": 0.912, "score": 0.87, "same_source": True}
    found = {"date": "2026-11-20T08:15:00+00:00", "seed": 0, "classifier": classifier}
    found |= {"boxes": {"kind": "found", "epoch": 8}, "crop": [0.2, 1.0]} | related(pairs) | changes
    (folder / "semantics.json").write_text(json.dumps(found))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = fake_run.localise(fake_run.make(tmp_path_factory.mktemp("runs") / "found", steps=60), refreshes=1, every=30)
    judged(made)
    return made


@pytest.fixture(scope="module")
def data(folder: Path) -> Judged:
    computed = semantics.compute(Run.open(folder))
    assert isinstance(computed, Judged)
    return computed


def test_curves_are_the_bins_of_enough_images_within_two_errors(folder: Path, data: Judged) -> None:
    given = json.loads((folder / "semantics.json").read_text())
    for by_score, name in ((False, "score_by_distance"), (True, "distance_by_score")):
        drawn = semantics.plot(data.ways, by_score)
        assert len(drawn.data) == 9  # a band, a curve and a mark of each way
        lines = [trace for trace in drawn.data if trace.mode == "lines+markers"]
        marks = [trace for trace in drawn.data if trace.mode == "markers"]
        for place, way in enumerate(given["ways"]):
            shown = [k for k, images in enumerate(way[name]["images"]) if images >= semantics.LEAST]
            assert len(shown) > 5
            mean, error = ([way[name][column][k] for k in shown] for column in ("mean", "error"))
            assert lines[place].x.tolist() == pytest.approx([way[name]["along"][k] for k in shown])
            assert lines[place].y.tolist() == pytest.approx(mean)
            upper, lower = np.split(drawn.data[2 * place].y, 2)
            assert upper == pytest.approx([m + 2 * e for m, e in zip(mean, error, strict=True)])
            assert lower[::-1] == pytest.approx([m - 2 * e for m, e in zip(mean, error, strict=True)])
            overall = [way["distance"]["mean"], way["score"]["mean"]]
            assert [marks[place].x[0], marks[place].y[0]] == (overall[::-1] if by_score else overall)
        titles = [drawn.layout.xaxis.title.text, drawn.layout.yaxis.title.text]
        assert titles == ([semantics.SCORE, semantics.DISTANCE] if by_score else [semantics.DISTANCE, semantics.SCORE])
        colors = {trace.line.color for trace in lines} | {trace.fillcolor for trace in drawn.data[:6:2]}
        assert colors <= dark_colors().keys()
    few = {"images": [3] * 19 + [30]}
    rare = judged(folder.parent / "found") | {}
    rare["ways"][0]["score_by_distance"] |= few
    (folder / "semantics.json").write_text(json.dumps(rare))
    computed = semantics.compute(Run.open(folder))
    assert isinstance(computed, Judged)
    assert len(semantics.plot(computed.ways, False).data[1].x) == 1
    judged(folder)


def cells(text: str, shape: str) -> list[list[str]]:
    """The body of a table of this class, without markup."""
    table = re.findall(rf'<table class="{shape}">.*?</table>', text)[0].split("<tbody>")[1]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>.*?</tr>", table)]
    return [[re.sub(r"<[^>]*>", "", cell) for cell in row] for row in rows]


def test_the_numbers_stand_in_tables(folder: Path, data: Judged) -> None:
    given, text = json.loads((folder / "semantics.json").read_text()), semantics.draw(data)
    means = cells(text, "runs")
    assert text.count("<bdi>Random crop</bdi>") == 1 + 1 + 20  # in the legend, and in each table
    assert [row[0] for row in means] == list(NAMES)
    for row, way in zip(means, given["ways"], strict=True):
        assert row[1] == f"{way['score']['mean']:.3f} \u00b1 {2 * way['score']['error']:.3f}"
        assert row[2] == f"{way['distance']['mean']:.3f} \u00b1 {2 * way['distance']['error']:.3f}"
        more = way["more_score"]
        assert row[3] == (f"+{more['difference']:.3f} \u00b1 {2 * more['error']:.3f}" if more else "\u2013")
    bins = cells(text, "refreshes")
    assert len(bins) == 60
    assert sum(int(row[3]) for row in bins) == sum(int(row[7]) for row in bins) == 1800
    way = given["ways"][1]["distance_by_score"]
    assert bins[20][5] == f"{way['along'][0]:.3f}"
    assert bins[20][6].startswith(f"{way['mean'][0]:.3f}")
    assert "\u22120.1" in semantics._said(semantics.Mean(-0.1, 0.01))


def test_who_judged_what_is_said(tmp_path: Path, data: Judged) -> None:
    text = re.sub(r"<[^>]*>", "", semantics.draw(data)).replace("\u00a0", " ")
    assert "Judged by the classifier of runs/supervised (right on 91.2 % of these images uncropped)" in text
    assert "10 pairs of crops of each of 60 training images, about the boxes found after epoch 8" in text
    assert "of 20 % to 100 % of the area, cut and resized only (no flip, no colour)" in text
    assert "trained on images from the same source" in text
    made = fake_run.localise(fake_run.make(tmp_path / "r", steps=60), "central")
    classifier = {"name": "c", "top1": 0.5, "score": 0.4, "same_source": False}
    judged(made, classifier=classifier, boxes={"kind": "central", "epoch": None})
    other = semantics.compute(Run.open(made))
    assert isinstance(other, Judged)
    said = semantics.draw(other)
    assert "about central boxes" in said
    assert "same source" not in said


def test_what_is_not_there_is_drawn_as_nothing(folder: Path, tmp_path: Path) -> None:
    made = fake_run.localise(fake_run.make(tmp_path / "r", steps=60), "whole")
    found = judged(made, NAMES[:2], images=1)
    assert found["ways"][1]["score"]["error"] is None
    found["ways"][1]["more_score"] = {"difference": None, "error": None, "shared": 0.0}
    (made / "semantics.json").write_text(json.dumps(found))
    computed = semantics.compute(Run.open(made))
    assert isinstance(computed, Judged)
    row = cells(semantics.draw(computed), "runs")[1]
    assert row[3] == "\u2013"
    assert "\u00b1" not in row[1]
    assert "nan" not in semantics.draw(computed)
    assert len(semantics.plot(computed.ways, True).data[1].x) == 0


def test_without_a_judgement_the_command_is_told(tmp_path: Path) -> None:
    made = fake_run.localise(fake_run.make(tmp_path / "r", steps=60), "central")
    missing = semantics.compute(Run.open(made))
    assert isinstance(missing, Missing)
    assert "`pairlens evaluate RUN --classifier OTHER`" in missing.reason
    plain = semantics.compute(Run.open(fake_run.make(tmp_path / "plain", steps=60)))
    assert isinstance(plain, Missing)
    assert "--boxes found" in plain.reason
    section = localisation_sections([Run.open(made)], ["r"])[-1]
    assert section.anchor == "semantics"
    assert "<code>pairlens evaluate RUN --classifier OTHER</code>" in section.content


def test_damage_costs_only_this_panel(tmp_path: Path) -> None:
    made = fake_run.localise(fake_run.make(tmp_path / "r", steps=60), "central")
    whole = json.dumps(judged(made))
    chosen, refused = random.Random(0), 0
    values = ["null", "[]", "{}", "1e999", '"x"', "-1", "1e400", "true", "[1, 2]"]
    places = [match.span(1) for match in re.finditer(r": ([^,{}\[\]]+|\[[^\]]*\])", whole)]
    texts = [whole[: len(whole) // 2], "[]", "null", "{}", "", whole.replace('"pairs": 10', '"pairs": 1e999')]
    for _ in range(60):
        start, end = chosen.choice(places)
        texts.append(whole[:start] + chosen.choice(values) + whole[end:])
    for text in texts:
        (made / "semantics.json").write_text(text)
        content = each([Run.open(made)], ["r"], semantics.compute, lambda data, _: semantics.draw(data))
        refused += "This cannot be shown, because" in content
    assert 30 < refused < len(texts)
    (made / "semantics.json").write_text(whole)
    assert read_judged(Run.open(made)) is not None


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_shows_it(browser, tmp_path: Path, folder: Path, width: int, scheme: str) -> None:
    hostile = fake_run.localise(fake_run.make(tmp_path / "h", steps=60), "central")
    classifier = {"name": fake_run.HOSTILE[0], "top1": 0.5, "score": 0.4, "same_source": False}
    judged(hostile, fake_run.HOSTILE, images=20, classifier=classifier)
    none = fake_run.make(tmp_path / "none", steps=60)
    document = write_report([Run.open(run) for run in (folder, hostile, none)], tmp_path / "page.html")
    with reading(browser, document, width, scheme) as opened:
        charts = opened.locator("#semantics .chart:visible")
        assert charts.count() == 2
        assert undrawn(opened) == 0
        assert all("0." in chart.get_attribute("aria-label") for chart in charts.all())
        assert opened.locator("#semantics .chart:visible").first.locator("path.js-line").count() == 6
        opened.locator("#semantics summary:visible").click()
        assert opened.locator("#semantics table.refreshes:visible tbody tr").count() == 60
        opened.locator("#semantics .switch[data-group=run] button").nth(1).click()
        opened.wait_for_selector("html[data-ready]")
        assert undrawn(opened) == 0
        assert "onerror" in opened.inner_text("#semantics .choice:visible")
        opened.locator("#semantics .switch[data-group=run] button").nth(2).click()
        assert "boxes found" in opened.inner_text("#semantics .notice:visible")
        assert opened.evaluate("window.hacked") is None
