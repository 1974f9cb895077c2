"""Un-Mix: MoCo's loss, and that of mixtures with both of their images' keys.

B images, S view size, D dimensions, K queued keys.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.draw import beta
from pairlens.errors import InputError
from pairlens.methods import Method, Parts
from pairlens.methods.moco import MoCoSettings
from pairlens.methods.unmix import UnMix, UnMixSettings
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import linear_head
from pairlens.pairs import Contrast, Pairs, Transform, identity
from pairlens.transforms import chain, negative_interpolation, positive_extrapolation
from pairlens.views.mixing import draw_share, mix_reversed
from pairlens.views.plans import Augmentation, two_views

B, S, D, K = 5, 16, 8, 20
FT = chain(positive_extrapolation(2.0), negative_interpolation(1.6))


def method_of(settings: MoCoSettings, transform: Transform = identity) -> Method:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    branch = Branch(encoder, {"z": linear_head(encoder.features, D, generator)})
    images = ImageSet(torch.zeros(B, 3, S, S, dtype=torch.uint8), torch.full((B, 2), S), [""] * B)
    contrast = Contrast(settings.loss(), 0.2, transform)
    state = torch.Generator().manual_seed(1)
    return settings.build(Parts(branch, two_views(Augmentation()), contrast, images, D, 10, False, generator, state))


def unmix_of(transform: Transform = identity, **settings: Any) -> UnMix:
    method = method_of(UnMixSettings(negatives=K, momentum=0.9, **settings), transform)
    assert isinstance(method, UnMix)
    return method


def views_of(seed: int = 1, small: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    views = {name: torch.randn(B, 3, S, S, generator=generator) for name in ("query", "key")}
    return views | {f"local_{i + 1}": torch.randn(B, 3, 8, 8, generator=generator) for i in range(small)}


def info_nce(query: Tensor, key: Tensor, negatives: Tensor) -> float:
    losses = []
    for q, k in zip(query.double(), key.double(), strict=True):
        logits = torch.stack([q @ k, *(q @ n for n in negatives.double())]) / 0.2
        losses.append(-logits.log_softmax(0)[0])
    return torch.stack(losses).mean().item()


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_the_loss_is_that_of_the_authors_two_mixtures(make_draw, cut: float) -> None:
    method, views = unmix_of(cut=cut), views_of()
    assert isinstance(method, Method)
    queue, keys = method.queue.keys.clone(), method.target(views["key"], make_draw(B))["z"]
    generator = make_draw(B).features
    share, lam = draw_share(beta(1.0, (), generator), S, cut, generator)
    mixed = mix_reversed(views["query"], share)
    with torch.no_grad():
        plain, first, second = (method.online(v)["z"] for v in (views["query"], mixed, mixed.flip(0)))
    expected = info_nce(plain, keys, queue)
    expected += lam.item() * info_nce(first, keys, queue) + (1 - lam.item()) * info_nce(second, keys, queue)
    assert 0.05 < lam < 0.95
    assert method(views, make_draw(B)).loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_at_lambda_1_the_loss_is_twice_the_plain_one(make_draw, monkeypatch, cut: float) -> None:
    monkeypatch.setattr("pairlens.methods.unmix.beta", lambda alpha, shape, generator: torch.ones(shape))
    step = unmix_of(cut=cut)(views_of(), make_draw(B))
    assert torch.equal(step.loss, 2 * step.comparisons["z"].loss)


@pytest.mark.parametrize("small", [0, 2])
@pytest.mark.parametrize("symmetric", [False, True])
def test_what_is_recorded_is_the_comparison_of_moco(make_draw, symmetric: bool, small: int) -> None:
    views = views_of(small=small)
    moco = method_of(MoCoSettings(negatives=K, momentum=0.9, symmetric=symmetric), FT)
    expected = moco(views, make_draw(B)).comparisons["z"]
    step = unmix_of(FT, symmetric=symmetric)(views, make_draw(B))
    assert list(step.comparisons) == ["z"]
    assert torch.equal(step.comparisons["z"].loss, expected.loss)
    assert torch.equal(step.comparisons["z"].transformed.key, expected.transformed.key)
    assert step.loss > expected.loss


def test_the_transform_acts_on_the_plain_comparison_alone(make_draw) -> None:
    seen: list[Pairs] = []

    def spy(pairs: Pairs, draw: object) -> Pairs:
        seen.append(pairs)
        return pairs

    unmix_of(spy)(views_of(), make_draw(B))
    assert len(seen) == 1


@pytest.mark.parametrize(("symmetric", "encoded"), [(False, [S, 8, 8, S]), (True, [S, S, 8, 8, S, S])])
def test_large_query_views_are_mixed_and_local_ones_are_not(make_draw, symmetric: bool, encoded: list[int]) -> None:
    method, seen = unmix_of(symmetric=symmetric), []
    method.online.encoder.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape[-1]))
    method(views_of(small=2), make_draw(B))
    assert seen == encoded


def test_symmetric_mixtures_are_compared_with_the_other_views_keys(make_draw, monkeypatch) -> None:
    monkeypatch.setattr("pairlens.methods.unmix.beta", lambda alpha, shape, generator: torch.ones(shape))
    step = unmix_of(symmetric=True)(views_of(), make_draw(B))
    assert step.comparisons["z"].raw.query.shape == (2 * B, D)
    assert torch.equal(step.loss, 2 * step.comparisons["z"].loss)


def test_the_mixture_teaches_the_branch(make_draw) -> None:
    method = unmix_of()
    step = method(views_of(), make_draw(B))
    weight = method.online.encoder.conv1.weight
    (whole,) = torch.autograd.grad(step.loss, weight, retain_graph=True)
    (plain,) = torch.autograd.grad(step.comparisons["z"].loss, weight)
    assert (whole - plain).norm() > 0.1 * plain.norm()


def test_shares_are_drawn_from_the_features_generator_only(make_draw) -> None:
    before, draw = torch.get_rng_state(), make_draw(B)
    losses = [unmix_of()(views_of(), d).loss.item() for d in (draw, make_draw(B), make_draw(B, seed=3))]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(draw.views.get_state(), make_draw(B).views.get_state())


def test_raw_keys_of_every_part_are_queued_and_the_key_branch_moves_once(make_draw) -> None:
    method = unmix_of(FT)
    steps = [method(views_of(seed=i), make_draw(B)) for i in (1, 2)]
    with torch.no_grad():
        for p in method.online.parameters():
            p.add_(1.0)
    before = [p.clone() for p in method.target.parameters()]
    method.after_step(*steps)
    raw = torch.cat([step.comparisons["z"].raw.key for step in steps])
    assert torch.equal(method.queue.keys[: 2 * B], raw)
    for old, new in zip(before, method.target.parameters(), strict=True):
        torch.testing.assert_close(new - old, torch.full_like(old, 0.1))


@pytest.mark.parametrize("wrong", [{"mix_alpha": 0.0}, {"mix_alpha": float("nan")}, {"cut": -0.1}, {"cut": 1.1}])
def test_settings_that_cannot_be_used_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="images cannot be mixed with"):
        unmix_of(**wrong)
