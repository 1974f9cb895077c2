"""The section over a sweep: which argument, its curves in two and three dimensions, and what it does to accuracy.

Its figures are made in `report/swept.py`.
"""

from collections.abc import Sequence

from pairlens.intervals import Estimate, interval
from pairlens.report.axes import axis_switch
from pairlens.report.html import Html, chart, choice, join, scrolling, switch, tag, user
from pairlens.report.lines import stroke
from pairlens.report.plots import Plot
from pairlens.report.sweep import Sweep
from pairlens.report.swept import (
    PROTOCOLS,
    SHOWN,
    STATISTICS,
    Group,
    Swept,
    accuracies,
    compute,
    groups,
    in_space,
    mean_end,
    mean_jump,
    over_steps,
)
from pairlens.report.text import count, number, percent
from pairlens.report.theme import order

__all__ = ["compute", "draw", "draw_plots", "legend", "said"]

FLAT_OR_NOT = [("flat", "In two dimensions"), ("space", "In three dimensions")]


def draw(found: Sequence[Swept], places: Sequence[int], sweep: Sweep) -> Html:
    """The whole section: words, legend, curves, and the table with the accuracies."""
    rows = groups(found, places, sweep)
    spaces = list(dict.fromkeys(space for one in found for space in one.spaces))
    buttons = switch("Embedding space", "sweep-space", [(str(i), s) for i, s in enumerate(spaces)], "0")
    drawn = [choice("sweep-space", str(i), i == 0, _space(rows, sweep, space)) for i, space in enumerate(spaces)]
    accuracy = accuracies(rows, sweep)
    alt = "accuracy against the argument: " + ", ".join(
        f"{group.label}: {percent(one.mean)}" for group in rows if (one := _accuracy(group, "knn"))
    )
    return join(
        [
            said(rows, sweep),
            legend(rows, sweep),
            tag(
                "div",
                {"class": "toolbar"},
                switch("Dimensions", "sweep-dimensions", FLAT_OR_NOT, "flat"),
                axis_switch([group.epoch for group in rows]),
            ),
            buttons if len(spaces) > 1 else None,
            *drawn,
            tag("h3", {}, "Where it ended"),
            chart(accuracy, alt, 320, name="accuracy_by_value") if accuracy else None,
            _table(rows, sweep, spaces[0]),
        ]
    )


def draw_plots(
    found: Sequence[Swept], places: Sequence[int], sweep: Sweep, plots: Sequence[Plot], group: str = "all-space"
) -> Html:
    """Some statistics over the steps, for a report of so many runs that a line a run could not be told apart."""
    rows = groups(found, places, sweep)
    spaces = list(dict.fromkeys(space for one in found for space in one.spaces))
    buttons = switch("Embedding space", group, [(str(i), s) for i, s in enumerate(spaces)], "0")
    drawn = [choice(group, str(i), i == 0, _flat(rows, sweep, s, plots)) for i, s in enumerate(spaces)]
    top = tag("div", {"class": "toolbar"}, axis_switch([one.epoch for one in rows]), legend(rows, sweep))
    return join([top, buttons if len(spaces) > 1 else None, *drawn, tag("p", {"class": "aside"}, _lines(rows))])


def _space(rows: Sequence[Group], sweep: Sweep, space: str) -> Html:
    flat = join([_flat(rows, sweep, space, SHOWN), tag("p", {"class": "aside"}, _lines(rows))])
    deep = []
    for of in STATISTICS:
        if any((of.key, space) in run.curves for group in rows for run in group.runs):
            alt = f"{of.title} over training, a curve for each value, one behind the other; {_ends(rows, of, space)}"
            drawn = chart(in_space(rows, sweep, of, space), alt, 340, name=f"{of.key}_3d")
            deep.append(tag("div", {}, tag("h3", {}, of.title), drawn))
    note = "Drag to turn. The same curves, and more, are drawn in two dimensions."
    columns = tag("div", {"class": "columns"}, *deep)
    return join(
        [
            choice("sweep-dimensions", "flat", True, flat),
            choice("sweep-dimensions", "space", False, columns, tag("p", {"class": "aside"}, note)),
        ]
    )


