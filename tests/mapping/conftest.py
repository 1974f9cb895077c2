"""A small run with checkpoints to map, images with hostile names, and the report's way of reading pages."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))  # for `fake_run` and `reader`

from fake_run import HOSTILE
from torch import Tensor

from pairlens.methods.moco import MoCoSettings
from pairlens.pretrain import pretrain
from pairlens.recipes.general import moco_v2
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.start import start_run

SEED = 5


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """49 images of 16 px and of different shapes, whose colour is their class, with names that mean no good."""
    folder = tmp_path_factory.mktemp("photos") / "images"
    rng = np.random.default_rng(0)
    names = [name for name in HOSTILE if not {"/", "\x00", "\udcff"} & set(name) and len(name.encode()) < 200]
    for i in range(48):
        place = folder / "train" / (names[0] if i % 3 == 0 else f"kind {i % 3}")
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 60, (16, 16 + 4 * (i % 2), 3), dtype=np.uint8)
        pixels[..., i % 3] += 150
        name = names[i] if i < len(names) else f"image {i:02d}"
        Image.fromarray(pixels).save(place / f"{name}.png")
    shutil.copy(place / "image 47.png", place / "image 47 again.png")
    shutil.copytree(folder / "train", folder / "test")
    return folder


@pytest.fixture(scope="session")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """A run of three steps with a checkpoint after each that is kept, and its encoder's weights before the first."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    recipe = moco_v2(
        method=MoCoSettings(negatives=16),
        network=Network(encoder="resnet8w", hidden=12, dim=8),
        views=Views(size=16),
        optimisation=Optimisation(epochs=1, batch=16),
    )
    machine = Machine(device="cpu", precision="fp32", threads=1)
    made = start_run(str(photos), recipe, folder=folder, machine=machine, seed=SEED, say=lambda _: None)
    training, source = made[1:3]
    start = {name: value.clone() for name, value in training.method.online.encoder.state_dict().items()}
    assert pretrain(folder, training, source, save_every=0.0, say=lambda _: None) == "finished"
    return folder, start


@pytest.fixture(scope="session")
def run(trained: tuple[Path, dict[str, Tensor]]) -> Path:
    return trained[0]
