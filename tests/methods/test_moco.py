"""MoCo: what the key branch and the queue do, and what they do not.

B images, S view size, D dimensions, K queued keys.
"""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.losses import info_nce
from pairlens.methods import Method
from pairlens.methods.crossed import batch_pairs
from pairlens.methods.moco import MoCo
from pairlens.negatives import Queue
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import linear_head
from pairlens.nets.momentum import MomentumBranch
from pairlens.nets.norm import SplitBatchNorm2d
from pairlens.pairs import Contrast, Scores, Transform, identity
from pairlens.transforms import chain, negative_interpolation, positive_extrapolation
from pairlens.views.plans import Augmentation, two_views

B, S, D, K = 8, 16, 6, 20


def moco_of(
    *,
    splits: int = 1,
    shuffle: bool = False,
    momentum: float = 0.9,
    symmetric: bool = False,
    transform: Transform = identity,
) -> MoCo:
    generator = torch.Generator().manual_seed(0)
    norm = partial(SplitBatchNorm2d, splits=splits)
    encoder = make_encoder("resnet8w", stem="small", norm=norm, generator=generator)
    branch = Branch(encoder, {"z": linear_head(encoder.features, D, generator)})
    contrast = Contrast(info_nce, 0.2, transform)
    queue = Queue(K, D, generator)
    target = MomentumBranch(branch, momentum, shuffle=shuffle)
    return MoCo(branch, target, queue, contrast, two_views(Augmentation()), symmetric=symmetric)


