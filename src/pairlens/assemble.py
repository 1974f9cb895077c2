"""Put a resolved recipe, a source of images and a machine together: build the training."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.data.images import ImageSet
from pairlens.data.loader import make_loader
from pairlens.data.order import Order
from pairlens.errors import InputError
from pairlens.idle import check_effect
from pairlens.methods import Parts
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import ResNet, encoder_names, make_encoder
from pairlens.nets.fan import Fan, Part
from pairlens.nets.heads import linear_head, mlp_head
from pairlens.nets.norm import SplitBatchNorm2d
from pairlens.optim import Schedule, constant, cosine, make_optimizer, step_decay
from pairlens.place import Place
from pairlens.recipes.recipe import Recipe
from pairlens.settings import Network
from pairlens.train import Training
from pairlens.views.plans import view_sizes
from pairlens.views.render import render

Colours = tuple[Float[Tensor, "3"], Float[Tensor, "3"]]
"""The channels' mean and standard deviation, in [0, 1] units."""
PURPOSES = ("weights", "order", "views", "features", "queue")
"""What randomness is for; each purpose has a generator of its own."""


def assemble(
    recipe: Recipe, images: ImageSet, place: Place, seed: int, measure: Callable[[], Colours] | None = None
) -> Training:
    """Build the training that a resolved recipe describes; the same seed gives the same training.

    `measure` gives the pixels' mean and standard deviation where they are known, or to be told of.

    Raises:
        InputError: an argument that nothing can be built with.
    """
    _check(recipe, images)
    o, size = recipe.optimisation, recipe.views.size or 0
    generator = {p: seeded(seed, p, place.device if p in ("features", "queue") else "cpu") for p in PURPOSES}
    boxes = recipe.crops.table(images)
    plan = recipe.plan(boxes)
    branch = make_branch(
        recipe.network,
        place.precision,
        generator["weights"],
        (size, *view_sizes(plan, size).values()),
        recipe.method.heads,
    )
    order = Order(len(images), o.batch or 0, generator["order"])
    method = recipe.method.build(
        Parts(
            branch=branch.to(place.device).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
            plan=plan,
            contrast=recipe.contrast(),
            images=images,
            dim=recipe.network.dim,
            steps=(o.epochs or 0) * len(order),
            shuffle=recipe.network.splits > 1,
            weights=generator["weights"],
            state=generator["queue"],
        )
    )
    assert isinstance(method, nn.Module)
    method.to(place.device)
    lr = (o.lr or 0) * order.batch / 256
    steps, warmup = (o.epochs or 0) * len(order), round(o.warmup * len(order))
    schedules: dict[str, Schedule] = {
        "cosine": cosine(lr, steps, warmup, o.floor),
        "steps": step_decay(lr, (round(0.6 * steps), round(0.8 * steps)), warmup=warmup),
        "constant": constant(lr, warmup),
    }
    mean, std = (measure or images.mean_std)()
    if place.compile:
        method.online.encoder.compile()
    return Training(
        method=method,
        order=order,
        loader=make_loader(images.pixels, place.device, images.styles),
        sizes=images.sizes,
        boxes=boxes,
        optimizer=make_optimizer(
            o.optimizer, method, lr=lr, weight_decay=o.weight_decay or 0.0, constant_rate=recipe.method.constant_rate
        ),
        schedule=schedules[o.schedule],
        views=generator["views"],
        features=generator["features"],
        size=size,
        mean=mean.to(place.device),
        std=std.to(place.device),
        epochs=o.epochs or 0,
        accumulate=o.accumulate,
        render=torch.compile(render) if place.compile and place.device.type != "cpu" else render,
    )


def make_branch(
    network: Network,
    precision: torch.dtype,
    generator: torch.Generator,
    sizes: Sequence[int] = (224,),
    heads: Sequence[str] = ("z",),
) -> Branch:
    """The branch as a training begins with it, drawn from a generator of the purpose "weights".

    Args:
        network: its shape.
        precision: of its layers.
        generator: of all weights: the encoder's first, then head after head.
        sizes: sides of the views that it will see, pixels, those that are evaluated first; another library's encoder
            may be built for them.
        heads: their names.
    """
    encoder = make_encoder(
        network.encoder or "",
        stem=network.stem,
        norm=partial(SplitBatchNorm2d, splits=network.splits) if network.splits > 1 else None,
        zero_init_residual=network.zero_init_residual,
        weights=network.weights,
        sizes=sizes,
        generator=generator,
    )
    if network.last_stage == "shared":
        return Branch(encoder, {name: _head(network, encoder.features, generator) for name in heads}, precision)
    if not isinstance(encoder, ResNet):
        raise InputError(
            f"{network.encoder} has no last stage that each space could have for itself; use one of "
            f"{', '.join(encoder_names())}, or last_stage shared"
        )
    fan = Fan(encoder, heads, generator if network.weights is None else None)
    projections = {
        name: nn.Sequential(Part(i, fan.width), _head(network, fan.width, generator)) for i, name in enumerate(heads)
    }
    return Branch(fan, projections, precision)


