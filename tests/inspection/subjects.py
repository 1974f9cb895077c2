"""Small subjects to look at: made of a source, or opened from a folder."""

from pathlib import Path

import torch

from pairlens.data.choice import Decode
from pairlens.data.images import Source
from pairlens.inspection.subject import Subject, open_subject, subject_of
from pairlens.place import Place
from pairlens.recipes.general import simclr
from pairlens.recipes.recipe import Recipe
from pairlens.settings import Machine, Network, Optimisation, Views

CPU = Place(torch.device("cpu"), torch.float32, 1, compile=False)
SMALL = {"network": Network(hidden=16, dim=8), "optimisation": Optimisation(epochs=2, batch=8)}


def made(source: Source, recipe: Recipe | None = None, seed: int = 0) -> Subject:
    """What a small recipe would do with a source, on one thread."""
    return subject_of(source, recipe or simclr(**SMALL, views=Views(size=16)), CPU, seed, said=("something was said",))


def opened(folder: Path, *, decode: Decode = "auto", labels: bool = False) -> Subject:
    """A folder of photographs, opened as the command does."""
    recipe = simclr(**SMALL, views=Views(size=16))
    machine = Machine(device="cpu", precision="fp32", threads=1, workers=1)
    return open_subject(str(folder), recipe, machine=machine, labels=labels, decode=decode)
