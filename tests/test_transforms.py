"""How the feature transforms draw: the law of lambda, its granularity, where randomness comes from, and bad input.

The equations themselves are tested in equations/test_ft.py. B queries, K shared negatives, D dimensions.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable

import pytest
import scipy.stats
import torch
from torch import Tensor

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.pairs import Pairs, Transform, identity, score
from pairlens.transforms import (
    chain,
    extrapolate_positives,
    mix_negatives,
    negative_extrapolation,
    negative_interpolation,
    positive_extrapolation,
    positive_interpolation,
    starting_at,
)

MakeDraw = Callable[..., Draw]
GRANULARITIES = ["step", "pair", "dimension", "element"]
POSITIVES = [positive_extrapolation, positive_interpolation]
NEGATIVES = [negative_extrapolation, negative_interpolation]
FACTORIES = [*POSITIVES, *NEGATIVES]
EXTRAPOLATIONS = {positive_extrapolation, negative_extrapolation}
ONE = torch.ones(1, 1)


def unit(rows: int, dim: int, seed: int) -> Tensor:
    features = torch.randn(rows, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return features / features.norm(dim=1, keepdim=True)


def some_pairs(rows: int = 6, negatives: int = 8, dim: int = 5) -> Pairs:
    excluded = torch.zeros(rows, negatives, dtype=torch.bool)
    excluded[:, 0] = True
    own = unit(rows * 2, dim, 3).reshape(rows, 2, dim)
    pairs = Pairs(unit(rows, dim, 0), unit(rows, dim, 1), unit(negatives, dim, 2), excluded, own)
    floats = {name: getattr(pairs, name).float() for name in ("query", "key", "negatives", "own")}
    return dataclasses.replace(pairs, **floats)


def tensors_of(pairs: Pairs) -> dict[str, Tensor]:
    named = {field.name: getattr(pairs, field.name) for field in dataclasses.fields(pairs)}
    return {name: value for name, value in named.items() if value is not None}


def positive_lambda(transform: Transform, draw: Draw, rows: int = 6, dim: int = 4) -> Tensor:
    """What lambda a transform of positives used: with q = 1 and k = 0 the transformed query is lambda itself."""
    pairs = Pairs(torch.ones(rows, dim), torch.zeros(rows, dim), torch.zeros(1, dim))
    return transform(pairs, draw).query


@pytest.mark.parametrize("alpha", [0.0, -1.0])
@pytest.mark.parametrize("factory", FACTORIES)
def test_alpha_is_checked_when_the_transform_is_made(factory: Callable[..., Transform], alpha: float) -> None:
    with pytest.raises(InputError, match="alpha"):
        factory(alpha)


# What lambda is drawn --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", POSITIVES)
@pytest.mark.parametrize("per", GRANULARITIES)
def test_granularity_of_lambda_for_positives(factory: Callable[..., Transform], per: str, make_draw: MakeDraw) -> None:
    lam = positive_lambda(factory(2.0, per=per), make_draw())
    low = 1.0 if factory in EXTRAPOLATIONS else 0.0
    assert ((lam > low) & (lam < low + 1)).all()
    distinct_rows, distinct_columns = len(lam.unique(dim=0)), len(lam.unique(dim=1).T)
    assert (distinct_rows, distinct_columns) == {
        "step": (1, 1),
        "pair": (6, 1),
        "dimension": (1, 4),
        "element": (6, 4),
    }[per]


def one_hot_mixture(transform: Transform, draw: Draw, count: int) -> Tensor:
    """Mixing one-hot negatives shows lambda: row k is lambda at k and 1 - lambda at k's partner."""
    return transform(Pairs(torch.zeros(1, count), torch.zeros(1, count), torch.eye(count)), draw).negatives


