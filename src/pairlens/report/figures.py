"""Every figure of a report with a name of its own: read off the page's sections, so that none can be forgotten."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from html.parser import HTMLParser
from typing import Any

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.report.html import VOID
from pairlens.report.page import names_of, sections_of
from pairlens.report.text import listed

IMPLIED = ("form", "when", "sweep-dimensions")
"""Switches whose choices the figures' own names tell apart."""


@dataclass(frozen=True)
class Named:
    """A figure as the page has it."""

    name: str  # of its file, without the ending
    heading: str  # above it on the page
    alt: str  # what it shows, in words
    figure: Mapping[str, Any]  # plotly's, in light colours
    height: int  # pixels

    @property
    def deep(self) -> bool:
        """Whether it is drawn in three dimensions."""
        return any(trace.get("type") in ("scatter3d", "surface") for trace in self.figure["data"])


def figures_of(runs: Sequence[Run], only: Sequence[str] = ()) -> list[Named]:
    """The figures of these runs' report, in its order.

    Args:
        runs: as the report takes them.
        only: names of figures or of sections ("scores", "scores-negative-mean"), or patterns ("*-3d"); all without any.

    Raises:
        InputError: a name is that of no figure.
    """
    if not runs:
        raise InputError("figures need at least one run; give the folders that `pairlens train` printed")
    found: list[Named] = []
    for section in sections_of(runs, names_of(runs)):
        reader = _Reader(section.anchor)
        reader.feed(section.content)
        found += reader.found
    return chosen(_unique(found), only)


def _unique(found: Sequence[Named]) -> list[Named]:
    """Equal names are numbered."""
    seen: dict[str, int] = {}
    named = []
    for one in found:
        seen[one.name] = seen.get(one.name, 0) + 1
        name = one.name if seen[one.name] == 1 else f"{one.name}-{seen[one.name]}"
        named.append(Named(name, one.heading, one.alt, one.figure, one.height))
    return named


def chosen(found: Sequence[Named], only: Sequence[str]) -> list[Named]:
    """Those that are asked for; all of them where nothing is.

    Raises:
        InputError: a name is that of no figure.
    """
    for pattern in only:
        if not any(_matches(one.name, pattern) for one in found):
            names = listed([one.name for one in found[:12]]) + (" and more" if len(found) > 12 else "")
            there = f"there are {names}" if found else "these runs have none"
            raise InputError(f"no figure is called {pattern!r}; {there} (`--list` tells all)")
    return [one for one in found if not only or any(_matches(one.name, pattern) for pattern in only)]


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(f"{pattern}-") or fnmatch(name, pattern)


def slug(text: str, limit: int = 40) -> str:
    """Text as a part of a file's name: small letters, digits, dots and dashes; empty where it has none of them."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower())[:limit].strip("-.")


class _Reader(HTMLParser):
    """Finds the figures of a section, with the heading above each and the choices that it stands in."""

    def __init__(self, anchor: str) -> None:
        super().__init__()
        self.anchor = anchor
        self.found: list[Named] = []
        self.open: list[tuple[str, Mapping[str, str | None]]] = []
        self.labels: dict[tuple[str | None, str | None], str] = {}
        self.heading = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Go into an element."""
        if tag in VOID:
            return
        if tag == "h3":
            self.heading = ""
        self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        if self.open and self.open[-1][0] == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        """Text: of a heading, of a switch's button, or a figure."""
        tags = [tag for tag, _ in self.open]
        if "h3" in tags:
            self.heading += data
        elif "button" in tags:
            at = tags.index("button")
            key = self.open[at - 1][1].get("data-group"), self.open[at][1].get("data-value")
            self.labels[key] = self.labels.get(key, "") + data
        elif tags[-2:] == ["div", "script"] and self.open[-2][1].get("class") == "chart":
            self._add(self.open[-2][1], json.loads(data))

    def _add(self, chart: Mapping[str, str | None], figure: Mapping[str, Any]) -> None:
        choices = [
            self.labels.get((given.get("data-group"), given.get("data-value")), "")
            for _, given in self.open
            if given.get("class") == "choice" and given.get("data-group") not in IMPLIED
        ]
        own = chart.get("data-name") or self.heading
        name = "-".join(filter(None, map(slug, [self.anchor, *choices, own])))
        height = re.search(r"height:(\d+)px", chart.get("style") or "")
        assert height is not None, "every chart has a height"
        self.found.append(Named(name, self.heading, chart.get("aria-label") or "", figure, int(height[1])))
