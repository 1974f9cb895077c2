"""CCrop, Peng et al., "Crafting Better Contrastive Views" (CVPR 2022): Tables 1 and 3 and Figure 6 in miniature.

The paper trains ResNet-18 for 500 epochs on CIFAR-10 (Table 1) and ResNet-50 for 100 epochs on 200 classes of ImageNet
(Section 4.4), and compares linear read-outs. Here all arms have a small encoder and one budget. The correspondence:

- Boxes are found anew after every fifth of a training, as the paper does after 100, 200, 300 and 400 of 500 epochs, so
  that a training needs two epochs at least, and five to see its boxes change more than once.
- alpha is the paper's for small images, .1; k is the paper's, .1. A small encoder is active nearly everywhere in views
  of 32 px, where its last stage has 4 x 4 positions: with k = .1 most boxes are nearly the whole image, and little is
  localised. So there are arms whose k is chosen by coverage, so that half of the boxes cover half of their image or
  more. The table tells the k that came of it and what the boxes cover.
- Methods have their general recipes, which suit short trainings; the paper's own settings for small images are the
  recipes cifar10.moco_v2 and so on.
- Normalisation takes the batch whole (`splits` 1), as on one device.
"""

from pairlens.studies.arms import Arm, Flags, Study

LOCALISED: Flags = {"boxes": "found", "alpha": 1.0, "box_threshold": 0.1}
"""The first half alone: centres anywhere in the box (Eq. 3)."""

SUPPRESSED: Flags = {"boxes": "whole", "alpha": 0.1}
"""The second half alone: centres kept from the middle of the image."""

BOTH: Flags = {**LOCALISED, "alpha": 0.1}
"""ContrastiveCrop at the paper's k and alpha for small images (Eq. 4)."""

BY_COVERAGE: Flags = {"boxes": "found", "alpha": 0.1, "box_coverage": 0.5}
"""ContrastiveCrop whose k is chosen: half of the boxes cover half of their image or more."""

CENTRAL: Flags = {"boxes": "central", "alpha": 0.1}
"""One box for all images, the central half of each side (the authors' code)."""

METHODS: tuple[tuple[str, str, Flags, tuple[float, float]], ...] = (
    # name, recipe, flags, the paper's accuracies of random and of contrastive crops on CIFAR-10 (Table 1)
    ("MoCo", "moco_v2", {"splits": 1}, (86.73, 88.78)),
    ("SimCLR", "simclr", {}, (89.63, 90.08)),
    ("BYOL", "byol", {}, (91.96, 92.54)),
    ("SimSiam", "simsiam", {}, (90.96, 91.48)),
)

PLAIN: Flags = {"flip": 0.0, "jitter_probability": 0.0, "gray": 0.0, "blur": 0.0}
"""No transformation beside the crop."""

FLIP: Flags = {"flip": 0.5}
COLOUR: Flags = {"jitter_probability": 0.8, "gray": 0.2}
BLUR: Flags = {"blur": 0.5}

TRANSFORMATIONS: tuple[tuple[str, Flags, tuple[float, float]], ...] = (
    # beside the crop, flags, the paper's accuracies of random and of contrastive crops (Table 3)
    ("flip, colour and blur", {**FLIP, **COLOUR, **BLUR}, (63.4, 64.6)),
    ("flip", {**PLAIN, **FLIP}, (50.4, 50.9)),
    ("colour", {**PLAIN, **COLOUR}, (60.6, 61.4)),
    ("blur", {**PLAIN, **BLUR}, (44.9, 45.2)),
    ("nothing else", PLAIN, (45.5, 45.9)),
)

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.5)
"""k of the sweep (Figure 6 a)."""

ALPHAS = (0.1, 0.3, 0.6, 1.0, 2.0)
"""alpha of the sweep (Figure 6 b); 1 is uniform."""

SCORES = (
    "The positive score is the similarity of positive pairs (Figure 5): the paper's grows a little with localisation, "
    "and falls below random crop's with both halves."
)
NEARLY_WHOLE = (
    "A small encoder is active nearly everywhere: where the boxes cover nearly the whole image, little is localised, "
    "and what is left is the centre suppression."
)
UNDRAWN = "The paper draws this figure without numbers (ResNet-50, 200 classes of ImageNet, 100 epochs)"


