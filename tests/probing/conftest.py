"""A small run, a bare file of weights, and a probe of both that the tests share."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pairlens.methods.looc import LooCSettings
from pairlens.place import Place
from pairlens.pretrain import pretrain
from pairlens.probing.subject import open_subject
from pairlens.probing.whole import Probing, probe
from pairlens.recipes.general import looc
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.start import start_run

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))  # for `reader`

CPU = Place(torch.device("cpu"), torch.float32, 1, False)


@pytest.fixture(scope="session")
def place() -> Place:
    return CPU


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 small pictures of soft colours, as an array."""
    path = tmp_path_factory.mktemp("probing") / "photos.npy"
    coarse = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.interpolate(coarse, 8, mode="bilinear")
    np.save(path, smooth.permute(0, 2, 3, 1).mul(255).byte().numpy())
    return path


@pytest.fixture(scope="session")
def run(photos: Path) -> Path:
    """A run of LooC with a space for rotation; colour is drawn, too."""
    folder = photos.parent / "run"
    recipe = looc(
        method=LooCSettings(designated=("rotation",), negatives=16),
        network=Network(encoder="resnet8w", hidden=16, dim=8, splits=1),
        views=Views(size=8, rotation=0.5, flip=0.0),
        optimisation=Optimisation(epochs=1, batch=32),
    )
    machine = Machine(device="cpu", precision="fp32", threads=1)
    _, training, source, _ = start_run(str(photos), recipe, folder=folder, machine=machine, say=lambda _: None)
    assert pretrain(folder, training, source, say=lambda _: None) == "finished"
    return folder


@pytest.fixture(scope="session")
def bare(run: Path) -> Path:
    """Its weights alone, in a file that is named to do harm."""
    path = run.parent / "<img src=x onerror=hacked=1>.safetensors"
    shutil.copy(run / "encoder.safetensors", path)
    return path


@pytest.fixture(scope="session")
def probing(run: Path) -> Probing:
    """Of the run alone."""
    return probe(open_subject([str(run)], CPU, images=48))


@pytest.fixture(scope="session")
def compared(run: Path, bare: Path, photos: Path) -> Probing:
    """Of the run, its space for rotation and all, and of the bare file, on images that are named."""
    return probe(open_subject([str(run), str(bare)], CPU, on=str(photos), images=40), spaces=True)