@pytest.mark.parametrize("factory", NEGATIVES)
@pytest.mark.parametrize("per", GRANULARITIES)
def test_granularity_of_lambda_for_negatives(factory: Callable[..., Transform], per: str, make_draw: MakeDraw) -> None:
    count = 12
    mixed = one_hot_mixture(factory(2.0, per=per), make_draw(), count)
    moved = mixed.diagonal() != 1  # all but the permutation's fixed points
    assert moved.sum() > count / 2
    own = mixed.diagonal()[moved]
    low = 1.0 if factory in EXTRAPOLATIONS else 0.0
    assert ((own > low) & (own < low + 1)).all()
    assert (len(own.unique()) == 1) == (per == "step")
    rows_agree = torch.isclose(mixed.sum(1), torch.ones(count))[moved]
    columns_agree = torch.isclose(mixed.sum(0), torch.ones(count))[moved]
    assert rows_agree.all() if per in {"step", "pair"} else not rows_agree.any()
    assert columns_agree.all() if per in {"step", "dimension"} else not columns_agree.any()


@pytest.mark.parametrize(("factory", "alpha"), [(positive_extrapolation, 2.0), (positive_interpolation, 0.6)])
def test_positive_lambda_follows_the_stated_law(
    factory: Callable[..., Transform], alpha: float, make_draw: MakeDraw
) -> None:
    lam = positive_lambda(factory(alpha, per="pair"), make_draw(), rows=5000, dim=1).flatten()
    shift = 1.0 if factory in EXTRAPOLATIONS else 0.0
    assert scipy.stats.kstest(lam.numpy() - shift, scipy.stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_the_papers_alphas_are_the_defaults(make_draw: MakeDraw) -> None:
    pairs = some_pairs()
    stated_alphas: list[tuple[Callable[..., Transform], float]] = [
        (positive_extrapolation, 2.0),
        (positive_interpolation, 2.0),
        (negative_interpolation, 1.6),
    ]
    for factory, alpha in stated_alphas:
        default, stated = factory()(pairs, make_draw()), factory(alpha)(pairs, make_draw())
        assert torch.equal(default.query, stated.query)
        assert torch.equal(default.negatives, stated.negatives)


def test_each_permutation_of_the_negatives_is_as_likely(make_draw: MakeDraw) -> None:
    mix, draw = negative_interpolation(2.0, per="step"), make_draw()
    seen: Counter[tuple[int, ...]] = Counter()
    for _ in range(1200):
        mixed = one_hot_mixture(mix, draw, 3)
        partner = (mixed - torch.diag(mixed.diagonal())).abs().argmax(1)
        partner = torch.where(mixed.diagonal() == 1, torch.arange(3), partner)
        seen[tuple(partner.tolist())] += 1
    assert len(seen) == 6
    assert scipy.stats.chisquare(list(seen.values())).pvalue > 1e-3


@pytest.mark.parametrize("factory", FACTORIES)
def test_lambda_is_drawn_anew_at_each_call_and_repeats_from_the_same_state(
    factory: Callable[..., Transform], make_draw: MakeDraw
) -> None:
    pairs, transform, draw = some_pairs(), factory(1.5), make_draw()
    state = draw.features.get_state()
    first, second = transform(pairs, draw), transform(pairs, draw)
    assert not torch.equal(torch.cat([first.query, first.negatives]), torch.cat([second.query, second.negatives]))
    draw.features.set_state(state)
    again = transform(pairs, draw)
    for name, value in tensors_of(again).items():
        assert torch.equal(value, getattr(first, name)), name


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("per", GRANULARITIES)
def test_transforms_touch_neither_their_input_nor_other_generators(
    factory: Callable[..., Transform], per: str, make_draw: MakeDraw
) -> None:
    pairs, draw = some_pairs(), make_draw()
    before = {name: value.clone() for name, value in tensors_of(pairs).items()}
    everywhere, views = torch.get_rng_state(), draw.views.get_state()
    found = factory(1.5, per=per)(pairs, draw)
    assert torch.equal(torch.get_rng_state(), everywhere)
    assert torch.equal(draw.views.get_state(), views)
    for name, value in before.items():
        assert torch.equal(getattr(pairs, name), value), name
        assert getattr(found, name).dtype == value.dtype, name


@pytest.mark.parametrize("union", [False, True])
@pytest.mark.parametrize("renormalise", [False, True])
def test_negative_factories_hand_their_options_on(union: bool, renormalise: bool, make_draw: MakeDraw) -> None:
    pairs = some_pairs()
    found = negative_interpolation(1.6, union=union, renormalise=renormalise)(pairs, make_draw())
    count = len(pairs.negatives)
    assert len(found.negatives) == count * (2 if union else 1)
    assert found.excluded is not None
    assert found.excluded.shape == (len(pairs.query), len(found.negatives))
    norms = found.negatives[-count:].norm(dim=1)
    assert torch.isclose(norms, torch.ones(count)).all() == renormalise


@pytest.mark.parametrize("factory", POSITIVES)
def test_positive_factories_hand_their_options_on(factory: Callable[..., Transform], make_draw: MakeDraw) -> None:
    plain = some_pairs()
    pairs = dataclasses.replace(plain, query=plain.query.requires_grad_(), key=plain.key.requires_grad_())
    norms = factory(2.0, renormalise=True)(pairs, make_draw()).query.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(len(norms)))
    raw = score(factory(2.0, negatives_see="raw")(pairs, make_draw())).negative
    assert torch.equal(raw, score(pairs).negative)
    gradients = {}
    for gradient in ("query", "one_sided", "both"):
        total = score(factory(2.0, gradient=gradient)(pairs, make_draw())).positive.sum()
        query, key = torch.autograd.grad(total, (pairs.query, pairs.key), allow_unused=True)
        gradients[gradient] = query
        assert (key is not None and bool(key.any())) == (gradient == "both")
    assert torch.allclose(gradients["query"], gradients["both"])
    assert not torch.allclose(gradients["query"], gradients["one_sided"])


