"""CIFAR-10 and CIFAR-100 in each of their published layouts, written here byte by byte."""

import os
import pickle

import numpy as np
import pytest
import torch

from pairlens.data.sources import open_source
from pairlens.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 4, 3, 32, 32), dtype=np.uint8)  # five training batches of four, and the test batch
LABELS = RNG.integers(0, 10, (6, 4), dtype=np.uint8)
COARSE = RNG.integers(0, 20, (6, 4), dtype=np.uint8)
FINE = RNG.integers(0, 100, (6, 4), dtype=np.uint8)
NAMES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


def write_binary10(folder):
    folder.mkdir(parents=True)
    for name, images, labels in zip(NAMES, IMAGES, LABELS, strict=True):
        rows = b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True))
        (folder / f"{name}.bin").write_bytes(rows)
    (folder / "batches.meta.txt").write_text("airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n")


def write_binary100(folder):
    folder.mkdir(parents=True)
    for name, parts in (("train", slice(0, 5)), ("test", slice(5, 6))):
        data = b""
        for i in range(6)[parts]:
            for image, coarse, fine in zip(IMAGES[i], COARSE[i], FINE[i], strict=True):
                data += bytes([coarse, fine]) + image.tobytes()
        (folder / f"{name}.bin").write_bytes(data)
    (folder / "fine_label_names.txt").write_text("".join(f"fine{i}\n" for i in range(100)))
    (folder / "coarse_label_names.txt").write_text("".join(f"coarse{i}\n" for i in range(20)))


def write_python10(folder, protocol=2):
    folder.mkdir(parents=True)
    for name, images, labels in zip(NAMES, IMAGES, LABELS, strict=True):
        batch = {
            b"batch_label": b"one of six",
            b"labels": labels.tolist(),
            b"data": images.reshape(4, -1),
            b"filenames": [b"a.png"] * 4,
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol))
    classes = [f"class{i}".encode() for i in range(10)]
    meta = {b"label_names": classes, b"num_vis": 3072, b"num_cases_per_batch": 4}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol))


def write_python100(folder):
    folder.mkdir(parents=True)
    for name, parts in (("train", slice(0, 5)), ("test", slice(5, 6))):
        batch = {
            "data": IMAGES[parts].reshape(-1, 3072),
            "fine_labels": FINE[parts].ravel().tolist(),
            "coarse_labels": COARSE[parts].ravel().tolist(),
        }
        (folder / name).write_bytes(pickle.dumps(batch, 2))
    names = {"fine_label_names": [f"fine{i}" for i in range(100)], "coarse_label_names": []}
    (folder / "meta").write_bytes(pickle.dumps(names, 2))


LAYOUTS = {
    "cifar-10-batches-bin": write_binary10,
    "cifar-100-binary": write_binary100,
    "cifar-10-batches-py": write_python10,
    "cifar-100-python": write_python100,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("where", ["itself", "renamed", "parent"])
def test_every_layout_gives_the_written_images(tmp_path, layout, where):
    folder = tmp_path / ("renamed" if where == "renamed" else layout)
    LAYOUTS[layout](folder)
    source = open_source(str(tmp_path if where == "parent" else folder))
    assert np.array_equal(source.train.pixels.numpy(), IMAGES[:5].reshape(20, 3, 32, 32))
    assert np.array_equal(source.test.pixels.numpy(), IMAGES[5])
    labels = FINE if "100" in layout else LABELS
    assert source.train.labels.tolist() == labels[:5].ravel().tolist()
    assert source.test.labels.tolist() == labels[5].tolist()
    assert source.train.classes == source.test.classes
    assert len(source.train.classes) == (100 if "100" in layout else 10)
    if "100" in layout:
        assert source.train.factors["coarse"].tolist() == COARSE[:5].ravel().tolist()
    assert source.train.sizes.unique().tolist() == [32]


@pytest.mark.parametrize("protocol", range(5))
def test_the_pickle_protocols_of_python_2_and_3_are_read(tmp_path, protocol):
    write_python10(tmp_path / "cifar-10-batches-py", protocol)
    assert np.array_equal(open_source(str(tmp_path)).test.pixels.numpy(), IMAGES[5])


def test_a_pickle_of_python_2_is_read(tmp_path):
    """The published files were written by Python 2: byte strings as STRING opcodes, numpy.core.multiarray by name."""
    write_python10(tmp_path / "cifar-10-batches-py")
    raw = IMAGES[5].reshape(4, -1).tobytes()
    labels = b"".join(b"K" + bytes([label]) for label in LABELS[5])
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        b"(K\x01(K\x04M\x00\x0ctcnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    )
    data = b"\x80\x02}(U\x04data" + array + b"U\x06labels](" + labels + b"eu."
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(data)
    test = open_source(str(tmp_path)).test
    assert np.array_equal(test.pixels.numpy(), IMAGES[5])
    assert test.labels.tolist() == LABELS[5].tolist()


class Evil:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("call", [(os.system, "touch {mark}"), (eval, "open({mark!r}, 'w')"), (open, "{mark}", "w")])
def test_a_malicious_pickle_is_refused_and_does_nothing(tmp_path, call):
    write_python10(tmp_path / "cifar-10-batches-py")
    mark = tmp_path / "mark"
    function, *arguments = call
    evil = Evil(function, *(text.format(mark=str(mark)) for text in arguments))
    batch = {b"labels": [1], b"data": np.zeros((1, 3072), np.uint8), b"more": evil}
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps(batch))
    with pytest.raises(InputError, match=r"data_batch_3 asks for .* malicious"):
        open_source(str(tmp_path))
    assert not mark.exists()


