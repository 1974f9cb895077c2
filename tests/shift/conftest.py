"""Lets the tests read pages as those of the report do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))  # for `reader`
