"""Beta variates: their law, where their randomness comes from, and the same law by inversion."""

import pytest
import scipy.stats
import torch

from pairlens.draw import beta, beta_of_uniform
from pairlens.errors import InputError


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.6, 1.6, 2.0])
def test_beta_follows_its_law(alpha: float) -> None:
    """Each float32 stands for all numbers that round to it: near 1 they carry much of the mass of a small alpha."""
    found = beta(alpha, (20_000,), torch.Generator().manual_seed(7))
    value, exact = found.double(), scipy.stats.beta(alpha, alpha)
    below = (torch.nextafter(found, torch.tensor(-1.0)).double() + value) / 2
    above = (torch.nextafter(found, torch.tensor(2.0)).double() + value) / 2
    low, high = exact.cdf(below.numpy()), exact.cdf(above.numpy())
    spread = torch.rand(len(found), generator=torch.Generator().manual_seed(8), dtype=torch.float64).numpy()
    assert scipy.stats.kstest(low + spread * (high - low), "uniform").pvalue > 1e-3
    assert scipy.stats.kstest(value[value < 0.5].numpy(), lambda x: 2 * exact.cdf(x)).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.05, 0.1, 1.0, 2.0, 50.0])
def test_beta_stays_in_the_unit_interval(alpha: float) -> None:
    found = beta(alpha, (200_000,), torch.Generator().manual_seed(1)).double()
    assert not found.isnan().any()
    assert ((found >= 0) & (found <= 1)).all()
    assert (found == 0.5).sum() < 5  # no pile where both gammas underflow
    deviation = (1 / (4 * (2 * alpha + 1))) ** 0.5
    assert abs(found.mean().item() - 0.5) < 5 * deviation / len(found) ** 0.5
    assert found.std().item() == pytest.approx(deviation, rel=0.02)


def test_beta_keeps_the_shape_and_continues_from_the_generators_state() -> None:
    generator = torch.Generator().manual_seed(3)
    beta(2.0, (5,), generator)
    state = generator.get_state()
    first, second = beta(0.3, (4, 3), generator), beta(0.3, (4, 3), generator)
    assert first.dtype == torch.float32
    assert first.shape == (4, 3)
    assert first.device == generator.device
    assert not torch.equal(first, second)
    generator.set_state(state)
    assert torch.equal(beta(0.3, (4, 3), generator), first)
    assert torch.equal(beta(0.3, (4, 3), generator), second)


@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_alpha_must_be_positive(alpha: float) -> None:
    with pytest.raises(InputError, match="alpha"):
        beta(alpha, (2,), torch.Generator())


# By inversion ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.3, 0.6, 0.95, 1.3, 2.0, 8.0, 200.0])
def test_inversion_gives_the_quantiles_of_the_law(alpha: float) -> None:
    uniform = torch.linspace(0, 1, 20_001, dtype=torch.float64)[1:-1]
    found = beta_of_uniform(alpha)(uniform)
    expected = torch.from_numpy(scipy.stats.beta.ppf(uniform.numpy(), alpha, alpha))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert (found.diff() >= 0).all()
    torch.testing.assert_close(found + found.flip(0), torch.ones_like(found), rtol=0, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.1, 0.6, 2.0])
def test_inversion_of_uniform_variates_follows_the_law(alpha: float) -> None:
    uniform = torch.rand(40_000, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    found = beta_of_uniform(alpha)(uniform)[uniform < 0.5]  # near 1 floats are too coarse for a small alpha
    assert scipy.stats.kstest(found.numpy(), lambda x: 2 * scipy.stats.beta.cdf(x, alpha, alpha)).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.1, 0.6, 3.0, 1e5])
def test_inversion_stays_in_the_unit_interval(alpha: float) -> None:
    uniform = torch.tensor([0.0, 2.0**-24, 0.25, 0.5, 0.75, 1 - 2.0**-24, 1.0])
    found = beta_of_uniform(alpha)(uniform)
    assert found.dtype == torch.float32
    assert ((found >= 0) & (found <= 1)).all()
    assert (found.diff() >= 0).all()
    assert (found[2:4].diff() > 0).all()
    assert found[3] == 0.5


def test_at_alpha_one_the_uniform_variates_come_back() -> None:
    uniform = torch.rand(9, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(beta_of_uniform(1.0)(uniform), uniform)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf"), float("nan")])
def test_no_inversion_without_a_law(alpha: float) -> None:
    with pytest.raises(InputError, match="alpha"):
        beta_of_uniform(alpha)
