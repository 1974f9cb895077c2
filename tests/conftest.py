"""What every test shares: checked shapes, one thread, repeatable examples, and a draw.

B images of the batch.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import jaxtyping
import pytest
import torch

if TYPE_CHECKING:
    from pairlens.draw import Draw

jaxtyping.install_import_hook("pairlens", "beartype.beartype")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

torch.set_num_threads(1)
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("repeatable")


def draw_of(
    batch: int = 8, epoch: int = 0, step: int = 0, seed: int = 0, *, height: int = 32, width: int = 32
) -> "Draw":
    """The draw of one step over the first `batch` images, all of one size (pixels), with fresh seeded generators."""
    from pairlens.draw import Draw  # after the hook

    return Draw(
        index=torch.arange(batch),
        sizes=torch.tensor([[height, width]]).expand(batch, 2).contiguous(),
        epoch=epoch,
        step=step,
        views=torch.Generator().manual_seed(seed),
        features=torch.Generator().manual_seed(seed + 1),
    )


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """What trained in this process before may have taken more; beside another worker they wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place to work in, where what a command leaves behind is seen."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def make_draw() -> Callable[..., "Draw"]:
    """The function `make_draw(batch=8, epoch=0, step=0, seed=0, *, height=32, width=32) -> Draw`."""
    return draw_of


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Signatures are not enforced, as for users: what the package itself says of a wrong value is seen."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Chromium, for the tests of pages."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()
