"""Lets the tests of the report import `fake_run` and `reader`, which stand beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
