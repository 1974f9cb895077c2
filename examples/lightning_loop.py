"""A MoCo as a LightningModule; only the imports and the lines marked "pairlens" know of pairlens."""

import argparse
from copy import deepcopy

import lightning
import torch
import torch.nn.functional as F
from plain_loop import augment, encoder
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import pairlens
from pairlens.data.scenes import make_scenes
from pairlens.draw import beta
from pairlens.pairs import Pairs
from pairlens.transforms import extrapolate_positives, mix_negatives


class MoCo(lightning.LightningModule):
    """Two augmentations of each image against a queue of 1024 earlier keys, at temperature 0.1."""

    def __init__(self, run: str | None) -> None:
        super().__init__()
        self.run, self.online = run, encoder()
        self.target = deepcopy(self.online).requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(1024, 64), dim=1))
        self.ft = torch.Generator().manual_seed(0)  # pairlens: the loop's own random numbers stay what they were

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:  # noqa: D102 - Lightning's
        q, k = (F.normalize(net(augment(batch[0])), dim=1) for net in (self.online, self.target))
        p = Pairs(q, k, self.queue)  # pairlens
        if self.current_epoch >= 2:  # pairlens: the feature transformation starts with the third epoch
            p = extrapolate_positives(p, 1 + beta(2.0, (1, 1), self.ft))  # pairlens: harder positives
            p = mix_negatives(p, beta(1.6, (1, 1), self.ft), torch.randperm(1024, generator=self.ft))  # pairlens
        logits = torch.cat([(p.query * p.key).sum(1, keepdim=True), p.query @ p.negatives.T], 1)  # before: q, k, queue
        loss = F.cross_entropy(logits / 0.1, torch.zeros(len(q), dtype=torch.long))
        known = {"loss": loss, "temperature": 0.1, "steps_per_epoch": self.trainer.num_training_batches}  # pairlens
        pairlens.observe(q, k, self.queue, transformed=p, run=self.run, **known)  # pairlens
        self.queue = torch.cat([k, self.queue])[:1024]
        return loss

    def on_train_batch_end(self, *_: object) -> None:  # noqa: D102 - Lightning's
        for mine, other in zip(self.target.parameters(), self.online.parameters(), strict=True):
            mine.lerp_(other.detach(), 0.01)

    def configure_optimizers(self) -> torch.optim.Optimizer:  # noqa: D102 - Lightning's
        return torch.optim.SGD(self.online.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--epochs", type=int, default=12)
    flags.add_argument("--run", help="its folder; by default runs/observed-NUMBER")
    given, images = flags.parse_args(), make_scenes(train=2048).train.pixels / 255 - 0.5
    loader = DataLoader(TensorDataset(images), batch_size=128, shuffle=True)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    lightning.Trainer(max_epochs=given.epochs, accelerator="cpu", **options).fit(MoCo(given.run), loader)
