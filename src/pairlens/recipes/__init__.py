"""Recipes: a method with the numbers it is trained with. A recipe is a function; its arguments' fields are flags.

`general` holds recipes for any images, by the method's name alone; the other modules are named after data and hold the
papers' own settings for those.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from types import ModuleType
from typing import Any

from pairlens.errors import InputError
from pairlens.recipes import cifar10, cifar100, general, imagenet, imagenet100, scenes, stl10, tiny_imagenet
from pairlens.recipes.recipe import Recipe

MODULES: tuple[ModuleType, ...] = (general, scenes, cifar10, cifar100, tiny_imagenet, stl10, imagenet100, imagenet)


def _recipes(module: ModuleType) -> dict[str, Callable[..., Recipe]]:
    """The recipes that a module defines, by name, in its order."""
    prefix = "" if module is general else module.__name__.rpartition(".")[2] + "."
    return {
        prefix + name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }


RECIPES: Mapping[str, Callable[..., Recipe]] = {
    name: function for module in MODULES for name, function in _recipes(module).items()
}


def usual_recipe(source: str) -> str:
    """The recipe for a source where none is named."""
    return "scenes.simclr" if source.split(":", maxsplit=1)[0] == "scenes" else "moco_v2"


def find_recipe(name: str) -> Callable[..., Recipe]:
    """A recipe by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise InputError(f"there is no recipe {name!r}; {hint}`pairlens recipes` lists them all")
    return RECIPES[name]


def defaults(function: Callable[..., Recipe]) -> dict[str, Any]:
    """The groups of arguments that a recipe takes, with its own values, by the name of its parameter."""
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


def flatten(recipe: Recipe) -> dict[str, Any]:
    """The recipe's arguments as one flat record, a key a flag."""
    flat: dict[str, Any] = {}
    for name in defaults(find_recipe(recipe.name)):
        flat |= asdict(getattr(recipe, name))
    return flat


def restore(name: str, flat: Mapping[str, Any]) -> Recipe:
    """The recipe that `flatten` described; an argument that did not exist then has the recipe's own value.

    Raises:
        InputError: there is no such recipe.
        KeyError: it has no such argument.
    """
    function = find_recipe(name)
    if unknown := flat.keys() - {f.name for group in defaults(function).values() for f in fields(group)}:
        raise KeyError(", ".join(sorted(unknown)))
    arguments = {}
    for parameter, group in defaults(function).items():
        values = {f.name: flat.get(f.name, getattr(group, f.name)) for f in fields(group)}
        arguments[parameter] = type(group)(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    return function(**arguments)
