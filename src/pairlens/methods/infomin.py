"""InfoMin (Tian et al. 2020, What makes for good views): MoCo with PIRL's jigsaw as a further query.

B images, S view size, C encoder features, P patches of an image, D dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.methods import Parts
from pairlens.methods.crossed import stored_pairs
from pairlens.methods.moco import MoCo, MoCoSettings
from pairlens.negatives import Queue
from pairlens.nets.branch import Branch
from pairlens.nets.heads import linear
from pairlens.nets.momentum import MomentumBranch
from pairlens.pairs import Contrast, Step, identity
from pairlens.views.jigsaw import jigsaw_plan, patch_names, patch_side
from pairlens.views.plans import Augmentation, Plan

PATCHES = patch_names()


@dataclass(frozen=True)
class InfoMinSettings(MoCoSettings):
    """InfoMin's own arguments, beside MoCo's."""

    temperature: float = 0.15
    """What scores are divided by before the loss."""
    jigsaw: float = 0.5
    """Weight of the jigsaw's loss, the rest is the main one's; 0 draws no patches."""

    @property
    def spaces(self) -> tuple[str, ...]:
        """The main comparison, and the jigsaw's where there is one."""
        return ("z", "jigsaw") if self.jigsaw else ("z",)

    def plan(self, plan: Plan, view: Augmentation, size: int) -> Plan:
        """The recipe's views and nine patches, 64 pixels wide beside views of 224."""
        return jigsaw_plan(plan, view, size=patch_side(size)) if self.jigsaw else plan

    def build(self, parts: Parts) -> "InfoMin":
        """InfoMin with a queue of random keys.

        Raises:
            InputError: the jigsaw's weight lies outside [0, 1].
        """
        if not 0 <= self.jigsaw <= 1:
            raise InputError(f"the weight of the jigsaw's loss must lie in [0, 1], not {self.jigsaw}; InfoMin takes .5")
        features = parts.branch.encoder.features
        assert isinstance(features, int)
        return InfoMin(
            parts.branch,
            self.target(parts),
            self.queue(parts),
            JigsawHead(features, parts.dim, len(PATCHES), parts.weights) if self.jigsaw else None,
            parts.contrast,
            parts.plan,
            weight=self.jigsaw,
            symmetric=self.symmetric,
        )


class JigsawHead(nn.Module):
    """Merge an image's patches: one linear layer for each, C -> D, and one for all of them in a row, P D -> D.

    One linear layer a patch is PIRL's (Misra & van der Maaten 2020), whatever the main head is; InfoMin's authors'
    code has an MLP there where the main head is one.
    """

    def __init__(self, features: int, dim: int, patches: int, generator: torch.Generator) -> None:
        super().__init__()
        self.patch = linear(features, dim, generator)
        self.merge = linear(patches * dim, dim, generator)

    def forward(self, features: Float[Tensor, "B P C"], order: Int64[Tensor, "B P"]) -> Float[Tensor, "B D"]:
        """Merge in an order of each image's own: order[b, j] is the patch of image b that stands j-th."""
        projected = self.patch(features)
        ordered = projected.gather(1, order[:, :, None].expand_as(projected))
        return self.merge(ordered.flatten(1))


class InfoMin(MoCo):
    """MoCo's comparison, and that of a jigsaw of the image with the same keys and the same queue.

    The loss is (1 - w) times the main comparison's and w times the jigsaw's. The contrast's transform acts on the main
    comparison alone (FT, Table 7; our inference). Patches are encoded as one batch and merged in a random order.
    """

    def __init__(
        self,
        branch: Branch,
        target: MomentumBranch,
        queue: Queue,
        head: JigsawHead | None,
        contrast: Contrast,
        plan: Plan,
        *,
        weight: float,
        symmetric: bool = False,
    ) -> None:
        super().__init__(branch, target, queue, contrast, plan, symmetric=symmetric)
        self.head = head
        self.weight = weight

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare large views, [B, 3, S, S], and patches, each of a size of their own, with key views and queue."""
        keys = self.encode_keys(views, draw)
        queries = self.encode_queries({name: view for name, view in views.items() if name not in PATCHES})
        main = self.contrast(stored_pairs(queries, keys, self.queue.keys), draw)
        if self.head is None:
            return Step(main.loss, {"z": main}, draw, keys)
        patches = {"jigsaw": self.encode_patches([views[name] for name in PATCHES], self.head, draw)}
        plain = replace(self.contrast, transform=identity)
        jigsaw = plain(stored_pairs(patches, keys, self.queue.keys), draw)
        loss = (1 - self.weight) * main.loss + self.weight * jigsaw.loss
        return Step(loss, {"z": main, "jigsaw": jigsaw}, draw, keys)

    def encode_patches(
        self, patches: list[Float[Tensor, "B 3 S S"]], head: JigsawHead, draw: Draw
    ) -> Float[Tensor, "B D"]:
        """One unit embedding of all the patches of each image."""
        features = self.online.encode(torch.cat(patches))
        by_image = torch.stack(features.chunk(len(patches)), 1)
        chance = torch.rand(by_image.shape[:2], generator=draw.features, device=draw.features.device)
        with self.online.autocast(features.device):
            merged = head(by_image, chance.argsort(1))
        return F.normalize(merged.float(), dim=1)
