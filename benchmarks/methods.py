"""Every method with and without feature transformation (FT), on CIFAR-10 with a small encoder and one budget.

    pairlens data cifar10 data
    python benchmarks/methods.py data/cifar-10-batches-bin --jobs 2 --threads 1 --output benchmarks/methods.md

Called again, the command resumes what was interrupted and skips what is finished. Nothing was tuned for any method:
each has its recipe's own numbers, FT the paper's.
"""

import sys
from pathlib import Path

from pairlens.studies.arms import Arm, Flags, Study
from pairlens.study_command import run_script

BOTH: Flags = {"extrapolate": 2.0, "interpolate": 1.6}
POSITIVES: Flags = {"extrapolate": 2.0}  # of methods that compare with no negatives
WHOLE: Flags = {"splits": 1}  # normalise the whole batch together, as on one device

METHODS: tuple[tuple[str, str, Flags, Flags | None, tuple[float, float] | None], ...] = (
    # name, recipe, flags, flags of FT, FT's figures without and with it (Table 7, IN-100)
    ("InstDisc", "instdisc", {}, BOTH, None),
    ("MoCo v1", "moco_v1", WHOLE, BOTH, (71.10, 76.87)),
    ("MoCo v2", "moco_v2", WHOLE, BOTH, (75.61, 78.33)),
    ("SimCLR", "simclr", {}, BOTH, (74.32, 78.25)),
    ("InfoMin", "infomin", WHOLE, BOTH, (81.9, 83.2)),
    ("BYOL", "byol", {}, POSITIVES, None),
    ("SimSiam", "simsiam", {}, POSITIVES, (77.1, 77.8)),
    ("SwAV", "swav", {}, POSITIVES, (82.1, 83.2)),  # 83.2 is the paper's "both"; see the notes
    ("MoCHi", "mochi", WHOLE, None, None),
    ("Un-Mix", "unmix", WHOLE, None, None),
    ("supervised", "supervised", {}, None, None),
)

NOTES = (
    "FT extrapolates positives with alpha 2.0 and interpolates negatives with alpha 1.6, the paper's best; BYOL, "
    "SimSiam and SwAV have no negatives to mix, and their transformed positives are brought back to unit length.",
    "The paper's figures are of both transformations together, but SimSiam's, which is of the positives alone. It has "
    "no such figure for SwAV, nor says which negatives are mixed there.",
    "The paper trains ResNet-50 for 200 epochs. In a short training of a small encoder positives are still hard, and "
    "making them harder costs: a difference below zero is a finding, not a mistake of the table.",
    "The methods with --splits 1 normalise their whole batch together, as on one device.",
    "Epochs are equal, not minutes: methods differ in what they encode for an image. SwAV is without multi-crop.",
    "Supervised training sees the labels; it is a mark, not a contestant. Untrained is the encoder as it was drawn.",
)


def arms() -> tuple[Arm, ...]:
    """An arm for each method, one more with FT where that applies, compared with the plain one, and random weights."""
    made = []
    for name, recipe, flags, transform, paper in METHODS:
        made.append(Arm(name, recipe, flags, None, paper and paper[0]))
        if transform is not None:
            made.append(Arm(f"{name} + FT", recipe, {**flags, **transform}, name, paper and paper[1]))
    return (*made, Arm("untrained", "random", baselines=True))


STUDY = Study(
    name="methods",
    title="With and without feature transformation",
    arms=arms(),
    difference="FT minus plain",
    paper="FT, top-1 of a linear read-out, IN-100, ResNet-50, 200 epochs",
    notes=NOTES,
)

if __name__ == "__main__":
    sys.exit(
        run_script(
            STUDY,
            description=__doc__,
            title="All methods on CIFAR-10, with and without feature transformation",
            script="benchmarks/methods.py",
            epochs=10,
            folder=Path("runs/benchmark-methods"),
        )
    )
