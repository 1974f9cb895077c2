import math

import pytest
import torch
from torch import nn

from pairlens.errors import InputError
from pairlens.nets.heads import linear, linear_head, mlp_head


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_linear_head_is_one_linear_layer():
    head = linear_head(48, 16, generator())
    x = torch.randn(5, 48)
    torch.testing.assert_close(head(x), x @ head.weight.T + head.bias)


def test_mlp_head_is_linear_relu_linear():
    head = mlp_head(48, 32, 16, generator=generator())
    x = torch.randn(5, 48)
    w1, b1, w2, b2 = head.parameters()
    torch.testing.assert_close(head(x), (x @ w1.T + b1).clamp(min=0) @ w2.T + b2)


@pytest.mark.parametrize(("layers", "batch_norm"), [(2, False), (3, False), (2, True), (4, True)])
def test_mlp_head_has_the_layers_asked_for(layers, batch_norm):
    head = mlp_head(48, 32, 16, layers=layers, batch_norm=batch_norm, generator=generator())
    linears = [m for m in head if isinstance(m, nn.Linear)]
    assert [m.out_features for m in linears] == [32] * (layers - 1) + [16]
    assert [m.bias is None for m in linears] == [batch_norm] * (layers - 1) + [False]
    assert sum(isinstance(m, nn.BatchNorm1d) for m in head) == (layers - 1 if batch_norm else 0)
    assert sum(isinstance(m, nn.ReLU) for m in head) == layers - 1
    assert isinstance(head[-1], nn.Linear)
    assert head(torch.randn(8, 48)).shape == (8, 16)


@pytest.mark.parametrize("output_norm", [False, True])
def test_a_head_is_normalised_in_parts_of_the_batch(output_norm):
    split, plain = (
        mlp_head(48, 32, 16, batch_norm=True, output_norm=output_norm, splits=splits, generator=generator())
        for splits in (2, 1)
    )
    x = torch.randn(8, 48, generator=generator(1))
    torch.testing.assert_close(split(x), torch.cat([plain(x[:4]), plain(x[4:])]))
    assert (split(x) - plain(x)).abs().max() > 0.01
    assert split.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 4), (4, 0), (4, -2)])
def test_a_layer_without_units_is_refused(inputs, outputs):
    with pytest.raises(InputError, match=f"linear layer of {inputs} inputs and {outputs} outputs cannot be made"):
        linear(inputs, outputs, generator())


def test_weights_have_torchs_default_distribution():
    ours, torchs = linear_head(400, 500, generator()), nn.Linear(400, 500)
    bound = 1 / math.sqrt(400)
    assert bound * 0.999 < ours.weight.abs().max().item() <= bound
    assert 0 < ours.bias.abs().max().item() <= bound
    assert ours.weight.std().item() == pytest.approx(torchs.weight.std().item(), rel=0.01)


def test_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first, second, third = (mlp_head(8, 8, 4, batch_norm=True, generator=generator(s)).state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["0.weight"], third["0.weight"])


def test_an_mlp_needs_a_hidden_layer():
    with pytest.raises(InputError, match="1 layers has no hidden layer"):
        mlp_head(8, 8, 4, layers=1, generator=generator())
