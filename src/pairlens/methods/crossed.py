"""Which view is compared with which: the rule that every method of several views shares.

B images, D dimensions, K stored negatives, V comparisons of views.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pairlens.nets.branch import Branch
from pairlens.pairs import Pairs

GLOBAL = ("query", "key")
"""The two large views of an image; whatever else a plan draws is a local view, which is only ever a query."""


def crossed(queries: Iterable[str], keys: Iterable[str]) -> list[tuple[str, str]]:
    """Every query view with every key view but itself (multi-crop: SwAV, Section 3.2).

    With two views it is the usual comparison in both directions, or in one where there is but one key view.
    """
    return [(query, key) for query in queries for key in keys if query != key]


def batch_pairs(queries: Mapping[str, Float[Tensor, "B D"]], keys: Mapping[str, Float[Tensor, "B D"]]) -> Pairs:
    """Pairs of every query view with every key view but itself, of [V*B, D]; negatives are other images' key views.

    Excluded are all views of the query's own image, itself among them where it is a key view, too.
    """
    pairs = stored_pairs(queries, keys, torch.cat(list(keys.values())))
    batch = len(next(iter(keys.values())))
    return replace(pairs, excluded=same_image(batch, len(pairs.query) // batch, len(keys), pairs.query.device))


def stored_pairs(
    queries: Mapping[str, Float[Tensor, "B D"]],
    keys: Mapping[str, Float[Tensor, "B D"]],
    negatives: Float[Tensor, "K D"],
) -> Pairs:
    """Pairs of every query view with every key view but itself, of [V*B, D]; negatives are stored ones, for all."""
    couples = crossed(queries, keys)
    query, key = torch.cat([queries[q] for q, _ in couples]), torch.cat([keys[k] for _, k in couples])
    return Pairs(query, key, negatives)


def same_image(batch: int, queries: int, keys: int, device: torch.device) -> Bool[Tensor, "rows columns"]:
    """Which of `keys` views of each image belong to the image of each of `queries` comparisons."""
    image = torch.arange(batch, device=device)
    return image.repeat(queries)[:, None] == image.repeat(keys)[None, :]


def encode_together(branch: Branch, views: Mapping[str, Tensor]) -> dict[str, Float[Tensor, "B D"]]:
    """Unit embeddings of every view; views of one size go through the branch, and its normalisation, as one batch.

    So a head that is normalised runs once for each size, too, where SwAV's authors run it once over all crops.
    """
    sizes = {name: view.shape[-1] for name, view in views.items()}
    embedded: dict[str, Tensor] = {}
    for size in dict.fromkeys(sizes.values()):
        alike = [name for name in views if sizes[name] == size]
        z = branch(torch.cat([views[name] for name in alike]))["z"]
        embedded |= dict(zip(alike, z.chunk(len(alike)), strict=True))
    return {name: embedded[name] for name in views}
