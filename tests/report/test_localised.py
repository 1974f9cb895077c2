"""ContrastiveCrop's panels: the boxes at each refresh, and where crops fall."""

import json
import random
import re
from pathlib import Path

import fake_run
import numpy as np
import pytest
import torch
from reader import reading, undrawn

from pairlens.draw import Draw
from pairlens.record.run import Run
from pairlens.report import overlay
from pairlens.report.localised import read_found, refresh_steps
from pairlens.report.measured_sections import localisation_sections
from pairlens.report.page import page, write_report
from pairlens.report.panels import boxes, crops, curves
from pairlens.report.plots import SCORES
from pairlens.report.read import Missing
from pairlens.views.boxes import Boxes
from pairlens.views.crops import contrastive_crop, random_resized_crop


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_run.localise(fake_run.make(tmp_path_factory.mktemp("runs") / "found", steps=600))


@pytest.fixture(scope="module")
def found(folder: Path) -> boxes.Localised:
    computed = boxes.compute(Run.open(folder))
    assert isinstance(computed, boxes.Localised)
    return computed


@pytest.fixture(scope="module")
def fallen(folder: Path) -> crops.Crops:
    computed = crops.compute(Run.open(folder))
    assert isinstance(computed, crops.Crops)
    return computed


def tables(folder: Path) -> list[np.ndarray]:
    return [np.load(path)["boxes"].astype(np.float64) for path in sorted((folder / "boxes").iterdir())]


def areas(table: np.ndarray) -> np.ndarray:
    return (table[:, 2] - table[:, 0]) * (table[:, 3] - table[:, 1])


def test_what_boxes_cover_is_of_the_whole_set(folder: Path, found: boxes.Localised) -> None:
    assert [one.refresh.step for one in found.found] == [100, 200, 300, 400]
    assert [one.refresh.epoch for one in found.found] == [2, 4, 6, 8]
    for one, table in zip(found.found, tables(folder), strict=True):
        covered = areas(table)
        np.testing.assert_allclose(one.refresh.coverage, np.quantile(covered, (0.05, 0.25, 0.5, 0.75, 0.95)), atol=1e-3)
        assert one.refresh.whole == pytest.approx((covered > 0.95).mean())
        assert one.refresh.k == 0.3
    medians = [one.refresh.coverage[2] for one in found.found]
    assert medians == sorted(medians, reverse=True)
    assert medians[-1] < 0.3


def test_the_time_that_boxes_took_is_a_share_of_the_training(folder: Path, found: boxes.Localised) -> None:
    seconds = Run.open(folder).statistics["seconds"]
    expected = [0.5 * (i + 1) / (seconds[step - 1] + 0.5) for i, step in enumerate((100, 200, 300, 400))]
    assert found.shares == pytest.approx(expected)
    assert found.seconds == pytest.approx(2.0)


def test_coverage_is_drawn_from_the_whole_image_on_and_holds_until_the_next(found: boxes.Localised) -> None:
    drawn = boxes.coverage_figure(found)
    median = drawn.data[-1]
    assert median.x.tolist() == [0, 100, 200, 300, 400, 599]
    assert median.y[[0, 1, -2]] == pytest.approx([1, found.found[0].refresh.coverage[2], median.y[-1]])
    assert median.line.shape == "hv"
    assert {trace.meta["epoch"] for trace in drawn.data} == {39}
    for bottom, top in (drawn.data[:2], drawn.data[2:4]):
        assert (bottom.y <= median.y).all()
        assert (top.y >= median.y).all()
        assert top.fill == "tonexty"
    whole, point = boxes.nearly_figure(found).data
    assert whole.y[:-1] == pytest.approx([one.refresh.whole for one in found.found])
    assert point.x.tolist() == [100, 200, 300, 400, 599]


