"""What a run was made with: versions, hardware, and the state of the code around it."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from pairlens.place import Place, find_place
from pairlens.settings import Machine


def apply(place: Place) -> None:
    """Make this process train at a place: its threads, its device, and cuDNN kernels that give the same bits again.

    On a CPU a training then gives the same bits whenever it is run or resumed with the same threads, processor and
    torch. On CUDA it starts from the same bits, but a few of PyTorch's own kernels add up in no fixed order
    (gradients of the ImageNet stem's overlapping pooling, of pooled means and of indexed rows), so that later bits may
    differ from run to run.
    """
    torch.set_num_threads(place.threads)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    if place.device.type == "cuda":
        torch.cuda.set_device(place.device)


def describe(place: Place) -> dict[str, Any]:
    """Versions, hardware and git state, for `run.json` and for benchmarks."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "numpy", "pillow")},
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": place.threads,
        "device": str(place.device),
        "gpu": torch.cuda.get_device_name(place.device) if place.device.type == "cuda" else None,
        "precision": str(place.precision).removeprefix("torch."),
        "native_bf16": find_place(Machine(str(place.device))).precision is torch.bfloat16,
        "compile": place.compile,
        "git": git_state(Path.cwd()),
    }


UNSAID = ("git", "platform", "native_bf16")
"""What a page about a measurement leaves out of that."""


def in_lines(described: Mapping[str, Any]) -> list[str]:
    """What `describe` tells, a line of Markdown for each thing that is known and said."""
    return [f"- {name}: {value}" for name, value in described.items() if name not in UNSAID and value is not None]


def processor() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def git_state(folder: Path) -> str | None:
    """The commit of the repository around a folder, marked where files differ from it; None where there is none."""
    try:
        commit = _git(folder, "rev-parse", "--short", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit} and uncommitted changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=5)
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
