"""Verdicts at and about the thresholds that the page states."""

import math

import pytest

from pairlens.evaluate.alterations import alterations
from pairlens.evaluate.invariance import Estimate, Traces
from pairlens.probing.verdict import FAR, KEPT, LOST, NEAR, Verdict, headline, judge
from pairlens.probing.words import WORDS


def traces(level: float, told: float, error: float = 0.0) -> Traces:
    return Traces((), Estimate(level, error), Estimate(told, error))


def judged(level: float, told: float, reference: float = 1.0, error: float = 0.0) -> Verdict:
    of = {"encoder": traces(level, told, error), "untrained": traces(0.5, reference), "pixels": traces(0.5, 0.0)}
    return judge("hue", of)


def test_every_alteration_has_words() -> None:
    assert list(WORDS) == [a.name for a in alterations(32, copies=1)]


@pytest.mark.parametrize(
    ("level", "told", "kind"),
    [
        (NEAR, LOST - 0.01, "blind"),
        (NEAR - 0.01, LOST - 0.01, "partly"),
        (NEAR, LOST + 0.01, "partly"),
        (FAR, KEPT + 0.01, "keeps"),
        (FAR + 0.01, KEPT + 0.01, "partly"),
        (FAR, KEPT - 0.01, "partly"),
        (0.1, 0.0, "partly"),
        (0.96, 1.0, "partly"),
        (0.0, 1.0, "keeps"),
        (1.0, -0.2, "blind"),
        (1.0, math.nan, "blind"),
        (0.2, math.nan, "partly"),
    ],
)
def test_the_thresholds(level: float, told: float, kind: str) -> None:
    assert judged(level, told).kind == kind


def test_kept_is_beside_what_there_is_to_keep() -> None:
    """The better reference counts, and .3 at least: where little can be read off, little is asked."""
    assert judged(0.5, 0.3, reference=0.4).share == pytest.approx(0.75)
    assert judged(0.5, 0.3, reference=0.9).share == pytest.approx(1 / 3)
    assert judged(0.5, 0.25, reference=0.1).share == pytest.approx(0.25 / 0.3)
    of = {"encoder": traces(0.5, 0.4), "untrained": traces(0.5, 0.1), "pixels": traces(0.5, 0.8)}
    found = judge("hue", of)
    assert found.share == pytest.approx(0.5)
    assert "80\u00a0% from raw pixels" in found.sentences[1]


@pytest.mark.parametrize(
    ("level", "told", "error", "sure"),
    [(0.95, 0.1, 0.02, True), (0.93, 0.1, 0.02, False), (0.99, 0.3, 0.02, False), (0.99, 0.29, 0.01, True)],
)
def test_a_verdict_is_sure_if_it_stands_at_both_ends(level: float, told: float, error: float, sure: bool) -> None:
    found = judged(level, told, error=error)
    assert found.kind == "blind"
    assert found.sure is sure


def test_what_hardly_changes_pictures_is_not_judged() -> None:
    of = {name: traces(0.98, 0.0) for name in ("encoder", "untrained", "pixels")}
    assert judge("blur", of).kind == "faint"
    assert judge("blur", of | {"pixels": traces(0.9, 0.0)}).kind == "blind"


def test_sentences_say_what_it_means_and_why() -> None:
    assert judged(0.98, 0.01).sentences == (
        "It cannot tell a red car from a blue one. Not the encoder for telling birds, flowers, signals or stains by "
        "their colour.",
        "Altered, an image hardly moves (invariance 0.98 \u00b1 0.00); a linear layer reads off nothing of it, and "
        "100\u00a0% from the untrained network.",
    )
    assert judged(0.3, 0.9).sentences[0] == "It can tell a red car from a blue one."
    assert "clearly elsewhere" in judged(0.3, 0.9).sentences[1]
    assert judged(0.8, 0.5).sentences[0].startswith("It keeps hue in part; do not rely on it")


def test_the_headline_groups_them() -> None:
    verdicts = {
        "hue": judged(0.99, 0.0),
        "gray": judged(0.99, 0.0),
        "flip": judged(0.8, 0.5),
        "scale": judged(0.1, 1.0),
    }
    assert headline(verdicts) == "Blind to hue and gray; partly blind to flip; keeps scale."
    faint = Verdict("faint", True, math.nan, ("",))
    assert headline({"blur": faint}) == "Nothing can be said."
