"""What each embedding space tells, alone and with others: a row a set of spaces, a column a task (LooC, Table 5)."""

from collections.abc import Callable, Sequence

from pairlens.record.run import Run
from pairlens.report.by_space import ENCODER, BySpace, Row, Task, read_by_space
from pairlens.report.html import Html, choice, join, scrolling, switch, tag, user
from pairlens.report.read import Missing
from pairlens.report.text import count, listed, percent


def compute(run: Run) -> BySpace | Missing:
    """What `pairlens evaluate --probes spaces` has found."""
    return read_by_space(run) or Missing(
        "The spaces of this run were not read out: `pairlens evaluate RUN --probes spaces` does it."
    )


def draw(found: BySpace, place: int) -> Html:
    """Which space stands out in what, in words; then the tables of both read-outs."""
    group = f"spaces-{place}"
    tables = [
        choice(group, "linear", True, _grid(found, lambda row: [told.value for told in row.linear])),
        choice(group, "knn", False, _grid(found, lambda row: row.knn)),
    ]
    options = [("linear", "Linear read-out"), ("knn", "Nearest neighbours")]
    return join([_words(found), switch("Read-out", group, options, "linear"), *tables, _note(found)])


def leaders(found: BySpace) -> dict[str, list[Task]]:
    """The tasks that one space alone tells better than any other alone, by two standard errors of the difference."""
    leading: dict[str, list[Task]] = {}
    singles = [row for row in found.rows if row.single]
    for j, task in enumerate(found.tasks):
        ranked = sorted(singles, key=lambda row: row.linear[j].value, reverse=True)
        if len(ranked) > 1:
            best, next_best = (row.linear[j] for row in ranked[:2])
            if best.value - next_best.value > 2 * (best.error**2 + next_best.error**2) ** 0.5:
                leading.setdefault(ranked[0].spaces[0], []).append(task)
    return leading


def _words(found: BySpace) -> Html | None:
    """Which single space tells what best."""
    if sum(row.single for row in found.rows) < 2:
        return None
    leading = leaders(found)
    lines = [
        tag("li", {}, tag("b", {}, user(space)), " alone tells best: ", listed([task.name for task in tasks]), ".")
        for space, tasks in leading.items()
    ]
    rest = [task.name for task in found.tasks if not any(task in tasks for tasks in leading.values())]
    if rest:
        lines.append(tag("li", {}, f"No space alone stands out in {listed(rest)}."))
    return tag("ul", {"class": "fates"}, *lines)


def _grid(found: BySpace, values: Callable[[Row], Sequence[float | None]]) -> Html:
    """One read-out's table: the darker a cell, the farther it is from chance to the best of its column."""
    columns = [j for j in range(len(found.tasks)) if any(values(row)[j] is not None for row in found.rows)]
    best = {j: max(value for row in found.rows if (value := values(row)[j]) is not None) for j in columns}
    heads = [tag("th", {"scope": "col"}, "spaces")]
    for j in columns:
        task = found.tasks[j]
        measure = None if task.accuracy else tag("small", {}, " R\u00b2")
        heads.append(tag("th", {"scope": "col"}, user(task.name), measure))
    body = [_row(found, row, values(row), columns, best) for row in found.rows]
    chance = [tag("td", {}, _value(found.tasks[j], found.tasks[j].chance)) for j in columns]
    foot = tag("tfoot", {}, tag("tr", {}, tag("th", {"scope": "row"}, "by chance"), *chance))
    grid = tag("table", {"class": "sets"}, tag("thead", {}, tag("tr", {}, *heads)), tag("tbody", {}, *body), foot)
    return scrolling(grid, "what sets of spaces tell")


def _row(
    found: BySpace, row: Row, values: Sequence[float | None], columns: Sequence[int], best: dict[int, float]
) -> Html:
    cells = []
    for j in columns:
        task, value = found.tasks[j], values[j]
        if value is None:
            cells.append(tag("td", {}, "\u2013"))
            continue
        reach = best[j] - task.chance
        part = max(0.0, min(1.0, (value - task.chance) / reach)) if reach > 0 else 0.0
        text = _value(task, value)
        is_best = value == best[j]
        attributes = {"style": f"--h:{100 * part**2:.0f}%", "class": "best" if is_best else None}
        cells.append(tag("td", attributes, tag("b", {"title": "best of this column"}, text) if is_best else text))
    return tag("tr", {}, tag("th", {"scope": "row"}, *_name(found, row)), *cells)


def _name(found: BySpace, row: Row) -> list[Html | str]:
    """A set of spaces by name."""
    if row.spaces == (ENCODER,):
        return ["encoder\u2019s features"]
    parts: list[Html | str] = []
    for space in row.spaces:
        parts += [" + ", user(space)] if parts else [user(space)]
    if found.own and row.spaces == found.spaces:
        parts.append(tag("small", {}, " (encoder)"))
    return parts


def _value(task: Task, value: float) -> str:
    return percent(value) if task.accuracy else f"{value:.2f}".replace("-", "\u2212")


def _note(found: BySpace) -> Html:
    what = (
        "A space\u2019s features are the pooled output of its own last stage; all in a row are the encoder\u2019s."
        if found.own
        else "A space\u2019s features are its head\u2019s embedding, which the loss compared."
    )
    said = (
        f" Measured on {count(found.images)} test images (rotations: {count(found.turned)}, in all four turns) with "
        f"the encoder of step {count(found.step)}. The framed value is the best of its column; a cell is the darker, "
        "the closer it is to it from chance. R\u00b2 is the share of the variance that is told. Nearest neighbours in "
        "several spaces are those of the greatest mean cosine."
    )
    return tag("p", {"class": "aside"}, what + said)
