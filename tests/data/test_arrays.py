"""Saved arrays in each shape that is taken, and what is said of the others."""

import tracemalloc

import numpy as np
import pytest

from pairlens.data.sources import open_source
from pairlens.errors import InputError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (10, 6, 6, 3), np.uint8)
GREY = RNG.integers(0, 256, (10, 6, 6), np.uint8)
PLANES = COLOUR.transpose(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        (COLOUR, PLANES),
        (PLANES, PLANES),
        (GREY, np.repeat(GREY[:, None], 3, 1)),
        (GREY[..., None], np.repeat(GREY[:, None], 3, 1)),
        (GREY[:, None], np.repeat(GREY[:, None], 3, 1)),
    ],
)
def test_npy_shapes(tmp_path, saved, expected):
    np.save(tmp_path / "a.npy", saved)
    source = open_source(str(tmp_path / "a.npy"))
    assert np.array_equal(source.train.pixels.numpy(), expected)
    assert source.train.pixels.is_contiguous()
    assert source.train.sizes.tolist() == [[6, 6]] * 10
    assert source.train.labels is None
    assert source.test is None


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("images", "labels"), ("x_train", "y_train")])
def test_npz_with_labels_and_a_test_part(tmp_path, x, y):
    labels = np.arange(10) % 3
    np.savez(tmp_path / "a.npz", **{x: COLOUR, y: labels, "x_test": COLOUR[:2], "y_test": np.array([[3], [0]])})
    source = open_source(str(tmp_path / "a.npz"))
    assert source.train.labels.tolist() == labels.tolist()
    assert source.test.labels.tolist() == [3, 0]
    assert source.train.classes == source.test.classes == ("0", "1", "2", "3")


def test_npz_labels_alone_hold_out_a_fifth(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=COLOUR, y=np.repeat([0, 1], 5))
    source = open_source(str(tmp_path / "a.npz"))
    assert (len(source.train), len(source.test)) == (8, 2)
    assert source.test.labels.tolist() == [0, 1]
    original = [int(name.split("/")[1]) for name in source.test.names]
    assert np.array_equal(source.test.pixels.numpy(), PLANES[original])


def test_oblong_arrays_are_squeezed_and_keep_their_true_size(tmp_path):
    """The test part, of another shape, is stored at the training part's side."""
    ramp = np.broadcast_to(np.linspace(0, 255, 18).astype(np.uint8), (2, 8, 18))
    np.savez(tmp_path / "a.npz", x=ramp, x_test=ramp[:, :, ::2])
    source = open_source(str(tmp_path / "a.npz"))
    assert source.train.pixels.shape == source.test.pixels.shape == (2, 3, 12, 12)
    assert source.train.sizes.tolist() == [[8, 18]] * 2
    assert source.test.sizes.tolist() == [[8, 9]] * 2
    assert np.abs(source.train.pixels[0, 0, 5].numpy() - np.linspace(0, 255, 12)).max() < 8


def test_a_size_resizes(tmp_path):
    np.save(tmp_path / "a.npy", COLOUR)
    assert open_source(str(tmp_path / "a.npy"), size=5).train.pixels.shape == (10, 3, 5, 5)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": COLOUR.astype(np.float32)}, "images of float32; save them as uint8"),
        ({"x": COLOUR[0, 0]}, r"shape \(6, 3\)"),
        ({"x": np.zeros((2, 5, 5, 4), np.uint8)}, r"shape \(2, 5, 5, 4\)"),
        ({"x": COLOUR[:0]}, r"shape \(0,"),
        ({"pictures": COLOUR}, "no images but pictures"),
        ({"x": COLOUR, "y": np.arange(9)}, r"labels of shape \(9,\)"),
        ({"x": COLOUR, "y": np.arange(10) - 1}, "one integer from 0"),
        ({"x": COLOUR, "y": np.arange(10.0)}, "float64"),
        ({"x": np.array([{}])}, "cannot be read as NumPy arrays"),
    ],
)
def test_errors(tmp_path, arrays, told):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=told):
        open_source(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("data", [b"", b"no array", b"PK\x03\x04 cut", b"\x93NUMPY\x01\x00"])
def test_damaged_files(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match="cannot be read as NumPy arrays"):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("layout", [(0, 3, 1, 2), (0, 1, 2, 3)])
def test_a_large_file_is_in_memory_once(tmp_path, layout):
    images = RNG.integers(0, 256, (400, 32, 32, 3), np.uint8).transpose(layout)
    np.save(tmp_path / "a.npy", np.ascontiguousarray(images))
    tracemalloc.start()
    source = open_source(str(tmp_path / "a.npy"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * images.nbytes
    source.train.pixels[0, 0, 0, 0] = 1  # a copy of its own, which may be written
