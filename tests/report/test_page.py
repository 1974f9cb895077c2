"""The page as a reader meets it: in headless Chromium, where there is one."""

import re
import shutil
import time
from pathlib import Path

import fake_run
import pytest
from reader import reading, undrawn

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.report.page import page, write_report

SECTIONS = [
    "verdict",
    "accuracy",
    "health",
    "pairs",
    "compared",
    "scores",
    "curves",
    "quality",
    "views",
    "neighbours",
    "speed",
    "configuration",
]


KEYS = """["solid", "dash", "dot", "dashdot"].map(dash => {
  const key = document.body.appendChild(document.createElement("span"));
  key.className = `stroke ${dash}`;
  const rounded = getComputedStyle(key).borderRadius;
  key.remove();
  return rounded;
})"""  # a legend's strokes are straight lines


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    return write_report([Run.open(fake_run.make(folder / "moco"))], folder / "page.html")


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (380, "dark")])
def test_every_panel_is_shown(browser, plain: Path, width: int, scheme: str) -> None:
    with reading(browser, plain, width, scheme) as opened:
        assert [s.get_attribute("id") for s in opened.query_selector_all("section.panel")] == SECTIONS
        for section in SECTIONS:
            element = opened.query_selector(f"#{section}")
            assert element.is_visible()
            assert element.bounding_box()["height"] > 100
        assert opened.query_selector(".notice") is None
        assert opened.locator(".chart:visible").count() == 30
        assert undrawn(opened) == 0
        assert opened.evaluate("document.documentElement.dataset.theme") == scheme
        assert opened.evaluate("[...document.images].every(i => i.alt && i.src.startsWith('data:') && i.naturalWidth)")


def test_theme_slider_and_switches_work_by_keyboard(browser, plain: Path) -> None:
    with reading(browser, plain) as opened:
        opened.focus("#theme")
        opened.keyboard.press("Enter")
        opened.wait_for_selector("html[data-theme=dark][data-ready]")
        assert undrawn(opened) == 0
        opened.emulate_media(media="print", color_scheme="light")
        opened.wait_for_selector("html[data-theme=light]")  # paper is white
        opened.emulate_media(media="screen", color_scheme="light")
        opened.wait_for_selector("html[data-theme=dark]")
        slider = opened.locator(".distribution input")
        said = opened.locator(".moment .words").inner_text()
        slider.focus()
        opened.keyboard.press("Home")
        assert opened.locator(".distribution output").inner_text() == "0"
        assert opened.locator(".moment .words").inner_text() != said
        assert slider.get_attribute("aria-valuetext") == "step 0"
        opened.locator("[data-role=heat-after] .nsewdrag").hover()  # the middle of the heat map
        opened.wait_for_function("document.querySelector('.distribution input').value > 5")
        marked = "document.querySelector('[data-role=heat-before]').layout.shapes[0].x0"
        assert opened.evaluate(marked) == pytest.approx(580, abs=60)
        first = opened.locator("#views .switch button").first
        assert first.get_attribute("aria-pressed") == "false"
        first.focus()
        opened.keyboard.press("Enter")
        assert first.get_attribute("aria-pressed") == "true"
        assert opened.locator("#views .gallery:visible").count() == 1
        assert opened.locator("#views .choice[data-value='0'] .crop").count() == 12


def test_hostile_text_does_nothing(browser, tmp_path: Path) -> None:
    bad = fake_run.HOSTILE[0]
    name = "<img src=x onerror=window.hacked=5>\u202e'\""
    opened_runs = [
        Run.open(
            fake_run.make(
                tmp_path / str(i) / name,
                steps=60,
                classes=fake_run.HOSTILE,
                recipe=bad,
                arguments={bad: fake_run.HOSTILE[i], "list": list(fake_run.HOSTILE)},
                spaces=("z<b>x</b>", bad),
                state="</script><b>",
            )
        )
        for i in range(2)
    ]
    page = write_report(opened_runs, tmp_path / "page.html")
    text = page.read_text(encoding="utf-8")
    # Without the policy, so that the escaping alone must hold.
    page.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text), encoding="utf-8")
    with reading(browser, page, 380) as opened:
        opened.locator("#pairs .switch[data-group=run] button").nth(1).click()
        opened.wait_for_selector("html[data-ready]")
        for button in opened.locator(".switch button:visible").all():
            button.click()
        opened.wait_for_selector("html[data-ready]")
        assert opened.evaluate("window.hacked") is None
        running = "[...document.scripts].filter(s => s.type !== 'application/json').length"
        assert opened.evaluate(running) == 3  # the theme, plotly and the page
        assert (
            opened.evaluate("document.querySelectorAll('[onerror], [onload], a[href^=javascript], main b b').length")
            == 0
        )
        assert opened.evaluate("document.querySelectorAll('.chart a, .chart image[href^=x]').length") == 0
        assert "<img src=x onerror" in opened.inner_text("#runs")


