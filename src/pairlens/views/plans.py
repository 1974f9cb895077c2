"""What is drawn for each view: an augmentation is one view's distribution, a plan draws all views of a step.

B images of the batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.views.crops import CropSampler, random_resized_crop
from pairlens.views.params import ViewParams, fields_of
from pairlens.views.randaugment import GREATEST, draw_operations

Plan = Callable[[Draw], Mapping[str, ViewParams]]
"""Draws the parameters of every view of a step, by the view's name."""

ORDERS = torch.tensor(list(permutations(range(4))))
"""All 24 orders of the four colour adjustments."""

UNIFORMS = 12
"""Uniform numbers that one view takes beside its crop: see `Augmentation.draw`."""


@dataclass(frozen=True)
class Augmentation:
    """The distribution of one view. Strengths are torchvision's ColorJitter's; a probability of 0 switches off.

    Raises:
        InputError: on a probability outside [0, 1], a negative or too great strength, an empty range of sigmas,
            operations that are fewer than none or of a level outside [0, 10], or no stylised copy.
    """

    crop: CropSampler = field(default_factory=random_resized_crop)
    flip: float = 0.5  # probability of mirroring left to right
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)  # brightness, contrast, saturation; hue in turns
    jitter_probability: float = 0.8
    gray: float = 0.2  # probability
    blur: float = 0.0  # probability
    blur_sigma: tuple[float, float] = (0.1, 2.0)  # uniform between these; pixels of the view
    rotation: float = 0.0  # probability of 90, 180 or 270 degrees, all alike
    randaugment: int = 0  # RandAugment: operations a view; 0 is off
    randaugment_magnitude: float = 10.0  # their level, 0 to 10
    texture: float = 0.0  # probability of one of the image's stylised copies in its place
    styles: int = 4  # such copies of each image, each equally often

    def __post_init__(self) -> None:
        for name in ("flip", "jitter_probability", "gray", "blur", "rotation", "texture"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"The probability {name!r} of a view is {getattr(self, name)}; give one from 0 to 1.")
        if len(self.jitter) != 4 or not all(0 <= s < float("inf") for s in self.jitter) or self.jitter[3] > 0.5:
            raise InputError(
                f"The colour jitter is {self.jitter}; give four strengths (brightness, contrast, saturation, hue), "
                "none negative, and hue at most 0.5 turns."
            )
        low, high = self.blur_sigma
        if not 0 < low <= high < float("inf"):
            raise InputError(f"The blur's sigma range is {self.blur_sigma}; give (least, greatest) pixels, both > 0.")
        if self.randaugment < 0 or not 0 <= self.randaugment_magnitude <= GREATEST:
            raise InputError(
                f"RandAugment is {self.randaugment} operations of magnitude {self.randaugment_magnitude}; give a "
                "number of operations that is not negative, and a magnitude from 0 to 10."
            )
        if self.styles < 1:
            raise InputError(f"A view cannot be one of {self.styles} stylised copies; give one copy or more.")

    def draw(self, draw: Draw) -> ViewParams:
        """One view's parameters for each image of the batch, from `draw.views` only.

        The crop is drawn first, then one [B, 12] block of uniform numbers: flip, four factors, order, jittered, gray,
        blurred, sigma, rotated, angle. All are taken whatever their probability, so changing one augmentation leaves
        what is drawn for the others as it was. Operations are drawn then, and textures last, where there are any: so
        they leave the rest of their view as it was, but not the views that are drawn after it.
        """
        batch = len(draw.sizes)
        crop = self.crop(draw)
        uniform = torch.rand(batch, UNIFORMS, generator=draw.views).unbind(1)
        blurred = (uniform[8] < self.blur).float()
        low, high = self.blur_sigma
        operations, magnitudes = draw_operations(batch, self.randaugment, self.randaugment_magnitude, draw.views)
        return ViewParams(
            crop=crop,
            flip=uniform[0] < self.flip,
            factors=self._factors(torch.stack(uniform[1:5], 1)),
            order=ORDERS[(uniform[5] * len(ORDERS)).long()],
            jittered=uniform[6] < self.jitter_probability,
            gray=uniform[7] < self.gray,
            blur=(uniform[9] * (high - low) + low) * blurred,
            rotation=(uniform[10] < self.rotation) * (1 + (uniform[11] * 3).long()),
            texture=self._textures(batch, draw.views),
            operations=operations,
            magnitudes=magnitudes,
        )

    def _textures(self, batch: int, generator: torch.Generator) -> Int64[Tensor, "B"]:
        """Which copy each view is cut from: 1 to `styles`, all alike, or 0, the image itself; drawn if asked for."""
        if not self.texture:
            return torch.zeros(batch, dtype=torch.long)
        textured, which = torch.rand(batch, 2, generator=generator).unbind(1)
        return (textured < self.texture) * (1 + (which * self.styles).long())

    def _factors(self, uniform: Float[Tensor, "B 4"]) -> Float[Tensor, "B 4"]:
        """Factors uniform in [max(0, 1 - strength), 1 + strength]; hue shifts uniform in [-strength, strength]."""
        low = torch.tensor([max(0.0, 1 - s) for s in self.jitter[:3]] + [-self.jitter[3]])
        high = torch.tensor([1 + s for s in self.jitter[:3]] + [self.jitter[3]])
        return torch.lerp(low, high, uniform)


