"""Optimisers against loops, and schedules at their ends."""

import math

import pytest
import torch
from torch import nn

from pairlens.errors import InputError
from pairlens.optim import LARS, constant, cosine, make_optimizer, step_decay, trust_ratio


def network() -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    return module


def set_gradients(module: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(100 + step)
    for parameter in module.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter)


def test_lars_follows_its_algorithm() -> None:
    """You et al. 2017, Algorithm 1, number by number in float64, with a rate that changes from step to step.

    lambda = eta |w| / (|g| + beta |w|);  v <- m v + gamma lambda (g + beta w);  w <- w - v
    """
    rates, m, beta, eta = (4.0, 12.0, 12.0, 1.0), 0.9, 0.3, 1e-2
    module = network().double()
    optimizer = make_optimizer("lars", module, lr=rates[0], momentum=m, weight_decay=beta)
    weights = [p.detach().flatten().tolist() for p in module.parameters()]
    speeds = [[0.0] * len(w) for w in weights]
    for group in optimizer.param_groups:
        group["trust"] = eta
    for step, gamma in enumerate(rates):
        set_gradients(module, step)
        for group in optimizer.param_groups:
            group["lr"] = gamma
        optimizer.step()
        for p, w, v in zip(module.parameters(), weights, speeds, strict=True):
            g = p.grad.flatten().tolist()
            local, decay = 1.0, 0.0  # biases and normalisation: neither scaled nor decayed
            if p.ndim > 1:
                w_norm, g_norm = math.sqrt(sum(x * x for x in w)), math.sqrt(sum(x * x for x in g))
                local, decay = eta * w_norm / (g_norm + beta * w_norm), beta
            for i in range(len(w)):
                v[i] = m * v[i] + gamma * local * (g[i] + decay * w[i])
                w[i] = w[i] - v[i]
    for p, w in zip(module.parameters(), weights, strict=True):
        torch.testing.assert_close(p.detach().flatten(), torch.tensor(w, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_lars_goes_on_bit_for_bit_from_its_state() -> None:
    def steps(module: nn.Module, optimizer: torch.optim.Optimizer, which: range) -> None:
        for step in which:
            set_gradients(module, step)
            for group in optimizer.param_groups:
                group["lr"] = 0.4 / (step + 1)
            optimizer.step()

    whole, halted, resumed = network(), network(), network()
    makes = [make_optimizer("lars", module, lr=0.4, weight_decay=1e-2) for module in (whole, halted, resumed)]
    steps(whole, makes[0], range(6))
    steps(halted, makes[1], range(3))
    resumed.load_state_dict(halted.state_dict())
    makes[2].load_state_dict(makes[1].state_dict())
    steps(resumed, makes[2], range(3, 6))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_trust_ratio_at_its_ends() -> None:
    some, none = torch.tensor([3.0, 4.0]), torch.zeros(2)
    assert trust_ratio(some, some * 2, 0.0, 0.1).item() == pytest.approx(0.05)
    assert trust_ratio(some, some * 2, 0.5, 0.1).item() == pytest.approx(0.1 / 2.5)
    assert trust_ratio(some, none, 0.5, 0.1).item() == pytest.approx(0.1 / 0.5)
    assert trust_ratio(none, some, 0.5, 0.1).item() == 1  # or a matrix of zeros would never move
    assert trust_ratio(none, none, 0.5, 0.1).item() == 1
    assert trust_ratio(some, none, 0.0, 0.1).item() == 1


def test_lars_passes_over_what_has_no_gradient() -> None:
    module = network()
    optimizer = LARS(module.parameters(), 0.1)
    set_gradients(module, 0)
    module[3].bias.grad = None
    before = module[3].bias.clone()
    optimizer.step()
    assert torch.equal(module[3].bias, before)
    assert not any(p is module[3].bias for p in optimizer.state)


@pytest.mark.parametrize("name", ["adamw", "lars"])
def test_adamw_and_lars_decay_matrices_only(name: str) -> None:
    module = network()
    matrices, vectors = make_optimizer(name, module, lr=0.1, weight_decay=0.3).param_groups
    assert {p.ndim for p in matrices["params"]} == {2, 4}
    assert {p.ndim for p in vectors["params"]} == {1}
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.3, 0.0)
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(module.parameters()))


def test_sgd_decays_every_parameter() -> None:
    module = network()
    (group,) = make_optimizer("sgd", module, lr=0.1, momentum=0.8, weight_decay=0.3).param_groups
    assert len(group["params"]) == len(list(module.parameters()))
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.8, 0.3)


