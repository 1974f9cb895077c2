"""The built-in set: real handwritten digits on drawn backgrounds, every factor known, made in seconds from a seed.

B images of one chunk, N of the set, M handwritten originals, P of them in one part, S pixels a side.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from pairlens.data.images import ImageSet, Source
from pairlens.data.textures import TEXTURES, gradients, rgb, textures, weaves
from pairlens.errors import InputError

CHUNK = 500  # images drawn at a time: bounds the memory, and is part of what a seed means
TURN = 20.0  # degrees: digits lean by up to this much either way, so that a 6 never becomes a 9
MILD = 0.04  # amplitude of a texture; at four times as much training learns the texture before the digit


@dataclass(frozen=True)
class Setting:
    """What a setting draws."""

    digit: tuple[float, float]  # least and greatest side of a digit's square, fractions of the image
    size: int  # pixels a side of the image, where nobody says
    least: int  # the fewest at which digits can be told apart
    woven: bool = False  # a busy weave as the ground, not a gradient


LARGE = (20 / 32, 28 / 32)
SETTINGS: Mapping[str, Setting] = {
    "plain": Setting(LARGE, 32, 16),
    "shortcut": Setting(LARGE, 32, 16, woven=True),
    "small": Setting((0.25, 0.45), 64, 32),
}


@dataclass(frozen=True)
class Originals:
    """Handwritten digits, as scanned."""

    ink: Float[Tensor, "M 8 8"]  # 0 paper, 1 ink
    labels: Int64[Tensor, "M"]


def make_scenes(
    setting: str = "plain", size: int | None = None, train: int = 10_000, test: int = 2_000, seed: int = 0
) -> Source:
    """Generate the `scenes` set: scikit-learn's 1 797 handwritten digits, leaning, coloured, on coloured backgrounds.

    Setting "plain" puts the digit in a contrasting colour on a two-colour gradient with a mild texture. Setting
    "shortcut" puts it on a busy weave at full contrast whose colours, directions and scales no two images share: the
    background alone tells the instances apart, and contrastive learning that solves its task that way learns little
    of the digit. Setting "small" is plain but for the digit's size: its square has a quarter to nine twentieths of the
    image's side, so that the median box covers 9 % of the image, where it covers 41 % in the others. There crops can
    miss the digit: of pairs of random crops that take .2 to 1 of the area about 11 % do, and hardly any elsewhere.
    That is what localisation is for, and it is a property of these images.

    From one seed all settings draw the same digits, in the same colours and at the same share of the room they have.
    `size` is in pixels, by default 32, and 64 in the setting "small", whose digits need it.

    Factors (`ImageSet.factors`, [N] each): "class"; "hue" of the digit in turns, independent of the class; "rotation"
    in degrees counter-clockwise, uniform within 20 either way; "texture", an index into `textures.TEXTURES`;
    "original", the row of `load_digits`. Boxes are tight around the visible ink. Every fifth original of a class,
    whatever the seed, belongs to the test set alone. The same arguments give the same bytes.

    Raises:
        InputError: the setting is unknown, a size or count is out of range, or scikit-learn is missing.
    """
    if setting not in SETTINGS:
        raise InputError(f"scenes has no setting {setting!r}; choose one of {', '.join(SETTINGS)}")
    name, drawn = "scenes" if setting == "plain" else f"scenes:{setting}", SETTINGS[setting]
    size = drawn.size if size is None else size
    if not drawn.least <= size <= 512:
        raise InputError(f"{name} cannot be drawn at {size} pixels a side; choose {drawn.least} to 512, such as 64")
    if train < 1 or test < 1:
        raise InputError(f"scenes needs at least one training and one test image, not {train} and {test}")
    originals = _load_originals()
    held_out = _every_fifth(originals.labels)
    parts = {}
    for part, count, chosen, stream in (("train", train, ~held_out, 0), ("test", test, held_out, 1)):
        generator = torch.Generator().manual_seed(2 * seed + stream)
        pool = chosen.nonzero()[:, 0]
        parts[part] = _draw_set(part, count, originals, pool, setting=drawn, size=size, generator=generator)
    return Source(name, parts["train"], parts["test"])


def _load_originals() -> Originals:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InputError(
            'scenes takes its digits from scikit-learn, which is missing; run: pip install "pairlens[scenes]"'
        ) from error
    digits = load_digits()
    return Originals(torch.from_numpy(digits.images).float() / 16, torch.from_numpy(digits.target).long())


def _every_fifth(labels: Int64[Tensor, "M"]) -> Tensor:
    """True for every fifth original of each class."""
    of_class = F.one_hot(labels)
    rank = of_class.cumsum(0)[torch.arange(len(labels)), labels] - 1
    return rank % 5 == 4


def _draw_set(
    name: str,
    count: int,
    originals: Originals,
    pool: Int64[Tensor, "P"],
    *,
    setting: Setting,
    size: int,
    generator: torch.Generator,
) -> ImageSet:
    """One part of the set; goes round all originals of the pool before using one again."""
    rounds = [pool[torch.randperm(len(pool), generator=generator)] for _ in range(math.ceil(count / len(pool)))]
    original = torch.cat(rounds)[:count]
    # Grounds have a generator of their own, so that all settings draw the same digits.
    grounds = torch.Generator().manual_seed(generator.initial_seed() + (1 << 32))
    drawn = [_draw_chunk(setting, size, originals.ink[rows], generator, grounds) for rows in original.split(CHUNK)]
    pixels, boxes, factors = zip(*drawn, strict=True)
    labels = originals.labels[original]
    known = {"class": labels, "original": original}
    known |= {key: torch.cat([f[key] for f in factors]) for key in factors[0]}
    return ImageSet(
        pixels=torch.cat(pixels),
        sizes=torch.full((count, 2), size),
        names=[f"{name}/{i:05d}" for i in range(count)],
        labels=labels,
        classes=tuple(str(digit) for digit in range(10)),
        factors=known,
        boxes=torch.cat(boxes),
    )


def _draw_chunk(
    setting: Setting, size: int, ink: Float[Tensor, "B 8 8"], generator: torch.Generator, grounds: torch.Generator
) -> tuple[UInt8[Tensor, "B 3 S S"], Float[Tensor, "B 4"], Mapping[str, Tensor]]:
    """Pixels, boxes and drawn factors of some images."""
    batch = len(ink)
    uniform = torch.rand(9, batch, generator=generator)
    least, greatest = setting.digit
    side = least + (greatest - least) * uniform[0]
    rotation = (2 * uniform[1] - 1) * TURN
    hue = uniform[4]
    light = uniform[5] < 0.5  # a light digit on dark ground, or the reverse
    kind = (uniform[6] * len(TEXTURES)).long()
    alpha = _place(ink, size, side, rotation, 2 * uniform[2:4].T - 1)

    if setting.woven:
        value = torch.where(light, 1.0, 0.25)
        ground = weaves(size, batch, grounds) + MILD * textures(kind, size, grounds)
        halo = F.max_pool2d(alpha, 3, stride=1, padding=1)  # a thin outline keeps the digit legible
        ground = torch.lerp(ground, torch.where(light, 0.0, 1.0)[:, None, None, None], halo)
    else:
        value = torch.where(light, 0.8 + 0.2 * uniform[7], 0.1 + 0.25 * uniform[7])
        ground = gradients(size, light, grounds) + MILD * textures(kind, size, grounds)
    colour = rgb(hue, 0.55 + 0.45 * uniform[8], value)
    image = torch.lerp(ground.clamp(0, 1), colour[:, :, None, None], alpha)
    pixels = image.mul(255).round().to(torch.uint8)
    return pixels, _boxes(alpha[:, 0] > 0.2), {"hue": hue, "rotation": rotation, "texture": kind}


def _place(
    ink: Float[Tensor, "B 8 8"],
    size: int,
    side: Float[Tensor, "B"],
    degrees: Float[Tensor, "B"],
    offset: Float[Tensor, "B 2"],
) -> Float[Tensor, "B 1 S S"]:
    """Each digit's opacity over the image: enlarged by bicubic interpolation, turned and moved in one resampling.

    `offset` in [-1, 1] is a fraction of the room (x, y) that the square leaves before it is turned.
    """
    angle = degrees.deg2rad()
    cos, sin = angle.cos(), angle.sin()
    x, y = (offset * (1 - side)[:, None]).T
    rows = (
        torch.stack([cos, -sin, sin * y - cos * x], 1) / side[:, None],
        torch.stack([sin, cos, -sin * x - cos * y], 1) / side[:, None],
    )
    grid = F.affine_grid(torch.stack(rows, 1), [len(ink), 1, size, size], align_corners=False)
    value = F.grid_sample(ink[:, None], grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    return ((value - 0.25) / 0.35).clamp_(0, 1)


def _boxes(visible: Tensor) -> Float[Tensor, "B 4"]:
    """The tight box around the True pixels of each [S, S] mask: left, top, right, bottom as fractions."""
    size = visible.shape[-1]
    columns, rows = visible.any(1).int(), visible.any(2).int()
    first = [axis.argmax(1) for axis in (columns, rows)]
    last = [size - axis.flip(1).argmax(1) for axis in (columns, rows)]
    return torch.stack([*first, *last], 1).float() / size
