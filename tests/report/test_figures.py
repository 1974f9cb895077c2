"""The report's figures as files: their names, their look on paper, and the drawing where kaleido and a browser are."""

import asyncio
import shutil
import sys
from pathlib import Path

import fake_run
import pytest

from pairlens import cli
from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.report import printed
from pairlens.report.figures import Named, chosen, figures_of, slug
from pairlens.report.printed import Paper, find_browser, find_kaleido, for_paper, inches, write_figures
from pairlens.report.theme import DARK, INK, PAPER, POSITIVE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_run.make(tmp_path_factory.mktemp("figures") / "ft run", steps=120)


@pytest.fixture(scope="module")
def found(folder: Path) -> list[Named]:
    return figures_of([Run.open(folder)])


def test_every_figure_of_the_page_has_a_name_of_its_own(folder: Path, found: list[Named]) -> None:
    from pairlens.report.page import page

    assert len(found) == page([Run.open(folder)]).count('class="chart"')
    names = [one.name for one in found]
    assert len(set(names)) == len(names)
    assert {"pairs-before-transform", "pairs-after-transform-ridges", "scores-negative-mean", "curves-loss"} < set(
        names
    )
    assert all(name == slug(name, 200) for name in names)
    loss = next(one for one in found if one.name == "curves-loss")
    assert (loss.heading, loss.height) == ("Loss", 230)


def test_runs_and_spaces_are_in_the_names(tmp_path: Path) -> None:
    hostile = "../<b>Æ</b>"
    runs = [
        fake_run.make(tmp_path / "a", steps=40, spaces=("z", hostile)),
        fake_run.make(tmp_path / "b", steps=40, spaces=("!", "?")),
    ]
    names = [one.name for one in figures_of([Run.open(run) for run in runs])]
    assert len(set(names)) == len(names)
    assert "pairs-a-z-before-transform" in names
    assert "pairs-a-b-b-before-transform" in names  # what letters the hostile name has
    assert {"pairs-b-before-transform", "pairs-b-before-transform-2"} < set(names)  # names without any
    assert not any("/" in name or name.startswith(".") for name in names)


def test_figures_are_chosen_by_name_section_or_pattern(folder: Path, found: list[Named]) -> None:
    def names(*only: str) -> list[str]:
        return [one.name for one in chosen(found, only)]

    assert names("curves-loss") == ["curves-loss"]
    assert len(names("scores")) == 4
    assert names("*-ridges") == ["pairs-before-transform-ridges", "pairs-after-transform-ridges"]
    assert names() == [one.name for one in found]
    with pytest.raises(InputError, match=r"no figure is called 'nothing'; there are accuracy-while"):
        figures_of([Run.open(folder)], ["scores", "nothing"])
    with pytest.raises(InputError, match="at least one run"):
        figures_of([])


def test_text_lines_and_margins_have_the_paper_s_size(found: list[Named]) -> None:
    one = next(one for one in found if one.name == "curves-loss")
    figure, width, height = for_paper(one, Paper(width=5.0, font=9.0))
    ratio = 9 * 96 / 72 / 12.5
    assert (width, height) == (480, round(230 * ratio))
    assert figure["layout"]["font"]["size"] == pytest.approx(12)
    assert figure["layout"]["xaxis"]["tickfont"]["size"] == pytest.approx(11.5 * ratio)
    assert figure["data"][1]["line"]["width"] == pytest.approx(2 * ratio)
    assert figure["layout"]["yaxis"]["title"]["text"] == "Loss"  # nothing above it says so
    assert figure["layout"]["paper_bgcolor"] == PAPER
    assert one.figure["layout"]["font"]["size"] == 12.5  # the page's stays as it was
    assert for_paper(one, Paper(height=2.0))[2] == 192


def test_a_legend_stands_where_lines_have_names(tmp_path: Path, found: list[Named]) -> None:
    runs = [Run.open(fake_run.make(tmp_path / name, steps=40, transformed=False)) for name in "ab"]
    (loss,) = figures_of(runs, ["curves-loss"])
    figure, _, _ = for_paper(loss, Paper())
    assert figure["layout"]["showlegend"]
    assert [t["name"] for t in figure["data"] if t["showlegend"]] == ["\u2068a\u2069", "\u2068b\u2069"]
    alone = next(one for one in found if one.name == "curves-loss")
    assert not for_paper(alone, Paper())[0]["layout"]["showlegend"]


def test_a_long_legend_stands_beside_and_says_once_what_all_begin_with() -> None:
    traces = [{"name": f"momentum 0.{i}"} for i in range(6)] + [{"name": "band", "showlegend": False}]
    named = Named("x", "", "", {"data": traces, "layout": {"legend": {"orientation": "h"}}}, 100)
    figure, _, _ = for_paper(named, Paper())
    assert [trace["name"] for trace in figure["data"]] == [f"0.{i}" for i in range(6)] + ["band"]
    legend = figure["layout"]["legend"]
    assert (legend["orientation"], legend["title"]["text"]) == ("v", "momentum")
    assert for_paper(named, Paper())[2] >= 20 * 7  # plotly would cut a legend that is taller than its figure
    figure, _, height = for_paper(named, Paper(height=1.0))
    assert height == 96
    assert figure["layout"]["legend"]["orientation"] == "h"  # too low for it to stand beside
    figure, _, _ = for_paper(Named("x", "", "", {"data": traces[:4], "layout": {}}, 100), Paper())
    assert figure["data"][0]["name"] == "momentum 0.0"


