"""Recipes: what they say of themselves, stored and called again; and what their groups of arguments make."""

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import torch
import torch.nn.functional as F

from pairlens.assemble import assemble
from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.methods.instdisc import InstDiscSettings
from pairlens.methods.mochi import MoCHiSettings
from pairlens.methods.moco import MoCoSettings
from pairlens.pairs import Pairs, identity
from pairlens.place import Place
from pairlens.recipes import RECIPES, defaults, find_recipe, flatten, general, restore, usual_recipe
from pairlens.recipes.describe import arguments, field_texts, first_line
from pairlens.recipes.recipe import Recipe
from pairlens.resolve import resolve
from pairlens.settings import FeatureTransform, Optimisation, Selection, Views
from pairlens.train import fit

every = pytest.mark.parametrize("name", list(RECIPES))
CPU = Place(torch.device("cpu"), torch.float32, threads=1, compile=False)


def other(value: Any, hint: Any) -> Any:
    """Another value of the same type."""
    if get_origin(hint) is None:
        grown: dict[type, Callable[[Any], Any]] = {
            bool: lambda v: not v,
            int: lambda v: v + 1,
            float: lambda v: v + 0.5,
            str: lambda v: v + "!",
        }
        return grown[hint](value)
    if get_origin(hint) is tuple:
        return ("crop",) if get_args(hint)[0] is str else tuple(v + 0.5 for v in value)
    options = get_args(hint)
    if type(None) not in options:  # a Literal
        return next(v for v in options if v != value)
    if value is not None:
        return None
    one = next(o for o in options if o is not type(None))
    return next(v for v in get_args(one)) if get_args(one) else one(3)


def changed(name: str) -> Recipe:
    """The recipe with every argument that it takes set to something else than its own."""
    groups = {}
    for parameter, group in defaults(find_recipe(name)).items():
        hints = get_type_hints(type(group))
        values = {f.name: other(getattr(group, f.name), hints[f.name]) for f in fields(group)}
        groups[parameter] = replace(group, **values)
    return find_recipe(name)(**groups)


@every
def test_every_argument_survives_flattening_json_and_restoring(name: str) -> None:
    for one in (find_recipe(name)(), changed(name)):
        again = restore(one.name, json.loads(json.dumps(flatten(one))))
        assert again == one
        assert again.name == name


@every
def test_changing_an_argument_is_seen_in_the_flat_record(name: str) -> None:
    plain, other = flatten(find_recipe(name)()), flatten(changed(name))
    assert plain.keys() == other.keys()
    assert [key for key in plain if plain[key] == other[key]] == []


@every
def test_no_two_groups_share_a_flag(name: str) -> None:
    groups = defaults(find_recipe(name))
    names = [f.name for group in groups.values() for f in fields(group)]
    assert len(names) == len(set(names)) == len(flatten(find_recipe(name)()))


@every
def test_a_recipe_takes_only_groups_that_have_an_effect(name: str) -> None:
    recipe, groups = find_recipe(name)(), defaults(find_recipe(name))
    method = name.rpartition(".")[2]
    assert ("selection" in groups) == (recipe.method.contrasts and method != "random")
    assert ("transform" in groups) == (method not in ("supervised", "random"))
    assert {"network", "views"} <= set(groups)


@every
def test_every_recipe_says_in_a_line_what_it_is_and_names_its_sources(name: str) -> None:
    text = inspect.getdoc(find_recipe(name)) or ""
    assert first_line(find_recipe(name)).endswith(".")
    assert re.search(r"(et al\.|& He) 20\d\d|CCrop, Section|GP, (Section|Table)|FT, Table", text)
    if "." in name and not name.startswith("scenes"):
        assert re.search(r"(CCrop|FT|GP), (Section|Table|Figure)", text)


@every
def test_every_argument_is_described_with_its_value(name: str) -> None:
    recipe = find_recipe(name)
    rows = {row.flag: row for rows in arguments(recipe).values() for row in rows}
    assert set(rows) == {f"--{key.replace('_', '-')}" for key in flatten(recipe())}
    assert all(row.help.endswith(".") for row in rows.values())
    for key, value in flatten(recipe()).items():
        shown = rows[f"--{key.replace('_', '-')}"].value
        if isinstance(value, float):
            assert float(shown) == pytest.approx(value, rel=1e-5)
        elif isinstance(value, int) and not isinstance(value, bool):
            assert shown == str(value)


