"""The live page as a reader meets it: in headless Chromium, on runs that train, die, or mean ill."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fake_run
import numpy as np
import pytest

pytest.importorskip("starlette", reason="starlette is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")

TRAIN = [
    "--encoder",
    "resnet8w",
    "--threads",
    "1",
    "--device",
    "cpu",
    "--size",
    "16",
    "--batch",
    "16",
    "--epochs",
    "999",
]


@contextmanager
def serving(folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """`pairlens watch` on a folder, and the address that it prints."""
    command = [sys.executable, "-m", "pairlens", "watch", str(folder), *more]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().rpartition(" ")[2].strip()
        assert address.startswith("http://127.0.0.1:"), server.communicate()[1]
        yield server, address
    finally:
        server.kill()
        server.communicate()


@contextmanager
def reading(browser, address: str, width: int = 1280, expected: str = "") -> Iterator[object]:
    """The page opened and drawn; no error but the expected ones, and no overflow."""
    opened = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce").new_page()
    opened.set_default_timeout(60_000)
    errors: list[str] = []
    opened.on("console", lambda message: errors.append(message.text))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(address)
    opened.wait_for_selector("html[data-ready=true]")
    yield opened
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [error for error in errors if not expected or expected not in error] == []
    opened.context.close()


def last_step(opened) -> float:
    return float(opened.locator("figure[data-statistic=loss]").get_attribute("data-last") or -1)


@pytest.mark.slow  # on one core, most of it torch on its way
def test_a_training_is_seen_to_grow_and_to_die(browser, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (256, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)  # `scenes` takes ten seconds to draw
    train = [
        sys.executable,
        "-m",
        "pairlens",
        "train",
        str(tmp_path / "images.npy"),
        "--out",
        str(runs / "one"),
        *TRAIN,
    ]
    trainer = subprocess.Popen(train, stdout=subprocess.DEVNULL)
    try:
        gone = "ERR_CONNECTION_REFUSED"  # at its end the server is stopped while the page is open
        with serving(runs, "--port", "0") as (server, address), reading(browser, address, expected=gone) as opened:
            opened.wait_for_selector("tr[data-state=running]")
            opened.wait_for_selector("figure[data-statistic=loss][data-points]:not([data-points='0'])")
            first, points = last_step(opened), int(opened.locator("figure").first.get_attribute("data-points"))
            began = time.monotonic()
            while last_step(opened) <= first and time.monotonic() - began < 60:
                opened.wait_for_timeout(100)
            assert last_step(opened) > first > 0
            assert int(opened.locator("figure").first.get_attribute("data-points")) > points
            assert opened.locator("#live").inner_text() == "Live \u00b7 1 running"
            columns = opened.locator("#heat").get_attribute("data-columns")
            assert int(columns) > 10
            assert trainer.poll() is None
            trainer.send_signal(signal.SIGKILL)
            trainer.wait()
            opened.wait_for_selector("tr[data-state=died]")
            assert "its process is gone" in opened.locator("tr .note").inner_text()
            assert opened.locator("#live").inner_text() == "Live"
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 130
    finally:
        trainer.kill()


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("several") / "runs"
    for i, recipe in enumerate(("moco_v2", "simclr", "byol", "looc", "swav", "moco_v1")):
        spaces = ("all", "color") if recipe == "looc" else ("z",)
        fake_run.make(made / f"{recipe}-{i}", steps=100, seed=i, recipe=recipe, spaces=spaces, arguments={"lr": i / 10})
    return made


def test_keyboard_filter_zoom_and_a_saved_page(browser, several: Path, tmp_path: Path) -> None:
    with serving(several, "--port", "0", "--token", "s\u00e9cret") as (_, address):
        assert "?token=s%C3%A9cret" in address
        with reading(browser, address) as opened:
            assert opened.locator("#table tbody tr").count() == 6
            assert opened.locator("tr[aria-selected=true]").count() == 4  # the newest
            assert opened.locator("#charts figure").count() == 6
            opened.keyboard.press("/")
            opened.keyboard.type("LR: 0.3")
            assert opened.locator("#table tbody tr:visible .name").all_inner_texts() == ["looc-3"]
            opened.keyboard.press("Escape")
            assert opened.locator("#table tbody tr:visible").count() == 6
            opened.locator("th[data-column=name] button").click()
            names = opened.locator("#table tbody tr .name").all_inner_texts()
            assert names == sorted(names)
            opened.locator("#choose-none").click()
            opened.locator("#curves-about", has_text="No run is chosen").wait_for()  # it is drawn with the next frame
            opened.locator("#filter").focus()
            opened.keyboard.press("ArrowDown")  # into the table: byol-2
            opened.keyboard.press("Space")
            opened.keyboard.press("ArrowDown")
            opened.keyboard.press("Enter")  # looc-3: chosen and in the heat map
            opened.wait_for_selector("html[data-ready=true]")
            assert opened.locator("tr[aria-selected=true] .name").all_inner_texts() == ["byol-2", "looc-3"]
            assert opened.evaluate("document.activeElement.dataset.focus") == "true"
            assert opened.locator("#focus").input_value() == opened.evaluate("document.activeElement.dataset.id")
            opened.wait_for_selector("#heat[data-columns]")
            assert opened.locator("#heat-space button").all_inner_texts() == ["all", "color"]
            assert opened.locator("#legend").inner_text().split() == ["byol-2", "looc-3", "z", "all", "color"]
            different = opened.locator("#differences thead th").all_inner_texts()
            assert different == ["run", "recipe", "seed", "lr"]
            opened.locator("#spaces button", has_text="color").click()
            opened.locator("#statistics button[data-value=alignment]").click()
            opened.locator("#log").check()
            opened.locator("#axis button", has_text="Epochs").click()
            assert opened.locator("figure[data-statistic=loss]").get_attribute("data-log") == "true"
            plot = opened.locator("figure[data-statistic=loss] canvas").first
            plot.scroll_into_view_if_needed()
            box = plot.bounding_box()
            opened.mouse.move(box["x"] + 100, box["y"] + 50)
            assert opened.locator(".tip .entry:visible").count() == 2
            whole = opened.locator("figure").first.get_attribute("data-range")
            opened.mouse.down()
            opened.mouse.move(box["x"] + 200, box["y"] + 60)
            opened.mouse.up()
            opened.wait_for_selector(f"figure:not([data-range='{whole}'])")  # zoomed in
            opened.locator("#theme").click()
            opened.wait_for_timeout(200)
            seen = opened.evaluate(SEEN)
            with opened.expect_download() as download:
                opened.locator("#save").click()
            saved = tmp_path / "saved.html"
            download.value.save_as(saved)
    for token in ("s\u00e9cret", "s%C3%A9cret"):
        assert token not in saved.read_text(encoding="utf-8")
    with reading(browser, saved.as_uri()) as opened:
        assert opened.locator("#live").inner_text().startswith("Saved ")
        assert opened.evaluate(SEEN) == seen
        assert opened.evaluate("performance.getEntriesByType('resource').length") == 0
        assert opened.locator("#save").is_hidden()
        opened.locator("#table tbody tr", has_text="swav-4").locator("input").check()
        opened.locator("#curves-about", has_text="no curves were saved").wait_for()


SEEN = """({
  theme: document.documentElement.dataset.theme,
  rows: [...document.querySelectorAll("#table tbody tr:not([hidden])")].map(row => row.textContent),
  chosen: [...document.querySelectorAll("tr[aria-selected=true] .name")].map(name => name.textContent),
  charts: [...document.querySelectorAll("figure")].slice(0, 3).map(f => ({ ...f.dataset })), // those in sight
  heat: { ...document.getElementById("heat").dataset },
  pressed: [...document.querySelectorAll("[aria-pressed=true]")].map(button => button.textContent),
  log: document.getElementById("log").checked,
  different: document.querySelector("#differences").innerText,
})"""


def test_when_the_server_is_gone_the_page_says_so_and_comes_back(browser, several: Path) -> None:
    with serving(several, "--port", "0") as (_, address):
        opened = browser.new_page()
        opened.goto(address)
        opened.wait_for_selector("#live[data-live=yes]")
        opened.wait_for_selector("html[data-ready=true]")
    opened.wait_for_selector("#live[data-live=gone]")
    assert "The server is gone since" in opened.locator("#live").inner_text()
    assert opened.locator("#table tbody tr").count() == 6
    with serving(several, "--port", re.findall(r":(\d+)/", address)[0]):
        opened.wait_for_selector("#live[data-live=yes]")
        assert opened.locator("#table tbody tr").count() == 6
    opened.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_hostile_names_do_nothing(browser, tmp_path: Path, width: int) -> None:
    bad = fake_run.HOSTILE[0]
    names = [
        "<img src=x onerror=window.hacked=5>\u202e'\"",
        "'\"><svg onload=window.hacked=6>",
        "W" * 240,
        "\udcff\u05e9",
    ]
    for i, name in enumerate(names):
        space = ("z<b>x</b>", bad.replace("/", "")) if i < 2 else ("z",)
        arguments = {bad: fake_run.HOSTILE[i], "list": list(fake_run.HOSTILE)}
        run = fake_run.make(tmp_path / "a" / name, steps=60, recipe=bad, arguments=arguments, spaces=space)
        status = {"state": "</script><b>" if i else "finished", "step": 60, "steps": 60}
        (run / "status.json").write_text(json.dumps(status))
        with open(run / "events.jsonl", "a", encoding="utf-8") as file:
            file.write(
                "\n" + json.dumps({"time": "", "kind": "health", "text": bad + "\u202e" + "very long " * 99}) + "\n"
            )
    with serving(tmp_path, "--port", "0") as (_, address):
        context = browser.new_context(viewport={"width": width, "height": 900})
        opened = context.new_page()
        # Without the policy, so that only text being text protects.
        answer = context.request.get(address).text()
        plain = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", answer)
        assert plain != answer
        opened.route(address, lambda route: route.fulfill(body=plain, content_type="text/html"))
        errors: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("console", lambda message: errors.append(message.text))
        opened.goto(address)
        opened.wait_for_selector("html[data-ready=true]")
        for button in opened.locator("#spaces button:visible, #heat-space button:visible").all():
            button.click()
        opened.locator("#filter").fill("<img")
        opened.locator("#choose-shown").click()
        with opened.expect_download() as download:
            opened.locator("#save").click()
        download.value.save_as(tmp_path / "saved.html")
        opened.goto((tmp_path / "saved.html").as_uri())
        opened.wait_for_selector("html[data-ready=true]")
        assert opened.evaluate("window.hacked") is None
        assert (
            opened.evaluate("document.querySelectorAll('main img, main svg, main b b, [onerror], [onload]').length")
            == 0
        )
        assert opened.evaluate("document.scripts.length") == 3
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert "<img src=x onerror" in opened.locator("#table tbody").inner_text()
        assert "\u202e" not in opened.evaluate("document.body.textContent")
        assert errors == []
        context.close()
