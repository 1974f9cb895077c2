"""The gradient landscape in the report: what is read and seen, drawn for one run and several, also without WebGL."""

from pathlib import Path

import fake_run
import numpy as np
import pytest
from reader import reading, undrawn

from pairlens.errors import InputError
from pairlens.evaluate.landscape import Point, Sizes, Walk
from pairlens.record.landscape import add_point
from pairlens.record.run import Run
from pairlens.report.landscape import Landscape, read_landscape
from pairlens.report.page import page, write_report
from pairlens.report.panels.landscape import band, compute, draw
from pairlens.report.read import Missing
from pairlens.report.surface import heat_map, relief

SIZES = Sizes((0.5, 1.0, 4.0), (0.001, 0.01))


def survey(folder: Path, turns: list[float], steps: int = 60) -> Path:
    """Let a run have points at which a step of the learning rate changes the gradient by such shares of its length."""
    for i, turn in enumerate(turns):
        sizes = np.array(SIZES.rates)
        rates = Walk(5 - i + sizes * (turn - 0.5), 2 * turn * sizes)
        shares = Walk(np.array([4.0, 9.0]) - i, np.array([0.1, 0.4 * (i + 1)]))
        step = round(i * steps / max(1, len(turns) - 1))
        add_point(folder, Point(step, step / 39, 1, 0.1, 5.0 - i, 2.0, 40.0, SIZES, rates, shares))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fake_run.make(tmp_path / "plain", steps=60)


def read(folder: Path) -> Landscape:
    found = read_landscape(Run.open(folder))
    assert found is not None
    return found


def test_what_was_measured_is_read(folder: Path) -> None:
    found = read(survey(folder, [1.2, 0.3, 0.4]))
    assert found.step.tolist() == [0, 30, 60]
    assert found.walks["rate"].middle == 1
    assert found.walks["share"].middle == 0
    assert found.walks["rate"].distance[0].tolist() == pytest.approx([0.1, 0.2, 0.8])  # size * rate * norm
    assert found.walks["share"].distance[0].tolist() == pytest.approx([0.04, 0.4])  # share of the weights' norm
    assert found.rise("rate")[1] == pytest.approx([-0.1, -0.2, -0.8])
    assert found.turn("rate")[1] == pytest.approx([0.15, 0.3, 1.2])
    assert found.smoothness == pytest.approx([2.5, 2.5, 3.0])  # max(.1 / .04, .4 (i + 1) / .4)


@pytest.mark.parametrize(
    ("turns", "word", "median", "tail"),
    [
        ([3.0, 0.3, 0.5, 0.4], "Smooth", 40, "at none of 3 points by more than its own length."),
        ([0.1, 0.6, 0.7, 0.8], "Uneven", 70, "at none of 3 points by more than its own length."),
        ([0.1, 0.2, 0.2, 0.2, 1.5], "Uneven", 20, "at 1 of 4 points by more than its own length."),
        ([0.1, 0.2, 0.4, 1.5], "Rugged", 40, "at 1 of 3 points by more than its own length."),
        ([0.2], "Smooth", 20, "at none of 1 point by more than its own length."),
        ([0.1, 0.3, np.inf], "Smooth", 30, "own length; at 1 point loss or gradient is no finite number."),
    ],
)
def test_the_verdict_follows_its_rule(folder: Path, turns: list[float], word: str, median: int, tail: str) -> None:
    said = read(survey(folder, turns)).verdict.replace("\u00a0", " ")
    begin = f"{word}: over a step of the learning rate the gradient changes by {median} % of its length (median), at"
    assert said.startswith(begin)
    assert said.endswith(tail)


def test_without_any_finite_slope_nothing_is_said(folder: Path) -> None:
    said = read(survey(folder, [0.1, np.nan])).verdict
    assert said.startswith("Nothing can be said: no point has a finite slope to walk down; at 1 point loss or")


def test_without_points_there_is_no_section(folder: Path) -> None:
    found = compute(Run.open(folder))
    assert isinstance(found, Missing)
    assert "`pairlens landscape RUN`" in found.reason
    assert 'id="landscape"' not in page([Run.open(folder)])


def test_bands_hold_the_range_over_step_sizes(folder: Path) -> None:
    found = compute(Run.open(survey(folder, [1.2, 0.3, np.inf])))
    assert not isinstance(found, Missing)
    walk = found.landscape.walks["rate"]
    drawn = band([found], ["a"], [0], lambda of: (walk.change[:, 1], walk.change))
    between, line = drawn.data
    assert between.x.tolist() == [0, 30, 30, 0]  # the point without finite numbers is left out
    assert between.y == pytest.approx([9.6, 2.4, 0.3, 1.2])
    assert line.y[:2] == pytest.approx([2.4, 0.6])
    assert line.meta == between.meta == {"epoch": 39}
    assert drawn.layout.yaxis.type is None
    wide = band([found], ["a"], [0], lambda of: (walk.change[:, 1], np.array([[1e-3], [2.0], [3.0]])))
    assert wide.layout.yaxis.type == "log"


