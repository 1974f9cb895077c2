"""How panels stand on the page: one run or several at once, one run at a time, and what is missing in words."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.report.html import Html, choice, join, notice, prose, switch, tag, user
from pairlens.report.read import DAMAGED, Missing
from pairlens.report.text import shorten

Data = TypeVar("Data")


def without_places(
    draw: Callable[[list[Data], list[str]], Html],
) -> Callable[[list[Data], list[str], list[int]], Html]:
    """A panel's drawing function that needs no places among the runs, as one that is given them."""
    return lambda found, names, places: draw(found, names)


def _attempt(run: Run, compute: Callable[[Run], Data | Missing]) -> Data | Missing:
    try:
        return compute(run)
    except DAMAGED as error:
        said = str(error) if isinstance(error, InputError) else f"a file does not hold what it should ({error!r})"
        return Missing(f"This cannot be shown, because {shorten(said, 300)}.")


def together(
    opened: Sequence[Run],
    names: Sequence[str],
    compute: Callable[[Run], Data | Missing],
    draw: Callable[[list[Data], list[str], list[int]], Html],
    silent: bool = False,
) -> Html:
    """A panel that shows all runs at once; those without data are named below it (unless `silent`)."""
    found: list[Data] = []
    shown: list[str] = []
    places: list[int] = []
    missing: list[tuple[str, str]] = []
    for place, (run, name) in enumerate(zip(opened, names, strict=True)):
        data = _attempt(run, compute)
        if isinstance(data, Missing):
            missing.append((name, data.reason))
        else:
            found.append(data)
            shown.append(name)
            places.append(place)
    drawn = draw(found, shown, places) if found else None
    if len(opened) == 1:
        said = [notice(reason) for _, reason in missing]
    else:
        said = [tag("p", {"class": "notice"}, user(name), ": ", prose(reason)) for name, reason in missing]
    return join([drawn, *([] if silent else said)])


def each(
    opened: Sequence[Run],
    names: Sequence[str],
    compute: Callable[[Run], Data | Missing],
    draw: Callable[[Data, int], Html],
) -> Html:
    """A panel that shows one run at a time; the choice of the run holds for the whole page."""
    drawn = []
    for place, run in enumerate(opened):
        data = _attempt(run, compute)
        drawn.append(notice(data.reason) if isinstance(data, Missing) else draw(data, place))
    if len(opened) == 1:
        return drawn[0]
    options = [(str(i), shorten(name, 40)) for i, name in enumerate(names)]
    shown = [choice("run", str(i), i == 0, d) for i, d in enumerate(drawn)]
    return join([switch("Run", "run", options, "0"), *shown])
