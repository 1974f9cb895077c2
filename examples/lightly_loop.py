"""A SimCLR from lightly's parts; only the imports and the lines marked "pairlens" know of pairlens."""

import argparse

import torch
import torch.nn.functional as F
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from plain_loop import encoder
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_pil_image

import pairlens
from pairlens.data.scenes import make_scenes
from pairlens.draw import beta
from pairlens.pairs import Pairs
from pairlens.transforms import extrapolate_positives


class Scenes(Dataset):
    """Generated images, two of lightly's views of each."""

    images = make_scenes(train=2048).train.pixels
    transform = SimCLRTransform(input_size=32, cj_strength=0.5, min_scale=0.2, gaussian_blur=0.0)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> list[Tensor]:
        return self.transform(to_pil_image(self.images[i]))


def train(epochs: int, run: str | None) -> None:
    """NT-Xent at temperature 0.1, 16 steps an epoch."""
    model, criterion = nn.Sequential(encoder(128), SimCLRProjectionHead(128, 128, 64)), NTXentLoss(temperature=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(Scenes(), batch_size=128, shuffle=True)
    ft = torch.Generator().manual_seed(0)  # pairlens
    for _ in range(epochs):
        for views in loader:
            a, b = (F.normalize(model(view), dim=1) for view in views)
            lam = 1 + beta(2.0, (1, 1), ft)  # pairlens: harder positives; each view is the query once
            ab = extrapolate_positives(Pairs(a, b, b), lam, renormalise=True)  # pairlens
            ba = extrapolate_positives(Pairs(b, a, a), lam, renormalise=True)  # pairlens
            loss = (criterion(ab.query, ab.key) + criterion(ba.query, ba.key)) / 2  # before: criterion(a, b)
            known = {"loss": loss, "temperature": 0.1, "steps_per_epoch": len(loader)}  # pairlens
            pairlens.observe(a, b, symmetric=True, transformed=(ab.query, ab.key), run=run, **known)  # pairlens
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--epochs", type=int, default=6)
    flags.add_argument("--run", help="its folder; by default runs/observed-NUMBER")
    train(**vars(flags.parse_args()))
