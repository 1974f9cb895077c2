"""Batches: every image at most once an epoch, and a resumed epoch is the rest of the interrupted one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pairlens.data import loader
from pairlens.data.images import ImageSet
from pairlens.data.loader import Batches
from pairlens.errors import InputError


def numbered(count: int) -> ImageSet:
    """A set whose pixels say which image they are."""
    values = torch.arange(count, dtype=torch.uint8)
    return ImageSet(
        pixels=values[:, None, None, None].expand(-1, 3, 2, 2).contiguous(),
        sizes=torch.full((count, 2), 2),
        names=[str(i) for i in range(count)],
    )


def batches_of(count: int, batch: int, seed: int = 0) -> Batches:
    return Batches(numbered(count), batch, "cpu", torch.Generator().manual_seed(seed))


def indices(epoch) -> list[list[int]]:
    return [index.tolist() for index, _ in epoch]


sets = st.integers(1, 60).flatmap(lambda count: st.tuples(st.just(count), st.integers(1, count)))


@given(sets, st.integers(0, 5))
def test_an_epoch_shows_each_image_at_most_once_and_drops_less_than_a_batch(shape, seed):
    count, batch = shape
    batches = batches_of(count, batch, seed)
    for _ in range(2):
        seen = [i for rows in indices(batches.epoch()) for i in rows]
        assert len(seen) == len(set(seen)) == len(batches) * batch
        assert count - len(seen) < batch
        assert set(seen) <= set(range(count))


@pytest.mark.parametrize("resident", [True, False])
def test_pixels_are_those_of_the_index(monkeypatch, resident):
    monkeypatch.setattr(loader, "_fits", lambda pixels, device: resident)
    batches = batches_of(50, 8)
    assert batches.resident is resident
    seen = 0
    for index, pixels in batches.epoch(start=2):
        assert pixels.shape == (8, 3, 2, 2)
        assert pixels.dtype == torch.uint8
        assert torch.equal(pixels[:, 0, 0, 0].long(), index)
        seen += 1
    assert seen == 4


@given(sets, st.integers(0, 200), st.integers(0, 5))
def test_resuming_gives_exactly_the_remaining_batches(shape, stop, seed):
    """Stopped after any number of batches, in any epoch, a new process goes on as the old one would have."""
    count, batch = shape
    whole = batches_of(count, batch, seed)
    stop %= 3 * len(whole)
    expected = [rows for _ in range(4) for rows in indices(whole.epoch())]

    first = batches_of(count, batch, seed)
    seen, state = [], first.state()
    while len(seen) < stop:
        for index, _ in first.epoch():
            seen.append(index.tolist())
            state = first.state()
            if len(seen) == stop:
                break
    second = batches_of(count, batch, seed + 1)
    second.load({key: value.clone() for key, value in state.items()})
    rest = indices(second.epoch())
    assert len(rest) == len(whole) - stop % len(whole)
    while len(seen) + len(rest) < len(expected):
        rest += indices(second.epoch())
    assert seen + rest == expected


def test_start_names_the_first_batch():
    whole = indices(batches_of(20, 3).epoch())
    assert indices(batches_of(20, 3).epoch(start=4)) == whole[4:]
    assert indices(batches_of(20, 3).epoch(start=6)) == []


def test_a_state_is_not_moved_by_later_steps():
    batches = batches_of(20, 3)
    epoch = batches.epoch()
    next(epoch)
    state = batches.state()
    kept = {key: value.clone() for key, value in state.items()}
    list(epoch)
    list(batches.epoch())
    assert all(torch.equal(state[key], kept[key]) for key in kept)


def test_two_epochs_differ():
    batches = batches_of(60, 10)
    assert indices(batches.epoch()) != indices(batches.epoch())


def test_a_set_on_the_cpu_is_not_copied():
    images = numbered(5)
    assert Batches(images, 2, "cpu", torch.Generator())._pixels.data_ptr() == images.pixels.data_ptr()


def test_errors():
    with pytest.raises(InputError, match="batch of 9 is larger than the set of 8"):
        batches_of(8, 9)
    with pytest.raises(InputError, match="not 0"):
        batches_of(8, 0)
    state = batches_of(100, 2).state() | {"position": torch.tensor(30)}
    with pytest.raises(InputError, match="batch 30, lies outside an epoch of 4"):
        batches_of(8, 2).load(state)
    with pytest.raises(ValueError, match="cannot start at batch 5"):
        batches_of(8, 2).epoch(start=5)
