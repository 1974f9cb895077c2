"""Rendering: equal to torchvision's float transforms, replayable, per image, eager and compiled."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.views import chunks
from pairlens.views import render as module
from pairlens.views.params import ViewParams
from pairlens.views.plans import Augmentation
from pairlens.views.render import render

MakeDraw = Callable[..., Draw]
REFERENCES = Path(__file__).with_name("references.npz")
EVERYTHING = Augmentation(jitter=(0.8, 0.8, 0.8, 0.5), blur=0.5, rotation=0.5)
LEVEL = 1 / 255
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]


def some_images(count: int, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


def close(views: Tensor, expected: Tensor) -> bool:
    """Equal but for the rounding of float32."""
    return torch.allclose(views, expected, atol=1e-6, rtol=0)


def identity(count: int, **changes: Tensor) -> ViewParams:
    return replace(ViewParams.identity(count), **changes)


def reference(case: str) -> tuple[Tensor, ViewParams, Tensor]:
    with np.load(REFERENCES) as file:
        stored = {
            k.removeprefix(f"{case}/"): torch.from_numpy(file[k].astype(file[k].dtype)) for k in file if case in k
        }
    params = {k.removeprefix("params/"): v for k, v in stored.items() if k.startswith("params/")}
    return stored["images"], identity(len(stored["images"]), **params), stored["views"].float() / 65535


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", ["all", "crop", "enlarge", "jitter", "blur"])
def test_equals_the_stored_views_of_torchvision(case: str, device: str) -> None:
    images, params, expected = reference(case)
    views = render(images.to(device), params, expected.shape[-1]).cpu()
    assert (views - expected).abs().max() < 0.05 * LEVEL


@pytest.mark.parametrize("case", ["all", "crop", "enlarge", "jitter", "blur"])
def test_without_branches_equals_the_stored_views_of_torchvision(case: str) -> None:
    images, params, expected = reference(case)
    views = module._render_masked(images, params, expected.shape[-1])
    assert (views - expected).abs().max() < 0.05 * LEVEL


def test_references_name_their_provenance() -> None:
    with np.load(REFERENCES) as file:
        assert json.loads(str(file["provenance"])).keys() >= {"torchvision", "torch", "date", "machine"}


@pytest.mark.parametrize(("height", "width", "size"), [(32, 32, 32), (70, 50, 24), (20, 33, 40), (96, 96, 112)])
def test_equals_torchvision(height: int, width: int, size: int, make_draw: MakeDraw) -> None:
    try:
        import torchvision  # noqa: F401
    except Exception as error:
        pytest.skip(f"torchvision does not import here: {error}")
    torchvision_view = runpy.run_path(str(REFERENCES.with_name("make_references.py")))["torchvision_view"]
    images = some_images(24, height, width)
    params = EVERYTHING.draw(make_draw(24, height=height, width=width))
    expected = torch.stack([torchvision_view(image, params, row, size) for row, image in enumerate(images)])
    assert (render(images, params, size) - expected).abs().max() < 0.05 * LEVEL


@given(
    height=st.integers(2, 60),
    width=st.integers(2, 60),
    size=st.integers(2, 50),
    box=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_crop_and_resize_equal_antialiased_interpolation(height: int, width: int, size: int, box: tuple) -> None:
    left, top = int(box[0] * (width - 1)), int(box[1] * (height - 1))
    wide, high = 1 + int(box[2] * (width - left - 1)), 1 + int(box[3] * (height - top - 1))
    image = some_images(1, height, width)
    crop = torch.tensor([[left / width, top / height, wide / width, high / height]])
    part = image[:, :, top : top + high, left : left + wide].float() / 255
    expected = F.interpolate(part, (size, size), mode="bilinear", antialias=True)
    assert (render(image, identity(1, crop=crop), size) - expected).abs().max() < 0.05 * LEVEL


@given(st.tuples(*[st.floats(0, 1)] * 4), st.integers(2, 40), st.integers(2, 40))
def test_any_rectangle_gives_values_of_its_image(box: tuple, length: int, size: int) -> None:
    left, top = 0.999 * box[0], 0.999 * box[1]
    crop = torch.tensor([[left, top, max(1e-3, box[2] * (1 - left)), max(1e-3, box[3] * (1 - top))]])
    flat = torch.full((1, 3, length, length), 200, dtype=torch.uint8)
    assert torch.allclose(render(flat, identity(1, crop=crop), size), torch.tensor(200 / 255), atol=1e-5)


def test_squeezed_storage_shows_the_same_region() -> None:
    wide = F.avg_pool2d(torch.rand(1, 3, 64, 160, generator=torch.Generator().manual_seed(0)), 9, 1, 4)
    original = (wide * 255).round().to(torch.uint8)
    squeezed = F.interpolate(original.float(), (64, 64), mode="bilinear", antialias=True).round().to(torch.uint8)
    params = identity(1, crop=torch.tensor([[0.25, 0.125, 0.4, 0.75]]))
    assert (render(original, params, 24) - render(squeezed, params, 24)).abs().mean() < 3 * LEVEL


def test_identity_is_the_image_itself() -> None:
    images = some_images(5)
    assert close(render(images, ViewParams.identity(5), 32), images.float() / 255)


def test_flip_mirrors_only_where_asked() -> None:
    images = some_images(4)
    views = render(images, identity(4, flip=torch.tensor([True, False, True, False])), 32)
    plain = images.float() / 255
    assert close(views[::2], plain[::2].flip(3))
    assert close(views[1::2], plain[1::2])


def test_quarter_turns_are_counter_clockwise_and_four_make_none() -> None:
    images = some_images(5)
    turns = torch.arange(4)
    plain = images[:1].float() / 255
    views = render(images[:1].expand(4, -1, -1, -1), identity(4, rotation=turns), 32)
    for k in range(4):
        assert close(views[k], torch.rot90(plain[0], k, (1, 2)))
    view = images[:1]
    for _ in range(4):
        view = (render(view, identity(1, rotation=torch.tensor([1])), 32) * 255).round().to(torch.uint8)
    assert torch.equal(view, images[:1])


def test_gray_views_have_equal_channels() -> None:
    gray = torch.tensor([True, False, True])
    views = render(some_images(3), identity(3, gray=gray), 32)
    assert torch.equal(views[gray], views[gray][:, :1].expand(-1, 3, -1, -1))
    assert not torch.equal(views[1, 0], views[1, 1])


def test_a_full_turn_of_hue_and_neutral_factors_change_nothing() -> None:
    neutral = identity(6, jittered=torch.ones(6, dtype=torch.bool), order=torch.randperm(4).expand(6, 4).contiguous())
    neutral.factors[::2, 3] = 1.0
    images = some_images(6)
    assert (render(images, neutral, 32) - images.float() / 255).abs().max() < 1e-5


def test_the_order_of_the_jitter_matters(make_draw: MakeDraw) -> None:
    images, params = some_images(8), EVERYTHING.draw(make_draw(8))
    jittered = replace(params, jittered=torch.ones(8, dtype=torch.bool))
    turned = replace(jittered, order=jittered.order.flip(1))
    assert ((render(images, jittered, 32) - render(images, turned, 32)).abs().amax((1, 2, 3)) > LEVEL).all()


def test_unjittered_views_ignore_the_factors(make_draw: MakeDraw) -> None:
    params = replace(EVERYTHING.draw(make_draw(8)), jittered=torch.zeros(8, dtype=torch.bool))
    images = some_images(8)
    neutral = replace(params, factors=ViewParams.identity(8).factors)
    assert torch.equal(render(images, params, 32), render(images, neutral, 32))


def test_only_blurred_rows_change() -> None:
    images = some_images(4)
    views = render(images, identity(4, blur=torch.tensor([0.0, 1.0, 0.0, 2.0])), 32)
    plain = images.float() / 255
    assert close(views[::2], plain[::2])
    assert (views[1::2].std((2, 3)) < plain[1::2].std((2, 3))).all()
    assert views[3].std() < views[1].std()


def test_normalisation(make_draw: MakeDraw) -> None:
    images, params = some_images(6), EVERYTHING.draw(make_draw(6))
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.1, 0.2, 0.3])
    plain = render(images, params, 32)
    assert plain.min() >= 0
    assert plain.max() <= 1 + 1e-6
    expected = (plain - mean[:, None, None]) / std[:, None, None]
    assert torch.allclose(render(images, params, 32, mean, std), expected, atol=1e-5)


def test_replay_gives_identical_pixels(make_draw: MakeDraw) -> None:
    images, params = some_images(40), EVERYTHING.draw(make_draw(40))
    before = torch.get_rng_state()
    assert torch.equal(render(images, params, 24), render(images, params, 24))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(images, some_images(40))


def test_rows_and_chunks_commute_with_render(make_draw: MakeDraw, monkeypatch: pytest.MonkeyPatch) -> None:
    images, params = some_images(40), EVERYTHING.draw(make_draw(40))
    views = render(images, params, 24)
    rows = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:13]
    assert torch.allclose(render(images[rows], params.rows(rows), 24), views[rows], atol=1e-6)
    monkeypatch.setattr(chunks, "CHUNK_PIXELS", 7 * 24**2)
    assert torch.allclose(render(images, params, 24), views, atol=1e-6)


def test_views_copied_one_by_one_are_the_same(make_draw: MakeDraw, monkeypatch: pytest.MonkeyPatch) -> None:
    images, params = some_images(40), EVERYTHING.draw(make_draw(40))
    views = render(images, params, 24)
    monkeypatch.setattr(chunks, "LARGE", 1)
    assert torch.equal(render(images, params, 24), views)


def whole(params: ViewParams) -> ViewParams:
    return replace(params, crop=ViewParams.identity(len(params)).crop)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("operations", [0, 2])
def test_cut_images_are_rendered_as_whole_rectangles(make_draw: MakeDraw, operations: int, device: str) -> None:
    params = replace(EVERYTHING, randaugment=operations).draw(make_draw(60))
    images, mean, std = some_images(60).to(device), torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.1, 0.2, 0.3])
    expected = render(images, whole(params), 32, mean, std)
    assert torch.allclose(render(images, params, 32, mean, std, cut=True), expected, atol=1e-4)


def test_cut_images_are_rendered_alike_without_branches(make_draw: MakeDraw) -> None:
    images, params = some_images(60), EVERYTHING.draw(make_draw(60))
    views = module._render_masked(images, params, 32, cut=True)
    assert torch.allclose(views, module._render_masked(images, whole(params), 32), atol=1e-5)
    assert torch.allclose(views, render(images, params, 32, cut=True), atol=1e-5)


def test_each_change_of_a_cut_image(make_draw: MakeDraw) -> None:
    images, drawn = some_images(30), whole(EVERYTHING.draw(make_draw(30)))
    for group in ("flip", "color", "blur", "rotation"):
        alone = ViewParams.identity(30).with_group(group, drawn)
        cut = render(images, alone, 32, cut=True)
        assert torch.allclose(cut, render(images, alone, 32), atol=1e-5), group
        assert not close(cut, images.float() / 255), group


def test_cut_images_stay_as_they_are() -> None:
    images, params = some_images(40), identity(40, flip=torch.arange(40) % 2 == 0)
    kept = images.clone()
    render(images, params, 32, cut=True)
    assert torch.equal(images, kept)


def test_float32_under_autocast(make_draw: MakeDraw) -> None:
    images, params = some_images(4), EVERYTHING.draw(make_draw(4))
    with torch.autocast("cpu", torch.bfloat16):
        views = render(images, params, 32)
    assert torch.equal(views, render(images, params, 32))


def test_masked_rendering_equals_the_eager_one(make_draw: MakeDraw) -> None:
    images, params = some_images(40, 30, 44), EVERYTHING.draw(make_draw(40, height=30, width=44))
    assert torch.allclose(module._render_masked(images, params, 24), render(images, params, 24), atol=1e-5)


@pytest.mark.slow
def test_compiles_as_one_graph(tmp_path: Path) -> None:
    """In an interpreter of its own, without the shape checks, which torch.compile cannot trace."""
    if os.name != "posix" or not (shutil.which("c++") or shutil.which("g++")):
        pytest.skip("torch.compile needs a C++ compiler")
    run = tmp_path / "compiled.py"
    run.write_text(COMPILED)
    env = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, run], env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) < 0.05 * LEVEL


COMPILED = """
import torch
from pairlens.draw import Draw
from pairlens.views.plans import Augmentation
from pairlens.views.render import render
torch.set_num_threads(1)
g = torch.Generator().manual_seed(0)
images = torch.randint(0, 256, (8, 3, 18, 14), dtype=torch.uint8, generator=g)
augmentation = Augmentation(jitter=(0.8, 0.8, 0.8, 0.5), blur=0.5, rotation=0.5)
params = augmentation.draw(Draw(torch.arange(8), torch.tensor([[18, 14]]).repeat(8, 1), 0, 0, g, g))
views = torch.compile(render, fullgraph=True)(images, params, 12)
print(float((views - render(images, params, 12)).abs().max()))
"""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_no_synchronisation_on_cuda(make_draw: MakeDraw) -> None:
    images, params = some_images(64).cuda(), EVERYTHING.draw(make_draw(64))
    mean = torch.full((3,), 0.5, device="cuda")
    expected = render(images.cpu(), params, 32, mean.cpu(), mean.cpu())
    torch.cuda.set_sync_debug_mode("error")
    try:
        views = render(images, params, 32, mean, mean)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (views.cpu() - expected).abs().max() < 0.1 * LEVEL


def test_textures_are_not_looked_at(make_draw: MakeDraw) -> None:
    """Images are the copies already that they name."""
    images, params = some_images(40), EVERYTHING.draw(make_draw(40))
    textured = replace(params, texture=torch.arange(40) % 3)
    assert torch.equal(render(images, textured, 24), render(images, params, 24))
    assert torch.equal(module._render_masked(images, textured, 24), module._render_masked(images, params, 24))


@pytest.mark.usefixtures("unchecked")
def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"4 images .* 3 views"):
        render(some_images(4), ViewParams.identity(3), 32)
    with pytest.raises(InputError, match="at least 2"):
        render(some_images(4), ViewParams.identity(4), 1)
    with pytest.raises(InputError, match="uint8"):
        render(some_images(4).float(), ViewParams.identity(4), 32)
    with pytest.raises(InputError, match="uint8"):
        render(some_images(4)[:, :1], ViewParams.identity(4), 32)
    with pytest.raises(InputError, match=r"30 x 32 pixels .* 32 x 32"):
        render(some_images(4, 30), ViewParams.identity(4), 32, cut=True)
