"""Studies: many runs under one budget, compared in one table. A study is data; its module is named after its paper."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType

from pairlens.errors import InputError
from pairlens.studies import ccrop, ft, gp, looc
from pairlens.studies.arms import Study

MODULES: tuple[ModuleType, ...] = (ft, gp, ccrop, looc)


def _studies(module: ModuleType) -> dict[str, Callable[[], Study]]:
    """The studies that a module defines, by name, in its order."""
    prefix = module.__name__.rpartition(".")[2]
    return {
        f"{prefix}.{name}": function
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }


STUDIES: Mapping[str, Callable[[], Study]] = {
    name: function for module in MODULES for name, function in _studies(module).items()
}


def find_study(name: str) -> Study:
    """A study by its name, with the arms that it has unless a caller chooses others.

    Raises:
        InputError: there is none of that name.
    """
    if name not in STUDIES:
        near = difflib.get_close_matches(name, STUDIES, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"there is no study {name!r}; {hint}there are {', '.join(STUDIES)}")
    return STUDIES[name]()
