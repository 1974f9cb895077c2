"""What was drawn for one view of each image of a batch: the record that plans make and `render` obeys.

B images of the batch, N operations of RandAugment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from pairlens.errors import InputError

GROUPS: Mapping[str, tuple[str, ...]] = {
    "crop": ("crop",),
    "flip": ("flip",),
    "color": ("factors", "order", "jittered", "gray"),
    "blur": ("blur",),
    "rotation": ("rotation",),
    "texture": ("texture",),
    "randaugment": ("operations", "magnitudes"),
}
"""The augmentations as LooC designates them: fields that are only ever copied together (papers' nouns)."""


def fields_of(group: str) -> tuple[str, ...]:
    """The fields of `ViewParams` that an augmentation consists of.

    Args:
        group: a key of `GROUPS`, a single field, or several joined by "+" ("crop+flip", "factors+order+jittered").

    Raises:
        InputError: there is no such augmentation.
    """
    known = {f.name: (f.name,) for f in fields(ViewParams) if f.name != "size"} | dict(GROUPS)
    parts = group.split("+")
    for part in parts:
        if part not in known:
            raise InputError(
                f"there is no augmentation {part!r}; use one of {', '.join(GROUPS)}, a field of ViewParams, or several "
                "of them joined by +"
            )
    return tuple(dict.fromkeys(name for part in parts for name in known[part]))


@dataclass(frozen=True)
class ViewParams:
    """The drawn parameters of one view of B images; explicit, replayable and storable.

    `render` applies them in this order: crop and resize, flip, rotation, jitter, gray, blur, normalisation; where there
    are operations: jitter, blur, operations, gray (blurring and turning gray commute).
    """

    crop: Float[Tensor, "B 4"]  # left, top, width, height; fractions of the image
    flip: Bool[Tensor, "B"]  # mirrored left to right
    factors: Float[Tensor, "B 4"]  # brightness, contrast and saturation factors (1 = unchanged); hue shift in turns
    order: Integer[Tensor, "B 4"]  # order[b, j]: the column of `factors` that is applied j-th
    jittered: Bool[Tensor, "B"]  # whether the colour jitter is applied at all
    gray: Bool[Tensor, "B"]  # turned gray after the jitter
    blur: Float[Tensor, "B"]  # standard deviation of the Gaussian, pixels of the view; 0 = not blurred
    rotation: Integer[Tensor, "B"]  # quarter turns, counter-clockwise
    texture: Integer[Tensor, "B"]  # index of the pre-made stylised copy; 0 = the image itself
    operations: Integer[Tensor, "B N"]  # RandAugment's, first to last: each an `Operation`; 0 = none
    magnitudes: Float[Tensor, "B N"]  # of the operations, each in its unit (`views.randaugment.RANGES`)
    size: int | None = None  # pixels of the view's side, the same for the whole batch; None: the training's size

    @classmethod
    def identity(cls, batch: int) -> "ViewParams":
        """Parameters under which every view is the whole image, unchanged but for the resize."""
        return cls(
            crop=torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(batch, 1),
            flip=torch.zeros(batch, dtype=torch.bool),
            factors=torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(batch, 1),
            order=torch.arange(4).repeat(batch, 1),
            jittered=torch.zeros(batch, dtype=torch.bool),
            gray=torch.zeros(batch, dtype=torch.bool),
            blur=torch.zeros(batch),
            rotation=torch.zeros(batch, dtype=torch.long),
            texture=torch.zeros(batch, dtype=torch.long),
            operations=torch.zeros(batch, 0, dtype=torch.long),
            magnitudes=torch.zeros(batch, 0),
        )

    def with_group(self, group: str, source: "ViewParams") -> "ViewParams":
        """This view with one augmentation (see `fields_of`) copied from another view (LooC, Section 3)."""
        return replace(self, **{name: getattr(source, name) for name in fields_of(group)})

    def agrees(self, other: "ViewParams", group: str) -> Bool[Tensor, "B"]:
        """Where both views have one augmentation (see `fields_of`) alike, so that nobody could tell them apart by it.

        Factors and their order count only where the jitter is applied.
        """
        alike = torch.ones(len(self), dtype=torch.bool)
        for name in fields_of(group):
            same = (getattr(self, name) == getattr(other, name)).view(len(self), -1).all(1)
            if name in ("factors", "order"):
                same |= ~(self.jittered | other.jittered)
            alike &= same
        return alike

    def to(self, device: torch.device | str) -> "ViewParams":
        """The same parameters on a device."""
        return self._with({k: v.to(device, non_blocking=True) for k, v in self.tensors().items()})

    def rows(self, index: Tensor | slice) -> "ViewParams":
        """The parameters of some of the images."""
        return self._with({k: v[index] for k, v in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """Every drawn field by name, for storing."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "size"}

    def _with(self, tensors: Mapping[str, Tensor]) -> "ViewParams":
        return ViewParams(**tensors, size=self.size)

    def __len__(self) -> int:
        return len(self.flip)