def test_a_field_is_described_by_the_text_below_it_and_by_its_parents() -> None:
    texts = field_texts(InstDiscSettings)
    assert texts["temperature"] == "What scores are divided by before the loss."
    assert texts["bank_momentum"].startswith("Of the bank's entries")
    assert set(field_texts(Views)) == {f.name for f in fields(Views)}


def test_an_unknown_recipe_is_named_with_near_ones() -> None:
    with pytest.raises(InputError, match="no recipe 'simclear'; did you mean simclr"):
        find_recipe("simclear")
    with pytest.raises(InputError, match=r"no recipe 'cifar10\.mocov2'; did you mean cifar10\.moco_v2"):
        find_recipe("cifar10.mocov2")
    with pytest.raises(InputError, match=r"^there is no recipe 'zzz'; `pairlens recipes` lists them all$"):
        restore("zzz", {})
    assert find_recipe("moco_v2") is general.moco_v2


def test_recipes_are_named_after_data_and_method() -> None:
    assert {"instdisc", "moco_v1", "moco_v2", "mochi", "unmix", "simclr", "infomin", "byol", "simsiam", "swav"} < set(
        RECIPES
    )
    for data in ("cifar10", "cifar100", "tiny_imagenet", "stl10"):
        assert {f"{data}.{method}" for method in ("moco_v2", "simclr", "byol", "simsiam")} < set(RECIPES)
    for method in ("moco_v1", "moco_v2", "simclr", "infomin", "swav", "simsiam"):
        assert f"imagenet100.{method}" in RECIPES
    assert usual_recipe("scenes:shortcut") == "scenes.simclr"
    assert usual_recipe("photos") == "moco_v2"


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_a_step_on_tiny_images(name: str) -> None:
    plain = find_recipe(name)()
    small = {"encoder": "resnet8w", "stem": "small", "dim": 8, "splits": 1}
    small |= {"hidden": 16} if plain.network.head == "mlp" else {}
    tiny = {"size": 16, "locals": min(1, plain.views.locals), "local_size": None}
    few = {"negatives": 8, "hardest": 4, "mixed": 2, "query_mixed": 1}
    few |= {"prototypes": 4, "codes_queue": 8, "predictor_hidden": 8}
    groups = {
        "network": replace(plain.network, **small),
        "views": replace(plain.views, **tiny),
        "optimisation": replace(plain.optimisation, epochs=1 + plain.method.idle_epochs, batch=8),
        "method": replace(plain.method, **{k: v for k, v in few.items() if hasattr(plain.method, k)}),
    }
    recipe = find_recipe(name)(**{k: v for k, v in groups.items() if k in defaults(find_recipe(name))})
    pixels = torch.randint(0, 256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    images = ImageSet(pixels, torch.full((8, 2), 16), list("abcdefgh"), torch.arange(8) % 2, ("one", "two"))
    resolved = resolve(recipe, images, CPU)
    training = assemble(resolved, images, CPU, seed=0)
    losses: list[float] = []
    fit(training, [lambda t, outcome: losses.append(outcome.parts[0].loss.item())])
    assert len(losses) == training.steps == (0 if name == "random" else 1 + plain.method.idle_epochs)
    assert torch.tensor(losses).isfinite().all()
    assert restore(name, flatten(resolved)) == resolved


@pytest.mark.parametrize("temperature", [0.0, -0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["moco_v2", "simclr", "cifar10.moco_v2", "instdisc", "swav"])
def test_a_temperature_that_is_not_positive_is_refused(name: str, temperature: float) -> None:
    method = replace(find_recipe(name)().method, temperature=temperature)
    with pytest.raises(InputError, match="temperature must be positive"):
        find_recipe(name)(method=method).contrast()


@every
def test_nothing_is_transformed_or_selected_unless_asked_for(name: str) -> None:
    contrast = find_recipe(name)().contrast()
    assert contrast.transform is identity
    assert contrast.select is None


CROP = {"size": 224, "crop": (0.2, 1.0), "gray": 0.2, "flip": 0.5}
V1 = {**CROP, "jitter": (0.4, 0.4, 0.4, 0.4), "jitter_probability": 1.0, "blur": 0.0}
V2 = {**CROP, "jitter": (0.4, 0.4, 0.4, 0.1), "jitter_probability": 0.8, "blur": 0.5}
FT = {"epochs": 200, "batch": 256, "optimizer": "sgd", "weight_decay": 1e-4, "lr": 0.03, "negatives": 65536, "dim": 128}
FT |= {"encoder": "resnet50", "stem": "imagenet", "splits": 8}
SMALL = {"encoder": "resnet18", "stem": "small", "epochs": 500, "batch": 512, "optimizer": "sgd", "weight_decay": 1e-4}
SMALL |= {"schedule": "cosine", "floor": 0.1, "crop": (0.2, 1.0), "jitter": (0.4, 0.4, 0.4, 0.1), "gray": 0.2}
SMALL |= {"jitter_probability": 0.8, "blur": 0.0, "hidden": 512}
PAPERS: dict[str, dict[str, Any]] = {
    "imagenet100.moco_v1": {**FT, **V1, "momentum": 0.99, "temperature": 0.07, "head": "linear"},
    "imagenet100.moco_v2": {**FT, **V2, "momentum": 0.99, "temperature": 0.2, "head": "mlp", "schedule": "cosine"},
    "imagenet.moco_v1": {**FT, **V1, "momentum": 0.999, "temperature": 0.07, "head": "linear"},
    "imagenet.moco_v2": {**FT, **V2, "momentum": 0.999, "temperature": 0.2, "head": "mlp", "schedule": "cosine"},
    "imagenet100.infomin": {**FT, "temperature": 0.15},
    "imagenet.instdisc": {"temperature": 0.07, "dim": 128, "bank_momentum": 0.5, "epochs": 200},
    "cifar10.moco_v2": {**SMALL, "size": 32, "negatives": 65536, "momentum": 0.999, "temperature": 0.2, "dim": 128},
    "cifar100.simclr": {**SMALL, "size": 32, "temperature": 0.5, "dim": 128, "head_norm": "none"},
    "tiny_imagenet.byol": {**SMALL, "size": 64, "momentum": 0.996, "predictor_hidden": 512, "head_norm": "hidden"},
    "stl10.simsiam": {**SMALL, "size": 96, "layers": 3, "predictor_hidden": 128, "zero_init_residual": True},
}


@pytest.mark.parametrize("name", list(PAPERS))
def test_the_papers_numbers(name: str) -> None:
    flat = flatten(find_recipe(name)())
    assert {key: flat[key] for key in PAPERS[name]} == PAPERS[name]


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("imagenet.moco_v2", 0.03),
        ("imagenet.simclr", 4.8),
        ("imagenet.simclr_512", 0.05),
        ("imagenet.simsiam", 0.1),
        ("cifar10.byol", 0.5),
        ("imagenet100.swav", 0.6),
    ],
)
def test_rates_for_256_images_are_the_papers_for_their_batch(name: str, rate: float) -> None:
    o: Optimisation = find_recipe(name)().optimisation
    assert (o.lr or 0) * (o.batch or 0) / 256 == pytest.approx(rate)


