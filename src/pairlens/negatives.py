"""Where negatives come from beside the batch.

B keys of one step, K stored keys, D dimensions.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.errors import InputError


class Queue(nn.Module):
    """The last K keys, first in, first out (MoCo; FT's Z_neg, Section 4.2), in float32.

    It starts as random unit vectors, as the MoCo authors' does. The write position lives on the device, so that
    enqueueing never waits for it; any batch size is taken, also one that does not divide K or exceeds it.

    Raises:
        InputError: `size` or `dim` is not positive.
    """

    keys: Tensor  # [K, D]
    position: Tensor  # [] where the next key goes

    def __init__(self, size: int, dim: int, generator: torch.Generator) -> None:
        if size <= 0 or dim <= 0:
            raise InputError(f"the number of negatives and of dimensions must be positive, not {size} and {dim}")
        super().__init__()
        keys = torch.randn(size, dim, generator=generator, device=generator.device)
        self.register_buffer("keys", F.normalize(keys, dim=1))
        self.register_buffer("position", torch.zeros((), dtype=torch.long, device=generator.device))

    @torch.no_grad()
    def enqueue(self, keys: Float[Tensor, "B D"]) -> None:
        """Replace the oldest keys by these; of more than K only the last K stay."""
        size = len(self.keys)
        keys = keys[-size:]
        where = (self.position + torch.arange(len(keys), device=keys.device)) % size
        self.keys.index_copy_(0, where, keys.to(self.keys.dtype))
        self.position.copy_((self.position + len(keys)) % size)
