"""LooC (Xiao et al., ICLR 2021), Eq. 2: what one space compares, written out with loops in float64.

B queries, K shared negatives, J own negatives, D dimensions, n designated augmentations.
"""

import math

import pytest
import torch
from torch import Tensor

from pairlens.losses import info_nce
from pairlens.pairs import Pairs, score

B, K, D, N = 3, 7, 6, 2


def unit(*shape: int, seed: int) -> Tensor:
    features = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return features / features.norm(dim=-1, keepdim=True)


def exp_score(a: Tensor, b: Tensor, temperature: float) -> float:
    return math.exp(math.fsum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True)) / temperature)


def space_pairs(i: int, query: Tensor, keys: list[Tensor], queue: Tensor) -> Pairs:
    """Space 0 has no own negatives; in space i the other keys of the same image are negatives of its query only."""
    own = None if i == 0 else torch.stack([key for j, key in enumerate(keys) if j != i], 1)
    return Pairs(query, keys[i], queue, own=own)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_eq_2_equals_the_loops(temperature: float) -> None:
    terms, found = [], []
    for i in range(N + 1):
        query, queue = unit(B, D, seed=10 * i), unit(K, D, seed=10 * i + 1)
        keys = [unit(B, D, seed=10 * i + 2 + j) for j in range(N + 1)]  # head i's embedding of each key view
        found.append(info_nce(score(space_pairs(i, query, keys, queue)), temperature))
        for b in range(B):
            same_image = [exp_score(query[b], key[b], temperature) for key in keys]
            others = math.fsum(exp_score(query[b], z, temperature) for z in queue)
            denominator = (same_image[0] if i == 0 else math.fsum(same_image)) + others
            terms.append(-math.log(same_image[i] / denominator))
    expected = torch.tensor(math.fsum(terms) / len(terms), dtype=torch.float64)
    torch.testing.assert_close(torch.stack(found).mean(), expected, rtol=1e-12, atol=1e-12)


def test_own_negatives_belong_to_one_query_only() -> None:
    query, key, queue = unit(B, D, seed=1), unit(B, D, seed=2), unit(K, D, seed=3)
    own = unit(B, 2, D, seed=4)
    before = score(Pairs(query, key, queue, own=own)).negative
    changed = own.clone()
    changed[1] = unit(2, D, seed=5)
    after = score(Pairs(query, key, queue, own=changed)).negative
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert torch.equal(before[1, :K], after[1, :K])
    assert not torch.isclose(before[1, K:], after[1, K:]).any()


def test_without_own_negatives_the_space_is_plain_info_nce() -> None:
    query, key, queue = unit(B, D, seed=1), unit(B, D, seed=2), unit(K, D, seed=3)
    none = info_nce(score(Pairs(query, key, queue)), 0.2)
    empty = info_nce(score(Pairs(query, key, queue, own=torch.zeros(B, 0, D, dtype=torch.float64))), 0.2)
    assert torch.equal(none, empty)
