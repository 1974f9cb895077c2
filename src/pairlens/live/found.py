"""Which run folders lie below a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

DEPTH = 12  # folders below each other; deeper ones are nobody's runs


def find_runs(root: Path) -> list[Path]:
    """The run folders at or below `root`, in the order of their paths; what lies inside a run is not looked at.

    Links to folders are followed, each real folder once. Folders that may not be read are passed over.
    """
    return sorted(_below(str(root), set(), DEPTH))


def _below(folder: str, seen: set[tuple[int, int]], depth: int) -> Iterator[Path]:
    try:
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in seen:
            return
        seen.add((about.st_dev, about.st_ino))
        if os.path.isfile(os.path.join(folder, "run.json")):
            yield Path(folder)
            return
        with os.scandir(folder) as entries:
            inside = [e.path for e in entries if not e.name.startswith(".") and _is_folder(e)]
    except OSError:
        return
    for path in inside if depth else ():
        yield from _below(path, seen, depth - 1)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
