"""A small run with a head to invert, and the report's way of reading pages."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))  # for `reader`

from pairlens.methods.moco import MoCoSettings
from pairlens.pretrain import pretrain
from pairlens.recipes.general import moco_v2
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.start import start_run


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 images of 16 px with three classes."""
    generator = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("images") / "images.npz"
    pixels = generator.integers(0, 255, (48, 16, 16, 3), dtype=np.uint8)
    np.savez(path, images=pixels, labels=np.arange(48) % 3)
    return path


def trained(images: Path, folder: Path, head: str) -> Path:
    """A run of one epoch."""
    mlp = {"hidden": 12} if head == "mlp" else {}
    recipe = moco_v2(
        method=MoCoSettings(negatives=16),
        network=Network(encoder="resnet8w", head=head, dim=8, **mlp),
        views=Views(size=16),
        optimisation=Optimisation(epochs=1, batch=16),
    )
    machine = Machine(device="cpu", precision="fp32", threads=1)
    _, training, source, _ = start_run(str(images), recipe, folder=folder, machine=machine, say=lambda _: None)
    assert pretrain(folder, training, source, say=lambda _: None) == "finished"
    return folder


@pytest.fixture(scope="session")
def run(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(images, tmp_path_factory.mktemp("runs") / "mlp", "mlp")


@pytest.fixture(scope="session")
def linear_run(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(images, tmp_path_factory.mktemp("runs") / "linear", "linear")
