"""Stylised copies that somebody has made: a folder of them, found by their names and decoded beside their images.

N images of the set, S copies of each, H pixels of the stored side.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pairlens.data.decode import Unreadable, decode_all
from pairlens.data.files import is_image_name, printable, walk
from pairlens.data.parallel import Progress
from pairlens.errors import InputError

NAMED = 12  # missing copies whose names are told
LONGER = 1.05  # times as long as its image a copy may be, by its sides' ratio, before it is told of


def find_copies(root: Path, names: Sequence[str], count: int) -> list[str]:
    """The files of the copies below `root`, S x N of them: those of the first style for all images, then of the next.

    They lie in `root`/style-1, `root`/style-2 and so on, each under its image's name (`ImageSet.names`, sub-folders
    included) with whatever ending an image can have; with its own where another image's name differs in the ending
    alone.

    Raises:
        InputError: copies are missing.
    """
    found: list[str] = []
    missing: list[str] = []
    stems = Counter(_stem(name) for name in names)
    for style in range(1, count + 1):
        files = _by_name(root / f"style-{style}")
        for name in names:
            file = files.get(name) or (files.get(_stem(name)) if stems[_stem(name)] == 1 else None)
            if file is None:
                missing.append(f"style-{style}/{name}")
            else:
                found.append(f"style-{style}/{file}")
    if missing:
        more = f" and {len(missing) - NAMED:,} more" if len(missing) > NAMED else ""
        raise InputError(
            f"{root} lacks {len(missing):,} of the {count * len(names):,} stylised copies: "
            f"{', '.join(missing[:NAMED])}{more}; make them, or ask for fewer styles"
        )
    return found


def decode_copies(
    root: Path,
    files: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    side: int,
    progress: Progress,
    bent: list[str],
) -> Iterator[UInt8[np.ndarray, "3 H H"]]:
    """Each copy squeezed to the stored side, as its image is.

    Args:
        root: of `find_copies`.
        files: what it gave.
        sizes: height and width of the N images.
        side: H.
        progress: told how many of how many are decoded.
        bent: the files whose ratio of sides is not their image's are added to it: a crop shows another place of them.

    Raises:
        InputError: one cannot be read.
    """
    for row, result in enumerate(decode_all([root / file for file in files], side, progress)):
        if isinstance(result, Unreadable):
            raise InputError(
                f"the stylised copy {printable(files[row])} in {root} cannot be read ({result.reason}); make it anew, "
                "or ask for fewer styles"
            )
        (height, width), (h, w) = result.size, sizes[row % len(sizes)]
        ratio = (width * h) / max(1, height * w)
        if not 1 / LONGER < ratio < LONGER:
            bent.append(printable(files[row]))
        yield result.pixels


def _by_name(folder: Path) -> dict[str, str]:
    """A style's files by their names as an `ImageSet` has them, and without the endings, the first of each."""
    files = sorted(walk(folder, []))  # what cannot be listed holds no copies, and these are told as missing
    stems = {_stem(printable(file)): file for file in reversed(files)}
    return stems | {printable(file): file for file in files}


def _stem(name: str) -> str:
    """A file's name without an image's ending."""
    return os.path.splitext(name)[0] if is_image_name(name) else name
