"""Something is learned: each method in a few hundred steps on real handwriting, against the untrained encoder.

And the feature transformation does to the recorded scores what its paper says, on every method.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pairlens.assemble import assemble, untrained_encoder
from pairlens.data.images import Source
from pairlens.data.scenes import make_scenes
from pairlens.evaluate.features import extract
from pairlens.evaluate.knn import knn
from pairlens.methods.infomin import InfoMinSettings
from pairlens.methods.instdisc import InstDiscSettings
from pairlens.methods.mochi import MoCHiSettings
from pairlens.methods.moco import MoCoSettings
from pairlens.methods.siamese import BYOLSettings, SimSiamSettings
from pairlens.methods.simclr import SimCLRSettings
from pairlens.methods.supervised import SupervisedSettings
from pairlens.methods.swav import SwAVSettings
from pairlens.methods.unmix import UnMixSettings
from pairlens.place import find_place
from pairlens.recipes import general
from pairlens.recipes.recipe import Recipe
from pairlens.record.recorder import Recorder
from pairlens.record.table import read
from pairlens.resolve import resolve
from pairlens.settings import FeatureTransform, Machine, Network, Optimisation, Views
from pairlens.train import Training, fit

SIDE, BATCH, IMAGES = 24, 64, 1600
MARGIN = 0.03
"""Points of kNN accuracy over 2 000 test images (standard error .009) that each training must gain."""

SPREAD = 0.2
"""Least `feature_std` at the end: 1 is spread evenly over the sphere, 0 is collapse."""

VIEWS = Views(crop=(0.4, 1.0), jitter=(0.8, 0.8, 0.8, 0.2), gray=0.5, flip=0.0)
HEAD = Network(encoder="resnet8w", hidden=512, dim=128, head_norm="hidden")
QUEUE: dict[str, Any] = {"negatives": 256, "momentum": 0.9}


@dataclass(frozen=True)
class Case:
    """A method with settings that learn fast, and the feature transformations that have an effect on it."""

    recipe: Any
    method: Any
    steps: int = 600
    rate: float = 4e-3  # AdamW's, for a batch of 64
    network: Network = HEAD
    transforms: tuple[dict[str, float], ...] = ({"extrapolate": 2.0}, {"interpolate": 1.6})

    def made(self, epochs: int, **transform: float) -> Recipe:
        optimisation = Optimisation(epochs=epochs, batch=BATCH, optimizer="adamw", lr=self.rate * 256 / BATCH)
        groups: dict[str, Any] = {"method": self.method, "network": self.network, "views": VIEWS}
        if transform:
            groups["transform"] = FeatureTransform(**transform)
        return self.recipe(**groups, optimisation=optimisation)


POSITIVES = ({"extrapolate": 2.0},)
NORMED = replace(HEAD, dim=512, head_norm="all")
CASES = {
    "instdisc": Case(general.instdisc, InstDiscSettings(temperature=0.1, full=True, fill=True)),
    "instdisc, nce": Case(
        general.instdisc, InstDiscSettings(0.1, negatives=256, objective="nce", fill=True), rate=1e-3
    ),
    "moco v1": Case(
        general.moco_v1, MoCoSettings(**QUEUE), rate=2e-3, network=replace(HEAD, head="linear", head_norm="none")
    ),
    "moco v2": Case(general.moco_v2, MoCoSettings(**QUEUE), rate=2e-3),
    "moco v2, both ways": Case(general.moco_v2, MoCoSettings(symmetric=True, **QUEUE), steps=400, rate=2e-3),
    "mochi": Case(
        general.mochi, MoCHiSettings(hardest=64, mixed=64, query_mixed=16, **QUEUE), rate=2e-3, transforms=()
    ),
    "unmix": Case(general.unmix, UnMixSettings(**QUEUE), rate=2e-3, transforms=()),
    "infomin": Case(general.infomin, InfoMinSettings(**QUEUE), steps=500, rate=2e-3),
    "simclr": Case(general.simclr, SimCLRSettings(), steps=400),
    "byol": Case(general.byol, BYOLSettings(momentum=0.9), 900, 8e-3, NORMED, POSITIVES),
    "simsiam": Case(general.simsiam, SimSiamSettings(), 900, 8e-3, NORMED, POSITIVES),
    "swav": Case(general.swav, SwAVSettings(prototypes=64, epsilon=0.02), transforms=POSITIVES),
    "supervised": Case(general.supervised, SupervisedSettings(), steps=300, transforms=()),
}
TRANSFORMED = [(name, transform) for name, case in CASES.items() for transform in case.transforms]


@cache
def scenes() -> Source:
    return make_scenes(size=SIDE, train=IMAGES, test=2000)


def accuracy(encoder: torch.nn.Module, precision: torch.dtype) -> float:
    source = scenes()
    assert source.test is not None
    mean, std = source.train.mean_std()
    known, asked = (
        extract(encoder, images, size=SIDE, mean=mean, std=std, precision=precision)
        for images in (source.train, source.test)
    )
    assert source.train.labels is not None
    assert source.test.labels is not None
    return knn(known, source.train.labels, asked, source.test.labels, classes=10).top1


@cache
def untrained() -> float:
    precision = find_place(Machine(threads=1)).precision
    network = resolve(CASES["simclr"].made(1), scenes().train, find_place(Machine(threads=1))).network
    return accuracy(untrained_encoder(network, precision, seed=0), precision)


def trained(recipe: Recipe, folder: Path, steps: int | None = None) -> tuple[torch.nn.Module, np.ndarray]:
    """The encoder after the training, or after its first steps, and the recorder's statistics."""
    place = find_place(Machine(threads=1))
    recipe = resolve(recipe, scenes().train, place)
    training = assemble(recipe, scenes().train, place, seed=0)
    recorder = Recorder(folder, recipe.method.spaces, device=place.device, steps=training.steps)

    def stop(t: Training) -> None:
        t.stop = t.step == steps

    fit(training, [recorder], [stop])
    recorder.close()
    return training.method.online.encoder, read(folder / "statistics.npy")


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_each_method_beats_random_initialisation_without_collapse(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    encoder, statistics = trained(case.made(epochs=round(case.steps * BATCH / IMAGES)), tmp_path)
    assert len(statistics) == case.steps
    assert np.isfinite(statistics["loss"]).all()
    assert statistics["z.feature_std"][-20:].mean() > SPREAD
    assert accuracy(encoder, find_place(Machine(threads=1)).precision) > untrained() + MARGIN


@pytest.mark.parametrize(("name", "transform"), TRANSFORMED, ids=[f"{n}-{next(iter(t))}" for n, t in TRANSFORMED])
def test_feature_transformation_moves_the_recorded_scores_as_its_paper_says(
    name: str, transform: dict[str, float], tmp_path: Path
) -> None:
    """FT: extrapolated positives score lower (Eq. 4); interpolated negatives keep their mean and vary less (Eq. 5)."""
    case = CASES[name]
    if isinstance(case.method, InstDiscSettings):  # an epoch that fills the bank learns nothing
        case = replace(case, method=replace(case.method, fill=False))
    _, rows = trained(case.made(epochs=1, **transform), tmp_path, steps=8)
    assert len(rows) == 8
    assert np.isfinite(rows["loss"]).all()
    if "extrapolate" in transform:
        assert (rows["z.positive_mean"] < rows["z.raw_positive_mean"]).all()
    else:
        assert np.array_equal(rows["z.positive_mean"], rows["z.raw_positive_mean"])
        assert (rows["z.negative_variance"] < rows["z.raw_negative_variance"]).all()
        assert rows["z.negative_mean"] == pytest.approx(rows["z.raw_negative_mean"], abs=0.02)
