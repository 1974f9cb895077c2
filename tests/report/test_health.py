"""Health on the page: what is ill with its remedy, what is fine behind a fold, hostile names as text."""

import re
from pathlib import Path

import fake_run
import numpy as np
import pytest
from reader import reading

from pairlens.health import examine
from pairlens.health.evidence import evidence_of
from pairlens.record.run import Run
from pairlens.record.table import Table
from pairlens.report.compose import each
from pairlens.report.page import write_report
from pairlens.report.panels import health
from pairlens.report.panels.health import Health
from pairlens.report.read import Missing


def collapse(folder: Path, column: str = "z.feature_std") -> Path:
    """Let a run have collapsed."""
    rows = np.load(folder / "statistics.npy")
    rows[column] = 0.01
    (folder / "statistics.npy").unlink()
    table = Table(folder / "statistics.npy", rows.dtype)
    table.append(rows)
    table.close()
    return folder


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collapse(fake_run.make(tmp_path_factory.mktemp("runs") / "ill", steps=300))


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_the_panel_says_what_doctor_says(ill: Path) -> None:
    found = health.compute(Run.open(ill))
    assert isinstance(found, Health)
    assert found.findings == examine(evidence_of(Run.open(ill)))
    drawn = health.draw(found)
    said = words(drawn)
    assert "Complete collapse" in said
    assert "after 300 steps" in said
    assert drawn.count('<article class="finding" data-verdict="ill">') == 1
    assert "Evidence Feature standard deviation 0.010" in said
    assert "<code>--ft-start</code>" in drawn
    fine = sum(finding.verdict == "ok" for finding in found.findings)
    assert f"{fine} rules find nothing wrong" in said
    assert drawn.count("<details") == 2


def test_a_sound_run_says_so(tmp_path: Path) -> None:
    found = health.compute(Run.open(fake_run.make(tmp_path / "r", steps=300)))
    assert isinstance(found, Health)
    assert "Sound: no rule finds anything wrong, after 300 steps." in words(health.draw(found))
    assert "finding" not in health.draw(found).split("<details")[0].replace("findings", "")


def test_what_is_missing_or_damaged_is_a_sentence(tmp_path: Path) -> None:
    made = fake_run.make(tmp_path / "r", steps=60)
    (made / "statistics.npy").write_bytes(b"garbage")
    drawn = each([Run.open(made)], ["r"], health.compute, lambda data, _: health.draw(data))
    assert "This cannot be shown, because the table" in drawn
    (made / "statistics.npy").unlink()
    assert isinstance(health.compute(Run.open(made)), Missing)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_shows_it(browser, tmp_path: Path, ill: Path, width: int, scheme: str) -> None:
    name = fake_run.HOSTILE[0]
    hostile = collapse(fake_run.make(tmp_path / "h", steps=300, spaces=("z", name)), f"{name}.feature_std")
    document = write_report([Run.open(ill), Run.open(hostile)], tmp_path / "p.html")
    with reading(browser, document, width, scheme) as opened:
        assert opened.locator("#health .finding:visible").count() == 1
        fold = opened.locator("#health details:visible summary").first
        fold.focus()
        opened.keyboard.press("Enter")
        assert opened.locator("#health details:visible li:visible").count() > 5
        opened.locator("#health .switch[data-group=run] button").nth(1).click()
        assert "onerror" in opened.inner_text("#health .choice:visible")
        assert opened.evaluate("window.hacked") is None
        assert opened.evaluate("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('#health'))")
