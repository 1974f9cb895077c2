"""What images look like: 64 bits by which alike ones are found, and 768 bytes by which they are compared.

N images, P pairs of images, G pixels a side of a gray thumbnail, H x W stored pixels.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8, UInt64
from torch import Tensor

GRAY, COLOUR = 24, 8  # pixels a side of the thumbnails
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (BT.601)
BLANK = 1.0  # gray levels; an image of a smaller standard deviation is known by its colour alone
CELL = 8  # levels; blank images are sorted by their mean colour, rounded down to multiples of this
COLOURS_APART = 48.0  # levels, root mean square: copies made darker by a fifth are up to 40 apart
CHROMA_APART = 40.0  # levels, see `chroma_apart`; a few copies made darker by a fifth are more than 32 apart
COLOURLESS = 6.0  # levels; a copy whose chroma varies less was perhaps turned gray
DETAIL_APART = 0.12  # see `detail_apart`
FAINT = 4.0  # levels, root mean square; detail weaker than this is not scaled up to be compared
REACH = 5  # pixels of the gray thumbnail over which a local mean is taken
CHUNK = 64  # images that are copied at a time
COMPARED = 1024  # pairs that are compared at a time

Progress = Callable[[int, int], None]  # (images done, images in all)


def _frequencies() -> tuple[list[int], list[int]]:
    """Vertical and horizontal frequencies of the 64 bits: the lowest but the mean's, dealt to every third bit."""
    pairs = sorted(((v, u) for v in range(10) for u in range(10) if v or u), key=lambda p: p[0] ** 2 + p[1] ** 2)[:64]
    dealt = pairs[0::3] + pairs[1::3] + pairs[2::3]
    return [v for v, _ in dealt], [u for _, u in dealt]


VERTICAL, HORIZONTAL = _frequencies()


@runtime_checkable
class Pixels(Protocol):
    """Images, perhaps decoded only when asked for."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, rows: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        """Some of them."""
        ...


@dataclass(frozen=True)
class Looks:
    """N images in 792 bytes each."""

    digest: UInt64[np.ndarray, "N"]  # equal for equal pixels, as stored
    bits: UInt64[np.ndarray, "N"]  # signs of the lowest frequencies
    mirrored: UInt64[np.ndarray, "N"]  # the bits that the mirror image has
    gray: UInt8[Tensor, "N G G"]
    colour: UInt8[Tensor, "N 3 8 8"]

    def rows(self, index: Int64[np.ndarray, "B"]) -> "Looks":
        """Some of the images."""
        return Looks(self.digest[index], self.bits[index], self.mirrored[index], self.gray[index], self.colour[index])


def look(pixels: Pixels) -> Iterator[Looks]:
    """Describe images, a chunk at a time.

    The bits are signs of 64 coefficients of the discrete cosine transform, so they stay when an image is compressed,
    resized or made brighter, are set in about half of all images, and are nearly independent of each other; to mirror
    an image flips the bits of odd horizontal frequency. The signs of a blank image are noise: its bits are made from
    its colour instead, and equal those of its mirror image.
    """
    for rows in torch.arange(len(pixels)).split(CHUNK) if len(pixels) else ():
        stored = pixels[rows].cpu()
        small = F.interpolate(stored.float(), (GRAY, GRAY), mode="bilinear", antialias=True)
        gray = _luminance(small)[:, 0]
        mean_colour = small.mean((2, 3)).div_(CELL).long()
        blank = (gray.flatten(1).std(1) < BLANK).numpy()
        cells = (mean_colour @ torch.tensor([1 << 10, 1 << 5, 1])).numpy().astype(np.uint64)
        cells *= np.uint64(0x9E3779B97F4A7C15)  # an odd number: different colours get different, distant bits
        waves = _coefficients(gray)
        turned = waves * (1 - 2 * (torch.tensor(HORIZONTAL) % 2))
        yield Looks(
            digest=np.array([_digest(image) for image in stored.numpy()], np.uint64),
            bits=np.where(blank, cells, _packed(waves)),
            mirrored=np.where(blank, cells, _packed(turned)),
            gray=gray.round_().byte(),
            colour=F.avg_pool2d(small, GRAY // COLOUR).round_().byte(),
        )


def look_at_all(pixels: Pixels, progress: Progress) -> Looks:
    """Describe all images."""
    chunks = []
    for chunk in look(pixels):
        chunks.append(chunk)
        progress(min(len(chunks) * CHUNK, len(pixels)), len(pixels))
    if not chunks:
        none = np.empty(0, np.uint64)
        gray, colour = torch.empty(0, GRAY, GRAY), torch.empty(0, 3, COLOUR, COLOUR)
        return Looks(none, none, none, gray.byte(), colour.byte())
    return Looks(
        digest=np.concatenate([c.digest for c in chunks]),
        bits=np.concatenate([c.bits for c in chunks]),
        mirrored=np.concatenate([c.mirrored for c in chunks]),
        gray=torch.cat([c.gray for c in chunks]),
        colour=torch.cat([c.colour for c in chunks]),
    )


def alike(
    a: Looks, i: Int64[np.ndarray, "P"], b: Looks, j: Int64[np.ndarray, "P"], mirrored: bool
) -> Bool[np.ndarray, "P"]:
    """Which of the pairs of image i of one set and image j of another show the same picture; i's perhaps mirrored."""
    pairs = zip(torch.from_numpy(i).split(COMPARED), torch.from_numpy(j).split(COMPARED), strict=True)
    return torch.cat([_alike(a, here, b, there, mirrored) for here, there in pairs]).numpy()


