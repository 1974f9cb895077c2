"""The page as a reader meets it, and as text."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from reader import reading, undrawn
from subjects import SMALL, made, opened

from pairlens.data.images import Source
from pairlens.errors import InputError
from pairlens.inspection.page import page, write_inspection
from pairlens.inspection.summary import lines, show
from pairlens.inspection.whole import Inspection, inspect
from pairlens.inspection.wording import roughly
from pairlens.recipes.general import infomin, simclr
from pairlens.settings import ContrastiveCrop, Views
from pairlens.styling import Styling, add_copies

SECTIONS = ["glance", "found", "recipe", "views", "parameters", "overlap", "duplicates", "speed"]
HOSTILE = "<img src=x onerror=hacked=1>"


@pytest.fixture(scope="module")
def whole(source: Source) -> Inspection:
    """Of images with boxes, labels and copies; views of two sizes."""
    recipe = simclr(**SMALL, views=Views(size=16, locals=2, local_size=8), crops=ContrastiveCrop(boxes="known"))
    return inspect(made(source, recipe), seconds=0.02)


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (380, "dark")])
def test_every_section_is_shown(browser, whole: Inspection, tmp_path: Path, width: int, scheme: str) -> None:
    with reading(browser, write_inspection(whole, tmp_path / "page.html"), width, scheme) as read:
        assert [s.get_attribute("id") for s in read.query_selector_all("section.panel")] == SECTIONS
        assert all(read.query_selector(f"#{name}").bounding_box()["height"] > 80 for name in SECTIONS)
        assert read.query_selector(".notice") is None
        assert undrawn(read) == 0
        assert read.evaluate("document.documentElement.dataset.theme") == scheme
        assert read.locator("#views .drawn").count() == 8
        assert read.locator("#views .drawn:first-of-type .crop").count() == 3 * 4
        assert read.locator("#views .drawn:first-of-type .box").count() == 3
        assert read.locator("#duplicates .alike-group").count() == 2
        numbers = read.locator("#views .view figcaption ul").first
        assert not numbers.is_visible()
        read.click("#views summary")
        assert numbers.is_visible()
        assert read.evaluate("[...document.images].every(i => i.alt && i.src.startsWith('data:') && i.naturalWidth)")


def test_hostile_names_do_nothing(browser, folder: Path, tmp_path: Path) -> None:
    (folder / HOSTILE).mkdir()
    for path in sorted((folder / "dogs").glob("*.jpg")):
        path.rename(folder / HOSTILE / path.name)
    (folder / HOSTILE / "broken.jpg").write_bytes(b"")
    found = inspect(opened(folder, labels=True), seconds=None)
    text = page(found)
    # Without the policy, so that the escaping alone must hold.
    (tmp_path / "page.html").write_text(
        re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text), encoding="utf-8"
    )
    with reading(browser, tmp_path / "page.html", 380) as read:
        assert read.evaluate("window.hacked") is None
        assert read.evaluate("document.querySelectorAll('[onerror], img[src=x]').length") == 0
        assert HOSTILE in read.inner_text("#found")
        assert HOSTILE in read.inner_text("#duplicates")
    assert "\u202e" not in text


def test_what_was_not_done_is_said(subject, tmp_path: Path) -> None:
    text = page(inspect(subject, duplicates=False, seconds=None))
    assert "Not looked for, as <code>--no-duplicates</code> asks." in text
    assert "Not measured, as <code>--no-speed</code> asks." in text
    with pytest.raises(InputError, match="the page cannot be written"):
        write_inspection(inspect(subject, duplicates=False, seconds=None), tmp_path)


def test_the_same_seed_gives_the_same_page(source: Source) -> None:
    first, again, other = (page(inspect(made(source, seed=seed), seconds=None)) for seed in (0, 0, 3))
    assert first == again != other


@pytest.mark.parametrize("kind", ["three images", "no test, no labels", "one size", "patches", "files"])
def test_any_set_and_any_views_have_a_page(source: Source, folder: Path, kind: str) -> None:
    train = source.train
    bare = replace(train, boxes=None, labels=None, classes=(), names=[f"train/{i:05}" for i in range(40)])
    few = {"optimisation": replace(SMALL["optimisation"], batch=2), "network": SMALL["network"]}
    subject = {
        "three images": lambda: made(Source("few", bare.rows(torch.arange(3))), simclr(**few, views=Views(size=16))),
        "no test, no labels": lambda: made(Source("bare", bare)),
        "one size": lambda: made(Source("square", replace(train, sizes=torch.full((40, 2), 24)))),
        "patches": lambda: made(source, infomin(**SMALL, views=Views(size=32, randaugment=2))),
        "files": lambda: opened(folder, decode="always"),
    }[kind]()
    text = page(inspect(subject, seconds=0.01))
    assert text.count('class="panel"') == len(SECTIONS)
    words = re.sub(r"<script.*?</script>|base64,[^\"')]*", "", text, flags=re.DOTALL)
    assert not re.search(r"\bnan\b", words, re.IGNORECASE)


def test_the_expected_time_is_steps_over_speed(whole: Inspection) -> None:
    t = whole.subject.training
    assert whole.seconds == pytest.approx(t.steps * t.order.batch / whole.advice.images)
    assert replace(whole, advice=None).seconds is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (89.0, "89 s"), (95.0, "2 min"), (5e3, "83 min"), (6e3, "1.7 h"), (2e5, "2 days")],
)
def test_times_are_told_roughly(seconds: float, said: str) -> None:
    assert roughly(seconds) == said


def test_the_terminal_tells_the_same_facts(whole: Inspection, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    told = dict(lines(whole))
    assert [name for name in told if name != "advice"] == ["images", "training", "views", "overlap", "speed", "time"]
    assert whole.advice.sentence in (*whole.warnings, told.get("advice"))
    assert "40 training images, 2 to test on, 3 classes" in told["images"]
    assert told["views"].startswith("2 of 16 px, 2 of 8 px")
    assert told["training"].startswith("simclr: 2 epochs of 5 steps, batch 8, ")
    assert "Random crop" in told["overlap"]
    show(replace(whole, warnings=("[bold]no markup[/bold], `--flag`",)), Console(width=200))
    first, blank, *rest = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"! +\[bold\]no markup\[/bold\], --flag *", first)
    assert blank.strip() == ""
    assert rest[0].startswith("images ")


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (380, "dark")])
def test_textures_are_shown_beside_their_images(
    browser, source: Source, tmp_path: Path, width: int, scheme: str
) -> None:
    copied = replace(source, train=add_copies(source.train, Styling(count=7)))
    recipe = simclr(**SMALL, views=Views(size=16, texture=0.5, styles=7))
    found = inspect(made(copied, recipe), seconds=None, duplicates=False)
    with reading(browser, write_inspection(found, tmp_path / "page.html"), width, scheme) as read:
        assert read.locator("#textures article").count() == 6
        assert read.locator("#textures article:first-of-type img").count() == 1 + 5
        text = read.locator("#textures").inner_text().replace("\u202f", " ").replace("\u00a0", " ")
        assert "stand in for neural style transfer" in text
        assert "7 stylised copies of each training image by spectrum mixing (a stand-in that is not neural)" in text
        assert "50 % of the views" in text
        assert "Of 7 copies the first 5 are shown" in text
        assert "another texture" in read.locator("#parameters").inner_text()
        assert "7 copies by spectrum mixing" in read.locator("#recipe").inner_text()
        assert read.evaluate("document.documentElement.scrollWidth") <= width
    assert "of the views show one of 7 copies, made by spectrum mixing (a stand-in" in dict(lines(found))["textures"]


def test_nothing_is_said_of_textures_where_there_are_none(whole: Inspection) -> None:
    text = page(whole)
    assert whole.styled is None
    assert "another texture" not in text
    assert 'id="textures"' not in text
    assert "textures" not in dict(lines(whole))
