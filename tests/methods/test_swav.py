"""SwAV: what codes are made of, what learns and what stays.

B images, S view size, D dimensions, P prototypes.
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.methods import Method, Parts
from pairlens.methods.crossed import encode_together
from pairlens.methods.swav import SwAV, SwAVSettings, sinkhorn, swapped_prediction
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import linear_head
from pairlens.optim import OptimizerName, make_optimizer
from pairlens.pairs import Contrast, Transform, identity
from pairlens.transforms import positive_extrapolation
from pairlens.views.plans import Augmentation, two_views

B, S, D, P = 6, 16, 8, 5


def swav_of(transform: Transform = identity, **settings: Any) -> SwAV:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    branch = Branch(encoder, {"z": linear_head(encoder.features, D, generator)})
    images = ImageSet(torch.zeros(B, 3, S, S, dtype=torch.uint8), torch.full((B, 2), S), [""] * B)
    chosen = SwAVSettings(**{"prototypes": P, **settings})
    contrast = Contrast(chosen.loss(), chosen.temperature, transform)
    state = torch.Generator().manual_seed(1)
    return chosen.build(Parts(branch, two_views(Augmentation()), contrast, images, D, 10, False, generator, state))


def views_of(seed: int = 1, small: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    views = {name: torch.randn(B, 3, S, S, generator=generator) for name in ("query", "key")}
    return views | {f"local_{i + 1}": torch.randn(B, 3, 8, 8, generator=generator) for i in range(small)}


def scaled(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Sinkhorn's algorithm on the exponentials themselves, in float64: prototypes first, samples last."""
    codes = (scores.double() / epsilon).exp()
    for _ in range(iterations):
        codes = codes / codes.sum(0, keepdim=True)
        codes = codes / codes.sum(1, keepdim=True)
    return codes


