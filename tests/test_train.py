"""The loop: its order, what observers may not disturb, accumulation, and going on from any step bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from jaxtyping import jaxtyped
from torch import Tensor, nn

from pairlens.assemble import assemble
from pairlens.clock import PHASES, Clock, seconds
from pairlens.data.images import ImageSet
from pairlens.data.loader import Moving, Resident
from pairlens.data.order import Order
from pairlens.draw import Draw
from pairlens.methods.instdisc import InstDiscSettings
from pairlens.methods.moco import MoCoSettings
from pairlens.methods.siamese import BYOLSettings, SimSiamSettings
from pairlens.methods.swav import SwAVSettings
from pairlens.optim import cosine
from pairlens.pairs import Step
from pairlens.place import Place
from pairlens.recipes.general import byol, instdisc, moco_v2, simclr, simsiam, swav
from pairlens.recipes.recipe import Recipe
from pairlens.record.checkpoint import load_checkpoint, save_checkpoint
from pairlens.record.recorder import Recorder
from pairlens.record.samples import write_sample
from pairlens.resolve import resolve
from pairlens.settings import FeatureTransform, Network, Optimisation, Selection, Views
from pairlens.train import Outcome, Training, fit
from pairlens.views.crops import full_image
from pairlens.views.plans import Augmentation, two_views
from pairlens.views.render import render

CPU = Place(torch.device("cpu"), torch.float32, threads=1, compile=False)
NETWORK = Network("resnet8w", "small", hidden=16, dim=8)
PER_ELEMENT = FeatureTransform(extrapolate=2.0, interpolate=1.6, per="element")


def images_of(count: int = 72, side: int = 16) -> ImageSet:
    pixels = torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(pixels, torch.full((count, 2), side), [str(i) for i in range(count)])


def training_of(recipe: Recipe, seed: int = 0) -> Training:
    images = images_of()
    return assemble(resolve(recipe, images, CPU), images, CPU, seed)


def moco(optimizer: str = "sgd", accumulate: int = 1) -> Recipe:
    return moco_v2(
        network=Network("resnet8w", "small", hidden=16, dim=8, splits=2),
        optimisation=Optimisation(epochs=2, batch=16, accumulate=accumulate, optimizer=optimizer, warmup=0.5),
        transform=PER_ELEMENT,
        method=MoCoSettings(negatives=40, momentum=0.9),
    )


def symmetric(optimizer: str = "sgd", accumulate: int = 1) -> Recipe:
    return simclr(
        network=NETWORK,
        optimisation=Optimisation(epochs=2, batch=16, accumulate=accumulate, optimizer=optimizer),
        transform=FeatureTransform(extrapolate=2.0, interpolate=1.6, renormalise=True),
    )


def multi_crop(accumulate: int = 1) -> Recipe:
    """MoCo with everything that draws: both ways, small views, feature transformation and selected negatives."""
    return moco_v2(
        method=MoCoSettings(negatives=40, symmetric=True),
        network=Network("resnet8w", "small", hidden=16, dim=8, splits=2),
        views=Views(locals=2, local_size=8),
        optimisation=Optimisation(epochs=2, batch=16, accumulate=accumulate),
        transform=PER_ELEMENT,
        selection=Selection("skewed"),
    )


def predicting() -> Recipe:
    """SimSiam, whose predictor keeps its learning rate."""
    return simsiam(
        method=SimSiamSettings(predictor_hidden=4),
        network=Network("resnet8w", "small", hidden=16, dim=8, head_norm="all"),
        optimisation=Optimisation(epochs=2, batch=16, lr=0.8, warmup=0.5, optimizer="sgd"),
    )


HALVES = Optimisation(epochs=2, batch=16, accumulate=2, warmup=0.5)


def banked() -> Recipe:
    """InstDisc, whose bank is filled in the first epoch, with the constant of NCE."""
    method = InstDiscSettings(negatives=20, objective="nce", fill=True)
    return instdisc(method=method, network=Network("resnet8w", "small", dim=8, head="linear"), optimisation=HALVES)


def clustering() -> Recipe:
    """SwAV, whose stores help with the codes from the third step on and whose prototypes learn from the second."""
    method = SwAVSettings(prototypes=6, codes_queue=32, freeze_prototypes=1)
    return swav(method=method, network=NETWORK, optimisation=HALVES)


def rising() -> Recipe:
    """BYOL, whose momentum rises with the step; encoder and head are normalised in two parts."""
    network = Network("resnet8w", "small", hidden=16, dim=8, head_norm="hidden", splits=2)
    return byol(method=BYOLSettings(momentum=0.9, predictor_hidden=4), network=network, optimisation=HALVES)


def everything(t: Training) -> dict[str, Tensor]:
    """All tensors that a training consists of."""
    found = {f"method.{k}": v.clone() for k, v in t.method.state_dict().items()}
    for i, state in t.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{i}.{k}": torch.as_tensor(v).clone() for k, v in state.items()}
    return found | {"views": t.views.get_state(), "features": t.features.get_state()} | t.order.state()


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert different == []


def note(losses: list[Tensor]) -> Callable[[Training, Outcome], None]:
    return lambda t, outcome: losses.extend(part.loss.detach().clone() for part in outcome.parts)


@pytest.mark.parametrize(
    "recipe",
    [moco(), symmetric(), moco(accumulate=2), multi_crop(), predicting()],
    ids=["moco", "simclr", "accumulated", "multi-crop", "simsiam"],
)
def test_recording_changes_no_bit_of_losses_weights_or_generators(tmp_path: Path, recipe: Recipe) -> None:
    plain, recorded = training_of(recipe), training_of(recipe)
    alone: list[Tensor] = []
    beside: list[Tensor] = []
    torch.manual_seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    fit(plain, [note(alone)])
    recorder = Recorder(tmp_path, ("z",), device=CPU.device, steps=recorded.steps, every=1, block=3)
    fit(recorded, [recorder, note(beside)])
    recorder.close()
    assert torch.equal(torch.stack(alone), torch.stack(beside))
    assert_same(everything(plain), everything(recorded))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert len(np.load(tmp_path / "statistics.npy")) == recorded.steps == 8


@pytest.mark.parametrize(
    "recipe",
    [
        *(moco(), moco("adamw"), moco("lars", accumulate=2), symmetric(), symmetric("lars"), symmetric("adamw", 2)),
        *(multi_crop(accumulate=2), predicting(), banked(), clustering(), rising()),
    ],
    ids=[
        *("moco-sgd", "moco-adamw", "moco-lars-2", "simclr-sgd", "simclr-lars", "simclr-adamw-2"),
        *("multi-crop-2", "simsiam", "instdisc-2", "swav-2", "byol-2"),
    ],
)
def test_a_run_stopped_after_any_step_goes_on_bit_for_bit(tmp_path: Path, recipe: Recipe) -> None:
    whole = training_of(recipe)
    fit(whole, hooks=[lambda t: save_checkpoint(tmp_path / str(t.step), t, 0.0)])
    for step in range(1, whole.steps + 1):
        other = training_of(recipe, seed=step)  # all that the seed gave must come from the checkpoint
        load_checkpoint(tmp_path / str(step) / f"step-{step:08d}", other)
        assert other.step == step
        fit(other)
        assert_same(everything(whole), everything(other))


def test_steps_drawn_ahead_of_their_time_are_the_same_and_unknown_to_checkpoints(tmp_path: Path) -> None:
    at_once, late = training_of(moco(accumulate=2)), training_of(moco(accumulate=2))
    late.loader = Moving(images_of().pixels, CPU.device)
    late.loader.ahead = 3
    fit(at_once)
    fit(late, hooks=[lambda t: save_checkpoint(tmp_path / str(t.step), t, 0.0)])
    assert_same(everything(at_once), everything(late))
    for step in (1, 3, 4, 7):
        other = training_of(moco(accumulate=2), seed=step)
        load_checkpoint(tmp_path / str(step) / f"step-{step:08d}", other)
        fit(other)
        assert_same(everything(at_once), everything(other))


@pytest.mark.parametrize("recipe", [moco_v2, simclr])
@pytest.mark.parametrize("way", [False, True])
def test_multi_crop_trains_end_to_end(recipe: Callable[..., Recipe], way: bool) -> None:
    methods = {"method": MoCoSettings(negatives=40, symmetric=way)} if recipe is moco_v2 else {}
    views = Views(locals=3, local_size=8 if way else None)
    optimisation = Optimisation(epochs=2, batch=16)
    t = training_of(recipe(network=NETWORK, views=views, optimisation=optimisation, **methods))
    rendered: list[dict[str, int]] = []
    rows: set[int] = set()

    def look(t: Training, outcome: Outcome) -> None:
        assert all(view.shape == (16, 3, view.shape[-1], view.shape[-1]) for view in outcome.views.values())
        assert all(torch.isfinite(view).all() for view in outcome.views.values())
        rendered.append({name: view.shape[-1] for name, view in outcome.views.items()})
        rows.add(len(outcome.parts[-1].comparisons["z"].raw.query))
        assert torch.isfinite(outcome.parts[-1].loss)

    before = {name: p.clone() for name, p in t.method.online.named_parameters()}
    fit(t, [look])
    assert rendered == [{"query": 16, "key": 16, "local_1": 8, "local_2": 8, "local_3": 8}] * t.steps
    assert rows == {16 * (4 if recipe is moco_v2 and not way else 8)}
    assert not any(torch.equal(p, before[name]) for name, p in t.method.online.named_parameters() if p.ndim > 1)


def test_small_views_are_cut_from_the_same_images() -> None:
    t = training_of(multi_crop())
    seen: list[Outcome] = []

    def look(t: Training, outcome: Outcome) -> None:
        seen.append(outcome)
        t.stop = True

    fit(t, [look])
    (outcome,) = seen
    for name in ("query", "local_1", "local_2"):
        expected = render(
            t.loader.whole(outcome.draw.index), outcome.params[name], 8 if "local" in name else 16, t.mean, t.std
        )
        assert torch.equal(outcome.views[name], expected)


def test_a_constant_rate_stays_while_the_others_follow_the_schedule() -> None:
    t = training_of(predicting())
    rates: list[dict[bool, float]] = []
    fit(t, [lambda t, outcome: rates.append({g["constant_rate"]: g["lr"] for g in t.optimizer.param_groups})])
    full = 0.8 * 16 / 256
    assert [rate[True] for rate in rates] == pytest.approx([full] * t.steps)
    assert [rate[False] for rate in rates] == pytest.approx([t.schedule(step) for step in range(t.steps)])
    assert rates[0][False] == pytest.approx(full / 2)  # the warm-up spares it, too
    assert rates[-1][False] < 0.1 * full
    constant = {id(p) for g in t.optimizer.param_groups if g["constant_rate"] for p in g["params"]}
    assert constant == {id(p) for p in t.method.predictor.parameters()}


def test_fit_called_again_goes_on_where_it_was_stopped() -> None:
    whole, halting = training_of(moco()), training_of(moco())
    fit(whole)

    def halt(t: Training) -> None:
        t.stop = True

    for step in range(halting.steps):
        assert halting.step == step
        halting.stop = False
        fit(halting, hooks=[halt])
    assert_same(everything(whole), everything(halting))
    fit(halting)  # nothing is left to do
    assert halting.step == halting.steps


def test_observers_see_the_gradients_and_the_queue_that_the_step_used() -> None:
    t = training_of(moco())
    seen: list[int] = []

    def look(t: Training, outcome: Outcome) -> None:
        raw = outcome.parts[-1].comparisons["z"].raw
        assert torch.equal(raw.negatives, t.method.queue.keys)  # the keys of this step are not in it yet
        assert not (raw.negatives[:, None] == raw.key).all(2).any()
        assert all(p.grad is not None for p in t.method.online.parameters())
        assert t.optimizer.param_groups[0]["lr"] == t.schedule(t.step)
        assert outcome.draw.step == t.step
        assert outcome.draw.epoch == t.step // 4
        assert [name for name, _ in outcome.laps][:4] == ["", "views", "data", "views"]
        seen.append(t.step)

    def after(t: Training) -> None:
        assert t.step == seen[-1] + 1
        assert all(p.grad is None for p in t.method.online.parameters())

    fit(t, [look], [after])
    assert seen == list(range(t.steps))


def test_every_epoch_shows_each_image_once_in_an_order_of_its_own() -> None:
    t = training_of(symmetric())
    shown: list[Tensor] = []
    fit(t, [lambda t, outcome: shown.append(outcome.draw.index)])
    first, second = torch.cat(shown[:4]), torch.cat(shown[4:])
    assert len(first.unique()) == len(second.unique()) == 64
    assert not torch.equal(first, second)


@pytest.mark.parametrize("owner", [Outcome, write_sample])
def test_views_may_differ_in_size_and_not_in_number(owner: object) -> None:
    view = get_args(get_type_hints(owner)["views"])[1]
    with jaxtyped("context"):
        assert isinstance(torch.zeros(4, 3, 16, 16), view)
        assert isinstance(torch.zeros(4, 3, 8, 8), view)
        assert not isinstance(torch.zeros(5, 3, 8, 8), view)
        assert not isinstance(torch.zeros(4, 1, 8, 8), view)


class Toy(nn.Module):
    """A loss that is a mean over images, so that parts of a batch know nothing of each other."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = two_views(Augmentation(full_image(), flip=0.0, jitter_probability=0.0, gray=0.0))
        self.online = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))
        for parameter in self.online.parameters():
            nn.init.constant_(parameter, 0.01)
        self.parts: list[int] = []

    def forward(self, views: dict[str, Tensor], draw: Draw) -> Step:
        return Step(self.online(views["query"]).square().sum(1).mean(), {}, draw)

    def after_step(self, *steps: Step) -> None:
        self.parts.append(len(steps))


