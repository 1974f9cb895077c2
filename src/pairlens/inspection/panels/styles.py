"""Textures: how the stylised copies are made, then images beside theirs.

H x W pixels of a thumbnail.
"""

import numpy as np
from jaxtyping import UInt8

from pairlens.inspection.styles import Image, Styled
from pairlens.report.html import Html, join, notice, picture, tag, user
from pairlens.report.text import count, percent, shorten


def draw(styled: Styled) -> Html:
    """What the copies are, and a row for each image."""
    size = f"{styled.bytes / 1e9:.1f} GB" if styled.bytes >= 1e9 else f"{max(1, styled.bytes / 1e6):.0f} MB"
    told = [
        f"{count(styled.count)} stylised {'copies' if styled.count != 1 else 'copy'} of each training image ",
        user(styled.way),
        f", {size} in all; {percent(styled.probability, 0)} of the views are cut from one of them, each equally often.",
    ]
    more = f"Of {count(styled.count)} copies the first {len(styled.images[0].copies)} are shown."
    return join(
        [
            None if styled.neural else notice(STAND_IN),
            tag("p", {}, *told),
            tag("div", {"class": "styled"}, *map(_image, styled.images)),
            tag("p", {"class": "aside"}, more) if styled.count > len(styled.images[0].copies) else None,
        ]
    )


STAND_IN = (
    "These copies stand in for neural style transfer, as LooC has it, and are simpler: `--styled-by` takes a folder of "
    "stylised copies, or the weights of an AdaIN network."
)


def _image(image: Image) -> Html:
    shown = [_picture(image, image.pixels, "as it is")]
    shown += [_picture(image, copy, f"texture {place}") for place, copy in enumerate(image.copies, 1)]
    return tag(
        "article",
        {},
        tag("p", {"class": "minor"}, user(shorten(image.name, 60))),
        tag("div", {"style": f"--columns:{len(shown)}"}, *shown),
    )


def _picture(image: Image, pixels: UInt8[np.ndarray, "3 H W"], said: str) -> Html:
    made = picture(pixels, f"{image.name}, {said}", image.aspect)
    return tag("figure", {}, made, tag("figcaption", {}, said))
