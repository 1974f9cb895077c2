"""The branch that follows another one, and the schedule of its momentum.

B images, S view size, D dimensions.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import linear_head
from pairlens.nets.momentum import MomentumBranch, MomentumSchedule, rising_momentum, update_momentum

MakeDraw = Callable[..., Draw]
B, S, D = 6, 8, 5


def branch_of(seed: int = 0) -> Branch:
    generator = torch.Generator().manual_seed(seed)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    heads = {"z": linear_head(encoder.features, D, generator), "color": linear_head(encoder.features, 3, generator)}
    return Branch(encoder, heads)


def images_of() -> Tensor:
    return torch.randn(B, 3, S, S, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("start", [0.0, 0.9, 0.996, 1.0])
def test_the_momentum_rises_along_half_a_cosine(start: float) -> None:
    """BYOL, Section 3.2: tau = 1 - (1 - tau_base) (cos(pi k / K) + 1) / 2, in float64."""
    steps = 40
    at = rising_momentum(start, steps)
    assert at(0) == pytest.approx(start, abs=1e-15)
    assert at(steps) == 1.0
    assert at(steps // 2) == pytest.approx((1 + start) / 2, abs=1e-15)
    for k in range(steps + 1):
        assert at(k) == pytest.approx(1 - (1 - start) * (math.cos(math.pi * k / steps) + 1) / 2, abs=1e-15)
        assert 0 <= at(k) <= at(k + 1) <= 1
    assert at(10 * steps) == 1.0  # a run that is made longer does not let it fall again


@pytest.mark.parametrize("steps", [0, 1])
def test_a_schedule_of_no_step_is_no_error(steps: int) -> None:
    assert 0.9 <= rising_momentum(0.9, steps)(0) <= 1


@pytest.mark.parametrize("start", [-0.1, 1.5, math.nan])
def test_a_start_outside_zero_to_one_is_refused(start: float) -> None:
    with pytest.raises(InputError, match=r"momentum must lie in \[0, 1\]"):
        rising_momentum(start, 10)


@pytest.mark.parametrize("momentum", [0.25, rising_momentum(0.25, 8)], ids=["constant", "schedule"])
def test_it_follows_by_the_momentum_of_the_step(momentum: float | MomentumSchedule) -> None:
    online = branch_of()
    target = MomentumBranch(online, momentum)
    with torch.no_grad():
        for p in online.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    for step in (0, 3, 8):
        before = [p.double() for p in target.parameters()]
        target.follow(online, step)
        m = momentum(step) if callable(momentum) else momentum
        assert callable(momentum) or m == 0.25
        for old, p, new in zip(before, online.parameters(), target.parameters(), strict=True):
            torch.testing.assert_close(new.double(), m * old + (1 - m) * p.double(), rtol=1e-5, atol=1e-6)


def test_it_begins_as_a_copy_that_learns_nothing_and_shares_nothing(make_draw: MakeDraw) -> None:
    online = branch_of()
    target = MomentumBranch(online, 0.5)
    assert all(p.requires_grad for p in online.parameters())
    assert not any(p.requires_grad for p in target.parameters())
    for (name, p), copy in zip(online.named_parameters(), target.parameters(), strict=True):
        assert torch.equal(p, copy), name
        assert p.data_ptr() != copy.data_ptr()
    found, expected = target(images_of(), make_draw(B)), branch_of()(images_of())
    assert list(found) == ["z", "color"]
    for space, z in found.items():
        assert not z.requires_grad
        torch.testing.assert_close(z, expected[space].detach())
        torch.testing.assert_close(z.norm(dim=1), torch.ones(B))


def test_equal_weights_stay_bitwise_equal() -> None:
    online = branch_of()
    target = MomentumBranch(online, 0.99)
    for step in range(50):
        target.follow(online, step)
    assert all(torch.equal(a, b) for a, b in zip(online.parameters(), target.parameters(), strict=True))


def test_shuffling_gives_every_space_back_in_the_order_of_the_images(make_draw: MakeDraw) -> None:
    online = branch_of().eval()
    plain, shuffled = (MomentumBranch(online, 0.5, shuffle=shuffle).eval() for shuffle in (False, True))
    draw, images = make_draw(B), images_of()
    before = draw.features.get_state()
    expected = plain(images, draw)
    assert torch.equal(draw.features.get_state(), before)
    seen: list[Tensor] = []
    shuffled.branch.register_forward_hook(lambda branch, given, z: seen.append(given[0]))
    found = shuffled(images, draw)
    for space in expected:
        torch.testing.assert_close(found[space], expected[space])
    order = torch.randperm(B, generator=make_draw(B).features)
    assert torch.equal(seen[0], images[order])
    assert not torch.equal(seen[0], images)


def test_buffers_are_left_alone() -> None:
    online, target = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    online.running_mean.fill_(5)
    online.weight.data.fill_(2)
    update_momentum(online, target, 0.0)
    assert (target.running_mean == 0).all()
    assert (target.weight == 2).all()


@pytest.mark.parametrize("momentum", [-0.1, 1.1, math.nan])
def test_a_momentum_outside_zero_to_one_is_refused(momentum: float) -> None:
    with pytest.raises(InputError, match=r"momentum must lie in \[0, 1\]"):
        MomentumBranch(branch_of(), momentum)
