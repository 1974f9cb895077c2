"""Folders of images: what is listed, labelled, split, skipped and cached."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pairlens.data import folder as folder_module
from pairlens.data import store
from pairlens.data.sources import open_source
from pairlens.errors import InputError


def put(path: Path, colour=(9, 9, 9), size=(8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def two_classes(root: Path, count: int = 10) -> None:
    for i in range(count):
        put(root / "cat" / f"{i}.png", (200, 0, 0))
        put(root / "dog" / "old" / f"{i}.png", (0, 0, 200))


def test_a_plain_folder_has_no_labels_and_its_names_are_sorted(tmp_path):
    put(tmp_path / "b" / "2.png", (2, 2, 2))
    put(tmp_path / "a.bmp", (1, 1, 1), (6, 4))
    put(tmp_path / "b" / "c" / "3.JPG", (3, 3, 3))
    source = open_source(str(tmp_path))
    assert source.train.names == ["a.bmp", "b/2.png", "b/c/3.JPG"]
    assert source.train.pixels[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert source.train.sizes.tolist() == [[4, 6], [8, 8], [8, 8]]
    assert source.train.labels is None
    assert source.train.classes == ()
    assert source.test is None


def test_hidden_files_and_other_kinds_are_passed_over_quietly(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / ".hidden.png")
    put(tmp_path / ".thumbnails" / "a.png")
    (tmp_path / "notes.txt").write_text("no image")
    train = open_source(str(tmp_path)).train
    assert (train.names, train.skipped) == (["a.png"], ())


def test_broken_files_are_listed_and_skipped(tmp_path):
    put(tmp_path / "b.png", (7, 7, 7))
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "c.jpg").write_bytes(b"not this")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone")
    said = []
    train = open_source(str(tmp_path), say=said.append).train
    assert train.names == ["b.png"]
    assert train.pixels.unique().tolist() == [7]
    assert [name for name, _ in train.skipped] == ["a.png", "c.jpg", "dangling.jpg"]
    assert train.skipped[0][1] == "the file is empty"
    assert "3 unreadable files skipped" in said[-1]


def test_labels_follow_their_images_past_broken_ones(tmp_path):
    two_classes(tmp_path)
    (tmp_path / "cat" / "0.png").write_bytes(b"")
    source = open_source(str(tmp_path), labels=True, test=str(tmp_path))
    assert source.train.labels.tolist() == [0] * 9 + [1] * 10
    assert torch.equal(source.train.pixels[:, 2, 0, 0] == 200, source.train.labels == 1)


def test_labels_on_request_come_with_a_stratified_fifth(tmp_path):
    two_classes(tmp_path)
    put(tmp_path / "rare" / "one.png")
    source = open_source(str(tmp_path), labels=True)
    assert source.train.classes == source.test.classes == ("cat", "dog", "rare")
    assert source.train.labels.bincount().tolist() == [8, 8, 1]
    assert source.test.labels.bincount(minlength=3).tolist() == [2, 2, 0]
    assert not set(source.train.names) & set(source.test.names)
    assert len(source.train) + len(source.test) == 21
    again, other = open_source(str(tmp_path), labels=True), open_source(str(tmp_path), labels=True, seed=5)
    assert again.test.names == source.test.names != other.test.names


@pytest.mark.parametrize("test", ["val", "validation", "test", "Test"])
def test_train_and_test_folders_are_labelled(tmp_path, test):
    two_classes(tmp_path / "train", 3)
    two_classes(tmp_path / test, 2)
    put(tmp_path / "elsewhere.png")
    source = open_source(str(tmp_path))
    assert source.train.classes == ("cat", "dog")
    assert source.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.test.labels.tolist() == [0, 0, 1, 1]
    assert source.train.names[3] == "dog/old/0.png"


def test_what_lies_beside_the_parts_is_told(tmp_path):
    for part in ("train", "test", "val"):
        two_classes(tmp_path / part, 2)
    put(tmp_path / "unlabeled" / "a.png")
    put(tmp_path / "elsewhere.png")
    (tmp_path / "notes").mkdir()
    put(tmp_path / ".cache" / "a.png")
    said = []
    assert len(open_source(str(tmp_path), say=said.append).train) == 4
    assert said[0] == (
        f"only train and test of {tmp_path} are read; left out: unlabeled/ (1 images), val/ (4 images), "
        "files (1 images)"
    )
    two_classes(tmp_path / "clean" / "train", 2)
    two_classes(tmp_path / "clean" / "test", 2)
    said.clear()
    open_source(str(tmp_path / "clean"), say=said.append)
    assert len(said) == 1


@pytest.mark.parametrize("part", ["train", "Training", "val"])
def test_a_part_that_is_alone_is_no_class(tmp_path, part):
    two_classes(tmp_path / part)
    put(tmp_path / "unlabeled" / "a.png")
    said = []
    source = open_source(str(tmp_path), labels=True, say=said.append)
    assert source.train.classes == ("cat", "dog")
    assert source.train.names[0].startswith("cat/")
    assert (len(source.train), len(source.test)) == (16, 4)
    assert said[0] == f"only {part} of {tmp_path} is read; left out: unlabeled/ (1 images)"
    assert len(open_source(str(tmp_path)).train) == 21


def test_train_can_be_a_class(tmp_path):
    for name in ("car", "train"):
        for i in range(5):
            put(tmp_path / name / f"{i}.png")
    assert open_source(str(tmp_path), labels=True).train.classes == ("car", "train")


def test_one_class_alone_is_told(tmp_path):
    for i in range(5):
        put(tmp_path / "cat" / f"{i}.png")
    said = []
    open_source(str(tmp_path), labels=True, say=said.append)
    assert "1 class," in said[0]
    assert "all labelled training images are of one class, cat: every accuracy will be 100 %" in said[1]
    said.clear()
    two_classes(tmp_path)
    open_source(str(tmp_path), labels=True, say=said.append)
    assert len(said) == 1


def test_images_beside_the_class_folders_have_no_label(tmp_path):
    """An unreadable one is skipped with its reason; others are trained on only."""
    two_classes(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"")
    put(tmp_path / "sheet.png", (5, 5, 5))
    said = []
    source = open_source(str(tmp_path), labels=True, say=said.append)
    assert source.train.skipped == (("broken.png", "the file is empty"),)
    assert source.train.classes == ("cat", "dog")
    at = source.train.names.index("sheet.png")
    assert [i for i, label in enumerate(source.train.labels) if label < 0] == [at]
    assert source.train.pixels[at].unique().tolist() == [5]
    assert source.test.labels.bincount().tolist() == [2, 2]
    assert said[0].startswith(f"2 of the images in {tmp_path} lie in no class folder (broken.png)")
    assert "17 training images (16 labelled)" in said[1]
    assert "1 unreadable files skipped" in said[1]


def test_the_test_folder_goes_before_the_validation_folder(tmp_path):
    for part, count in (("train", 3), ("validation", 1), ("test", 2)):
        two_classes(tmp_path / part, count)
    assert len(open_source(str(tmp_path)).test) == 4


def test_parts_without_class_folders_are_unlabelled(tmp_path):
    put(tmp_path / "train" / "a.png")
    put(tmp_path / "val" / "b.png")
    source = open_source(str(tmp_path))
    assert source.train.labels is source.test.labels is None
    with pytest.raises(InputError, match="lies in no class folder"):
        open_source(str(tmp_path), labels=True)


def test_a_test_class_that_training_lacks(tmp_path):
    two_classes(tmp_path / "train", 1)
    put(tmp_path / "test" / "horse" / "a.png")
    with pytest.raises(InputError, match="class horse"):
        open_source(str(tmp_path))


def test_names_of_any_alphabet(tmp_path):
    put(tmp_path / "Größe 猫" / "фото 'x' <b>.png")
    train = open_source(str(tmp_path), labels=True, test=str(tmp_path)).train
    assert train.names == ["Größe 猫/фото 'x' <b>.png"]
    assert train.classes == ("Größe 猫",)


def test_names_that_are_no_text_become_printable(tmp_path):
    path = put(tmp_path / "a.png")
    try:
        os.rename(os.fsencode(path), os.fsencode(tmp_path) + b"/\xff.png")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    names = open_source(str(tmp_path)).train.names
    assert json.dumps(names).isascii()
    names[0].encode("utf-8")


def test_linked_folders_are_followed_once(tmp_path):
    put(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set")
    assert open_source(str(tmp_path / "set")).train.names == ["link/a.png"]


def test_the_side_is_chosen_or_given(tmp_path):
    put(tmp_path / "a.png", size=(500, 400))
    assert open_source(str(tmp_path)).train.pixels.shape[2:] == (144, 144)
    assert open_source(str(tmp_path), view=32).train.pixels.shape[2:] == (72, 72)
    train = open_source(str(tmp_path), size=20).train
    assert train.pixels.shape[2:] == (20, 20)
    assert train.sizes.tolist() == [[400, 500]]


def test_errors(tmp_path):
    with pytest.raises(InputError, match="holds no image files"):
        open_source(str(tmp_path))
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the 3 image files .* 0\.jpg: the file is empty"):
        open_source(str(tmp_path))


def test_one_image_a_class_cannot_be_split(tmp_path):
    two_classes(tmp_path, 1)
    with pytest.raises(InputError, match="too few to hold out"):
        open_source(str(tmp_path), labels=True)


class TestCache:
    """Sets above the limit, here lowered to nothing, are mapped from a file."""

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setattr(store, "IN_MEMORY", 0)
        monkeypatch.setenv("PAIRLENS_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache"

    @pytest.fixture
    def images(self, tmp_path):
        for i in range(5):
            put(tmp_path / "set" / f"{i}.png", (i, i, i), (6, 4 + i))
        (tmp_path / "set" / "3.png").write_bytes(b"")
        return tmp_path / "set"

    @pytest.fixture
    def decodes(self, monkeypatch):
        """Counts how often a set is decoded."""
        calls = []
        real = folder_module.decode_all
        monkeypatch.setattr(
            folder_module, "decode_all", lambda paths, *rest: calls.append(len(paths)) or real(paths, *rest)
        )
        return calls

    def test_a_cached_set_equals_one_in_memory(self, images, cache, monkeypatch, decodes):
        mapped, again = (open_source(str(images)).train for _ in range(2))
        monkeypatch.setattr(store, "IN_MEMORY", 2**30)
        plain = open_source(str(images)).train
        assert decodes == [5, 5]
        for train in (mapped, again):
            assert torch.equal(train.pixels, plain.pixels)
            assert torch.equal(train.sizes, plain.sizes)
            assert (train.names, train.skipped) == (plain.names, plain.skipped)
        assert plain.skipped == (("3.png", "the file is empty"),)
        assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".pixels"]

    def test_a_changed_file_or_side_is_decoded_anew(self, images, decodes):
        open_source(str(images))
        open_source(str(images), size=7)
        put(images / "3.png", (3, 3, 3))
        assert open_source(str(images)).train.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
        os.utime(images / "1.png", (1, 1))
        open_source(str(images))
        assert decodes == [5] * 4

    def test_a_killed_decode_is_redone(self, images, cache, monkeypatch, decodes):
        real = folder_module.decode_all

        def killed(paths, *rest):
            for i, result in enumerate(real(paths, *rest)):
                if i == 3:
                    raise KeyboardInterrupt
                yield result

        with monkeypatch.context() as patch:
            patch.setattr(folder_module, "decode_all", killed)
            with pytest.raises(KeyboardInterrupt):
                open_source(str(images))
        assert not list(cache.glob("*.json"))
        assert open_source(str(images)).train.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 4]

    def test_pixels_without_the_marker_do_not_count(self, images, cache, decodes):
        expected = open_source(str(images)).train.pixels.clone()
        next(cache.glob("*.json")).unlink()
        pixels = next(cache.glob("*.pixels"))
        pixels.write_bytes(b"\0" * pixels.stat().st_size)
        assert torch.equal(open_source(str(images)).train.pixels, expected)
        assert decodes == [5, 5]

    def test_old_unfinished_files_are_removed(self, images, cache):
        cache.mkdir()
        for name, age in (("old.1.partial", 0), ("new.1.partial", None)):
            (cache / name).write_bytes(b"x")
            if age is not None:
                os.utime(cache / name, (age, age))
        open_source(str(images))
        assert [path.name for path in cache.glob("*.partial")] == ["new.1.partial"]

    def test_nothing_decodable_is_an_error_each_time(self, tmp_path):
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "a.jpg").write_bytes(b"")
        for _ in range(2):
            with pytest.raises(InputError, match="none of the 1 image files"):
                open_source(str(tmp_path / "bad"))

    def test_an_unwritable_cache_is_named(self, images, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("PAIRLENS_CACHE", str(tmp_path / "file"))
        with pytest.raises(InputError, match="PAIRLENS_CACHE"):
            open_source(str(images))


DATA = Path(os.environ.get("PAIRLENS_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data")


@pytest.mark.skipif(
    not (DATA / "bccd").is_dir(), reason="the real images are absent: set PAIRLENS_DATA to their folder"
)
def test_real_micrographs():
    train = open_source(str(DATA / "bccd"), size=32).train
    assert len(train) == 364
    assert train.skipped == ()
    assert train.sizes.unique(dim=0).tolist() == [[480, 640]]
    assert np.all(train.mean_std()[0].numpy() > 0.4)
