"""When photographs are stored and when their files are decoded anew: what is chosen, and what is said."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pairlens.data import choice
from pairlens.data.choice import Wish, choose, store_side
from pairlens.data.store import IN_MEMORY

GB = 10**9
IMAGENET = torch.tensor([[375, 500]] * 3)


def chosen(wish=None, count=1000, memory=64 * GB, room=1000 * GB, kept=False, sizes=IMAGENET, monkeypatch=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "memory", lambda: memory)
        patch.setattr(choice, "free_room", lambda: room)
        return choose(wish or Wish(view=224), sizes, count, lambda side: kept)


@pytest.mark.parametrize(
    ("count", "memory", "room", "once"),
    [
        (30_000, 64, 1000, True),  # 16.9 GB at 433 px
        (20_000, 64, 0, True),  # 11.2 GB: a quarter of the memory is enough, whatever the disk
        (30_000, 64, 0, False),
        (56_000, 64, 1000, True),  # 31.5 GB: half of the memory
        (60_000, 64, 1000, False),  # 33.7 GB
        (56_000, 64, 60, False),  # more than half of the room
        (1_281_167, 256, 4000, False),  # 720 GB
    ],
)
def test_a_store_where_it_fits(count, memory, room, once):
    found = chosen(count=count, memory=memory * GB, room=room * GB)
    assert found.once is once
    assert found.side == 433  # sqrt(375 * 500), and never less where nobody asked for a store


def test_a_finished_store_is_taken_whatever_room_is_left():
    assert chosen(count=60_000, kept=True).once
    assert chosen(count=1_281_167, room=0, kept=True).once
    assert not chosen(Wish(decode="always", view=224), kept=True).once


def test_a_small_store_is_taken_on_any_machine():
    assert chosen(count=1000, memory=10**8, room=0).once


def test_small_stores_are_not_spoken_of():
    count = IN_MEMORY // (3 * 433**2)
    assert chosen(count=count).sentence == ""
    assert "GB at 433 x 433 pixels, since that fits; --decode always" in chosen(count=count + 1).sentence
    assert "kept as a file in" in chosen(count=count + 1).sentence
    assert "kept in memory" in chosen(count=count + 1, room=0).sentence
    assert chosen(Wish(decode="once", view=224), count=count).sentence == ""


def test_what_is_asked_for_is_done():
    once = chosen(Wish(decode="once", view=224), count=1_281_167, memory=256 * GB)
    assert (once.once, once.side) == (True, 224)  # smaller, to come nearer to the memory, but not below the view
    assert "192.9 GB at 224 x 224 pixels, as --decode once asks" in once.sentence
    assert chosen(Wish(decode="always", view=224)).once is False
    assert chosen(Wish(decode="once", view=224, size=300), count=1_281_167).side == 300
    assert chosen(Wish(size=300, view=224)).side == 300


def test_the_reason_names_sizes_and_the_flag():
    found = chosen(count=1_281_167, memory=256 * GB, room=4000 * GB)
    for said in (
        "1,281,167 files",
        "433 x 433",
        "721 GB",
        "256 GB of memory",
        "4000 GB of room",
        "--decode once",
        "193 GB",
    ):
        assert said in found.sentence


def test_the_smallest_crop_decides_the_side():
    large = torch.tensor([[3000, 4000]])
    sides = [chosen(Wish(view=64, smallest_crop=share), sizes=large).side for share in (1.0, 0.2, 0.08)]
    assert sides == [64, 144, 227]


GIB = 2**30


@pytest.mark.parametrize(
    ("size", "count", "view", "memory", "side"),
    [
        ((32, 32), 50_000, 32, 8 * GIB, 32),  # small images stay as they are
        ((32, 32), 50_000, 64, 8 * GIB, 32),  # and are never enlarged
        ((400, 533), 3_000, 64, 8 * GIB, 144),  # 64 / sqrt(0.2) = 143.1
        ((400, 533), 3_000, 224, 64 * GIB, 462),  # sqrt(400 * 533): the images themselves
        ((480, 640), 1_000_000, 64, 64 * GIB, 107),  # half of the memory: sqrt(32 GiB / 3e6)
        ((480, 640), 1_000_000, 224, 64 * GIB, 224),  # but not below the view
    ],
)
def test_store_side(size, count, view, memory, side):
    assert store_side(torch.tensor([size] * 5), count, view, memory) == side


@given(
    st.lists(st.tuples(st.integers(1, 9000), st.integers(1, 9000)), min_size=1, max_size=5),
    st.integers(1, 10**7),
    st.integers(1, 512),
    st.integers(1, 2**40),
)
def test_store_side_is_positive_and_not_enlarging(sizes, count, view, memory):
    side = store_side(torch.tensor(sizes), count, view, memory)
    assert 1 <= side <= max(1, *(max(size) for size in sizes))
    if side > view:
        assert 3 * side**2 * count <= memory / 2