def test_an_unusual_codec_is_refused(tmp_path):
    write_python10(tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR."
    )
    with pytest.raises(InputError, match="codec rot13"):
        open_source(str(tmp_path))


def test_class_names_default_to_the_known_ones(tmp_path):
    write_binary10(tmp_path / "bin")
    (tmp_path / "bin" / "batches.meta.txt").unlink()
    assert open_source(str(tmp_path / "bin")).train.classes[9] == "truck"


@pytest.mark.parametrize(
    ("layout", "file", "data", "told"),
    [
        ("cifar-10-batches-bin", "data_batch_2.bin", b"\0" * 3072, "3072 bytes long, not a multiple of 3073"),
        ("cifar-10-batches-bin", "data_batch_2.bin", b"", "0 bytes long"),
        ("cifar-10-batches-bin", "data_batch_2.bin", b"\x0a" + b"\0" * 3072, "label 10, but only 10 class names"),
        ("cifar-100-binary", "test.bin", b"\0" * 3073, "not a multiple of 3074"),
        ("cifar-10-batches-py", "data_batch_2", b"no pickle", "is damaged"),
        ("cifar-10-batches-py", "data_batch_2", pickle.dumps([1]), "a list"),
        ("cifar-10-batches-py", "data_batch_2", pickle.dumps({b"labels": [1]}), "no CIFAR batch"),
        (
            "cifar-10-batches-py",
            "data_batch_2",
            pickle.dumps({b"labels": [1], b"data": np.zeros((1, 99), np.uint8)}),
            r"shape \(1, 99\)",
        ),
        ("cifar-10-batches-py", "batches.meta", pickle.dumps({b"a": 1}), "no class names"),
    ],
)
def test_damaged_files_are_named(tmp_path, layout, file, data, told):
    LAYOUTS[layout](tmp_path / layout)
    (tmp_path / layout / file).write_bytes(data)
    with pytest.raises(InputError, match=told) as caught:
        open_source(str(tmp_path))
    assert "unpack the archive again" in str(caught.value)


def test_missing_files_are_named(tmp_path):
    write_binary10(tmp_path / "cifar-10-batches-bin")
    (tmp_path / "cifar-10-batches-bin" / "data_batch_4.bin").unlink()
    with pytest.raises(InputError, match=r"lacks data_batch_4\.bin"):
        open_source(str(tmp_path))


def test_a_size_resizes(tmp_path):
    write_binary10(tmp_path / "cifar-10-batches-bin")
    train = open_source(str(tmp_path), size=16).train
    assert train.pixels.shape == (20, 3, 16, 16)
    assert train.sizes.unique().tolist() == [32]
    assert train.pixels.float().mean() == pytest.approx(torch.tensor(IMAGES[:5]).float().mean().item(), abs=1)
