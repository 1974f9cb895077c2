"""FT, Zhu et al., "Improving Contrastive Learning by Visualizing Feature Transformation" (ICCV 2021): its momenta.

The paper trains MoCo (ResNet-18, 100 classes of ImageNet, 200 epochs) with momenta from 1 to .5 and draws what they do
to positive and negative scores over training (Section 3.3, Figures 3 to 5). Here the encoder is small and the training
short. The correspondence:

- MoCo v1 as the paper has it: a linear head, temperature .07, jitter always on, shuffled keys. The queue holds 4096
  keys instead of 65536.
- A momentum m averages over some 1 / (1 - m) steps, whatever their number. The paper's 200 epochs have 100 000 steps; a
  training of a thousand is too short for .999 to follow, so its best momentum lies lower.
- The paper says that .5 and less collapse below random initialisation; there are arms down to 0, where the key branch
  is the query branch of the step before, and an untrained arm to compare with.
"""

from pairlens.studies.arms import Arm, Study

PAPER = {1.0: 31.2, 0.999: 53.1, 0.99: 56.2, 0.9: 46.5, 0.8: 39.3, 0.7: 32.8, 0.6: 21.2}
"""The paper's accuracies by momentum; with .5 and less it has none but that they collapse, below `UNTRAINED`."""

UNTRAINED = 15.9
"""The paper's accuracy of random initialisation."""

MOMENTA = (1.0, 0.999, 0.99, 0.9, 0.8, 0.7, 0.6, 0.5, 0.0)
"""Of the sweep."""

BEST = 0.99
"""The paper's best, which the others are compared with."""


def momentum() -> Study:
    """MoCo's momentum from 1, keys that never change, to 0, keys by the query's own encoder."""
    first = f"m {BEST:g}"
    arms = [
        Arm(f"m {m:g}", "moco_v1", {"momentum": m}, None if m == BEST else first, PAPER.get(m), baselines=m == BEST)
        for m in MOMENTA
    ]
    arms.append(Arm("untrained", "random", {}, first, UNTRAINED))
    return Study(
        "ft.momentum",
        "FT, Section 3.3: the momentum and the scores",
        tuple(arms),
        f"minus {first}",
        "top-1 of a linear read-out, IN-100, ResNet-18, 200 epochs",
        (
            "The paper's inverse U: too high a momentum cannot follow, too low a one makes negative scores volatile, "
            "their variance small, and at .5 and less the training collapses below random initialisation.",
            "Scores and the variance of negative ones are before any transformation, means over the last epoch; with "
            "lower momenta the paper sees higher means and a lower variance.",
        ),
    )
