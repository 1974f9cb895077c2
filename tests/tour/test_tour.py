"""What the documentation names exists, and what it shows runs."""

import functools
import importlib
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import tyro

from pairlens.cli import run

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "tour.md", ROOT / "docs" / "equations.md"]
CODE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def test_snippets_of_the_tour_run_in_order() -> None:
    namespace: dict[str, object] = {"torch": torch}
    blocks = [text for kind, text in BLOCK.findall((ROOT / "docs" / "tour.md").read_text()) if kind == "python"]
    assert len(blocks) >= 9
    for block in blocks:
        exec(compile(block, "docs/tour.md", "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_dotted_names_exist(page: Path) -> None:
    names = CODE.findall(BLOCK.sub("", page.read_text()))
    paths = [name for name in names if re.fullmatch(r"(src|tests|docs|benchmarks|examples)/[\w./-]+", name)]
    dotted = [name for name in names if re.fullmatch(r"pairlens(\.\w+)+", name)]
    assert paths or dotted, f"{page.name} names nothing that could be checked"
    missing = [name for name in paths if not (ROOT / name).exists()]
    assert not missing
    for name in dotted:
        assert resolves(name), f"{page.name} names {name}, which does not exist"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_every_function_that_the_tour_names_is_in_the_file_it_names() -> None:
    text = BLOCK.sub("", (ROOT / "docs" / "tour.md").read_text())
    named = re.findall(r"`(\w+)`(?:\s+in|)\s+\(?`(src/pairlens/[\w/]+\.py)`", text)
    assert len(named) >= 8
    for name, path in named:
        assert re.search(rf"^(def|class) {name}\b", (ROOT / path).read_text(), re.MULTILINE), f"{name} is not in {path}"


SHOWN = re.findall(r"^ +pairlens (.+?)(?: +#.*)?$", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("words", SHOWN)
def test_commands_that_the_readme_shows_are_understood(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is read as a user's would be; what it would do is not done."""
    read, known = tyro.cli, []

    def cli(command: Callable[..., int], **given: object) -> int:
        return read(functools.wraps(command)(lambda *a, **k: known.append(command) or 0), **given)

    monkeypatch.setattr(tyro, "cli", cli)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("epochs: 3\n")
    assert run(shlex.split(words.replace("RUN...", "RUN"))) == 0
    assert known or words.startswith("recipes")


def test_the_readme_shows_commands() -> None:
    assert len(SHOWN) > 15


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False
