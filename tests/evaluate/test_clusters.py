"""Clusters: found where there are some, as many as labels or as silhouettes say, and compared with labels."""

import numpy as np
import pytest
import torch

from pairlens.evaluate.clusters import agreement, cluster, number_of_clusters

pytest.importorskip("sklearn.cluster")


def groups() -> tuple[torch.Tensor, np.ndarray]:
    """Four groups of 10, 20, 30 and 40 images."""
    generator = torch.Generator().manual_seed(0)
    labels = np.repeat(np.arange(4), [10, 20, 30, 40])
    centres = torch.eye(4, 12) * 5
    return centres[torch.from_numpy(labels)] + 0.3 * torch.randn(100, 12, generator=generator), labels


def test_clusters_are_found_the_largest_first() -> None:
    x, labels = groups()
    made = cluster(x, 4, 0)
    assert np.bincount(made).tolist() == [40, 30, 20, 10]
    assert (made == 3 - labels).all()
    found = agreement(made, labels)
    assert found is not None
    assert (found.nmi, found.ari) == pytest.approx((1, 1))


def test_their_number_follows_labels_or_silhouettes() -> None:
    x, labels = groups()
    assert number_of_clusters(x, None, 0) == 4
    assert number_of_clusters(x, labels % 2, 0) == 2
    assert number_of_clusters(x, np.where(labels == 0, -1, 1), 0) == 4  # one class tells no number
    assert number_of_clusters(x[:3], None, 0) == 2
    assert number_of_clusters(x[:2], None, 0) == 1


def test_copies_leave_fewer_clusters_than_asked_for() -> None:
    x = torch.eye(2, 3).repeat(4, 1)
    assert len(np.unique(cluster(x, 5, 0))) == 2


def test_agreement_takes_labelled_images_alone() -> None:
    clusters, labels = np.array([0, 0, 1, 1, 0]), np.array([1, 1, 0, 0, -1])
    found = agreement(clusters, labels)
    assert found is not None
    assert found.ari == pytest.approx(1)
    assert agreement(clusters, np.array([2, 2, 2, -1, 2])) is None
