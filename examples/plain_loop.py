"""A hand-written MoCo in plain PyTorch; only the imports and the lines marked "pairlens" know of pairlens."""

import argparse
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pairlens
from pairlens.data.scenes import make_scenes
from pairlens.draw import beta
from pairlens.pairs import Pairs
from pairlens.transforms import extrapolate_positives, mix_negatives


def encoder(dim: int = 64) -> nn.Module:
    """A small convolutional network, from images to embeddings."""
    widths = [(3, 32), (32, 64), (64, 128)]
    layers = [(nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()) for i, o in widths]
    return nn.Sequential(*sum(layers, ()), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, dim))


def augment(x: Tensor) -> Tensor:
    """A random crop and tint for each image, and a flip for half of them."""
    size, side = torch.empty(len(x)).uniform_(0.5, 1), torch.randint(2, (len(x),)) * 2 - 1
    place = (torch.rand(len(x), 2) * 2 - 1) * (1 - size)[:, None]
    crop = torch.cat([torch.diag_embed(torch.stack([size * side, size], 1)), place[:, :, None]], 2)
    x = F.grid_sample(x, F.affine_grid(crop, list(x.shape), align_corners=False), align_corners=False)
    return x * torch.empty(len(x), 3, 1, 1).uniform_(0.4, 1.6)


def train(steps: int, run: str | None) -> None:
    """Compare two augmentations of each image with a queue of 1024 earlier keys, at temperature 0.1."""
    images = make_scenes(train=2048).train.pixels / 255 - 0.5
    online, queue = encoder(), F.normalize(torch.randn(1024, 64), dim=1)
    target = deepcopy(online).requires_grad_(False)
    optimizer = torch.optim.SGD(online.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)
    ft = torch.Generator().manual_seed(0)  # pairlens: the loop's own random numbers stay what they were
    for x in (images[torch.randint(len(images), (128,))] for _ in range(steps)):
        q, k = F.normalize(online(augment(x)), dim=1), F.normalize(target(augment(x)), dim=1)
        p = extrapolate_positives(Pairs(q, k, queue), 1 + beta(2.0, (1, 1), ft))  # pairlens: harder positives
        p = mix_negatives(p, beta(1.6, (1, 1), ft), torch.randperm(1024, generator=ft))  # pairlens: diverse negatives
        logits = torch.cat([(p.query * p.key).sum(1, keepdim=True), p.query @ p.negatives.T], 1)  # before: q, k, queue
        loss = F.cross_entropy(logits / 0.1, torch.zeros(len(x), dtype=torch.long))
        pairlens.observe(q, k, queue, transformed=p, loss=loss, temperature=0.1, run=run)  # pairlens
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for mine, other in zip(target.parameters(), online.parameters(), strict=True):
            mine.lerp_(other.detach(), 0.01)
        queue = torch.cat([k, queue])[:1024]


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--steps", type=int, default=200)
    flags.add_argument("--run", help="its folder; by default runs/observed-NUMBER")
    train(**vars(flags.parse_args()))