def test_most_boxes_of_no_use_are_warned_of(tmp_path: Path, found: boxes.Localised) -> None:
    useless = fake_run.localise(fake_run.make(tmp_path / "r", steps=60), k=0.0001, refreshes=1, every=30)
    computed = boxes.compute(Run.open(useless))
    assert isinstance(computed, boxes.Localised)
    text = boxes.draw(computed)
    assert re.search(r'<p class="warnings">\d+% of the boxes found with k = 0\.0001 are nearly the whole image', text)
    assert "warnings" not in boxes.draw(found)


def test_images_stand_in_rows_and_refreshes_in_columns(tmp_path: Path, found: boxes.Localised) -> None:
    text = boxes.draw(found)
    rows = re.findall(r"<tr style=.*?</tr>", text)
    assert len(rows) == boxes.IMAGES
    assert all(row.count("<td>") == 5 and row.count("data:image/png") == 5 for row in rows)  # one picture, four heats
    shown = re.findall(r'<span class="box" style="left:([\d.]+)%;top:([\d.]+)%;width:([\d.]+)%;height:([\d.]+)%', text)
    assert shown[0] == ("0.00", "0.00", "100.00", "100.00")
    left, top, right, bottom = found.found[0].boxes[0]
    assert [float(v) / 100 for v in shown[1]] == pytest.approx([left, top, right - left, bottom - top], abs=1e-3)
    many = fake_run.localise(fake_run.make(tmp_path / "r", steps=900), refreshes=80, every=10)
    computed = boxes.compute(Run.open(many))
    assert isinstance(computed, boxes.Localised)
    assert (len(computed.found), computed.refreshes, computed.seconds) == (boxes.READ, 80, pytest.approx(40.0))
    assert [computed.found[i].refresh.step for i in (0, -1)] == [10, 800]
    drawn = boxes.draw(computed)
    assert "Shown are 5 of 80 refreshes." in drawn
    assert re.findall(r"<b>epoch (\d+)</b>", drawn)[-1] == "160"


def test_boxes_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    run = fake_run.localise(fake_run.make(tmp_path / "r", steps=60), refreshes=3, every=500_000)
    (run / "boxes" / "12 (copy).npz").write_bytes(b"")
    assert refresh_steps(Run.open(run)) == (500_000, 1_000_000, 1_500_000)
    computed = boxes.compute(Run.open(run))
    assert isinstance(computed, boxes.Localised)
    assert (computed.last, computed.damaged) == (1_500_000, 0)


def test_heat_has_the_colours_of_its_ends() -> None:
    ends = overlay._colored(np.array([[0.0, 1.0], [0.5, 2.0]]))
    assert [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in ends.reshape(3, -1).T[[0, 1, 3]]] == [
        overlay.COLORS[0],
        overlay.COLORS[-1],
        overlay.COLORS[-1],
    ]
    luminance = np.array([0.2126, 0.7152, 0.0722]) @ overlay._colored(np.linspace(0, 1, 64)[None]).reshape(3, -1)
    assert (np.diff(luminance) >= -0.2).all()
    assert "image/png" in overlay.heat(np.array([[np.nan, np.inf], [-np.inf, 0.5]]))


