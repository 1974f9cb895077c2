"""Loaders: whatever way pixels come, they are those of the images that were asked for."""

import pytest
import torch

from pairlens.data import loader
from pairlens.data.loader import Moving, Resident, make_loader

CPU = torch.device("cpu")
CROP = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(5, 1)
WHOLE = {"query": (CROP, 2), "key": (CROP, 2)}


def numbered(count: int) -> torch.Tensor:
    """Pixels that say which image they are."""
    return torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2).contiguous()


@pytest.mark.parametrize("kind", [Resident, Moving])
def test_pixels_are_those_of_the_index(kind):
    made = kind(numbered(50), CPU)
    asked = [(index, made.ask(index, WHOLE)) for index in torch.randperm(50).view(10, 5)]
    for index, wait in asked:
        pixels = wait()
        assert pixels.keys() == WHOLE.keys()
        assert pixels["query"] is pixels["key"]  # gathered once for both
        assert pixels["query"].dtype == torch.uint8
        assert torch.equal(pixels["query"], numbered(50)[index])
        assert torch.equal(made.whole(index), numbered(50)[index])


def test_a_set_on_the_cpu_is_not_copied():
    pixels = numbered(5)
    assert make_loader(pixels, CPU)._pixels.data_ptr() == pixels.data_ptr()


@pytest.mark.parametrize(("fits", "kind"), [(True, Resident), (False, Moving)])
def test_what_does_not_fit_stays_where_it_is(monkeypatch, fits, kind):
    monkeypatch.setattr(loader, "_fits", lambda pixels, device: fits)
    assert isinstance(make_loader(numbered(5), CPU), kind)
