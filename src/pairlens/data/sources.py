"""Opens what the user names: the built-in set, a file of arrays, a known set's folder, or a folder of images."""

from collections.abc import Callable
from pathlib import Path

from pairlens.data.cifar import find_cifar
from pairlens.data.images import Source
from pairlens.data.scenes import make_scenes
from pairlens.errors import InputError


def open_source(
    spec: str,
    *,
    labels: bool = False,
    test: str | None = None,
    size: int | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Source:
    """Open a source of images by what is found there.

    Raises:
        InputError: there is nothing that can be read, or an argument is out of range.
    """
    if size is not None and size < 1:
        raise InputError(f"the size must be positive, not {size}; leave it out to have it chosen")
    head, _, setting = spec.partition(":")
    if head == "scenes" and not Path(spec).exists():
        return make_scenes(setting or "plain", size or 32, seed=seed)
    folder = Path(spec)
    if not folder.exists():
        raise InputError(f"there is no folder {spec}; give a folder of images, an array file, or scenes")
    cifar = find_cifar(folder)
    if cifar is not None:
        return cifar(spec)
    raise InputError(f"{spec} holds no image set that is known")
