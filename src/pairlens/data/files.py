"""Which image files lie in a folder, and what their folders call them: listed lazily, without a look at the files.

n files of one part.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pairlens.data.parallel import READERS, TOLD, each
from pairlens.errors import InputError
from pairlens.words import patient

EXTENSIONS = frozenset(
    f".{kind}"
    for kind in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp", "tif", "tiff"),
        *("ppm", "pgm", "pbm", "pnm", "tga", "jp2", "avif"),
    )
)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # would break a line, or steer a terminal

Skipped = tuple[str, str]
"""A file or folder and the reason why it could not be read."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Files:
    """The image files of one part, sorted, and what their folders call them."""

    root: Path
    names: list[str]  # below the root, with forward slashes; bytes that are no UTF-8 as os.fsdecode gives them
    classes: list[str] | None = None  # each file's class; "" where it lies in no class folder
    skipped: tuple[Skipped, ...] = ()  # folders that cannot be listed, files that cannot be read

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: list[int]) -> "Files":
        """Some of the files."""
        classes = self.classes and [self.classes[i] for i in rows]
        return Files(self.root, [self.names[i] for i in rows], classes, self.skipped)

    def stamps(self, say: Say) -> Iterator[tuple[str, int, int]]:
        """Each file's name, bytes and time of modification in ns; zeros for those that are gone."""
        root = os.fspath(self.root)

        def stamp(name: str) -> tuple[str, int, int]:
            try:
                found = os.stat(f"{root}/{name}")
            except OSError:
                return name, 0, 0
            return name, found.st_size, found.st_mtime_ns

        tell = patient(say, lambda done: f"looking at the files' dates in {root}: {done:,} of {len(self):,} so far")
        return each(stamp, self.names, lambda done, total: tell(done), READERS)


def list_files(root: Path, say: Say) -> Files:
    """All image files below a folder, sorted by name; hidden ones and other kinds of files are passed over.

    Links are followed, into every folder once. Folders that may not be listed are noted; a folder that is named like
    an image and holds none, and a link to nothing, count as files, so that reading them names them.

    Raises:
        InputError: there is none, or the folder itself may not be listed.
    """
    closed: list[Skipped] = []
    names = sorted(_telling(walk(root, closed), root, say))
    if not names:
        reason = f"; {printable(closed[0][0])}: {closed[0][1]}" if closed else ""
        raise InputError(f"{root} holds no image files; give a folder with images such as .jpg or .png in it{reason}")
    return Files(root, names, skipped=tuple((printable(name), reason) for name, reason in closed))


def walk(root: Path | str, closed: list[Skipped]) -> Iterator[str]:
    """The image files below a folder as they come; what cannot be listed is added to `closed`."""
    seen: set[str] = set()
    places = [""]  # below the root, each with a slash at its end; the next one last
    while places:
        place = places.pop()
        here = os.path.join(root, place)
        true_place = os.path.realpath(here)
        if true_place in seen:  # a link back to a folder that was visited
            continue
        seen.add(true_place)
        folders, images = [], 0
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if _leads_to(entry, os.DirEntry.is_dir):
                        folders.append(f"{place}{entry.name}/")
                    elif is_image_name(entry.name) and _is_file_or_nothing(entry):
                        images += 1
                        yield place + entry.name
        except OSError as error:
            closed.append((place.rstrip("/") or ".", f"{type(error).__name__}: {error.strerror}"))
        else:
            if not folders and not images and is_image_name(place.rstrip("/")):
                yield place.rstrip("/")
        places += sorted(folders, reverse=True)


def is_image_name(name: str) -> bool:
    """Whether a file of this name should hold an image."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def printable(name: str) -> str:
    """A file name that any terminal, JSON or HTML can hold.

    Bytes that are no UTF-8, ends of lines and other control characters become replacement characters.
    """
    return name if name.isprintable() else CONTROL.sub("\ufffd", os.fsencode(name).decode("utf-8", "replace"))


def _leads_to(entry: os.DirEntry[str], kind: Callable[[os.DirEntry[str]], bool]) -> bool:
    try:
        return kind(entry)
    except OSError:  # a link that cannot be followed
        return False


def _is_file_or_nothing(entry: os.DirEntry[str]) -> bool:
    """False for pipes, sockets and devices, which must not be opened; true for links to nothing."""
    return _leads_to(entry, os.DirEntry.is_file) or not os.path.exists(entry.path)


def _telling(names: Iterator[str], root: Path, say: Say) -> Iterator[str]:
    """The same names; tells now and then how many there are."""
    tell = patient(say, lambda count: f"listing files in {root}: {count:,} images so far")
    for count, name in enumerate(names, 1):
        if count % TOLD == 0:
            tell(count)
        yield name
