"""What is kept: how well a linear layer tells turns and known factors from the features, beside the baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pairlens.record.run import Run
from pairlens.report.html import Html, join, tag, user
from pairlens.report.kept import TURNS, Kept, Quantity, Told, read_kept
from pairlens.report.read import CONTESTANT_NAMES, Missing
from pairlens.report.text import count, percent

SENTENCES = {
    TURNS: "By which quarter turn is the image turned? Training with turned views may cost this.",
    "class": "Of the labels: what most read-outs are for.",
    "hue": "Where on the colour wheel? Colour jitter and gray teach to ignore it.",
    "lean": "By how many degrees does the object lean?",
    "texture": "Which of the ground's textures is it?",
    "position": "Where is the object's centre? Crops teach to ignore it.",
    "size": "How large is the object? Crops teach to ignore it.",
}


def compute(run: Run) -> Kept | Missing:
    """What `pairlens evaluate --probes` has found."""
    return read_kept(run) or Missing(
        "It was not measured what this encoder keeps: `pairlens evaluate RUN --probes rotation factors` does."
    )


@dataclass(frozen=True)
class Bar:
    """One row of a quantity's chart."""

    label: str
    kind: str  # encoder, random or pixels
    place: int  # of the run among the runs
    told: Told


def bars(found: Sequence[Kept], names: Sequence[str], places: Sequence[int], name: str) -> tuple[Quantity, list[Bar]]:
    """A quantity's rows: every run's encoder, then the baselines, each once where all runs agree on it."""
    given = [
        (n, p, q) for one, n, p in zip(found, names, places, strict=True) for q in one.quantities if q.name == name
    ]
    several = len(found) > 1
    rows = [Bar(n if several else CONTESTANT_NAMES["encoder"], "encoder", p, q.told["encoder"]) for n, p, q in given]
    for kind in ("random", "pixels"):
        of = [(n, p, q.told[kind]) for n, p, q in given if kind in q.told]
        agreed = len({round(told.value, 4) for _, _, told in of}) == 1
        for n, p, told in of[:1] if agreed else of:
            rows.append(Bar(CONTESTANT_NAMES[kind] + ("" if agreed else f", {n}"), kind, p, told))
    return given[0][2], rows


def draw(found: Sequence[Kept], names: Sequence[str], places: Sequence[int]) -> Html:
    """In words what was gained and lost, by one run or by each beside the others; then bars, one chart a quantity."""
    quantities = dict.fromkeys(q.name for one in found for q in one.quantities)
    charts = [_chart(*bars(found, names, places, name), len(found) > 1) for name in quantities]
    if len(found) == 1:
        said = [_words(verdict(found[0]), HEADS)]
    else:
        said = [
            join([tag("h3", {}, user(name)), _words(compared(found, names, i), BESIDE)]) for i, name in enumerate(names)
        ]
    return join([*said, tag("div", {"class": "charts"}, *charts), tag("p", {"class": "aside"}, _note(found[0]))])


Fates = dict[str, list[Html]]
"""What became of quantities: a kind of fate, and the quantities that it befell, in words."""


def verdict(kept: Kept) -> Fates:
    """The quantities by what became of them: "gained", "lost", "same" and "blind".

    Gained is what is told better than by the better baseline, lost what is told worse, by more than two standard errors
    of the difference; blind, what is told no better than by chance, by two of the encoder's. Without baselines all that
    is told is "told".
    """
    found: Fates = {}
    for quantity in kept.quantities:
        encoder = quantity.told["encoder"]
        others = {CONTESTANT_NAMES[who]: told for who, told in quantity.told.items() if who != "encoder"}
        best = max(others, key=lambda who: others[who].value, default=None)
        if encoder.value - quantity.chance <= 2 * encoder.error:
            found.setdefault("blind", []).append(user(quantity.name))
        elif best is None:
            found.setdefault("told", []).append(user(quantity.name))
        elif (sign := _differs(encoder, others[best])) < 0:
            found.setdefault("lost", []).append(_less(quantity, encoder, best, others[best]))
        else:
            found.setdefault("gained" if sign > 0 else "same", []).append(user(quantity.name))
    return found


