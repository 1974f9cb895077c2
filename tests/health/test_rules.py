"""Every rule on both sides of its thresholds, with evidence that is made."""

import math

import pytest
from made import course, evidence, flat, space

from pairlens.health import collapse, machine, negatives, optimisation, scores, views
from pairlens.health.course import NOTHING
from pairlens.health.evidence import Boxes, Evidence
from pairlens.health.examine import RULES
from pairlens.health.rule import BEGUN, FEWEST, Rule


def looked(ratio: float) -> dict[str, float]:
    """A look at held-out views that lie at this share of the distance of two images."""
    return {"h.alignment": ratio * 0.65, "h.uniformity": -1.3}


HALF_GROWN = course(*[0.05] * 16, *[0.09] * 4)
NEVER_FALLING, FLAT_LATE, FLAT_HALF = course(8.0), course(8, 6, 5, 5), course(8, 5, 5, 5)


@pytest.mark.parametrize(
    ("rule", "given", "verdict"),
    [
        (optimisation.not_a_number, {}, "ok"),
        (optimisation.not_a_number, {"broken": (600, 999)}, "ill"),
        (optimisation.not_a_number, {"broken": (600, 610)}, "watch"),
        (optimisation.not_a_number, {"loss": NOTHING, "gradient": NOTHING}, "unknown"),
        (collapse.complete_collapse, {}, "ok"),
        (collapse.complete_collapse, {"feature_std": 0.09}, "ill"),
        (collapse.complete_collapse, {"feature_std": 0.11}, "watch"),
        (collapse.complete_collapse, {"feature_std": HALF_GROWN}, "watch"),
        (collapse.complete_collapse, {"feature_std": course(*[0.001] * 16, *[0.02] * 4)}, "ill"),  # a twitch
        (collapse.complete_collapse, {"raw_negative_mean": 0.96}, "ill"),
        (collapse.complete_collapse, {"batch_negative_mean": 0.96}, "ill"),
        (collapse.complete_collapse, {"raw_negative_mean": 0.94}, "watch"),
        (collapse.dimensional_collapse, {}, "ok"),
        (collapse.dimensional_collapse, {"quality": {"h.rankme": 7.9}}, "ill"),
        (collapse.dimensional_collapse, {"quality": {"h.rankme": 15.9}}, "watch"),
        (collapse.dimensional_collapse, {"quality": {"h.rankme": 16.1}, "effective_rank": 1.1}, "ok"),
        (collapse.dimensional_collapse, {"quality": {}, "effective_rank": 1.19}, "ill"),
        (collapse.dimensional_collapse, {"quality": {}, "effective_rank": 1.21}, "watch"),
        (collapse.dimensional_collapse, {"arguments": {"dim": 2}}, "ill"),
        (collapse.dimensional_collapse, {"effective_rank": 1.0, "feature_std": 0.01}, "unknown"),
        (scores.guessing, {}, "ok"),
        (scores.guessing, {"negatives_above": 0.36}, "ill"),
        (scores.guessing, {"negatives_above": 0.34}, "watch"),
        (scores.guessing, {"negatives": 0}, "unknown"),
        (scores.positives_too_easy, {}, "ok"),
        (scores.positives_too_easy, {"raw_positive_mean": 0.98, "accuracy": 0.97}, "ill"),
        (scores.positives_too_easy, {"raw_positive_mean": 0.98, "accuracy": 0.5}, "ok"),
        (scores.positives_too_easy, {"raw_positive_mean": 0.98, "feature_std": 0.01}, "unknown"),
        (views.views_too_weak, {}, "ok"),
        (views.views_too_weak, {"quality": looked(0.02)}, "ill"),
        (views.views_too_weak, {"quality": looked(0.09)}, "watch"),
        (views.views_too_weak, {"quality": {}}, "unknown"),
        (views.views_too_strong, {}, "ok"),
        (views.views_too_strong, {"quality": looked(0.91)}, "ill"),
        (views.views_too_strong, {"quality": looked(0.89)}, "watch"),
        (views.views_too_strong, {"quality": {"h.alignment": 0.5, "h.uniformity": 0.0}}, "unknown"),
        (scores.positives_too_hard, {}, "ok"),
        (scores.positives_too_hard, {"raw_positive_mean": 0.1}, "ill"),
        (scores.positives_too_hard, {"raw_positive_mean": 0.16}, "watch"),
        (scores.temperature_low, {}, "ok"),
        (scores.temperature_low, {"effective_negatives": 0.98 * scores.FEW_CARRY}, "ill"),
        (scores.temperature_low, {"effective_negatives": 1.02 * scores.FEW_CARRY}, "watch"),
        (scores.temperature_low, {"effective_negatives": 1.5, "negatives": 8}, "ok"),
        (scores.temperature_low, {"temperature": 0.019}, "ill"),
        (scores.temperature_low, {"temperature": 0.021}, "watch"),
        (scores.temperature_low, {"negatives": 0}, "unknown"),
        (scores.temperature_high, {}, "ok"),
        (scores.temperature_high, {"temperature": 1.0}, "ill"),
        (scores.temperature_high, {"temperature": 0.5, "negatives": 254}, "ok"),
        (scores.temperature_high, {"temperature": 0.5}, "watch"),
        (negatives.small_queue, {}, "ok"),
        (negatives.small_queue, {"negatives": 31}, "ill"),
        (negatives.small_queue, {"negatives": 127, "accuracy": 0.95}, "watch"),
        (negatives.small_queue, {"negatives": 127}, "ok"),
        (negatives.false_negatives, {}, "ok"),
        (negatives.false_negatives, {"images": 4096}, "ill"),
        (negatives.false_negatives, {"images": 8000}, "watch"),
        (negatives.false_negatives, {"images": 4096, "source": "batch"}, "unknown"),
        (negatives.low_momentum, {}, "ok"),
        (negatives.low_momentum, {"arguments": {"momentum": 0.5}, "feature_std": 0.05}, "ill"),
        (negatives.low_momentum, {"arguments": {"momentum": 0.5}}, "watch"),
        (
            negatives.low_momentum,  # it came back
            {"arguments": {"momentum": 0.5}, "feature_std": course(0.9, 0.05, 0.5, 0.8)},
            "ill",
        ),
        (negatives.low_momentum, {"raw_negative_mean": flat(0.03, 2 * negatives.RESTLESS)}, "watch"),
        (negatives.low_momentum, {"source": "batch"}, "unknown"),
        (negatives.stale_queue, {}, "ok"),
        (negatives.stale_queue, {"arguments": {"momentum": 1.0}}, "ill"),
        (negatives.stale_queue, {"source": "none"}, "unknown"),
        (negatives.stale_queue, {"batch_negative_mean": 0.6}, "ill"),
        (negatives.stale_queue, {"batch_negative_mean": 0.4}, "watch"),
        (negatives.stale_queue, {"batch_negative_mean": course(*[0.9] * 9, 0.6)}, "ok"),
        (optimisation.exploding_gradients, {}, "ok"),
        (optimisation.exploding_gradients, {"gradient": flat(2e4)}, "ill"),
        (
            optimisation.exploding_gradients,
            {"gradient": course(*[1] * 9, 2e3), "loss": course(*[5] * 9, 7)},
            "ill",
        ),
        (optimisation.exploding_gradients, {"gradient": course(*[1] * 9, 2e3)}, "ok"),
        (optimisation.vanishing_gradients, {}, "ok"),
        (optimisation.vanishing_gradients, {"gradient": course(1, 0.1, 1e-3, 1e-3), "feature_std": 0.01}, "ill"),
        (optimisation.vanishing_gradients, {"gradient": course(1, 0.1, 2e-2, 2e-2), "feature_std": 0.01}, "watch"),
        (optimisation.vanishing_gradients, {"gradient": course(1, 0.1, 1e-3, 1e-3)}, "ok"),
        (optimisation.rate_too_high, {}, "ok"),
        (optimisation.rate_too_high, {"arguments": {"lr": 2.0}, "feature_std": 0.01}, "ill"),
        (optimisation.rate_too_high, {"arguments": {"lr": 2.0}}, "watch"),
        (optimisation.rate_too_high, {"arguments": {"lr": 2.0}, "quality": {"h.rankme": 12.0}}, "ill"),
        (optimisation.rate_too_high, {"arguments": {"lr": 13.0}}, "ill"),
        (optimisation.rate_too_high, {"feature_std": 0.01}, "ok"),
        (optimisation.rate_too_high, {"arguments": {"lr": None}}, "unknown"),
        (optimisation.rate_too_low, {}, "ok"),
        (optimisation.rate_too_low, {"arguments": {"lr": 1e-5}, "loss": NEVER_FALLING}, "ill"),
        (optimisation.rate_too_low, {"arguments": {"lr": 1e-5}}, "watch"),
        (optimisation.rate_too_low, {"loss": NEVER_FALLING}, "ok"),
        (
            optimisation.rate_too_low,  # that the loss rises while random keys leave the queue is nothing learned
            {"arguments": {"lr": 1e-5}, "loss": course(4, 8, 8, 8, 8), "filled": 0.2},
            "ill",
        ),
        (optimisation.plateau, {"arguments": {"schedule": "constant"}}, "ok"),
        (optimisation.plateau, {"arguments": {"schedule": "constant"}, "loss": FLAT_HALF, "rate": 1.0}, "ill"),
        (optimisation.plateau, {"arguments": {"schedule": "constant"}, "loss": FLAT_LATE, "rate": 1.0}, "watch"),
        (
            optimisation.plateau,  # the loss says little: what is learned still grows
            {
                "arguments": {"schedule": "constant"},
                "loss": FLAT_HALF,
                "probes": (0.1, 0.2, 0.3, 0.35, 0.4, 0.44, 0.48, 0.52),
            },
            "ok",
        ),
        (
            optimisation.plateau,
            {
                "arguments": {"schedule": "constant"},
                "loss": FLAT_HALF,
                "probes": (0.5, 0.49, 0.5, 0.5, 0.505, 0.5, 0.5, 0.505),
            },
            "ill",
        ),
        (optimisation.plateau, {"arguments": {"schedule": "steps"}, "loss": FLAT_HALF, "rate": 0.1}, "ok"),
        (optimisation.plateau, {"arguments": {"schedule": "steps"}, "loss": FLAT_HALF, "rate": 0.01}, "ill"),
        (optimisation.plateau, {"loss": FLAT_HALF, "rate": 0.5}, "ok"),
        (optimisation.plateau, {"loss": FLAT_HALF, "rate": 0.01}, "ok"),
        (machine.data_bound, {}, "ok"),
        (machine.data_bound, {"waiting": 0.51}, "ill"),
        (machine.data_bound, {"waiting": 0.26}, "watch"),
        (machine.data_bound, {"waiting": math.nan}, "unknown"),
        (machine.useless_boxes, {}, "unknown"),
        (machine.useless_boxes, {"boxes": Boxes(0.2, 0.1, 0.4, 0.1)}, "ok"),
        (machine.useless_boxes, {"boxes": Boxes(0.6, 0.0, 1.0, 0.1)}, "ill"),
        (machine.useless_boxes, {"boxes": Boxes(0.0, 0.6, 0.01, 0.9)}, "ill"),
        (machine.lost_files, {}, "ok"),
        (machine.lost_files, {"files": (1, 0)}, "ok"),
        (machine.lost_files, {"files": (100, 400)}, "watch"),
        (machine.lost_files, {"files": (100, 4000)}, "ill"),
    ],
)
def test_both_sides_of_a_threshold(rule: Rule, given: dict, verdict: str) -> None:
    given = dict(given)
    finding = rule(evidence(given.pop("arguments", None), **given))
    assert finding.verdict == verdict, finding
    assert finding.rule == rule.name
    assert finding.evidence
    assert bool(finding.cause) == bool(finding.remedy) == (verdict in ("ill", "watch"))


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_a_rule_says_what_it_is(rule: Rule) -> None:
    assert rule.name.isidentifier()
    for text in (rule.meaning, rule.cause, rule.remedy):
        assert text.endswith("."), text
    assert not rule.threshold.endswith(".")
    assert "`" in rule.remedy  # what to type
    assert "nan" not in rule(Evidence()).evidence


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.since], ids=lambda rule: rule.name)
def test_nothing_is_said_of_a_beginning(rule: Rule) -> None:
    assert rule.since >= BEGUN
    for given in ({"share": 0.99 * rule.since}, {"rows": FEWEST - 1}, {"share": math.nan, "rows": FEWEST}):
        finding = rule(evidence(feature_std=0.0, **given))
        assert (finding.verdict, finding.evidence[:18]) == ("unknown", "too early to tell:")


