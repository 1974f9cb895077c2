"""The gallery: actual images of the run, where their crops were taken, and the views that came of them.

B images of a sample, C x H x W pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from pairlens.record.localised import UNREADABLE
from pairlens.record.run import Run
from pairlens.report.html import Html, choice, join, picture, switch, tag, user
from pairlens.report.read import Missing
from pairlens.report.text import count, number, percent
from pairlens.report.theme import VIEWS
from pairlens.views.randaugment import Operation

STEPS = 6  # samples shown, evenly spread, the first and the last among them
IMAGES = 6  # of each
FACTORS = ("brightness", "contrast", "saturation", "hue")
OPERATIONS: Mapping[int, str] = {
    Operation.AUTO_CONTRAST: "contrast stretched",
    Operation.EQUALIZE: "equalized",
    Operation.INVERT: "inverted",
    Operation.POSTERIZE: "posterized to {:.0f} bits",
    Operation.SOLARIZE: "solarized from {:.0f}",
    Operation.SOLARIZE_ADD: "{:+.0f} below 128",
    Operation.SHARPNESS: "sharpness \u00d7{:.2f}",
    Operation.BRIGHTNESS: "brightness \u00d7{:.2f}",
    Operation.CONTRAST: "contrast \u00d7{:.2f}",
    Operation.COLOR: "saturation \u00d7{:.2f}",
    Operation.ROTATE: "rotated {:+.0f}°",
    Operation.SHEAR_X: "shear x {:+.2f}",
    Operation.SHEAR_Y: "shear y {:+.2f}",
    Operation.TRANSLATE_X: "translate x {:+.2f}",
    Operation.TRANSLATE_Y: "translate y {:+.2f}",
}


@dataclass(frozen=True)
class View:
    """One view of one image."""

    name: str
    pixels: UInt8[np.ndarray, "3 S S"]
    params: Mapping[str, Any]  # the fields of `ViewParams` that were recorded, for this image


@dataclass(frozen=True)
class Example:
    """An image and its views."""

    index: int
    pixels: UInt8[np.ndarray, "3 H W"]
    height: int  # of the original, pixels
    width: int
    views: tuple[View, ...]


@dataclass(frozen=True)
class Sample:
    """Images of one step."""

    step: int
    examples: tuple[Example, ...]


def compute(run: Run) -> tuple[Sample, ...] | Missing:
    """Samples spread over the run; a file that is damaged is passed over."""
    files = run.sample_files()
    if not files:
        return Missing("No views have been recorded, so there are none to show.")
    chosen = sorted(set(np.linspace(0, len(files) - 1, min(STEPS, len(files))).round().astype(int).tolist()))
    samples = [s for i in chosen if (s := _sample(files[i], run.info.get("views") or ())) is not None]
    return tuple(samples) or Missing("The recorded views cannot be read: the files in samples/ are damaged.")


def _sample(path: Path, order: Sequence[str]) -> Sample | None:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        names = [k.removeprefix("view.") for k in arrays if k.startswith("view.")]
        names.sort(key=lambda n: (order.index(n) if n in order else len(order), n))
        count = min(IMAGES, len(arrays["images"]))
        examples = tuple(_example(arrays, names, i) for i in range(count))
        return Sample(int(arrays["step"]), examples)
    except UNREADABLE:
        return None


def _example(arrays: Mapping[str, np.ndarray], names: Sequence[str], i: int) -> Example:
    views = []
    for name in names:
        prefix = f"params.{name}."
        params = {k.removeprefix(prefix): v[i].tolist() for k, v in arrays.items() if k.startswith(prefix)}
        views.append(View(name, arrays[f"view.{name}"][i], params))
    height, width = (int(v) for v in arrays["sizes"][i])
    return Example(int(arrays["index"][i]), arrays["images"][i], height, width, tuple(views))


def describe(params: Mapping[str, Any]) -> list[str]:
    """A view's parameters as short phrases, in the order in which they are applied; its texture last."""
    said = []
    if (crop := params.get("crop")) is not None:
        left, top, width, height = crop
        said.append(f"crop {percent(width * height, 0)} at {100 * left:.0f}, {100 * top:.0f}")
    if params.get("flip"):
        said.append("flipped")
    if turns := int(params.get("rotation") or 0):
        said.append(f"rotated {90 * turns}°")
    if params.get("jittered"):
        said += _jitter(params)
    gray = ["gray"] if params.get("gray") else []
    blur = [f"blur \u03c3 {number(sigma, 2)} px"] if (sigma := params.get("blur") or 0) > 0 else []
    operations = params.get("operations") or []
    said += [*blur, *_operations(operations, params["magnitudes"]), *gray] if operations else [*gray, *blur]
    if texture := int(params.get("texture") or 0):
        said.append(f"texture {texture}")
    return said