def compared(found: Sequence[Kept], names: Sequence[str], place: int) -> Fates:
    """The quantities of one of several runs: "best" where no other run tells it better, by two standard errors of the
    difference, else "worse"; and those that are "lost" and "blind" as alone.
    """
    alone = verdict(found[place])
    fates: Fates = {}
    for quantity in found[place].quantities:
        others = {
            name: q.told["encoder"]
            for i, (one, name) in enumerate(zip(found, names, strict=True))
            for q in one.quantities
            if i != place and q.name == quantity.name
        }
        best = max(others, key=lambda name: others[name].value, default=None)
        encoder = quantity.told["encoder"]
        if best is not None and _differs(encoder, others[best]) < 0:
            fates.setdefault("worse", []).append(_less(quantity, encoder, best, others[best]))
        elif best is not None:
            fates.setdefault("best", []).append(user(quantity.name))
    return fates | {kind: alone[kind] for kind in ("lost", "blind") if kind in alone}


def _differs(one: Told, other: Told) -> int:
    """The sign of a difference of more than two standard errors, else 0."""
    more, least = one.value - other.value, 2 * (one.error**2 + other.error**2) ** 0.5
    return int(more > least) - int(more < -least)


HEADS = {
    "gained": ("Learned", "told better than from raw pixels and than from the untrained encoder"),
    "lost": ("Lost", "told worse than without any training"),
    "same": ("No better", "told about as well as without any training"),
    "blind": ("Blind", "told no better than by chance"),
    "told": ("Told", "better than by chance"),
}
BESIDE = {
    "best": ("As well as any", "no other of these runs tells it clearly better"),
    "worse": ("Worse", "another of these runs tells it better"),
    "lost": HEADS["lost"],
    "blind": HEADS["blind"],
}


def _words(fates: Fates, heads: Mapping[str, tuple[str, str]]) -> Html:
    """A sentence for each fate."""
    lines = []
    for kind, (head, means) in heads.items():
        if told := fates.get(kind):
            parts = [part for i, one in enumerate(told) for part in (_between(i, len(told)), one)]
            lines.append(tag("li", {}, tag("b", {}, head), f", {means}: ", *parts, "."))
    return tag("ul", {"class": "fates"}, *lines)


def _between(place: int, of: int) -> str:
    return "" if place == 0 else " and " if place == of - 1 else ", "


def _less(quantity: Quantity, told: Told, better: str, others: Told) -> Html:
    """A quantity, how well it is told, and by whom better."""
    values = (_value(quantity, one.value) for one in (told, others))
    return join([user(quantity.name), f" ({next(values)}; ", user(better), f" {next(values)})"])


def _chart(quantity: Quantity, rows: Sequence[Bar], several: bool) -> Html:
    measure = "accuracy" if quantity.accuracy else "R\u00b2"
    head = tag("h3", {}, user(quantity.name), tag("span", {"class": "minor"}, f" {measure}"))
    sentence = SENTENCES.get(quantity.name, "A known factor of these images.")
    lines = [_bar(quantity, row, several) for row in rows]
    return tag("div", {}, head, tag("p", {"class": "aside"}, sentence), tag("ul", {"class": "bars"}, *lines))


def _bar(quantity: Quantity, row: Bar, several: bool) -> Html:
    color = f"--c:var(--run-{row.place % 8})" if row.kind == "encoder" else None
    length = 100 * min(1.0, max(0.0, row.told.value))
    chance = tag("i", {"class": "chance", "style": f"left:{100 * quantity.chance:.2f}%"}) if quantity.chance else None
    track = tag(
        "div",
        {"class": "track", "aria-hidden": "true"},
        tag("i", {"class": "top1", "style": f"width:{length:.2f}%"}),
        chance,
    )
    label = user(row.label) if several else row.label
    error = tag("span", {"class": "minor"}, f"\u00b1 {_value(quantity, 2 * row.told.error)}")
    value = tag("b", {}, _value(quantity, row.told.value))
    head = tag("div", {"class": "row"}, tag("span", {"class": "label"}, label), error, value)
    return tag("li", {"data-kind": row.kind, "style": color}, head, track)


def _value(quantity: Quantity, value: float) -> str:
    return percent(value) if quantity.accuracy else f"{value:.2f}".replace("-", "\u2212")


def _note(kept: Kept) -> str:
    return (
        f"Each is told by one linear layer on frozen features of {count(kept.images)} test images"
        + (f" (rotations: of {count(kept.turned)}, each in all four turns)" if kept.turned else "")
        + f", with the encoder of step {count(kept.step)}. Accuracy is the share of right answers, and the fine line "
        "marks guessing; R\u00b2 is the share of the variance that is told, 0 where nothing is. \u00b1 is two standard "
        "errors over the test images. What is not told linearly may still be there in another form."
    )