def table1() -> Study:
    """Random and contrastive crops for MoCo, SimCLR, BYOL and SimSiam."""
    arms = []
    for name, recipe, flags, (random, contrastive) in METHODS:
        first = f"{name}, random crop"
        arms += [
            Arm(first, recipe, flags, None, random),
            Arm(f"{name}, ContrastiveCrop", recipe, {**flags, **BOTH}, first, contrastive),
            Arm(f"{name}, ContrastiveCrop, k by coverage", recipe, {**flags, **BY_COVERAGE}, first),
        ]
    return Study(
        "ccrop.table1",
        "CCrop, Table 1: random and contrastive crops",
        tuple(arms),
        "minus random crop",
        "top-1 of a linear read-out, CIFAR-10, ResNet-18, 500 epochs",
        (
            "ContrastiveCrop: k .1 and alpha .1 as in the paper, boxes found anew after every fifth of the training.",
            "k by coverage: half of the boxes cover half of their image or more, so that something is localised.",
            NEARLY_WHOLE,
            SCORES,
        ),
    )


def parts() -> Study:
    """Each half of ContrastiveCrop alone, both, and the fixed central box, for MoCo v2."""
    first = "random crop"
    variants: dict[str, Flags] = {
        "localised only": LOCALISED,
        "localised only, k by coverage": {**BY_COVERAGE, "alpha": 1.0},
        "centre suppression only": SUPPRESSED,
        "both: ContrastiveCrop": BOTH,
        "both, k by coverage": BY_COVERAGE,
        "central box": CENTRAL,
    }
    return Study(
        "ccrop.parts",
        "CCrop, Section 4.4: the halves of ContrastiveCrop",
        (_moco(first, {}), *(_moco(label, flags, first) for label, flags in variants.items())),
        "minus random crop",
        None,
        (
            f"{UNDRAWN}: localisation alone is slightly better than random crop for k from .05 to .2, and centre "
            "suppression adds to it.",
            "The central box is of the authors' code: no search and no warm-up, the central half of each side.",
            SCORES,
        ),
    )


def k() -> Study:
    """The threshold of heat, with localisation alone, for MoCo v2."""
    first = "random crop"
    sweep = (_moco(f"localised only, k {k:g}", {**LOCALISED, "box_threshold": k}, first) for k in THRESHOLDS)
    return Study(
        "ccrop.k",
        "CCrop, Figure 6 (a): the threshold k",
        (_moco(first, {}), *sweep),
        "minus random crop",
        None,
        (
            f"{UNDRAWN}: slightly above random crop for k from .05 to .2, and quickly worse above .2, where small "
            "boxes leave the views little variance.",
            NEARLY_WHOLE,
        ),
    )


def alpha() -> Study:
    """How strongly centres are kept from the middle of the box, at k = .1, for MoCo v2."""
    first = "alpha 1, uniform: localised only"
    labels = {alpha: first if alpha == 1 else f"alpha {alpha:g}" for alpha in ALPHAS}
    sweep = (
        _moco(label, {**LOCALISED, "alpha": alpha}, None if label == first else first)
        for alpha, label in labels.items()
    )
    return Study(
        "ccrop.alpha",
        "CCrop, Figure 6 (b): alpha of the centre suppression",
        (_moco("random crop", {}), *sweep),
        "minus alpha 1",
        None,
        (
            f"{UNDRAWN}: every alpha below 1 is better than 1, and alphas above 1 are worse.",
            "k is .1 in all, as there.",
            SCORES,
        ),
    )


def views() -> Study:
    """Random and contrastive crops beside all, one, or none of the other transformations, for MoCo v2."""
    arms = []
    for name, flags, (random, contrastive) in TRANSFORMATIONS:
        first = f"random crop, {name}"
        arms += [
            _moco(first, flags, None, random),
            _moco(f"ContrastiveCrop, {name}", {**flags, **BOTH}, first, contrastive),
        ]
    return Study(
        "ccrop.views",
        "CCrop, Table 3: contrastive crops and the other transformations",
        tuple(arms),
        "minus random crop",
        "top-1 of a linear read-out, 200 classes of ImageNet, ResNet-50, 100 epochs",
        (
            "Colour is the jitter with probability .8 and gray with .2. Blur (probability .5, up to 2 px) is strong on "
            "32 px; recipes leave it out there, and it is here because the paper's MoCo v2 has it.",
            "alpha is .1, that of small images; the paper has .6 for ImageNet.",
            NEARLY_WHOLE,
        ),
    )


def _moco(label: str, flags: Flags, reference: str | None = None, paper: float | None = None) -> Arm:
    """MoCo v2 with some flags of its own."""
    return Arm(label, "moco_v2", {"splits": 1, **flags}, reference, paper)
