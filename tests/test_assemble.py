"""Putting a training together: what is chosen where nothing was said, and what a seed decides."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pairlens.assemble import PURPOSES, assemble, make_branch, seeded, untrained_encoder
from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.environment import describe
from pairlens.errors import InputError
from pairlens.idle import check_effect
from pairlens.methods.instdisc import InstDiscSettings
from pairlens.methods.mochi import MoCHiSettings
from pairlens.methods.moco import MoCoSettings
from pairlens.nets.norm import SplitBatchNorm2d
from pairlens.optim import OptimizerName
from pairlens.place import Place, find_place
from pairlens.recipes import cifar10, flatten, imagenet100
from pairlens.recipes.general import byol, infomin, instdisc, mochi, moco_v2, simclr
from pairlens.recipes.recipe import Recipe
from pairlens.recipes.small import OPTIMISATION
from pairlens.resolve import resolve
from pairlens.settings import FeatureTransform, Machine, Network, Optimisation, Selection, Views
from pairlens.train import Outcome, Training, fit

CPU = Place(torch.device("cpu"), torch.float32, threads=1, compile=False)
GPU = Place(torch.device("cuda"), torch.bfloat16, threads=1, compile=False)  # chosen for, not used
SMALL = Network("resnet8w", "small", hidden=16, dim=8, splits=2)
LINEAR = Network("resnet8w", "small", head="linear", dim=8, splits=2)


def images_of(count: int = 32, side: int = 16) -> ImageSet:
    pixels = torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(pixels, torch.full((count, 2), side), [str(i) for i in range(count)])


def small(**optimisation: Any) -> Recipe:
    chosen = {"epochs": 2, "batch": 8, **optimisation}
    return moco_v2(
        method=MoCoSettings(negatives=16),
        network=SMALL,
        optimisation=Optimisation(**chosen),
        transform=FeatureTransform(interpolate=1.6),
    )


def training_of(recipe: Recipe, seed: int = 0) -> Training:
    images = images_of()
    return assemble(resolve(recipe, images, CPU), images, CPU, seed)


@pytest.mark.parametrize(
    ("count", "side", "place", "expected"),
    [
        (50_000, 32, CPU, (32, "resnet8w", "small", 128, 7, 4096, 0.0, 8)),
        (50_000, 32, GPU, (32, "resnet18", "small", 256, 200, 4096, 0.0, 8)),
        (10_000, 256, CPU, (64, "resnet8w", "small", 128, 9, 4096, 0.0, 8)),
        (10_000, 256, GPU, (224, "resnet18", "imagenet", 256, 200, 4096, 0.5, 8)),
        (10_000, 96, GPU, (96, "resnet18", "imagenet", 256, 200, 4096, 0.5, 8)),
        (300, 32, CPU, (32, "resnet8w", "small", 128, 1000, 128, 0.0, 8)),
        (10, 32, CPU, (32, "resnet8w", "small", 4, 1000, 4, 0.0, 1)),
        (24, 32, CPU, (32, "resnet8w", "small", 8, 1000, 8, 0.0, 1)),
        (32, 32, CPU, (32, "resnet8w", "small", 16, 1000, 16, 0.0, 8)),
        (2, 32, CPU, (32, "resnet8w", "small", 2, 1000, 1, 0.0, 1)),
        (1, 32, CPU, (32, "resnet8w", "small", 1, 1000, 1, 0.0, 1)),
        (1_000_000, 64, CPU, (64, "resnet8w", "small", 128, 1, 4096, 0.0, 8)),
    ],
)
def test_what_was_left_open_is_chosen_from_images_and_machine(
    count: int, side: int, place: Place, expected: tuple[Any, ...]
) -> None:
    stored = torch.zeros(1, 3, 1, 1, dtype=torch.uint8).expand(count, 3, side, side)
    images = ImageSet(stored, torch.full((1, 2), side).expand(count, 2), ["image"] * count)
    flat = flatten(resolve(moco_v2(), images, place))
    names = ("size", "encoder", "stem", "batch", "epochs", "negatives", "blur", "splits")
    assert tuple(flat[name] for name in names) == expected


def test_what_was_said_is_kept() -> None:
    recipe = moco_v2(
        network=Network("resnet10w", "imagenet", splits=4),
        views=Views(size=24, blur=0.3),
        optimisation=Optimisation(epochs=7, batch=20, lr=0.3, weight_decay=0.0),
        method=MoCoSettings(negatives=5),
    )
    before, after = flatten(recipe), flatten(resolve(recipe, images_of(), GPU))
    assert after == before
    assert resolve(recipe, images_of(), CPU).name == "moco_v2"
    assert "negatives" not in flatten(resolve(simclr(), images_of(), CPU))


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.12), ("adamw", 4e-3), ("lars", 0.3)])
def test_each_optimizer_has_a_rate_of_its_own(optimizer: OptimizerName, rate: float) -> None:
    resolved = flatten(resolve(simclr(optimisation=Optimisation(optimizer=optimizer)), images_of(), CPU))
    assert resolved["lr"] == rate
    assert resolved["weight_decay"] is not None


def test_resolving_twice_is_resolving_once() -> None:
    once = resolve(moco_v2(), images_of(), CPU)
    assert flatten(resolve(once, images_of(), GPU)) == flatten(once)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (small(epochs=0), "epochs must be a positive whole number, not 0"),
        (small(batch=0), "batch must be a positive whole number, not 0"),
        (small(batch=-8), "batch must be a positive whole number, not -8"),
        (small(batch=64), "a batch of 64 is larger than the set of 32 images"),
        (small(accumulate=0), "accumulate must be a positive"),
        (small(accumulate=3), "a batch of 8 cannot be cut in 3 equal parts"),
        (small(accumulate=8), "one image at a time"),
        (small(batch=9), "9 images at a time give no 2 equal splits of 2 or more .* multiple of 2 and at least 4"),
        (small(warmup=-1.0), "warm-up must be a number of epochs"),
        (small(warmup=float("nan")), "warm-up must be a number of epochs"),
        (small(lr=-0.1), "learning rate must be positive"),
        (small(lr=float("nan")), "learning rate must be positive"),
        (moco_v2(method=MoCoSettings(negatives=0)), "number of negatives and of dimensions must be positive, not 0"),
        (moco_v2(method=MoCoSettings(negatives=-3)), "must be positive, not -3"),
        (moco_v2(method=MoCoSettings(momentum=2.0)), r"momentum must lie in \[0, 1\], not 2"),
        (moco_v2(method=MoCoSettings(temperature=0.0)), "temperature must be positive"),
        (moco_v2(views=Views(size=0)), "size must be a positive"),
        (moco_v2(views=Views(crop=(0.0, 1.0))), "scale"),
        (moco_v2(network=Network(encoder="vgg")), "no encoder 'vgg'; use one of resnet8w"),
        (moco_v2(network=Network(splits=0)), "splits must be a positive"),
        (moco_v2(network=Network(splits=-2)), "splits must be a positive"),
        (moco_v2(network=Network(dim=0)), "dim must be a positive"),
        (simclr(network=Network(hidden=0)), "hidden must be a positive"),
        (simclr(optimisation=Optimisation(batch=1)), "one image at a time"),
        (simclr(optimisation=Optimisation(batch=4, accumulate=4)), "one image at a time"),
        (moco_v2(views=Views(size=1)), "views of 1 pixel"),
        (moco_v2(transform=FeatureTransform(extrapolate=0.0)), "alpha .* must be positive"),
        (moco_v2(transform=FeatureTransform(interpolate=1.0, ft_start=-1)), "must not be negative"),
    ],
)
def test_what_nothing_can_be_built_with_is_refused_in_a_sentence(recipe: Recipe, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        training_of(recipe)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [2, 3, 5, 30])
@pytest.mark.parametrize("recipe", [moco_v2, simclr])
def test_sets_of_any_size_above_one_can_be_trained_on(recipe: Callable[..., Recipe], count: int) -> None:
    images = images_of(count, side=8)
    recipe = recipe(network=Network(hidden=16, dim=8), optimisation=Optimisation(epochs=1))
    t = assemble(resolve(recipe, images, CPU), images, CPU, 0)
    losses: list[float] = []
    fit(t, [lambda t, outcome: losses.append(outcome.parts[0].loss.item())])
    assert len(losses) == t.steps >= 1
    assert np.isfinite(losses).all()


def test_one_image_cannot_be_compared_with_anything() -> None:
    images = images_of(1)
    with pytest.raises(InputError, match="one image at a time"):
        assemble(resolve(moco_v2(), images, CPU), images, CPU, 0)


def weights_of(t: Training) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in t.method.state_dict().items()}


def trained(seed: int) -> dict[str, Tensor]:
    t = training_of(small(), seed)
    fit(t)
    return weights_of(t)


def test_the_seed_decides_everything() -> None:
    torch.manual_seed(1)
    first = trained(3)
    torch.manual_seed(2)  # nothing comes from here
    second, other = trained(3), trained(4)
    assert all(torch.equal(first[name], second[name]) for name in first)
    moving = [name for name in first if name.endswith(("weight", "keys"))]
    assert moving
    assert not any(torch.equal(first[name], other[name]) for name in moving if "bn" not in name)


def test_initial_weights_and_queue_come_from_the_seed() -> None:
    one, same, other = (weights_of(training_of(small(), seed)) for seed in (3, 3, 4))
    drawn = [name for name in one if ("conv" in name or "heads" in name or "keys" in name) and "bias" not in name]
    assert len(drawn) > 10
    for name in drawn:
        assert torch.equal(one[name], same[name])
        assert not torch.equal(one[name], other[name])


def test_purposes_have_streams_of_their_own() -> None:
    streams = [
        torch.rand(6, generator=seeded(seed, purpose, "cpu")).tolist() for seed in range(4) for purpose in PURPOSES
    ]
    assert len({tuple(stream) for stream in streams}) == 4 * len(PURPOSES)
    assert torch.equal(
        torch.rand(6, generator=seeded(2, "order", "cpu")), torch.rand(6, generator=seeded(2, "order", "cpu"))
    )


def test_every_generator_is_drawn_from_for_its_purpose_only() -> None:
    seed, images = 5, images_of()
    t = training_of(small(), seed)
    again = seeded(seed, "queue", "cpu")
    keys = torch.nn.functional.normalize(torch.randn(16, 8, generator=again), dim=1)
    assert torch.equal(t.method.queue.keys, keys)
    branch = make_branch(SMALL, torch.float32, seeded(seed, "weights", "cpu"))
    assert all(torch.equal(v, branch.state_dict()[k]) for k, v in t.method.online.state_dict().items())
    assert torch.equal(t.views.get_state(), seeded(seed, "views", "cpu").get_state())
    assert torch.equal(t.features.get_state(), seeded(seed, "features", "cpu").get_state())
    order = torch.randperm(len(images), generator=seeded(seed, "order", "cpu"))
    seen: list[Tensor] = []

    def stop(t: Training) -> None:
        t.stop = t.step == 4

    fit(t, [lambda t, outcome: seen.append(outcome.draw.index)], [stop])
    assert torch.equal(torch.cat(seen), order)
    views = seeded(seed, "views", "cpu")  # the plan alone moved it
    plan = resolve(small(), images, CPU).plan()
    for step, index in enumerate(seen):
        plan(Draw(index, images.sizes[index], epoch=0, step=step, views=views, features=torch.Generator()))
    assert torch.equal(t.views.get_state(), views.get_state())


@pytest.mark.parametrize(("batch", "rate"), [(4, 0.12 * 4 / 256), (16, 0.12 * 16 / 256)])
def test_the_learning_rate_is_scaled_with_the_batch(batch: int, rate: float) -> None:
    t = training_of(small(batch=batch, lr=0.12))
    assert t.schedule(0) == pytest.approx(rate)
    rates: list[float] = []
    fit(t, [lambda t, outcome: rates.append(t.optimizer.param_groups[0]["lr"])])
    assert rates == [t.schedule(step) for step in range(t.steps)]
    assert rates[0] == pytest.approx(rate)
    assert rates[-1] < rates[0]


def test_schedules_and_warm_up_count_in_epochs() -> None:
    cosine = training_of(small(epochs=10, warmup=0.5))  # 4 steps an epoch
    full = cosine.schedule(2)
    assert cosine.schedule(0) == pytest.approx(full / 2)
    assert cosine.schedule(21) == pytest.approx(full / 2)
    assert cosine.schedule(40) == pytest.approx(0, abs=1e-9)
    steps = training_of(small(epochs=10, schedule="steps"))
    assert [steps.schedule(i) / full for i in (0, 23, 24, 31, 32, 39)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_cosine_ends_at_its_floor_and_a_constant_rate_stays() -> None:
    falling = training_of(small(epochs=10, floor=0.1, warmup=0.5))
    full = falling.schedule(2)
    assert falling.schedule(40) == pytest.approx(0.1 * full)
    assert falling.schedule(21) == pytest.approx(0.55 * full)
    staying = training_of(small(epochs=10, schedule="constant", warmup=0.5))
    assert [staying.schedule(i) / full for i in (0, 1, 2, 39)] == pytest.approx([0.5, 1, 1, 1])


F = 128  # features of resnet8w
HEADS: dict[str, tuple[Network, list[str]]] = {
    "linear": (Network(head="linear", dim=8), [f"linear {F} 8 bias"]),
    "mlp": (Network(hidden=16, dim=8), [f"linear {F} 16 bias", "relu", "linear 16 8 bias"]),
    "narrow": (Network(hidden=2, dim=3), [f"linear {F} 2 bias", "relu", "linear 2 3 bias"]),
    "deeper": (
        Network(hidden=16, dim=8, layers=4),
        [f"linear {F} 16 bias", "relu", *["linear 16 16 bias", "relu"] * 2, "linear 16 8 bias"],
    ),
    "hidden normalised": (
        Network(hidden=16, dim=8, layers=3, head_norm="hidden"),
        [f"linear {F} 16", "norm 16", "relu", "linear 16 16", "norm 16", "relu", "linear 16 8 bias"],
    ),
    "all normalised": (
        Network(hidden=16, dim=8, head_norm="all"),
        [f"linear {F} 16", "norm 16", "relu", "linear 16 8", "norm 8 plain"],
    ),
}


def layer(module: nn.Module) -> str:
    if isinstance(module, nn.Linear):
        return f"linear {module.in_features} {module.out_features}" + (" bias" if module.bias is not None else "")
    if isinstance(module, nn.BatchNorm1d):
        return f"norm {module.num_features}" + ("" if module.affine else " plain")
    return type(module).__name__.lower()


@pytest.mark.parametrize(("network", "layers"), HEADS.values(), ids=list(HEADS))
def test_heads_have_the_layers_asked_for(network: Network, layers: list[str]) -> None:
    t = training_of(moco_v2(network=replace(network, encoder="resnet8w"), method=MoCoSettings(negatives=16)))
    for branch in (t.method.online, t.method.target.branch):
        head = branch.heads["z"]
        assert [layer(module) for module in (head if isinstance(head, nn.Sequential) else [head])] == layers
    t.epochs = 1
    fit(t)
    assert t.method.queue.keys.shape == (16, network.dim)
    assert torch.isfinite(t.method.queue.keys).all()


def test_an_epoch_that_only_fills_a_bank_is_not_the_only_one() -> None:
    filling = instdisc(network=LINEAR, optimisation=Optimisation(epochs=1, batch=8))
    with pytest.raises(InputError, match="with epochs 1 nothing is learned, because this method"):
        training_of(filling)
    assert training_of(replace(filling, method=InstDiscSettings())).steps == 4
    assert training_of(replace(filling, optimisation=Optimisation(epochs=2, batch=8))).steps == 8
    many = images_of(1).pixels.expand(1_000_000, 3, 16, 16)
    images = ImageSet(many, torch.full((1, 2), 64).expand(1_000_000, 2), [""] * 1_000_000)
    chosen = [resolve(recipe(views=Views(size=64)), images, CPU).optimisation.epochs for recipe in (instdisc, moco_v2)]
    assert chosen == [2, 1]


def test_an_mlp_head_has_a_hidden_layer() -> None:
    with pytest.raises(InputError, match="1 layers has no hidden layer"):
        training_of(moco_v2(network=replace(SMALL, layers=1)))


@pytest.mark.parametrize(
    ("name", "value"), [("layers", 3), ("head_norm", "hidden"), ("head_norm", "all"), ("hidden", 16)]
)
def test_a_linear_head_takes_no_argument_of_an_mlp(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^{name} shapes the hidden layers of an MLP head, and this one is linear; "):
        training_of(moco_v2(network=replace(LINEAR, **{name: value})))


@pytest.mark.parametrize("recipe", [byol, cifar10.simsiam])
def test_what_a_recipe_brought_for_its_own_head_is_dropped_by_a_linear_one(recipe: Callable[..., Recipe]) -> None:
    usual = recipe().network
    assert (usual.layers, usual.head_norm) != (2, "none")
    made = resolve(recipe(network=replace(usual, head="linear", encoder="resnet8w")), images_of(), CPU)
    assert (made.network.head, made.network.layers, made.network.head_norm) == ("linear", 2, "none")
    assert resolve(recipe(), images_of(), CPU).network.head_norm == usual.head_norm


BROUGHT: list[tuple[Recipe, str, str, object]] = [
    (cifar10.moco_v2(optimisation=replace(OPTIMISATION, schedule="constant")), "optimisation", "floor", 0.0),
    (imagenet100.swav(views=replace(imagenet100.swav().views, locals=0)), "views", "local_size", None),
    (infomin(views=replace(infomin().views, jitter_probability=0.0)), "views", "jitter", Views.jitter),
]


@pytest.mark.parametrize(("recipe", "group", "name", "default"), BROUGHT, ids=[b[2] for b in BROUGHT])
def test_what_a_recipe_brought_for_what_is_switched_off_is_dropped(
    recipe: Recipe, group: str, name: str, default: object
) -> None:
    assert getattr(getattr(recipe, group), name) != default
    made = resolve(recipe, images_of(), CPU)
    assert getattr(getattr(made, group), name) == default
    check_effect(made.views)
    check_effect(made.optimisation)


def test_a_local_size_without_local_views_is_not_dropped_but_refused() -> None:
    with pytest.raises(InputError, match=r"^local_size shapes the small views, and there are none; ask for some with"):
        training_of(simclr(views=Views(local_size=8)))


def test_a_floor_of_another_schedule_than_the_cosine_is_refused() -> None:
    with pytest.raises(InputError, match=r"^floor is where a cosine ends, and the schedule is steps; choose"):
        training_of(small(schedule="steps", floor=0.1))


@pytest.mark.parametrize("start", [2, 7])
def test_a_feature_transformation_that_never_starts_is_refused(start: int) -> None:
    recipe = replace(small(epochs=2), transform=FeatureTransform(interpolate=1.6, ft_start=start))
    with pytest.raises(InputError, match=f"starts at epoch {start} is never applied in 2 epochs; train longer"):
        training_of(recipe)
    training_of(replace(recipe, transform=FeatureTransform(interpolate=1.6, ft_start=1)))


SELECTABLE: dict[str, tuple[Recipe, int]] = {  # with 4 images at a time, of 32
    "batch": (simclr(network=SMALL), 6),
    "queue": (moco_v2(network=SMALL, method=MoCoSettings(negatives=16)), 16),
    "union": (
        moco_v2(
            network=SMALL,
            method=MoCoSettings(negatives=16),
            transform=FeatureTransform(interpolate=1.6, union=True),
        ),
        32,
    ),
    "own": (mochi(network=SMALL, method=MoCHiSettings(negatives=16, hardest=8, mixed=3, query_mixed=2)), 21),
    "bank": (instdisc(network=LINEAR, method=InstDiscSettings(full=True)), 31),
}


@pytest.mark.parametrize("select", ["hardest", "semi_hard", "uniform"])
@pytest.mark.parametrize(("recipe", "there"), SELECTABLE.values(), ids=list(SELECTABLE))
def test_no_more_negatives_are_selected_than_there_are(
    monkeypatch: pytest.MonkeyPatch, recipe: Recipe, there: int, select: Any
) -> None:
    recipe = replace(recipe, optimisation=Optimisation(epochs=1, batch=8, accumulate=2))
    t = training_of(replace(recipe, selection=Selection(select, there)))
    widths: set[int] = set()
    fit(t, [lambda t, outcome: widths.add(outcome.parts[-1].comparisons["z"].scores.negative.shape[1])])
    assert widths == {there}
    monkeypatch.setattr("pairlens.assemble.make_branch", None)  # nothing is made
    said = f"^{there + 1} negatives cannot be selected of the {there} that each query has; ask for fewer, or give more"
    with pytest.raises(InputError, match=said) as caught:
        training_of(replace(recipe, selection=Selection(select, there + 1)))
    assert "\n" not in str(caught.value)


def test_more_ranks_may_be_drawn_than_there_are() -> None:
    training_of(simclr(network=SMALL, optimisation=Optimisation(epochs=1, batch=8), selection=Selection("skewed", 50)))


def test_a_fixed_head_that_is_normalised_still_counts_its_features() -> None:
    network = replace(SMALL, head_norm="all", fixed_head=True)
    t = training_of(replace(small(epochs=2), network=network))
    before = {name: value.clone() for name, value in t.method.online.heads["z"].state_dict().items()}
    fit(t)
    after = t.method.online.heads["z"].state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert {name.rpartition(".")[2] for name in moved} == {"running_mean", "running_var", "num_batches_tracked"}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lars"])
@pytest.mark.parametrize("network", [LINEAR, replace(SMALL, layers=3)], ids=["linear", "mlp"])
def test_a_fixed_head_is_bitwise_what_was_drawn_in_both_branches(network: Network, optimizer: OptimizerName) -> None:
    recipe = small(epochs=5, optimizer=optimizer, weight_decay=0.1)
    t = training_of(replace(recipe, network=replace(network, fixed_head=True)))
    head, encoder = (
        {name: value.clone() for name, value in module.state_dict().items()}
        for module in (t.method.online.heads["z"], t.method.online.encoder)
    )
    free = training_of(replace(recipe, network=network)).method.online.heads["z"].state_dict()
    assert all(torch.equal(value, free[name]) for name, value in head.items())  # drawn as a free one is
    fit(t)
    assert t.step == 20
    for branch in (t.method.online, t.method.target.branch):
        for name, value in branch.heads["z"].state_dict().items():
            assert torch.equal(value, head[name])
    moved = [
        name for name, value in t.method.online.encoder.state_dict().items() if not torch.equal(value, encoder[name])
    ]
    assert {name for name, _ in t.method.online.encoder.named_parameters()} <= set(moved)
    optimised = {id(p) for group in t.optimizer.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in t.method.online.encoder.parameters()}


@pytest.mark.parametrize("splits", [1, 2])
@pytest.mark.parametrize("zero", [False, True])
def test_residual_branches_start_as_zero_where_asked_for(splits: int, zero: bool) -> None:
    network = replace(SMALL, splits=splits, zero_init_residual=zero)
    encoder = make_branch(network, torch.float32, seeded(0, "weights", "cpu")).encoder
    blocks = [module for module in encoder.modules() if hasattr(module, "last_norm")]
    assert len(blocks) == 3
    for block in blocks:
        assert (block.last_norm.weight == (0 if zero else 1)).all()
    assert (encoder.bn1.weight == 1).all()


def test_the_untrained_encoder_is_the_one_that_a_training_begins_with() -> None:
    t = training_of(small(), seed=3)
    state = untrained_encoder(SMALL, torch.float32, 3).state_dict()
    assert all(torch.equal(value, state[name]) for name, value in t.method.online.encoder.state_dict().items())
    other = untrained_encoder(SMALL, torch.float32, 4).state_dict()
    assert not torch.equal(other["conv1.weight"], state["conv1.weight"])


@pytest.mark.parametrize(
    "selection",
    [Selection(), Selection("hardest"), Selection("uniform"), Selection("skewed"), Selection("hardest", 3)],
    ids=lambda s: f"{s.select}-{s.selected}",
)
@pytest.mark.parametrize("recipe", [moco_v2, simclr])
def test_a_query_has_as_many_negatives_as_the_recipe_says(recipe: Callable[..., Recipe], selection: Selection) -> None:
    made = recipe(network=SMALL, optimisation=Optimisation(epochs=1, batch=8, accumulate=2), selection=selection)
    made = resolve(made, images_of(), CPU)
    t = assemble(made, images_of(), CPU, 0)
    counts: set[int] = set()

    def count(t: Training, outcome: Outcome) -> None:
        scores = outcome.parts[-1].comparisons["z"].scores
        width = scores.negative.shape[1]
        counts.update([width] if scores.excluded is None else (~scores.excluded).sum(1).tolist())

    fit(t, [count])
    assert counts == {made.negatives_of_a_query(4, 32)}


def test_the_training_is_what_the_recipe_says() -> None:
    t = training_of(small(accumulate=2))
    assert (t.size, t.epochs, t.accumulate, len(t.order), t.steps) == (16, 2, 2, 4, 8)
    assert {id(p) for p in t.method.online.parameters()} == {
        id(p) for group in t.optimizer.param_groups for p in group["params"]
    }
    mean, std = images_of().mean_std()
    assert torch.equal(t.mean, mean)
    assert torch.equal(t.std, std)
    assert any(isinstance(m, SplitBatchNorm2d) and m.splits == 2 for m in t.method.modules())
    assert t.method.target.shuffle
    assert (t.method.contrast.select, t.method.contrast.mine_on) == (None, "transformed")
    mining = training_of(replace(small(), selection=Selection("skewed", mine_on="raw"))).method.contrast
    assert mining.select is not None
    assert mining.mine_on == "raw"
    assert not training_of(moco_v2(network=Network(splits=1))).method.target.shuffle


def test_the_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    place = find_place(Machine("cpu", "bf16", threads=3, compile=True))
    assert place == Place(torch.device("cpu"), torch.bfloat16, 3, True)
    assert find_place(Machine("cpu", "fp32")).precision == torch.float32
    assert find_place(Machine("cpu")).threads >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    assert find_place(Machine("cpu", threads=3)).threads == 3
    assert find_place(Machine("cpu")).threads == os.cpu_count()


@pytest.mark.parametrize("device", ["gpu", "cuda:77", "tpu0", "meta", "cpu:0:1"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(InputError, match=f"there is no device '{device}' on this machine; use cpu"):
        find_place(Machine(device))


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_must_be_positive(threads: int) -> None:
    with pytest.raises(InputError, match=f"threads must be positive, not {threads}"):
        find_place(Machine("cpu", threads=threads))


def test_the_environment_is_described_without_a_path_of_the_machine() -> None:
    found = describe(CPU)
    assert found["device"] == "cpu"
    assert found["precision"] == "float32"
    assert (found["threads"], found["compile"], found["gpu"]) == (1, False, None)
    assert all(found[name] for name in ("python", "torch", "numpy", "pillow", "platform", "processor"))