def views_of(seed: int = 1, local: int = 0) -> dict[str, Tensor]:
    """Two large views, and so many local ones."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"query": S, "key": S} | {f"local_{i + 1}": S // 2 for i in range(local)}
    return {name: torch.randn(B, 3, size, size, generator=generator) for name, size in sizes.items()}


def test_it_is_a_method_whose_loss_is_infonce_of_the_branches_features(make_draw) -> None:
    method = moco_of()
    assert isinstance(method, Method)
    views = views_of()
    step = method(views, make_draw(B))
    with torch.no_grad():
        query, key = (
            method.online(views["query"])["z"].double(),
            method.target(views["key"], make_draw(B))["z"].double(),
        )
    keys = method.queue.keys.double()
    losses = []
    for i in range(B):
        logits = torch.tensor([float(query[i] @ key[i])] + [float(query[i] @ keys[k]) for k in range(K)]) / 0.2
        losses.append(-torch.log_softmax(logits, 0)[0])
    assert step.loss.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)
    assert step.comparisons["z"].loss is step.loss


def test_the_key_branch_starts_as_a_copy_and_gets_no_gradient(make_draw) -> None:
    method = moco_of()
    for (name, online), target in zip(method.online.named_parameters(), method.target.parameters(), strict=True):
        assert torch.equal(online, target), name
        assert online.data_ptr() != target.data_ptr()
    step = method(views_of(), make_draw(B))
    assert not step.comparisons["z"].raw.key.requires_grad
    step.loss.backward()
    assert all(p.grad is None and not p.requires_grad for p in method.target.parameters())
    assert all(p.grad is not None for p in method.online.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99, 1.0])
def test_momentum_moves_the_key_branch(make_draw, momentum: float) -> None:
    method = moco_of(momentum=momentum)
    step = method(views_of(), make_draw(B))
    with torch.no_grad():
        for p in method.online.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    before = [p.clone() for p in method.target.parameters()]
    method.after_step(step)
    rows = zip(before, method.online.parameters(), method.target.parameters(), strict=True)
    for old, online, new in rows:
        expected = momentum * old.double() + (1 - momentum) * online.double()
        torch.testing.assert_close(new.double(), expected, rtol=1e-5, atol=1e-6)
        if momentum in (0, 1):  # exactly
            assert torch.equal(new, old if momentum == 1 else online)


@pytest.mark.parametrize("momentum", [-0.1, 1.1, 2.0, float("nan")])
def test_a_momentum_outside_zero_to_one_is_refused(momentum: float) -> None:
    with pytest.raises(InputError, match=r"momentum must lie in \[0, 1\]"):
        moco_of(momentum=momentum)


def test_buffers_of_the_key_branch_move_by_its_own_views_only(make_draw) -> None:
    method = moco_of(momentum=0.0)
    views = views_of()
    step = method(views, make_draw(B))
    method.after_step(step)
    convolved = F.conv2d(views["key"], method.target.branch.encoder.conv1.weight, stride=2, padding=1)
    expected = 0.1 * convolved.mean((0, 2, 3))
    torch.testing.assert_close(method.target.branch.encoder.bn1.running_mean, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(method.online.encoder.bn1.running_mean, expected, atol=1e-3)


def test_the_queue_holds_the_raw_keys_newest_last_whatever_the_transform(make_draw) -> None:
    transform = chain(positive_extrapolation(2.0), negative_interpolation(1.6))
    method = moco_of(transform=transform)
    first = method.queue.keys.clone()
    enqueued = []
    for i in range(3):  # 24 keys through a queue of 20
        draw = make_draw(B, step=i, seed=i)
        step = method(views_of(seed=i), draw)
        comparison = step.comparisons["z"]
        assert torch.equal(comparison.raw.negatives, method.queue.keys)
        assert not torch.allclose(comparison.transformed.key, comparison.raw.key, atol=1e-3)
        method.after_step(step)
        enqueued.append(comparison.raw.key)
        if i == 0:
            assert torch.equal(method.queue.keys[B:], first[B:])
    position = int(method.queue.position)
    assert position == 24 % K
    oldest_first = method.queue.keys.roll(-position, 0)
    assert torch.equal(oldest_first, torch.cat(enqueued)[-K:])
    torch.testing.assert_close(oldest_first.norm(dim=1), torch.ones(K))


def test_keys_of_several_parts_are_enqueued_in_their_order_and_the_branch_moves_once(make_draw) -> None:
    method = moco_of(momentum=0.5)
    steps = [method(views_of(seed=i), make_draw(B)) for i in (1, 2)]
    with torch.no_grad():
        for p in method.online.parameters():
            p.add_(1.0)
    before = [p.clone() for p in method.target.parameters()]
    method.after_step(*steps)
    assert torch.equal(method.queue.keys[: 2 * B], torch.cat([s.comparisons["z"].raw.key for s in steps]))
    for old, new in zip(before, method.target.parameters(), strict=True):
        torch.testing.assert_close(new - old, torch.full_like(old, 0.5))


def keys_of(method: MoCo, draw: Draw) -> Tensor:
    return method(views_of(), draw).comparisons["z"].raw.key


def embed(method: MoCo, views: dict[str, Tensor], draw: Draw) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Every view by the online and by the key branch; in evaluation mode, so that no image knows of another."""
    with torch.no_grad():
        online = {name: method.online(view)["z"] for name, view in views.items()}
        return online, {name: method.target(view, draw)["z"] for name, view in views.items()}


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("local", [0, 2])
def test_every_query_view_is_compared_with_every_key_view_but_itself(make_draw, symmetric: bool, local: int) -> None:
    method = moco_of(symmetric=symmetric).eval()
    views = views_of(local=local)
    online, target = embed(method, views, make_draw(B))
    step = method(views, make_draw(B))
    raw, temperature, losses, row = step.comparisons["z"].raw, 0.2, [], 0
    for query in views if symmetric else [name for name in views if name != "key"]:
        for key in ("query", "key") if symmetric else ("key",):
            if query == key:
                continue
            for i in range(B):
                q, k = online[query][i], target[key][i]
                torch.testing.assert_close(raw.query[row], q)
                torch.testing.assert_close(raw.key[row], k)
                logits = torch.stack([q @ k, *(q @ n for n in method.queue.keys)]).double() / temperature
                losses.append(-torch.log_softmax(logits, 0)[0])
                row += 1
    assert row == len(raw.query) == B * ((2 if symmetric else 1) * (1 + local))
    assert step.loss.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