def toy_of(accumulate: int) -> Training:
    images = images_of(16)
    method = Toy()
    return Training(
        method=method,
        order=Order(16, 8, torch.Generator().manual_seed(0)),
        loader=Resident(images.pixels, CPU.device),
        sizes=images.sizes,
        optimizer=torch.optim.SGD(method.parameters(), 0.1),
        schedule=cosine(0.01, 4),
        views=torch.Generator(),
        features=torch.Generator(),
        size=8,
        mean=torch.zeros(3),
        std=torch.ones(3),
        epochs=2,
        accumulate=accumulate,
    )


@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulated_gradients_of_parts_that_do_not_interact_equal_the_whole_batch(accumulate: int) -> None:
    whole, parts = toy_of(1), toy_of(accumulate)
    fit(whole)
    fit(parts)
    assert parts.method.parts == [accumulate] * 4
    untrained = Toy().online[1].weight
    assert (whole.method.online[1].weight - untrained).abs().max() > 1e-3
    torch.testing.assert_close(parts.method.online[1].weight, whole.method.online[1].weight, rtol=1e-5, atol=1e-7)


def test_an_accumulated_moco_step_enqueues_the_keys_of_all_parts_and_moves_the_target_once() -> None:
    t = training_of(moco(accumulate=2))
    name = "encoder.conv1.weight"
    enqueued: list[Tensor] = []
    moved: list[Tensor] = []

    def check(t: Training, outcome: Outcome) -> None:
        assert len(outcome.parts) == 2
        assert [len(part.comparisons["z"].raw.key) for part in outcome.parts] == [8, 8]
        enqueued.extend(part.comparisons["z"].raw.key for part in outcome.parts)
        online, target = (dict(b.named_parameters())[name] for b in (t.method.online, t.method.target.branch))
        expected = torch.lerp(target, online, 1 - 0.9).detach()

        moved.append(expected)

    def stop(t: Training) -> None:
        assert torch.equal(dict(t.method.target.branch.named_parameters())[name], moved[0])
        t.stop = True

    fit(t, [check], [stop])
    assert torch.equal(t.method.queue.keys[:16], torch.cat(enqueued))
    assert int(t.method.queue.position) == 16


