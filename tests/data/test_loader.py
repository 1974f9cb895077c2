"""Loaders: whatever way pixels come, they are those of the images that were asked for."""

import pytest
import torch

from pairlens.data import loader
from pairlens.data.loader import Cutting, Moving, Resident, make_loader
from pairlens.data.photographs import Photographs
from pairlens.errors import InputError

CPU = torch.device("cpu")
CROP = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(5, 1)
WHOLE = {"query": (CROP, 2), "key": (CROP, 2)}


def numbered(count: int) -> torch.Tensor:
    """Pixels that say which image they are."""
    return torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2).contiguous()


@pytest.mark.parametrize("kind", [Resident, Moving])
def test_pixels_are_those_of_the_index(kind):
    made = kind(numbered(50), CPU)
    asked = [(index, made.ask(index, WHOLE, {})) for index in torch.randperm(50).view(10, 5)]
    for index, wait in asked:
        pixels = wait()
        assert pixels.keys() == WHOLE.keys()
        assert pixels["query"] is pixels["key"]  # gathered once for both
        assert pixels["query"].dtype == torch.uint8
        assert torch.equal(pixels["query"], numbered(50)[index])
        assert torch.equal(made.whole(index), numbered(50)[index])


@pytest.mark.parametrize("kind", [Resident, Moving])
def test_textured_views_are_cut_from_the_copies_that_were_drawn(kind):
    pixels, generator = numbered(50), torch.Generator().manual_seed(0)
    styles = torch.stack([pixels + 50, pixels + 100])
    made, views = kind(pixels, CPU, styles), dict.fromkeys(("query", "key", "key_color", "key_texture"), (CROP, 2))
    drawn = [torch.randint(3, (2, 5), generator=generator) for _ in range(10)]
    asked = []
    for index, (query, other) in zip(torch.randperm(50, generator=generator).view(10, 5), drawn, strict=True):
        textures = {"query": query, "key_texture": query, "key_color": other}
        asked.append((index, textures, made.ask(index, views, textures)))
    for index, textures, wait in asked:
        found = wait()
        assert list(found) == list(views)
        for name, view in found.items():
            expected = index + 50 * textures.get(name, torch.zeros(5).long())
            assert torch.equal(view, expected.byte()[:, None, None, None].expand(-1, 3, 2, 2)), name
        assert torch.equal(made.whole(index), pixels[index])
    assert torch.equal(pixels, numbered(50))


@pytest.mark.parametrize("kind", [Resident, Moving, Cutting])
def test_copies_that_are_not_there_are_refused(kind):
    made = kind(Photographs("/none", ["a.png"], 2, 1) if kind is Cutting else numbered(5), CPU)
    with pytest.raises(InputError, match="the views query and key show stylised copies of the images, and there are n"):
        made.ask(torch.arange(5), WHOLE, dict.fromkeys(WHOLE, torch.ones(5).long()))


def test_copies_count_where_room_is_looked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(loader, "_fits", lambda size, device: asked.append(size) or len(asked) > 1)
    styles = torch.stack([numbered(5)] * 3)
    assert isinstance(make_loader(numbered(5), CPU, styles), Moving)
    assert isinstance(make_loader(numbered(5), CPU), Resident)
    assert asked == [4 * 5 * 12, 5 * 12]


def test_a_set_on_the_cpu_is_not_copied():
    pixels = numbered(5)
    assert make_loader(pixels, CPU)._pixels.data_ptr() == pixels.data_ptr()


@pytest.mark.parametrize(("fits", "kind"), [(True, Resident), (False, Moving)])
def test_what_does_not_fit_stays_where_it_is(monkeypatch, fits, kind):
    monkeypatch.setattr(loader, "_fits", lambda size, device: fits)
    assert isinstance(make_loader(numbered(5), CPU), kind)
