"""Arguments that have no effect beside the others: refused where somebody gave them, dropped where a recipe did."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from pairlens.errors import InputError


@runtime_checkable
class Group(Protocol):
    """A frozen dataclass of arguments."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def idle(self) -> Mapping[str, str]:
        """The arguments that have no effect beside the others: why, and what would give them one."""
        ...


G = TypeVar("G", bound=Group)


def check_effect(group: Group) -> None:
    """Refuse what has no effect: such an argument is a mistake, or the one beside it is.

    Raises:
        InputError: an idle argument is not its class's default.
    """
    for name, why in group.idle.items():
        if getattr(group, name) != getattr(type(group), name):
            raise InputError(f"{name} {why}, or leave it out")


def without_brought(group: G, usual: G) -> G:
    """The group, its idle arguments back at their class's defaults where they are as `usual`, the recipe's own, has."""
    brought = [name for name in group.idle if getattr(group, name) == getattr(usual, name)]
    return replace(group, **{name: getattr(type(group), name) for name in brought})
