"""What a command line says before it is parsed: recipe and configuration, on which its other flags depend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pairlens.config import fill, read_config
from pairlens.errors import InputError
from pairlens.recipes import RECIPES, defaults, find_recipe, usual_recipe
from pairlens.recipes.describe import first_line
from pairlens.recipes.recipe import Recipe


@dataclass(frozen=True)
class Given:
    """The recipe that a training is asked for, and the groups of arguments with a configuration's values in them."""

    recipe: str
    constructor: Callable[..., Recipe]  # its keyword arguments' defaults hold the configuration's values
    groups: Mapping[str, Any]  # the command's own groups, likewise
    source: str | None  # the configuration's
    config: Path | None
    about: str

    @classmethod
    def of(cls, argv: list[str], groups: Mapping[str, Any]) -> "Given":
        """Read the recipe's name and the configuration off a command line; flags go before the configuration.

        Args:
            argv: the command line.
            groups: the command's own groups of arguments, which a configuration may fill as well as the recipe's.

        Raises:
            InputError: there is no such recipe, or the configuration cannot be used.
        """
        file = flag(argv, "--config")
        path = None if file is None else Path(file)
        values = {} if path is None else read_config(path)
        recipe, source = (_text(path, values, name) for name in ("recipe", "source"))
        asked = flag(argv, "--recipe")
        usual = usual_recipe(first_positional(argv, groups) or source or "")
        name = next((n for n in (asked, recipe) if n is not None), usual)
        try:
            function = find_recipe(name)
        except InputError as error:
            raise InputError(f"{path}: {error}" if asked is None and recipe is not None else str(error)) from error
        own = defaults(function)
        filled = {**groups, **own} if path is None else fill(path, values, {**groups, **own}, name)
        return cls(
            recipe=name,
            constructor=partial(function, **{group: filled[group] for group in own}),
            groups={group: filled[group] for group in groups},
            source=source,
            config=path,
            about=first_line(function),
        )


def flag(argv: list[str], name: str) -> str | None:
    """The value behind a flag; an empty one where it is the last word, None where it is not there."""
    found = None
    for here, after in pairwise([*argv, ""]):
        if here == name:
            found = after
        elif here.startswith(f"{name}="):
            found = here.removeprefix(f"{name}=")
    return found


def first_positional(argv: list[str], groups: Mapping[str, Any]) -> str | None:
    """The first word that is neither a flag, of any recipe or of these groups, nor a flag's value."""
    records = {type(group) for function in RECIPES.values() for group in defaults(function).values()}
    records |= {type(group) for group in groups.values()}
    hints = [hint for record in records for hint in get_type_hints(record).items()]
    values = {"recipe": 1, "config": 1, **{name: _values(hint) for name, hint in hints}}
    awaited = 0
    for word in argv:
        if awaited:
            awaited -= 1
        elif word.startswith("-"):
            awaited = values.get(word.removeprefix("--").replace("-", "_"), 0)  # none behind --flag=value
        else:
            return word
    return None


def _values(hint: Any) -> int:
    """How many words follow a flag of this type."""
    if hint is bool:
        return 0
    return len(get_args(hint)) if get_origin(hint) is tuple else 1


def _text(path: Path | None, values: dict[str, Any], name: str) -> str | None:
    """Take a text out of a configuration's values."""
    value = values.pop(name, None)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{path}: {name} must be a text, not {value}; correct it, or leave it out")
    return value
