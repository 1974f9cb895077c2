"""Pictures with something drawn over them: heat, boxes, crops.

A picture's pixels are embedded once, by `source`, and shown wherever a `still` or a `cut` stands inside that element.
Rectangles are fractions of the image. h x w cells of a map.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.colors
import torch
import torch.nn.functional as F
from jaxtyping import Float, Num, UInt8

from pairlens.report.html import Html, data_uri, is_small, tag

COLORS = tuple(plotly.colors.sequential.Inferno)
"""Of heat, from none to most: perceptually even, dark to bright, and apart for every kind of colour vision."""

SIDE = 48  # pixels of an embedded map
FLATTEST, TALLEST = 2.5, 0.4  # width over height of what is shown: slivers are squeezed
PIXELATED: Mapping[bool, str] = {True: " pixelated", False: ""}


def source(pixels: UInt8[np.ndarray, "3 H W"], name: str = "--i") -> str:
    """The style of an element inside which this picture is shown."""
    return f"{name}:url({data_uri(pixels)})"


def still(
    pixels: UInt8[np.ndarray, "3 H W"], sizes: Sequence[int] | Num[np.ndarray, "2"], alt: str, *over: Html | None
) -> Html:
    """The picture of the surrounding `source`, in the shape of its original of height and width `sizes`."""
    height, width = (max(1.0, float(side)) for side in sizes)
    aspect = min(FLATTEST, max(TALLEST, width / height))
    attributes = {"class": f"still{PIXELATED[is_small(pixels)]}", "style": f"aspect-ratio:{aspect:.4f}"}
    return tag("div", attributes | {"role": "img", "aria-label": alt}, *over)


def cut(pixels: UInt8[np.ndarray, "3 H W"], crop: Sequence[float], style: str, kind: str, alt: str) -> Html:
    """What a crop (left, top, width, height) takes of the surrounding picture, squeezed to a square."""
    left, top, width, height = crop
    place = (100 * start / (1 - extent) if extent < 1 else 0.0 for start, extent in ((left, width), (top, height)))
    size = f"background-size:{100 / width:.2f}% {100 / height:.2f}%"
    position = "background-position:" + " ".join(f"{p:.2f}%" for p in place)
    attributes = {"class": f"still cut {kind}{PIXELATED[is_small(pixels)]}", "style": f"{size};{position};{style}"}
    return tag("div", attributes | {"role": "img", "aria-label": alt})


def heat(values: Float[np.ndarray, "h w"]) -> Html:
    """A map in [0, 1] as a translucent layer over a still; enlarged as boxes are found in it."""
    given = torch.from_numpy(np.nan_to_num(np.asarray(values, np.float32)))
    large = F.interpolate(given[None, None], (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
    return tag("div", {"class": "heat", "style": f"background-image:url({data_uri(_colored(large.numpy()))})"})


def box(rectangle: Num[np.ndarray, "4"]) -> Html:
    """The outline of a box: left, top, right, bottom."""
    left, top, right, bottom = (float(v) for v in np.clip(rectangle, 0, 1))
    return outline((left, top, right - left, bottom - top), "box")


def outline(rectangle: Sequence[float], kind: str, color: str = "") -> Html:
    """A rectangle (left, top, width, height) over a still."""
    left, top, width, height = (100 * v for v in rectangle)
    place = f"left:{left:.2f}%;top:{top:.2f}%;width:{width:.2f}%;height:{height:.2f}%"
    return tag("span", {"class": kind, "style": f"{place};{color}"})


def ramp(low: str, high: str) -> Html:
    """The colours of heat between the words for both ends, for a legend."""
    colors = tag("span", {"class": "ramp", "style": f"background:linear-gradient(90deg,{','.join(COLORS)})"})
    return tag("li", {"class": "minor"}, low, colors, high)


def _colored(values: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "3 h w"]:
    stops = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in COLORS], np.float64)
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(values, at, channel) for channel in stops.T]).round().astype(np.uint8)
