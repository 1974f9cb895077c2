"""Lets the tests of the live page import `fake_run`, which the report's tests make their runs with."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
