"""Losses: stateless functions of scores.

B queries, N negatives of each query.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pairlens.errors import InputError
from pairlens.pairs import Scores


def info_nce(scores: Scores, temperature: float) -> Float[Tensor, ""]:
    """InfoNCE, the mean over the queries (FT, Eq. 1); with in-batch negatives it is SimCLR's NT-Xent.

    -log(exp(p/t) / (exp(p/t) + sum exp(n/t))) is written as softplus(logsumexp(n/t) - p/t), which is the same number,
    stays finite at any temperature and needs no concatenated [B, 1+N] logits. Excluded negatives are left out.

    Raises:
        InputError: the temperature is not positive.
    """
    logits = _logits(scores, temperature)
    return F.softplus(torch.logsumexp(logits, 1) - scores.positive / temperature, threshold=40).mean()


def negative_cosine(scores: Scores, temperature: float) -> Float[Tensor, ""]:
    """Minus the mean positive score (SimSiam: Chen & He 2021, Eq. 1); negatives and temperature have no part in it.

    With both directions of every pair among the rows it is the symmetric loss, half of each direction's mean (Eq. 2).
    """
    return -scores.positive.mean()


def byol_regression(scores: Scores, temperature: float) -> Float[Tensor, ""]:
    """Squared distance of unit vectors, summed over both directions (BYOL: Grill et al. 2020, Eq. 2 and Section 3.1).

    |q - k|^2 = 2 - 2 q.k for unit vectors. The paper adds the two directions' means over B images each; here both are
    rows of one mean over 2B, which is half of that sum, hence the factor 2. With the further couples of a multi-crop
    plan it stays twice the mean. Negatives and temperature have no part in it.
    """
    return 2 * (2 - 2 * scores.positive.mean())


def nce(scores: Scores, temperature: float, images: int, log_z: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Noise-contrastive estimation against uniform noise over the images (InstDisc: Wu et al. 2018, Eq. 4, 6 and 7).

    P(i|v) = exp(s/t) / Z is taken for data with probability h = P / (P + m Pn), where Pn = 1 / images and m is the
    number of the query's negatives that are not excluded; the loss is the mean over the queries of
    -log h(positive) - sum over the negatives of log(1 - h). Both logarithms are log-sigmoids of
    +-(s/t - log Z - log(m Pn)), so nothing overflows.

    Args:
        scores: of queries with entries of the memory bank.
        temperature: t.
        images: entries of the bank (n).
        log_z: logarithm of the normalising constant, from `estimate_log_z`.

    Raises:
        InputError: the temperature is not positive.
    """
    _check_temperature(temperature)
    log_noise = (_counts(scores) / images).log() + log_z
    positive = F.logsigmoid(scores.positive / temperature - log_noise)
    negative = F.logsigmoid(log_noise[:, None] - scores.negative / temperature)
    if scores.excluded is not None:
        negative = negative.masked_fill(scores.excluded, 0.0)
    return -(positive + negative.sum(1)).mean()


@torch.no_grad()
def estimate_log_z(scores: Scores, temperature: float, images: int) -> Float[Tensor, ""]:
    """Logarithm of InstDisc's constant Z, estimated from one batch (Wu et al. 2018, Eq. 8).

    Each query gives images / m times the sum of exp(s/t) over its m negatives; Z is the mean over the queries. It is
    computed in logarithms and stays on the device.

    Raises:
        InputError: the temperature is not positive.
    """
    sums = torch.logsumexp(_logits(scores, temperature), 1)
    each = sums - (_counts(scores).clamp(min=1) / images).log()
    return torch.logsumexp(each, 0) - math.log(len(each))


def _logits(scores: Scores, temperature: float) -> Float[Tensor, "B N"]:
    """Negative scores over the temperature; minus infinity where they are excluded."""
    _check_temperature(temperature)
    logits = scores.negative / temperature
    return logits if scores.excluded is None else logits.masked_fill(scores.excluded, -torch.inf)


def _counts(scores: Scores) -> Float[Tensor, "B"]:
    """How many negatives each query has that are not excluded."""
    rows, there = scores.negative.shape
    counts = scores.negative.new_full((rows,), there)
    return counts if scores.excluded is None else counts - scores.excluded.sum(1)


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise InputError(f"the temperature must be positive, not {temperature}; common values lie between 0.05 and 0.5")
