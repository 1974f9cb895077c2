"""Several encoders side by side: for each alteration where its images stay and what can be read off, as dots."""

import math
from collections.abc import Sequence

from pairlens.evaluate.invariance import Estimate
from pairlens.probing.panels.verdicts import chip
from pairlens.probing.verdict import SURE
from pairlens.probing.whole import Probe
from pairlens.probing.words import WORDS
from pairlens.report.html import Html, join, scrolling, tag, user


def draw(probes: Sequence[Probe]) -> Html:
    """A row for each alteration, a column for each encoder; in each cell both numbers on a line from 0 to 1."""
    heads = [tag("td", {}), *(tag("th", {"scope": "col"}, user(probe.name)) for probe in probes)]
    rows = [
        tag(
            "tr",
            {},
            tag("th", {"scope": "row"}, tag("a", {"href": f"#{name}"}, WORDS[name].noun)),
            *(_cell(p, name) for p in probes),
        )
        for name in probes[0].verdicts
    ]
    grid = tag("table", {"class": "compared"}, tag("thead", {}, tag("tr", {}, *heads)), tag("tbody", {}, *rows))
    return join([_legend(), scrolling(grid, "encoders compared")])


def _legend() -> Html:
    keys = [("stays", "invariance: 1 blind, 0 as far as another image"), ("told", "read off: 1 exactly, 0 not at all")]
    items = [
        tag("li", {}, tag("span", {"class": f"dot-key {kind}", "aria-hidden": "true"}), text) for kind, text in keys
    ]
    return tag("ul", {"class": "legend"}, *items, tag("li", {}, "whiskers: two standard errors"))


def _cell(probe: Probe, name: str) -> Html:
    own, judged = probe.own(name), probe.verdicts[name]
    lines = [_line("stays", "invariance", own.invariance), _line("told", "read off", own.told)]
    return tag("td", {}, *lines, chip(judged.kind, judged.sure))


def _line(kind: str, what: str, estimate: Estimate) -> Html:
    if not math.isfinite(estimate.value):
        return tag("div", {"class": f"dots {kind}"}, tag("span", {"class": "number"}, "\u2013"))
    place = max(0.0, min(1.0, estimate.value))
    reach = SURE * estimate.error
    low, high = max(0.0, place - reach), min(1.0, place + reach)
    title = f"{what} {estimate.value:.2f} \u00b1 {reach:.2f}"
    whisker = tag("u", {"style": f"left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"})
    dot = tag("i", {"style": f"left:{100 * place:.1f}%"})
    return tag(
        "div",
        {"class": f"dots {kind}", "title": title},
        tag("span", {"class": "rail", "aria-hidden": "true"}, whisker, dot),
        tag("span", {"class": "number"}, f"{estimate.value:.2f}".replace("-", "\u2212")),
    )
