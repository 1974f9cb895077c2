"""Configuration and environment: everything it takes to know what was run, on what, and what happened."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pairlens.record.run import Run
from pairlens.report.html import Html, join, notice, scrolling, table, tag, user
from pairlens.report.read import undamaged
from pairlens.report.text import moment

EVENTS = 200  # shown, the newest


@dataclass(frozen=True)
class Configuration:
    """Names and values, all text, by heading."""

    folder: str
    command: str
    groups: Mapping[str, Sequence[tuple[str, str]]]
    events: tuple[tuple[str, str, str], ...]  # time, kind, text
    earlier: int  # events that are not shown
    damaged: bool  # whether the events cannot be read


def compute(run: Run) -> Configuration:
    """What run.json and the events say."""
    info, call = run.info, run.call
    argv = call.get("argv")
    general = {"folder": str(run.folder.resolve())} | {k: v for k, v in call.items() if k not in {"argv", "arguments"}}
    general |= {
        k: info[k] for k in ("created", "seed", "batch", "size", "steps", "steps_per_epoch", "views") if k in info
    }
    groups = {
        "Run": general,
        "Arguments": call.get("arguments"),
        "Embedding spaces": info.get("spaces"),
        "Data": info.get("data"),
        "Parameters": info.get("parameters"),
        "Environment": {"pairlens": info.get("pairlens"), **(_mapping(info.get("environment")) or {})},
        "Evaluation": _evaluation(run),
    }
    happened = undamaged(lambda: run.events, None)
    events = [(moment(str(e.get("time", ""))), str(e.get("kind", "")), str(e.get("text", ""))) for e in happened or []]
    return Configuration(
        folder=str(run.folder),
        command=shlex.join(["pairlens", "train", *map(str, argv)]) if isinstance(argv, list) and argv else "",
        groups={k: _rows(m) for k, g in groups.items() if (m := _mapping(g))},
        events=tuple(events[-EVENTS:]),
        earlier=max(0, len(events) - EVENTS),
        damaged=happened is None,
    )


def _mapping(value: object) -> Mapping[str, object] | None:
    return value if isinstance(value, dict) and value else None


def _evaluation(run: Run) -> Mapping[str, object] | None:
    given = undamaged(lambda: run.evaluation, None)
    if given is None:
        return None
    return {k: given[k] for k in ("date", "step", "seed", "seconds", "data", "protocol") if k in given}


def _rows(values: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(str(k), plain(v)) for k, v in values.items()]


def plain(value: object) -> str:
    """A value in short: lists without brackets, mappings as "name: value"."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{k}: {plain(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(plain(v) for v in value) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def draw(found: Configuration) -> Html:
    """The command, the tables and the events."""
    command = tag("pre", {"tabindex": 0, "aria-label": "the command"}, user(found.command)) if found.command else None
    tables = [
        tag("div", {}, tag("h3", {}, head), table((user(k), user(v)) for k, v in rows))
        for head, rows in found.groups.items()
    ]
    return join([command, tag("div", {"class": "facts-grid"}, *tables), _events(found)])


def _events(found: Configuration) -> Html | None:
    if found.damaged:
        return notice("What happened cannot be shown, because `events.jsonl` is damaged.")
    if not found.events:
        return None
    rows = [
        tag("tr", {}, tag("td", {}, user(time)), tag("td", {}, user(kind)), tag("td", {}, user(text)))
        for time, kind, text in found.events
    ]
    said = f"What happened: {len(found.events) + found.earlier} events"
    earlier = (
        tag("p", {"class": "aside"}, f"{found.earlier} earlier events are in events.jsonl.") if found.earlier else None
    )
    grid = tag("table", {"class": "events"}, tag("tbody", {}, *rows))
    return tag("details", {}, tag("summary", {}, said), earlier, scrolling(grid, "events"))
