"""A training of a few milliseconds a step, for what is recorded of it."""

from collections.abc import Callable

import pytest
import torch

from pairlens.assemble import assemble
from pairlens.data.images import ImageSet
from pairlens.methods.moco import MoCoSettings
from pairlens.place import Place
from pairlens.recipes.general import moco_v2
from pairlens.resolve import resolve
from pairlens.settings import FeatureTransform, Network, Optimisation, Selection, Views
from pairlens.train import Training


def tiny(
    seed: int = 0,
    *,
    batch: int = 8,
    epochs: int = 2,
    dim: int = 8,
    optimizer: str = "sgd",
    local: int = 0,
    select: str = "all",
) -> Training:
    pixels = torch.randint(0, 256, (40, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    images = ImageSet(pixels, torch.full((40, 2), 16), [str(i) for i in range(40)])
    recipe = moco_v2(
        method=MoCoSettings(negatives=24),
        network=Network("resnet8w", "small", hidden=16, dim=dim, splits=2),
        views=Views(locals=local, local_size=8 if local else None),
        optimisation=Optimisation(epochs=epochs, batch=batch, optimizer=optimizer),
        transform=FeatureTransform(extrapolate=2.0, interpolate=1.6),
        selection=Selection(select),
    )
    place = Place(torch.device("cpu"), torch.float32, threads=1, compile=False)
    return assemble(resolve(recipe, images, place), images, place, seed)


@pytest.fixture
def make_training() -> Callable[..., Training]:
    """The function `make_training(seed=0, *, batch, epochs, dim, optimizer, local, select) -> Training`."""
    return tiny
