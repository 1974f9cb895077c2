"""Contrastive losses: stateless functions of scores.

B queries, N negatives of each query.
"""

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
    if not temperature > 0:
        raise InputError(f"the temperature must be positive, not {temperature}; common values lie between 0.05 and 0.5")
    logits = scores.negative / temperature
    if scores.excluded is not None:
        logits = logits.masked_fill(scores.excluded, -torch.inf)
    return F.softplus(torch.logsumexp(logits, 1) - scores.positive / temperature, threshold=40).mean()
