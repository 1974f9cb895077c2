"""A branch: an encoder with one projection head per embedding space.

B images, S view size, C encoder features, D dimensions of a space.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Branch(nn.Module):
    """Encode views and project them to unit vectors, one set per embedding space.

    The encoder and the heads run in `precision` (bfloat16 by autocast, or float32); embeddings leave in float32, so
    that scores, losses, queues and momentum updates never see less.
    """

    def __init__(
        self, encoder: nn.Module, heads: Mapping[str, nn.Module], precision: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(heads)
        self.precision = precision

    def forward(self, images: Float[Tensor, "B 3 S S"]) -> dict[str, Float[Tensor, "B D"]]:
        """Unit embeddings by space."""
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, self.precision, enabled=self.precision != torch.float32):
            features = self.encoder(images)
            projected = {space: head(features) for space, head in self.heads.items()}
        return {space: F.normalize(z.float(), dim=1) for space, z in projected.items()}
