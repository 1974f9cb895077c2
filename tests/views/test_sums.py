"""Sums of rows and of columns, and transpositions, against their definitions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pairlens.views.sums import Taps, sum_columns, sum_rows, transposed

LENGTHS = st.integers(1, 20)


@given(
    batch=st.integers(1, 4), height=LENGTHS, width=LENGTHS, sums=LENGTHS, terms=st.integers(1, 6), shared=st.booleans()
)
def test_sums_of_rows_and_of_columns(batch: int, height: int, width: int, sums: int, terms: int, shared: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 3, height, width, generator=generator)
    rows = torch.randint(height, (1 if shared else batch, sums, terms), generator=generator)
    weights = torch.rand(batch, 1 if shared else sums, terms, generator=generator)
    taken = torch.stack([image[:, rows[min(b, len(rows) - 1)]] for b, image in enumerate(images)])  # [B, 3, S, T, K]
    expected = torch.einsum("bcstk,bst->bcsk", taken, weights.expand(batch, sums, terms))
    assert torch.allclose(sum_rows(images, Taps(rows, weights)), expected, atol=1e-5)
    assert torch.allclose(sum_columns(images.mT.contiguous(), Taps(rows, weights)), expected.mT, atol=1e-5)


@given(batch=st.integers(1, 4), height=st.integers(1, 70), width=st.integers(1, 70))
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_transposed(kind: torch.dtype, batch: int, height: int, width: int) -> None:
    images = torch.arange(batch * height * width).view(batch, height, width).to(kind)
    turned = transposed(images)
    assert torch.equal(turned, images.mT)
    assert turned.is_contiguous()