def _head(network: Network, features: int, generator: torch.Generator) -> nn.Module:
    """One projection head."""
    if network.head == "linear":
        head = linear_head(features, network.dim, generator)
    else:
        head = mlp_head(
            features,
            network.hidden,
            network.dim,
            layers=network.layers,
            batch_norm=network.head_norm != "none",
            output_norm=network.head_norm == "all",
            splits=network.splits,
            generator=generator,
        )
    return head.requires_grad_(not network.fixed_head)


def untrained_encoder(
    network: Network, precision: torch.dtype, seed: int, size: int = 224, heads: Sequence[str] = ("z",)
) -> nn.Module:
    """The encoder at its random initialisation of this seed, for views of `size` pixels: the evaluation's baseline.

    Starting weights are not loaded, so evaluating needs no file but the run's own.
    """
    network = replace(network, weights=None)
    return make_branch(network, precision, seeded(seed, "weights", "cpu"), (size,), heads).encoder


def seeded(seed: int, purpose: str, device: torch.device | str) -> torch.Generator:
    """The generator of one purpose; purposes do not share numbers, whatever the seed."""
    return torch.Generator(device).manual_seed(seed * len(PURPOSES) + PURPOSES.index(purpose))


def _check(recipe: Recipe, images: ImageSet) -> None:
    o = recipe.optimisation
    for name, value in (
        ("epochs", o.epochs),
        ("batch", o.batch),
        ("accumulate", o.accumulate),
        ("size", recipe.views.size),
        ("splits", recipe.network.splits),
        ("hidden", recipe.network.hidden),
        ("dim", recipe.network.dim),
    ):
        if value is None or value < (0 if name == "epochs" and not recipe.method.trains else 1):
            raise InputError(f"{name} must be a positive whole number, not {value}")
    idle = recipe.method.idle_epochs
    if o.epochs and o.epochs <= idle:
        raise InputError(
            f"with epochs {o.epochs} nothing is learned, because this method's first epoch only fills its bank; train "
            "longer, or fill nothing (--no-fill)"
        )
    copies = 0 if images.styles is None else len(images.styles)
    if recipe.views.texture and copies < recipe.views.styles:
        raise InputError(
            f"views with textures show {recipe.views.styles} stylised copies of each image, and there are {copies}; "
            "make them with `styling.add_copies`, or leave texture out"
        )
    check_effect(recipe.network)
    recipe.crops.check(o.epochs or 0)
    check_effect(o)
    if 0 < (o.epochs or 0) <= recipe.transform.ft_start:
        raise InputError(
            f"a feature transformation that starts at epoch {recipe.transform.ft_start} is never applied in {o.epochs} "
            "epochs; train longer, or start earlier"
        )
    if (o.batch or 0) % o.accumulate:
        raise InputError(f"a batch of {o.batch} cannot be cut in {o.accumulate} equal parts; choose a divisor")
    part, splits = (o.batch or 0) // o.accumulate, recipe.network.splits
    if part < 2:
        raise InputError("one image at a time can be neither normalised nor compared; train with 2 or more")
    if part % splits or part // splits < 2:
        raise InputError(
            f"{part} images at a time give no {splits} equal splits of 2 or more to normalise; choose a batch that is "
            f"a multiple of {splits} and at least {2 * splits}, fewer splits, or fewer accumulated parts"
        )
    recipe.check_selection(part, len(images))
    if (recipe.views.size or 0) < 2:
        raise InputError("views of 1 pixel show nothing; choose a size of 2 at least, and better 16 or more")
    if not math.isfinite(o.warmup) or o.warmup < 0:
        raise InputError(f"the warm-up must be a number of epochs, not {o.warmup}")
