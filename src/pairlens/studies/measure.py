"""Measures one finished run of a study: `python -m pairlens.studies.measure RUN [--baselines]`."""

import argparse
import sys
from pathlib import Path

from pairlens.assess import assess, table
from pairlens.errors import InputError
from pairlens.record.run import Run


def main(argv: list[str] | None = None) -> int:
    """Evaluate a run's encoder, by default without baselines, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--baselines", action="store_true", help="measure raw pixels and the untrained encoder, too")
    arguments = parser.parse_args(argv)
    try:
        print(table(assess(Run.open(arguments.run), baselines=arguments.baselines)))
    except InputError as error:
        print(f"pairlens: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
