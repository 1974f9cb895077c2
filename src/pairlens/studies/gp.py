"""GP, "Towards Good Practices in Self-supervised Representation Learning" (2020): its tables and Figure 4 in miniature.

The paper trains ResNet-50 on ImageNet (N = 1.28 million images, batches of 256) for 100 epochs, and 200 where the
number of negatives K varies. Here all arms have a small encoder and one budget. The correspondence, with CIFAR-10's
N = 50 000 in mind:

- K: 32 and 4096 stand for 512 and 65536. Their ratio, 128, is the paper's, and each is 1.6 times the share of the set
  that the paper's is (.064 % and 8.2 % of N, against .04 % and 5.1 %).
- The head's hidden layer has 512 units, four times the encoder's features (the paper: 2048, as many as features); the
  narrow one has a sixteenth, 32, as the paper's 128 is of 2048.
- Blur: recipes leave it out at 32 px, but the paper's MoCo v2 has it, and one arm is without; so it is on in all others
  (probability .5, sigma .1 to 2 px of the view, which is much at 32 px).
- Temperature, momentum and optimiser are the recipe's, which suit short trainings on small sets.
- Normalisation takes the batch whole (`splits` 1), as on one device.
"""

from pairlens.studies.arms import Arm, Flags, Study

SMALL, LARGE = 32, 4096
"""Numbers of negatives that stand for the paper's 512 and 65536."""

MOCO: Flags = {"splits": 1, "blur": 0.5}
"""What every MoCo arm has beside its recipe."""

Variants = dict[str, tuple[Flags, tuple[float, float]]]
"""Labels, flags, and two figures of the paper."""


def _jitter(strength: float) -> Flags:
    """SimCLR's colour jitter of a strength (Chen et al. 2020, Appendix A)."""
    return {"jitter": (0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength)}


CROPS: Variants = {
    "crop .2 to 1 (baseline)": ({"crop": (0.2, 1.0)}, (64.4, 75.5)),
    "crop .2 to .5 (medium)": ({"crop": (0.2, 0.5)}, (63.7, 74.8)),
    "crop .02 to .1 (extreme)": ({"crop": (0.02, 0.1)}, (47.1, 52.0)),
}
"""Shares of the image's area; the paper's accuracies of MoCo v2 and of supervised training (Table 2 a)."""

JITTERS: Variants = {
    "jitter 1/8": (_jitter(1 / 8), (63.1, 75.8)),
    "jitter 1/4": (_jitter(1 / 4), (63.9, 75.7)),
    "jitter 1/2": (_jitter(1 / 2), (64.2, 75.6)),
    "jitter 1": (_jitter(1.0), (64.3, 74.6)),
}
"""Strengths of the colour jitter; the paper's accuracies of both (Table 2 b)."""

COUNTS = (32, 256, 1024, 4096)
"""Numbers of negatives of the sweep (Figure 4)."""

BATCHES = (16, 128, 512)
"""SimCLR's, whose 2B - 2 negatives are 30, 254 and 1022: near the first three of `COUNTS`."""

ACCURACY = "top-1 of a linear read-out, ImageNet, ResNet-50"


def table1() -> Study:
    """Projection heads: the MLP, one linear layer, a fixed random MLP, a deeper one and a narrower one."""
    whole = "MoCo v2"
    variants: dict[str, tuple[Flags, float]] = {
        whole: ({}, 64.4),
        "(a) no MLP head: one linear layer": ({"head": "linear"}, 59.2),
        "(b) fixed random MLP head": ({"fixed_head": True}, 62.9),
        "(c) one more hidden layer": ({"layers": 3}, 63.9),
        "(d) narrow hidden layer": ({"hidden": 32}, 62.2),
    }
    arms = [
        _moco(label, LARGE, flags, None if label == whole else whole, paper)
        for label, (flags, paper) in variants.items()
    ]
    return Study(
        "gp.table1",
        "GP, Table 1: the projection head",
        tuple(arms),
        "minus MoCo v2",
        f"{ACCURACY}, 100 epochs",
        (
            "K 4096 stands for the paper's 65536, hidden layers of 512 and 32 for 2048 and 128.",
            "(a) has one linear layer, as in MoCo v1: the embedding needs its 128 dimensions.",
            "(b) stays as it was drawn, uniformly, in both branches.",
        ),
    )


