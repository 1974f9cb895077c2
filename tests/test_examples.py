"""The examples run, leave a run that can be shown, and mark the lines that pairlens adds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pairlens.record.run import Run
from pairlens.report.page import write_report

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LOOPS = sorted(EXAMPLES.glob("*.py"))


def run_example(name: str, folder: Path, *flags: str) -> np.ndarray:
    """Run an example as a user does; give its statistics, after a look at all that it left."""
    pytest.importorskip("sklearn", reason="the examples train on generated digits, which scikit-learn brings")
    command = [sys.executable, str(EXAMPLES / name), "--run", str(folder / "run"), *flags]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"pairlens report {folder / 'run'}" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["run"]
    run = Run.open(folder / "run")
    assert run.status["state"] == "finished"
    page = write_report([run], folder / "report.html").read_text(encoding="utf-8")
    assert f"observed on <bdi>{name}" in page.replace("</bdi>", "")
    assert "After the transform: what the loss sees" in page
    return run.statistics


def assert_harder_positives(table: np.ndarray) -> None:
    """FT, Eq. 4: extrapolation lowers positive scores."""
    assert (table["z.positive_mean"] < table["z.raw_positive_mean"]).all()
    assert np.isfinite(table["loss"]).all()


def test_the_plain_loop(tmp_path: Path) -> None:
    table = run_example("plain_loop.py", tmp_path, "--steps", "6")
    assert len(table) == 6
    assert_harder_positives(table)
    assert (table["z.negative_variance"] < table["z.raw_negative_variance"]).all()  # FT, Section 4.2: interpolation


def test_the_lightning_loop(tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="Lightning is not installed", exc_type=ImportError)
    table = run_example("lightning_loop.py", tmp_path, "--epochs", "3")
    assert table["epoch"].tolist() == [step / 16 for step in range(48)]
    assert table["z.positive_mean"][:32] == pytest.approx(table["z.raw_positive_mean"][:32], rel=1e-4)
    assert_harder_positives(table[32:])


def test_the_lightly_loop(tmp_path: Path) -> None:
    pytest.importorskip("lightly", reason="lightly is not installed", exc_type=ImportError)
    table = run_example("lightly_loop.py", tmp_path, "--epochs", "1")
    assert len(table) == 16
    assert_harder_positives(table)


@pytest.mark.parametrize("path", LOOPS, ids=lambda path: path.name)
def test_an_example_is_short_and_marks_what_pairlens_adds(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 60
    body = [line for line in lines if not re.match(r"(from|import) |\"\"\"", line)]
    ours = re.compile(r"pairlens\.|Pairs\(|extrapolate_positives|mix_negatives|beta\(|\bft\b")
    added = [line for line in body if ours.search(line.partition("#")[0])]
    assert len(added) >= 4
    assert all("# pairlens" in line for line in added)
    assert any("pairlens.observe(" in line for line in added)


def test_there_are_three_examples_and_the_readme_names_them() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in LOOPS] == ["lightly_loop.py", "lightning_loop.py", "plain_loop.py"]
    assert all(f"`{path.name}`" in text for path in LOOPS)
