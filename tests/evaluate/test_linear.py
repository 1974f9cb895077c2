import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.evaluate import linear
from pairlens.evaluate.linear import STRENGTHS, fresh_features, greatest_spread, linear_sgd, linear_solver
from pairlens.evaluate.logistic import minimise, principal_axes
from pairlens.nets.encoders import make_encoder


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clouds(count, classes=6, width=20, spread=2.0, seed=0):
    centres = torch.randn(classes, width, generator=generator(99))
    labels = torch.randint(classes, (count,), generator=generator(seed))
    noise = torch.randn(count, width, generator=generator(seed + 1000))
    mixing = torch.randn(width, width, generator=generator(98))
    return ((centres[labels] * 1.5 + spread * noise) @ mixing + 3).abs(), labels


def digits():
    found = load_digits()
    features, labels = torch.from_numpy(found.data).float(), torch.from_numpy(found.target).long()
    order = torch.randperm(len(labels), generator=generator(5))
    train, test = order[:1200], order[1200:]
    return features[train], labels[train], features[test], labels[test]


def scikit_learns(features, labels, strength):
    """The same regression by scikit-learn, on features standardised by hand: probabilities of the same images."""
    x = features.double().numpy()
    std = x.std(0)
    x = (x - x.mean(0)) / np.where(std > 0, std, 1)
    model = LogisticRegression(C=1 / (len(x) * strength), tol=1e-10, max_iter=5000).fit(x, labels.numpy())
    return model.predict_proba(x), model.coef_


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
def test_solver_agrees_with_scikit_learn(strength):
    features, labels = clouds(500)
    readout = linear_solver(features.double(), labels, classes=6, strength=strength, generator=generator())
    probabilities, weights = scikit_learns(features, labels, strength)
    np.testing.assert_allclose(readout(features.double()).softmax(1).numpy(), probabilities, atol=2e-5)
    ours = (readout.weight * features.double().std(0, correction=0)[:, None]).T.numpy()
    np.testing.assert_allclose(ours, weights, atol=2e-4)
    single = linear_solver(features, labels, classes=6, strength=strength, generator=generator())
    torch.testing.assert_close(
        single(features).softmax(1), readout(features.double()).softmax(1).float(), rtol=0, atol=4e-3
    )


def test_solver_agrees_with_scikit_learn_on_more_features_than_it_keeps():
    hidden, labels = clouds(250, classes=3)
    features = hidden.double() @ torch.randn(20, 2100, generator=generator(4), dtype=torch.float64)
    features[:, 7] = 5.0  # a constant one
    readout = linear_solver(features, labels, classes=3, strength=1.0, generator=generator())
    probabilities, _ = scikit_learns(features, labels, 1.0)
    np.testing.assert_allclose(readout(features).softmax(1).numpy(), probabilities, atol=1e-4)


def test_principal_axes_are_orthonormal_and_decorrelate():
    features, _ = clouds(400)
    features = torch.cat([features, torch.full((400, 1), 2.0)], 1).double()
    axes = principal_axes(features)
    points = axes(features)
    eye = torch.eye(21, dtype=torch.float64)
    torch.testing.assert_close(axes.axes.T @ axes.axes, eye)
    torch.testing.assert_close(points.T @ points / 400, torch.diag(axes.variance), rtol=1e-8, atol=1e-8)
    assert axes.variance.sum().item() == pytest.approx(20)  # every standardised feature has variance 1


def test_leading_axes_of_many_features_keep_nearly_all_variance():
    decay = torch.linspace(0, -6, 2200, dtype=torch.float64).exp()[:, None]
    turn, _ = torch.linalg.qr(torch.randn(2200, 40, generator=generator(), dtype=torch.float64))
    features = (torch.randn(1500, 40, generator=generator(1), dtype=torch.float64) * decay[::55].T) @ turn.T
    axes = principal_axes(features)
    assert axes.axes.shape == (2200, 512)
    kept = axes(features).square().sum() / axes.standardise(features).square().sum()
    assert kept.item() == pytest.approx(1, abs=1e-6)
    points = axes(features)
    between = points.T @ points / 1500 - torch.diag(axes.variance)
    assert between.abs().max() < 1e-6 * axes.variance.max()


def test_strength_is_chosen_on_a_tenth_that_was_not_fitted(monkeypatch):
    fitted = []

    def spy(points, *arguments):
        fitted.append(points)
        return minimise(points, *arguments)

    monkeypatch.setattr(linear, "minimise", spy)
    features, labels = clouds(200)
    linear_solver(features, labels, classes=6, generator=generator())
    assert {len(points) for points in fitted[:-1]} == {180}
    assert len(fitted[-1]) == 200


