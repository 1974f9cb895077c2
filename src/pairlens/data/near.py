"""Finds all near pairs of 64-bit codes, without comparing each with each: multi-index hashing.

N codes of the index, Q codes that ask, P pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Int64, UInt64

WIDTHS = (22, 21, 21)  # bits of the three bands that a code is cut into
TURNED = 2  # up to how many bits of a band are turned to ask for it
CERTAIN = len(WIDTHS) * (TURNED + 1) - 1
"""Two codes that differ in up to so many bits differ in up to `TURNED` of them in some band, and so are found."""
WITHIN = 10  # bits; the farthest pairs that are given, those beyond `CERTAIN` where a band happens to show them
CROWD = 256  # codes that are looked at where more share a band
BUDGET = 2000  # comparisons for each code that asks, on average
PIECE = 1 << 18  # pairs that are compared at a time

Pairs = tuple[Int64[np.ndarray, "P"], Int64[np.ndarray, "P"]]


@dataclass
class Search:
    """Near pairs between codes that ask and those of an index; `complete` tells afterwards whether none was left out.

    Time and memory grow with the codes, whatever they are. Where more than `CROWD` codes share a band, as many of
    them are looked at: those next to the asking code in the order of its remaining bits. The search ends early when
    it has made `BUDGET` comparisons for each code.
    """

    index: UInt64[np.ndarray, "N"]
    asking: UInt64[np.ndarray, "Q"]
    complete: bool = True

    def __iter__(self) -> Iterator[Pairs]:
        """Positions of pairs, (in `asking`, in `index`), a piece at a time, the nearest bands first; some twice."""
        left = BUDGET * len(self.asking)
        bands = [_Band(self.index, self.asking, band) for band in range(len(WIDTHS))] if len(self.index) else []
        for turned in range(TURNED + 1):
            for band in bands:
                for mask in band.masks(turned):
                    first, count, crowded = band.bucket(mask)
                    self.complete &= not crowded.any()
                    for rows in _pieces(count):
                        if left < 0:
                            self.complete = False
                            return
                        asking, place = _spread(rows, first[rows], count[rows])
                        left -= len(asking)
                        found = band.order[place]
                        near = bits_apart(self.asking[asking], self.index[found]) <= WITHIN
                        yield asking[near], found[near]


class _Band:
    """The codes of an index in the order of one band, and where each value of the band begins."""

    def __init__(self, index: UInt64[np.ndarray, "N"], asking: UInt64[np.ndarray, "Q"], band: int) -> None:
        self.width, turn = WIDTHS[band], sum(WIDTHS[:band])
        keys = _rotated(index, turn)
        self.order = np.argsort(keys, kind="stable")
        self._keys, self._asking = keys[self.order], _rotated(asking, turn)
        self._low = np.uint64(64 - self.width)
        self._value = (self._asking >> self._low).astype(np.int64)
        sizes = np.bincount((keys >> self._low).astype(np.int64), minlength=1 << self.width)
        self._begin = np.concatenate([[0], sizes.cumsum()])

    def masks(self, turned: int) -> Iterator[int]:
        """Every choice of so many bits of the band."""
        return (sum(1 << bit for bit in bits) for bits in combinations(range(self.width), turned))

    def bucket(self, mask: int) -> tuple[Int64[np.ndarray, "Q"], Int64[np.ndarray, "Q"], Bool[np.ndarray, "Q"]]:
        """Where in `order` each asking code, the mask's bits turned, is to look, at how many, and if they are more."""
        value = self._value ^ mask
        first = self._begin[value]
        count = self._begin[value + 1] - first
        crowded = count > CROWD
        if crowded.any():
            key = self._asking[crowded] ^ (np.uint64(mask) << self._low)
            place = np.searchsorted(self._keys, key) - CROWD // 2
            end = first[crowded] + count[crowded]
            first[crowded] = place.clip(first[crowded], end - CROWD)
        return first, count.clip(max=CROWD), crowded


def bits_apart(a: UInt64[np.ndarray, "P"], b: UInt64[np.ndarray, "P"]) -> Int64[np.ndarray, "P"]:
    """In how many bits each pair of codes differs (the Hamming distance)."""
    x = a ^ b  # bits are added up in fields of 2, 4 and 8, and the bytes by a product
    x = x - (x >> np.uint64(1) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + (x >> np.uint64(2) & np.uint64(0x3333333333333333))
    x = x + (x >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101) >> np.uint64(56)).astype(np.int64)


def _rotated(codes: UInt64[np.ndarray, "N"], bits: int) -> UInt64[np.ndarray, "N"]:
    return codes << np.uint64(bits) | codes >> np.uint64(64 - bits) if bits else codes


def _pieces(count: Int64[np.ndarray, "Q"]) -> Iterator[Int64[np.ndarray, "q"]]:
    """The codes that have something to look at, about `PIECE` pairs at a time."""
    rows = count.nonzero()[0]
    if len(rows) == 0:
        return iter(())
    piece = (count[rows].cumsum() - 1) // PIECE
    return iter(np.split(rows, np.diff(piece).nonzero()[0] + 1))


def _spread(
    rows: Int64[np.ndarray, "q"], first: Int64[np.ndarray, "q"], count: Int64[np.ndarray, "q"]
) -> tuple[Int64[np.ndarray, "P"], Int64[np.ndarray, "P"]]:
    """Each row as often as it counts, and beside it first, first + 1, ..."""
    ends = count.cumsum()
    return rows.repeat(count), np.arange(ends[-1]) + (first - ends + count).repeat(count)
