"""What the documentation names exists, and what it shows runs."""

import importlib
import re
from pathlib import Path

import pytest
import torch

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


def test_flags_that_the_readme_shows_are_flags(capsys: pytest.CaptureFixture[str]) -> None:
    from pairlens.cli import run

    with pytest.raises(SystemExit) as ended:
        run(["train", "--help"])
    assert ended.value.code == 0
    known = capsys.readouterr().out
    shown = re.findall(r"^\s*(?:\$ )?pairlens train .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert shown
    for flag in re.findall(r"--[\w-]+", " ".join(shown)):
        assert flag in known, f"README.md shows {flag}, which `pairlens train` does not have"


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
