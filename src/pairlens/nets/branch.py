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
        return {space: F.normalize(z, dim=1) for space, z in self.project(images).items()}

    def project(self, images: Float[Tensor, "B 3 S S"]) -> dict[str, Float[Tensor, "B D"]]:
        """What the heads give, by space, before it is brought to unit length."""
        with self.autocast(images.device):
            features = self.encode(images)
            projected = {space: head(features) for space, head in self.heads.items()}
        return {space: z.float() for space, z in projected.items()}

    def encode(self, images: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B C"]:
        """The encoder's features, in the branch's precision."""
        with self.autocast(images.device):
            return self.encoder(images.contiguous(memory_format=torch.channels_last))

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context in which networks compute in the branch's precision."""
        return torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32)
