"""Maps in the plane: principal axes against scikit-learn, t-SNE that goes on, and alignment that keeps distances."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pairlens.evaluate.embedding import aligned, collapsed, principal, t_sne


def features(count: int = 40, width: int = 6, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) + 1, dim=1)


@pytest.mark.parametrize(("count", "width"), [(40, 6), (7, 20)])
def test_principal_axes_are_scikit_learns(count: int, width: int) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    x = features(count, width)
    scores, shares = principal(x, 4)
    expected = decomposition.PCA(4).fit(x.double().numpy())
    theirs = expected.transform(x.double().numpy())
    np.testing.assert_allclose(np.abs(scores.numpy()), np.abs(theirs), atol=1e-6)
    np.testing.assert_allclose(shares.numpy(), expected.explained_variance_ratio_, atol=1e-9)
    largest = scores.abs().argmax(0)
    assert (scores[largest, torch.arange(4)] > 0).all()


def test_where_there_are_fewer_axes_the_others_are_zero() -> None:
    scores, shares = principal(features(3, 5), 4)
    assert scores.shape == (3, 4)
    assert shares.shape == (4,)
    torch.testing.assert_close(scores[:, 2:], torch.zeros(3, 2).double(), atol=1e-6, rtol=0)
    assert principal(features(5, 1), 2)[0].shape == (5, 2)


def test_collapse_is_told_from_small_differences() -> None:
    same = F.normalize(torch.ones(50, 128), dim=1).repeat(1, 1)
    assert collapsed(same)
    assert collapsed(torch.zeros(5, 4))
    other = same.clone()
    other[0] = F.normalize(other[0] + 0.01 * torch.randn(128, generator=torch.Generator().manual_seed(0)), dim=0)
    assert not collapsed(other)


def test_alignment_keeps_distances_and_undoes_turning_mirroring_and_moving() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 2))
    angle = 2.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([1, -1])
    other = points @ turn + [3, -2]
    back = aligned(other, points)
    np.testing.assert_allclose(back, points, atol=1e-12)
    noisy = rng.normal(size=(30, 2))
    moved = aligned(noisy, 7 * points)  # the other map's scale does not matter
    distances = lambda p: np.linalg.norm(p[:, None] - p[None], axis=-1)  # noqa: E731
    np.testing.assert_allclose(distances(moved), distances(noisy), atol=1e-12)
    least = ((moved - aligned(noisy, points) - 6 * points.mean(0)) ** 2).sum()
    assert least < 1e-20
    best = ((aligned(noisy, points) - points) ** 2).sum()
    centred = noisy - noisy.mean(0) + points.mean(0)
    for turned in (centred, *(_turned(centred, points.mean(0), a) for a in np.linspace(0, 6, 13))):
        assert best <= ((turned - points) ** 2).sum() + 1e-9


def _turned(points: np.ndarray, about: np.ndarray, angle: float) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points - about) @ turn + about


def test_t_sne_parts_groups_and_goes_on_from_a_map() -> None:
    pytest.importorskip("sklearn.manifold")
    generator = torch.Generator().manual_seed(1)
    centres = 6 * torch.randn(3, 8, generator=generator)
    groups = torch.arange(60) % 3
    x = centres[groups] + torch.randn(60, 8, generator=generator)
    first = t_sne(x, 0)
    nearest = np.linalg.norm(first[:, None] - first[None], axis=-1).argsort(1)[:, 1]
    assert (groups.numpy()[nearest] == groups.numpy()).all()
    turned = first @ np.array([[0, 1], [-1, 0]], np.float32)
    later = x + 0.05 * torch.randn(60, 8, generator=generator)
    going_on, alone = t_sne(later, 0, turned), t_sne(later, 0)
    centres = lambda p: np.stack([p[groups == i].mean(0) for i in range(3)]) / p.std()  # noqa: E731
    assert np.abs(centres(going_on) - centres(turned)).max() < 0.5
    assert np.abs(centres(alone) - centres(turned)).max() > 1
    assert t_sne(x[:3], 0).shape == (3, 2)