@pytest.mark.parametrize("symmetric", [False, True])
def test_local_views_are_never_keys_and_each_key_is_queued_once(make_draw, symmetric: bool) -> None:
    transform = chain(positive_extrapolation(2.0), negative_interpolation(1.6))
    method = moco_of(symmetric=symmetric, transform=transform).eval()
    views = views_of(local=1)
    _, target = embed(method, views, make_draw(B))
    seen: list[tuple[int, ...]] = []
    method.target.branch.register_forward_hook(lambda branch, given, z: seen.append(tuple(given[0].shape)))
    method.after_step(method(views, make_draw(B)))
    keys = [target["query"], target["key"]] if symmetric else [target["key"]]
    assert seen == [(B, 3, S, S)] * len(keys)
    assert int(method.queue.position) == B * len(keys) % K
    assert torch.equal(method.queue.keys[: B * len(keys)], torch.cat(keys))  # raw ones of both views


def test_a_queue_of_the_other_keys_makes_it_one_sided_simclr(make_draw) -> None:
    """MoCo's loss of query i with the queue {k_j, j != i} is SimCLR's with one direction and one view as keys."""
    method, views = moco_of(momentum=0.0).eval(), views_of()
    query = method.online(views["query"])["z"]
    key = method.target(views["key"], make_draw(B))["z"]
    one_sided = method.contrast(batch_pairs({"query": query}, {"key": key}), make_draw(B))
    weight = method.online.encoder.conv1.weight
    (expected,) = torch.autograd.grad(one_sided.loss, weight)
    losses, gradient = [], torch.zeros_like(weight)
    for i in range(B):
        method.queue.keys = torch.cat([key[:i], key[i + 1 :]])
        scores = method(views, make_draw(B)).comparisons["z"].scores
        kept = ~one_sided.scores.excluded[i]
        torch.testing.assert_close(scores.negative[i], one_sided.scores.negative[i][kept])
        torch.testing.assert_close(scores.positive[i], one_sided.scores.positive[i])
        rows = slice(i, i + 1)
        losses.append(info_nce(Scores(scores.positive[rows], scores.negative[rows]), 0.2))
        gradient += torch.autograd.grad(losses[-1], weight)[0] / B
    torch.testing.assert_close(torch.stack(losses).mean(), one_sided.loss)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-6)


def test_shuffling_gives_every_query_its_own_key_back(make_draw) -> None:
    plain, shuffled = (keys_of(moco_of(shuffle=shuffle), make_draw(B)) for shuffle in (False, True))
    torch.testing.assert_close(shuffled, plain, rtol=1e-4, atol=1e-5)  # one part: the order is nothing to its norm
    method = moco_of(shuffle=True, splits=2).eval()
    torch.testing.assert_close(keys_of(method, make_draw(B)), keys_of(moco_of().eval(), make_draw(B)))


def test_shuffling_changes_who_is_normalised_together(make_draw) -> None:
    plain, shuffled = (keys_of(moco_of(shuffle=shuffle, splits=2), make_draw(B)) for shuffle in (False, True))
    assert (plain - shuffled).abs().max() > 1e-3
    other = keys_of(moco_of(shuffle=True, splits=2), make_draw(B, seed=7))
    assert (other - shuffled).abs().max() > 1e-3  # another order


def test_only_shuffling_draws_and_only_from_the_features_generator(make_draw) -> None:
    for shuffle in (False, True):
        draw = make_draw(B)
        before = draw.features.get_state(), draw.views.get_state(), torch.get_rng_state()
        moco_of(shuffle=shuffle, splits=2)(views_of(), draw)
        assert torch.equal(draw.features.get_state(), before[0]) != shuffle
        assert torch.equal(draw.views.get_state(), before[1])
        assert torch.equal(torch.get_rng_state(), before[2])
