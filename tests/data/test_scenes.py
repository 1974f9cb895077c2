"""The built-in set: its factors are those of its pixels, its parts are disjoint, its seed is its content."""

import builtins
from collections.abc import Callable
from functools import cache

import pytest
import torch
import torch.nn.functional as F

from pairlens.data.images import ImageSet, Source
from pairlens.data.scenes import SETTINGS, TURN, _boxes, _place, make_scenes
from pairlens.data.textures import TEXTURES, rgb
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.views.boxes import Boxes, coverage, misses
from pairlens.views.crops import CropSampler, contrastive_crop, random_resized_crop


@cache
def scenes(
    setting: str = "plain", size: int | None = None, train: int = 2000, test: int = 400, seed: int = 0
) -> Source:
    return make_scenes(setting, size, train, test, seed)


def same(a: ImageSet, b: ImageSet) -> bool:
    return torch.equal(a.pixels, b.pixels) and all(torch.equal(a.factors[k], b.factors[k]) for k in a.factors)


def knn_accuracy(source: Source, k: int = 20) -> float:
    bank, queries = (F.normalize(part.pixels.flatten(1).float(), dim=1) for part in (source.train, source.test))
    nearest, index = (queries @ bank.T).topk(k, 1)
    votes = torch.zeros(len(queries), 10).scatter_add_(1, source.train.labels[index], (nearest / 0.1).exp())
    return (votes.argmax(1) == source.test.labels).float().mean().item()


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("size", [32, 64])
def test_shapes_and_factors(setting, size):
    source = scenes(setting, size, 600, 50)
    for part, count in ((source.train, 600), (source.test, 50)):
        assert part.pixels.shape == (count, 3, size, size)
        assert len(part.names) == count == len(set(part.names))
        assert set(part.factors) == {"class", "hue", "rotation", "texture", "original"}
        assert all(len(values) == count for values in part.factors.values())
        assert torch.equal(part.factors["class"], part.labels)
        assert part.factors["rotation"].abs().max() <= TURN
        assert part.factors["texture"].unique().tolist() == list(range(len(TEXTURES)))
    assert source.train.classes == tuple("0123456789")


def test_train_and_test_share_no_original_whatever_the_seed():
    a, b = scenes(seed=0), scenes(seed=1)
    for train in (a.train, b.train):
        for test in (a.test, b.test):
            assert not set(train.factors["original"].tolist()) & set(test.factors["original"].tolist())
    assert len(a.train.factors["original"].unique()) == 1442  # all of the training originals appear


def test_labels_are_the_originals():
    from sklearn.datasets import load_digits

    train = scenes().train
    assert train.labels.tolist() == load_digits().target[train.factors["original"].numpy()].tolist()


def test_a_seed_is_its_bytes_and_another_seed_is_not():
    once, again, other = (make_scenes("plain", 32, 600, 40, seed) for seed in (3, 3, 4))
    assert same(once.train, again.train)
    assert same(once.test, again.test)
    assert not same(once.train, other.train)
    assert not torch.equal(once.train.pixels[:40], once.test.pixels)


def test_all_settings_draw_the_same_digits():
    plain, shortcut, small = (scenes(setting).train for setting in SETTINGS)
    assert torch.equal(plain.boxes, shortcut.boxes)
    assert not torch.equal(plain.pixels, shortcut.pixels)
    for other in (shortcut, small):
        assert all(torch.equal(plain.factors[key], other.factors[key]) for key in plain.factors)


def test_a_setting_has_a_size_of_its_own_and_a_name():
    for setting, size, name in (
        ("plain", 32, "scenes"),
        ("shortcut", 32, "scenes:shortcut"),
        ("small", 64, "scenes:small"),
    ):
        source = scenes(setting)
        assert source.train.pixels.shape[2:] == source.test.pixels.shape[2:] == (size, size)
        assert source.name == name


def pairs_that_miss(sampler: CropSampler, boxes: torch.Tensor, make_draw: Callable[..., Draw]) -> float:
    draw = make_draw(len(boxes), height=64, width=64)
    return (misses(sampler(draw), boxes) | misses(sampler(draw), boxes)).float().mean().item()


def test_random_crops_miss_small_digits_alone_and_crops_about_the_true_boxes_none(make_draw):
    plain, small = scenes("plain").train.boxes, scenes("small").train.boxes
    anywhere = random_resized_crop((0.2, 1.0))
    assert 0.08 < pairs_that_miss(anywhere, small, make_draw) < 0.14
    assert pairs_that_miss(anywhere, plain, make_draw) < 0.005
    assert pairs_that_miss(contrastive_crop(Boxes.known(small), 0.1, (0.2, 1.0)), small, make_draw) == 0
    assert coverage(plain).median() == pytest.approx(0.41, abs=0.01)
    assert coverage(small).median() == pytest.approx(0.09, abs=0.01)