def unit(rows: int, seed: int, dim: int = D) -> Tensor:
    return F.normalize(torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_codes_are_those_of_the_exponentials_and_sum_to_1(rows: int, columns: int, iterations: int, seed: int) -> None:
    scores = unit(rows, seed) @ unit(columns, seed + 1).T
    codes = sinkhorn(scores, 0.05, iterations)
    torch.testing.assert_close(codes.double(), scaled(scores, 0.05, iterations), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(codes.sum(1), torch.ones(rows))


@pytest.mark.parametrize(("rows", "columns"), [(12, 4), (32, 32), (7, 20)])
def test_in_the_limit_all_prototypes_are_used_alike(rows: int, columns: int) -> None:
    codes = sinkhorn(unit(rows, 0) @ unit(columns, 1).T, 0.05, 2000)
    torch.testing.assert_close(codes.sum(0), torch.full((columns,), rows / columns), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(codes.sum(1), torch.ones(rows))


def test_codes_stay_finite_where_exponentials_do_not() -> None:
    codes = sinkhorn(50 * unit(9, 0) @ unit(6, 1).T, 0.01, 3)
    assert codes.isfinite().all()
    torch.testing.assert_close(codes.sum(1), torch.ones(9))


@pytest.mark.parametrize("small", [0, 2])
def test_every_view_predicts_the_codes_of_the_other_large_views(make_draw, small: int) -> None:
    method = swav_of()
    assert isinstance(method, Method)
    views = views_of(small=small)
    step = method(views, make_draw(B))
    with torch.no_grad():
        z = encode_together(method.online, views)
        codes = {name: scaled(z[name] @ method.prototypes.T, 0.05, 3) for name in ("query", "key")}
        losses = [
            -(codes[key][b] * (z[query][b] @ method.prototypes.T / 0.1).double().log_softmax(0)).sum()
            for query in views
            for key in codes
            if query != key
            for b in range(B)
        ]
    assert len(losses) == (2 + 2 * small) * B
    assert step.loss.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-4)
    comparison = step.comparisons["z"]
    assert comparison.loss is step.loss
    assert comparison.scores.positive.shape == (len(losses),)
    torch.testing.assert_close(comparison.scores.positive[:B], (z["query"] * z["key"]).sum(1))


def test_views_of_one_size_are_one_batch(make_draw) -> None:
    method, seen = swav_of(), []
    method.online.encoder.register_forward_hook(lambda module, inputs, output: seen.append(tuple(inputs[0].shape)))
    method(views_of(small=3), make_draw(B))
    assert seen == [(2 * B, 3, S, S), (3 * B, 3, 8, 8)]


def test_codes_come_from_features_as_they_are_and_predictions_from_transformed_ones(make_draw) -> None:
    method = swav_of(positive_extrapolation(2.0, renormalise=True))
    step = method(views_of(), make_draw(B))
    comparison = step.comparisons["z"]
    assert (comparison.raw.query - comparison.transformed.query).abs().max() > 0.01

    def loss_of(query: Tensor, coded: Tensor) -> float:
        codes = torch.cat([sinkhorn(z @ method.prototypes.T, 0.05, 3) for z in coded.chunk(2)])
        return swapped_prediction(query, codes, method.prototypes, 0.1).item()

    assert step.loss.item() == pytest.approx(loss_of(comparison.transformed.query, comparison.raw.key), rel=1e-5)
    assert step.loss.item() != pytest.approx(
        loss_of(comparison.transformed.query, comparison.transformed.key), rel=1e-3
    )
    assert step.loss.item() != pytest.approx(swav_of()(views_of(), make_draw(B)).loss.item(), rel=1e-3)


def test_no_gradient_flows_through_codes(make_draw) -> None:
    method = swav_of()
    step = method(views_of(), make_draw(B))
    raw = step.comparisons["z"].raw
    assert not raw.key.requires_grad
    step.loss.backward()
    query, prototypes = raw.query.detach(), method.prototypes.detach().clone().requires_grad_()
    codes = torch.cat([scaled(z @ prototypes.detach().T, 0.05, 3) for z in raw.key.chunk(2)]).float()
    swapped_prediction(query, codes, prototypes, 0.1).backward()
    torch.testing.assert_close(method.prototypes.grad, prototypes.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lars"])
def test_frozen_prototypes_stay_bit_for_bit_and_learn_afterwards(make_draw, optimizer: OptimizerName) -> None:
    method = swav_of(freeze_prototypes=2)
    first, weight = method.prototypes.detach().clone(), method.online.encoder.conv1.weight.detach().clone()
    descent = make_optimizer(optimizer, method, lr=0.5, weight_decay=0.1)
    for i in range(3):
        step = method(views_of(seed=i), make_draw(B, step=i))
        step.loss.backward()
        descent.step()
        method.after_step(step)
        descent.zero_grad()
        assert torch.equal(method.prototypes, first) == (i < 2)
        assert not torch.equal(method.online.encoder.conv1.weight, weight)
    torch.testing.assert_close(method.prototypes.norm(dim=1), torch.ones(P))


def test_the_prototypes_start_as_different_unit_vectors() -> None:
    prototypes = swav_of().prototypes
    torch.testing.assert_close(prototypes.norm(dim=1), torch.ones(P))
    assert (prototypes @ prototypes.T).fill_diagonal_(0).abs().max() < 0.99


def test_stored_features_help_with_the_codes_when_they_are_enough_and_it_is_time(make_draw) -> None:
    stored, z = unit(2 * B, 5), unit(B, 6)
    for epoch, count, helps in ((0, 2 * B, False), (1, 2 * B - 1, False), (1, 2 * B, True), (2, 2 * B, True)):
        method = swav_of(codes_queue=2 * B, queue_start=1)
        method.stores["key"].enqueue(stored[:count])
        rows = torch.cat([z, stored]) if helps else z
        expected = scaled(rows @ method.prototypes.detach().T, 0.05, 3)[:B]
        codes = method.codes("key", z, make_draw(B, epoch=epoch))
        torch.testing.assert_close(codes.double(), expected, rtol=1e-4, atol=1e-6)


def test_parts_of_one_step_fill_the_store_together(make_draw) -> None:
    method = swav_of(codes_queue=2 * B)
    method.after_step(*[method(views_of(seed=i), make_draw(B)) for i in (1, 2)])
    z, stored = unit(B, 6), method.stores["key"].keys
    expected = scaled(torch.cat([z, stored]) @ method.prototypes.detach().T, 0.05, 3)[:B]
    codes = method.codes("key", z, make_draw(B, step=1))
    torch.testing.assert_close(codes.double(), expected, rtol=1e-4, atol=1e-6)


def test_raw_features_of_every_part_are_stored_by_view(make_draw) -> None:
    method = swav_of(positive_extrapolation(2.0), codes_queue=2 * B)
    steps = [method(views_of(seed=i), make_draw(B)) for i in (1, 2)]
    method.after_step(*steps)
    z = [encode_together(method.online, views_of(seed=i)) for i in (1, 2)]
    for view in ("query", "key"):
        torch.testing.assert_close(method.stores[view].keys, torch.cat([part[view] for part in z]).detach())


def test_a_state_dict_holds_prototypes_and_stored_features() -> None:
    names = set(swav_of(codes_queue=4).state_dict())
    assert {"prototypes", "stores.query.keys", "stores.key.keys", "stores.key.enqueued"} <= names


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prototypes": 1}, "give no codes; use 2 prototypes"),
        ({"epsilon": 0.0}, "give no codes"),
        ({"epsilon": float("nan")}, "give no codes"),
        ({"sinkhorn": 0}, "give no codes"),
        ({"codes_queue": -1}, "cannot be negative"),
        ({"freeze_prototypes": -1}, "cannot be negative"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        swav_of(**wrong)
