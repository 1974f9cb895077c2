"""Which files a folder is said to hold, and that listing them looks at none of them."""

import os

import pytest

from pairlens import words
from pairlens.data.files import list_files, printable, walk
from pairlens.errors import InputError


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def quiet(text):
    """Say nothing."""


def listed(root, say=lambda text: None) -> list[str]:
    return list_files(root, say).names


def test_names_are_sorted_by_their_whole_path(tmp_path):
    put(
        tmp_path, "b/2.png", "b.jpg", "a/c/1.JPEG", "b/10.png", "a.tif", "B/3.gif", "b/.hidden.png", ".b/1.png", "c.txt"
    )
    assert listed(tmp_path) == ["B/3.gif", "a.tif", "a/c/1.JPEG", "b.jpg", "b/10.png", "b/2.png"]


def test_listing_is_lazy_and_looks_at_no_file(tmp_path, monkeypatch):
    put(tmp_path, *(f"{folder}/{i:03d}.jpg" for folder in "abc" for i in range(50)))
    scanned = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: scanned.append(os.path.basename(place)) or real(place))
    monkeypatch.setattr(os, "stat", lambda *args, **options: pytest.fail("a file was looked at"))
    monkeypatch.setattr(os.path, "exists", lambda path: pytest.fail("a file was looked at"))
    names = walk(tmp_path, [])
    assert next(names).startswith("a/")
    assert len(scanned) == 2  # the root and the first folder
    assert len([*names]) == 149


def test_a_long_listing_tells_how_far_it_is(tmp_path, monkeypatch):
    put(tmp_path, *(f"{i}.jpg" for i in range(2100)))
    said = []
    list_files(tmp_path, said.append)
    assert said == []
    monkeypatch.setattr(words, "PATIENCE", 0.0)
    list_files(tmp_path, said.append)
    assert said == [f"listing files in {tmp_path}: {count:,} images so far" for count in range(64, 2101, 64)]
    said.clear()
    assert len([*list_files(tmp_path, quiet).stamps(said.append)]) == 2100
    assert said[-1] == f"looking at the files' dates in {tmp_path}: 2,100 of 2,100 so far"


def test_links_are_followed_and_loops_are_not(tmp_path):
    put(tmp_path, "far/a.png", "set/b.png")
    for name, target in (("set/link", "far"), ("set/again", "far"), ("set/loop", "set"), ("set/c.png", "far/a.png")):
        (tmp_path / name).symlink_to(tmp_path / target)
    (tmp_path / "set" / "self.png").symlink_to("self.png")
    assert listed(tmp_path / "set") == ["again/a.png", "b.png", "c.png", "self.png"]


def test_what_is_no_file_but_is_named_like_an_image(tmp_path):
    """An empty folder and a dangling link are named as files, so that reading them tells; a pipe is never opened."""
    put(tmp_path, "full.jpg/a.png")
    (tmp_path / "empty.jpg").mkdir()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "to_pipe.png").symlink_to(tmp_path / "pipe.png")
    assert listed(tmp_path) == ["dangling.png", "empty.jpg", "full.jpg/a.png"]


def test_a_folder_that_cannot_be_listed_is_noted(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png", "shut/2.png", "z/3.png")
    real = os.scandir

    def refuse(place):
        if str(place).rstrip("/").endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return real(place)

    monkeypatch.setattr(os, "scandir", refuse)
    found = list_files(tmp_path, lambda text: None)
    assert found.names == ["a/1.png", "z/3.png"]
    assert found.skipped == (("shut", "PermissionError: Permission denied"),)
    with pytest.raises(InputError, match=r"shut holds no image files.*; \.: PermissionError: Permission denied"):
        list_files(tmp_path / "shut", lambda text: None)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_listed(tmp_path):
    put(tmp_path, "a/1.png", "shut/2.png")
    (tmp_path / "shut").chmod(0)
    try:
        assert list_files(tmp_path, lambda text: None).skipped == (("shut", "PermissionError: Permission denied"),)
    finally:
        (tmp_path / "shut").chmod(0o700)


def test_stamps_name_size_and_time(tmp_path):
    put(tmp_path, "a.png", "b.png")
    os.utime(tmp_path / "a.png", ns=(5, 77))
    found = list_files(tmp_path, lambda text: None)
    (tmp_path / "b.png").unlink()
    assert [*found.stamps(quiet)] == [("a.png", 1, 77), ("b.png", 0, 0)]


def test_printable_names():
    assert printable("größe/猫.png") == "größe/猫.png"
    assert printable(os.fsdecode(b"a\xff.png")) == "a\ufffd.png"
    assert printable("a\nb\x1b[31m\x9b.png") == "a\ufffdb\ufffd[31m\ufffd.png"
    assert printable("non\u00a0breaking.png") == "non\u00a0breaking.png"
    assert printable("\udcc3\udca9\n.png") == "\u00e9\ufffd.png"