def test_a_digit_lies_where_its_offset_says():
    ink = torch.zeros(1, 8, 8)
    ink[0, 2:6, 3:5] = 1
    alpha = _place(ink, 64, torch.tensor([0.75]), torch.tensor([0.0]), torch.tensor([[1.0, -1.0]]))[0, 0]
    rows, columns = (alpha > 0.5).nonzero().T
    # The square of 48 px sits at the right (x in 16..64) and the top (y in 0..48); its cells are 6 px.
    assert (columns.min().item(), columns.max().item() + 1) == pytest.approx((16 + 18, 16 + 30), abs=1)
    assert (rows.min().item(), rows.max().item() + 1) == pytest.approx((12, 36), abs=1)


def test_boxes_are_the_tight_ones():
    visible = torch.rand(50, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.97
    for mask, box in zip(visible, _boxes(visible), strict=True):
        rows, columns = mask.nonzero().T
        expected = [columns.min() / 16, rows.min() / 16, (columns.max() + 1) / 16, (rows.max() + 1) / 16]
        assert box.tolist() == [float(edge) for edge in expected]


def test_boxes_are_inside_the_image_and_of_a_digits_shape():
    boxes = scenes().train.boxes
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    assert height.min() > 0.4
    assert height.median() > 0.55
    assert width.median() < height.median()


def test_boxes_hold_the_digits_colour():
    """The drawn hue is the hue of the most saturated pixels in the box, and of few outside it."""
    part = scenes("plain", 64, 600, 50).train
    expected = rgb(part.factors["hue"], torch.ones(600), torch.ones(600))
    inside = outside = 0.0
    for image, box, colour in zip(part.pixels[:200].float() / 255, part.boxes, expected, strict=False):
        chroma = image - image.amin(0)
        wanted = F.cosine_similarity(chroma, colour[:, None, None] - colour.min(), dim=0)
        left, top, right, bottom = (box * 64).long().tolist()
        hit = (wanted > 0.999) & (chroma.amax(0) > 0.04)
        inside += hit[top:bottom, left:right].float().mean().item()
        hit[top:bottom, left:right] = False
        outside += hit.float().mean().item()
    assert inside > 8 * outside
    assert inside / 200 > 0.15


def test_rotation_is_counter_clockwise_degrees():
    ink = torch.zeros(1, 8, 8)
    ink[0, :, 3:5] = 1  # an upright bar
    turned = _place(ink, 64, torch.tensor([0.8]), torch.tensor([15.0]), torch.zeros(1, 2))[0, 0]
    rows, columns = (turned > 0.5).nonzero().float().T
    slope = torch.linalg.lstsq(rows[:, None] - rows.mean(), columns[:, None] - columns.mean()).solution.item()
    # Counter-clockwise: the bar's top leans left, so columns grow with rows.
    assert slope == pytest.approx(torch.tensor(15.0).deg2rad().tan().item(), abs=0.03)


def test_colour_texture_and_rotation_say_nothing_of_the_class():
    part = scenes("plain", 32, 10_000, 100).train
    groups = F.one_hot(part.labels).float()
    for key, spread in (("hue", 12**-0.5), ("rotation", TURN / 3**0.5), ("texture", 2**0.5)):
        values = part.factors[key].float()
        means = groups.T @ values / groups.sum(0)
        assert (means - values.mean()).abs().max() < 4.5 * spread / 1000**0.5


def test_raw_pixels_are_neither_useless_nor_enough():
    plain, shortcut = (knn_accuracy(scenes(setting, 32, 10_000, 1000)) for setting in ("plain", "shortcut"))
    assert 0.5 < plain < 0.75
    assert shortcut < plain - 0.1


def test_shortcut_grounds_are_unlike():
    """Of the shortcut setting no two images have like borders; of the plain one many have."""
    closest = {}
    for setting in ("plain", "shortcut"):
        pixels = scenes(setting).train.pixels[:500].float()
        border = torch.cat([pixels[:, :, 0], pixels[:, :, -1]], 2).flatten(1)
        apart = torch.cdist(border, border).fill_diagonal_(torch.inf)
        closest[setting] = apart.min().item() / border.shape[1] ** 0.5
    assert closest["shortcut"] > 25  # levels of 255, root mean square
    assert closest["plain"] < 10


def test_rgb_is_python_colorsys():
    import colorsys

    hue, saturation, value = torch.rand(3, 50, generator=torch.Generator().manual_seed(0))
    expected = [
        colorsys.hsv_to_rgb(*hsv) for hsv in zip(hue.tolist(), saturation.tolist(), value.tolist(), strict=True)
    ]
    assert torch.allclose(rgb(hue, saturation, value), torch.tensor(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"setting": "hard"}, "plain, shortcut, small"),
        ({"size": 8}, "16 to 512"),
        ({"size": -1}, "16 to 512"),
        ({"setting": "small", "size": 16}, "scenes:small cannot be drawn at 16 pixels a side; choose 32 to 512"),
        ({"train": 0}, "at least one"),
        ({"test": 0}, "at least one"),
    ],
)
def test_errors(arguments, told):
    with pytest.raises(InputError, match=told):
        make_scenes(**arguments)


def test_missing_scikit_learn_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r'pip install "pairlens\[scenes\]"'):
        make_scenes(train=1, test=1)
