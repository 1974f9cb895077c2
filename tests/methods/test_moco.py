"""MoCo: what the key branch and the queue do, and what they do not.

B images, S view size, D dimensions, K queued keys.
"""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.losses import info_nce
from pairlens.methods import Method
from pairlens.methods.moco import MoCo
from pairlens.negatives import Queue
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import linear_head
from pairlens.nets.momentum import MomentumBranch, update_momentum
from pairlens.nets.norm import SplitBatchNorm2d
from pairlens.pairs import Contrast, Transform, identity
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


def views_of(seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(B, 3, S, S, generator=generator) for name in ("query", "key")}


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


def test_momentum_leaves_buffers_alone() -> None:
    online, target = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    online.running_mean.fill_(5)
    update_momentum(online, target, 0.0)
    assert (target.running_mean == 0).all()


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
