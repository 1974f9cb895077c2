"""What a transform does to scores, and what FT's equations predict of it, against the transforms themselves."""

import math
import re
from pathlib import Path

import fake_run
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pairlens.draw import beta
from pairlens.pairs import Pairs, score
from pairlens.record.run import Run
from pairlens.report.effect import Effects, compute
from pairlens.report.page import page
from pairlens.report.panels import compared
from pairlens.report.predicted import (
    Transform,
    nodes,
    positive_mean,
    renormalised_mean,
    stretch,
    transform_of,
    variance_factor,
)
from pairlens.transforms import extrapolate_positives, mix_negatives

PLAIN = Transform(None, None, renormalise=False, union=False, seen=True, selected=False)


def transform(**changes: object) -> Transform:
    return Transform(**{**PLAIN.__dict__, **changes})  # type: ignore[arg-type]


def spread_pairs(noise: float = 0.6) -> Pairs:
    """Queries and negatives evenly on the sphere, keys near their queries."""
    generator = torch.Generator().manual_seed(0)
    query = F.normalize(torch.randn(400, 64, generator=generator, dtype=torch.float64), dim=1)
    key = F.normalize(query + noise * torch.randn(400, 64, generator=generator, dtype=torch.float64) / 8, dim=1)
    negatives = F.normalize(torch.randn(500, 64, generator=generator, dtype=torch.float64), dim=1)
    return Pairs(query, key, negatives)


def lambdas(alpha: float, shift: float, count: int = 200) -> list[float]:
    return (beta(alpha, (count,), torch.Generator().manual_seed(1)) + shift).double().tolist()


@pytest.mark.parametrize(("alpha", "shift"), [(2.0, 1.0), (1.6, 0.0), (0.2, 1.0), (0.5, 0.0)])
def test_the_stretch_is_the_mean_over_lambda(alpha: float, shift: float) -> None:
    drawn = lambdas(alpha, shift, 200_000)
    assert stretch(alpha, shift) == pytest.approx(sum(2 * x * (x - 1) for x in drawn) / len(drawn), abs=0.01)
    at, weight = nodes(alpha, shift)
    assert float(weight @ (2 * at * (at - 1))) == pytest.approx(stretch(alpha, shift), abs=0.02)
    assert stretch(2.0, 1.0) == pytest.approx(1.6)


@pytest.mark.parametrize("renormalise", [False, True])
def test_positive_scores_go_where_equation_4_says(renormalise: bool) -> None:
    pairs = spread_pairs()
    raw = score(pairs).positive
    means = []
    for lam in lambdas(2.0, 1.0):
        changed = extrapolate_positives(pairs, torch.tensor(lam), renormalise=renormalise)
        means.append(float(score(changed).positive.mean()))
    given = transform(positives=(2.0, 1.0), renormalise=renormalise)
    if renormalise:
        scores = raw.numpy()
        predicted = renormalised_mean(given, np.full(len(scores), 1 / len(scores)), scores)
    else:
        predicted = positive_mean(given, float(raw.mean()))
    assert predicted == pytest.approx(sum(means) / len(means), abs=0.02)
    assert predicted < float(raw.mean()) - 0.1


@pytest.mark.parametrize("changes", [{}, {"union": True}, {"renormalise": True}, {"positives": (2.0, 1.0)}])
def test_the_negatives_variance_changes_as_equation_5_says(changes: dict[str, object]) -> None:
    pairs = spread_pairs()
    raw = score(pairs)
    given = transform(negatives=(1.6, 0.0), **changes)
    generator = torch.Generator().manual_seed(2)
    variances, means = [], []
    for lam, lam_positive in zip(lambdas(1.6, 0.0), lambdas(2.0, 1.0), strict=True):
        made = pairs
        if given.positives:
            made = extrapolate_positives(made, torch.tensor(lam_positive))
        order = torch.randperm(500, generator=generator)
        options = {"union": given.union, "renormalise": given.renormalise}
        negative = score(mix_negatives(made, torch.tensor(lam), order, **options)).negative
        variances.append(float(negative.var()))
        means.append(float(negative.mean()))
    factor = variance_factor(given, float(raw.positive.mean()), float(raw.negative.mean()))
    assert factor == pytest.approx(sum(variances) / len(variances) / float(raw.negative.var()), rel=0.03)
    assert sum(means) / len(means) == pytest.approx(float(raw.negative.mean()), abs=0.003)


