"""AdaIN: one image in the style of another, by one pass through an encoder and a decoder (Huang & Belongie, ICCV 2017).

B images, C channels of a feature map, h x w and u x v positions of it, S pixels of an image's side.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pairlens.errors import InputError
from pairlens.nets.weights import read_tensors

EPSILON = 1e-5
"""Added to a channel's variance."""

STRIDE = 8
"""Pixels of an image to one position of relu4_1."""

LEAST = 128
"""Pixels: smaller images are enlarged to it, so that relu4_1 has 16 x 16 positions, and their copies shrunk again."""

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What torchvision's VGG takes from its images and divides them by, [0, 1] units."""

ENCODER = (3, 64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512)
"""VGG-19 to relu4_1 (Simonyan & Zisserman 2015): channels of its convolutions, the image's first."""

DECODER = (512, 256, "grow", 256, 256, 256, 128, "grow", 128, 64, "grow", 64, 3)
"""The encoder mirrored; nothing stands behind the last convolution."""

NAME = re.compile(r"(?:.*?\.)?(encoder|vgg|features|decoder)\.(?:features\.)?(\d+)\.(weight|bias)")
"""A convolution's tensor in a file of weights: its network, its place there, what it is."""


def adain(content: Float[Tensor, "B C h w"], style: Float[Tensor, "B C u v"]) -> Float[Tensor, "B C h w"]:
    """Each channel of the content's features with the mean and the standard deviation of the style's (AdaIN, Eq. 8).

    Both are taken over an image's positions, the variance divided by their number as in the paper (its code divides by
    one less).
    """
    mean, deviation = _statistics(content)
    style_mean, style_deviation = _statistics(style)
    return style_deviation * ((content - mean) / deviation) + style_mean


def _statistics(features: Float[Tensor, "B C h w"]) -> tuple[Float[Tensor, "B C 1 1"], Float[Tensor, "B C 1 1"]]:
    variance, mean = torch.var_mean(features, (2, 3), correction=0, keepdim=True)
    return mean, (variance + EPSILON).sqrt()


class StyleTransfer(nn.Module):
    """Encoder, AdaIN and decoder; images in, stylised images out. Made by `load_style_transfer`.

    All convolutions but the first one's optional mixture of colours are padded by reflection (the paper, Section 6.1).
    """

    def __init__(self, colors: nn.Module, encoder: nn.Sequential, decoder: nn.Sequential) -> None:
        super().__init__()
        self.colors, self.encoder, self.decoder = colors, encoder, decoder

    def forward(self, content: UInt8[Tensor, "B 3 S S"], style: UInt8[Tensor, "B 3 _ _"]) -> UInt8[Tensor, "B 3 S S"]:
        """Images in the style of others, at their own size; every pixel changes, its colour too."""
        side = max(LEAST, -(-content.shape[3] // STRIDE) * STRIDE)
        made = self.decoder(adain(self._features(content, side), self._features(style, side)))
        if content.shape[3] != side:
            made = F.interpolate(made, content.shape[2:], mode="bilinear", antialias=True)
        return made.mul(255).round_().clamp_(0, 255).byte()

    def _features(self, images: UInt8[Tensor, "B 3 _ _"], side: int) -> Float[Tensor, "B C h w"]:
        """What relu4_1 gives of images at a side."""
        values = images.float() / 255
        if images.shape[2:] != (side, side):
            values = F.interpolate(values, (side, side), mode="bilinear", antialias=True)
        return self.encoder(self.colors(values))


class Normalise(nn.Module):
    """Colours as torchvision's VGG takes them."""

    def forward(self, images: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 S S"]:
        """By ImageNet's mean and deviation."""
        mean, deviation = (torch.tensor(values, device=images.device)[:, None, None] for values in IMAGENET)
        return (images - mean) / deviation


def load_style_transfer(path: Path) -> StyleTransfer:
    """The network of a file of weights, .safetensors, .pth or .pt, in evaluation mode, on the CPU.

    Its tensors are called `encoder.PLACE.weight` and `.bias`, and `decoder.PLACE. ...`; `vgg` or `features`, as in
    torchvision, may stand for `encoder`, and anything before it. Places are numbers, which need only ascend: the first
    nine convolutions of the encoder are VGG-19's up to relu4_1, others behind them are left out, and the decoder has
    nine. Where the encoder begins with a 1 x 1 convolution of three channels, it mixes the colours of images in [0, 1];
    else these are normalised as for torchvision's VGG.

    Raises:
        InputError: the file cannot be read, or its convolutions are not these.
    """
    tensors = read_tensors(path)
    found = {part: _convolutions(tensors, part) for part in ("encoder", "decoder")}
    mixes = bool(found["encoder"]) and found["encoder"][0].get("weight", torch.empty(0)).shape == (3, 3, 1, 1)
    colors: nn.Module = (
        _loaded(nn.Conv2d(3, 3, 1, device="meta"), found["encoder"].pop(0), path) if mixes else Normalise()
    )
    networks = [
        _network(shape, found[part], part, path) for part, shape in (("encoder", ENCODER), ("decoder", DECODER))
    ]
    return StyleTransfer(colors, *networks).requires_grad_(False).eval()


def _convolutions(tensors: Mapping[str, Tensor], part: str) -> list[dict[str, Tensor]]:
    """A network's convolutions in the order of their places: weight and bias of each."""
    places: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        match = NAME.fullmatch(key)
        if match and ("decoder" if match[1] == "decoder" else "encoder") == part:
            places.setdefault(int(match[2]), {})[match[3]] = tensor
    return [places[place] for place in sorted(places)]


def _network(shape: tuple[int | str, ...], given: list[dict[str, Tensor]], part: str, path: Path) -> nn.Sequential:
    """Convolutions of these channels, each before a ReLU, with what is named between them.

    Raises:
        InputError: too few are given, or they have other channels.
    """
    count = sum(isinstance(step, int) for step in shape) - 1
    if len(given) < count:
        raise InputError(
            f"{path} holds {len(given)} convolutions of the {part}, and AdaIN's has {count}; name its tensors "
            f"{part}.0.weight, {part}.0.bias and so on in ascending order"
        )
    layers: list[nn.Module] = []
    channels, left = 0, iter(given)
    for step in shape:
        if step == "pool":
            layers.append(nn.MaxPool2d(2))
        elif step == "grow":
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        elif isinstance(step, int):
            if channels:
                convolution = nn.Conv2d(channels, step, 3, padding=1, padding_mode="reflect", device="meta")
                layers += [_loaded(convolution, next(left), path), nn.ReLU()]
            channels = step
    return nn.Sequential(*(layers if part == "encoder" else layers[:-1]))


def _loaded(convolution: nn.Conv2d, given: Mapping[str, Tensor], path: Path) -> nn.Conv2d:
    """The convolution with these weights, in float32.

    Raises:
        InputError: they are of another shape.
    """
    for name, wanted in convolution.state_dict().items():
        if name not in given or given[name].shape != wanted.shape:
            has = f"the {name} {list(given[name].shape)}" if name in given else f"no {name}"
            raise InputError(
                f"{path} is no AdaIN network: a convolution with a {name} of {list(wanted.shape)} is due and has {has}"
                "; give the weights of VGG-19 to relu4_1 and of the mirrored decoder"
            )
    convolution.load_state_dict({name: tensor.float() for name, tensor in given.items()}, assign=True)
    return convolution
