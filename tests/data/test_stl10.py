"""STL-10's binary layout, written here byte by byte: planes column by column, labels from 1."""

import numpy as np
import pytest

from pairlens.data import store
from pairlens.data.sources import open_source
from pairlens.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = {
    part: RNG.integers(0, 256, (count, 3, 96, 96), np.uint8)
    for part, count in (("unlabeled", 5), ("train", 4), ("test", 3))
}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "stl10_binary"
    place.mkdir()
    for part, images in IMAGES.items():
        columns = (image[plane, :, x].tobytes() for image in images for plane in range(3) for x in range(96))
        (place / f"{part}_X.bin").write_bytes(b"".join(columns))
    (place / "train_y.bin").write_bytes(bytes([1, 10, 3, 3]))
    (place / "test_y.bin").write_bytes(bytes([2, 1, 10]))
    (place / "fold_indices.txt").write_text("0 1\n")
    return place


@pytest.mark.parametrize("mapped", [False, True])
def test_unlabelled_images_come_first_unless_labels_are_asked(folder, monkeypatch, tmp_path, mapped):
    monkeypatch.setenv("PAIRLENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "IN_MEMORY", 0 if mapped else 2**30)
    for place in (folder, folder.parent):
        said = []
        source = open_source(str(place), say=said.append)
        assert "9 training images (4 labelled), 3 test images, 10 classes" in said[-1]
        both = np.concatenate([IMAGES["unlabeled"], IMAGES["train"]])
        assert np.array_equal(source.train.pixels.numpy(), both)
        assert source.train.labels.tolist() == [-1] * 5 + [0, 9, 2, 2]
        assert source.train.labelled().tolist() == [5, 6, 7, 8]
        assert source.train.names[4:6] == ["unlabeled/000004", "train/000000"]
        assert np.array_equal(source.test.pixels.numpy(), IMAGES["test"])
        assert source.test.labels.tolist() == [1, 0, 9]
    assert (tmp_path / "cache").exists() is mapped


def test_with_labels(folder):
    train = open_source(str(folder), labels=True).train
    assert np.array_equal(train.pixels.numpy(), IMAGES["train"])
    assert train.labels.tolist() == [0, 9, 2, 2]
    assert train.classes[9] == "truck"


def test_without_the_unlabelled_part(folder):
    (folder / "unlabeled_X.bin").unlink()
    train = open_source(str(folder)).train
    assert train.labels.tolist() == [0, 9, 2, 2]


@pytest.mark.parametrize(
    ("file", "data", "told"),
    [
        ("train_X.bin", b"\0" * 27647, "not a multiple of 27648"),
        ("test_X.bin", b"", "0 bytes long"),
        ("train_y.bin", b"\1\2\3", "4 labels from 1 to 10"),
        ("train_y.bin", b"\1\2\3\0", "labels from 1"),
        ("train_y.bin", b"\1\2\3\x0b", "to 10"),
        ("test_y.bin", None, "test_y.bin is missing"),
    ],
)
def test_damaged_files_are_named(folder, file, data, told):
    (folder / file).unlink()
    if data is not None:
        (folder / file).write_bytes(data)
    with pytest.raises(InputError, match=told):
        open_source(str(folder), labels=True)