def test_dark_figures_wear_the_page_s_dark_colours(found: list[Named]) -> None:
    named = Named("x", "", "", {"data": [{"name": INK, "line": {"color": POSITIVE}}], "layout": {}}, 100)
    figure, _, _ = for_paper(named, Paper(dark=True))
    assert figure["data"][0]["line"]["color"] == DARK[POSITIVE]
    assert figure["data"][0]["name"] == INK  # a name that looks like a colour
    assert figure["layout"]["paper_bgcolor"] == DARK[PAPER]


@pytest.mark.parametrize(
    ("text", "length"), [("3.3in", 3.3), ("84mm", 84 / 25.4), (" 8.4 cm", 8.4 / 2.54), ("72pt", 1.0), ("96px", 1.0)]
)
def test_lengths_are_read(text: str, length: float) -> None:
    assert inches(text) == pytest.approx(length)


@pytest.mark.parametrize("text", ["", "3", "in", "-2in", "3 feet", "nan in"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"is no length; write 3.3in, 84mm"):
        inches(text)


@pytest.mark.parametrize("bad", [{"width": 0.1}, {"height": 100.0}, {"font": 0.5}, {"dpi": 1}])
def test_a_paper_that_is_none_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match="give"):
        Paper(**bad)  # type: ignore[arg-type]


def test_what_is_missing_is_said_before_anything_is_drawn(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(InputError, match=r'run: pip install "pairlens\[figures\]"'):
        find_kaleido()
    assert cli.run(["figures", str(folder), "-o", str(tmp_path / "out")]) == 2
    assert "kaleido, which is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert cli.run(["figures", str(folder), "--list"]) == 0  # which needs neither
    assert "curves-loss: Loss over training" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "kaleido", asyncio)  # as good as an old one
    with pytest.raises(InputError, match="older than version 1"):
        find_kaleido()


def test_the_browser_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = tmp_path / "browser"
    with pytest.raises(InputError, match=r"BROWSER_PATH names .*browser, which is no file"):
        find_browser({"BROWSER_PATH": str(named)})
    named.write_text("")
    assert find_browser({"BROWSER_PATH": str(named)}) == str(named)
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/chrome" if name == "google-chrome" else None)
    assert find_browser({}) == "/bin/chrome"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert find_browser({}) is None


def test_an_svg_is_the_same_each_time() -> None:
    one, other = (
        f'<svg class="main-svg" width="317" height="196"><defs id="defs-{uid}"><g id="clip{uid}xy"/></defs>'
        f'<path style="stroke: #{uid}" clip-path="url(#clip{uid}xy)"/></svg>'
        for uid in ("12ab34", "56cd78")
    )
    made = printed._settled(one, 317, 196)
    assert 'width="3.302in" height="2.042in"' in made
    assert made.replace("#12ab34", "") == printed._settled(other, 317, 196).replace("#56cd78", "")
    assert "#12ab34" in made  # a colour that looks like it stays


class FakeKaleido:
    """Draws nothing, or fails."""

    error: Exception | None = None

    def __init__(self, **given: object) -> None:
        assert given["mathjax"] is False  # else it is fetched from the network

    async def __aenter__(self) -> "FakeKaleido":
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def calc_fig(self, figure: dict[str, object], opts: dict[str, object]) -> bytes:
        if FakeKaleido.error:
            raise FakeKaleido.error
        return f"{opts['format']} {opts['scale']}".encode()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeKaleido]:
    class Module:
        Kaleido = FakeKaleido

    monkeypatch.setattr(printed, "find_kaleido", lambda: Module)
    monkeypatch.setattr(FakeKaleido, "error", None)
    return FakeKaleido


def test_three_dimensions_are_png(fake: type[FakeKaleido], tmp_path: Path) -> None:
    flat = Named("flat", "", "", {"data": [{"type": "scatter"}], "layout": {}}, 100)
    deep = Named("deep", "", "", {"data": [{"type": "scatter3d"}], "layout": {}}, 100)
    said: list[str] = []
    written = write_figures([flat, deep], tmp_path / "new", form="pdf", paper=Paper(dpi=192), say=said.append)
    assert [(one.path.name, one.path.read_text()) for one in written] == [
        ("flat.pdf", "pdf 1"),
        ("deep.png", "png 2.0"),
    ]
    assert "are bitmaps, so they are written as PNG and not as PDF" in said[0]


def test_what_goes_wrong_is_one_sentence(fake: type[FakeKaleido], tmp_path: Path) -> None:
    one = Named("one", "", "", {"data": [], "layout": {}}, 100)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"figures cannot be written to .*file"):
        write_figures([one], tmp_path / "file")
    fake.error = RuntimeError("the browser\nhas died")
    with pytest.raises(InputError, match=r"did not draw the figures \(RuntimeError: the browser\); let BROWSER_PATH"):
        write_figures([one], tmp_path)
    assert list(tmp_path.glob("one*")) == []


@pytest.mark.slow
def test_a_browser_draws_vectors_of_the_size_that_was_asked_for(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("there is no /usr/bin/chromium")
    argv = ["figures", str(folder), "-o", str(tmp_path), "--only", "scores-negative-mean", "--width", "84mm"]
    assert cli.run(argv) == 0
    (path,) = tmp_path.iterdir()
    text = path.read_text()
    assert path.name == "scores-negative-mean.svg"
    assert 'width="3.302in"' in text
    assert "Mean of negative scores" in text
    assert len(text) < 150_000
