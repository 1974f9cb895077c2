"""FT, Eq. 5 where some negatives do not count: mixing must carry that along, or a negative contains the positive.

B queries or images, K shared negatives, D dimensions.
"""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pairlens.draw import Draw
from pairlens.losses import info_nce
from pairlens.pairs import Pairs, score
from pairlens.transforms import mix_negatives, negative_interpolation

B, D = 4, 5


def unit(rows: int, dim: int = D, seed: int = 0) -> Tensor:
    features = torch.randn(rows, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return features / features.norm(dim=1, keepdim=True)


def dot(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


@given(st.data(), st.integers(1, 7), st.booleans())
def test_no_counted_mixed_negative_contains_an_excluded_one(data: st.DataObject, count: int, union: bool) -> None:
    """One-hot negatives show what each mixed one is made of."""
    rows = st.lists(st.lists(st.booleans(), min_size=count, max_size=count), min_size=B, max_size=B)
    excluded = torch.tensor(data.draw(rows))
    permutation = torch.tensor(data.draw(st.permutations(range(count))))
    lam = torch.full((1, 1), data.draw(st.floats(0.05, 0.95)), dtype=torch.float64)
    axes = torch.eye(count, dtype=torch.float64)
    found = mix_negatives(Pairs(unit(B, count), unit(B, count), axes, excluded), lam, permutation, union=union)
    assert found.excluded is not None
    for b, j in itertools.product(range(B), range(len(found.negatives))):
        parts = found.negatives[j].nonzero().flatten().tolist()
        assert bool(found.excluded[b, j]) == any(bool(excluded[b, part]) for part in parts)


# In-batch use (Table 7, SimCLR) ----------------------------------------------------------------------------------


def simclr_pairs(features: Tensor) -> Pairs:
    """Every feature is a query; its key is the other view of its image; neither of the two is a negative of it."""
    count = len(features)
    key = features.roll(count // 2, 0)
    own = torch.eye(count, dtype=torch.bool)
    return Pairs(features, key, features, own | own.roll(count // 2, 0))


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_in_batch_negatives_leave_out_the_query_and_its_positive(temperature: float) -> None:
    features = unit(2 * B, seed=11)
    rows, losses = features.tolist(), []
    for i, query in enumerate(rows):
        partner = (i + B) % (2 * B)
        scores = {j: math.exp(dot(query, rows[j]) / temperature) for j in range(2 * B) if j != i}
        losses.append(-math.log(scores[partner] / math.fsum(scores.values())))
    expected = torch.tensor(math.fsum(losses) / len(losses), dtype=torch.float64)
    torch.testing.assert_close(info_nce(score(simclr_pairs(features)), temperature), expected, rtol=1e-10, atol=0)


def test_in_batch_mixing_never_counts_the_query_or_its_positive(make_draw: Callable[..., Draw]) -> None:
    pairs = simclr_pairs(torch.eye(2 * B))
    mix = negative_interpolation(1.6, per="pair")
    draw = make_draw()
    for _ in range(20):
        mixed = mix(pairs, draw)
        assert mixed.excluded is not None
        counted = ~mixed.excluded
        assert (score(mixed).negative[counted] == 0).all()  # nothing of the query itself
        assert ((pairs.key @ mixed.negatives.T)[counted] == 0).all()  # nothing of its positive
        assert counted.sum(1).min() >= 2 * B - 4
        expected = sum(math.log(1 + int(n)) for n in counted.sum(1)) / (2 * B)  # all scores are 0
        torch.testing.assert_close(info_nce(score(mixed), 0.5), torch.tensor(expected))
