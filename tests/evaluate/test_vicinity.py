"""Neighbours, outliers and near-duplicates, each against naive loops."""

import math

import numpy as np
import pytest
import torch

from pairlens.errors import InputError
from pairlens.evaluate import vicinity
from pairlens.evaluate.vicinity import Nearest, agree, duplicates, far_in, mean_cosine, nearest, shared


def drawn(count: int = 60, width: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a.double() @ b.double() / math.sqrt(float(a.double() @ a.double()) * float(b.double() @ b.double())))


def test_neighbours_and_outlier_scores_are_those_of_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    x = drawn()
    monkeypatch.setattr(vicinity, "CHUNK", 60 * 7)  # several chunks, the last one smaller
    told: list[int] = []
    found = nearest(x, 4, lambda done, total: told.append(done))
    assert told[-1] == 60
    assert len(told) == 9
    for i in range(60):
        others = sorted(((cosine(x[i], x[j]), j) for j in range(60) if j != i), reverse=True)[:4]
        assert found.index[i].tolist() == [j for _, j in others]
        assert found.cosine[i].tolist() == pytest.approx([c for c, _ in others], abs=1e-6)
        assert float(found.outlying[i]) == pytest.approx(sum(1 - c for c, _ in others) / 4, abs=1e-6)
    assert nearest(x[:3], 10).index.shape == (3, 2)
    with pytest.raises(InputError, match="have no neighbours"):
        nearest(x[:1], 2)
    with pytest.raises(InputError, match="not finite"):
        nearest(torch.full((4, 2), torch.nan), 2)


def test_an_image_far_from_all_has_the_greatest_score() -> None:
    x = torch.ones(30, 6) + 0.2 * drawn(30, 6)
    x[11] = -1
    assert int(nearest(x, 5).outlying.argmax()) == 11


def test_near_duplicates_are_those_beyond_the_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    x = drawn(200, 16)
    x[150] = 3 * x[3]  # the same direction
    x[151] = x[4] + 0.002 * drawn(1, 16, 1)[0]
    x[152] = x[4]
    found = nearest(x, 3)
    distances = np.log(np.maximum(1 - found.cosine[:, 0].double().numpy(), vicinity.FINEST))
    low, high = np.quantile(distances, [0.25, 0.75])
    threshold = 1 - min(math.exp(low - 3 * (high - low)), math.exp(low) / 4)
    assert far_in(found.cosine[:, 0]) == pytest.approx(threshold)
    expected = {(i, j) for i in range(200) for j in range(i + 1, 200) if cosine(x[i], x[j]) >= threshold}
    assert expected == {(3, 150), (4, 151), (4, 152), (151, 152)}
    monkeypatch.setattr(vicinity, "CHUNK", 200 * 3)
    alike = duplicates(x, found)
    assert {tuple(pair) for pair in alike.pairs.tolist()} == expected
    assert alike.cosine.tolist() == sorted(alike.cosine.tolist(), reverse=True)
    few = duplicates(x, found, most=1)
    assert (few.total, len(few.pairs)) == (4, 1)


def test_without_copies_nothing_is_near_and_equal_distances_draw_no_line() -> None:
    x = drawn(300, 32)
    assert duplicates(x, nearest(x, 2)).total == 0
    assert far_in(torch.full((9,), 0.5)) > 1
    spread = 1 - torch.logspace(-3, 0, 101)  # so wide that the fence is nearer than a quarter
    assert far_in(spread) == pytest.approx(1 - 10 ** (-2.25 - 3 * 1.5), abs=1e-7)
    same = torch.ones(6, 3)
    assert duplicates(same, nearest(same, 2)).total == 0


def test_shares_and_means_are_those_of_loops() -> None:
    x, y = drawn(), drawn(seed=2)
    one, other = nearest(x, 5), nearest(y, 5)
    both = [len(set(a) & set(b)) / 5 for a, b in zip(one.index.tolist(), other.index.tolist(), strict=True)]
    assert shared(one, other) == pytest.approx(sum(both) / 60)
    assert shared(one, one) == 1
    every = [cosine(x[i], x[j]) for i in range(60) for j in range(60) if i != j]
    assert mean_cosine(x) == pytest.approx(sum(every) / len(every), abs=1e-6)
    assert mean_cosine(torch.ones(4, 3)) == pytest.approx(1)


def test_neighbours_without_a_label_do_not_count() -> None:
    found = Nearest(torch.tensor([[1, 2], [0, 3], [3, 3], [0, 1]]), torch.zeros(4, 2))
    same = agree(found, torch.tensor([0, 0, -1, 1]))
    assert same[:2].tolist() == [1.0, 0.5]
    assert same[3] == 0
    assert math.isnan(same[2])
