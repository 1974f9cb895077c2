"""Accuracy against the two baselines: bars with their numbers, per protocol."""

from collections.abc import Sequence
from dataclasses import dataclass

from pairlens.record.run import Run
from pairlens.report.html import Html, join, tag, user
from pairlens.report.read import CONTESTANT_NAMES, Missing, Score, Scores, scores
from pairlens.report.text import count, percent


@dataclass(frozen=True)
class Accuracy:
    """What an evaluation found."""

    scores: Scores
    step: int | None  # of the encoder that was evaluated
    images: int | None  # tested
    classes: int  # 0: unlabelled
    retrieval_images: int | None


def compute(run: Run) -> Accuracy | Missing:
    """The scores of the encoder and its baselines."""
    found = scores(run.evaluation)
    if run.observed:
        return Missing("Only the pairs of this loop were observed: there is no encoder here that could be evaluated.")
    if not found or run.evaluation is None:
        return Missing("There is no evaluation yet: `pairlens evaluate` on the run's folder makes one.")
    given = run.evaluation
    return Accuracy(
        scores=found,
        step=given.get("step"),
        images=(given.get("data") or {}).get("test"),
        classes=len(given.get("classes") or ()),
        retrieval_images=(given.get("retrieval") or {}).get("images"),
    )


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart."""

    label: str
    kind: str  # encoder, random or pixels
    place: int  # of the run among the runs
    score: Score


def bars(found: Sequence[Accuracy], names: Sequence[str], protocol: str) -> list[Bar]:
    """The rows of one protocol: every run's encoder, then the baselines, each once where all runs agree on it."""
    rows = []
    for place, (one, name) in enumerate(zip(found, names, strict=True)):
        if "encoder" in one.scores.get(protocol, {}):
            label = CONTESTANT_NAMES["encoder"] if len(found) == 1 else name
            rows.append(Bar(label, "encoder", place, one.scores[protocol]["encoder"]))
    for kind in ("random", "pixels"):
        given = [(name, one.scores.get(protocol, {}).get(kind)) for one, name in zip(found, names, strict=True)]
        distinct = {round(s.top1, 4) for _, s in given if s}
        for place, (name, score) in enumerate(given):
            if score is None or (len(distinct) == 1 and any(r.kind == kind for r in rows)):
                continue
            label = CONTESTANT_NAMES[kind] + (f", {name}" if len(distinct) > 1 else "")
            rows.append(Bar(label, kind, place, score))
    return rows


PROTOCOLS = {
    "knn": ("kNN", "Each test image takes the class of its nearest training images; nothing is trained."),
    "linear": ("Linear read-out", "One linear layer is trained with labels on the frozen features."),
    "retrieval": ("View retrieval", "Is the nearest neighbour of a view another view of the same image? No labels."),
}


def draw(found: Sequence[Accuracy], names: Sequence[str]) -> Html:
    """Horizontal bars, one chart a protocol, with the numbers beside them."""
    charts = []
    for protocol, (title, sentence) in PROTOCOLS.items():
        rows = bars(found, names, protocol)
        if rows:
            chance = 1 / found[0].classes if protocol != "retrieval" and found[0].classes else None
            lines = [_bar(row, chance, len(found) > 1) for row in rows]
            head = tag("h3", {}, title)
            charts.append(
                tag("div", {}, head, tag("p", {"class": "aside"}, sentence), tag("ul", {"class": "bars"}, *lines))
            )
    return join([tag("div", {"class": "charts"}, *charts), tag("p", {"class": "aside"}, _note(found[0]))])


def _bar(row: Bar, chance: float | None, several: bool) -> Html:
    top5 = row.score.top5
    color = f"--c:var(--run-{row.place % 8})" if row.kind == "encoder" else None
    track = tag(
        "div",
        {"class": "track", "aria-hidden": "true"},
        tag("i", {"class": "top5", "style": f"width:{100 * top5:.2f}%"}) if top5 is not None else None,
        tag("i", {"class": "top1", "style": f"width:{100 * row.score.top1:.2f}%"}),
        tag("i", {"class": "chance", "style": f"left:{100 * chance:.2f}%"}) if chance else None,
    )
    label = user(row.label) if several else row.label
    extra = tag("span", {"class": "minor"}, f"top-5 {percent(top5)}") if top5 is not None else None
    head = tag(
        "div", {"class": "row"}, tag("span", {"class": "label"}, label), extra, tag("b", {}, percent(row.score.top1))
    )
    return tag("li", {"data-kind": row.kind, "style": color}, head, track)


def _note(found: Accuracy) -> str:
    parts = ["The solid bar is top-1 accuracy, the pale one top-5"]
    if found.classes:
        parts.append(f"the fine line marks guessing among {found.classes} classes")
    text = "; ".join(parts) + "."
    if found.images and found.scores.keys() & {"knn", "linear"}:
        text += f" Measured on {count(found.images)} test images"
        text += f" with the encoder of step {count(found.step)}." if found.step is not None else "."
    elif found.retrieval_images:
        text += f" Measured on {count(found.retrieval_images)} images."
    return text
