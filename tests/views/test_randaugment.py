"""RandAugment: every operation against Pillow's, what is drawn, and where it stands in the chain."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats
from torch import Tensor

from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.recipes import find_recipe
from pairlens.report.panels.gallery import OPERATIONS, describe
from pairlens.settings import Views
from pairlens.views import render as rendering
from pairlens.views.color import luma
from pairlens.views.params import GROUPS, ViewParams
from pairlens.views.plans import Augmentation, two_views
from pairlens.views.randaugment import FAMILIES, Operation, apply_masked, apply_operations
from pairlens.views.render import render

MakeDraw = Callable[..., Draw]
N = 20_000
MEAN = (124, 116, 104)  # of ImageNet, of 255
HIGHEST = {Operation.POSTERIZE: 4, Operation.SOLARIZE: 256, Operation.SOLARIZE_ADD: 110}  # PyContrast's, at level 10
HIGHEST |= dict.fromkeys(range(Operation.SHARPNESS, Operation.COLOR + 1), 1.9)
HIGHEST |= {Operation.ROTATE: 30, Operation.SHEAR_X: 0.3, Operation.SHEAR_Y: 0.3}
HIGHEST |= {Operation.TRANSLATE_X: 0.45, Operation.TRANSLATE_Y: 0.45}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]
INFOMIN = find_recipe("imagenet100.infomin")().views.augmentation()
EVERYTHING = Augmentation(jitter=(0.8, 0.8, 0.8, 0.5), blur=0.5, rotation=0.5, randaugment=3)
MAGNITUDES = {
    Operation.POSTERIZE: (0, 1, 3, 4, 7),
    Operation.SOLARIZE: (0, 1, 100, 128, 255, 256),
    Operation.SOLARIZE_ADD: (0, 1, 55, 110),
    Operation.SHARPNESS: (0.1, 0.7, 1.0, 1.9),
    Operation.BRIGHTNESS: (0.1, 0.7, 1.0, 1.9),
    Operation.CONTRAST: (0.1, 0.7, 1.0, 1.9),
    Operation.COLOR: (0.1, 0.7, 1.0, 1.9),
    Operation.ROTATE: (-30, -7.3, 0, 11, 28.1),
    Operation.SHEAR_X: (-0.29, -0.1, 0, 0.2113, 0.3),
    Operation.SHEAR_Y: (-0.29, -0.1, 0, 0.2113, 0.3),
    Operation.TRANSLATE_X: (-0.44, -0.013, 0, 0.4371),
    Operation.TRANSLATE_Y: (-0.44, -0.013, 0, 0.4371),
}
CASES = [(o, float(m)) for o in Operation for m in MAGNITUDES.get(o, (0.0,))]

# Levels of 255: what Pillow's own rounding leaves. It truncates interpolated and blended values (under 1), after
# rounding the gray image or mean (under 1/2, times a factor of .9), or the smoothed image (the same).
TOLERANCE = dict.fromkeys(Operation, 0.01)
TOLERANCE |= dict.fromkeys((Operation.SHARPNESS, Operation.CONTRAST, Operation.COLOR), 1.46)
TOLERANCE |= dict.fromkeys((Operation.AUTO_CONTRAST, Operation.BRIGHTNESS), 1.001)
TOLERANCE |= dict.fromkeys(range(Operation.ROTATE, Operation.TRANSLATE_Y + 1), 1.01)


def pillow(operation: Operation, magnitude: float, image: Image.Image) -> Image.Image:
    """The operation as Pillow has it, with PyContrast's arguments."""

    def affine(*matrix: float) -> Image.Image:
        return image.transform(
            image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR, fillcolor=MEAN
        )

    def add_below_half() -> Image.Image:
        return image.point([min(255, v + int(magnitude)) if v < 128 else v for v in range(256)] * 3)

    side, black = image.size[0], Image.new("RGB", image.size)  # newer Pillows refuse to keep no bit
    return {
        Operation.IDENTITY: lambda: image,
        Operation.AUTO_CONTRAST: lambda: ImageOps.autocontrast(image),
        Operation.EQUALIZE: lambda: ImageOps.equalize(image),
        Operation.INVERT: lambda: ImageOps.invert(image),
        Operation.POSTERIZE: lambda: ImageOps.posterize(image, int(magnitude)) if magnitude else black,
        Operation.SOLARIZE: lambda: ImageOps.solarize(image, int(magnitude)),
        Operation.SOLARIZE_ADD: add_below_half,
        Operation.SHARPNESS: lambda: ImageEnhance.Sharpness(image).enhance(magnitude),
        Operation.BRIGHTNESS: lambda: ImageEnhance.Brightness(image).enhance(magnitude),
        Operation.CONTRAST: lambda: ImageEnhance.Contrast(image).enhance(magnitude),
        Operation.COLOR: lambda: ImageEnhance.Color(image).enhance(magnitude),
        Operation.ROTATE: lambda: image.rotate(magnitude, resample=Image.Resampling.BILINEAR, fillcolor=MEAN),
        Operation.SHEAR_X: lambda: affine(1, magnitude, 0, 0, 1, 0),
        Operation.SHEAR_Y: lambda: affine(1, 0, 0, magnitude, 1, 0),
        Operation.TRANSLATE_X: lambda: affine(1, 0, magnitude * side, 0, 1, 0),
        Operation.TRANSLATE_Y: lambda: affine(1, 0, 0, 0, 1, magnitude * side),
    }[operation]()


