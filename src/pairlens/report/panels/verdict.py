"""The verdict: in plain words, what state a run is in, whether it learned, and whether anything looks wrong."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pairlens.report.facts import Facts
from pairlens.report.html import Html, join, prose, tag, user
from pairlens.report.read import CONTESTANT_NAMES, PROTOCOL_NAMES
from pairlens.report.text import count, listed, moment, number, percent
from pairlens.words import duration

COLLAPSED_STD = 0.1  # feature standard deviation times sqrt(D), as recorded; evenly spread unit vectors have 1
COLLAPSED_COSINE = 0.95  # mean cosine between an image and its negatives
SEPARATED = 1.0  # distance of the two means in units of their root mean square standard deviation
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

    Something looks wrong when the loss was NaN or infinite at any step; when, over the last tenth of the steps, the
    feature standard deviation is below `COLLAPSED_STD` or the mean negative cosine above `COLLAPSED_COSINE` (collapse:
    all images are embedded alike); or when, after the first epoch, positives and negatives lie less than `SEPARATED`
    standard deviations apart. The encoder beats a baseline when it leads by `SURE` standard errors; view retrieval,
    which is close to what it was trained for, counts only where there are no labels.
    """
    warnings = _warnings(facts)
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


def _warnings(facts: Facts) -> list[str]:
    warnings = []
    if facts.broken_step is not None:
        warnings.append(
            f"The loss was not a number at step {count(facts.broken_step)}: lower the learning rate or use float32."
        )
    for space in facts.spaces:
        where = f" in space {space.name}" if len(facts.spaces) > 1 else ""
        if space.feature_std < COLLAPSED_STD or space.negative_mean > COLLAPSED_COSINE:
            warnings.append(
                f"The embeddings have collapsed{where}: all images look alike to the encoder "
                f"(mean negative cosine {number(space.negative_mean, 2)}, "
                f"feature standard deviation {number(space.feature_std, 2)})."
            )
        elif facts.epochs >= 1 and space.separation < SEPARATED:
            warnings.append(
                f"Positives and negatives are hardly separated{where}: their means lie "
                f"{number(space.separation, 2)} standard deviations apart."
            )
    return warnings


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
    health = [tag("li", {}, w) for w in judged.warnings]
    if health:
        lines.append(tag("ul", {"class": "warnings"}, *health))
    elif facts.spaces and math.isfinite(facts.spaces[0].negative_mean):
        loss = "finite loss, " if facts.has_loss else ""
        fine = f"The training itself looks sound: {loss}embeddings spread out, positives apart from negatives."
        early = f"The training looks sound so far: {loss}no collapse."
        lines.append(tag("p", {"class": "fine"}, fine if facts.epochs >= 1 else early))
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
    if facts.spaces and math.isfinite(facts.spaces[0].accuracy):
        value = percent(float(np.mean([s.accuracy for s in facts.spaces])))
        tiles.append(("contrastive accuracy", value, "positive above every negative"))
    if math.isfinite(facts.images_per_second):
        tiles.append(("speed", number(facts.images_per_second), "images a second, median"))
    items = [
        tag("div", {}, tag("dt", {}, k), tag("dd", {}, tag("strong", {}, v), tag("span", {}, note)))
        for k, v, note in tiles
    ]
    return tag("dl", {"class": "tiles"}, *items) if items else Html("")
