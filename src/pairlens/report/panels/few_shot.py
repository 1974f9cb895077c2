"""Few-shot accuracy with its interval over the trials, of every run and set of spaces (LooC, Tables 2 and 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pairlens.record.run import Run
from pairlens.report.by_space import ENCODER
from pairlens.report.html import Html, scrolling, tag, user
from pairlens.report.read import Missing, intact
from pairlens.report.text import clean, count, percent


@dataclass(frozen=True)
class Line:
    """The accuracies of one set of spaces: mean and half-width of the 95 % interval, by number of shots."""

    spaces: tuple[str, ...]
    accuracy: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class FewShot:
    """What a run came to with a few labelled images of each class."""

    shots: tuple[int, ...]
    lines: tuple[Line, ...]
    trials: int
    classes: int
    images: int  # tested


def compute(run: Run) -> FewShot | Missing:
    """What `pairlens evaluate --probes few_shot` has found."""
    found = run.few_shot
    if found is None:
        return Missing("Few-shot accuracy was not measured: `pairlens evaluate RUN --probes few_shot` does it.")
    return intact(_few_shot, found, "few_shot.json", "measure it again")


def _few_shot(found: Mapping[str, Any]) -> FewShot:
    shots = tuple(int(one) for one in found["shots"])
    cells = [[row[str(one)] for one in shots] for row in found["sets"]]
    lines = tuple(
        Line(tuple(map(clean, row["spaces"])), tuple((float(c["mean"]), float(c["half"])) for c in of))
        for row, of in zip(found["sets"], cells, strict=True)
    )
    trials, images = int(cells[0][0]["count"]), int(found["data"]["test"])
    return FewShot(shots, lines, trials, int(found["classes"]), images)


def draw(found: Sequence[FewShot], names: Sequence[str], places: Sequence[int]) -> Html:
    """One table of all runs."""
    shots = tuple(dict.fromkeys(one for run in found for one in run.shots))
    heads = [tag("th", {"scope": "col"}, text) for text in ("features", *(f"{n}-shot" for n in shots))]
    several = len(found) > 1
    best = {n: max(_mean(line, run, n) for run in found for line in run.lines) for n in shots}
    body = []
    for run, name, place in zip(found, names, places, strict=True):
        if several:
            key = tag("span", {"class": "key", "style": f"--c:var(--run-{place % 8})", "aria-hidden": "true"})
            body.append(tag("tr", {}, tag("th", {"scope": "rowgroup", "colspan": 1 + len(shots)}, key, user(name))))
        body += [_row(line, run, shots, best) for line in run.lines]
    grid = tag("table", {"class": "sets"}, tag("thead", {}, tag("tr", {}, *heads)), tag("tbody", {}, *body))
    head = tag("h3", {}, "With few labels")
    return tag("div", {"class": "later"}, head, scrolling(grid, "few-shot accuracy"), _note(found[0]))


def _mean(line: Line, run: FewShot, shots: int) -> float:
    return line.accuracy[run.shots.index(shots)][0] if shots in run.shots else -1.0


def _row(line: Line, run: FewShot, shots: Sequence[int], best: dict[int, float]) -> Html:
    cells = []
    for n in shots:
        if n not in run.shots:
            cells.append(tag("td", {}, "\u2013"))
            continue
        mean, half = line.accuracy[run.shots.index(n)]
        value = tag("b", {"title": "best of this column"}, percent(mean)) if mean == best[n] else percent(mean)
        spread = tag("span", {"class": "minor"}, f" \u00b1 {100 * half:.1f}")
        cells.append(tag("td", {"class": "best" if mean == best[n] else None}, value, spread))
    name: list[Html | str] = ["encoder\u2019s features"]
    if line.spaces != (ENCODER,):
        name = [part for i, space in enumerate(line.spaces) for part in (" + " if i else "", user(space))]
    return tag("tr", {}, tag("th", {"scope": "row"}, *name), *cells)


def _note(found: FewShot) -> Html:
    said = (
        f"A linear layer trained on so many labelled images of each of {count(found.classes)} classes and tested on "
        f"{count(found.images)} images; mean of {found.trials} trials with other images, the same for all encoders, "
        "and half-width of the 95 % interval in percentage points (Student\u2019s t over the trials)."
    )
    return tag("p", {"class": "aside"}, said)