def test_the_worst_space_is_named() -> None:
    spaces = (space(), space(name="color", feature_std=0.01), space(name="rotation"))
    finding = collapse.complete_collapse(evidence(spaces=spaces))
    assert finding.verdict == "ill"
    assert finding.evidence.startswith("space color: ")


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        ({"momentum": 0.5}, "--momentum"),
        ({"lr": 5.0}, "--lr"),
        ({"weight_decay": 0.5}, "--weight-decay"),
        ({"temperature": 0.01}, "--temperature"),
        ({"extrapolate": 2.0}, "--ft-start"),
        ({}, "--warmup"),
    ],
)
def test_a_collapse_and_a_guess_are_put_down_to_what_was_asked_for(arguments: dict, flag: str) -> None:
    temperature = arguments.get("temperature", 0.1)
    finding = collapse.complete_collapse(evidence(arguments, feature_std=0.01, temperature=temperature))
    assert f"`{flag}" in finding.remedy
    finding = scores.guessing(evidence(arguments, negatives_above=0.45, temperature=temperature))
    assert f"`{flag}" in finding.remedy or (not arguments and "`--crop" in finding.remedy)


def test_a_remedy_names_the_usual_rate() -> None:
    assert "`--lr` to 0.12" in optimisation.rate_too_high(evidence({"lr": 9.0}, feature_std=0.01)).remedy
    slow = evidence({"lr": 1e-6, "optimizer": "adamw"}, loss=NEVER_FALLING)
    assert "`--lr` to 0.004" in optimisation.rate_too_low(slow).remedy


