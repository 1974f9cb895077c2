"""A training's arguments from a file: a flat YAML mapping of flag names to values, or the `run.json` of a run.

    recipe: cifar10.moco_v2
    source: data/cifar-10-batches-bin
    extrapolate: 2.0
    crop: [0.3, 1.0]

Names are written with `_` or `-`. A list is a tuple, and null leaves an argument open where that is possible. Paths are
taken from the folder in which the command runs. A `run.json` trains the call again that made it, with what was chosen
for it then.
"""

import difflib
import json
import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from pairlens.errors import InputError

WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}


def read_config(path: Path) -> dict[str, Any]:
    """The values that a file gives, by argument; names are written with `_`.

    Raises:
        InputError: the file is missing, is not YAML or JSON, or is not a flat mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text) if path.suffix == ".json" else yaml.load(text, _UniqueKeys)
    except OSError as error:
        raise InputError(f"the configuration {path} cannot be read ({error.strerror}); check its name") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(
            f"the configuration {path} is not YAML (line {line}: {error.problem}); write one `flag: value` a line"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"the configuration {path} cannot be read ({reason}); write YAML or JSON, in UTF-8") from error
    if not isinstance(value, dict) or not value:
        raise InputError(f"the configuration {path} holds no flags; write one `flag: value` a line")
    return _flat(path, _call(path, value) if isinstance(value.get("call"), dict) else value)


def fill(path: Path, values: Mapping[str, Any], groups: Mapping[str, Any], whose: str) -> dict[str, Any]:
    """The groups of arguments with the file's values in place of their own.

    Args:
        path: the file, for messages.
        values: by argument.
        groups: frozen records by name; no two of them share a field.
        whose: the recipe's name, for messages.

    Raises:
        InputError: a key is no argument, or a value is not of its argument's type.
    """
    owners = {f.name: name for name, group in groups.items() for f in fields(group)}
    filled = dict(groups)
    for key, value in values.items():
        if key not in owners:
            near = difflib.get_close_matches(key, owners, n=2)
            remedy = f"did you mean {' or '.join(near)}?" if near else f"`pairlens recipes {whose}` shows them all"
            raise InputError(f"{path}: the recipe {whose} has no argument {key!r}; {remedy}")
        group = filled[owners[key]]
        hint = get_type_hints(type(group))[key]
        try:
            filled[owners[key]] = replace(group, **{key: _fit(value, hint)})
        except (ValueError, OverflowError) as error:
            given = json.dumps(value, default=str)
            remedy = "leave it out" if value is None else "correct it, or leave it out"
            raise InputError(f"{path}: {key} must be {_in_words(hint)}, not {given}; {remedy}") from error
    return filled


def _call(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """The arguments in a run's call."""
    call = run["call"]
    try:
        named = {name: call[name] for name in ("recipe", "source", "labels", "test", "seed", "record")}
        named |= {"landscape": call["landscape"]} if "landscape" in call else {}
        return named | call["machine"] | call["arguments"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not a whole run.json: its call lacks {error}; give a file of flags") from error


def _flat(path: Path, mapping: Mapping[Any, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for written, value in mapping.items():
        key = str(written).removeprefix("--").replace("-", "_")
        if isinstance(value, dict):
            inner = next(iter(value), "epochs")
            raise InputError(
                f"{path}: {written} holds a mapping; write its keys on lines of their own, such as {inner}"
            )
        if key in flat:
            raise InputError(f"{path}: {written} is given twice; leave one of them out")
        flat[key] = value
    return flat


def _fit(value: Any, hint: Any) -> Any:
    """A file's value as an argument's type has it; a ValueError where it is not of that type."""
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for one in options:
            with suppress(ValueError):
                return _fit(value, one)
    elif origin is Literal and value in options:
        return value
    elif origin is tuple and isinstance(value, list):
        kinds = [options[0]] * len(value) if Ellipsis in options else options
        if len(kinds) == len(value):
            return tuple(_fit(v, one) for v, one in zip(value, kinds, strict=True))
    elif hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        return float(value)  # of a text, too: YAML takes 1e-4, without a point, for one
    elif hint is Path and isinstance(value, str):
        return Path(value)
    elif type(value) is hint:
        return value
    raise ValueError(f"{value} is not {_in_words(hint)}")


def _in_words(hint: Any) -> str:
    """A type as a person says it."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_in_words(one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) is tuple:
        options = get_args(hint)
        return "a list of texts" if Ellipsis in options else f"a list of {len(options)} numbers"
    return "null" if hint is types.NoneType else WORDS[hint]


class _UniqueKeys(yaml.SafeLoader):
    """YAML's plain types; a key that is given twice is an error, not the last one's value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} is given twice", node.value[position][0].start_mark
                )
        return super().construct_mapping(node, deep)
