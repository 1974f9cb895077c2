"""Un-Mix (Shen et al. 2022): MoCo whose queries are mixtures of two images, too, and as alike to each as it weighs.

B images, S view size, D dimensions, K queued keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from pairlens.draw import Draw, beta
from pairlens.errors import InputError
from pairlens.methods import Parts
from pairlens.methods.crossed import GLOBAL, stored_pairs
from pairlens.methods.moco import MoCo, MoCoSettings
from pairlens.negatives import Queue
from pairlens.nets.branch import Branch
from pairlens.nets.momentum import MomentumBranch
from pairlens.pairs import Contrast, Step, identity
from pairlens.views.mixing import draw_share, mix_reversed
from pairlens.views.plans import Plan


@dataclass(frozen=True)
class UnMixSettings(MoCoSettings):
    """Un-Mix's own arguments, beside MoCo's."""

    mix_alpha: float = 1.0
    """Shares of two mixed images: alpha of Beta(alpha, alpha)."""
    cut: float = 0.5
    """Probability of mixing by a rectangle (CutMix) and not by the whole view (Mixup)."""

    def build(self, parts: Parts) -> "UnMix":
        """Un-Mix with a queue of random keys.

        Raises:
            InputError: alpha is not positive, or the probability lies outside [0, 1].
        """
        if not 0 < self.mix_alpha < float("inf") or not 0 <= self.cut <= 1:
            raise InputError(
                f"images cannot be mixed with mix_alpha {self.mix_alpha} and cut {self.cut}; alpha must be positive "
                "(1), and cut is a probability (0.5)"
            )
        return UnMix(
            parts.branch,
            self.target(parts),
            self.queue(parts),
            parts.contrast,
            parts.plan,
            alpha=self.mix_alpha,
            cut=self.cut,
            symmetric=self.symmetric,
        )


class UnMix(MoCo):
    """MoCo's comparison; and large query views, mixed with the batch in reverse order, against both images' keys.

    The loss is L(q, k) + lam L(q_mix, k) + (1 - lam) L(q_mix, k reversed), with one lam a step. It is what the authors
    compute with a mixture and its reverse, in one forward instead of two. The contrast's transform acts on the plain
    comparison alone, which is also the one that is recorded: a mixture shows its key in part only, and pushing the two
    apart would say nothing of that image. Local views are not mixed.
    """

    def __init__(
        self,
        branch: Branch,
        target: MomentumBranch,
        queue: Queue,
        contrast: Contrast,
        plan: Plan,
        *,
        alpha: float,
        cut: float,
        symmetric: bool = False,
    ) -> None:
        super().__init__(branch, target, queue, contrast, plan, symmetric=symmetric)
        self.alpha = alpha
        self.cut = cut

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare query views and their mixtures with key views, [B, 3, S, S] each, and with the queue."""
        keys = self.encode_keys(views, draw)
        queries = self.encode_queries(views)
        comparison = self.contrast(stored_pairs(queries, keys, self.queue.keys), draw)

        size = views["query"].shape[-1]
        share, lam = draw_share(beta(self.alpha, (), draw.features), size, self.cut, draw.features)
        mixed = {name: self.online(mix_reversed(views[name], share))["z"] for name in queries if name in GLOBAL}
        plain = replace(self.contrast, transform=identity)
        first = plain(stored_pairs(mixed, keys, self.queue.keys), draw)
        reverse = {name: key.flip(0) for name, key in keys.items()}
        second = plain(stored_pairs(mixed, reverse, self.queue.keys), draw)

        loss = comparison.loss + lam * first.loss + (1 - lam) * second.loss
        return Step(loss, {"z": comparison}, draw, keys)
