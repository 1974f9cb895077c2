"""Near pairs of 64-bit codes: all of them, and no more work than there are codes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlens.data import near
from pairlens.data.near import CERTAIN, CROWD, WIDTHS, WITHIN, Search, bits_apart


def codes(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def turned(code, bits):
    return np.uint64(int(code) ^ sum(1 << bit for bit in bits))


def pairs(search):
    return {(int(i), int(j)) for asking, found in search for i, j in zip(asking, found, strict=True)}


def test_bits_are_counted_as_python_counts_them():
    a, b = codes(300), codes(300, 1)
    a[0], b[0], b[1] = 0, 2**64 - 1, a[1]
    assert bits_apart(a, b).tolist() == [(int(x) ^ int(y)).bit_count() for x, y in zip(a, b, strict=True)]


def test_bands_are_the_whole_code_and_what_is_certain_follows_from_them():
    assert sum(WIDTHS) == 64
    assert CERTAIN == 8 <= WITHIN


@settings(max_examples=8)
@given(st.lists(st.sets(st.integers(0, 63), max_size=CERTAIN), min_size=1, max_size=40))
def test_every_code_within_the_certain_distance_is_found(changes):
    index = codes(200)
    asking = np.array([turned(index[k], bits) for k, bits in enumerate(changes)], np.uint64)
    search = Search(index, asking)
    assert {(k, k) for k in range(len(changes))} <= pairs(search)
    assert search.complete


def test_pairs_are_those_that_comparing_all_with_all_gives():
    index = codes(60) & np.uint64(0xFFFF_0000_0000_1F1F)  # few free bits, so distances of all sizes occur
    apart = bits_apart(index.repeat(60), np.tile(index, 60)).reshape(60, 60)
    found = pairs(Search(index, index))
    assert {(int(i), int(j)) for i, j in np.argwhere(apart <= CERTAIN)} <= found
    assert all(apart[i, j] <= WITHIN for i, j in found)
    assert (apart > WITHIN).any()


def test_pairs_do_not_depend_on_the_pieces(monkeypatch):
    index = codes(100) & np.uint64(0x0F0F_0000_0000_1F1F)
    whole = pairs(Search(index, index))
    monkeypatch.setattr(near, "PIECE", 50)
    pieces = [len(i) for i, _ in Search(index, index)]
    assert pairs(Search(index, index)) == whole
    assert max(pieces) <= 50 + 100  # a code's own pairs are not divided


@pytest.mark.parametrize(("index", "asking"), [(0, 0), (0, 3), (3, 0), (1, 1)])
def test_empty_and_single(index, asking):
    assert pairs(Search(codes(index), codes(asking))) == ({(0, 0)} if index and asking else set())


def test_a_crowd_is_looked_at_in_part_and_said_to_be():
    index = np.full(4 * CROWD, 7, np.uint64)
    search = Search(index, index)
    total = sum(len(i) for i, _ in search)
    assert not search.complete
    assert total <= len(index) * CROWD * len(WIDTHS)


def test_in_a_crowd_those_nearest_in_order_are_looked_at(monkeypatch):
    """All combinations of three bits in each band: a band is shared by 64 codes, and each finds itself."""
    monkeypatch.setattr(near, "CROWD", 4)
    parts = np.stack(np.meshgrid(*[np.arange(8, dtype=np.uint64)] * 3), -1).reshape(-1, 3)
    index = (parts << np.array([45, 24, 3], np.uint64)).sum(1, dtype=np.uint64)
    search = Search(index, index)
    assert {(k, k) for k in range(512)} <= pairs(search)
    assert not search.complete


def test_the_search_ends_when_its_budget_is_spent(monkeypatch):
    monkeypatch.setattr(near, "BUDGET", 3)
    monkeypatch.setattr(near, "PIECE", 100)
    search = Search(np.full(200, 5, np.uint64), np.full(200, 5, np.uint64))
    assert sum(len(i) for i, _ in search) <= 3 * 200 + 100 + CROWD
    assert not search.complete
