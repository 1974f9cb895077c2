"""Networks whose last stage exists once for each space: LooC++ and MoCo++ (LooC, Section 4 and Table 4).

B images, H x W pixels, C channels of one last stage, n of them, h x w positions.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.nets.encoders import ResNet, initialise


class Fan(nn.Module):
    """A residual network's trunk, and its last stage once for each space; its features are all spaces' in a row.

    The paper puts the last stage into every head and reads out the heads' pooled last stages, concatenated. Here the
    last stages belong to the encoder, so that its features are what is read out, and each head takes its own part of
    them. The first space's stage is the network's own. State-dict names are `network.` and torchvision's, and
    `last.SPACE.` for the last stages.
    """

    def __init__(self, network: ResNet, spaces: Sequence[str], generator: torch.Generator | None = None) -> None:
        """Take a network's last stage apart; further stages are drawn anew, or copies where no generator is given."""
        super().__init__()
        first = network.without_last_stage()
        stages = [first, *(copy.deepcopy(first) for _ in spaces[1:])]
        if generator is not None:
            for stage in stages[1:]:
                initialise(stage, network.zero_init_residual, generator)
        self.network = network
        self.last = nn.ModuleDict(dict(zip(spaces, stages, strict=True)))
        self.width = network.features
        self.features = self.width * len(spaces)

    def features_map(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B nC h w"]:
        """The last stages' outputs before pooling, one behind the other."""
        trunk = self.network.features_map(images)
        return torch.cat([stage(trunk) for stage in self.last.values()], 1)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B nC"]:
        """One feature vector an image: the pooled outputs of the last stages in a row."""
        trunk = self.network.features_map(images)
        return torch.cat([stage(trunk).mean((2, 3)) for stage in self.last.values()], 1)


class Part(nn.Module):
    """The features of one last stage: the first layer of its space's head."""

    def __init__(self, place: int, width: int) -> None:
        super().__init__()
        self.place, self.width = place, width

    def forward(self, features: Float[Tensor, "B nC"]) -> Float[Tensor, "B C"]:
        """[B, nC] -> [B, C]."""
        return features[:, self.place * self.width : (self.place + 1) * self.width]
