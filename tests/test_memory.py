"""Large tensors take large pages, unless the environment says otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
CODE = """
import pairlens, torch
block = torch.ones(1 << 24)
rollup = dict(line.split(":", 1) for line in open("/proc/self/smaps_rollup") if ":" in line)
print(rollup["AnonHugePages"].split()[0])
"""


def large_pages(**environment: str) -> int:
    """Megabytes in large pages in a process that holds a tensor of 64."""
    inherited = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, env=inherited | environment, capture_output=True, text=True, timeout=120, check=True)
    return int(done.stdout) // 1024


@pytest.mark.skipif(
    not PAGES.exists() or "[madvise]" not in PAGES.read_text(), reason="the system gives no large pages on request"
)
def test_large_tensors_take_large_pages_unless_told_not_to() -> None:
    assert large_pages() >= large_pages(THP_MEM_ALLOC_ENABLE="0") + 32