def test_boxes_are_mended_in_the_right_direction() -> None:
    assert machine.useless_boxes(evidence(boxes=Boxes(0.9, 0.0, 1.0, 0.1))).remedy.startswith("Raise")
    assert machine.useless_boxes(evidence(boxes=Boxes(0.0, 0.9, 0.0, 0.9))).remedy.startswith("Lower")


def test_a_gain_is_told_from_noise() -> None:
    rising, noisy = (0.3, 0.4, 0.5, 0.55, 0.6, 0.63, 0.66, 0.68), (0.2, 0.24, 0.2, 0.24, 0.22, 0.2, 0.26, 0.18, 0.26)
    more, error = optimisation.gain(rising, 0.5)
    assert more == pytest.approx(0.205)
    assert more > 5 * error
    more, error = optimisation.gain(noisy, 0.5)
    assert abs(more) < 2 * error
    assert all(map(math.isnan, optimisation.gain((0.1, 0.2, 0.3), 0.5)))


def test_what_can_be_learned_at_a_temperature() -> None:
    perfect = -math.log(math.exp(1 / 0.5) / (math.exp(1 / 0.5) + 100))
    assert scores.attainable(100.0, 0.5) == pytest.approx(1 - perfect / math.log(101))
    assert scores.attainable(4096.0, 0.1) > 0.95
