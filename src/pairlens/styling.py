"""How images get stylised copies (LooC's texture): by a stand-in that is not neural, from a folder, or by a network.

N images of the set, S copies of each, M pictures that styles are taken from, B images of a chunk, H pixels of a side.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from pairlens.data.decode import Decoded, decode_all
from pairlens.data.files import Files, list_files, printable
from pairlens.data.images import ImageSet
from pairlens.data.parallel import Progress
from pairlens.data.photographs import Photographs
from pairlens.data.store import cache_folder, cache_key, free_room, held_in_memory, is_kept, keep, memory, store_bytes
from pairlens.data.style_folder import decode_copies, find_copies
from pairlens.data.styles import mix_spectra, shuffle_patches
from pairlens.errors import InputError
from pairlens.nets.adain import load_style_transfer
from pairlens.words import patient

VERSION = 1  # counted up when a way of making copies makes others
STREAM = 1 << 48  # sets the copies' generator apart from all others of a seed
CHUNK = 2**18  # pixels of a copy that are made at a time
CPU = torch.device("cpu")
PICTURES = 2000  # that styles are taken from, at most

WAYS = ("spectrum", "patches")
"""Ways that need neither a folder nor a file, and are not neural."""

Say = Callable[[str], None]
Kind = Literal["spectrum", "patches", "folder", "network"]
Make = Callable[[Int64[Tensor, "B"], int], UInt8[Tensor, "B 3 H H"]]
"""Makes one copy, counted from 0, of these images."""


@dataclass(frozen=True)
class Styling:
    """A way of making stylised copies."""

    by: str = "spectrum"
    """spectrum or patches, which are not neural; a folder of copies; or a file of AdaIN's weights."""
    count: int = 4
    """S."""
    pictures: str | None = None
    """A folder of pictures that styles are taken from; None takes them from the set's other images."""

    @property
    def kind(self) -> Kind:
        """What `by` names.

        Raises:
            InputError: nothing that is there.
        """
        if self.by == "spectrum":
            return "spectrum"
        if self.by == "patches":
            return "patches"
        path = Path(self.by).expanduser()
        if not path.exists():
            raise InputError(
                f"images cannot be stylised by {self.by}, which is not there; give spectrum, patches, a folder of "
                "stylised copies, or a file of AdaIN's weights"
            )
        return "folder" if path.is_dir() else "network"

    @property
    def takes_pictures(self) -> bool:
        """Whether styles are taken from pictures; that of what is not there, too, which `check` refuses."""
        return self.by == "spectrum" or (self.by not in WAYS and not Path(self.by).expanduser().is_dir())

    @property
    def neural(self) -> bool:
        """Whether a network stylises, as far as anybody knows: who made a folder of copies is not told."""
        return self.kind in ("folder", "network")

    def check(self) -> None:
        """Refuse early what cannot be used, before any image is read.

        Raises:
            InputError: nothing is there that could stylise, or to take styles from.
        """
        _ = self.kind
        if self.pictures is not None and not Path(self.pictures).expanduser().is_dir():
            raise InputError(f"there is no folder {self.pictures} to take styles from; give a folder of pictures")

    @property
    def words(self) -> str:
        """The way in words; what is not neural says so."""
        name = printable(Path(self.by).name)
        said = {
            "spectrum": "by spectrum mixing (a stand-in that is not neural)",
            "patches": "by patch shuffling (a stand-in that is not neural)",
            "folder": f"from the folder {name}",
            "network": f"by AdaIN with the weights {name}",
        }[self.kind]
        return f"{said}, styles from {printable(Path(self.pictures).name)}" if self.pictures else said


