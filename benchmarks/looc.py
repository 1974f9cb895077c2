"""LooC beside MoCo: what adding rotation costs and what it leaves, with a small encoder and one budget.

    python benchmarks/looc.py scenes --jobs 2 --threads 1 --epochs 20 --output benchmarks/looc-scenes.md
    python benchmarks/looc.py data/cifar-10-batches-bin --jobs 2 --threads 1 --output benchmarks/looc-cifar10.md

Called again, the command resumes what was interrupted and skips what is finished.
"""

import sys
from pathlib import Path

from pairlens.studies.looc import scenes, table1
from pairlens.study_command import run_script

if __name__ == "__main__":
    on_scenes = any(word.partition(":")[0] == "scenes" for word in sys.argv[1:])
    sys.exit(
        run_script(
            scenes() if on_scenes else table1(),
            description=__doc__,
            title="What adding rotation costs: LooC beside MoCo",
            script="benchmarks/looc.py",
            epochs=4,
            folder=Path("runs/benchmark-looc") / ("scenes" if on_scenes else "images"),
        )
    )