def test_strength_is_chosen_by_what_the_labels_allow():
    features, labels = clouds(600, spread=0.3)
    clear = linear_solver(features, labels, classes=6, generator=generator())
    noise = linear_solver(torch.randn(600, 100, generator=generator(1)), labels, classes=6, generator=generator())
    assert clear.strength in STRENGTHS
    assert noise.strength in STRENGTHS
    assert clear.strength <= 1e-2
    assert noise.strength >= 0.1


@pytest.mark.parametrize("source", ["clouds", "digits"])
def test_sgd_and_solver_agree(source):
    """Within 2 points of top-1 on 600 test images: what the papers' protocol and the fast one may differ by."""
    train, train_labels, test, test_labels = digits() if source == "digits" else (*clouds(1500), *clouds(600, seed=1))
    classes = int(train_labels.max()) + 1
    fast = linear_solver(train, train_labels, classes=classes, generator=generator()).score(test, test_labels)
    slow = linear_sgd(train, train_labels, classes=classes, generator=generator()).score(test, test_labels)
    assert abs(fast.top1 - slow.top1) <= 0.02
    assert fast.top1 > (0.94 if source == "digits" else 0.6)
    assert fast.confusion.sum() == len(test)


def test_sgd_is_the_papers_written_out():
    """Full batches, so that the order does not matter: momentum SGD with the rate cut at 60 and at 80 %."""
    features, labels = clouds(40, classes=3)
    features = features.double()
    readout = linear_sgd(
        features,
        labels,
        classes=3,
        batch=40,
        rate=2.0,
        epochs=10,
        momentum=0.8,
        weight_decay=0.01,
        generator=generator(),
    )
    spread = greatest_spread(features)
    x = (features - features.mean(0)) / spread
    weight, bias = torch.zeros(20, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    speed_w, speed_b = torch.zeros_like(weight), torch.zeros_like(bias)
    target = torch.nn.functional.one_hot(labels, 3).double()
    for epoch in range(10):
        rate = 2.0 * (0.1 if epoch >= 6 else 1) * (0.1 if epoch >= 8 else 1)
        error = ((x @ weight + bias).softmax(1) - target) / 40
        speed_w = 0.8 * speed_w + x.T @ error + 0.01 * weight
        speed_b = 0.8 * speed_b + error.sum(0) + 0.01 * bias
        weight, bias = weight - rate * speed_w, bias - rate * speed_b
    torch.testing.assert_close(readout(features), x @ weight + bias, rtol=1e-5, atol=1e-6)


def test_greatest_spread_is_the_first_singular_value():
    features, _ = clouds(200)
    centred = features.double() - features.double().mean(0)
    expected = torch.linalg.svdvals(centred)[0] / math.sqrt(200)
    assert greatest_spread(features.double()).item() == pytest.approx(expected.item(), rel=1e-3)


def test_fresh_features_that_are_the_given_ones_change_nothing():
    features, labels = clouds(100)
    settings = {"classes": 6, "batch": 32, "epochs": 3}
    cached = linear_sgd(features, labels, generator=generator(), **settings)
    fresh = linear_sgd(features, labels, generator=generator(), fresh=lambda index: features[index], **settings)
    assert torch.equal(cached.weight, fresh.weight)


def test_fresh_features_are_of_crops_and_flips_drawn_by_the_generator():
    pixels = torch.randint(256, (12, 3, 16, 16), generator=generator(), dtype=torch.uint8)
    images = ImageSet(pixels, torch.full((12, 2), 16), [str(i) for i in range(12)])
    encoder = make_encoder("resnet8w", generator=generator())
    index = torch.tensor([3, 1, 7])
    before = torch.get_rng_state()
    make = [fresh_features(encoder, images, 16, None, None, generator=generator(seed)) for seed in (1, 1, 2)]
    first, same, other = (fresh(index) for fresh in make)
    assert first.shape == (3, 128)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert not torch.equal(first, make[0](index))
    assert torch.equal(torch.get_rng_state(), before)
    assert encoder.training
    among = fresh_features(encoder, images, 16, None, None, generator=generator(1), index=torch.tensor([7, 3, 1]))
    assert torch.equal(among(torch.tensor([1, 2, 0])), first)


def test_bad_input_is_explained():
    features, labels = clouds(50)
    for fit in (linear_solver, linear_sgd):
        with pytest.raises(InputError, match="but there are 2 classes"):
            fit(features, labels, classes=2, generator=generator())
        with pytest.raises(InputError, match="not finite"):
            fit(features * float("nan"), labels, classes=6, generator=generator())
    with pytest.raises(InputError, match="strength is 0"):
        linear_solver(features, labels, classes=6, strength=0.0, generator=generator())
