"""Checkpoints: all that a training needs to go on bit for bit, in safetensors and JSON.

    step-00000100/weights.safetensors   the method's state: branches, queue, buffers
    step-00000100/state.safetensors     optimiser, generators, the order's place, boxes
    step-00000100/state.json            step, seconds spent, the optimiser's plain numbers

The schedule is a function of the step, and bfloat16 needs no loss scaler: neither has a state.

The newest two are kept, and milestones: a few along the way, so that what a training taught can be looked at over time.
"""

import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pairlens.errors import InputError
from pairlens.record.disk import writing
from pairlens.train import Training

KEPT = 2
FILES = ("weights.safetensors", "state.safetensors", "state.json")


def milestones(t: Training, keep: int) -> frozenset[int]:
    """The steps whose checkpoints are kept for good: the ends of `keep` equal parts of the training."""
    return frozenset(round(t.steps * part / keep) for part in range(1, keep + 1))


def save_checkpoint(folder: Path, t: Training, seconds: float, keep: Collection[int] = ()) -> Path:
    """Write a checkpoint beside the older ones, whole or not at all; drop all but the newest two and those to `keep`.

    A step that is saved already is left as it is: there is no moment without its checkpoint.

    Raises:
        InputError: the disk is full, or the folder may not be written.
    """
    final, partial = folder / f"step-{t.step:08d}", folder / "partial"
    if final.exists():
        return final
    optimizer = t.optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, state in optimizer["state"].items():
        for name, value in state.items():
            (tensors if isinstance(value, Tensor) else numbers)[f"optimizer.{index}.{name}"] = value
    tensors |= {f"order.{name}": value for name, value in t.order.state().items()}
    tensors |= {f"boxes.{name}": value for name, value in (t.boxes.state() if t.boxes else {}).items()}
    tensors |= {"generator.views": t.views.get_state(), "generator.features": t.features.get_state()}
    groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer["param_groups"]]
    state = {"step": t.step, "seconds": seconds, "groups": groups, "numbers": numbers}
    with writing(final):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file(_plain(t.method.state_dict()), partial / "weights.safetensors")
        save_file(_plain(tensors), partial / "state.safetensors")
        (partial / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
        for name in FILES:
            with open(partial / name, "r+b") as file:  # Windows syncs only what is open for writing
                os.fsync(file.fileno())
        partial.rename(final)
        for old in checkpoints(folder)[:-KEPT]:
            if step_of(old) not in keep:
                shutil.rmtree(old)
    return final


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints below a folder, oldest first."""
    return sorted(folder.glob("step-[0-9]*"), key=step_of)


def step_of(path: Path) -> int:
    """The optimiser steps that were done when a checkpoint was written, by its name."""
    return int(path.name.removeprefix("step-"))


def load_checkpoint(path: Path, t: Training) -> float:
    """Put a training where it stood, and return the seconds it had taken.

    Raises:
        InputError: a file is missing, truncated, or of another model.
    """
    weights, tensors = _tensors(path / "weights.safetensors"), _tensors(path / "state.safetensors")
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        step, seconds, numbers, groups = (state[k] for k in ("step", "seconds", "numbers", "groups"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(_damaged(path / "state.json", error)) from error
    try:
        t.method.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"the checkpoint {path} holds another model than run.json describes; restore run.json or start anew"
        ) from error
    try:
        _load_optimizer(t.optimizer, tensors, numbers, groups)
        t.order.load({k.removeprefix("order."): v for k, v in tensors.items() if k.startswith("order.")})
        if t.boxes:
            t.boxes.load({k.removeprefix("boxes."): v for k, v in tensors.items() if k.startswith("boxes.")})
        t.views.set_state(tensors["generator.views"])
        t.features.set_state(tensors["generator.features"])
    except InputError:
        raise
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(_damaged(path / "state.safetensors", error)) from error
    t.step = step
    return seconds


def load_encoder(path: Path, encoder: nn.Module, prefix: str = "") -> None:
    """Load an encoder from `encoder.safetensors`, or from the part of a checkpoint's weights below `prefix`.

    Raises:
        InputError: the file is missing, truncated, or of another encoder.
    """
    try:
        encoder.load_state_dict(weights_below(path, prefix))
    except RuntimeError as error:
        raise InputError(
            f"{path} holds the weights of another encoder than the run's; evaluate the run it is from"
        ) from error


def weights_below(path: Path, prefix: str) -> dict[str, Tensor]:
    """The part of a checkpoint's weights whose names begin with `prefix`, without it; empty where there is none.

    Raises:
        InputError: the file is missing, truncated or damaged.
    """
    return {k.removeprefix(prefix): v for k, v in _tensors(path).items() if k.startswith(prefix)}


def save_encoder(path: Path, encoder: nn.Module, about: dict[str, str] | None = None) -> None:
    """Write an encoder's weights, and what the file says of itself, whole or not at all."""
    partial = path.with_suffix(".partial")
    with writing(path):
        save_file(_plain(encoder.state_dict()), partial, about)
        partial.replace(path)


def _load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], numbers: dict[str, Any], groups: list[dict[str, Any]]
) -> None:
    stored: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **numbers}.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            stored.setdefault(int(index), {})[name] = value
    own = optimizer.state_dict()["param_groups"]
    merged = [{**group, "params": mine["params"]} for group, mine in zip(groups, own, strict=True)]
    optimizer.load_state_dict({"state": stored, "param_groups": merged})


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return (
        f"{path} is missing, truncated or damaged ({type(error).__name__}); delete its folder {path.parent.name} "
        "to go on from the checkpoint before it, or train anew"
    )
