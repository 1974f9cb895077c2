"""Projection heads: what maps an encoder's features into the space where pairs are compared.

B images, F features, D dimensions of the space.
"""

from functools import partial

import torch
from torch import nn

from pairlens.errors import InputError
from pairlens.nets.norm import SplitBatchNorm1d


def linear(inputs: int, outputs: int, generator: torch.Generator, bias: bool = True) -> nn.Linear:
    """A linear layer with torch's usual distribution, U(-1/sqrt(inputs), 1/sqrt(inputs)), from a CPU generator.

    Raises:
        InputError: a layer without inputs or outputs is asked for.
    """
    if min(inputs, outputs) < 1:
        raise InputError(
            f"a linear layer of {inputs} inputs and {outputs} outputs cannot be made; give every layer of a head or "
            "predictor 1 unit at least"
        )
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)
    bound = inputs**-0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer


def linear_head(features: int, dim: int, generator: torch.Generator) -> nn.Module:
    """One linear layer, [B, F] -> [B, D] (InstDisc; MoCo v1)."""
    return linear(features, dim, generator)


def mlp_head(
    features: int,
    hidden: int,
    dim: int,
    *,
    layers: int = 2,
    batch_norm: bool = False,
    output_norm: bool = False,
    splits: int = 1,
    generator: torch.Generator,
) -> nn.Module:
    """So many linear layers with ReLU between them, [B, F] -> [B, D] (SimCLR, Section 2.1; MoCo v2).

    `batch_norm` normalises every hidden layer before its ReLU, `output_norm` the output, without scale and shift
    (SimSiam); layers that are normalised need no bias and have none. Both normalise in `splits` parts of the batch,
    as the encoder does.

    Raises:
        InputError: fewer than two layers are asked for.
    """
    if layers < 2:
        raise InputError(f"an MLP head of {layers} layers has no hidden layer; use at least 2, or a linear head")
    norm = partial(SplitBatchNorm1d, splits=splits)
    modules: list[nn.Module] = []
    for inputs in (features, *[hidden] * (layers - 2)):
        modules.append(linear(inputs, hidden, generator, bias=not batch_norm))
        if batch_norm:
            modules.append(norm(hidden))
        modules.append(nn.ReLU(inplace=True))
    last: list[nn.Module] = [linear(hidden, dim, generator, bias=not output_norm)]
    if output_norm:
        last.append(norm(dim, affine=False))
    return nn.Sequential(*modules, *last)


def hidden_layers(head: nn.Module) -> nn.Module | None:
    """A head up to its last linear layer, [B, F] -> [B, hidden]; None where it has but one, or none."""
    leaves = [module for module in head.modules() if next(module.children(), None) is None]
    linears = [place for place, module in enumerate(leaves) if isinstance(module, nn.Linear)]
    return nn.Sequential(*leaves[: linears[-1]]) if len(linears) > 1 else None