def test_the_small_sets_differ_in_the_size_of_their_images_only() -> None:
    for method in ("moco_v2", "simclr", "byol", "simsiam"):
        one = find_recipe(f"cifar10.{method}")()
        for data, size in (("cifar100", 32), ("tiny_imagenet", 64), ("stl10", 96)):
            same = replace(one, name=f"{data}.{method}", views=replace(one.views, size=size))
            assert find_recipe(f"{data}.{method}")() == same


@pytest.mark.parametrize(
    "transform",
    [
        FeatureTransform(extrapolate=2.0, interpolate_positives=2.0),
        FeatureTransform(interpolate=1.6, extrapolate_negatives=1.6),
    ],
)
def test_contrary_transforms_exclude_each_other(transform: FeatureTransform) -> None:
    with pytest.raises(InputError, match="exclude each other; give one of them"):
        transform.transform()


@pytest.mark.parametrize("name", ["extrapolate", "interpolate", "interpolate_positives", "extrapolate_negatives"])
@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_an_alpha_that_is_not_positive_is_refused(name: str, alpha: float) -> None:
    with pytest.raises(InputError, match="alpha of the Beta distribution must be positive"):
        FeatureTransform(**{name: alpha}).transform()


def test_each_argument_of_the_transform_reaches_it(make_draw) -> None:
    def unit(rows: int, seed: int) -> torch.Tensor:
        return F.normalize(torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed)), dim=1)

    pairs = Pairs(unit(8, 0), unit(8, 1), unit(6, 2))
    raw = (pairs.query * pairs.key).sum(1)

    def apply(epoch: int = 0, **arguments: Any) -> Pairs:
        return FeatureTransform(**arguments).transform()(pairs, make_draw(8, epoch=epoch))

    apart, together = apply(extrapolate=2.0), apply(interpolate_positives=2.0)
    assert ((apart.query * apart.key).sum(1) < raw).all()
    assert ((together.query * together.key).sum(1) > raw).all()
    assert torch.equal(apart.negatives, pairs.negatives)
    inside, outside = apply(interpolate=1.6), apply(extrapolate_negatives=1.6)
    assert inside.negatives.norm(dim=1).max() <= 1 + 1e-6
    assert outside.negatives.norm(dim=1).max() > 1.01
    assert torch.equal(inside.query, pairs.query)
    both = apply(extrapolate=2.0, interpolate=1.6, union=True, renormalise=True, negatives_see="raw")
    assert both.negatives.shape == (12, 4)
    for rows in (both.query, both.key, both.negatives):
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))
    assert both.anchor is pairs.query
    assert apply(extrapolate=2.0).anchor is None
    assert apply(extrapolate=2.0, ft_start=2, epoch=1) is pairs
    assert apply(extrapolate=2.0, ft_start=2, epoch=2) is not pairs
    one, each = apply(extrapolate=2.0), apply(extrapolate=2.0, per="pair")
    for mixed, distinct in ((one, 1), (each, 8)):
        lam = ((mixed.query - pairs.key) / (pairs.query - pairs.key)).median(1).values
        assert len({round(v, 3) for v in lam.tolist()}) == distinct
    key = pairs.key.clone().requires_grad_()
    reached = FeatureTransform(extrapolate=2.0, gradient="both").transform()(replace(pairs, key=key), make_draw(8))
    assert reached.key.requires_grad
    assert not FeatureTransform(extrapolate=2.0).transform()(replace(pairs, key=key), make_draw(8)).key.requires_grad