def _flat(rows: Sequence[Group], sweep: Sweep, space: str, plots: Sequence[Plot]) -> Html:
    cells = []
    for of in plots:
        whose = space if of.per_space else ""
        if not any((of.key, whose) in run.curves for group in rows for run in group.runs):
            continue
        alt = f"{of.title} over training by value; {_ends(rows, of, whose)}"
        drawn = chart(over_steps(rows, sweep, of, whose), alt, 250, name=of.key)
        cells.append(tag("div", {}, tag("h3", {}, of.title), tag("p", {"class": "aside"}, of.sentence), drawn))
    return tag("div", {"class": "multiples"}, *cells)


def _ends(rows: Sequence[Group], of: Plot, space: str) -> str:
    ends = ", ".join(f"{group.label}: {number(mean_end(group, of.key, space))}" for group in rows)
    return f"at the end {ends}"


def said(rows: Sequence[Group], sweep: Sweep) -> Html:
    """Which argument, how many values, how many runs of each."""
    runs = [len(group.runs) for group in rows]
    each = f"{runs[0]} of each" if len(set(runs)) == 1 else f"{min(runs)} to {max(runs)} of each"
    how = "one run of each" if set(runs) == {1} else f"{each}, with other seeds or anew"
    name = tag("code", {}, user(sweep.name))
    return tag("p", {}, f"The {count(sum(runs))} runs differ in ", name, f" alone: {len(rows)} values, {how}.")


def _lines(rows: Sequence[Group]) -> str:
    if all(len(group.runs) == 1 for group in rows):
        return "Lines are means of blocks of steps."
    return (
        "Lines are means of blocks of steps, averaged over the runs of a value; the band reaches from the least run to "
        "the greatest."
    )


def legend(rows: Sequence[Group], sweep: Sweep) -> Html:
    """The values in their order, with their colours."""
    keys = [stroke(f"var(--order-{order(one.place, len(sweep.values))})", "solid", one.label) for one in rows]
    return tag("ul", {"class": "legend"}, tag("li", {"class": "minor"}, user(sweep.name)), *keys)


def _accuracy(group: Group, protocol: str) -> Estimate | None:
    values = [run.accuracy[protocol] for run in group.runs if protocol in run.accuracy]
    return interval(values) if values else None


def _share(one: Estimate | None) -> str:
    if one is None:
        return "\u2013"
    return percent(one.mean) + (f" \u00b1 {100 * one.half:.1f}" if one.half is not None else "")


def _table(rows: Sequence[Group], sweep: Sweep, space: str) -> Html:
    """What the figures show, in numbers."""
    heads = [
        "runs",
        *PROTOCOLS.values(),
        "negatives: variance",
        "negatives: mean",
        "its change a step",
        "positives: mean",
    ]
    cells = [tag("th", {"scope": "col"}, text) for text in heads]
    head = tag("tr", {}, tag("th", {"scope": "col"}, user(sweep.name)), *cells)
    body = []
    for group in rows:
        key = f"--c:var(--order-{order(group.place, len(sweep.values))})"
        name = tag(
            "th", {"scope": "row"}, tag("span", {"class": "key", "style": key, "aria-hidden": "true"}), group.label
        )
        values = [
            str(len(group.runs)),
            *(_share(_accuracy(group, protocol)) for protocol in PROTOCOLS),
            *(number(mean_end(group, of.key, space)) for of in STATISTICS[:2]),
            mean_jump(group, space),
            number(mean_end(group, STATISTICS[2].key, space)),
        ]
        body.append(tag("tr", {}, name, *(tag("td", {}, value) for value in values)))
    grid = tag("table", {"class": "sets"}, tag("thead", {}, head), tag("tbody", {}, *body))
    note = (
        "Accuracies of the evaluated encoder, mean and half-width of the 95 % interval (Student\u2019s t over the runs "
        "of a value). Scores are as the loss sees them, means over the last tenth of the steps. Its change a step is "
        "the mean distance of the negatives\u2019 mean from one step to the next, over the second half: it is small "
        "where FT\u2019s Section 3.3 speaks of stable training."
    )
    return join([scrolling(grid, "what the values came to"), tag("p", {"class": "aside"}, note)])
