"""Several runs in one table: how good, how fast, and what was different about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pairlens.record.run import Run
from pairlens.report.facts import Facts, facts_of
from pairlens.report.html import Html, scrolling, tag, user
from pairlens.report.panels.configuration import plain
from pairlens.report.read import column, settled
from pairlens.report.text import number, percent, shorten
from pairlens.words import duration


@dataclass(frozen=True)
class Row:
    """One run's line."""

    facts: Facts
    loss: float  # over the last tenth of the steps
    arguments: Mapping[str, str]  # with method and source


def compute(run: Run) -> Row:
    """One run's line of the table."""
    given = run.call.get("arguments")
    arguments: dict[str, Any] = {k: run.call.get(k) for k in ("recipe", "source")}
    arguments |= given if isinstance(given, dict) else {}
    texts = {k: plain(v) for k, v in arguments.items()}
    return Row(facts_of(run), settled(column(run.statistics, "loss")), texts)


def differing(rows: Sequence[Row]) -> list[str]:
    """The arguments in which the runs differ; one that a run does not have differs too."""
    names = dict.fromkeys(name for row in rows for name in row.arguments)
    return [name for name in names if len({row.arguments.get(name) for row in rows}) > 1]


def draw(rows: Sequence[Row], names: Sequence[str]) -> Html:
    """The table; only arguments that differ get a column."""
    different = differing(rows)
    protocols = [p for p in _RESULTS if any("encoder" in row.facts.scores.get(p, {}) for row in rows)]
    heads = ["run", "state", *(_RESULTS[p] for p in protocols), "loss at the end", "images/s", "time"]
    head = tag("tr", {}, *(tag("th", {"scope": "col"}, h) for h in heads))
    for name in different:
        head = Html(head.removesuffix("</tr>") + tag("th", {"scope": "col", "class": "argument"}, user(name)) + "</tr>")
    body = [
        _row(row, name, place, protocols, different) for place, (row, name) in enumerate(zip(rows, names, strict=True))
    ]
    grid = tag("table", {"class": "runs"}, tag("thead", {}, head), tag("tbody", {}, *body))
    same = "The runs were called with the same arguments." if not different else None
    return tag("div", {}, scrolling(grid, "table of runs"), tag("p", {"class": "aside"}, same) if same else None)


_RESULTS = {"knn": "kNN", "linear": "linear", "retrieval": "retrieval"}


def _row(row: Row, name: str, place: int, protocols: Sequence[str], different: Sequence[str]) -> Html:
    facts = row.facts
    results = []
    for protocol in protocols:
        found = facts.scores.get(protocol, {}).get("encoder")
        results.append(percent(found.top1) if found else "\u2013")
    cells = [facts.state, *results, number(row.loss), number(facts.images_per_second), duration(facts.seconds)]
    key = tag("span", {"class": "key", "style": f"--c:var(--run-{place % 8})", "aria-hidden": "true"})
    first = tag("th", {"scope": "row"}, key, user(name))
    values = [tag("td", {"class": "argument"}, user(shorten(row.arguments.get(d, "\u2013"), 60))) for d in different]
    return tag("tr", {}, first, *(tag("td", {}, c) for c in cells), *values)