def test_views_become_the_augmentation_that_they_say() -> None:
    made = Views(20, (0.3, 0.9), (0.1, 0.2, 0.3, 0.05), 0.6, 0.1, 0.25, 0.75).augmentation()
    assert (made.jitter, made.jitter_probability, made.gray) == ((0.1, 0.2, 0.3, 0.05), 0.6, 0.1)
    assert (made.blur, made.flip) == (0.25, 0.75)
    with pytest.raises(InputError, match="scale"):
        Views(crop=(0.5, 0.2)).augmentation()


def test_short_trainings_of_instdisc_fill_the_bank_first_and_the_papers_do_not() -> None:
    assert general.instdisc().method.fill
    assert "is ours" in inspect.getdoc(general.instdisc)
    assert not find_recipe("imagenet.instdisc")().method.fill


def test_a_union_queue_doubles_the_negatives() -> None:
    union = FeatureTransform(interpolate=1.6, union=True)
    moco = MoCoSettings(negatives=64)
    assert general.moco_v2(method=moco).negatives_of_a_query(16, 1000) == 64
    assert general.moco_v2(method=moco, transform=union).negatives_of_a_query(16, 1000) == 128
    assert general.simclr().negatives_of_a_query(16, 1000) == 30
    assert general.simclr(transform=union).negatives_of_a_query(16, 1000) == 60
    mochi = MoCHiSettings(negatives=64, hardest=16, mixed=8, query_mixed=2)
    assert general.mochi(method=mochi).negatives_of_a_query(16, 1000) == 74
    assert general.mochi(method=mochi, transform=union).negatives_of_a_query(16, 1000) == 138  # synthetic ones once
    half = Selection("hardest")
    assert general.mochi(method=mochi, transform=union, selection=half).negatives_of_a_query(16, 1000) == 69


