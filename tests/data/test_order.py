"""Order: every image at most once an epoch, and a resumed epoch is the rest of the interrupted one."""

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pairlens.data.order import Order
from pairlens.errors import InputError


def order_of(count: int, batch: int, seed: int = 0) -> Order:
    return Order(count, batch, torch.Generator().manual_seed(seed))


def indices(order: Order, batches: int) -> list[list[int]]:
    return [index.tolist() for index, _ in islice(order.walk(), batches)]


sets = st.integers(1, 60).flatmap(lambda count: st.tuples(st.just(count), st.integers(1, count)))


@given(sets, st.integers(0, 5))
def test_an_epoch_shows_each_image_at_most_once_and_drops_less_than_a_batch(shape, seed):
    count, batch = shape
    order = order_of(count, batch, seed)
    both = indices(order, 2 * len(order))
    for epoch in (both[: len(order)], both[len(order) :]):
        seen = [i for rows in epoch for i in rows]
        assert len(seen) == len(set(seen)) == len(order) * batch
        assert count - len(seen) < batch
        assert set(seen) <= set(range(count))


@given(sets, st.integers(0, 200), st.integers(0, 5))
def test_resuming_gives_exactly_the_remaining_batches(shape, stop, seed):
    """Stopped after any number of batches, in any epoch, a new process goes on as the old one would have."""
    count, batch = shape
    first = order_of(count, batch, seed)
    stop %= 3 * len(first)
    expected = indices(first, 4 * len(first))
    for _, state in islice(first.walk(), stop):
        first.load(state)
    second = order_of(count, batch, seed + 1)
    second.load({key: value.clone() for key, value in first.state().items()})
    assert indices(second, len(expected) - stop) == expected[stop:]


def test_looking_ahead_moves_nothing():
    order = order_of(20, 3)
    before = order.state()
    ahead = indices(order, 15)
    assert all(torch.equal(before[key], value) for key, value in order.state().items())
    assert indices(order, 15) == ahead


def test_a_state_is_not_moved_by_later_steps():
    order = order_of(20, 3)
    states = [state for _, state in islice(order.walk(), 14)]
    kept = [{key: value.clone() for key, value in state.items()} for state in states]
    for state in states:
        order.load(state)
    assert all(torch.equal(a[k], b[k]) for a, b in zip(states, kept, strict=True) for k in a)


def test_two_epochs_differ():
    order = order_of(60, 10)
    both = indices(order, 12)
    assert both[:6] != both[6:]


def test_errors():
    with pytest.raises(InputError, match="batch of 9 is larger than the set of 8"):
        order_of(8, 9)
    with pytest.raises(InputError, match="not 0"):
        order_of(8, 0)
    state = order_of(100, 2).state() | {"position": torch.tensor(30)}
    with pytest.raises(InputError, match="batch 30, lies outside an epoch of 4"):
        order_of(8, 2).load(state)
