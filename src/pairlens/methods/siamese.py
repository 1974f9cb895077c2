"""BYOL (Grill et al. 2020) and SimSiam (Chen & He 2021): one view predicts another, without negatives.

B images, S view size, D dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.losses import byol_regression, negative_cosine
from pairlens.methods import MethodSettings, Parts
from pairlens.methods.crossed import GLOBAL, batch_pairs
from pairlens.nets.branch import Branch
from pairlens.nets.heads import mlp_head
from pairlens.nets.momentum import MomentumBranch, rising_momentum
from pairlens.pairs import Contrast, Loss, Step
from pairlens.views.plans import Plan


@dataclass(frozen=True)
class BYOLSettings(MethodSettings):
    """BYOL's own arguments."""

    contrasts: ClassVar[bool] = False

    momentum: float = 0.996
    """Of the target branch, at the start; 1 never moves it, 0 makes it the online branch (SimSiam)."""
    rising: bool = True
    """Let the momentum rise to 1 over the training, along half a cosine."""
    predictor_hidden: int = 512
    """Width of the predictor's hidden layer."""

    def loss(self) -> Loss:
        """Squared distance of unit vectors."""
        return byol_regression

    def build(self, parts: Parts) -> "Siamese":
        """BYOL; its target starts as the online branch."""
        momentum = rising_momentum(self.momentum, parts.steps) if self.rising else self.momentum
        target = MomentumBranch(parts.branch, momentum)
        return Siamese(parts.branch, predictor(parts, self.predictor_hidden), parts.contrast, parts.plan, target)


@dataclass(frozen=True)
class SimSiamSettings(MethodSettings):
    """SimSiam's own arguments."""

    contrasts: ClassVar[bool] = False
    constant_rate: ClassVar[tuple[str, ...]] = ("predictor",)  # Section 4.2, Table 1 c

    predictor_hidden: int = 128
    """Width of the predictor's hidden layer."""

    def loss(self) -> Loss:
        """Minus the cosine."""
        return negative_cosine

    def build(self, parts: Parts) -> "Siamese":
        """SimSiam: the keys are the online branch's own."""
        return Siamese(parts.branch, predictor(parts, self.predictor_hidden), parts.contrast, parts.plan)


class Siamese(nn.Module):
    """A predictor maps the embedding of one view to the key of another view of the same image.

    Keys carry no gradient: they are the target branch's (BYOL), or without one the online branch's own, detached
    (SimSiam). Each view is encoded in a forward of its own, as in both papers, so batch statistics are a view's.
    Local views of a multi-crop plan predict the large ones. The negatives of its pairs are there for the recorder; the
    loss does not see them.
    """

    def __init__(
        self,
        branch: Branch,
        predictor: nn.Module,
        contrast: Contrast,
        plan: Plan,
        target: MomentumBranch | None = None,
    ) -> None:
        super().__init__()
        self.online = branch
        self.predictor = predictor
        self.target = target
        self.contrast = contrast
        self.plan = plan

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare predictions of all views, [B, 3, S, S] each, with keys of the large ones."""
        z = {name: self.online.project(view)["z"] for name, view in views.items()}
        predictions = {name: self.predict(rows) for name, rows in z.items()}
        if self.target is None:
            keys = {name: F.normalize(z[name].detach(), dim=1) for name in GLOBAL}
        else:
            keys = {name: self.target(views[name], draw)["z"] for name in GLOBAL}
        comparison = self.contrast(batch_pairs(predictions, keys), draw)
        return Step(comparison.loss, {"z": comparison}, draw)

    def predict(self, z: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Unit predictions, in float32; the predictor runs in the branch's precision."""
        with self.online.autocast(z.device):
            prediction = self.predictor(z)
        return F.normalize(prediction.float(), dim=1)

    def after_step(self, *steps: Step) -> None:
        """Move the target branch, where there is one."""
        if self.target is not None:
            self.target.follow(self.online, steps[0].draw.step)


def predictor(parts: Parts, hidden: int) -> nn.Module:
    """Linear, batch normalisation, ReLU, linear: [B, D] -> [B, D] (both papers, implementation details)."""
    return mlp_head(parts.dim, hidden, parts.dim, batch_norm=True, generator=parts.weights)
