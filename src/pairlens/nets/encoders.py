"""Residual networks that turn images into features, with torchvision's state-dict names and no classifier.

B images, H x W pixels, D features, h x w positions of the last stage.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.errors import InputError
from pairlens.nets.backbones import Backbone, is_backbone, make_backbone
from pairlens.nets.weights import PRETRAINED, load_weights

Norm = Callable[[int], nn.Module]
"""Makes a normalisation layer for so many channels."""


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A padded convolution without bias whose weights are not set yet: `ResNet` draws them all from one generator."""
    return nn.utils.skip_init(
        nn.Conv2d, inputs, outputs, kernel_size=size, stride=stride, padding=size // 2, bias=False
    )


def shortcut(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Module | None:
    """The projection on a block's skip connection (He et al., CVPR 2016, option B); None where shapes agree."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(conv(inputs, outputs, 1, stride), norm(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a skip connection (He et al., CVPR 2016, Figure 5 left)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 3, stride), norm(width)
        self.conv2, self.bn2 = conv(width, width, 3), norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, width, stride, norm)

    @property
    def last_norm(self) -> nn.Module:
        """The normalisation that ends the residual branch."""
        return self.bn2

    def forward(self, x: Float[Tensor, "B C1 H1 W1"]) -> Float[Tensor, "B C2 H2 W2"]:
        """The block's output, of `width` channels."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a skip connection, the stride in the 3x3 one (as torchvision has it)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1, self.bn1 = conv(inputs, width, 1), norm(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride), norm(width)
        self.conv3, self.bn3 = conv(width, outputs, 1), norm(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, outputs, stride, norm)

    @property
    def last_norm(self) -> nn.Module:
        """The normalisation that ends the residual branch."""
        return self.bn3

    def forward(self, x: Float[Tensor, "B C1 H1 W1"]) -> Float[Tensor, "B C2 H2 W2"]:
        """The block's output, of 4 x `width` channels."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


@dataclass(frozen=True)
class Architecture:
    """What tells one residual network from another."""

    block: type[BasicBlock] | type[Bottleneck]
    depths: tuple[int, ...]  # blocks of each stage
    widths: tuple[int, ...]  # channels of each stage, before a bottleneck's expansion
    small_stride: int = 1  # of the small-image stem


ARCHITECTURES: Mapping[str, Architecture] = {
    "resnet8w": Architecture(BasicBlock, (1, 1, 1), (32, 64, 128), small_stride=2),
    "resnet10w": Architecture(BasicBlock, (1, 1, 1, 1), (32, 64, 128, 256), small_stride=2),
    "resnet18": Architecture(BasicBlock, (2, 2, 2, 2), (64, 128, 256, 512)),
    "resnet34": Architecture(BasicBlock, (3, 4, 6, 3), (64, 128, 256, 512)),
    "resnet50": Architecture(Bottleneck, (3, 4, 6, 3), (64, 128, 256, 512)),
}
"""resnet18 to resnet50 are those of He et al., CVPR 2016; resnet8w and resnet10w are made for CPUs (0.3 and 1.2 M)."""


class ResNet(nn.Module):
    """A residual network up to its global average pooling; weights drawn from `generator`, a CPU generator.

    `imagenet` is the 7x7 stem of stride 2 with max-pooling; `small` is a 3x3 stem without pooling, of stride 1
    (SimCLR, Appendix B.9), or of stride 2 in the networks made for CPUs.
    """

    def __init__(
        self, architecture: Architecture, stem: str, norm: Norm, zero_init_residual: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        if stem not in ("imagenet", "small"):
            raise InputError(f"there is no stem {stem!r}; use 'imagenet' (photographs) or 'small' (up to 64 px)")
        block, widths = architecture.block, architecture.widths
        large = stem == "imagenet"
        self.conv1 = conv(3, widths[0], 7, 2) if large else conv(3, widths[0], 3, architecture.small_stride)
        self.bn1 = norm(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1) if large else nn.Identity()
        inputs = (widths[0], *(width * block.expansion for width in widths))
        self.stages = len(widths)
        for stage, depth in enumerate(architecture.depths):
            channels = [inputs[stage]] + [inputs[stage + 1]] * depth
            strides = [1 if stage == 0 else 2] + [1] * (depth - 1)
            blocks = [block(c, widths[stage], s, norm) for (c, _), s in zip(pairwise(channels), strides, strict=True)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.features = inputs[-1]
        self.zero_init_residual = zero_init_residual
        initialise(self, zero_init_residual, generator)

    def features_map(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D h w"]:
        """The last stage's output before pooling: one feature vector a position."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x

    def without_last_stage(self) -> nn.Module:
        """Take the last stage out and return it; from now on `features_map` ends before it."""
        stage = self.get_submodule(f"layer{self.stages}")
        delattr(self, f"layer{self.stages}")
        self.stages -= 1
        return stage

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """One feature vector an image: the mean over the positions of the last stage."""
        return self.features_map(images).mean((2, 3))


@torch.no_grad()
def initialise(network: nn.Module, zero_init_residual: bool, generator: torch.Generator) -> None:
    """Draw every convolution anew, in place (He et al., ICCV 2015, Eq. 10 with fan-out, as torchvision does).

    `zero_init_residual` lets every residual branch start as zero (Goyal et al., 2017, Section 5.1).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif zero_init_residual and isinstance(module, BasicBlock | Bottleneck):
            weight = getattr(module.last_norm, "weight", None)
            if isinstance(weight, Tensor):
                weight.zero_()


def encoder_names() -> tuple[str, ...]:
    """The encoders that `make_encoder` knows, smallest first."""
    return tuple(ARCHITECTURES)


def make_encoder(
    name: str,
    *,
    stem: str | None = None,
    norm: Norm | None = None,
    zero_init_residual: bool = False,
    weights: str | None = None,
    sizes: Sequence[int] = (224,),
    generator: torch.Generator,
) -> ResNet | Backbone:
    """Build an encoder by name, its weights drawn from a CPU generator and from nothing else.

    The state dict of a network of ours has torchvision's names and shapes (without `fc`), so torchvision's weights load
    into an encoder with the `imagenet` stem.

    Args:
        name: one of `encoder_names()`, or timm/NAME or torchvision/NAME where that library is installed.
        stem: of our networks: "small" (if None), or "imagenet".
        norm: of our networks; batch normalisation if None.
        zero_init_residual: of our networks.
        weights: to begin with instead: a file, a finished run's folder, or "pretrained" (another library's own).
        sizes: sides of the views that the encoder will see, pixels; another library's may be built for the first.
        generator: of the initialisation.

    Raises:
        InputError: name, stem or weights are unknown or do not fit each other, or a library is missing.
    """
    if is_backbone(name):
        if stem is not None or norm is not None or zero_init_residual:
            raise InputError(
                f"stem, splits and zero_init_residual shape pairlens's own encoders, not {name}; leave them out or use "
                f"one of {', '.join(encoder_names())}"
            )
        backbone = make_backbone(name, sizes=sizes, pretrained=weights == PRETRAINED, generator=generator)
        if weights not in (None, PRETRAINED):
            load_weights(backbone.network, weights, name)
        return backbone
    if name not in ARCHITECTURES:
        raise InputError(
            f"there is no encoder {name!r}; use one of {', '.join(encoder_names())}, or timm/NAME or torchvision/NAME"
        )
    if weights == PRETRAINED:
        raise InputError(
            f"{name} has no pretrained weights of its own; use timm/NAME or torchvision/NAME, or give a file of weights"
        )
    encoder = ResNet(ARCHITECTURES[name], stem or "small", norm or nn.BatchNorm2d, zero_init_residual, generator)
    if weights is not None:
        load_weights(encoder, weights, name)
    return encoder
