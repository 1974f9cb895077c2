"""The machine that a training runs on: device, precision and threads, chosen where the user did not."""

import os
from dataclasses import dataclass

import torch

from pairlens.errors import InputError
from pairlens.settings import Machine


@dataclass(frozen=True)
class Place:
    """The machine as it was found."""

    device: torch.device
    precision: torch.dtype
    threads: int
    compile: bool


def find_place(machine: Machine) -> Place:
    """Choose device, precision and threads where the user did not.

    Raises:
        InputError: the device is not there, or the threads are not positive.
    """
    if machine.threads is not None and machine.threads < 1:
        raise InputError(f"the threads must be positive, not {machine.threads}; leave the flag out to use all cores")
    name = machine.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"there is no device {name!r} on this machine; use cpu, or cuda where there is a GPU"
        ) from error
    precision = {"bf16": torch.bfloat16, "fp32": torch.float32, None: None}[machine.precision]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Place(device, precision or _native_precision(device), machine.threads or cores, machine.compile)


def _native_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies in it, float32 elsewhere."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32