def test_misses_and_overlaps_are_those_of_the_real_samplers(folder: Path, fallen: crops.Crops) -> None:
    """Computed here crop by crop, in other words than the panel's."""
    table = torch.from_numpy(tables(folder)[-1][list(fallen.examples.index)]).float()
    np.testing.assert_array_equal(fallen.boxes, table)
    known = Boxes.known(table)
    samplers = [random_resized_crop((0.2, 1.0)), contrastive_crop(known, 1.0), contrastive_crop(known, 0.1)]
    count, pairs = len(table), crops.PAIRS
    for way, sampler in zip(fallen.ways, samplers, strict=True):
        generator = torch.Generator().manual_seed(crops.SEED)
        index = torch.arange(count * pairs) // pairs
        draw = Draw(index, torch.full((len(index), 2), 32), 0, 0, generator, generator)
        a, b = (sampler(draw).double().numpy() for _ in range(2))
        box = table.double().numpy()[index]
        missed = np.zeros(len(index), bool)
        for crop in (a, b):
            wide = np.minimum(crop[:, 0] + crop[:, 2], box[:, 2]) - np.maximum(crop[:, 0], box[:, 0])
            high = np.minimum(crop[:, 1] + crop[:, 3], box[:, 3]) - np.maximum(crop[:, 1], box[:, 1])
            missed |= (wide <= 1e-5) | (high <= 1e-5)
        assert way.fallen.misses == pytest.approx(missed.mean(), abs=1e-4)
        np.testing.assert_array_equal(way.fallen.missed, missed.reshape(count, pairs)[:, : crops.SHOWN])
        np.testing.assert_allclose(way.fallen.pairs[:, :, 1], b.reshape(count, pairs, 4)[:, : crops.SHOWN], atol=1e-6)
        wide = np.minimum(a[:, 0] + a[:, 2], b[:, 0] + b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
        high = np.minimum(a[:, 1] + a[:, 3], b[:, 1] + b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
        shared = wide.clip(0) * high.clip(0)
        union = a[:, 2] * a[:, 3] + b[:, 2] * b[:, 3] - shared
        assert way.fallen.overlap == pytest.approx((shared / union).mean(), abs=1e-5)
    random_, localised, contrastive = (way.fallen for way in fallen.ways)
    assert random_.misses > 0.005
    assert localised.misses == contrastive.misses == 0
    assert localised.overlap > random_.overlap
    assert localised.overlap > contrastive.overlap


def test_densities_are_of_centres_row_by_row(fallen: crops.Crops) -> None:
    for way in fallen.ways:
        np.testing.assert_allclose(way.fallen.density.sum((1, 2)), 1)
        assert (way.fallen.density >= 0).all()

    def sampler(draw: Draw) -> torch.Tensor:  # centres at (0.75, 0.25): right, and above the middle
        return torch.tensor([0.5, 0.0, 0.5, 0.5]).repeat(len(draw.index), 1)

    one = crops.fall(sampler, torch.tensor([[0.0, 0.6, 0.4, 1.0]]), torch.tensor([[32, 32]]), pairs=5)
    assert one.density[0, crops.CELLS // 4, 3 * crops.CELLS // 4] == 1
    assert (one.misses, one.overlap, one.missed.tolist()) == (1.0, 1.0, [[True] * 3])
    assert one.pairs.tolist() == [[[[0.5, 0, 0.5, 0.5]] * 2] * 3]


def test_centres_stay_in_the_box_and_leave_its_middle(fallen: crops.Crops) -> None:
    cell = (np.arange(crops.CELLS) + 0.5) / crops.CELLS
    for i in range(len(fallen.boxes)):
        left, top, right, bottom = fallen.boxes[i]
        inside = np.outer((cell > top) & (cell < bottom), (cell > left) & (cell < right))
        random_, localised, contrastive = (way.fallen.density[i] for way in fallen.ways)
        assert (localised * inside).sum() > (random_ * inside).sum()
        assert localised.max() < contrastive.max() or (contrastive * inside).sum() <= (localised * inside).sum()


def test_a_report_is_the_same_each_time_and_draws_from_no_global_generator(folder: Path) -> None:
    state = torch.get_rng_state()
    first = crops.compute(Run.open(folder))
    torch.manual_seed(7)
    second = crops.compute(Run.open(folder))
    torch.set_rng_state(state)
    assert isinstance(first, crops.Crops)
    assert isinstance(second, crops.Crops)
    assert crops.draw(first) == crops.draw(second)


def test_a_pair_that_misses_is_marked_by_more_than_colour(fallen: crops.Crops) -> None:
    text = crops.draw(fallen)
    marked = sum(int(way.fallen.missed[: crops.IMAGES].sum()) for way in fallen.ways)
    assert text.count('class="pair missed"') == text.count("misses</figcaption>") == marked
    aside = torch.tensor([[0.0, 0.0, 0.1, 0.1]])
    corner = crops.fall(random_resized_crop((0.2, 0.3)), aside, torch.tensor([[32, 32]]))
    assert corner.misses > 0.5
    pixels = fallen.examples.pixels[:1]
    alone = crops.Crops(
        crops.Examples((7,), pixels, np.array([[32, 32]])), aside.numpy(), (crops.Way("w", "s", corner),), "b"
    )
    drawn = crops.draw(alone)
    assert drawn.count('class="pair missed"') == corner.missed.sum() > 0
    assert drawn.count("which miss the box") == corner.missed.sum()


@pytest.mark.parametrize("crop", [[0.25, 0.5, 0.5, 0.25], [0.0, 0.0, 1.0, 1.0], [0.5, 0.0, 0.5, 1.0]])
def test_a_view_is_cut_where_its_crop_lies(browser, tmp_path: Path, crop: list[float]) -> None:
    """Each of the image's 16 cells has a colour of its own; the middle of the view shows that of the crop's middle."""
    pixels = np.zeros((3, 32, 32), np.uint8)
    pixels[0] = (np.arange(32) // 8 * 60)[None]
    pixels[1] = (np.arange(32) // 8 * 60)[:, None]
    drawn = overlay.cut(pixels, crop, "--c:#000", "s0", "view")
    style = ".still{background:var(--i) 0 0/100% 100% no-repeat;width:200px;height:200px}"
    document = tmp_path / "page.html"
    document.write_text(f'<style>{style}</style><body style="margin:0"><div style="{overlay.source(pixels)}">{drawn}')
    opened = browser.new_page(viewport={"width": 300, "height": 300})
    opened.goto(document.as_uri())
    shot = tmp_path / "shot.png"
    opened.screenshot(path=shot)
    opened.close()
    seen = np.asarray(fake_run.Image.open(shot).convert("RGB"))
    left, top, width, height = crop
    for x, y in ((0.2, 0.2), (0.55, 0.55), (0.9, 0.3)):
        expected = [int((left + x * width) * 4) * 60, int((top + y * height) * 4) * 60, 0]
        assert np.abs(seen[int(200 * y), int(200 * x)].astype(int) - expected).max() <= 12


@pytest.mark.parametrize(("kind", "said"), [("central", "central boxes"), ("whole", "whole boxes")])
def test_fixed_boxes_are_shown_on_recorded_samples(tmp_path: Path, kind: str, said: str) -> None:
    run = fake_run.localise(fake_run.make(tmp_path / "r", steps=60), kind)
    computed = crops.compute(Run.open(run))
    assert isinstance(computed, crops.Crops)
    assert (computed.boxes == ([0.25, 0.25, 0.75, 0.75] if kind == "central" else [0, 0, 1, 1])).all()
    random_, localised, _ = (way.fallen for way in computed.ways)
    assert (kind == "whole") == np.array_equal(random_.density, localised.density)
    sections = localisation_sections([Run.open(run)], ["r"])
    assert [section.anchor for section in sections] == ["crops", "semantics"]
    text = sections[0].content
    assert f"Drawn for this page from {said}" in text
    assert ("localisation alone changes nothing" in text) == (kind == "whole")
    assert isinstance(boxes.compute(Run.open(run)), Missing)


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("known", None, "are not kept in it"),
        ("none", None, "boxes found"),
        ("found", "empty", "No boxes have been found yet: the first are due after epoch 2"),
        ("found", "damaged", "files in boxes/ are damaged"),
        ("found", "unrecorded", "Nothing was recorded"),
        ("central", "unsampled", "No views have been recorded"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_sentence(tmp_path: Path, kind: str, change: str | None, said: str) -> None:
    run = fake_run.localise(fake_run.make(tmp_path / "r", steps=60), kind, refreshes=2, every=20)
    for path in sorted((run / "boxes").glob("*")):
        path.write_bytes(b"") if change == "damaged" else path.unlink()
    for path in sorted((run / "samples").glob("*")) if change == "unsampled" else ():
        path.unlink()
    if change == "unrecorded":
        info = json.loads((run / "run.json").read_text())
        info["call"]["record"] = False
        (run / "run.json").write_text(json.dumps(info))
    missing = crops.compute(Run.open(run))
    assert isinstance(missing, Missing)
    assert said in missing.reason
    assert missing.reason.count(".") == 1
    assert isinstance(boxes.compute(Run.open(run)), Missing)


def test_damaged_files_are_passed_over(tmp_path: Path) -> None:
    run = fake_run.localise(fake_run.make(tmp_path / "r", steps=60))
    files = sorted((run / "boxes").iterdir())
    good = dict(np.load(files[0]))
    files[-1].write_bytes(files[-1].read_bytes()[:2000])
    np.savez(files[-2], **good | {"heat": good["heat"][:3]})
    found = boxes.compute(Run.open(run))
    assert isinstance(found, boxes.Localised)
    assert [one.refresh.step for one in found.found] == [100, 200]
    assert "2 could not be read" in boxes.draw(found)
    assert isinstance(crops.compute(Run.open(run)), crops.Crops)


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": np.full((60, 4), np.nan)},
        {"boxes": np.zeros(4)},
        {"boxes": np.zeros((60, 4), "U3")},
        {"index": np.arange(12) + 50},
        {"index": np.arange(12) - 1},
        {"index": np.zeros(0, int)},
        {"images": np.zeros((12, 1, 8, 8), np.uint8)},
        {"images": np.zeros((12, 3, 8, 8))},
        {"sizes": np.zeros((12, 2), int)},
        {"heat": np.zeros((12, 0, 4))},
        {"step": np.zeros(2)},
        {"k": np.array("x")},
        {"epoch": np.array({}, object)},
    ],
    ids="".join,
)
def test_arrays_that_do_not_fit_are_damage(folder: Path, tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    good = dict(np.load(folder / "boxes" / "000100.npz"))
    np.savez(tmp_path / "good.npz", **good)
    np.savez(tmp_path / "bad.npz", **good | change, allow_pickle=True)
    assert read_found(tmp_path / "good.npz") is not None
    assert read_found(tmp_path / "bad.npz") is None


def test_no_damaged_byte_costs_more_than_its_file(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "boxes" / "000100.npz").read_bytes()
    chosen, path, damaged = random.Random(0), tmp_path / "000100.npz", 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chosen.choice([1, 4, 40])):
            data[chosen.randrange(len(data))] = chosen.randrange(256)
        path.write_bytes(data[: chosen.choice([len(data), len(data), chosen.randrange(len(data))])])
        damaged += read_found(path) is None
    assert damaged > 50


def test_refreshes_are_marked_in_the_scores_of_their_runs(tmp_path: Path, folder: Path) -> None:
    """CCrop, Figure 5: upright lines as high as the plot, over steps and epochs alike."""
    plain = Run.open(fake_run.make(tmp_path / "r", steps=90))
    computed = [curves.compute_scores(run) for run in (Run.open(folder), plain)]
    runs = [one for one in computed if isinstance(one, curves.Curves)]
    assert [one.refreshes for one in runs] == [(100, 200, 300, 400), ()]
    figure = curves.plot(runs, ["a", "b"], [0, 1], SCORES[0])
    marks = [trace for trace in figure.data if trace.yaxis == "y2"]
    assert len(marks) == 1
    assert marks[0].x.tolist() == [step for step in (100, 200, 300, 400) for _ in range(3)]
    assert marks[0].y[:2].tolist() == [0, 1]
    assert np.isnan(marks[0].y[2::3]).all()
    assert marks[0].meta == {"epoch": 39}
    assert (figure.layout.yaxis2.overlaying, figure.layout.yaxis2.range) == ("y", (0, 1))
    assert "boxes were found anew" in curves.draw(runs, ["a", "b"], [0, 1])
    assert "boxes were found anew" not in curves.draw(runs[1:], ["b"], [1])
    training = curves.compute(Run.open(folder))
    assert isinstance(training, curves.Curves)
    assert training.refreshes == ()


@pytest.mark.parametrize("arguments", [None, [], {"boxes": {}}, {"boxes": "elsewhere"}, {"boxes": None}])
def test_older_runs_have_none_of_these_sections(tmp_path: Path, arguments: object) -> None:
    run = fake_run.make(tmp_path / "r", steps=60)
    info = json.loads((run / "run.json").read_text())
    info["call"]["arguments"] = arguments
    (run / "run.json").write_text(json.dumps(info))
    assert localisation_sections([Run.open(run)], ["r"]) == []
    assert isinstance(boxes.compute(Run.open(run)), Missing)
    assert isinstance(crops.compute(Run.open(run)), Missing)
    if arguments is None:
        assert 'id="boxes"' not in page([Run.open(run)])


def test_damaged_arguments_cost_only_their_panel(tmp_path: Path) -> None:
    run = fake_run.localise(fake_run.make(tmp_path / "r", steps=60), crop=(0.0, 4.0))
    found, fallen, _ = localisation_sections([Run.open(run)], ["r"])
    text = found.content + fallen.content
    assert text.count("This cannot be shown") == 1
    assert "crop&#x27;s scale" in text
    assert "What the boxes cover" in text


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (380, "dark")])
def test_the_page_shows_boxes_and_crops(browser, tmp_path: Path, folder: Path, width: int, scheme: str) -> None:
    hostile = tmp_path / "<img src=x onerror=window.hacked=5>\u202e'\""
    wide = fake_run.localise(
        fake_run.make(hostile, steps=60, arguments={"boxes": fake_run.HOSTILE[0]}), refreshes=1, sizes=(50, 200)
    )
    none = fake_run.make(tmp_path / "none", steps=60)
    runs = [Run.open(run) for run in (folder, none, wide)]
    document = write_report(runs, tmp_path / "page.html")
    with reading(browser, document, width, scheme) as opened:
        assert undrawn(opened) == 0
        stills = opened.locator("#boxes .still:visible")
        assert stills.count() == 40
        assert all(still.get_attribute("aria-label") for still in stills.all())
        assert opened.locator("#boxes .heat:visible").count() == 32
        opened.locator("#boxes .switch[data-group=heat]:visible button").nth(1).click()
        assert opened.locator("#boxes .heat:visible").count() == 0
        inside = """[...document.querySelectorAll('#boxes .box, #crops .box')].filter(e => e.offsetParent).every(e => {
          const [a, b] = [e, e.parentElement].map(o => o.getBoundingClientRect());
          return e.classList.contains('key') || (a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1);
        })"""
        assert opened.evaluate(inside)
        assert opened.locator("#crops .density:visible").count() == 3 * crops.IMAGES
        assert opened.locator("#crops .cut:visible").count() == 3 * crops.IMAGES * crops.SHOWN * 2
        sides = "[...document.querySelectorAll('#crops .cut')].filter(e => e.offsetParent).map(e => e.offsetWidth)"
        assert min(opened.evaluate(sides)) > 20
        opened.locator("#crops .switch[data-group=run] button").nth(1).click()
        assert "boxes found" in opened.inner_text("#crops .notice:visible")
        opened.locator("#crops .switch[data-group=run] button").nth(2).click()
        opened.wait_for_selector("html[data-ready]")
        still = opened.locator("#crops .density:visible > .still").first.bounding_box()
        assert still["width"] / still["height"] == pytest.approx(overlay.FLATTEST, rel=0.05)
        assert undrawn(opened) == 0
        assert opened.evaluate("window.hacked") is None
