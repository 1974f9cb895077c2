"""Starting weights: from a file of torchvision, timm or a contrastive framework, or from an earlier run.

M and N tokens, D features.
"""

import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pairlens.errors import InputError

PRETRAINED = "pretrained"
"""Names a library's own weights, which need no file."""
CLASSIFIERS = ("fc.", "classifier.", "head.", "heads.")
"""What the names of a classifier's tensors begin with: an encoder has none, so a file's are left out."""
WRAPPERS = (
    *("module.", "encoder_q.", "base_encoder.", "backbone.", "encoder.", "model."),
    *("online.encoder.", "network."),  # pairlens's own: of a checkpoint, and of another library's network
)
"""What distributed training and frameworks put before an encoder's names, alone or one after the other."""
PREFIXES = ("", *WRAPPERS, *(outer + inner for outer in WRAPPERS for inner in WRAPPERS))
POSITIONS = ("pos_embed", "pos_embedding")
"""What the names of position embeddings end with; they are resized where the file's are for other image sizes."""
FIRST_TOKENS = (1, 0, 2, 5)
"""Tokens that may stand before the patches' (class, distillation, registers), likeliest first."""


def load_weights(network: nn.Module, source: str | Path, name: str) -> None:
    """Load a file's weights, or those of a finished run's folder, into an encoder that is called `name`, in place.

    Raises:
        InputError: there is no such file, it cannot be read, or its tensors are not this encoder's.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        path = path / "encoder.safetensors"
        if not path.exists():
            raise InputError(
                f"{path.parent} holds no encoder.safetensors; give the folder of a finished run, or a file"
            )
    load_tensors(network, read_tensors(path), str(path), name)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a .pth or .pt file of which nothing but tensors is ever opened.

    Raises:
        InputError: the file is missing, damaged, or holds other things.
    """
    if not path.is_file():
        raise InputError(
            f"there are no weights {path}; give {PRETRAINED!r}, a .safetensors, .pth or .pt file, or the folder of a "
            "finished run"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors or is damaged, and opening it could run code; save the network's "
            "state_dict() alone, or as .safetensors"
        ) from error
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read as weights ({type(error).__name__}); fetch or save it anew") from error
    for wrapper in ("state_dict", "model"):  # beside an epoch and an optimiser
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise InputError(f"{path} holds no tensors with names; save the network's state_dict()")
    return tensors


def load_tensors(network: nn.Module, tensors: Mapping[str, Tensor], origin: str, name: str) -> None:
    """Load tensors by name, in place; every one must fit, but for the classifier's, which an encoder does not have.

    Prefixes that training leaves before the names are taken off where that makes names agree, and what stands under
    another prefix (a momentum encoder, a queue) is left out. Position embeddings are resized to the network's grid.
    Counters of batches, which batch normalisation does without, may be missing.

    Raises:
        InputError: tensors are missing, unknown, or of another shape.
    """
    given, wrong = _compared(network, tensors)
    if wrong:
        count = "1 tensor differs" if len(wrong) == 1 else f"{len(wrong)} tensors differ"
        shown = ", ".join(wrong[:3]) + (", ..." if len(wrong) > 3 else "")
        stem = (
            " and stem (torchvision's ResNets: imagenet)"
            if any(w.startswith("conv1.weight has") for w in wrong)
            else ""
        )
        raise InputError(
            f"the weights {origin} do not fit the encoder {name}: {count} ({shown}); give the "
            f"encoder{stem} that they are from"
        )
    network.load_state_dict(given, strict=False)


def fits(network: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Whether `load_tensors` would take these tensors for this network."""
    return not _compared(network, tensors)[1]


def _compared(network: nn.Module, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors by the network's own names, and what is wrong with them in words."""
    wanted = network.state_dict()
    prefix = max(PREFIXES, key=lambda p: sum(p + key in tensors for key in wanted))
    given = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    for key in wanted.keys() & given.keys():
        if key.endswith(POSITIONS):
            given[key] = resize_positions(given[key], wanted[key].shape[-2])
    wrong = [f"{k} is missing" for k in wanted if k not in given and not k.endswith("num_batches_tracked")]
    wrong += [
        f"{k} has the shape {list(given[k].shape)} instead of {list(wanted[k].shape)}"
        for k in wanted
        if k in given and given[k].shape != wanted[k].shape
    ]
    wrong += [f"{k} is unknown" for k in given if k not in wanted and not k.startswith(CLASSIFIERS)]
    return {key: given[key] for key in wanted if key in given}, wrong


def resize_positions(positions: Float[Tensor, "1 M D"], count: int) -> Float[Tensor, "1 N D"]:
    """Position embeddings of a square grid for a grid of `count` tokens, by cubic interpolation (as ViT, Section 3.2).

    Tokens before the patches' are kept. What is no such grid comes back as it was.
    """
    for first in FIRST_TOKENS:
        old, new = math.isqrt(max(0, positions.shape[1] - first)), math.isqrt(max(0, count - first))
        if old != new and min(old, new) > 0 and (old**2, new**2) == (positions.shape[1] - first, count - first):
            grid = positions[:, first:].mT.unflatten(2, (old, old)).float()
            grid = F.interpolate(grid, (new, new), mode="bicubic", align_corners=False, antialias=True)
            return torch.cat([positions[:, :first], grid.flatten(2).mT.to(positions.dtype)], 1)
    return positions