@pytest.mark.parametrize("width", [1400, 380])
def test_small_views_are_shown_smaller_and_inside_the_page(browser, tmp_path: Path, width: int) -> None:
    made = fake_run.make(tmp_path / "r", steps=60, local=6)
    page = write_report([Run.open(made)], tmp_path / "page.html")
    with reading(browser, page, width) as opened:
        large, small = (
            opened.locator(f"#views .choice:visible .example:first-child {place} img")
            for place in ("> .view", ".small-views")
        )
        assert (large.count(), small.count()) == (2, 6)
        boxes = [[image.bounding_box() for image in images.all()] for images in (large, small)]
        assert max(b["width"] for b in boxes[1]) < 0.8 * min(b["width"] for b in boxes[0])
        assert all(abs(b["width"] - b["height"]) < 1 for b in boxes[0] + boxes[1])
        assert min(b["width"] for b in boxes[1]) > 30
        assert opened.locator("#views .choice:visible .example:first-child .crop").count() == 8


def test_several_runs_are_compared(browser, tmp_path: Path) -> None:
    runs = [
        fake_run.make(tmp_path / "a", steps=200, transformed=False),
        fake_run.make(
            tmp_path / "b", steps=20_000, every=50, batch=64, arguments={"momentum": 0.5}, spaces=("z", "color")
        ),
        fake_run.make(tmp_path / "c", steps=120, labelled=False, state="running"),
    ]
    page = write_report([Run.open(r) for r in runs], tmp_path / "page.html")
    assert page.stat().st_size < 8.5e6
    with reading(browser, page) as opened:
        assert opened.locator("table.runs tbody tr").count() == 3
        assert "momentum" in opened.inner_text("table.runs thead")
        assert "temperature" not in opened.inner_text("table.runs thead")
        opened.locator("#views .switch[data-group=run] button").nth(1).click()
        opened.wait_for_selector("html[data-ready]")
        pressed = opened.locator(".switch[data-group=run] button[aria-pressed=true]")
        assert {b.inner_text() for b in pressed.all()} == {"b"}  # in every panel
        assert opened.locator("#pairs .distribution:visible").count() == 1
        assert undrawn(opened) == 0
        loss = "document.querySelector('.plot-loss .chart')"
        assert opened.evaluate(KEYS) == ["0px"] * 4
        ends = f"{loss}._fullData.filter(t => t.line.width === 2).map(t => t.x.at(-1))"
        assert opened.evaluate(ends) == pytest.approx([199, 19_975, 19_975, 71], abs=30)
        opened.locator("#curves .switch[data-group=axis] button").nth(1).click()
        opened.wait_for_selector("html[data-ready]")
        assert opened.evaluate(ends) == pytest.approx([199 / 39, 19_975 / 156, 19_975 / 156, 71 / 39], rel=0.01)
        guess = f"{loss}._fullData.filter(t => t.line.dash === 'dash' && t.x.length === 2)[0].x[1]"
        assert opened.evaluate(guess) == pytest.approx(19_975 / 156, rel=0.01)
        assert opened.evaluate(f"{loss}.layout.xaxis.title.text") == "epoch"
        knn = "document.querySelector('#accuracy .chart')"
        assert opened.evaluate(f"{knn}.layout.xaxis.title.text") == "epoch"
        opened.locator("#scores .switch[data-group=axis] button").nth(0).click()
        opened.wait_for_selector("html[data-ready]")
        assert opened.evaluate(ends) == pytest.approx([199, 19_975, 19_975, 71], abs=30)


