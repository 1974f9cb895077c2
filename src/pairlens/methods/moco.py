"""MoCo (He et al. 2020), v1 and v2: a momentum branch and a queue of its keys.

B images, S view size, D dimensions, K queued keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.methods import Method, MethodSettings, Parts, usual_negatives
from pairlens.methods.crossed import GLOBAL, stored_pairs
from pairlens.negatives import Queue
from pairlens.nets.branch import Branch
from pairlens.nets.momentum import MomentumBranch
from pairlens.pairs import Contrast, Step
from pairlens.views.plans import Plan


@dataclass(frozen=True)
class MoCoSettings(MethodSettings):
    """MoCo's own arguments."""

    temperature: float = 0.1
    """What scores are divided by before the loss."""
    negatives: int | None = None
    """Keys in the queue (K); by default 4096, or up to half the set."""
    momentum: float = 0.99
    """Of the key encoder (m); 1 never moves it, 0 makes it the query encoder."""
    symmetric: bool = False
    """Compare both ways: each large view is query and key in turn."""

    def resolve(self, count: int) -> "MoCoSettings":
        """With the usual number of negatives where none is given."""
        return self if self.negatives is not None else replace(self, negatives=usual_negatives(count))

    def shared_negatives(self, part: int, images: int) -> int:
        """The queue's length."""
        return self.negatives or 0

    def build(self, parts: Parts) -> Method:
        """MoCo with an empty history: a queue of random keys."""
        return MoCo(
            parts.branch, self.target(parts), self.queue(parts), parts.contrast, parts.plan, symmetric=self.symmetric
        )

    def target(self, parts: Parts) -> MomentumBranch:
        """The key branch; it starts as the online one."""
        return MomentumBranch(parts.branch, self.momentum, shuffle=parts.shuffle)

    def queue(self, parts: Parts) -> Queue:
        """A queue of random keys."""
        return Queue(self.negatives or 0, parts.dim, parts.state)


class MoCo(nn.Module):
    """Queries of the online branch against keys of its moving average; negatives are the queue of earlier keys.

    v1 and v2 differ in head, views and temperature only: those are arguments of the recipe. With `symmetric` each of
    the two large views is query and key in turn (as in the authors' later CIFAR-10 code); local views of a multi-crop
    plan are further queries.
    """

    def __init__(
        self,
        branch: Branch,
        target: MomentumBranch,
        queue: Queue,
        contrast: Contrast,
        plan: Plan,
        *,
        symmetric: bool = False,
    ) -> None:
        super().__init__()
        self.online = branch
        self.target = target
        self.queue = queue
        self.contrast = contrast
        self.plan = plan
        self.key_views = GLOBAL if symmetric else GLOBAL[1:]

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare query views with key views, [B, 3, S, S] each, and with the queue."""
        keys = self.encode_keys(views, draw)
        queries = self.encode_queries(views)
        comparison = self.contrast(stored_pairs(queries, keys, self.queue.keys), draw)
        return Step(comparison.loss, {"z": comparison}, draw, keys)

    def encode_keys(self, views: Mapping[str, Tensor], draw: Draw) -> dict[str, Float[Tensor, "B D"]]:
        """Unit embeddings of the key views, by the key branch; a step keeps them for the queue."""
        return {name: self.target(views[name], draw)["z"] for name in self.key_views}

    def encode_queries(self, views: Mapping[str, Tensor]) -> dict[str, Float[Tensor, "B D"]]:
        """Unit embeddings of all these views but the one that is a key only."""
        symmetric = len(self.key_views) > 1
        return {name: self.online(view)["z"] for name, view in views.items() if name != "key" or symmetric}

    def after_step(self, *steps: Step) -> None:
        """Move the key branch and enqueue the raw keys, never transformed ones."""
        for step in steps:
            for keys in step.kept.values():
                self.queue.enqueue(keys)
        self.target.follow(self.online, steps[0].draw.step)
