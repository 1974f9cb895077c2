"""The landscape along the gradient: closed forms, copies of a network, and a training that is left as it was."""

import copy
import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pairlens.assemble import assemble
from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.evaluate.landscape import SEED, Sizes, landscape
from pairlens.methods.instdisc import InstDiscSettings
from pairlens.methods.moco import MoCoSettings
from pairlens.methods.siamese import BYOLSettings
from pairlens.methods.swav import SwAVSettings
from pairlens.pairs import Step
from pairlens.place import Place
from pairlens.recipes.general import byol, instdisc, moco_v2, swav
from pairlens.recipes.recipe import Recipe
from pairlens.resolve import resolve
from pairlens.settings import FeatureTransform, Network, Optimisation, Selection, Views
from pairlens.train import Training, draw_part, fit, render_views

SIZES = Sizes((0.5, 2.0), (0.001, 0.01))
NETWORK = Network("resnet8w", "small", hidden=16, dim=8)
SPLIT = Network("resnet8w", "small", hidden=16, dim=8, splits=2)
MIXED = FeatureTransform(extrapolate=2.0, interpolate=1.6, per="element")
HALVES = Optimisation(epochs=2, batch=16, accumulate=2, warmup=0.5)


def training_of(recipe: Recipe, precision: torch.dtype = torch.float32) -> Training:
    pixels = torch.randint(0, 256, (72, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    images = ImageSet(pixels, torch.full((72, 2), 16), [str(i) for i in range(72)])
    place = Place(torch.device("cpu"), precision, threads=1, compile=False)
    return assemble(resolve(recipe, images, place), images, place, 0)


def moco(accumulate: int = 1) -> Recipe:
    return moco_v2(
        method=MoCoSettings(negatives=40, symmetric=True),
        network=SPLIT,
        views=Views(locals=1, local_size=8),
        optimisation=Optimisation(epochs=2, batch=16, accumulate=accumulate),
        transform=MIXED,
        selection=Selection("skewed"),
    )


def banked() -> Recipe:
    """InstDisc, whose constant of NCE is estimated in a forward, and whose first epoch moves nothing."""
    method = InstDiscSettings(negatives=20, objective="nce", fill=True)
    return instdisc(method=method, network=Network("resnet8w", "small", dim=8, head="linear"), optimisation=HALVES)


def estimated() -> Recipe:
    method = InstDiscSettings(negatives=20, objective="nce")
    return instdisc(method=method, network=Network("resnet8w", "small", dim=8, head="linear"), optimisation=HALVES)


def clustering() -> Recipe:
    method = SwAVSettings(prototypes=6, codes_queue=32, freeze_prototypes=1)
    return swav(method=method, network=NETWORK, optimisation=HALVES)


def rising() -> Recipe:
    return byol(method=BYOLSettings(momentum=0.9, predictor_hidden=4), network=SPLIT, optimisation=HALVES)


class Quadratic(nn.Module):
    """A loss of sum(a (w - c) ^ 2) / 2 whose c is drawn for the features: the mean over parts has that of their c."""

    def __init__(self, like: nn.Module, curvature: list[float]) -> None:
        super().__init__()
        self.online, self.plan, self.curvature = like.online, like.plan, torch.tensor(curvature).double()
        self.weight = nn.Parameter(torch.tensor([0.5, -1.0, 2.0, 0.25]).double())

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        centre = torch.rand(4, dtype=torch.float64, generator=draw.features)
        return Step((self.curvature * (self.weight - centre) ** 2).sum() / 2, {}, draw)

    def after_step(self, *steps: Step) -> None:
        """Nothing follows."""


def test_a_quadratic_has_its_closed_form() -> None:
    t = training_of(moco(accumulate=2))
    curvature = [0.5, 1.0, 2.0, 4.0]
    t.method = Quadratic(t.method, curvature)
    t.optimizer = torch.optim.SGD([t.method.weight], 1.0)
    found = landscape(t, 2, SIZES)
    generator = torch.Generator().manual_seed(SEED)
    centres = [torch.rand(4, dtype=torch.float64, generator=generator).tolist() for _ in range(4)]  # 2 batches, 2 parts
    weight = [0.5, -1.0, 2.0, 0.25]

    def loss(at: list[float]) -> float:
        terms = [a * (w - c) ** 2 / 2 for centre in centres for a, w, c in zip(curvature, at, centre, strict=True)]
        return sum(terms) / 4

    slope = [sum(a * (w - centre[i]) for centre in centres) / 4 for i, (a, w) in enumerate(zip(curvature, weight))]  # noqa: B905
    norm = math.sqrt(sum(g * g for g in slope))
    bent = math.sqrt(sum((a * g) ** 2 for a, g in zip(curvature, slope, strict=True)))  # |H g|
    length = math.sqrt(sum(w * w for w in weight))
    rate = t.schedule(0)
    assert (found.step, found.batches, found.learning_rate) == (0, 2, rate)
    assert found.loss == pytest.approx(loss(weight), rel=1e-12)
    assert found.gradient_norm == pytest.approx(norm, rel=1e-12)
    assert found.weight_norm == pytest.approx(length, rel=1e-12)
    for walk, steps in (
        (found.rates, [r * rate for r in SIZES.rates]),
        (found.shares, [s * length / norm for s in SIZES.shares]),
    ):
        assert walk.loss == pytest.approx([loss([w - e * g for w, g in zip(weight, slope)]) for e in steps], rel=1e-12)  # noqa: B905
        assert walk.change == pytest.approx([e * bent for e in steps], rel=1e-9)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_network_is_measured_as_its_copies_are(accumulate: int) -> None:
    t = training_of(moco(accumulate))
    fit(t, hooks=[stop_after(3)])
    found = landscape(t, 1, SIZES)
    rows = torch.randperm(72, generator=torch.Generator().manual_seed(SEED))[:16]

    def naive(step: float, slopes: list[Tensor]) -> tuple[float, list[Tensor]]:
        method = copy.deepcopy(t.method)
        weights = [p for p in method.parameters() if p.requires_grad]
        with torch.no_grad():
            for weight, slope in zip(weights, slopes or [torch.zeros(())] * len(weights), strict=True):
                weight.sub_(step * slope)
        views, features = torch.Generator().manual_seed(SEED + 1), torch.Generator().manual_seed(SEED)
        total = 0.0
        for some in rows.chunk(accumulate):
            part = draw_part(t, some, 3, views, features)
            loss = method(render_views(t, part.params, part.wait()), part.draw).loss / accumulate
            loss.backward()
            total += loss.item()
        return total, [weight.grad for weight in weights]

    def length(vectors: list[Tensor]) -> float:
        return math.sqrt(sum(float(v.double().square().sum()) for v in vectors))

    loss, slopes = naive(0, [])
    assert found.loss == pytest.approx(loss, rel=1e-6)
    assert found.gradient_norm == pytest.approx(length(slopes), rel=1e-5)
    for i, share in enumerate(SIZES.shares):
        there, turned = naive(share * found.weight_norm / found.gradient_norm, slopes)
        assert found.shares.loss[i] == pytest.approx(there, rel=1e-5)
        assert found.shares.change[i] == pytest.approx(
            length([b - a for a, b in zip(slopes, turned, strict=True)]), rel=1e-3
        )


def stop_after(steps: int) -> Callable[[Training], None]:
    def stop(t: Training) -> None:
        t.stop = t.step >= steps

    return stop


def everything(t: Training) -> dict[str, Tensor]:
    """All tensors that a training consists of, buffers that no checkpoint keeps and the global generator as well."""
    found = {f"method.{k}": v.clone() for k, v in (*t.method.named_parameters(), *t.method.named_buffers())}
    for i, state in t.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{i}.{k}": torch.as_tensor(v).clone() for k, v in state.items()}
    found |= {"views": t.views.get_state(), "features": t.features.get_state(), "global": torch.get_rng_state()}
    return found | t.order.state()


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [k for k in one if not torch.allclose(one[k], other[k], rtol=0, atol=0, equal_nan=True)] == []


@pytest.mark.parametrize(
    ("recipe", "precision"),
    [(moco, torch.bfloat16), *((r, torch.float32) for r in (moco, banked, estimated, clustering, rising))],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_training_is_left_as_it_was_and_goes_on_as_without(
    recipe: Callable[[], Recipe], precision: torch.dtype
) -> None:
    plain, measured = training_of(recipe(), precision), training_of(recipe(), precision)
    losses: list[list[float]] = [[], []]
    found = []

    def measure(t: Training) -> None:
        if t.step == 5 or (recipe is banked and t.step == 1):
            before = everything(t)
            found.append(landscape(t, 1, SIZES))
            assert_same(before, everything(t))
            assert all(p.grad is None for p in t.method.parameters())

    for i, (t, hooks) in enumerate(((plain, []), (measured, [measure]))):
        fit(t, [lambda _, outcome, i=i: losses[i].extend(part.loss.item() for part in outcome.parts)], hooks)
    assert len(losses[0]) == 8 * plain.accumulate
    assert losses[0] == losses[1]
    assert_same(everything(plain), everything(measured))
    last = found[-1]
    assert np.isfinite([*last.rates.loss, *last.shares.loss, *last.shares.change]).all()
    assert (last.shares.change > 0).all()
    if recipe is not clustering:  # whose codes, without gradient, move along
        assert last.shares.loss[0] < last.loss  # a small step descends
    if recipe is banked:  # in its first epoch the bank is filled, and nothing is learned
        assert found[0].gradient_norm == 0
        assert np.isnan([*found[0].rates.loss, *found[0].shares.change]).all()


def test_dropout_is_the_same_at_each_place() -> None:
    t = training_of(moco())
    heads = t.method.online.heads
    heads["z"] = nn.Sequential(nn.Dropout(0.5), heads["z"])
    before = torch.get_rng_state()
    one = landscape(t, 1, Sizes((1e-9,), (1e-9,)))
    assert one.rates.loss[0] == pytest.approx(one.loss, rel=1e-6)
    assert torch.equal(torch.get_rng_state(), before)


def test_broken_weights_are_told_as_they_are_and_put_back() -> None:
    t = training_of(moco())
    with torch.no_grad():
        next(t.method.online.parameters())[0] = torch.inf
    before = everything(t)
    found = landscape(t, 1, SIZES)
    assert_same(before, everything(t))
    assert not math.isfinite(found.loss)
    assert np.isnan([*found.rates.loss, *found.shares.change]).all()


def test_an_interrupt_in_the_midst_leaves_the_training_as_it_was() -> None:
    t = training_of(moco())
    before, calls = everything(t), []

    def interrupt(*_: object) -> None:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt

    handle = t.method.online.register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        landscape(t, 1, SIZES)
    handle.remove()
    assert_same(before, everything(t))


def test_the_last_point_has_the_last_rate() -> None:
    t = training_of(moco())
    t.step = t.steps
    assert t.schedule(t.steps) == pytest.approx(0)
    assert landscape(t, 1, SIZES).learning_rate == t.schedule(t.steps - 1) > 0


@pytest.mark.parametrize("values", [(), (0.0, 1.0), (2.0, 1.0), (1.0, 1.0), (-1.0,), (math.nan,), (math.inf,)])
def test_step_sizes_are_checked(values: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="step sizes must be positive numbers that rise"):
        Sizes(rates=values)
    with pytest.raises(InputError, match="distances must be positive numbers that rise"):
        Sizes(shares=values)


@pytest.mark.parametrize("batches", [0, 5])
def test_batches_are_checked(batches: int) -> None:
    with pytest.raises(InputError, match="take 1 to 4 batches"):
        landscape(training_of(moco()), batches)
