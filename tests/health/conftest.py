"""Lets these tests import `made`, which stands beside them, and the report's `fake_run`."""

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "report")]