# Chaining and starting late --------------------------------------------------------------------------------------


def test_chain_applies_its_transforms_in_order(make_draw: MakeDraw) -> None:
    first, second, pairs = positive_extrapolation(2.0), negative_interpolation(1.6), some_pairs()
    found = chain(first, second)(pairs, make_draw())
    draw = make_draw()
    expected = second(first(pairs, draw), draw)
    for name, value in tensors_of(expected).items():
        assert torch.equal(getattr(found, name), value), name


def test_a_chain_of_nothing_is_the_identity(make_draw: MakeDraw) -> None:
    pairs = some_pairs()
    assert chain()(pairs, make_draw()) is pairs
    assert chain(identity, identity)(pairs, make_draw()) is pairs


def test_a_transform_starts_at_its_epoch(make_draw: MakeDraw) -> None:
    late, pairs = starting_at(3, positive_extrapolation(2.0)), some_pairs()
    early = make_draw(epoch=2)
    state = early.features.get_state()
    assert late(pairs, early) is pairs
    assert torch.equal(early.features.get_state(), state)
    for epoch in (3, 4):
        found = late(pairs, make_draw(epoch=epoch))
        assert torch.equal(found.query, positive_extrapolation(2.0)(pairs, make_draw()).query)
        assert not torch.equal(found.query, pairs.query)


# Bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("factory", FACTORIES)
def test_an_unknown_granularity_names_the_known_ones(factory: Callable[..., Transform]) -> None:
    with pytest.raises(InputError, match="weekly") as error:
        factory(2.0, per="weekly")
    assert all(name in str(error.value) for name in GRANULARITIES)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("make", [*POSITIVES, lambda _, **option: extrapolate_positives(some_pairs(), ONE, **option)])
@pytest.mark.parametrize(
    ("option", "known"),
    [("gradient", ["query", "one_sided", "both"]), ("negatives_see", ["transformed", "raw"])],
)
def test_an_unknown_option_names_the_known_ones(make: Callable[..., object], option: str, known: list[str]) -> None:
    with pytest.raises(InputError, match="other") as error:
        make(2.0, **{option: "other"})
    assert all(name in str(error.value) for name in known)


def test_shapes_are_checked_in_the_tests() -> None:
    """The hook of conftest.py is at work: a permutation of floats is none."""
    import jaxtyping

    with pytest.raises(jaxtyping.TypeCheckError):
        mix_negatives(some_pairs(), ONE, torch.rand(8))
