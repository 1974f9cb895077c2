"""What is opened under which name, and what is said of names that cannot be opened."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pairlens.data.images import ImageSet
from pairlens.data.sources import _matched, open_source
from pairlens.data.split import hold_out
from pairlens.errors import InputError


def png(path, value=5):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 6), value).save(path)


def test_scenes_by_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = []
    source = open_source("scenes:shortcut", size=16, say=said.append)
    assert source.name == "scenes:shortcut"
    assert said == ["scenes:shortcut: 10,000 training images, 2,000 test images, 10 classes, stored at 16 x 16 pixels"]
    with pytest.raises(InputError, match="no setting 'easy'"):
        open_source("scenes:easy")


@pytest.mark.parametrize(("argument", "value"), [("size", 0), ("size", -3), ("view", 0)])
def test_sizes_must_be_positive(argument, value):
    with pytest.raises(InputError, match=f"the {argument} must be a positive number of pixels, not {value}"):
        open_source("scenes", **{argument: value})


def test_missing_places_and_unknown_files(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        open_source(str(tmp_path / "gone"))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"notes\.txt is a file of an unknown kind"):
        open_source(str(tmp_path / "notes.txt"))


def test_a_test_source_of_its_own(tmp_path):
    """Its classes are numbered as in training, its images stored at the same side, and none is held out."""
    for name in ("ant", "bee", "cow"):
        for i in range(5):
            png(tmp_path / "a" / name / f"{i}.png")
    png(tmp_path / "b" / "cow" / "x.png", 9)
    png(tmp_path / "b" / "bee" / "y.png", 9)
    source = open_source(str(tmp_path / "a"), labels=True, test=str(tmp_path / "b"), size=4)
    assert len(source.train) == 15
    assert source.test.labels.tolist() == [1, 2]
    assert source.test.classes == ("ant", "bee", "cow")
    assert source.test.pixels.shape == (2, 3, 4, 4)
    png(tmp_path / "b" / "eel" / "z.png")
    with pytest.raises(InputError, match="class eel"):
        open_source(str(tmp_path / "a"), labels=True, test=str(tmp_path / "b"))


def test_a_test_sources_own_test_part_is_used(tmp_path):
    images = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", x=images[:4])
    np.savez(tmp_path / "b.npz", x=images[:4], x_test=images[4:])
    source = open_source(str(tmp_path / "a.npz"), test=str(tmp_path / "b.npz"))
    assert source.test.pixels[:, 0, 0, 0].tolist() == [4, 5]
    assert len(source.train) == 4


def test_hold_out_takes_a_fifth_of_every_class():
    labels = torch.tensor([0] * 50 + [1] * 10 + [2] * 2 + [3])
    train, test = hold_out(labels, seed=0)
    assert labels[test].bincount(minlength=4).tolist() == [10, 2, 1, 0]
    assert sorted(train.tolist() + test.tolist()) == list(range(63))
    assert not torch.equal(test, hold_out(labels, seed=1)[1])


def test_hold_out_leaves_what_has_no_label_in_training():
    labels = torch.tensor([-1] * 20 + [0] * 10)
    train, test = hold_out(labels, seed=0)
    assert labels[test].tolist() == [0, 0]
    assert len(train) == 28


def test_a_test_set_keeps_its_images_without_a_label_so():
    train = ImageSet(torch.zeros(2, 3, 4, 4).byte(), torch.full((2, 2), 4), ["0", "1"], torch.arange(2), ("a", "b"))
    test = replace(train, labels=torch.tensor([0, -1]), classes=("b",))
    assert _matched(train, test, "other").labels.tolist() == [1, -1]
