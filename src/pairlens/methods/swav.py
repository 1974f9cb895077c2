"""SwAV (Caron et al. 2020): predict from one view the prototypes that another view of the image was assigned to.

B images, S view size, D dimensions, P prototypes, N comparisons of views.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.methods import MethodSettings, Parts
from pairlens.methods.crossed import GLOBAL, batch_pairs, crossed, encode_together
from pairlens.negatives import Queue
from pairlens.nets.branch import Branch
from pairlens.pairs import Comparison, Contrast, Step, score
from pairlens.views.plans import Plan


@dataclass(frozen=True)
class SwAVSettings(MethodSettings):
    """SwAV's own arguments."""

    contrasts: ClassVar[bool] = False

    temperature: float = 0.1
    """What a query's scores with the prototypes are divided by."""
    prototypes: int = 512
    """Prototypes (the paper: 3000 on ImageNet)."""
    epsilon: float = 0.05
    """Smoothness of the codes; towards 0 each view belongs to one prototype alone."""
    sinkhorn: int = 3
    """Iterations of the Sinkhorn-Knopp algorithm that makes the codes."""
    codes_queue: int = 0
    """Earlier features of each large view that help to make the codes (the paper: 3840 with small batches)."""
    queue_start: int = 0
    """Epoch from which they help, once there are as many."""
    freeze_prototypes: int = 0
    """Optimiser steps at the start in which the prototypes stay as drawn."""

    def build(self, parts: Parts) -> "SwAV":
        """SwAV with prototypes drawn uniformly from the sphere.

        Raises:
            InputError: a number of the settings cannot be used.
        """
        if self.prototypes < 2 or not self.epsilon > 0 or self.sinkhorn < 1:
            raise InputError(
                f"{self.prototypes} prototypes with epsilon {self.epsilon} and {self.sinkhorn} Sinkhorn iterations "
                "give no codes; use 2 prototypes at least, a positive epsilon (0.05) and 1 iteration at least (3)"
            )
        if min(self.codes_queue, self.queue_start, self.freeze_prototypes) < 0:
            raise InputError("codes_queue, queue_start and freeze_prototypes cannot be negative; 0 switches each off")
        stores = {view: Queue(self.codes_queue, parts.dim, parts.state) for view in GLOBAL} if self.codes_queue else {}
        prototypes = torch.randn(self.prototypes, parts.dim, generator=parts.weights)
        return SwAV(parts.branch, F.normalize(prototypes, dim=1), stores, parts.contrast, parts.plan, self)


class SwAV(nn.Module):
    """Every view predicts the codes of the other large views: their soft assignment to learnt prototypes.

    The contrast's transform acts on pairs of unit features, before the prototypes, and on the side of the prediction
    alone: codes come from the features as they are, and no gradient flows through them (FT, Table 7; its details are
    our inference). The contrast's loss is not used. What is recorded beside the loss are the cosines of the compared
    features; negatives are the large views of the other images, which SwAV itself never compares with.

    Prototypes are unit vectors: they are brought back to the sphere after each step, as the authors do before each.
    """

    stores: Mapping[str, Queue]  # earlier features of each large view

    def __init__(
        self,
        branch: Branch,
        prototypes: Float[Tensor, "P D"],
        stores: Mapping[str, Queue],
        contrast: Contrast,
        plan: Plan,
        settings: SwAVSettings,
    ) -> None:
        super().__init__()
        self.online = branch
        self.prototypes = nn.Parameter(prototypes)
        self.stores = nn.ModuleDict(stores)  # type: ignore[assignment]
        self.contrast = contrast
        self.plan = plan
        self.settings = settings

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare all views, [B, 3, S, S] each, with the large views."""
        z = encode_together(self.online, views)
        keys = {name: z[name].detach() for name in GLOBAL}
        codes = {name: self.codes(name, key, draw) for name, key in keys.items()}
        raw = batch_pairs(z, keys)
        transformed = self.contrast.transform(raw, draw)
        targets = torch.cat([codes[key] for _, key in crossed(z, keys)])
        frozen = draw.step < self.settings.freeze_prototypes
        prototypes = self.prototypes.detach() if frozen else self.prototypes
        loss = swapped_prediction(transformed.query, targets, prototypes, self.contrast.temperature)
        with torch.no_grad():
            scores = score(transformed)
        comparison = Comparison(raw, transformed, scores, loss, self.contrast.temperature)
        return Step(loss, {"z": comparison}, draw, keys)

    @torch.no_grad()
    def codes(self, view: str, z: Float[Tensor, "B D"], draw: Draw) -> Float[Tensor, "B P"]:
        """The codes of a large view, made together with its stored features once those are full and asked for."""
        o = self.settings
        alone = sinkhorn(z @ self.prototypes.T, o.epsilon, o.sinkhorn)
        if view not in self.stores or draw.epoch < o.queue_start:
            return alone
        rows = torch.cat([z, self.stores[view].keys])
        together = sinkhorn(rows @ self.prototypes.T, o.epsilon, o.sinkhorn)[: len(z)]
        return torch.where(self.stores[view].full, together, alone)  # only the device knows whether it is full

    @torch.no_grad()
    def after_step(self, *steps: Step) -> None:
        """Bring learnt prototypes back to the sphere, and store the features of the large views."""
        for step in steps:
            for view, store in self.stores.items():
                store.enqueue(step.kept[view])
        if steps[0].draw.step >= self.settings.freeze_prototypes:
            self.prototypes.copy_(F.normalize(self.prototypes, dim=1))


def sinkhorn(scores: Float[Tensor, "B P"], epsilon: float, iterations: int) -> Float[Tensor, "B P"]:
    """Codes: each row a soft assignment to the prototypes that sums to 1, all prototypes used alike (SwAV, Eq. 3 to 5).

    exp(scores / epsilon) is scaled in turn so that columns, then rows, have equal sums (Cuturi 2013). Rows come last,
    as in the authors' code; columns sum to B / P in the limit of many iterations. Logarithms keep float32 from
    overflowing.
    """
    log_codes = scores / epsilon
    for _ in range(iterations):
        log_codes = log_codes.log_softmax(0)
        log_codes = log_codes.log_softmax(1)
    return log_codes.exp()


def swapped_prediction(
    query: Float[Tensor, "N D"], codes: Float[Tensor, "N P"], prototypes: Float[Tensor, "P D"], temperature: float
) -> Float[Tensor, ""]:
    """Cross-entropy between each code and the query's softmax over the prototypes, the mean over rows (SwAV, Eq. 2)."""
    return -(codes * (query @ prototypes.T / temperature).log_softmax(1)).sum(1).mean()
