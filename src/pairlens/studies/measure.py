"""Measures one finished run of a study: `python -m pairlens.studies.measure RUN [--baselines] [--probes NAME...]`."""

import argparse
import sys
from pathlib import Path

from pairlens.assess import assess, table
from pairlens.errors import InputError
from pairlens.kept import PROBES, kept_table, measure_kept
from pairlens.record.run import Run
from pairlens.studies.stages import missing


def main(argv: list[str] | None = None) -> int:
    """Measure what is missing of a run's encoder, by default without baselines, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--baselines", action="store_true", help="measure raw pixels and the untrained encoder, too")
    parser.add_argument("--probes", nargs="+", choices=PROBES, default=[], help="what is kept")
    arguments = parser.parse_args(argv)
    try:
        run = Run.open(arguments.run)
        left = missing(run, arguments.baselines, arguments.probes)
        if "accuracy" in left:
            print(table(assess(run, baselines=arguments.baselines)))
        if probes := tuple(name for name in PROBES if name in left):
            print(kept_table(measure_kept(run, probes=probes, baselines=arguments.baselines)))
    except InputError as error:
        print(f"pairlens: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
