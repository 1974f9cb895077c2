"""Which view is compared with which, by loops over views and images.

B images, S view size, D dimensions.
"""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pairlens.losses import info_nce
from pairlens.methods.crossed import GLOBAL, batch_pairs, crossed, encode_together, same_image, stored_pairs
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import linear_head
from pairlens.pairs import score

B, S, D = 4, 16, 5
VIEWS = ("query", "key", "local_1", "local_2", "local_3")


def embeddings(names: tuple[str, ...]) -> dict[str, Tensor]:
    """Unit vectors of every view, in float64."""
    generator = torch.Generator().manual_seed(len(names))
    return {name: F.normalize(torch.randn(B, D, generator=generator, dtype=torch.float64), dim=1) for name in names}


def test_two_views_are_compared_both_ways_and_with_one_key_one_way() -> None:
    assert crossed(GLOBAL, GLOBAL) == [("query", "key"), ("key", "query")]
    assert crossed(["query"], ["key"]) == [("query", "key")]
    assert crossed(["query", "key"], ["key"]) == [("query", "key")]


def test_local_views_are_queries_of_both_large_ones_and_never_keys() -> None:
    found = crossed(VIEWS, GLOBAL)
    assert len(found) == len(set(found)) == 2 + 2 * 3
    assert {key for _, key in found} == set(GLOBAL)
    assert set(found) == {(q, k) for q, k in product(VIEWS, GLOBAL) if q != k}


@pytest.mark.parametrize(
    ("queries", "keys"),
    [(GLOBAL, GLOBAL), (("query",), ("key",)), (VIEWS, GLOBAL), (("query", "local_1"), ("key",)), (VIEWS, ("key",))],
)
def test_batch_pairs_are_those_of_the_loop_over_views_and_images(
    queries: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    z = embeddings(VIEWS)
    found = batch_pairs({name: z[name] for name in queries}, {name: z[name] for name in keys})
    assert found.excluded is not None
    row = 0
    for q in queries:
        for k in keys:
            if q == k:
                continue
            for i in range(B):
                assert torch.equal(found.query[row], z[q][i])
                assert torch.equal(found.key[row], z[k][i])
                kept = found.negatives[~found.excluded[row]]
                others = [z[name][j] for name in keys for j in range(B) if j != i]
                assert torch.equal(kept, torch.stack(others))
                row += 1
    assert row == len(found.query) == len(found.key) == len(found.excluded)


@pytest.mark.parametrize(("queries", "keys"), [(GLOBAL, GLOBAL), (VIEWS, GLOBAL), (VIEWS, ("key",))])
def test_stored_pairs_compare_the_same_views_with_negatives_that_all_share(
    queries: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    z, stored = embeddings(VIEWS), embeddings(("stored",))["stored"]
    given = {name: z[name] for name in queries}, {name: z[name] for name in keys}
    found, other = stored_pairs(*given, stored), batch_pairs(*given)
    assert torch.equal(found.query, other.query)
    assert torch.equal(found.key, other.key)
    assert torch.equal(found.negatives, stored)
    assert found.excluded is None


@pytest.mark.parametrize(("batch", "queries", "keys"), [(1, 1, 1), (3, 2, 2), (2, 5, 2), (4, 1, 2)])
def test_same_image_marks_the_views_of_an_image(batch: int, queries: int, keys: int) -> None:
    found = same_image(batch, queries, keys, torch.device("cpu"))
    assert found.tolist() == [[r % batch == c % batch for c in range(batch * keys)] for r in range(batch * queries)]
    assert (found.sum(1) == keys).all()


def branch_of() -> Branch:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    return Branch(encoder, {"z": linear_head(encoder.features, D, generator)})


def views_of() -> dict[str, Tensor]:
    """Views of two sizes, not in the order of their sizes."""
    generator = torch.Generator().manual_seed(1)
    sizes = {"query": S, "local_1": S // 2, "key": S, "local_2": S // 2}
    return {name: torch.randn(B, 3, size, size, generator=generator) for name, size in sizes.items()}


def test_views_of_one_size_are_encoded_and_normalised_together() -> None:
    branch, views = branch_of(), views_of()
    seen: list[torch.Size] = []
    branch.register_forward_hook(lambda branch, given, z: seen.append(given[0].shape))
    found = encode_together(branch, views)
    assert list(found) == list(views)
    assert seen == [(2 * B, 3, S, S), (2 * B, 3, S // 2, S // 2)]
    for names in (("query", "key"), ("local_1", "local_2")):
        expected = branch_of()(torch.cat([views[name] for name in names]))["z"]
        torch.testing.assert_close(torch.cat([found[name] for name in names]), expected)


def test_a_view_alone_is_encoded_the_same_where_nothing_is_normalised_over_the_batch() -> None:
    branch, views = branch_of().eval(), views_of()
    for name, z in encode_together(branch, views).items():
        torch.testing.assert_close(z, branch(views[name])["z"])


def test_gradients_reach_every_view() -> None:
    views = {name: view.requires_grad_() for name, view in views_of().items()}
    z = encode_together(branch_of().eval(), views)
    loss = info_nce(score(batch_pairs(z, {name: z[name] for name in GLOBAL})), 0.2)
    gradients = torch.autograd.grad(loss, list(views.values()))
    assert all((gradient.flatten(1).abs().amax(1) > 0).all() for gradient in gradients)
