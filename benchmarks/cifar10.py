"""MoCo v2 and SimCLR on real CIFAR-10: kNN and linear accuracy beside raw pixels and the random encoder.

    pairlens data cifar10 data
    python benchmarks/cifar10.py data/cifar-10-batches-bin [--jobs 2] [--output benchmarks/cifar10.md]

Every run is a `pairlens train`, evaluated; called again, the command resumes what was interrupted and skips what is
finished. With `--jobs 2` two runs share a two-core machine, one thread each.
"""

import sys
from pathlib import Path

from pairlens.studies.arms import Arm, Study
from pairlens.study_command import run_script

STUDY = Study(
    name="cifar10",
    title="Accuracy",
    arms=(
        Arm("SimCLR", "simclr", reference="untrained encoder"),
        Arm("MoCo v2", "moco_v2", {"splits": 1}, reference="untrained encoder"),
        Arm("untrained encoder", "random", baselines=True),
    ),
    difference="minus untrained",
    notes=("MoCo v2 is trained with --splits 1: its whole batch is normalised together.",),
)

if __name__ == "__main__":
    sys.exit(
        run_script(
            STUDY,
            description=__doc__,
            title="CIFAR-10 from scratch on a small machine",
            script="benchmarks/cifar10.py",
            epochs=16,
            folder=Path("runs/benchmark-cifar10"),
        )
    )
