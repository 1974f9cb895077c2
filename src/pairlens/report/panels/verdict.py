"""The verdict: in plain words, what state a run is in, whether it learned, and whether anything looks wrong."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pairlens.health import Finding
from pairlens.report.facts import Facts
from pairlens.report.html import Html, join, prose, tag, user
from pairlens.report.read import CONTESTANT_NAMES, PROTOCOL_NAMES
from pairlens.report.text import count, listed, moment, number, percent
from pairlens.words import duration

SURE = 2.0  # standard errors that a difference of accuracies must exceed to be called one


@dataclass(frozen=True)
class Verdict:
    """A judgement in words."""

    tone: str  # good, mixed, bad or open
    state: str
    headline: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]


def verdict(facts: Facts) -> Verdict:
    """Judge a run by documented rules; a pure function.

    It warns of what the rules of health (`pairlens.health`) find ill. The encoder beats a baseline when it leads by
    `SURE` standard errors; view retrieval, which is close to what it was trained for, counts only where there are no
    labels.
    """
    warnings = [_warning(finding) for finding in facts.health if finding.verdict == "ill"]
    outcomes = {p: _outcome(facts, p) for p in ("knn", "linear", "retrieval") if "encoder" in facts.scores.get(p, {})}
    counted = {p: o for p, (o, _) in outcomes.items() if p != "retrieval"} or {p: o for p, (o, _) in outcomes.items()}
    won = [p for p, o in counted.items() if o == "beats"]
    if facts.observed:
        headline = "Observed from outside: here are the pairs; what the encoder learned is not known."
        tone = "bad" if warnings else "open"
    elif not outcomes:
        headline = "Not evaluated yet, so nobody knows what the encoder learned."
        tone = "bad" if warnings else "open"
    elif len(won) == len(counted):
        headline = f"The encoder beats {_whom(facts)} in {_measures(won)}."
        tone = "mixed" if warnings else "good"
    elif won:
        lost = [p for p in counted if p not in won]
        headline, tone = f"The encoder beats {_whom(facts)} in {_measures(won)}, but not in {_measures(lost)}.", "mixed"
    elif set(counted.values()) == {"alone"}:
        headline, tone = "The encoder was evaluated, but there is no baseline to compare it with.", "mixed"
    else:
        headline, tone = "The encoder does not beat its baselines: it has learned little that helps.", "bad"
    sentences = [text for _, text in outcomes.values()]
    if not outcomes and not facts.observed:
        sentences.append(
            "Run `pairlens evaluate` on this folder to compare it with raw pixels and an untrained encoder."
        )
    sentences += _unreadable(facts)
    return Verdict(tone, _state(facts), headline, tuple(sentences), tuple(warnings))


def _unreadable(facts: Facts) -> list[str]:
    """How many files could not be read, if any, and where they are named."""
    fates = {"left out": facts.skipped, "replaced by other images": facts.replaced}
    said = [f"{count(n)} {'was' if n == 1 else 'were'} {fate}" for fate, n in fates.items() if n]
    return [f"Unreadable files: {' and '.join(said)}; `events.jsonl` names each."] if said else []


def _outcome(facts: Facts, protocol: str) -> tuple[str, str]:
    """Whether the encoder beats both baselines, and the sentence with the numbers."""
    found = facts.scores[protocol]
    ours = found["encoder"].top1
    others = {k: s.top1 for k, s in found.items() if k != "encoder"}
    name = PROTOCOL_NAMES[protocol]
    name = name if protocol == "knn" else name.capitalize()
    against = listed([f"{percent(v)} for the {CONTESTANT_NAMES[k]}" for k, v in others.items()])
    against = against.replace("the raw pixels", "raw pixels")
    text = f"{name}: {percent(ours)}" + (f", against {against}." if others else ".")
    if not others:
        return "alone", text
    best = max(others.values())
    margin = SURE * _standard_error(ours, best, facts.test_images)
    if ours - best > margin:
        return "beats", text
    return "level" if ours - best > -margin else "below", text


def _standard_error(a: float, b: float, images: int | None) -> float:
    return math.sqrt((a * (1 - a) + b * (1 - b)) / images) if images else 0.0


def _whom(facts: Facts) -> str:
    others = {k for found in facts.scores.values() for k in found} - {"encoder"}
    return "both baselines" if len(others) == 2 else "its baseline"


def _measures(protocols: Sequence[str]) -> str:
    if "retrieval" in protocols:
        return PROTOCOL_NAMES["retrieval"]
    return listed([{"knn": "kNN", "linear": "linear"}[p] for p in protocols]) + " accuracy"


def _state(facts: Facts) -> str:
    at = f"step {count(facts.step)}" + ("" if facts.observed else f" of {count(facts.steps)}")
    heard = f", last heard of {moment(facts.updated)}" if facts.updated else ""
    return {
        "finished": f"Finished in {duration(facts.seconds)}" if math.isfinite(facts.seconds) else "Finished",
        "running": f"Running, at {at}{heard}",
        "interrupted": f"Interrupted at {at}" + ("" if facts.observed else "; it can be resumed"),
        "failed": f"Failed at {at}",
        "damaged": f"State unknown, because status.json is damaged; recorded until step {count(facts.step)}",
    }.get(facts.state, "State unknown: the run has recorded none")


def _warning(finding: Finding) -> str:
    return f"{finding.title[:1].upper()}{finding.title[1:]}: {finding.evidence}. {finding.remedy}"


def _fine(facts: Facts) -> str | None:
    """In a sentence that nothing is ill; None where nobody knows."""
    judged = [finding for finding in facts.health if finding.verdict in ("ok", "watch")]
    watched = [finding.title for finding in judged if finding.verdict == "watch"]
    if not any(finding.rule == "complete_collapse" for finding in judged):
        return None
    if watched:
        return f"The training looks sound, but watch: {listed(watched)} (see Health)."
    return f"The training itself looks sound by {len(judged)} rules of health."


def draw(facts: Sequence[Facts], names: Sequence[str]) -> Html:
    """The verdict of one run writ large, or a line for each of several."""
    cards = [_card(f, verdict(f), name, len(facts) == 1) for f, name in zip(facts, names, strict=True)]
    return tag("div", {"class": "verdicts"}, *cards)


MARKS = {"good": "✓", "mixed": "≈", "bad": "!", "open": "…"}


def _card(facts: Facts, judged: Verdict, name: str, alone: bool) -> Html:
    state = tag("p", {"class": "state"}, tag("span", {"class": "dot", "data-state": facts.state}), judged.state)
    title = None if alone else tag("h3", {}, user(name))
    lines = [tag("p", {"class": "headline"}, judged.headline)]
    lines += [tag("p", {"class": "numbers"}, prose(s)) for s in judged.sentences]
    health = [tag("li", {}, prose(w)) for w in judged.warnings]
    if health:
        lines.append(tag("ul", {"class": "warnings"}, *health))
    elif fine := _fine(facts):
        lines.append(tag("p", {"class": "fine"}, fine))
    tiles = _tiles(facts) if alone else None
    mark = tag("span", {"class": "mark", "aria-hidden": "true"}, MARKS[judged.tone])
    body = tag("div", {"class": "words"}, title, state, *lines)
    return join([tag("article", {"class": "verdict", "data-tone": judged.tone}, mark, body), tiles])


def _tiles(facts: Facts) -> Html:
    tiles = []
    for protocol, found in facts.scores.items():
        if "encoder" in found:
            best = max((s.top1 for k, s in found.items() if k != "encoder"), default=math.nan)
            gain = f"{100 * (found['encoder'].top1 - best):+.1f} points on the better baseline".replace("-", "\u2212")
            name = {"knn": "kNN accuracy", "linear": "linear accuracy"}.get(protocol, "view retrieval")
            tiles.append((name, percent(found["encoder"].top1), gain if math.isfinite(best) else "no baseline"))
    if math.isfinite(facts.accuracy):
        value = percent(facts.accuracy)
        tiles.append(("contrastive accuracy", value, "positive above every negative"))
    if math.isfinite(facts.images_per_second):
        tiles.append(("speed", number(facts.images_per_second), "images a second, median"))
    items = [
        tag("div", {}, tag("dt", {}, k), tag("dd", {}, tag("strong", {}, v), tag("span", {}, note)))
        for k, v, note in tiles
    ]
    return tag("dl", {"class": "tiles"}, *items) if items else Html("")
