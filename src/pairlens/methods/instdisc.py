"""InstDisc (Wu et al. 2018): every image is a class of its own, represented by its entry in a memory bank.

B images, S view size, V views of each, D dimensions, K negatives, N images of the set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.losses import estimate_log_z, nce
from pairlens.methods import MethodSettings, Parts, usual_negatives
from pairlens.methods.crossed import encode_together
from pairlens.negatives import Bank
from pairlens.nets.branch import Branch
from pairlens.pairs import Contrast, Pairs, Scores, Step
from pairlens.views.plans import Augmentation, Plan, without_key


@dataclass(frozen=True)
class InstDiscSettings(MethodSettings):
    """InstDisc's own arguments."""

    temperature: float = 0.07
    """What scores are divided by before the loss."""
    negatives: int | None = None
    """Entries of the bank that are drawn as negatives at each step (K); by default 4096, or up to half the set."""
    full: bool = False
    """Take the whole bank as negatives, which is the exact softmax over all images."""
    objective: Literal["softmax", "nce"] = "softmax"
    """softmax over the positive and the negatives, or noise-contrastive estimation (nce), as the authors do."""
    bank_momentum: float = 0.5
    """Of the bank's entries; 0 replaces an entry by the newest features, 1 never changes it."""
    fill: bool = False
    """Let the first epoch only fill the bank with the untrained network's features, and estimate the constant of nce
    in each step; the paper starts at random and keeps the first estimate."""

    def resolve(self, count: int) -> "InstDiscSettings":
        """With the usual number of negatives where none is given and the bank is not taken whole."""
        if self.full and self.negatives is not None:
            raise InputError(f"full takes the whole bank, and negatives {self.negatives} of it; give one of them")
        return self if self.full or self.negatives is not None else replace(self, negatives=usual_negatives(count))

    @property
    def idle_epochs(self) -> int:
        """The one that only fills the bank."""
        return int(self.fill)

    def plan(self, plan: Plan, view: Augmentation, size: int) -> Plan:
        """The recipe's views but for "key": the bank's entry is the key."""
        return without_key(plan)

    def shared_negatives(self, part: int, images: int) -> int:
        """All entries but the image's own, or as many as are drawn."""
        return images - 1 if self.full else self.negatives or 0

    def build(self, parts: Parts) -> "InstDisc":
        """InstDisc with a bank of random directions."""
        bank = Bank(len(parts.images), parts.dim, parts.state, self.bank_momentum)
        estimates = self.objective == "nce"
        return InstDisc(
            parts.branch, bank, parts.contrast, parts.plan, negatives=self.negatives, nce=estimates, fill=self.fill
        )


class InstDisc(nn.Module):
    """Each view is compared with its image's entry in a memory bank, and with other images' entries.

    One view of an image is seen at a time; local views of a multi-crop plan are further queries. The negatives of a
    step are drawn with repetition and shared by its queries (the authors draw anew for each): sharing them saves a
    gather of B x K vectors. The image's own entry is excluded (theirs may be drawn). Entries get no gradient.

    Args:
        negatives: how many are drawn; None takes the whole bank.
        nce: replace the contrast's loss by noise-contrastive estimation, whose constant Z is estimated from the scores
            of the first step and kept from then on (Section 3.2).
        fill: only replace the random entries in the first epoch. Ours: untrained features of all images are alike, so
            all are pushed away from the entries of images already seen; with few steps an epoch this common motion
            swamps the rest. Z is then estimated anew in each step: a constant would be that of features still alike,
            orders of magnitude too large for those that training spreads, or that of random entries, too small for
            those that it begins with.

    Raises:
        InputError: the number of negatives is not positive.
    """

    log_z: Tensor  # [] NaN until it is estimated

    def __init__(
        self,
        branch: Branch,
        bank: Bank,
        contrast: Contrast,
        plan: Plan,
        *,
        negatives: int | None,
        nce: bool = False,
        fill: bool = False,
    ) -> None:
        if negatives is not None and negatives < 1:
            raise InputError(f"the number of negatives must be positive, not {negatives}; the authors draw 4096")
        super().__init__()
        self.online = branch
        self.bank = bank
        self.contrast = replace(contrast, loss=self.estimation) if nce else contrast
        self.plan = plan
        self.negatives = negatives
        self.fill = fill
        self.register_buffer("log_z", torch.full((), torch.nan, device=bank.vectors.device))

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare every view, [B, 3, S, S] each, with the bank."""
        z = encode_together(self.online, views)
        query, vectors = torch.cat(list(z.values())), self.bank.vectors
        index = draw.index.to(vectors.device, non_blocking=True)
        if self.negatives is None:
            drawn, negatives = torch.arange(len(vectors), device=vectors.device), vectors
        else:
            drawn = torch.randint(len(vectors), (self.negatives,), generator=draw.features, device=vectors.device)
            negatives = vectors[drawn]
        own = drawn[None, :] == index[:, None]
        pairs = Pairs(query, vectors[index].repeat(len(z), 1), negatives, own.repeat(len(z), 1))
        comparison = self.contrast(pairs, draw)
        loss = comparison.loss
        if self.fill and draw.epoch == 0:
            loss = loss.detach().requires_grad_()  # reaches no parameter, so no optimiser moves one
        return Step(loss, {"z": comparison}, draw, {"index": index, "features": next(iter(z.values())).detach()})

    def after_step(self, *steps: Step) -> None:
        """Move the images' entries towards the raw features of their first views."""
        for step in steps:
            index, features = step.kept["index"], step.kept["features"]
            if self.fill and step.draw.epoch == 0:
                self.bank.vectors[index] = features
            else:
                self.bank.update(index, features)

    def estimation(self, scores: Scores, temperature: float) -> Float[Tensor, ""]:
        """The NCE loss; its constant is estimated from these scores, unless it is known and to be kept."""
        images = len(self.bank.vectors)
        estimate = estimate_log_z(scores, temperature, images)
        log_z = estimate if self.fill else torch.where(self.log_z.isnan(), estimate, self.log_z)
        self.log_z.copy_(log_z)
        return nce(scores, temperature, images, log_z)