def _alike(a: Looks, i: Int64[Tensor, "P"], b: Looks, j: Int64[Tensor, "P"], mirrored: bool) -> Bool[Tensor, "P"]:
    gray, colour = a.gray[i], a.colour[i].float()
    if mirrored:
        gray, colour = gray.flip(2), colour.flip(3)
    other = b.colour[j].float()
    near = (colour - other).square().mean((1, 2, 3)).sqrt() < COLOURS_APART
    return near & (chroma_apart(colour, other) < CHROMA_APART) & (detail_apart(gray, b.gray[j]) < DETAIL_APART)


def chroma_apart(a: Float[Tensor, "P 3 8 8"], b: Float[Tensor, "P 3 8 8"]) -> Float[Tensor, "P"]:
    """How far apart two pictures' colours are at the place where they differ most, in levels.

    Things of one brightness before one background are told apart by it. Brightness does not count, nor a tint of the
    whole picture; where either is nearly gray, as a gray copy of it is, nothing does.
    """
    first, second = _chroma(a), _chroma(b)
    coloured = torch.minimum(first.abs().amax((1, 2, 3)), second.abs().amax((1, 2, 3))) >= COLOURLESS
    return (first - second).abs().amax((1, 2, 3)) * coloured


def _chroma(colour: Float[Tensor, "P 3 8 8"]) -> Float[Tensor, "P 3 8 8"]:
    """Colour without brightness, about its mean."""
    chroma = colour - _luminance(colour)
    return chroma - chroma.mean((2, 3), keepdim=True)


def _luminance(colour: Float[Tensor, "B 3 R K"]) -> Float[Tensor, "B 1 R K"]:
    return (colour * torch.tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)


def detail_apart(a: UInt8[Tensor, "P G G"], b: UInt8[Tensor, "P G G"]) -> Float[Tensor, "P"]:
    """How far the detail of two gray thumbnails is apart: 0 for copies, about 2 for pictures that share nothing.

    Detail is what differs from the local mean, at unit strength: photographs of different things before one background
    are told apart by it. A copy that is cropped a little has it shifted and stretched a little; what such a shift
    explains to first order does not count, nor what a slight softening explains: a least-squares fit of these
    derivatives of the mean of both, as in the tangent distance of Simard et al. (1993). What is left is squared.
    """
    first, second = _detail(a), _detail(b)
    side = torch.linspace(-1, 1, GRAY)
    across = (first + second) / 2
    slope = torch.tensor([1.0, -8.0, 0.0, 8.0, -1.0]).div_(12).view(1, 1, 1, 5)
    dx = F.conv2d(F.pad(across, (2, 2, 0, 0), mode="replicate"), slope)
    dy = F.conv2d(F.pad(across, (0, 0, 2, 2), mode="replicate"), slope.mT)
    soft = F.avg_pool2d(F.pad(across, (1, 1, 1, 1), mode="replicate"), 3, 1) - across
    moves = torch.cat([dx, dy, side * dx, side[:, None] * dy, soft], 1).flatten(2)  # [P, 5, G * G]
    apart = (second - first).flatten(1)
    steady = 1e-3 * GRAY * GRAY * torch.eye(5)
    fit = torch.linalg.solve(moves @ moves.mT + steady, moves @ apart[:, :, None])
    return (apart - (moves.mT @ fit)[:, :, 0]).square().mean(1)


def _detail(gray: UInt8[Tensor, "P G G"]) -> Float[Tensor, "P 1 G G"]:
    levels, pad = gray[:, None].float(), REACH // 2
    detail = levels - F.avg_pool2d(F.pad(levels, (pad, pad, pad, pad), mode="reflect"), REACH, 1)
    return detail / detail.square().mean((1, 2, 3), keepdim=True).sqrt_().clamp_(min=FAINT)


def _coefficients(gray: Float[Tensor, "B G G"]) -> Float[Tensor, "B 64"]:
    places = (torch.arange(GRAY) + 0.5) / GRAY
    waves = (math.pi * torch.arange(10)[:, None] * places).cos_()
    return (waves @ gray @ waves.mT)[:, VERTICAL, HORIZONTAL]


def _packed(waves: Float[Tensor, "B 64"]) -> UInt64[np.ndarray, "B"]:
    return ((waves > 0).numpy().astype(np.uint64) << np.arange(64, dtype=np.uint64)).sum(1, dtype=np.uint64)


def _digest(image: UInt8[np.ndarray, "3 H W"]) -> int:
    """64 bits of a cryptographic hash: two different images of ten million share it in one of 370 000 such sets."""
    return int.from_bytes(hashlib.blake2b(image.tobytes(), digest_size=8).digest(), "little")