def two_views(query: Augmentation, key: Augmentation | None = None) -> Plan:
    """The plan of two independent views, "query" drawn before "key"; `key` is distributed like `query` by default."""

    def plan(draw: Draw) -> dict[str, ViewParams]:
        return {"query": query.draw(draw), "key": (key or query).draw(draw)}

    return plan


def leave_one_out(plan: Plan, view: Augmentation, designated: Sequence[str]) -> Plan:
    """The views of a plan, and a further key "key_GROUP" for each designated augmentation (LooC, Section 3).

    Each further key copies the query's parameters of its own augmentation and draws all others anew, after the plan's
    own views, which are what they were.

    Args:
        plan: of the query and of the key that shares nothing with it: `two_views`.
        view: the distribution of the further keys.
        designated: augmentations, each as `views.params.fields_of` takes it.

    Raises:
        InputError: there is no such augmentation, or one is named twice.
    """
    _check_designated(designated)

    def extended(draw: Draw) -> dict[str, ViewParams]:
        views = dict(plan(draw))
        return views | {key_of(g): view.draw(draw).with_group(g, views["query"]) for g in designated}

    return extended


def add_one(view: Augmentation, designated: Sequence[str]) -> Plan:
    """A query without the designated augmentations, and a key "key_GROUP" for each that has it alone (LooC, Table E.1).

    What is not designated is drawn for every view as usual (the paper's table says so; its text calls the query
    unaugmented).

    Raises:
        InputError: nothing is designated, there is no such augmentation, or one is named twice.
    """
    if not designated:
        raise InputError("add-one adds one designated augmentation to each key, and there is none; designate some")
    _check_designated(designated)

    def plan(draw: Draw) -> dict[str, ViewParams]:
        neutral = ViewParams.identity(len(draw.sizes))
        views = {"query": view.draw(draw)} | {key_of(g): view.draw(draw) for g in designated}
        for group in designated:
            for name in views.keys() - {key_of(group)}:
                views[name] = views[name].with_group(group, neutral)
        return views

    return plan


def key_of(group: str) -> str:
    """The name of the key view that belongs to a designated augmentation."""
    return f"key_{group}"


def sharing(plan: Plan, groups: Sequence[str]) -> Plan:
    """The same views, but "key" copies the query's parameters of these augmentations (LooC, Table 1: "same").

    Raises:
        InputError: there is no such augmentation, or one is named twice.
    """
    _check_designated(groups)

    def shared(draw: Draw) -> Mapping[str, ViewParams]:
        views = dict(plan(draw))
        for group in groups:
            views["key"] = views["key"].with_group(group, views["query"])
        return views

    return shared


def check_varied(plan: Plan, groups: Sequence[str], size: int) -> None:
    """Refuse to designate an augmentation that both large views of every image have alike.

    Raises:
        InputError: there is no such augmentation, or it is not drawn.
    """
    _check_designated(groups)
    aside = torch.Generator().manual_seed(0)
    views = plan(Draw(torch.zeros(256).long(), torch.full((256, 2), size), 0, 0, aside, aside))
    for group in groups:
        if views["query"].agrees(views["key"], group).all():
            raise InputError(
                f"the augmentation {group!r} is designated, and all views have it alike; make it vary (rotation 0.5, "
                "say) and do not share it, or do not designate it"
            )


def _check_designated(groups: Sequence[str]) -> None:
    taken: dict[str, str] = {}
    for group in groups:
        for name in fields_of(group):
            if name in taken:
                raise InputError(
                    f"the augmentations {taken[name]!r} and {group!r} both contain {name}; name what is apart once each"
                )
            taken[name] = group


def multi_crop(view: Augmentation, local: Augmentation, count: int, size: int | None = None) -> Plan:
    """Two large views, "query" and "key", and `count` small ones, "local_1" and on (SwAV, Section 3.2).

    Args:
        view: distribution of the large views.
        local: distribution of the small ones.
        count: how many small ones.
        size: pixels of a small view's side; None is the large views' size.
    """
    if count < 0 or (size is not None and size < 2):
        raise InputError(f"{count} small views of {size} px cannot be made; give a positive number and size")

    def plan(draw: Draw) -> dict[str, ViewParams]:
        views = {"query": view.draw(draw), "key": view.draw(draw)}
        views |= {f"local_{i + 1}": replace(local.draw(draw), size=size) for i in range(count)}
        return views

    return plan


def without_key(plan: Plan) -> Plan:
    """The same views but for "key"; it is drawn and dropped, so the others are what they are in other methods."""
    return lambda draw: {name: params for name, params in plan(draw).items() if name != "key"}


def view_sizes(plan: Plan, size: int) -> dict[str, int]:
    """The sides of a plan's views by their names, in pixels; `size` of those that do not say theirs.

    The plan is called with a draw of its own, so nothing else is drawn from.
    """
    one, aside = torch.zeros(1, dtype=torch.long), torch.Generator().manual_seed(0)
    views = plan(Draw(one, torch.full((1, 2), size), 0, 0, aside, aside))
    return {name: params.size or size for name, params in views.items()}


def weak_views(scale: tuple[float, float] = (0.08, 1.0)) -> Augmentation:
    """Crop and flip only: what the papers train their linear read-outs with."""
    return Augmentation(crop=random_resized_crop(scale), jitter=(0.0, 0.0, 0.0, 0.0), jitter_probability=0.0, gray=0.0)
