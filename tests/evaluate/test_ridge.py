"""Ridge regression against naive loops in float64 and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from pairlens.errors import InputError
from pairlens.evaluate.ridge import STRENGTHS, ridge


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def data(count, width=6, noise=0.5, seed=0):
    """Correlated features of unequal scales, and two numbers that depend on them."""
    mixing = torch.randn(width, width, generator=generator(9))
    features = torch.randn(count, width, generator=generator(seed)) @ mixing * torch.logspace(-1, 1, width) + 3
    weight = torch.randn(width, 2, generator=generator(8))
    return features, features @ weight + noise * torch.randn(count, 2, generator=generator(seed + 1))


def descent(features, targets, strength):
    """Predictions of the minimiser of the objective as it is written, by gradient descent over plain lists."""
    x, y = features.double().numpy(), targets.double().numpy()
    z = (x - x.mean(0)) / x.std(0)
    count, width = z.shape
    weight, bias = np.zeros((width, y.shape[1])), np.zeros(y.shape[1])
    for _ in range(20_000):
        slope, shift = 2 * strength * weight, np.zeros_like(bias)
        for i in range(count):
            off = z[i] @ weight + bias - y[i]
            slope = slope + 2 / count * np.outer(z[i], off)
            shift = shift + 2 / count * off
        if max(abs(slope).max(), abs(shift).max()) < 1e-7:
            break
        weight, bias = weight - 0.2 * slope, bias - 0.2 * shift
    return z @ weight + bias


def test_it_minimises_what_it_says():
    features, targets = data(20, width=3)
    fit = ridge(features, targets, generator=generator(), strength=0.1)
    np.testing.assert_allclose(fit(features).numpy(), descent(features, targets, 0.1), atol=2e-4)


@pytest.mark.parametrize("strength", [1.0, 1e-3])
def test_it_agrees_with_scikit_learn(strength):
    features, targets = data(300)
    features = torch.cat([features, torch.full((300, 1), 5.0)], 1)  # a constant one
    x = features.double().numpy()
    std = x.std(0)
    z = (x - x.mean(0)) / np.where(std > 1e-9, std, 1)
    theirs = Ridge(alpha=strength * len(x)).fit(z, targets.double().numpy()).predict(z)
    ours = ridge(features, targets, generator=generator(), strength=strength)
    np.testing.assert_allclose(ours(features).numpy(), theirs, atol=5e-3 if strength < 1 else 1e-3)


def test_fewer_images_than_features_are_solved_by_the_dual_problem():
    features = torch.randn(20, 50, generator=generator(5), dtype=torch.float64)
    targets = features[:, :2] + torch.randn(20, 2, generator=generator(6), dtype=torch.float64)
    x = features.numpy()
    z = (x - x.mean(0)) / x.std(0)
    theirs = Ridge(alpha=20 * 0.3).fit(z, targets.numpy()).predict(z)
    ours = ridge(features, targets, generator=generator(), strength=0.3)
    np.testing.assert_allclose(ours(features).numpy(), theirs, atol=1e-9)


def test_more_features_than_are_kept_are_projected():
    hidden, targets = data(200)
    features = hidden.double() @ torch.randn(6, 2100, generator=generator(4), dtype=torch.float64)
    x = features.numpy()
    z = (x - x.mean(0)) / x.std(0)
    theirs = Ridge(alpha=200.0).fit(z, targets.double().numpy()).predict(z)
    ours = ridge(features, targets, generator=generator(), strength=1.0)
    np.testing.assert_allclose(ours(features).numpy(), theirs, atol=1e-3)


@pytest.mark.parametrize("noise", [0.01, 30.0])
def test_the_strength_is_that_of_least_error_on_a_held_out_tenth(noise):
    features, targets = data(100, noise=noise)
    order = torch.randperm(100, generator=generator(3))
    held, kept = order[:10], order[10:]
    x = features.double().numpy()
    z = (x - x.mean(0)) / x.std(0)
    errors = []
    for strength in STRENGTHS:
        model = Ridge(alpha=strength * 90).fit(z[kept], targets.double().numpy()[kept])
        errors.append(((model.predict(z[held]) - targets.double().numpy()[held]) ** 2).sum())
    assert ridge(features, targets, generator=generator(3)).strength == STRENGTHS[int(np.argmin(errors))]


@pytest.mark.parametrize(("count", "width"), [(40, 6), (20, 30)])
def test_the_strength_is_that_of_least_error_on_images_left_out_one_by_one(count, width):
    features = torch.randn(count, width, generator=generator(5), dtype=torch.float64)
    targets = features[:, :2] + 2 * torch.randn(count, 2, generator=generator(6), dtype=torch.float64)
    z = features.numpy()
    z, y = (z - z.mean(0)) / z.std(0), targets.numpy()
    errors = []
    for strength in STRENGTHS:
        missed = 0.0
        for i in range(count):
            others = [j for j in range(count) if j != i]
            model = Ridge(alpha=strength * count).fit(z[others], y[others])
            missed += ((model.predict(z[i : i + 1]) - y[i]) ** 2).sum()
        errors.append(missed)
    assert 0 < int(np.argmin(errors)) < len(STRENGTHS) - 1
    found = ridge(features, targets, generator=generator(), leave_one_out=True)
    assert found.strength == STRENGTHS[int(np.argmin(errors))]


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_regressed_is_refused():
    features, targets = data(30)
    with pytest.raises(InputError, match="29 targets of 30 images"):
        ridge(features, targets[1:], generator=generator())
    with pytest.raises(InputError, match="give finite numbers"):
        ridge(features, targets.where(targets > 0, torch.nan), generator=generator())
    with pytest.raises(InputError, match="must be positive"):
        ridge(features, targets, generator=generator(), strength=0.0)
    with pytest.raises(InputError, match="not finite"):
        ridge(features * torch.nan, targets, generator=generator())
