"""On a GPU: no wait for the device between flushes, and going on from a checkpoint. The CPU walks the same lines."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pairlens.assemble import assemble
from pairlens.clock import Clock, seconds
from pairlens.data.images import ImageSet
from pairlens.environment import apply
from pairlens.methods.moco import MoCoSettings
from pairlens.place import Place, find_place
from pairlens.recipes.general import moco_v2
from pairlens.record.checkpoint import load_checkpoint, save_checkpoint
from pairlens.record.recorder import Recorder
from pairlens.resolve import resolve
from pairlens.settings import FeatureTransform, Machine, Network, Optimisation, Selection, Views
from pairlens.train import Hook, Outcome, Training, fit

GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"))


@pytest.fixture(params=["cpu", GPU])
def place(request: pytest.FixtureRequest) -> Place:
    """Where the training runs, applied."""
    found = find_place(Machine(request.param, threads=1))
    apply(found)
    return found


def training_of(place: Place, seed: int = 0, select: str = "all", local: int = 0) -> Training:
    """MoCo with feature transformation, eight steps an epoch."""
    pixels = torch.randint(0, 256, (128, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    images = ImageSet(pixels, torch.full((128, 2), 16), [str(i) for i in range(128)])
    recipe = moco_v2(
        method=MoCoSettings(negatives=40, symmetric=local > 0),
        views=Views(locals=local, local_size=8 if local else None),
        selection=Selection(select),
        network=Network("resnet8w", "small", hidden=16, dim=8, splits=2),
        optimisation=Optimisation(epochs=100, batch=16),
        transform=FeatureTransform(extrapolate=2.0, interpolate=1.6, per="element"),
    )
    return assemble(resolve(recipe, images, place), images, place, seed)


@pytest.mark.parametrize(
    ("select", "local"), [("all", 0), ("hardest", 2), *((s, 0) for s in ("semi_hard", "uniform", "skewed"))]
)
def test_no_step_between_flushes_waits_for_the_device(place: Place, tmp_path: Path, select: str, local: int) -> None:
    t = training_of(place, select=select, local=local)
    recorder = Recorder(tmp_path, ("z",), device=place.device, steps=t.steps, every=1)

    def forbid_waiting(t: Training) -> None:
        """From the second step on: step 0 writes a sample, and an epoch's order is moved at its beginning."""
        if place.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("error" if t.step < 6 else "default")

    try:
        fit(t, [recorder], [forbid_waiting, stop_at(6)])
    finally:
        if place.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    recorder.close()
    rows = np.load(tmp_path / "statistics.npy")
    assert rows["step"].tolist() == list(range(6))
    assert all(np.isfinite(rows[name]).all() for name in rows.dtype.names)
    assert len(np.load(tmp_path / "histograms.npy")) == 6


def test_a_training_goes_on_from_its_checkpoint(place: Place, tmp_path: Path) -> None:
    whole, other = training_of(place), training_of(place, seed=1)
    losses: list[torch.Tensor] = []
    again: list[torch.Tensor] = []
    fit(whole, hooks=[stop_at(5)])
    path = save_checkpoint(tmp_path, whole, 0.0)
    load_checkpoint(path, other)
    assert other.step == 5
    state = other.method.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in whole.method.state_dict().items())
    assert all(value.device.type == place.device.type for value in state.values())
    assert torch.equal(whole.features.get_state(), other.features.get_state())
    for t, noted in ((whole, losses), (other, again)):
        t.stop = False
        fit(t, [lambda t, outcome, noted=noted: noted.append(loss_of(outcome))], [stop_at(12)])
    exact = place.device.type == "cpu"  # what `apply` promises; on a GPU the draws are the same, and rounding close
    torch.testing.assert_close(
        torch.stack(losses), torch.stack(again), rtol=0 if exact else 1e-3, atol=0 if exact else 1e-3
    )


def test_the_clock_measures_the_device_at_hand(place: Place) -> None:
    clock = Clock(place.device)
    x = torch.ones(512, 512, device=place.device)
    for _ in range(50):
        x = x @ x / 512
    clock.lap("forward")
    assert 0 < seconds(clock.laps)[2] < 60


def stop_at(step: int) -> Hook:
    def hook(t: Training) -> None:
        t.stop = t.step >= step

    return hook


def loss_of(outcome: Outcome) -> torch.Tensor:
    return outcome.parts[-1].loss.detach().clone()
