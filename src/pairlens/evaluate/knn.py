"""The weighted nearest-neighbour read-out: no training, no choice beyond two constants.

N training images, M test images, D features, C classes.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from pairlens.errors import InputError
from pairlens.evaluate.features import finite
from pairlens.evaluate.scored import Scored, check_labels, score_classes

CHUNK = 1 << 24
"""Similarities held at a time."""


def knn(
    train_features: Float[Tensor, "N D"],
    train_labels: Int64[Tensor, "N"],
    test_features: Float[Tensor, "M D"],
    test_labels: Int64[Tensor, "M"],
    *,
    neighbours: int = 20,
    temperature: float = 0.1,
    classes: int,
) -> Scored:
    """Name each test image by its nearest training images, each voting exp(cosine / temperature).

    Wu et al., Unsupervised Feature Learning via Non-Parametric Instance Discrimination, CVPR 2018, Section 3.4, there
    with 200 neighbours and temperature .07 on ImageNet. A class without a vote is never among the first five. The
    number of neighbours is cut to N.

    Raises:
        InputError: labels lie outside the classes, features are not finite, or a constant is not positive.
    """
    if neighbours < 1 or temperature <= 0:
        raise InputError(
            f"kNN cannot use {neighbours} neighbours at temperature {temperature}; both must be positive numbers"
        )
    check_labels(train_labels, test_labels, classes, covered=False)
    device = train_features.device
    gallery = F.normalize(finite(train_features), dim=1)
    queries = F.normalize(finite(test_features), dim=1)
    train_labels = train_labels.to(device)
    votes = []
    for chunk in queries.split(max(1, CHUNK // len(gallery))):
        similarity, nearest = (chunk @ gallery.T).topk(min(neighbours, len(gallery)), 1)
        weight = ((similarity - similarity[:, :1]) / temperature).exp_()  # the nearest has 1: nothing overflows
        total = torch.zeros(len(chunk), classes, device=device, dtype=weight.dtype)
        seen = torch.full_like(total, -torch.inf)
        named = train_labels[nearest]
        votes.append(total.scatter_add_(1, named, weight) + seen.scatter_(1, named, 0.0))
    return score_classes(torch.cat(votes), test_labels)
