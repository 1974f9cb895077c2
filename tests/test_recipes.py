"""Recipes: what they say of themselves, stored and called again; and what their groups of arguments make."""

import inspect
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from pairlens.errors import InputError
from pairlens.pairs import Pairs, identity
from pairlens.recipes import RECIPES, Recipe, find_recipe, flatten, moco_v1, moco_v2, restore, simclr
from pairlens.settings import FeatureTransform, Network, Optimisation, Views

every = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))

CHANGED: dict[str, Any] = {
    "network": Network("resnet18", "imagenet", "linear", hidden=7, dim=9, splits=3),
    "views": Views(20, (0.3, 0.9), (0.1, 0.2, 0.3, 0.05), 0.6, 0.1, 0.25, 0.75),
    "optimisation": Optimisation(3, 10, 5, "lars", 0.5, 1e-3, "steps", 1.5),
    "transform": FeatureTransform(1.5, 1.25, None, None, "dimension", True, True, 2, "one_sided", "raw"),
    "temperature": 0.31,
    "negatives": 11,
    "momentum": 0.77,
}


def changed(recipe: Callable[..., Recipe]) -> Recipe:
    """The recipe with every argument that it takes set to something else than its default."""
    return recipe(**{name: CHANGED[name] for name in inspect.signature(recipe).parameters})


@every
def test_every_argument_survives_flattening_json_and_restoring(recipe: Callable[..., Recipe]) -> None:
    for one in (recipe(), changed(recipe)):
        again = restore(one.name, json.loads(json.dumps(flatten(one))))
        assert again.name == one.name == recipe.__name__
        assert again.arguments == one.arguments
        assert replace(again, build=one.build) == one


@every
def test_changing_an_argument_is_seen_in_the_flat_record(recipe: Callable[..., Recipe]) -> None:
    plain, other = flatten(recipe()), flatten(changed(recipe))
    assert plain.keys() == other.keys()
    same = {name for name in plain if plain[name] == other[name]}
    assert same <= {"interpolate_positives", "extrapolate_negatives", "head", "accumulate"}


@every
def test_no_two_groups_share_a_flag(recipe: Callable[..., Recipe]) -> None:
    one = recipe()
    names: list[str] = []
    for name, value in one.arguments.items():
        names += [f.name for f in fields(value)] if is_dataclass(value) else [name]
    assert len(names) == len(set(names)) == len(flatten(one))


@every
def test_every_recipe_describes_itself_in_a_sentence_and_a_source(recipe: Callable[..., Recipe]) -> None:
    assert recipe.__doc__ is not None
    assert "et al." in recipe.__doc__


def test_an_unknown_method_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="no method 'byol'; choose one of moco_v1, moco_v2, simclr"):
        find_recipe("byol")
    with pytest.raises(InputError, match="no method"):
        restore("byol", {})
    assert find_recipe("moco_v2") is moco_v2


@pytest.mark.parametrize("temperature", [0.0, -0.1, float("nan")])
@every
def test_a_temperature_that_is_not_positive_is_refused(recipe: Callable[..., Recipe], temperature: float) -> None:
    with pytest.raises(InputError, match="temperature must be positive"):
        recipe(temperature=temperature).contrast()


@every
def test_nothing_is_transformed_unless_asked_for(recipe: Callable[..., Recipe]) -> None:
    assert recipe().contrast().transform is identity


def test_the_papers_settings_are_those_of_the_docstrings() -> None:
    assert (moco_v1().network.head, moco_v1().temperature) == ("linear", 0.07)
    assert (moco_v1().views.jitter_probability, moco_v1().views.blur) == (1.0, 0.0)
    assert (moco_v2().network.head, moco_v2().views.jitter_probability) == ("mlp", 0.8)
    assert simclr().negatives is None


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
    made = CHANGED["views"].augmentation()
    assert (made.jitter, made.jitter_probability, made.gray) == ((0.1, 0.2, 0.3, 0.05), 0.6, 0.1)
    assert (made.blur, made.flip) == (0.25, 0.75)
    with pytest.raises(InputError, match="scale"):
        Views(crop=(0.5, 0.2)).augmentation()


def test_a_union_queue_doubles_the_negatives() -> None:
    union = FeatureTransform(interpolate=1.6, union=True)
    assert moco_v2(negatives=64).negatives_of_a_query(16) == 64
    assert moco_v2(negatives=64, transform=union).negatives_of_a_query(16) == 128
    assert simclr().negatives_of_a_query(16) == 30
    assert simclr(transform=union).negatives_of_a_query(16) == 60