def test_a_run_that_has_only_begun(browser, tmp_path: Path) -> None:
    begun = fake_run.make(tmp_path / "one-step", steps=1)
    bare = fake_run.make(tmp_path / "bare", steps=30)
    for path in bare.iterdir():
        if path.is_file() and path.name != "run.json":
            path.unlink()
    shutil.rmtree(bare / "samples")
    page = write_report([Run.open(begun), Run.open(bare)], tmp_path / "page.html")
    with reading(browser, page, 380) as opened:
        assert undrawn(opened) == 0
        assert "Not evaluated yet" in opened.inner_text("#verdict")
        assert opened.locator("#curves .notice").inner_text().startswith("bare: No step has been recorded")
        opened.locator("#pairs .switch[data-group=run] button").nth(1).click()
        assert opened.locator("#scores .notice").inner_text().startswith("bare: No step has been recorded")
        for section in ("pairs", "views", "neighbours", "speed"):
            assert opened.locator(f"#{section} .notice:visible").count() == 1


def test_damaged_files_cost_only_their_panel(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "r", steps=60)
    (folder / "evaluation.json").write_text('{"test": ')
    (folder / "histograms.npy").write_bytes(b"\x93NUMPY")
    (folder / "neighbours.npz").write_bytes(b"")
    text = write_report([Run.open(folder)], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "evaluation.json is damaged" in text
    assert "neighbours.npz is damaged" in text
    assert 'id="curves-title"' in text
    assert "images a second" in text
    assert "<h3>Environment</h3>" in text


@pytest.mark.parametrize(
    ("status", "events"),
    [
        ('{"state": "fin', '{"a": }\n'),
        ("[1]", '{"time": 1} {}\n'),
        ('{"state": null, "step": "x", "steps": [], "seconds": null}', None),
    ],
)
def test_a_damaged_status_or_event_costs_no_panel(tmp_path: Path, status: str, events: str | None) -> None:
    folder = fake_run.make(tmp_path / "r", steps=60)
    (folder / "status.json").write_text(status)
    (folder / "events.jsonl").unlink()
    if events is None:
        (folder / "events.jsonl").mkdir()  # as good as a file that the disk does not give back
    else:
        (folder / "events.jsonl").write_text(events)
    for runs in ([folder], [folder, folder]):
        text = page([Run.open(run) for run in runs])
        assert "This cannot be shown" not in text
        assert "The encoder beats both baselines" in text
        assert "State unknown" in text
        assert "<h3>Environment</h3>" in text
    assert "table of runs" in text


def test_the_untrained_encoder_has_one_name(tmp_path: Path) -> None:
    text = page([Run.open(fake_run.make(tmp_path / "r", steps=60))]).lower()
    assert "above the untrained encoder" in text
    assert text.count("untrained encoder") >= 3
    for other in (
        "random encoder",
        "randomly initialised",
        "random initialisation",
        "before training",
        "untrained net",
    ):
        assert other not in text


def test_a_report_is_quick(tmp_path: Path) -> None:
    opened = Run.open(fake_run.make(tmp_path / "r", steps=20_000))
    begin = time.process_time()
    write_report([opened], tmp_path / "deep" / "page.html")
    assert time.process_time() - begin < 3


def test_no_run_and_no_place_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one run"):
        write_report([], tmp_path / "page.html")
    opened = Run.open(fake_run.make(tmp_path / "r", steps=30))
    with pytest.raises(InputError, match="cannot be written"):
        write_report([opened], tmp_path)


def test_only_a_page_is_replaced(tmp_path: Path) -> None:
    opened, mine = Run.open(fake_run.make(tmp_path / "run")), tmp_path / "notes.txt"
    mine.write_text("mine")
    with pytest.raises(InputError, match=r"notes.txt is there and is no page, so it is not replaced; give another"):
        write_report([opened], mine)
    assert mine.read_text() == "mine"
    page = write_report([opened], tmp_path / "page.html")
    page.write_text(page.read_text() + "<!-- old -->")
    assert "<!-- old -->" not in write_report([opened], page).read_text()
