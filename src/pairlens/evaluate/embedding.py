"""Features drawn in the plane: principal axes and t-SNE, and maps turned until they lie as another one does.

N images, D features, C components.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

COMPONENTS = 50
"""Principal components that t-SNE is made of; what the others hold moves neighbours little and costs time."""

EQUAL = 1e-10
"""Variance of unit features, summed over the dimensions, up to which all of them count as the same."""

STEPS, EXAGGERATION = 500, 4.0
"""Iterations, and early exaggeration, of a t-SNE that goes on from another map of the same images.

scikit-learn's 1 000 and 12 without one. Measured with 2 000 images of CIFAR-10 between two moments of a training, of
which images shared half of their ten nearest neighbours: points moved by .32 of the map's radius, against .43 of a map
made by itself and turned to lie alike; of the ten nearest in features .468 are among the ten nearest in the map
against .477; one core takes 6 s instead of 11. Without exaggeration it would be .19 and .448: such maps keep clusters
that are no longer there.
"""

MISSING = "t-SNE needs scikit-learn, which is missing; run `pip install scikit-learn`."


def can_draw() -> bool:
    """Whether scikit-learn, which makes the picture, is there."""
    try:
        import sklearn.manifold  # noqa: F401
    except ImportError:
        return False
    return True


def collapsed(features: Float[Tensor, "N D"]) -> bool:
    """Whether all unit features are the same, to the rounding of float32."""
    return float(features.double().var(0, correction=0).sum()) <= EQUAL


def principal(features: Float[Tensor, "N D"], components: int) -> tuple[Float[Tensor, "N C"], Float[Tensor, "C"]]:
    """The images along the axes of greatest variance, and each axis's share of all variance; zeros where none is left.

    In float64, by whichever is smaller of covariance and Gram matrix. An axis points to where its largest entry is
    positive, so that the same features give the same map.
    """
    centred = features.double() - features.double().mean(0)
    wide = centred.shape[1] > len(centred)
    values, vectors = torch.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    scores = vectors * values.sqrt() if wide else centred @ vectors
    scores, values = scores[:, :components], values / values.sum().clamp(min=1e-300)
    scores = scores * scores.gather(0, scores.abs().argmax(0, keepdim=True)).sign()
    missing = components - scores.shape[1]
    pad = torch.nn.functional.pad
    return pad(scores, (0, missing)), pad(values[:components], (0, max(0, components - len(values))))


def t_sne(
    features: Float[Tensor, "N D"], seed: int, start: Float[np.ndarray, "N 2"] | None = None
) -> Float[np.ndarray, "N 2"]:
    """t-SNE in the plane (van der Maaten & Hinton, 2008), going on from the map `start`, else from the principal axes.

    The perplexity is 30, or a third of the other images where they are few.
    """
    from sklearn.manifold import TSNE

    count = len(features)
    going_on = {
        "init": start,
        "max_iter": STEPS,
        "early_exaggeration": EXAGGERATION,
        "learning_rate": max(count / 48, 50.0),  # what is usual after the early exaggeration
    }
    more = {"init": "pca"} if start is None else going_on
    made = TSNE(2, perplexity=min(30.0, (count - 1) / 3), random_state=seed, n_jobs=1, **more)
    return made.fit_transform(features.cpu().double().numpy()).astype(np.float32)


def aligned(points: Float[np.ndarray, "N 2"], to: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
    """A map turned, mirrored and moved so that its points lie as near as can be to those of another, of any size.

    Orthogonal Procrustes (Schoenemann, Psychometrika 31, 1966): all distances within the map stay as they are. Which
    turn is best does not depend on the other map's scale.
    """
    centred, other = points - points.mean(0), to - to.mean(0)
    left, _, right = np.linalg.svd(centred.T.astype(np.float64) @ other.astype(np.float64))
    return (centred @ (left @ right) + to.mean(0)).astype(points.dtype)
