"""The rotation task (LooC, Section 4, Table 1): by which quarter turn is an image turned?

B images of a batch, V views of them (4 each), S pixels of a view's side.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pairlens.evaluate.features import central_crop
from pairlens.evaluate.parts import Part
from pairlens.evaluate.protocol import Sight
from pairlens.evaluate.retrieval import Encode
from pairlens.evaluate.told import Told, tell_class
from pairlens.views.params import ViewParams
from pairlens.views.render import render

TURNS = 4
"""By 0, 90, 180 and 270 degrees, counter-clockwise."""

IMAGES = 5000
"""Training images that are turned to fit the read-out, and test images to test it, at most."""


def tell_rotation(
    encode: Encode, train: Part, test: Part, sight: Sight, *, seed: int, images: int = IMAGES, batch: int = 128
) -> Told:
    """Accuracy of a linear layer on frozen features that tells by which of four quarter turns an image is turned.

    LooC trains it "with randomly rotated" images and says no more. Here each of at most `images` training images,
    chosen by the seed, is shown in all four turns: the classes are balanced, and no luck of the draw is in the result.
    The turns of an image are fitted on or held out together. The test images are turned likewise, so chance is 1/4.
    Images are un-augmented but for the turn, which comes after the crop and resize: nothing at the edges betrays it.

    Args:
        encode: normalised views in, features out: an encoder, or `pooled_pixels`.
        train: images to fit on; labels are not looked at.
        test: images to test on.
        sight: how images are looked at; its `progress` is told of every view.
        seed: chooses the images and those that are held out.
        images: at most, of each part.
        batch: images at a time, each in four turns.

    Raises:
        InputError: the features are not finite.
    """
    features, turns = [], []
    for part in (train, test):
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))
        index = part.index[order[:images]]
        found = [encode(views).float() for views in turned_views(replace(part, index=index), sight, batch)]
        features.append(torch.cat(found))
        turns.append(torch.arange(TURNS).repeat(len(index)))
    generator = torch.Generator().manual_seed(seed)
    return tell_class(features[0], turns[0], features[1], turns[1], classes=TURNS, generator=generator, views=TURNS)


def turned_views(part: Part, sight: Sight, batch: int = 128) -> Iterator[Float[Tensor, "V 3 S S"]]:
    """Every image in its four turns, one behind the other, batch by batch; un-augmented otherwise."""
    for rows in part.index.split(batch):
        yield _turned(part, rows, sight)
        sight.progress(TURNS * len(rows))


def _turned(part: Part, rows: Int64[Tensor, "B"], sight: Sight) -> Float[Tensor, "V 3 S S"]:
    each = rows.repeat_interleave(TURNS)
    params = replace(
        ViewParams.identity(len(each)),
        crop=central_crop(part.images.sizes[each]),
        rotation=torch.arange(TURNS).repeat(len(rows)),
    )
    pixels = part.images.pixels[rows.to(part.images.pixels.device)].to(sight.device).repeat_interleave(TURNS, 0)
    return render(pixels, params, sight.size, sight.mean, sight.std)
