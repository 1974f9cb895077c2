"""The verdict: in plain words, what each encoder is blind to, what it keeps, and whether LooC is worth trying."""

from collections.abc import Sequence

from pairlens.probing.advice import Advice
from pairlens.probing.verdict import Kind, headline
from pairlens.probing.whole import Probe
from pairlens.probing.words import WORDS
from pairlens.report.html import Html, join, prose, tag, user

MARKS: dict[Kind, tuple[str, str]] = {
    "blind": ("\u25cb", "blind"),
    "partly": ("\u25d0", "in part"),
    "keeps": ("\u25cf", "keeps"),
    "faint": ("\u2013", "too faint"),
}
"""How each verdict is marked: an empty, a half and a full circle, and its word."""


def draw(probes: Sequence[Probe]) -> Html:
    """A card for each encoder; of one alone with every alteration in a list."""
    return tag("div", {"class": "verdicts"}, *(_card(probe, len(probes) == 1) for probe in probes))


def _card(probe: Probe, alone: bool) -> Html:
    title = None if alone else tag("h3", {}, user(probe.name))
    lines = [tag("p", {"class": "headline"}, headline(probe.verdicts)), _known(probe)]
    body = tag("div", {"class": "words"}, title, *lines)
    blind = any(v.kind == "blind" for v in probe.verdicts.values())
    part = any(v.kind == "partly" for v in probe.verdicts.values())
    tone, mark = ("bad", "blind") if blind else ("mixed", "partly") if part else ("good", "keeps")
    sign = tag("span", {"class": "mark", "aria-hidden": "true"}, MARKS[mark][0])  # type: ignore[index]
    card = tag("article", {"class": "verdict", "data-tone": tone}, sign, body)
    meanings = tag("ul", {"class": "meanings"}, *(_meaning(probe, name) for name in probe.verdicts)) if alone else None
    return join([card, meanings, _advice(probe.advice)])


def _known(probe: Probe) -> Html:
    training = probe.training
    if training is None:
        text = "How it was trained is not known; what is said here is measured."
    elif not training.trained:
        text = "It is untrained: all this is there before any learning."
    else:
        drawn = ", ".join({"color": "colour"}.get(g, g) for g in sorted(training.varied)) or "nothing"
        text = f"Trained by the recipe {training.recipe}, whose two views of an image differ in: {drawn}."
        if training.apart:
            text += f" Spaces of their own: {', '.join({'color': 'colour'}.get(g, g) for g in training.apart)}."
    return tag("p", {"class": "state"}, text)


def chip(kind: Kind, sure: bool = True) -> Html:
    """A verdict as a mark and a word."""
    sign, word = MARKS[kind]
    said = word if sure else f"probably {word}"
    return tag("span", {"class": f"chip {kind}"}, tag("i", {"aria-hidden": "true"}, sign), f" {said}")


def _meaning(probe: Probe, name: str) -> Html:
    judged = probe.verdicts[name]
    link = tag("a", {"href": f"#{name}"}, WORDS[name].noun.capitalize())
    return tag("li", {}, tag("b", {}, link), chip(judged.kind, judged.sure), tag("span", {}, judged.sentences[0]))


def _advice(advice: Advice | None) -> Html | None:
    if advice is None:
        return None
    head = tag("h3", {}, "Is LooC worth trying?")
    command = tag("pre", {}, advice.command) if advice.command else None
    return tag(
        "div",
        {"class": "advice", "data-worth": "yes" if advice.worth else "no"},
        head,
        tag("p", {}, prose(advice.sentence)),
        command,
    )
