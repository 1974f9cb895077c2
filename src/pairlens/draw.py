"""What one training step may draw from: which images, when, and the generators of its randomness.

B images of the batch.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int64, Integer
from torch import Tensor


@dataclass(frozen=True)
class Draw:
    """One step's call for randomness, handed to the plan, to the method and to the feature transforms.

    Nothing in pairlens draws from a global generator: whatever is random takes it from here, so a checkpoint that
    stores these generators continues a run bit for bit.
    """

    index: Int64[Tensor, "B"]  # which images of the set, on the CPU
    sizes: Integer[Tensor, "B 2"]  # height and width of the original images, pixels, on the CPU
    epoch: int  # epochs finished before this step
    step: int  # optimiser steps finished before this step
    views: torch.Generator  # CPU; drawn from by plans only
    features: torch.Generator  # on the training device; drawn from by methods and feature transforms only