def test_a_union_queue_cannot_be_mined_by_raw_scores() -> None:
    union, raw = FeatureTransform(interpolate=1.6, union=True, ft_start=5), Selection("skewed", mine_on="raw")
    with pytest.raises(InputError, match="mine_on raw ranks the original negatives, and union adds mixed ones"):
        general.moco_v2(transform=union, selection=raw).contrast()
    assert general.moco_v2(transform=FeatureTransform(interpolate=1.6), selection=raw).contrast().mine_on == "raw"
    assert general.moco_v2(transform=union, selection=Selection("skewed")).contrast().select is not None


WITHOUT = [
    name for name in RECIPES if not find_recipe(name)().method.contrasts and "transform" in defaults(RECIPES[name])
]


@pytest.mark.parametrize("name", WITHOUT)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"negatives_see": "raw"}, "compares with no negatives, so what negatives_see has no effect; leave it out"),
        ({"interpolate": 1.6}, "compares with no negatives, so mixing them has no effect"),
    ],
)
def test_a_loss_without_negatives_refuses_what_acts_on_them(name: str, arguments: dict, message: str) -> None:
    assert find_recipe(name)(transform=FeatureTransform(extrapolate=2.0)).contrast().transform is not identity
    with pytest.raises(InputError, match=message) as caught:
        find_recipe(name)(transform=FeatureTransform(extrapolate=2.0, **arguments)).contrast()
    assert name in str(caught.value)


@pytest.mark.parametrize("gradient", ["query", "both", "one_sided"])
def test_a_loss_with_negatives_takes_them(gradient: Any) -> None:
    transform = FeatureTransform(extrapolate=2.0, gradient=gradient, negatives_see="raw")
    assert general.simclr(transform=transform).contrast().transform is not identity


DETACHED = [name for name in RECIPES if "transform" in defaults(RECIPES[name]) and "simclr" not in name]


@pytest.mark.parametrize("name", DETACHED)
def test_gradients_of_keys_are_refused_where_there_are_none(name: str) -> None:
    transform = FeatureTransform(extrapolate=2.0, gradient="both")
    with pytest.raises(InputError, match=f"the keys of {name} carry no gradient, so gradient both is the same"):
        find_recipe(name)(transform=transform).contrast()


@pytest.mark.parametrize("name", ["byol", "simsiam", "moco_v2"])
def test_both_is_query_where_keys_carry_no_gradient(name: str) -> None:
    images = ImageSet(
        torch.randint(0, 256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte(),
        torch.full((8, 2), 16),
        list("abcdefgh"),
    )
    recipe = find_recipe(name)(
        network=replace(find_recipe(name)().network, encoder="resnet8w", hidden=16, dim=8, splits=1),
        optimisation=Optimisation(epochs=2, batch=8),
    )
    found = {}
    for gradient in ("query", "both", "one_sided"):
        t = assemble(resolve(recipe, images, CPU), images, CPU, seed=0)
        transform = FeatureTransform(extrapolate=2.0, gradient=gradient, renormalise=True).transform()
        t.method.contrast = replace(t.method.contrast, transform=transform)
        fit(t)
        found[gradient] = torch.cat([p.detach().flatten() for p in t.method.online.parameters()])
    assert torch.equal(found["both"], found["query"])
    assert not torch.equal(found["one_sided"], found["query"])


def test_raw_scores_are_those_after_a_transformation_that_is_not_there() -> None:
    raw = Selection("hardest", mine_on="raw")
    with pytest.raises(InputError, match="ranks by the scores before the feature transformation, and there is none"):
        general.moco_v2(selection=raw).contrast()
    assert general.moco_v2(selection=raw, transform=FeatureTransform(extrapolate=2.0)).contrast().mine_on == "raw"