def test_no_variance_is_predicted_where_it_cannot_be() -> None:
    given = transform(negatives=(1.6, 0.0))
    assert variance_factor(given, 0.8, 0.0) is not None
    assert variance_factor(given, 0.8, 0.9) is None  # all images look alike
    assert variance_factor(given, 0.8, math.nan) is None
    assert variance_factor(transform(negatives=(1.6, 0.0), selected=True), 0.8, 0.0) is None


def test_the_transform_is_read_from_the_call() -> None:
    arguments = {"extrapolate": 2.0, "interpolate": 1.6, "union": True, "renormalise": None, "negatives_see": "raw"}
    found = transform_of({"arguments": arguments})
    assert found == Transform((2.0, 1.0), (1.6, 0.0), renormalise=False, union=True, seen=False, selected=False)
    assert transform_of({"arguments": {"extrapolate": 2.0}}, contrasts=False).renormalise  # type: ignore[union-attr]
    for bad in (None, [], {"extrapolate": None}, {"extrapolate": "2"}, {"extrapolate": -1.0}):
        assert transform_of({"arguments": bad}) is None


def effects_of(folder: Path) -> Effects:
    found = compute(Run.open(folder))
    assert isinstance(found, Effects)
    return found


def test_before_and_after_are_means_over_the_steps_at_which_it_acts(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "r", steps=300, arguments={"ft_start": 1})
    table = np.load(folder / "statistics.npy")
    for name in ("positive_mean", "positive_variance", "negative_mean", "negative_variance"):
        table[f"z.{name}"][:39] = table[f"z.raw_{name}"][:39]  # the first epoch is untransformed
    np.save(folder / "statistics.npy", table)
    (effect,) = effects_of(folder).spaces
    assert effect.steps == 300 - 39
    change = effect.changes["positive_mean"]
    assert change.before == pytest.approx(table["z.raw_positive_mean"][39:].astype(float).mean())
    assert change.after == pytest.approx(table["z.positive_mean"][39:].astype(float).mean())
    assert change.predicted == pytest.approx(change.before - 1.6 * (1 - change.before))
    assert effect.changes["negative_mean"].predicted == effect.changes["negative_mean"].before


def test_a_run_without_a_transform_has_nothing_before_it(tmp_path: Path) -> None:
    plain = fake_run.make(tmp_path / "plain", steps=60, transformed=False)
    (effect,) = effects_of(plain).spaces
    assert effect.transform is None
    assert effect.changes["positive_mean"].predicted is None
    assert "Before and after the transform" not in page([Run.open(plain)])
    table = np.load(plain / "statistics.npy")
    np.save(plain / "statistics.npy", table[:0])
    assert not isinstance(compute(Run.open(plain)), Effects)


def test_a_plain_and_a_transformed_run_stand_side_by_side(tmp_path: Path) -> None:
    folders = [
        fake_run.make(tmp_path / "plain<b>", steps=300, transformed=False),
        fake_run.make(tmp_path / "ft", steps=300),
    ]
    text = page([Run.open(folder) for folder in folders])
    assert "Score distributions compared" in text
    assert "<b><bdi>ft</bdi></b>: Over the 300 steps at which it acts the transform lowers the mean positive" in text
    assert text.count('<span class="minor">predicted</span>') == 1
    alone = page([Run.open(folders[1])])
    assert "Before and after the transform" in alone
    assert "plain<b>" not in text


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_left_out(tmp_path: Path, bad: float) -> None:
    folder = fake_run.make(tmp_path / "r", steps=200)
    table = np.load(folder / "statistics.npy")
    table["z.positive_mean"][50:60] = bad
    table["z.negative_variance"] = bad
    np.save(folder / "statistics.npy", table)
    found = compared.compute(Run.open(folder))
    assert isinstance(found, compared.Compared)
    assert math.isfinite(found.effects.spaces[0].changes["positive_mean"].after)
    text = compared.draw([found], ["r"], [0])
    assert "lowers the mean positive score" in text
    assert "nan" not in re.sub("<script.*?</script>", "", text).lower()
