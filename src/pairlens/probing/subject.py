"""What is probed: encoders, and the images that they are shown.

N images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.data.styles import mix_spectra
from pairlens.errors import InputError
from pairlens.evaluate.parts import Part, whole
from pairlens.opened import Opened, open_encoder
from pairlens.place import Place
from pairlens.shown import copied, open_images, short_names

MOST, LEAST = 1600, 320
"""Images that are looked at by default: so many of up to 64 px on a CPU, as few of large ones, which take longer."""

FEWEST = 40
"""Fewer images tell nothing."""

STYLES, AMONG, CHUNK = 3, 64, 64
"""Textures that all images are given, images of which the most textured ones give them, and images at a time."""

Say = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Subject:
    """Encoders and images, ready to be probed."""

    encoders: tuple[Opened, ...]
    names: tuple[str, ...]  # the encoders', short and different
    source: str
    which: str  # of its images: "test" or "training"
    part: Part  # in random order
    seed: int


def open_subject(
    what: Sequence[str],
    place: Place,
    *,
    on: str | None = None,
    encoder: str | None = None,
    stem: str | None = None,
    size: int | None = None,
    pretrained: bool = True,
    images: int | None = None,
    seed: int = 0,
    say: Say = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> Subject:
    """Open encoders, then images: test images where there are any, since training images may be known by heart.

    Args:
        what: encoders, each as `open_encoder` takes it; so are `encoder`, `stem`, `size` and `pretrained`.
        place: where to compute.
        on: where the images come from; None takes the runs' own.
        encoder: see above.
        stem: see above.
        size: see above.
        pretrained: see above.
        images: how many to look at; None chooses by the views' size and the machine.
        seed: chooses the images.
        say: told in a sentence what was found.
        progress: told how many files of how many are decoded.

    Raises:
        InputError: something cannot be opened, no images are named, or they are too few.
    """
    if images is not None and images < FEWEST:
        raise InputError(f"{images} images are too few to tell anything by; look at {FEWEST} at least")
    made = [open_encoder(name, place, encoder=encoder, stem=stem, size=size, pretrained=pretrained) for name in what]
    if not made:
        raise InputError("there is no encoder to probe; name a run's folder, timm/NAME, torchvision/NAME or a file")
    largest = max(one.size for one in made)
    source = open_images(made, on, seed=seed, say=say, progress=progress)
    which, shown = "training", source.train
    if source.test is not None and len(source.test) >= FEWEST:
        which, shown = "test", source.test
    if len(shown) < FEWEST:
        raise InputError(f"{source.name} holds {len(shown)} images, and the probe needs {FEWEST} at least")
    count = min(len(shown), images or usual_images(largest, place))
    if images is not None and images > len(shown):
        say(f"{source.name} holds {len(shown):,} {which} images; all of them are looked at")
    index = torch.randperm(len(shown), generator=torch.Generator().manual_seed(seed))[:count]
    part = whole(with_textures(copied(shown, index, progress)))
    return Subject(tuple(made), tuple(short_names(what)), source.name, which, part, seed)


def usual_images(size: int, place: Place) -> int:
    """As many images as take a minute or a few: all of them on a GPU, fewer of large views on a CPU."""
    return MOST if place.device.type == "cuda" else max(LEAST, min(MOST, round(MOST * (64 / size) ** 2)))


def with_textures(images: ImageSet) -> ImageSet:
    """The images with copies in the textures of three of them, the same three for all; not neural (`mix_spectra`).

    Copies that a training makes take the texture of another picture for each image, of which nobody could tell the
    number; these are apart from them. They are the three images of most texture: they vary most about their blurred
    selves.
    """
    pixels = images.pixels
    assert isinstance(pixels, Tensor)
    few = pixels[:AMONG].float().mean(1, keepdim=True)
    fine = (few - F.avg_pool2d(few, 5, 1, 2, count_include_pad=False)).flatten(1).std(1)
    styles = fine.topk(min(STYLES, len(few))).indices
    copies = [
        torch.cat([mix_spectra(some, pixels[style].expand_as(some)) for some in pixels.split(CHUNK)])
        for style in styles.tolist()
    ]
    return replace(images, styles=torch.stack(copies))