def table3() -> Study:
    """Good practices with few and with many negatives: without the MLP head, blur, cosine schedule, or momentum."""
    variants: Variants = {
        "MoCo v2": ({}, (67.3, 67.5)),
        "(a) no MLP head": ({"head": "linear"}, (61.7, 63.6)),
        "(b) no blur": ({"blur": 0.0}, (65.5, 66.4)),
        "(c) no cosine schedule": ({"schedule": "steps"}, (67.2, 67.3)),
        "(d) momentum .5": ({"momentum": 0.5}, (59.8, 64.5)),
    }
    arms = []
    for place, count in enumerate((SMALL, LARGE)):
        for label, (flags, papers) in variants.items():
            reference = None if not flags else f"MoCo v2, K {count}"
            arms.append(_moco(f"{label}, K {count}", count, flags, reference, papers[place]))
    return Study(
        "gp.table3",
        "GP, Table 3: good practices and the number of negatives",
        tuple(arms),
        "minus MoCo v2 of the same K",
        f"{ACCURACY}, 200 epochs, K 512 and 65536",
        (
            f"K {SMALL} and {LARGE} stand for the paper's 512 and 65536: the same ratio, and within a factor 1.6 the "
            "same shares of the training set, where that is CIFAR-10.",
            "(c) has MoCo v1's schedule: a tenth of the rate after 60 and after 80 % of the training.",
            "Blur of up to 2 px is strong on 32 px; recipes leave it out there, and it is on here because the paper's "
            "baseline has it.",
        ),
    )


def table2() -> Study:
    """Strength of crops and of colour jitter, for MoCo v2 and for supervised training."""
    methods: tuple[tuple[str, str, Flags], ...] = (
        ("MoCo v2", "moco_v2", {**MOCO, "negatives": LARGE}),
        ("supervised", "supervised", {"blur": 0.5}),
    )
    arms = []
    for place, (name, recipe, flags) in enumerate(methods):
        for variants in (CROPS, JITTERS):
            first = f"{name}, {next(iter(variants))}"
            for variant, (varied, papers) in variants.items():
                label = f"{name}, {variant}"
                reference = None if label == first else first
                arms.append(Arm(label, recipe, {**flags, **varied}, reference, papers[place]))
    return Study(
        "gp.table2",
        "GP, Table 2: augmentation strength, MoCo v2 and supervised",
        tuple(arms),
        "minus the first of its group",
        f"{ACCURACY}, 100 epochs; supervised: its own accuracy",
        (
            "Jitter of strength s is (.8 s, .8 s, .8 s, .2 s), as in SimCLR; groups are crops and jitters of a method.",
            "A crop of .02 to .1 of a 32 px image is 5 to 10 px wide.",
        ),
    )


def figure4() -> Study:
    """Number of negatives: InstDisc, MoCo v1, MoCo v2, the same with hard negatives, and SimCLR by its batch."""
    sweeps: dict[str, tuple[str, Flags]] = {
        "InstDisc": ("instdisc", {}),
        "MoCo v1": ("moco_v1", {"splits": 1}),
        "MoCo v2": ("moco_v2", MOCO),
        "MoCo v2, hard negatives": ("moco_v2", {**MOCO, "select": "skewed"}),
    }
    arms = []
    for name, (recipe, flags) in sweeps.items():
        last = f"{name}, K {COUNTS[-1]}"
        for count in COUNTS:
            label = f"{name}, K {count}"
            arms.append(Arm(label, recipe, {**flags, "negatives": count}, None if label == last else last))
    last = f"SimCLR, batch {BATCHES[-1]}"
    for batch in BATCHES:
        label = f"SimCLR, batch {batch}"
        arms.append(Arm(label, "simclr", {"batch": batch}, None if label == last else last))
    return Study(
        "gp.figure4",
        "GP, Figure 4: the number of negatives, and harder ones",
        tuple(arms),
        "minus the largest of its method",
        None,
        (
            "The paper draws this figure without numbers: with fewer negatives InstDisc and MoCo v1 lose accuracy, "
            "SimCLR and MoCo v2 hardly do, and harder negatives change nothing for MoCo v2 (ImageNet, K 512 to 65536).",
            "SimCLR's negatives are its batch, 2B - 2; a larger batch takes fewer steps in the same epochs, at a rate "
            "in proportion.",
            "Hard negatives: as many as there are, drawn by rank from a skew-normal (shape 4, scale K / 3).",
        ),
    )


def _moco(label: str, count: int, flags: Flags, reference: str | None, paper: float) -> Arm:
    """MoCo v2 with K negatives and some flags of its own."""
    return Arm(label, "moco_v2", {**MOCO, "negatives": count, **flags}, reference, paper)
