"""Ridges, sweeps, three dimensions and saved figures as a reader meets them, in headless Chromium."""

from pathlib import Path

import fake_run
import pytest
from reader import reading, undrawn

from pairlens.record.run import Run
from pairlens.report.page import write_report

NO_WEBGL = """
const context = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind.includes("webgl") ? null : context.call(this, kind, ...more);
};
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    runs = [
        fake_run.make(folder / f"m{m}", steps=60, arguments={"momentum": m, "seed": 0}, transformed=False)
        for m in (0.5, 0.9, 0.99)
    ]
    return write_report([Run.open(run) for run in runs], folder / "page.html")


def test_ridges_and_comparisons_are_drawn(browser, swept: Path) -> None:
    with reading(browser, swept, 390, "dark") as opened:
        assert opened.locator("#pairs .choice[data-group=form][data-value=ridges]:visible").count() == 0
        opened.locator("#pairs .switch[data-group=form] button").nth(1).press("Enter")
        opened.wait_for_selector("html[data-ready]")
        assert opened.locator("#pairs .choice[data-group=form][data-value=ridges] .chart:visible").count() == 1
        opened.locator("#compared .switch[data-group=when] button").first.press("Enter")
        opened.wait_for_selector("html[data-ready]")
        assert opened.locator("#compared .chart:visible").count() == 2
        assert undrawn(opened) == 0


def test_a_sweep_is_drawn_in_both_dimensions(browser, swept: Path) -> None:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(60_000)
    errors: list[str] = []
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(swept.as_uri())
    opened.wait_for_selector("html[data-ready]")
    assert opened.locator("#sweep .multiples .chart:visible").count() == 6
    assert opened.locator("#sweep .legend li").all_inner_texts() == ["momentum", "0.5", "0.9", "0.99"]
    opened.locator("#sweep .switch[data-group=sweep-dimensions] button").nth(1).click()
    opened.wait_for_selector("html[data-ready]")
    deep = "[...document.querySelectorAll('#sweep .chart')].filter(c => c.offsetParent && c.querySelector('canvas'))"
    notices = opened.locator("#sweep .chart .notice:visible").count()
    assert opened.evaluate(f"{deep}.length") + notices == 3  # a Chromium without any WebGL says so
    assert errors == []
    opened.close()


def test_without_webgl_the_page_says_so(browser, swept: Path) -> None:
    opened = browser.new_page(viewport={"width": 390, "height": 900})
    opened.set_default_timeout(60_000)
    errors: list[str] = []
    opened.on("console", lambda message: errors.append(message.text))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.add_init_script(NO_WEBGL)
    opened.goto(swept.as_uri())
    opened.wait_for_selector("html[data-ready]")
    opened.locator("#sweep .switch[data-group=sweep-dimensions] button").nth(1).click()
    opened.wait_for_selector("html[data-ready]")
    notices = opened.locator("#sweep .chart .notice:visible")
    assert notices.count() == 3
    assert "has no WebGL" in notices.first.inner_text()
    opened.locator("#theme").click()
    opened.wait_for_selector("html[data-theme=dark][data-ready]")
    assert errors == []
    opened.close()


def test_each_figure_can_be_saved(browser, swept: Path, tmp_path: Path) -> None:
    with reading(browser, swept) as opened:
        chart = opened.locator("#curves .plot-loss .chart")
        chart.scroll_into_view_if_needed()
        assert chart.locator(".modebar-btn").count() == 3  # two formats, and all of it again
        saved = {}
        for kind in ("svg", "png"):
            button = chart.locator(f".modebar-btn[data-title='Save as {kind.upper()}']")
            with opened.expect_download() as download:
                button.press("Enter")
            saved[kind] = tmp_path / download.value.suggested_filename
            download.value.save_as(saved[kind])
        assert saved["svg"].name == "pairlens-curves-loss.svg"
        text = saved["svg"].read_text(encoding="utf-8")
        assert "Loss" in text
        assert all(name in text for name in ("m0.5", "m0.9", "m0.99"))  # which the page's own legend says
        assert saved["png"].read_bytes().startswith(b"\x89PNG")