def test_surfaces_share_their_scale(folder: Path) -> None:
    found = read(survey(folder, [1.2, 0.3]))
    shown = heat_map(found, "loss", "rate", (-2.0, 3.0), 39.0).data[0]
    assert (shown.zmin, shown.zmax) == (-3, 3)
    assert shown.z == pytest.approx(found.rise("rate").T)
    assert shown.y == ("0.5", "1", "4")
    assert heat_map(found, "gradient", "share", (0.0, 9.0), None).data[0].zmax == 2
    high = relief(found, "gradient", "share", (0.0, 1.0))
    assert high.layout.scene.zaxis.range == pytest.approx((-0.02, 1.02))
    assert high.layout.scene.yaxis.ticktext == ("0.1 %", "1 %")


def test_damage_costs_only_the_panel(folder: Path) -> None:
    (folder / "landscape.npy").write_bytes(b"")  # a kill between making and filling it
    assert isinstance(compute(Run.open(folder)), Missing)
    (folder / "landscape.npy").write_bytes(b"no table")
    with pytest.raises(InputError, match=r"landscape\.npy is damaged"):
        compute(Run.open(folder))
    np.save(folder / "landscape.npy", np.zeros(3))
    text = page([Run.open(folder)])
    assert "landscape.npy is damaged or of another version; delete it" in text
    assert 'id="curves-title"' in text


def test_runs_without_statistics_are_drawn_without_norms(folder: Path) -> None:
    (survey(folder, [1.2, 0.3]) / "statistics.npy").unlink()
    found = compute(Run.open(folder))
    assert not isinstance(found, Missing)
    text = draw([found], ["a"], [0])
    assert "Gradient norm of every step" not in text
    assert "Effective smoothness" in text


def test_it_is_shown_and_names_do_no_harm(browser, tmp_path: Path) -> None:
    names = ["m-0.99", fake_run.HOSTILE[0].replace("/", ""), "not measured"]
    runs = [fake_run.make(tmp_path / name, steps=60) for name in names]
    survey(runs[0], [1.2, 0.3, 0.2])
    survey(runs[1], [1.2, 1.5, np.inf])
    written = write_report([Run.open(run) for run in runs], tmp_path / "page.html")
    with reading(browser, written, 390, "dark") as opened:
        panel = opened.locator("#landscape")
        assert panel.locator(".chart:visible").count() == 6  # norm, smoothness, two bands, two heat maps
        assert undrawn(opened) == 0
        assert [said.split(":")[1].strip() for said in panel.locator(".sight").all_inner_texts()] == [
            "Smooth",
            "Rugged",
        ]
        assert "not measured: The loss's landscape was not measured" in panel.inner_text()
        for button in ("Over epochs", "Equal distances", "Change of the gradient"):
            panel.locator("button:visible", has_text=button).first.press("Enter")
            opened.wait_for_selector("html[data-ready]")
        assert panel.locator(".chart:visible").count() == 6
        assert undrawn(opened) == 0
        assert opened.evaluate("window.hacked") is None
        assert panel.locator("img").count() == 0


@pytest.mark.parametrize("webgl", [True, False])
def test_surfaces_are_drawn_with_webgl_and_without_it_the_heat_maps_serve(
    browser, folder: Path, tmp_path: Path, webgl: bool
) -> None:
    written = write_report([Run.open(survey(folder, [1.2, 0.3, 0.2]))], tmp_path / "page.html")
    opened = browser.new_page()
    opened.set_default_timeout(60_000)
    errors: list[str] = []
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    if not webgl:
        take = "HTMLCanvasElement.prototype.getContext"
        opened.add_init_script(
            f"const real = {take}; {take} = function (kind, ...rest) "
            "{ return kind.startsWith('webgl') ? null : real.call(this, kind, ...rest); };"
        )
    opened.goto(written.as_uri())
    opened.wait_for_selector("html[data-ready]")
    if webgl and not opened.evaluate("!!document.createElement('canvas').getContext('webgl')"):
        pytest.skip("this Chromium has no WebGL")
    panel = opened.locator("#landscape")
    panel.locator("button:visible", has_text="Surface").click()
    opened.wait_for_selector("html[data-ready]")
    assert panel.locator(".gl-container canvas:visible").count() == webgl
    assert panel.locator(".notice:visible").count() == (not webgl)
    panel.locator("button:visible", has_text="Heat map").click()
    opened.wait_for_selector("html[data-ready]")
    assert panel.locator(".gl-container canvas").count() == 0  # its context was given back
    assert undrawn(opened) == 0
    panel.locator("button:visible", has_text="Surface").click()
    opened.wait_for_selector("html[data-ready]")
    assert panel.locator(".gl-container canvas:visible").count() == webgl
    assert errors == []
    opened.close()