def test_an_accumulated_instdisc_step_updates_the_entries_of_all_parts() -> None:
    t = training_of(banked())
    expected: list[Tensor] = []

    def check(t: Training, outcome: Outcome) -> None:
        vectors = t.method.bank.vectors.clone()
        index = torch.cat([part.draw.index for part in outcome.parts])
        features = torch.cat([part.comparisons["z"].raw.query.detach() for part in outcome.parts])
        assert len(index.unique()) == 16
        mixed = 0.5 * vectors[index] + 0.5 * features
        vectors[index] = torch.nn.functional.normalize(mixed, dim=1) if outcome.draw.epoch else features
        expected.append(vectors)

    fit(t, [check], [lambda t: torch.testing.assert_close(t.method.bank.vectors, expected[-1])])
    assert len(expected) == 8


def test_the_head_is_normalised_in_the_encoders_splits() -> None:
    online = training_of(rising()).method.online
    for part in (online.encoder, online.heads):
        norms = [m for m in part.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        assert norms
        assert all(m.splits == 2 for m in norms)


def test_the_clock_shares_out_all_of_the_time() -> None:
    clock = Clock(torch.device("cpu"))
    clock.laps = [("", 1.0), ("data", 1.5), ("views", 2.5), ("forward", 4.5), ("views", 5.0), ("rest", 6.0)]
    assert dict(zip(PHASES, seconds(clock.laps), strict=True)) == {
        "data": 0.5,
        "views": 1.5,
        "forward": 2.0,
        "backward": 0.0,
        "record": 0.0,
        "rest": 1.0,
    }
    clock.start()
    clock.lap("data")
    assert [name for name, _ in clock.laps] == ["", "data"]
    assert 0 <= sum(seconds(clock.laps)) < 60
