"""Clusters of features, and how well they agree with labels.

N images, D features.
"""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

MOST = 15
"""Clusters up to which a number is sought where none is given and labels tell none."""

JUDGED = 1000
"""Images by which numbers of clusters are compared, at most."""


@dataclass(frozen=True)
class Agreement:
    """How well two partitions agree: 1 is perfectly, 0 is by chance (ARI) or not at all (NMI)."""

    nmi: float  # mutual information over the mean entropy
    ari: float  # adjusted Rand index


def cluster(features: Float[Tensor, "N D"], number: int, seed: int) -> Int64[np.ndarray, "N"]:
    """k-means of unit features, the best of four beginnings; the largest cluster is 0.

    Where fewer features than clusters are different, there are as many clusters as these.
    """
    from sklearn.cluster import KMeans

    unit = F.normalize(features.float(), dim=1).cpu().numpy()
    number = min(number, len(np.unique(unit, axis=0)))
    made = KMeans(number, n_init=4, random_state=seed).fit_predict(unit)
    order = np.argsort(-np.bincount(made, minlength=number), kind="stable")
    place = np.empty(number, np.int64)
    place[order] = np.arange(number)
    return place[made]


def number_of_clusters(features: Float[Tensor, "N D"], labels: Int64[np.ndarray, "N"] | None, seed: int) -> int:
    """As many clusters as there are labels; without labels the number, 2 to 15, of the greatest mean silhouette.

    Silhouettes (Rousseeuw, 1987) are those of the first 1 000 images, by Euclidean distance of unit features.
    """
    present = 0 if labels is None else len(np.unique(labels[labels >= 0]))
    if present >= 2:
        return min(present, len(features))
    from sklearn.metrics import silhouette_score

    some = features[:JUDGED]
    unit = F.normalize(some.float(), dim=1).cpu().numpy()
    scores = {}
    different = len(np.unique(unit, axis=0))
    for number in range(2, min(MOST, len(some) - 1, different) + 1):
        made = cluster(some, number, seed)
        scores[number] = silhouette_score(unit, made)
    return max(scores, key=lambda number: scores[number], default=1)


def agreement(clusters: Int64[np.ndarray, "N"], labels: Int64[np.ndarray, "N"]) -> Agreement | None:
    """How well clusters agree with labels, over the images that have one; None where they are of fewer than two."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    known = labels >= 0
    if len(np.unique(labels[known])) < 2:
        return None
    pair = labels[known], clusters[known]
    return Agreement(float(normalized_mutual_info_score(*pair)), float(adjusted_rand_score(*pair)))
