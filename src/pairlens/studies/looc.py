"""LooC, Xiao et al., "What Should Not Be Contrastive in Contrastive Learning" (ICLR 2021): Tables 1 and 2 in miniature.

The paper trains ResNet-50 on 100 classes of ImageNet for 500 epochs. Here all arms have a small encoder and one budget.
The correspondence:

- Colour (jitter and gray) is in every arm, as in the paper's MoCo; "+ rotation" adds turns by 90, 180 or 270 degrees
  with probability .5 to the views.
- An arm of LooC has one space more for each designated augmentation, and one key view more. All arms see as many
  queries, so LooC sees more views of each image.
- LooC++ has the encoder's last stage once for each space, and all of them are read out together: its features are
  three times as many.
- Normalisation takes the batch whole (`splits` 1), as on one device.
"""

from pairlens.studies.arms import Arm, Flags, Study

ROTATION: Flags = {"rotation": 0.5}
BOTH: Flags = {**ROTATION, "designated": ("color", "rotation")}

PAPER: dict[str, tuple[float, float]] = {
    "MoCo": (81.0, 61.1),
    "MoCo + rotation": (79.4, 43.3),
    "MoCo + the same rotation": (78.1, 45.5),
    "LooC + rotation": (80.2, 65.2),
}
"""Accuracies of IN-100's classes and of four rotations (Table 1)."""


def table1() -> Study:
    """What adding rotation costs MoCo and LooC, on any images."""
    return _study("looc.table1", "moco_v2", "looc", {"splits": 1})


def scenes() -> Study:
    """The same with the numbers for the built-in scenes, whose factors are known."""
    return _study("looc.scenes", "scenes.moco_v2", "scenes.looc", {})


def _study(name: str, moco: str, looc: str, shared: Flags) -> Study:
    first = "MoCo + rotation"
    variants: dict[str, tuple[str, Flags]] = {
        "MoCo": (moco, {}),
        first: (moco, ROTATION),
        "MoCo + the same rotation": (moco, {**ROTATION, "share": ("rotation",)}),
        "LooC + rotation": (looc, {**ROTATION, "designated": ("rotation",)}),
        "LooC + colour + rotation": (looc, BOTH),
        "LooC++": (looc, {**BOTH, "last_stage": "own"}),
    }
    arms = [
        Arm(label, recipe, {**shared, **flags}, None if label == first else first, PAPER.get(label, (None, None))[0])
        for label, (recipe, flags) in variants.items()
    ]
    return Study(
        name,
        "LooC, Tables 1 and 2: what adding rotation costs",
        tuple(arms),
        "minus MoCo + rotation",
        "top-1 of a linear read-out, IN-100, ResNet-50, 500 epochs",
        (),
    )
