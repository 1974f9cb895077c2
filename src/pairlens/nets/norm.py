"""Batch normalisation within parts of a batch, as if every part lay on a GPU of its own.

B images, C channels, H x W positions (or none: [B, C]).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from pairlens.errors import InputError


class _SplitBatchNorm(nn.modules.batchnorm._BatchNorm):
    """What maps [B, C, H, W] and [B, C] share; torch's own classes, which come second, say which of them it takes."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(
        self, features: int, splits: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True
    ) -> None:
        super().__init__(features, eps=eps, momentum=momentum, affine=affine)
        if splits < 1:
            raise InputError(f"batch normalisation cannot have {splits} splits; use 1 or more")
        self.splits = splits

    def forward(self, input: Float[Tensor, "B C *_"]) -> Float[Tensor, "B C *_"]:
        """Normalise; in training mode every part by itself.

        Raises:
            InputError: the batch cannot be cut into `splits` equal parts.
        """
        if not self.training or self.splits == 1:
            return super().forward(input)
        if len(input) % self.splits:
            raise InputError(
                f"a batch of {len(input)} cannot be normalised in {self.splits} equal parts; use a batch size that "
                f"{self.splits} divides, or other splits"
            )
        means = self.running_mean.repeat(self.splits, 1)
        variances = self.running_var.repeat(self.splits, 1)
        parts = [
            F.batch_norm(part, mean, variance, self.weight, self.bias, True, self.momentum, self.eps)
            for part, mean, variance in zip(input.chunk(self.splits), means, variances, strict=True)
        ]
        with torch.no_grad():
            self.running_mean.copy_(means.mean(0))
            self.running_var.copy_(variances.mean(0))
            self.num_batches_tracked.add_(1)
        return torch.cat(parts)

    def extra_repr(self) -> str:
        """The layer's settings, for `print`."""
        return f"{super().extra_repr()}, splits={self.splits}"


class SplitBatchNorm2d(_SplitBatchNorm, nn.BatchNorm2d):
    """Batch normalisation of [B, C, H, W] in `splits` equal, consecutive parts, each with its own statistics.

    MoCo (Section 3.3, "Shuffling BN") needs it: where query and key share batch statistics, the network can tell a
    positive by them. On one device the parts stand for the GPUs. The running statistics move once a step, towards the
    mean over the parts of their means and of their unbiased variances; in eval mode, and in the state dict, this is a
    plain `BatchNorm2d`. Use it as a norm: `functools.partial(SplitBatchNorm2d, splits=8)`.
    """


class SplitBatchNorm1d(_SplitBatchNorm, nn.BatchNorm1d):
    """The same for [B, C], as in a head."""