@pytest.mark.parametrize("name", ["sgd", "adamw", "lars"])
def test_frozen_parameters_are_left_out(name: str) -> None:
    module = network()
    module[0].requires_grad_(False)
    optimizer = make_optimizer(name, module, lr=0.1)
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert known == {id(p) for p in module.parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("lr", "weight_decay"),
    [(0.0, 0.0), (-1.0, 0.0), (math.nan, 0.0), (math.inf, 0.0), (0.1, -1e-4), (0.1, math.nan), (0.1, math.inf)],
)
def test_rates_and_decays_that_are_none_are_refused(lr: float, weight_decay: float) -> None:
    with pytest.raises(InputError, match="learning rate must be positive"):
        make_optimizer("sgd", network(), lr=lr, weight_decay=weight_decay)


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_optimiser_is_named() -> None:
    with pytest.raises(InputError, match="no optimiser 'adam'; use sgd, adamw or lars"):
        make_optimizer("adam", network(), lr=0.1)


def test_the_cosine_falls_from_the_rate_to_nothing() -> None:
    at = cosine(2.0, steps=100)
    assert at(0) == 2.0
    assert at(50) == pytest.approx(1.0)
    assert at(25) == pytest.approx(1 + math.sqrt(0.5))
    assert at(100) == pytest.approx(0.0, abs=1e-12)
    assert 0 < at(99) < 1e-3
    assert all(at(i) > at(i + 1) for i in range(100))


def test_the_warm_up_is_linear_and_meets_the_cosine() -> None:
    at = cosine(2.0, steps=110, warmup=10)
    assert [at(i) for i in range(10)] == pytest.approx([0.2 * (i + 1) for i in range(10)])
    assert at(10) == 2.0
    assert at(60) == pytest.approx(1.0)
    assert at(110) == pytest.approx(0.0, abs=1e-12)


def test_steps_fall_at_their_milestones() -> None:
    at = step_decay(1.0, (6, 8), warmup=2)
    assert [at(i) for i in range(10)] == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    assert step_decay(1.0, (1,), factor=0.5)(1) == 0.5


@pytest.mark.parametrize("floor", [0.0, 0.1, 1.0])
def test_the_cosine_ends_at_its_floor(floor: float) -> None:
    at = cosine(2.0, steps=60, warmup=10, floor=floor)
    for step in range(10):
        assert at(step) == pytest.approx(2.0 * (step + 1) / 10)
    for step in range(10, 61):
        share = 0.5 * (1 + math.cos(math.pi * (step - 10) / 50))
        assert at(step) == pytest.approx(2.0 * share + 2.0 * floor * (1 - share))
    assert at(60) == pytest.approx(2.0 * floor, abs=1e-12)


@pytest.mark.parametrize("floor", [-0.1, 1.1, math.nan])
def test_a_floor_that_is_no_share_is_refused(floor: float) -> None:
    with pytest.raises(InputError, match="share of the learning rate between 0 and 1, not at"):
        cosine(1.0, steps=10, floor=floor)


def test_a_constant_rate_warms_up_and_stays() -> None:
    at = constant(2.0, warmup=4)
    assert [at(i) for i in range(6)] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])
    assert constant(0.3)(0) == constant(0.3)(10_000) == 0.3


@pytest.mark.parametrize("name", ["sgd", "adamw", "lars"])
def test_constant_rates_are_groups_of_their_own(name: str) -> None:
    module = nn.ModuleDict({"online": network(), "predictor": network(), "predictors": network()})
    groups = make_optimizer(name, module, lr=0.1, weight_decay=0.3, constant_rate=("predictor",)).param_groups
    assert [group["constant_rate"] for group in groups] == [False, True] if name == "sgd" else [False] * 2 + [True] * 2
    marked = {id(p) for group in groups if group["constant_rate"] for p in group["params"]}
    assert marked == {id(p) for p in module["predictor"].parameters()}
    every = [id(p) for group in groups for p in group["params"]]
    assert len(every) == len(set(every)) == len(list(module.parameters()))
    for group in groups:
        spared = name != "sgd" and all(p.ndim <= 1 for p in group["params"])
        assert group["weight_decay"] == (0.0 if spared else 0.3)


def test_without_constant_rates_no_group_is_marked() -> None:
    assert not any(group["constant_rate"] for group in make_optimizer("lars", network(), lr=0.1).param_groups)


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_warm_up_longer_than_the_training_is_no_error(steps: int) -> None:
    at = cosine(1.0, steps=steps, warmup=10)
    assert all(0 <= at(i) <= 1 for i in range(20))
