"""What is kept between two starts: arrays and pixels, in memory or in the cache folder."""

import numpy as np
import pytest

from pairlens.data import store
from pairlens.data.store import held_in_memory, is_kept, keep, remember


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PAIRLENS_CACHE", str(tmp_path / "deep" / "cache"))
    return tmp_path / "deep" / "cache"


def images(facts):
    facts["known"] = [1, 2]
    for i in range(3):
        yield np.full((3, 4, 4), i, np.uint8)


def test_arrays_are_made_once(cache):
    made = []

    def make():
        made.append(1)
        return {"numbers": np.arange(5), "words": np.array(["a", "größe"]), "none": np.array([], str)}

    for _ in range(2):
        found = remember(make, "key")
        assert {name: array.tolist() for name, array in found.items()} == {
            "numbers": [0, 1, 2, 3, 4],
            "words": ["a", "größe"],
            "none": [],
        }
    assert len(made) == 1
    remember(make, "other")
    assert len(made) == 2
    assert sorted(path.name for path in cache.iterdir()) == ["key.npz", "other.npz"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short", b"no archive"])
def test_a_damaged_file_is_made_anew(cache, damage):
    remember(lambda: {"a": np.arange(3)}, "key")
    (cache / "key.npz").write_bytes(damage)
    assert remember(lambda: {"a": np.arange(4)}, "key")["a"].tolist() == [0, 1, 2, 3]
    assert remember(lambda: {"a": np.arange(9)}, "key")["a"].tolist() == [0, 1, 2, 3]


def test_objects_are_never_loaded(cache):
    cache.mkdir(parents=True)
    np.savez(cache / "key.npz", a=np.array([{}], object))
    assert remember(lambda: {"a": np.arange(2)}, "key")["a"].tolist() == [0, 1]


def test_pixels_go_to_memory_where_the_disk_has_no_room(cache, monkeypatch):
    monkeypatch.setattr(store, "IN_MEMORY", 0)
    monkeypatch.setattr(store, "free_room", lambda: 100)
    pixels, facts = keep(images, 3, 4, "key")
    assert pixels[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert facts == {"known": [1, 2]}
    assert not cache.exists()
    monkeypatch.setattr(store, "free_room", lambda: 3 * 3 * 16)
    assert not is_kept("key")
    keep(images, 3, 4, "key")
    assert is_kept("key")
    monkeypatch.setattr(store, "free_room", lambda: 0)
    monkeypatch.setattr(store, "_write", lambda *args: pytest.fail("a finished file was written again"))
    assert keep(lambda facts: iter(()), 3, 4, "key")[1] == {"known": [1, 2]}


@pytest.mark.parametrize(
    ("size", "memory", "room", "held"),
    [(2**30, 0, 0, True), (2**30 + 1, 2**40, 2**40, False), (2**31, 2**33, 2**30, True), (2**31, 2**33 - 1, 0, False)],
)
def test_held_in_memory(size, memory, room, held):
    assert held_in_memory(size, memory, room) is held


def test_room_is_that_of_the_folder_to_come(cache):
    assert store.free_room() > 0
    assert not cache.exists()


def test_what_is_dear_goes_to_a_file_however_small_it_is(cache):
    made = []

    def fill(facts):
        made.append(1)
        yield from images(facts)

    for _ in range(2):
        pixels, facts = keep(fill, 3, 4, "dear", dear=True)
        assert pixels[:, 0, 0, 0].tolist() == [0, 1, 2]
        assert facts == {"known": [1, 2]}
    assert (len(made), is_kept("dear")) == (1, True)
    keep(fill, 3, 4, "cheap")
    assert (len(made), is_kept("cheap")) == (2, False)
