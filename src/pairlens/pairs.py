"""The contract of the house: what is compared, how alike it is, and what came of it.

B queries, K shared negatives, J own negatives of each query, D dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pairlens.draw import Draw


@dataclass(frozen=True)
class Pairs:
    """What one embedding space compares in one step. Rows are unit vectors until a transform says otherwise."""

    query: Float[Tensor, "B D"]
    key: Float[Tensor, "B D"]  # the positive of each query
    negatives: Float[Tensor, "K D"]  # shared by all queries
    excluded: Bool[Tensor, "B K"] | None = None  # True: this shared negative is none of this query's
    own: Float[Tensor, "B J D"] | None = None  # negatives of one query only (LooC, Eq. 2)
    anchor: Float[Tensor, "B D"] | None = None  # what negatives are scored with; None: the query
    own_excluded: Bool[Tensor, "B J"] | None = None  # True: this own negative is none, either


@dataclass(frozen=True)
class Scores:
    """Cosines (inner products, where a transform left the unit sphere): what a loss is a function of."""

    positive: Float[Tensor, "B"]
    negative: Float[Tensor, "B M"]  # M = K + J: shared negatives first, own ones after
    excluded: Bool[Tensor, "B M"] | None = None


Transform = Callable[[Pairs, Draw], Pairs]
Select = Callable[[Scores, Scores, Draw], Scores]  # of the scores, of those that are mined by, and the draw
Loss = Callable[[Scores, float], Tensor]  # of the scores and the temperature
Mining = Literal["transformed", "raw"]


def identity(pairs: Pairs, draw: Draw) -> Pairs:
    """The transform that does nothing."""
    return pairs


def score(pairs: Pairs) -> Scores:
    """Inner products of each query with its key and with its negatives (FT, Section 3.1).

    Autocast is off here: temperatures amplify rounding, so scores keep the embeddings' own precision.
    """
    anchor = pairs.query if pairs.anchor is None else pairs.anchor
    with torch.autocast(pairs.query.device.type, enabled=False):
        positive = (pairs.query * pairs.key).sum(1)
        negative = anchor @ pairs.negatives.T
        if pairs.own is not None:
            own = torch.einsum("bd,bjd->bj", anchor, pairs.own)
            negative = torch.cat([negative, own], 1)
    return Scores(positive, negative, _excluded(pairs))


def _excluded(pairs: Pairs) -> Bool[Tensor, "B M"] | None:
    """Which negatives are none of each query's: shared ones first, own ones after; None where all are."""
    shared, own = pairs.excluded, pairs.own_excluded
    if pairs.own is None or (shared is None and own is None):
        return shared
    batch, device = len(pairs.query), pairs.query.device
    none = partial(torch.zeros, dtype=torch.bool, device=device)
    shared = none(batch, len(pairs.negatives)) if shared is None else shared
    return torch.cat([shared, none(pairs.own.shape[:2]) if own is None else own], 1)


@dataclass(frozen=True)
class Comparison:
    """What one space did in one step; observers read it, nothing writes to it."""

    raw: Pairs  # as the method made them
    transformed: Pairs  # as the loss saw them; the same object where there is no transform
    scores: Scores  # of the transformed pairs, after selection
    loss: Float[Tensor, ""]
    temperature: float
    selected: bool = False  # whether negatives were selected

    @property
    def is_transformed(self) -> bool:
        """Whether a transform or a selection changed anything."""
        return self.selected or self.transformed is not self.raw


@dataclass(frozen=True)
class Step:
    """What a method returns: the loss to descend, and one comparison per embedding space."""

    loss: Float[Tensor, ""]
    comparisons: Mapping[str, Comparison]
    draw: Draw  # what it was made with
    kept: Mapping[str, Tensor] = field(default_factory=dict)  # what the method wants back in `after_step`


@dataclass(frozen=True)
class Contrast:
    """Transform, score, select, loss: everything that one embedding space does with its pairs."""

    loss: Loss
    temperature: float
    transform: Transform = identity
    select: Select | None = None
    mine_on: Mining = "transformed"  # the scores that `select` ranks negatives by

    def __call__(self, pairs: Pairs, draw: Draw) -> Comparison:
        """Compare the pairs of one step."""
        transformed = self.transform(pairs, draw)
        scores = score(transformed)
        if self.select is not None:
            mined = scores
            if self.mine_on == "raw" and transformed is not pairs:
                with torch.no_grad():
                    mined = score(pairs)
            scores = self.select(scores, mined, draw)
        loss = self.loss(scores, self.temperature)
        return Comparison(pairs, transformed, scores, loss, self.temperature, self.select is not None)
