"""Images of a part as an encoder sees them, upright or in quarter turns, with their features in every space.

N images, or views of them, C features of the encoder, D of a space.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pairlens.evaluate.factors import Factor
from pairlens.evaluate.features import encode, finite
from pairlens.evaluate.parts import Part
from pairlens.evaluate.protocol import Sight
from pairlens.evaluate.rotation import TURNS, turned_views

TURN = "4 rotations"
"""The rotation task's name among what is known of images."""

Features = Mapping[str, Float[Tensor, "_ _"]]
"""Features of the same N images by space, [N, D]; each space has a D of its own."""

Read = Callable[[Float[Tensor, "N C"]], Features]
"""The features of every space from the encoder's."""


@dataclass(frozen=True)
class Seen:
    """Views of a part's images, un-augmented but for a quarter turn, and their features."""

    part: Part
    place: Int64[Tensor, "N"]  # of each view's image in the part
    turn: Int64[Tensor, "N"]  # quarter turns, counter-clockwise
    features: Features

    def __len__(self) -> int:
        return len(self.place)

    def rows(self, index: Int64[Tensor, "N"]) -> "Seen":
        """Some of the views, in this order."""
        features = {space: rows[index.to(rows.device)] for space, rows in self.features.items()}
        return Seen(self.part, self.place[index], self.turn[index], features)


def at_most(part: Part, images: int, seed: int) -> Part:
    """A part, or so many of its images, drawn by the seed, where it has more."""
    if len(part) <= images:
        return part
    chosen = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))[:images]
    return replace(part, index=part.index[chosen])


def see_upright(encoder: nn.Module, read: Read, part: Part, sight: Sight) -> Seen:
    """Every image of a part as it is.

    Raises:
        InputError: features are not finite.
    """
    place = torch.arange(len(part))
    return Seen(part, place, torch.zeros_like(place), read(sight.features(encoder, part)))


def see_turned(encoder: nn.Module, read: Read, part: Part, sight: Sight, *, images: int, seed: int) -> Seen:
    """At most so many images of a part in all four turns, one behind the other: those of `tell_rotation`.

    Raises:
        InputError: features are not finite.
    """
    chosen = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))[:images]
    views = turned_views(replace(part, index=part.index[chosen]), sight)
    features = torch.cat([encode(encoder, some, sight.precision) for some in views])
    place = chosen.repeat_interleave(TURNS)
    return Seen(part, place, torch.arange(TURNS).repeat(len(chosen)), read(finite(features)))


def turned_once(seen: Seen, generator: torch.Generator) -> Seen:
    """Of views in all four turns one of each image, drawn at random."""
    images = len(seen) // TURNS
    return seen.rows(TURNS * torch.arange(images) + torch.randint(TURNS, (images,), generator=generator))


def factor_of(factor: Factor, train: Seen, test: Seen) -> Factor:
    """What is known of the parts' images, for these views of them."""
    return replace(factor, train=factor.train[train.place], test=factor.test[test.place])


def turn_of(train: Seen, test: Seen) -> Factor:
    """The quarter turn of these views."""
    return Factor(TURN, "class", train.turn, test.turn, TURNS)
