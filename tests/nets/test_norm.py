import pytest
import torch
from torch import nn

from pairlens.errors import InputError
from pairlens.nets.norm import SplitBatchNorm1d, SplitBatchNorm2d


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def filled(module):
    with torch.no_grad():
        module.weight.uniform_(0.5, 2, generator=generator(1))
        module.bias.uniform_(-1, 1, generator=generator(2))
    return module.double()


@pytest.mark.parametrize("format", [torch.contiguous_format, torch.channels_last])
def test_equals_a_plain_one_on_every_part(format):
    split, plain = filled(SplitBatchNorm2d(6, 4)), filled(nn.BatchNorm2d(6))
    x = torch.randn(12, 6, 5, 3, generator=generator(), dtype=torch.float64)
    x = (x + torch.arange(12).view(-1, 1, 1, 1)).contiguous(memory_format=format)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    weights = torch.randn(x.shape, generator=generator(3), dtype=torch.float64)
    (split(ours) * weights).sum().backward()
    parts = [plain(part) for part in theirs.split(3)]
    (torch.cat(parts) * weights).sum().backward()
    torch.testing.assert_close(split(x), torch.cat(parts))
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(split.weight.grad, plain.weight.grad)
    assert split(x).is_contiguous(memory_format=format)
    assert not torch.allclose(split(x), plain(x))


@pytest.mark.parametrize("affine", [True, False])
def test_rows_are_normalised_as_images_of_one_position_are(affine):
    rows, images = SplitBatchNorm1d(6, 4, affine=affine), SplitBatchNorm2d(6, 4, affine=affine)
    x = torch.randn(12, 6, generator=generator()) + torch.arange(12)[:, None]
    z = rows(x)
    torch.testing.assert_close(z, images(x[:, :, None, None])[:, :, 0, 0])
    torch.testing.assert_close(z, torch.cat([nn.BatchNorm1d(6, affine=affine)(part) for part in x.split(3)]))
    torch.testing.assert_close(rows.running_var, images.running_var)
    assert isinstance(rows, nn.BatchNorm1d)
    assert (rows.weight is not None) == affine


def test_running_statistics_move_towards_the_mean_over_parts():
    split = SplitBatchNorm2d(3, 2, momentum=0.25).double()
    x = torch.randn(8, 3, 4, 4, generator=generator(), dtype=torch.float64) * 3 + 1
    split(x)
    means = torch.stack([part.mean((0, 2, 3)) for part in x.split(4)]).mean(0)
    variances = torch.stack([part.transpose(0, 1).flatten(1).var(1) for part in x.split(4)]).mean(0)
    torch.testing.assert_close(split.running_mean, 0.25 * means)
    torch.testing.assert_close(split.running_var, 0.75 + 0.25 * variances)
    assert split.num_batches_tracked == 1


def test_is_a_plain_one_in_eval_mode_and_in_its_state():
    split, plain = SplitBatchNorm2d(3, 4), nn.BatchNorm2d(3)
    split(torch.randn(8, 3, 4, 4, generator=generator()) * 2 + 1)
    plain.load_state_dict(split.state_dict())
    x = torch.randn(7, 3, 4, 4, generator=generator(1))
    torch.testing.assert_close(split.eval()(x), plain.eval()(x), rtol=0, atol=0)


def test_one_split_is_plain_in_training():
    split, plain = SplitBatchNorm2d(3, 1), nn.BatchNorm2d(3)
    x = torch.randn(7, 3, 4, 4, generator=generator(1))
    assert torch.equal(split(x), plain(x))
    assert torch.equal(split.running_var, plain.running_var)


def test_refuses_what_it_cannot_cut():
    with pytest.raises(InputError, match="a batch of 10 cannot be normalised in 4 equal parts"):
        SplitBatchNorm2d(3, 4)(torch.randn(10, 3, 4, 4))
    with pytest.raises(InputError, match="0 splits"):
        SplitBatchNorm2d(3, 0)
