"""Score distributions side by side: of several runs, before and after the feature transform (FT, Figures 1 and 7)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pairlens.record.run import Run
from pairlens.report import effect, overlaid
from pairlens.report.effect import Change, Effect, Effects
from pairlens.report.html import Html, chart, choice, join, scrolling, switch, tag, user
from pairlens.report.lines import stroke
from pairlens.report.overlaid import KINDS, SPELLED, Entry, Overlaid
from pairlens.report.read import Missing
from pairlens.report.sweep import Sweep
from pairlens.report.text import count, number

TITLES = {"positive": "Positives", "negative": "Negatives"}


@dataclass(frozen=True)
class Compared:
    """One run's distributions and what its transform does to them."""

    effects: Effects
    overlaid: Overlaid


def compute(run: Run) -> Compared | Missing:
    """What the section shows of one run."""
    effects, distributions = effect.compute(run), overlaid.compute(run)
    for one in (effects, distributions):
        if isinstance(one, Missing):
            return one
    assert isinstance(effects, Effects)
    assert isinstance(distributions, Overlaid)
    return Compared(effects, distributions)


def transformed(run: Run) -> bool:
    """Whether a run has anything before and after a transform to show."""
    found = effect.compute(run)
    return isinstance(found, Effects) and found.transformed


def draw(found: Sequence[Compared], names: Sequence[str], places: Sequence[int], swept: Sweep | None = None) -> Html:
    """Words for each transform, the overlaid distributions, and one table of all runs (or none of a sweep's)."""
    rows = overlaid.entries([one.overlaid for one in found], names, places, swept)
    spaces = list(dict.fromkeys(space for row in rows for space in row.overlaid.spaces))
    several = len(found) > 1
    words = (
        []
        if swept
        else [
            tag(
                "li",
                {},
                *([tag("b", {}, user(name)), ": "] if several else []),
                _words(one, len(run.effects.spaces) > 1),
            )
            for run, name in zip(found, names, strict=True)
            for one in run.effects.spaces
            if one.transform is not None
        ]
    )
    buttons = switch("Embedding space", "compared-space", [(str(i), s) for i, s in enumerate(spaces)], "0")
    when = switch("Part of the training", "when", list(SPELLED.items()), "end")
    drawn = [choice("compared-space", str(i), i == 0, _space(rows, space)) for i, space in enumerate(spaces)]
    return join(
        [
            tag("ul", {"class": "fates"}, *words) if words else None,
            _legend(rows, any(run.effects.transformed for run in found)),
            tag("div", {"class": "toolbar"}, when, buttons if len(spaces) > 1 else None),
            *drawn,
            None if swept else _table(found, names, places),
        ]
    )


def _space(rows: Sequence[Entry], space: str) -> Html:
    parts = []
    for when, spelled in SPELLED.items():
        cells = []
        for kind in KINDS:
            if any((when, "after", kind) in row.overlaid.spaces.get(space, {}) for row in rows):
                alt = f"distributions of {kind} scores, {spelled.lower()} of the training, a line for each"
                shown = chart(overlaid.plot(rows, space, when, kind), alt, 280, name=f"{kind}_scores_{when}")
                cells.append(tag("div", {}, tag("h3", {}, TITLES[kind]), shown))
        parts.append(choice("when", when, when == "end", tag("div", {"class": "columns"}, *cells)))
    return join(parts)


def _legend(rows: Sequence[Entry], before: bool) -> Html | None:
    keys = [stroke(f"var({row.key})", row.style.dash, row.label) for row in rows] if len(rows) > 1 else []
    keys += [tag("li", {"class": "minor"}, "dotted: before the transform")] if before else []
    return tag("ul", {"class": "legend"}, *keys) if keys else None


def _words(one: Effect, several: bool) -> Html:
    """What the transform does, in a sentence or two."""
    parts = []
    if (mean := one.changes.get("positive_mean")) is not None and one.transform and one.transform.positives:
        verb = "lowers" if mean.after < mean.before else "raises"
        parts.append(
            f"{verb} the mean positive score by {number(abs(mean.after - mean.before), 2)}, from "
            f"{number(mean.before)} to {number(mean.after)}{_beside(mean, 'Eq. 4')}"
        )
    spread = one.changes.get("negative_variance")
    if spread is not None and spread.before > 0 and math.isfinite(spread.after):
        factor = spread.after / spread.before
        if abs(factor - 1) > 0.02 or (one.transform and one.transform.negatives):
            verb = "shrinks" if factor < 1 else "widens"
            said = (
                f" (FT predicts \u00d7{spread.predicted / spread.before:.2f})" if spread.predicted is not None else ""
            )
            parts.append(f"{verb} the negatives\u2019 variance to \u00d7{factor:.2f}{said}")
    if not parts:
        return join(["The transform hardly changes the scores."])
    where = [" in space ", user(one.space)] if several else []
    return join(
        [f"Over the {count(one.steps)} steps at which it acts the transform", *where, f" {' and '.join(parts)}."]
    )


def _beside(change: Change, equation: str) -> str:
    if change.predicted is None:
        return ""
    return f" (FT\u2019s {equation} predicts {number(change.predicted)})"


HEADS = ("", "positives: mean", "negatives: mean", "negatives: variance")
COLUMNS = ("positive_mean", "negative_mean", "negative_variance")


def _table(found: Sequence[Compared], names: Sequence[str], places: Sequence[int]) -> Html:
    """Each run's three statistics before and after, and the prediction."""
    several = len(found) > 1
    body = []
    for run, name, place in zip(found, names, places, strict=True):
        for one in run.effects.spaces:
            whose: list[Html | str] = []
            if several:
                key = {"class": "key", "style": f"--c:var(--run-{place % 8})", "aria-hidden": "true"}
                whose += [tag("span", key), user(name)]
            if len(run.effects.spaces) > 1:
                whose += [", " if whose else "", user(one.space)]
            lines = {"before": "before", "after": "after", "predicted": "predicted"} if one.transform else {"after": ""}
            for line, said in lines.items():
                values = [getattr(one.changes.get(c), line, None) for c in COLUMNS]
                if all(value is None for value in values):
                    continue
                title = [*whose, " " if whose and said else "", tag("span", {"class": "minor"}, said)]
                cells = [tag("td", {}, number(value) if value is not None else "\u2013") for value in values]
                body.append(tag("tr", {}, tag("th", {"scope": "row"}, *title), *cells))
    head = tag("tr", {}, *(tag("th", {"scope": "col"}, text) for text in HEADS))
    grid = tag("table", {"class": "sets"}, tag("thead", {}, head), tag("tbody", {}, *body))
    said = "Means over all steps"
    if any(run.effects.transformed for run in found):
        said = (
            "Means over the steps at which the transform acted, or over all steps of a run without one. Before are the "
            "pairs as the encoder made them, after as the loss saw them. The predictions take the means before and the "
            "distribution that lambda is drawn from (FT, Eq. 3 to 5): the positives\u2019 is exact on average, the "
            "negatives\u2019 variance supposes that features spread alike in all directions, and is left out where "
            "negatives are selected or all images still look alike"
        )
    return join([scrolling(grid, "scores before and after"), tag("p", {"class": "aside"}, said + ".")])
