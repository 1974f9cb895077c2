"""LooC (Xiao et al., ICLR 2021): a space for each designated augmentation, which is not invariant to it.

B images, S view size, D dimensions, J keys of the same image that are negatives, n designated augmentations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.idle import check_effect
from pairlens.methods import Method, Parts
from pairlens.methods.moco import MoCoSettings
from pairlens.negatives import Queue
from pairlens.nets.branch import Branch
from pairlens.nets.momentum import MomentumBranch
from pairlens.pairs import Comparison, Contrast, Pairs, Step
from pairlens.views.plans import Augmentation, Plan, add_one, check_varied, key_of, leave_one_out, view_sizes

INVARIANT = "z"
"""The space that is invariant to every augmentation."""

Strategy = Literal["leave_one_out", "add_one", "invariant"]


@dataclass(frozen=True)
class LooCSettings(MoCoSettings):
    """LooC's own arguments, beside MoCo's."""

    designated: tuple[str, ...] = ("color", "rotation")
    """Augmentations with a space of their own: color, rotation, texture, crop, flip, blur, randaugment; joined by +."""
    strategy: Strategy = "leave_one_out"
    """leave_one_out: key i shares augmentation i with the query. add_one: key i has it alone, the query none of them.
    invariant: every space is invariant (MoCo++)."""
    mask_coincident: bool = False
    """Drop keys of the same image as negatives where they happen to share the augmentation (rotation: a third)."""

    @property
    def idle(self) -> Mapping[str, str]:
        """Only leaving one out makes keys of the same image negatives, and keys in more spaces than one."""
        if self.strategy == "leave_one_out":
            return {}
        why = f"drops negatives of the same image, and the strategy {self.strategy} has none; choose leave_one_out"
        return {"mask_coincident": why}

    @property
    def spaces(self) -> tuple[str, ...]:
        """The invariant space, where there is one, and that of each designated augmentation."""
        return (*(() if self.strategy == "add_one" else (INVARIANT,)), *self.designated)

    @property
    def heads(self) -> tuple[str, ...]:
        """One for each space."""
        return self.spaces

    @property
    def own_negatives(self) -> int:
        """The other keys of the same image, in the spaces of designated augmentations; 0 where there are none."""
        return len(self.designated) if self.strategy == "leave_one_out" else 0

    def plan(self, plan: Plan, view: Augmentation, size: int) -> Plan:
        """The views of the strategy.

        Raises:
            InputError: a designated augmentation is unknown, named twice or never varies, there are small views, or
                both views were to share augmentations.
        """
        if set(view_sizes(plan, size)) != {"query", "key"}:
            raise InputError("LooC makes its keys from two large views, and small ones have no place; set locals to 0")
        check_varied(plan, self.designated, size)
        check_effect(self)
        if self.strategy == "add_one":
            return add_one(view, self.designated)
        return leave_one_out(plan, view, self.designated) if self.strategy == "leave_one_out" else plan

    def build(self, parts: Parts) -> Method:
        """LooC with a queue of random keys for each space.

        Raises:
            InputError: both directions are asked for.
        """
        if self.symmetric:
            raise InputError("LooC's query shares augmentations with its keys, so it cannot be a key; drop symmetric")
        left_out = self.strategy == "leave_one_out"
        keys = {
            space: "key" if space == INVARIANT or self.strategy == "invariant" else key_of(space)
            for space in self.spaces
        }
        queues = {space: self.queue(parts) for space in self.spaces}
        return LooC(
            parts.branch,
            self.target(parts),
            queues,
            parts.contrast,
            parts.plan,
            keys,
            dependent=self.designated if left_out else (),
            masked=self.mask_coincident,
        )


class LooC(nn.Module):
    """MoCo in several spaces at once, each with a head, a positive key view and a queue of its own (Eq. 2).

    In the space of a designated augmentation the other keys of the same image are negatives of its query: they do not
    share the augmentation, unless it happens to be drawn alike (`masked` drops those; the paper keeps them). Every key
    view is a forward of its own, so that batch statistics tell nothing of an image's other keys.

    Args:
        branch: with a head for each space.
        target: its moving average.
        queues: by space.
        contrast: of every space.
        plan: of the views.
        keys: the key view that is the positive in each space.
        dependent: the spaces with negatives of the same image; their names are the augmentations.
        masked: drop such negatives where they share the augmentation.
    """

    def __init__(
        self,
        branch: Branch,
        target: MomentumBranch,
        queues: Mapping[str, Queue],
        contrast: Contrast,
        plan: Plan,
        keys: Mapping[str, str],
        *,
        dependent: tuple[str, ...] = (),
        masked: bool = False,
    ) -> None:
        super().__init__()
        self.online = branch
        self.target = target
        self.queues = nn.ModuleDict(queues)
        self.contrast = contrast
        self.plan = plan
        self.keys = keys
        self.dependent = dependent
        self.masked = masked

    def forward(self, views: Mapping[str, Tensor], draw: Draw) -> Step:
        """Compare the query view, [B, 3, S, S], with its key views, in every space."""
        keys = {name: self.target(views[name], draw) for name in dict.fromkeys(self.keys.values())}
        queries = self.online(views["query"])
        compared = {space: self._compare(space, queries[space], keys, draw) for space in self.keys}
        loss = torch.stack([comparison.loss for comparison in compared.values()]).mean()
        return Step(loss, compared, draw, {space: keys[name][space] for space, name in self.keys.items()})

    def _compare(
        self, space: str, query: Float[Tensor, "B D"], keys: Mapping[str, Mapping[str, Tensor]], draw: Draw
    ) -> Comparison:
        """One space's term of Eq. 2."""
        positive, own, excluded = self.keys[space], None, None
        if space in self.dependent:
            others = [name for name in keys if name != positive]
            own = torch.stack([keys[name][space] for name in others], 1)
            excluded = self._coincident(space, others, draw).to(own.device, non_blocking=True) if self.masked else None
        stored = self.queues[space].keys
        assert isinstance(stored, Tensor)
        return self.contrast(Pairs(query, keys[positive][space], stored, own=own, own_excluded=excluded), draw)

    def _coincident(self, group: str, others: list[str], draw: Draw) -> Bool[Tensor, "B J"]:
        """Which of the other keys share the query's augmentation by chance."""
        if "query" not in draw.drawn:
            raise InputError("coincident augmentations are masked by what was drawn; give the step's `drawn` in Draw")
        return torch.stack([draw.drawn["query"].agrees(draw.drawn[name], group) for name in others], 1)

    def after_step(self, *steps: Step) -> None:
        """Move the key branch; enqueue each space's raw positive keys."""
        for step in steps:
            for space, keys in step.kept.items():
                queue = self.queues[space]
                assert isinstance(queue, Queue)
                queue.enqueue(keys)
        self.target.follow(self.online, steps[0].draw.step)