def some_images(side: int) -> Tensor:
    """Noise, narrow noise, steps, a gradient, a flat image, and one whose channels have one and two values."""
    generator = torch.Generator().manual_seed(side)
    noise = torch.randint(0, 256, (3, side, side), generator=generator)
    steps = torch.randint(0, 9, (3, side, side), generator=generator) * 31
    gradient = torch.linspace(20, 230, side).round().expand(3, side, side)
    odd = torch.stack([torch.full((side, side), 7), (noise[0] > 40) * 200, noise[1]])
    images = [noise, 90 + noise // 8, steps, gradient, torch.full((3, side, side), 117), odd]
    return torch.stack([image.to(torch.uint8) for image in images])


def applied(images: Tensor, *pairs: tuple[Operation, float]) -> Tensor:
    """The images after the same operations each, rows by rows."""
    operations = torch.tensor([int(o) for o, _ in pairs]).repeat(len(images), 1)
    magnitudes = torch.tensor([m for _, m in pairs]).repeat(len(images), 1)
    return apply_operations(images.float() / 255, operations, magnitudes)


@pytest.mark.parametrize("side", [12, 32, 45])
@pytest.mark.parametrize(("operation", "magnitude"), CASES)
def test_equals_pillow(operation: Operation, magnitude: float, side: int) -> None:
    images = some_images(side)
    pictures = [Image.fromarray(i.permute(1, 2, 0).contiguous().numpy()) for i in images]
    expected = np.stack([np.asarray(pillow(operation, magnitude, picture)) for picture in pictures])
    views = applied(images, (operation, magnitude)).permute(0, 2, 3, 1) * 255
    assert (views - torch.from_numpy(expected).float()).abs().max() < TOLERANCE[operation]


@pytest.mark.parametrize("device", DEVICES)
def test_rows_masks_and_single_views_agree(device: str) -> None:
    generator = torch.Generator().manual_seed(0)
    views = torch.rand(len(CASES), 3, 20, 20, generator=generator)
    rows = torch.randperm(len(CASES), generator=generator)
    operation = torch.tensor([int(o) for o, _ in CASES])[rows]
    magnitude = torch.tensor([m for _, m in CASES])[rows]
    singly = torch.cat(
        [
            apply_operations(v[None].clone(), o[None, None], m[None, None])
            for v, o, m in zip(views, operation, magnitude, strict=True)
        ]
    )
    together = apply_operations(views.to(device, copy=True), operation[:, None], magnitude[:, None])
    masked = apply_masked(views.to(device), operation.to(device), magnitude.to(device))
    for result in (together, masked):
        assert torch.allclose(result.cpu(), singly, atol=2e-6 if device == "cpu" else 1e-4)
        assert result.min() >= 0
        assert result.max() <= 1 + 1e-6


def test_one_after_the_other() -> None:
    images = some_images(32)
    first, second = (Operation.ROTATE, 20.0), (Operation.INVERT, 0.0)
    turned = applied(images, first)
    assert torch.equal(applied(images, first, second), 1 - turned)
    assert not torch.equal(applied(images, second, first), 1 - turned)  # what comes from outside is not inverted
    assert torch.equal(applied(images, (Operation.IDENTITY, 0.0), first), turned)


def test_a_view_that_is_flat_but_for_rounding_stays_so() -> None:
    flat = 0.4 + 1e-6 * torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for operation in (Operation.AUTO_CONTRAST, Operation.EQUALIZE):
        views = apply_operations(flat.clone(), torch.full((2, 1), int(operation)), torch.zeros(2, 1))
        assert (views - 0.4).abs().max() < 2e-5


def test_every_operation_has_one_family() -> None:
    covered = [o for first, last, _ in FAMILIES for o in range(first, last + 1)]
    assert covered == list(range(1, len(Operation)))


def test_drawn_as_pycontrast_draws(make_draw: MakeDraw) -> None:
    params = INFOMIN.draw(make_draw(N))
    operations, magnitudes = params.operations, params.magnitudes
    assert operations.shape == magnitudes.shape == (N, 2)
    counts = torch.bincount(operations.flatten(), minlength=16)
    assert abs(counts[0] / (2 * N) - 0.5) < 0.01
    assert stats.chisquare(counts[1:]).pvalue > 1e-3
    chosen = (operations > 0).double()
    assert abs(torch.corrcoef(torch.cat([chosen, operations.double()], 1).T)[0, 1]) < 0.03
    assert (operations[:, 0] == operations[:, 1])[chosen.bool().all(1)].any()  # with replacement
    for operation, high in HIGHEST.items():
        low = 0.1 if high == 1.9 else 0.0
        drawn = magnitudes[operations == operation]
        level = (drawn.abs() - low) / (high - low) * 10
        assert level.min() > 7
        assert level.max() == pytest.approx(10)
        assert abs((level > 10 - 1e-4).double().mean() - 0.5) < 0.07  # the normal's upper half is clamped to 10
        assert abs((drawn < 0).double().mean() - (operation >= Operation.ROTATE) / 2) < 0.07
        if operation <= Operation.SOLARIZE_ADD:
            assert torch.equal(drawn, drawn.round())
        else:
            assert abs((10 - level).mean() - 0.5 * (2 * np.pi) ** -0.5) < 0.03
    assert set(magnitudes[operations == Operation.POSTERIZE].tolist()) == {3.0, 4.0}
    assert not magnitudes[operations == Operation.IDENTITY].any()
    assert not magnitudes[operations == Operation.INVERT].any()


def test_the_level_is_noisy_about_its_mean(make_draw: MakeDraw) -> None:
    params = Augmentation(randaugment=1, randaugment_magnitude=5.0).draw(make_draw(N))
    degrees = params.magnitudes[params.operations == Operation.ROTATE].abs().double()
    assert stats.kstest(degrees, stats.norm(15, 1.5).cdf).pvalue > 1e-3
    low = Augmentation(randaugment=1, randaugment_magnitude=0.0).draw(make_draw(N))
    assert low.magnitudes[low.operations == Operation.SHARPNESS].min() == pytest.approx(0.1)


def test_off_draws_nothing_and_on_leaves_its_view(make_draw: MakeDraw) -> None:
    plain, operated = make_draw(64), make_draw(64)
    off, on = Augmentation().draw(plain).tensors(), Augmentation(randaugment=2).draw(operated).tensors()
    for name, value in off.items():
        if name not in GROUPS["randaugment"]:
            assert torch.equal(value, on[name])
    assert off["operations"].shape == off["magnitudes"].shape == (64, 0)
    reference = make_draw(64)
    Augmentation().crop(reference)
    torch.rand(64, 12, generator=reference.views)
    assert torch.equal(plain.views.get_state(), reference.views.get_state())
    assert not torch.equal(operated.views.get_state(), reference.views.get_state())


def test_a_group_of_its_own(make_draw: MakeDraw) -> None:
    views = two_views(INFOMIN)(make_draw(64))
    query, key = views["query"], views["key"]
    assert not torch.equal(query.operations, key.operations)
    shared = key.with_group("randaugment", query)
    for name, value in shared.tensors().items():
        assert torch.equal(value, (query if name in GROUPS["randaugment"] else key).tensors()[name])
    assert {name for names in GROUPS.values() for name in names} == set(ViewParams.identity(1).tensors())


def test_gray_comes_last_and_blur_before(make_draw: MakeDraw) -> None:
    images = torch.stack([some_images(32)[0]] * 3)
    params = replace(
        ViewParams.identity(3),
        gray=torch.tensor([True, False, True]),
        blur=torch.tensor([1.0, 1.0, 0.0]),
        operations=torch.tensor([[int(Operation.EQUALIZE), int(Operation.ROTATE)]]).repeat(3, 1),
        magnitudes=torch.tensor([[0.0, 25.0]]).repeat(3, 1),
    )
    views = render(images, params, 32)
    none = {"operations": params.operations[:, :0], "magnitudes": params.magnitudes[:, :0]}
    before = render(images, replace(params, gray=torch.zeros(3, dtype=torch.bool), **none), 32)
    expected = apply_operations(before, params.operations, params.magnitudes)
    assert torch.allclose(views[1], expected[1], atol=1e-6)
    assert torch.allclose(views[::2], luma(expected[::2]).expand(-1, 3, -1, -1), atol=1e-6)


def test_operations_that_change_nothing_are_as_none(make_draw: MakeDraw) -> None:
    images = some_images(32).repeat(7, 1, 1, 1)
    off = Augmentation(blur=0.5).draw(make_draw(len(images)))
    empty = replace(
        off, operations=torch.zeros(len(images), 2, dtype=torch.long), magnitudes=torch.zeros(len(images), 2)
    )
    assert torch.allclose(render(images, off, 24), render(images, empty, 24), atol=1e-6)


def test_without_branches_equals_the_eager_rendering(make_draw: MakeDraw, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for values that rounding moves across a threshold or into another bin."""
    images, params = some_images(30).repeat(7, 1, 1, 1), EVERYTHING.draw(make_draw(42, height=30, width=30))
    smooth = replace(params, operations=params.operations.where(params.operations > Operation.SOLARIZE_ADD, 0))
    for compiling in (False, True):
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda compiling=compiling: compiling)
        for drawn, share in ((smooth, 0.0), (params, 0.02)):
            masked = rendering._render_masked(images, drawn, 24)
            with monkeypatch.context() as eager:
                eager.setattr(torch.compiler, "is_compiling", lambda: False)
                expected = render(images, drawn, 24)
            assert ((masked - expected).abs() > 1e-4).double().mean() <= share


@pytest.mark.slow
def test_traces_as_one_graph() -> None:
    """In an interpreter of its own, without the shape checks, which torch.compile cannot trace."""
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) < 0.02


TRACED = """
import torch
from pairlens.draw import Draw
from pairlens.views.plans import Augmentation
from pairlens.views.render import render
torch.set_num_threads(1)
g = torch.Generator().manual_seed(0)
images = torch.randint(0, 256, (16, 3, 18, 14), dtype=torch.uint8, generator=g)
view = Augmentation(jitter=(0.8, 0.8, 0.8, 0.2), blur=0.5, randaugment=2)
params = view.draw(Draw(torch.arange(16), torch.tensor([[18, 14]]).repeat(16, 1), 0, 0, g, g))
views = torch.compile(render, fullgraph=True, backend="eager")(images, params, 12)
print(float(((views - render(images, params, 12)).abs() > 1e-4).float().mean()))
"""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_no_synchronisation_on_cuda(make_draw: MakeDraw) -> None:
    images, params = some_images(32).repeat(7, 1, 1, 1), INFOMIN.draw(make_draw(42))
    on_cuda, expected = images.cuda(), render(images, params, 32)
    torch.cuda.set_sync_debug_mode("error")
    try:
        views = render(on_cuda, params, 32)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert ((views.cpu() - expected).abs() > 1e-3).double().mean() < 0.02


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("bad", [{"randaugment": -1}, {"randaugment_magnitude": 10.5}, {"randaugment_magnitude": -0.1}])
def test_bad_arguments(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match="give"):
        Augmentation(**bad)


def test_settings_hand_it_on(make_draw: MakeDraw) -> None:
    view = Views(blur=0.0, randaugment=3, randaugment_magnitude=4.0).augmentation()
    assert (view.randaugment, view.randaugment_magnitude) == (3, 4.0)
    assert Views(blur=0.0).augmentation().randaugment == 0


def test_the_gallery_says_what_was_applied_in_order() -> None:
    said = describe(
        {
            "gray": True,
            "blur": 0.5,
            "operations": [Operation.ROTATE, Operation.IDENTITY, Operation.POSTERIZE],
            "magnitudes": [-28.4, 0.0, 3.0],
        }
    )
    assert [s.replace("\u00a0", " ") for s in said] == [
        "blur \u03c3 0.50 px",
        "rotated \u221228°",
        "posterized to 3 bits",
        "gray",
    ]
    assert set(OPERATIONS) == set(Operation) - {Operation.IDENTITY}
