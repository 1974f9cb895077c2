"""The invariance probe: what the encoder is blind to and what it keeps, and whether LooC is worth trying."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pairlens.record.run import Run
from pairlens.report.html import Html, join, prose, scrolling, tag, user
from pairlens.report.read import Missing, finite

WORDS = {
    "blind": "\u25cb blind",
    "partly": "\u25d0 in part",
    "keeps": "\u25cf keeps",
    "faint": "\u2013 too faint",
}
"""Each verdict's mark and word, as the probe's own page has them."""

COLUMNS = ("", "verdict", "invariance", "read off", "untrained", "raw pixels")


@dataclass(frozen=True)
class Row:
    """One alteration: the verdict, and the numbers with their standard errors; NaN where nothing is known."""

    name: str
    verdict: str
    invariance: tuple[float, float]
    told: tuple[float, float]
    untrained: float
    pixels: float


@dataclass(frozen=True)
class Probed:
    """One reader's findings: the encoder's, or those in one embedding space."""

    space: str | None
    headline: str
    advice: str | None
    command: str | None
    rows: tuple[Row, ...]


def compute(run: Run) -> list[Probed] | Missing:
    """What the probe of this run found, the encoder first."""
    found = run.probe
    if found is None:
        return Missing("Nobody has asked what this encoder is blind to: `pairlens probe RUN` does.")
    return [_probed(one) for one in found["encoders"]]


def _probed(one: Mapping[str, Any]) -> Probed:
    advice = one["advice"] or {}
    rows = tuple(_row(name, found) for name, found in one["alterations"].items())
    return Probed(one["space"], str(one["headline"]), advice.get("sentence"), advice.get("command"), rows)


def _row(name: str, found: Mapping[str, Any]) -> Row:
    said = WORDS[found["verdict"]]
    return Row(
        name,
        said if found["sure"] else said.replace(" ", " probably ", 1),
        _estimate(found["encoder"]["invariance"]),
        _estimate(found["encoder"]["predictability"]),
        *(_estimate(found[who]["predictability"])[0] if who in found else math.nan for who in ("untrained", "pixels")),
    )


def _estimate(given: Mapping[str, Any]) -> tuple[float, float]:
    return finite(given["value"], math.nan), finite(given["error"], math.nan)


def draw(found: Sequence[Probed]) -> Html:
    """The verdict in words, the advice, and a table of the encoder's numbers; of spaces the verdicts alone."""
    encoder, *spaces = found
    said = tag("p", {}, tag("b", {}, user(encoder.headline)))
    advised = None
    if encoder.advice:
        command = tag("pre", {}, user(encoder.command)) if encoder.command else None
        advised = join([tag("p", {}, tag("b", {}, "Is LooC worth trying? "), prose(encoder.advice)), command])
    others = [tag("li", {}, tag("b", {}, user(str(one.space))), ": ", user(one.headline)) for one in spaces]
    heads = tag("tr", {}, *(tag("th", {"scope": "col"}, head) for head in COLUMNS))
    body = tag("tbody", {}, *(_line(row) for row in encoder.rows))
    grid = tag("table", {"class": "runs"}, tag("thead", {}, heads), body)
    note = (
        "Invariance: 1 where an altered image stays where it was among all images, 0 where it is as far away as "
        "another. Read off: how much of the alteration a linear layer tells, 1 all, 0 nothing. Both with two standard "
        "errors. The page that the probe wrote, probe.html, shows every strength."
    )
    listed = tag("ul", {}, *others) if others else None
    return join([said, advised, scrolling(grid, "alterations"), listed, tag("p", {"class": "aside"}, note)])


def _line(row: Row) -> Html:
    cells = [row.verdict, _pair(row.invariance), _pair(row.told), _number(row.untrained), _number(row.pixels)]
    return tag("tr", {}, tag("th", {"scope": "row"}, user(row.name)), *(tag("td", {}, cell) for cell in cells))


def _pair(estimate: tuple[float, float]) -> str:
    value, error = estimate
    return _number(value) if math.isnan(error) else f"{_number(value)} \u00b1 {2 * error:.2f}"


def _number(value: float) -> str:
    return "\u2013" if math.isnan(value) else f"{value:.2f}".replace("-", "\u2212")
