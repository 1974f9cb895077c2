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
- The rotation task is the paper's Task A: a linear layer on frozen features tells by which quarter turn an image is
  turned (`pairlens.evaluate.rotation`); Task B, the images' classes, is told of images that are not turned.
"""

from pairlens.kept import Probe
from pairlens.report.kept import TURNS
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

NOTES = (
    "4 rotations: which of four quarter turns, told of images in all four of them; guessing is right in 25 %. The "
    "read-out is fitted on up to 5,000 training images in all four turns; the paper's on randomly rotated ones.",
    "An arm of LooC has a key view more for each designated augmentation. LooC++ has three times the features of the "
    "others, from which more can be told.",
    "Untrained is the encoder as it was drawn: what is told from it, no training had to teach.",
    "The paper has no rotation accuracy of LooC + colour + rotation, nor of LooC++.",
)

SCENES = (
    "A quarter turn of scenes is no lean: digits lean by at most 20 degrees either way, and are then turned. 100 % is "
    "out of reach: 0, 1 and 8 look much the same upside down, and a 6 may be a 9. Upright is easily told from "
    "lying, for digits are taller than wide: what invariance to rotation costs is mostly which end is up.",
    "Class, texture: accuracy (textures are five and faint). Hue of the digit: R2 of its cosine and sine. Lean in "
    "degrees, position of the digit (centre, x and y) and size (root of its box's area): R2 of ridge regression, 0 "
    "where nothing is told. Class is told as the column linear tells it.",
    "Colour jitter and gray are in all arms' views, so hue is what MoCo is taught to ignore; LooC + colour + rotation "
    "has a space that keeps it.",
)


def table1() -> Study:
    """What adding rotation costs MoCo and LooC, on any images."""
    return _study("looc.table1", "moco_v2", "looc", {"splits": 1}, ("rotation",), NOTES)


def scenes() -> Study:
    """The same with the numbers for the built-in scenes, whose factors are known."""
    return _study("looc.scenes", "scenes.moco_v2", "scenes.looc", {}, ("rotation", "factors"), NOTES + SCENES)


def _study(name: str, moco: str, looc: str, shared: Flags, probes: tuple[Probe, ...], notes: tuple[str, ...]) -> Study:
    first = "MoCo + rotation"
    variants: dict[str, tuple[str, Flags]] = {
        "MoCo": (moco, {}),
        first: (moco, ROTATION),
        "MoCo + the same rotation": (moco, {**ROTATION, "share": ("rotation",)}),
        "LooC + rotation": (looc, {**ROTATION, "designated": ("rotation",)}),
        "LooC + colour + rotation": (looc, BOTH),
        "LooC++": (looc, {**BOTH, "last_stage": "own"}),
    }
    arms = []
    for label, (recipe, flags) in variants.items():
        classes, turns = PAPER.get(label, (None, None))
        reference = None if label == first else first
        kept = {} if turns is None else {TURNS: turns}
        arms.append(Arm(label, recipe, {**shared, **flags}, reference, classes, paper_kept=kept))
    arms.append(Arm("untrained", "random", baselines=True))
    return Study(
        name,
        "LooC, Tables 1 and 2: what adding rotation costs",
        tuple(arms),
        f"minus {first}",
        "top-1 of a linear read-out, IN-100, ResNet-50, 500 epochs",
        notes,
        probes,
    )