def _jitter(params: Mapping[str, Any]) -> list[str]:
    factors, order = params["factors"], params["order"]
    steps = [
        f"{FACTORS[i]} {round(factors[i], 2) + 0.0:+.2f} turn"
        if FACTORS[i] == "hue"
        else f"{FACTORS[i]} \u00d7{factors[i]:.2f}"
        for i in order
    ]
    return [step.replace("-", "\u2212") for step in steps]


def _operations(operations: Sequence[int], magnitudes: Sequence[float]) -> list[str]:
    """RandAugment's, without those that were drawn and not applied."""
    said = [OPERATIONS[o].format(m) for o, m in zip(operations, magnitudes, strict=True) if o in OPERATIONS]
    return [step.replace("-", "\u2212") for step in said]


def draw(samples: Sequence[Sample], group: str) -> Html:
    """The samples, one step at a time."""
    last = str(samples[-1].step)
    options = [(str(s.step), f"step {count(s.step)}") for s in samples]
    buttons = switch("Step of the sample", group, options, last) if len(samples) > 1 else None
    shown = [example for s in samples for example in s.examples]
    parts = [choice(group, str(s.step), str(s.step) == last, _grid(s)) for s in samples]
    return join([tag("div", {"class": "toolbar"}, buttons, legend(shown)), *parts, caption(shown)])


def legend(examples: Sequence[Example], *more: Html) -> Html:
    """The strokes of the views' rectangles; all examples have views of the same names."""
    names = [view.name for view in examples[0].views] if examples else []
    keys = [tag("li", {}, tag("span", _stroke(i), ""), user(name)) for i, name in enumerate(names)]
    return tag("ul", {"class": "legend"}, *keys, *more)


def caption(examples: Sequence[Example]) -> Html:
    """How to read what stands below the views."""
    textured = any(view.params.get("texture") for example in examples for view in example.views)
    small = any(_is_small(view, example) for example in examples for view in example.views)
    said = [CAPTION, *([TEXTURE] if textured else []), *([SMALL] if small else [])]
    return tag("p", {"class": "aside"}, " ".join(said))


CAPTION = (
    "Crop: its share of the image's area, and its left and top corner in percent of the image. "
    "Colour changes stand in the order in which they were applied; hue is in turns of the colour wheel."
)
TEXTURE = "Texture: which of the image's stylised copies the view is cut from."
SMALL = "Small views tell the rest of their parameters where the pointer rests on them."


def _mark(place: int) -> tuple[str, str]:
    """Class and colour that tell the view at this place from the others: eight differ, in colour or in dashes."""
    turn, color = divmod(place, len(VIEWS))
    return f"s{(color + turn) % 2}", f"--c:{VIEWS[color]}"


def _stroke(place: int) -> dict[str, str | int | float | bool | None]:
    kind, color = _mark(place)
    return {"class": f"stroke {kind}", "style": color, "aria-hidden": "true"}


def _grid(sample: Sample) -> Html:
    return tag("div", {"class": "gallery"}, *(figure(e) for e in sample.examples))


def figure(example: Example, *over: Html | None) -> Html:
    """An image with its views' rectangles, and with what else is to lie over it; beside it the views."""
    aspect = example.width / max(1, example.height)
    boxes = [_rectangle(v, i) for i, v in enumerate(example.views)]
    original = tag(
        "figure",
        {"class": "original"},
        tag("div", {"class": "framed"}, picture(example.pixels, f"image {example.index}", aspect), *boxes, *over),
        tag("figcaption", {}, f"image {example.index}"),
    )
    views: list[Html] = []
    small: list[Html] = []
    for place, view in enumerate(example.views):
        brief = _is_small(view, example)
        (small if brief else views).append(_view(view, place, example.index, brief=brief))
    row = tag("div", {"class": "small-views"}, *small) if small else None
    return tag("div", {"class": "example"}, original, *views, row)


def _is_small(view: View, example: Example) -> bool:
    """Whether others of the image's views are larger (multi-crop)."""
    return view.pixels.shape[-1] < max(other.pixels.shape[-1] for other in example.views)


def _rectangle(view: View, place: int) -> Html | None:
    crop = view.params.get("crop")
    if crop is None:
        return None
    left, top, width, height = (100 * float(v) for v in crop)
    box = f"left:{left:.2f}%;top:{top:.2f}%;width:{width:.2f}%;height:{height:.2f}%"
    kind, color = _mark(place)
    return tag("span", {"class": f"crop {kind}", "style": f"{box};{color}", "title": f"crop of {view.name}"})


def _view(view: View, place: int, index: int, *, brief: bool) -> Html:
    """A view above its parameters; a brief one stands above its size and crop, and has the others as its title."""
    said = describe(view.params) or ["unchanged"]
    shown = [f"{view.pixels.shape[-1]} px", *said[:1]] if brief else said
    kind, color = _mark(place)
    return tag(
        "figure",
        {"class": f"view {kind}", "style": color, "title": "; ".join(said)},
        picture(view.pixels, f"view {view.name} of image {index}: {'; '.join(said)}"),
        tag("figcaption", {}, tag("b", {}, user(view.name)), tag("ul", {}, *(tag("li", {}, text) for text in shown))),
    )
