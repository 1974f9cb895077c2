"""Label-free measures against definitions written out with other tools, and at their ends."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pairlens.evaluate.spectrum import (
    DELTA,
    MEASURES,
    alignment,
    alpha_req,
    eigenvalues,
    lidar,
    measure,
    rankme,
    stable_rank,
    uniformity,
)

IMAGES, VIEWS, D = 12, 3, 5


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exp_entropy(values: np.ndarray) -> float:
    share = values / values.sum()
    return math.exp(-sum(p * math.log(p) for p in share if p > 0))


def test_rankme_is_the_entropy_of_singular_values() -> None:
    z = normal(40, D) @ torch.diag(torch.tensor([5.0, 3, 1, 0.5, 0.1], dtype=torch.float64))
    gram = np.linalg.eigvalsh(z.numpy().T @ z.numpy())  # the squares of z's singular values
    assert rankme(z) == pytest.approx(exp_entropy(np.sqrt(gram)), rel=1e-6)
    assert rankme(torch.eye(7, dtype=torch.float64)) == pytest.approx(7)
    assert rankme(normal(9, 1) @ normal(1, 6, seed=1)) == pytest.approx(1, abs=1e-4)


def test_alpha_is_the_exponent_of_a_power_law() -> None:
    for exponent, dims in ((1.0, 80), (1.7, 80), (0.6, 20)):
        spectrum = torch.arange(1, dims + 1, dtype=torch.float64) ** -exponent
        basis = torch.linalg.qr(normal(300, dims) - normal(300, dims).mean(0)).Q  # columns without a mean
        assert alpha_req(basis * spectrum.sqrt()) == pytest.approx(exponent, abs=1e-6)
    assert math.isnan(alpha_req(normal(30, 3)))


def test_stable_rank_and_eigenvalues_are_the_covariances() -> None:
    z = normal(40, D) + 3
    values = np.linalg.eigvalsh(np.cov(z.numpy().T))[::-1]
    assert eigenvalues(z).tolist() == pytest.approx(values.tolist())
    assert stable_rank(z) == pytest.approx(values.sum() / values[0])
    assert len(eigenvalues(normal(3, 8))) == 2
    assert math.isnan(stable_rank(torch.ones(6, 4, dtype=torch.float64)))


def test_lidar_is_the_discriminants_rank() -> None:
    z = normal(IMAGES, 1, D) * torch.tensor([3.0, 2, 1, 0.1, 0.1]) + 0.4 * normal(IMAGES, VIEWS, D, seed=1)
    rows = z.numpy()
    means = rows.mean(1)
    between = sum(np.outer(m - means.mean(0), m - means.mean(0)) for m in means) / (IMAGES - 1)
    within = sum(np.outer(v - m, v - m) for m, views in zip(means, rows, strict=True) for v in views)
    within = within / (IMAGES * VIEWS) + DELTA * np.eye(D)
    values = np.linalg.eigvals(np.linalg.inv(within) @ between).real  # similar to the symmetric form
    assert lidar(z) == pytest.approx(exp_entropy(np.clip(values, 0, None)), rel=1e-8)
    assert 1 <= lidar(z) <= D


def test_alignment_and_uniformity_are_means_over_couples() -> None:
    z = torch.nn.functional.normalize(normal(IMAGES, VIEWS, D), dim=2)
    within = [float((z[i, a] - z[i, b]).square().sum()) for i in range(IMAGES) for a in range(VIEWS) for b in range(a)]
    assert alignment(z) == pytest.approx(sum(within) / len(within))
    first = z[:, 0]
    apart = [math.exp(-2 * float((first[i] - first[j]).square().sum())) for i in range(IMAGES) for j in range(i)]
    assert uniformity(first).item() == pytest.approx(math.log(sum(apart) / len(apart)))


def test_all_are_measured_and_what_cannot_be_told_is_no_number() -> None:
    found = measure(normal(IMAGES, VIEWS, D).float())
    assert tuple(found) == MEASURES
    assert all(math.isfinite(value) for name, value in found.items() if name != "alpha")
    for z in (torch.ones(1, 4, 3), torch.full((4, 2, 3), math.nan)):
        assert all(math.isnan(value) for value in measure(z).values())
    collapsed = measure(torch.ones(8, 2, 6))
    assert collapsed["rankme"] == pytest.approx(1, abs=1e-3)
    assert math.isnan(collapsed["stable_rank"])
    assert collapsed["alignment"] == pytest.approx(0, abs=1e-9)
