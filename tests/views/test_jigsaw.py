"""The jigsaw's views: where each patch lies, and what is drawn for it.

B images, P patches of an image.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pairlens.errors import InputError
from pairlens.views.crops import full_image
from pairlens.views.jigsaw import jigsaw_plan, patch_crops, patch_names, patch_side
from pairlens.views.plans import Augmentation, two_views, view_sizes
from pairlens.views.render import render

PLAN = two_views(Augmentation())


def test_nine_patches_stand_beside_the_views_of_the_plan(make_draw) -> None:
    assert tuple(view_sizes(jigsaw_plan(PLAN, Augmentation()), 32)) == (
        "query",
        "key",
        *(f"patch_{i}" for i in range(1, 10)),
    )
    with_patches, without = jigsaw_plan(PLAN, Augmentation(), size=16)(make_draw(6)), PLAN(make_draw(6))
    for name in ("query", "key"):
        assert with_patches[name].size is None
        for field, value in without[name].tensors().items():
            assert torch.equal(with_patches[name].tensors()[field], value)
    assert all(with_patches[name].size == 16 for name in patch_names())


@given(st.integers(1, 5), st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6))
def test_a_patch_lies_in_its_cell_and_fills_three_quarters_of_its_sides(grid: int, u: list[float]) -> None:
    left, top = u[0] / 2, u[1] / 2
    width, height = (1 - left) * (0.1 + 0.9 * u[2]), (1 - top) * (0.1 + 0.9 * u[3])
    place = torch.tensor(u[4:]).expand(1, grid * grid, 2)
    crops = patch_crops(torch.tensor([[left, top, width, height]]), place, grid)[0].tolist()
    for i, (x, y, w, h) in enumerate(crops):
        column, row = i % grid, i // grid
        assert w == pytest.approx(0.75 * width / grid, rel=1e-5)
        assert h == pytest.approx(0.75 * height / grid, rel=1e-5)
        assert x >= left + column * width / grid - 1e-6
        assert y >= top + row * height / grid - 1e-6
        assert x + w <= left + (column + 1) * width / grid + 1e-6 <= 1 + 2e-6
        assert y + h <= top + (row + 1) * height / grid + 1e-6 <= 1 + 2e-6


def test_patches_reach_the_ends_of_their_cells() -> None:
    window = torch.tensor([[0.0, 0.0, 0.6, 0.9]])
    place = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).repeat(2, 1)[None]
    first, last = patch_crops(window, place, 2)[0][[0, 3]].tolist()
    assert first[:2] == [0, 0]
    assert [last[0] + last[2], last[1] + last[3]] == pytest.approx([0.6, 0.9])


def test_a_patch_shows_nothing_of_the_cells_beside_it(make_draw) -> None:
    cells = (torch.arange(9).view(3, 3) * 25).repeat_interleave(8, 0).repeat_interleave(8, 1).byte()
    images = cells.expand(4, 3, 24, 24).contiguous()
    whole = Augmentation(full_image(), flip=0.0, jitter_probability=0.0, gray=0.0)
    params = jigsaw_plan(PLAN, whole, size=16)(make_draw(4))
    for i, name in enumerate(patch_names()):
        view = render(images, params[name], 16)
        torch.testing.assert_close(view, torch.full_like(view, i * 25 / 255))


def test_patches_of_an_image_share_its_crop_and_nothing_else(make_draw) -> None:
    params = jigsaw_plan(PLAN, Augmentation(crop=full_image()), size=16)(make_draw(64))
    patches = [params[name] for name in patch_names()]
    sides = torch.stack([p.crop[:, 2:] for p in patches])
    assert torch.equal(sides, sides[:1].expand_as(sides))
    for field in ("flip", "factors", "gray"):
        values = torch.stack([getattr(p, field) for p in patches])
        assert not torch.equal(values[0], values[1]), field
    corners = torch.stack([p.crop[:, :2] for p in patches]) / sides * 0.75  # in cells, from the image's corner
    places = (corners - corners.floor()).flatten()
    assert len(places.unique()) > 1000


def test_only_the_generator_of_the_views_is_drawn_from(make_draw) -> None:
    draw = make_draw(4)
    before = draw.features.get_state(), torch.get_rng_state()
    jigsaw_plan(PLAN, Augmentation())(draw)
    assert torch.equal(draw.features.get_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(("large", "patch"), [(224, 64), (160, 48), (96, 24), (64, 16), (32, 16), (8, 16)])
def test_a_patch_is_64_pixels_wide_beside_224(large: int, patch: int) -> None:
    assert patch_side(large) == patch


@pytest.mark.parametrize(("grid", "size"), [(0, 16), (3, 1), (3, 0)])
def test_a_jigsaw_that_cannot_be_made_is_refused(grid: int, size: int) -> None:
    with pytest.raises(InputError, match="cannot be made; PIRL takes"):
        jigsaw_plan(PLAN, Augmentation(), grid, size=size)
