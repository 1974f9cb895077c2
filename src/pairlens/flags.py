"""How the command line is read, by tyro; an argument may be left open: `--epochs 10`, or `--epochs None`."""

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import tyro
from tyro.conf import OmitArgPrefixes, PositionalMetavarFromFieldName
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

registry = ConstructorRegistry()
"""Rules for tyro: its help and its errors name the type alone, `INT` where its own would be `{None}|INT`."""


@registry.primitive_rule
def left_open(argument: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """The rule for a number, text or path that may be None; None where the argument is something else."""
    union = get_origin(argument.type) in (Union, types.UnionType)
    kinds = [kind for kind in get_args(argument.type) if kind is not types.NoneType]
    if not union or len(kinds) != 1 or kinds[0] not in (int, float, str, Path):
        return None
    kind = kinds[0]
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=lambda words: None if words[0] == "None" else kind(words[0]),
        is_instance=lambda value: value is None or isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )


def parse(command: Callable[..., int], name: str, argv: list[str], about: str | None = None) -> int:
    """Let tyro fill a command's arguments, and call it; a wrong flag ends with its message and exit code 2."""
    markers = (OmitArgPrefixes, PositionalMetavarFromFieldName)
    return tyro.cli(command, args=argv, prog=f"pairlens {name}", description=about, config=markers, registry=registry)