def add_copies(
    images: ImageSet,
    styling: Styling,
    *,
    seed: int = 0,
    device: torch.device = CPU,
    say: Say = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> ImageSet:
    """The same set with S stylised copies of every image, at its stored side.

    The same images, way and seed give the same copies again, bit for bit on the same machine. Every copy takes its
    style from a picture of its own, drawn evenly, as in Stylized-ImageNet (Geirhos et al. 2019): from another image of
    the set, or from a folder of pictures. Copies above a gibibyte are kept in the cache folder, and a network's always.

    Args:
        images: with stored pixels; any copies that they have are replaced.
        styling: how.
        seed: of what is drawn.
        device: where a network runs; all else is computed on the CPU.
        say: told in a sentence what happens.
        progress: told how many files of how many are decoded.

    Raises:
        InputError: the images are decoded in every epoch, copies are missing, a file cannot be read, nothing is there
            to take styles from, or there is no room for the copies.
    """
    pixels, count, side = images.pixels, len(images), images.pixels.shape[3]
    if isinstance(pixels, Photographs):
        raise InputError(
            f"textures are stylised copies that are made once, and these {count:,} images are decoded anew in every "
            "epoch; store them with --decode once, or leave texture out"
        )
    if pixels.shape[2] != side:
        raise InputError(f"stylised copies are squares, and the images are {pixels.shape[2]} x {side}; resize them")
    way = _way(images, styling, torch.Generator().manual_seed(STREAM + seed), device, say, progress)
    kind, size = styling.kind, store_bytes(styling.count * count, side)
    key = cache_key(way.stamps, "styles", VERSION, kind, styling.count, seed, _digest(pixels))
    if size > free_room() and not is_kept(key) and not held_in_memory(size, memory(), free_room()):
        raise InputError(
            f"{styling.count} stylised copies of {count:,} images take {size / 1e9:,.0f} GB, and {cache_folder()} has "
            f"room for {free_room() / 1e9:,.0f} GB; set PAIRLENS_CACHE to a folder with room, or ask for fewer styles"
        )
    copies, facts = keep(way.fill, styling.count * count, side, key, dear=kind == "network")
    say(f"{styling.count} stylised copies of each training image {styling.words}, {size / 1e6:,.0f} MB")
    if bent := facts.get("bent"):
        say(
            f"{len(bent):,} of the stylised copies have not the shape of their images ({bent[0]} is the first): crops "
            "show another place of them"
        )
    return replace(images, styles=copies.view(styling.count, count, 3, side, side))


@dataclass(frozen=True)
class Way:
    """Where all copies come from, the first of every image before the second of any."""

    fill: Callable[[dict[str, Any]], Iterator[UInt8[np.ndarray, "3 H H"]]]  # as `store.keep` takes it
    stamps: list[tuple[str, int, int]]  # of all files that are read: name, bytes, time of modification in ns


def _way(
    images: ImageSet, styling: Styling, generator: torch.Generator, device: torch.device, say: Say, progress: Progress
) -> Way:
    root, side = Path(styling.by).expanduser(), images.pixels.shape[3]
    if styling.kind == "folder":
        return _folder(root, images, styling.count, say, progress)
    pictures = None if styling.pictures is None else _some(list_files(Path(styling.pictures).expanduser(), say))
    if styling.kind != "patches" and pictures is None and len(images) < 2:
        raise InputError("a single image has no other to take its texture from; give a folder of pictures, or patches")
    read = [] if pictures is None else [pictures]
    read += [Files(root.parent, [root.name])] if styling.kind == "network" else []

    def fill(facts: dict[str, Any]) -> Iterator[np.ndarray]:
        make = _maker(images, styling, pictures, generator, device, say, progress)
        tell = patient(say, lambda done: f"making stylised copies: {done:,} of {styling.count * len(images):,}")
        for style in range(styling.count):
            for rows in torch.arange(len(images)).split(max(1, CHUNK // side**2)):
                tell(style * len(images) + int(rows[0]))
                yield from make(rows, style).numpy()

    return Way(fill, [stamp for files in read for stamp in files.stamps(say)])


def _folder(root: Path, images: ImageSet, count: int, say: Say, progress: Progress) -> Way:
    files = Files(root, find_copies(root, images.names, count))
    sizes = [(height, width) for height, width in images.sizes.tolist()]

    def fill(facts: dict[str, Any]) -> Iterator[np.ndarray]:
        facts["bent"] = []
        return decode_copies(root, files.names, sizes, images.pixels.shape[3], progress, facts["bent"])

    return Way(fill, list(files.stamps(say)))


def _maker(
    images: ImageSet,
    styling: Styling,
    pictures: Files | None,
    generator: torch.Generator,
    device: torch.device,
    say: Say,
    progress: Progress,
) -> Make:
    """What makes some copies; called for all of them in their order, since patches are drawn as they are shuffled."""
    pixels = images.pixels
    assert isinstance(pixels, Tensor)
    if styling.kind == "patches":
        return lambda rows, style: shuffle_patches(pixels[rows], generator)
    pool = pixels if pictures is None else _decoded(pictures, pixels.shape[3], say, progress)
    drawn = draw_pictures(styling.count, len(images), None if pictures is None else len(pool), generator)
    if styling.kind == "spectrum":
        return lambda rows, style: mix_spectra(pixels[rows], pool[drawn[style, rows]])
    network = load_style_transfer(Path(styling.by).expanduser()).to(device)
    return lambda rows, style: network(pixels[rows].to(device), pool[drawn[style, rows]].to(device)).cpu()


def draw_pictures(copies: int, images: int, pictures: int | None, generator: torch.Generator) -> Int64[Tensor, "S N"]:
    """Which picture gives its style to each copy of each image; of the set's own (None) any but the image itself."""
    if pictures is not None:
        return torch.randint(pictures, (copies, images), generator=generator)
    apart = torch.randint(1, images, (copies, images), generator=generator)
    return (torch.arange(images) + apart) % images


def _some(files: Files) -> Files:
    """As many of the pictures as are decoded, evenly spaced."""
    return files.take(np.linspace(0, len(files) - 1, min(PICTURES, len(files))).astype(int).tolist())


def _decoded(pictures: Files, side: int, say: Say, progress: Progress) -> UInt8[Tensor, "M 3 H H"]:
    """The pictures that can be read, at the images' side."""
    found = list(decode_all([pictures.root / name for name in pictures.names], side, progress))
    read = [torch.from_numpy(one.pixels) for one in found if isinstance(one, Decoded)]
    if not read:
        raise InputError(f"none of the pictures in {pictures.root} can be read; give others to take styles from")
    if len(read) < len(found):
        say(f"{len(found) - len(read)} of the pictures in {pictures.root} cannot be read; no style is taken from them")
    return torch.stack(read)


def _digest(pixels: UInt8[Tensor, "N 3 H W"]) -> str:
    """A hash of all pixels."""
    digest = hashlib.sha256(repr(tuple(pixels.shape)).encode())
    for some in pixels.split(1024):
        digest.update(some.cpu().contiguous().numpy())
    return digest.hexdigest()
