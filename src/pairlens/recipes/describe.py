"""What a recipe's arguments are, in words: read from the source that defines them, so nothing is said twice."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pairlens.recipes import defaults
from pairlens.recipes.recipe import Recipe


@dataclass(frozen=True)
class Argument:
    """One argument of a recipe."""

    flag: str
    value: str  # the recipe's own
    help: str


def first_line(function: Callable[..., Recipe]) -> str:
    """A recipe in one sentence."""
    return (inspect.getdoc(function) or "").partition("\n")[0]


def arguments(function: Callable[..., Recipe]) -> dict[str, list[Argument]]:
    """A recipe's arguments by group, in the order in which the command line shows them."""
    described = {}
    for name, group in defaults(function).items():
        texts = field_texts(type(group))
        described[name] = [
            Argument(f"--{f.name.replace('_', '-')}", written(getattr(group, f.name)), texts.get(f.name, ""))
            for f in fields(group)
        ]
    return described


def written(value: Any) -> str:
    """A value as it is typed behind its flag; a dash for what is left open."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(written(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def field_texts(group: type) -> Mapping[str, str]:
    """The sentence below each field of a dataclass, its parents' fields included."""
    texts: dict[str, str] = {}
    for owner in reversed(group.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                texts[field.target.id] = " ".join(ast.literal_eval(text.value).split())
    return texts
