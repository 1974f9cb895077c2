"""Label shift against loops and scikit-learn."""

import math

import pytest
import torch
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.evaluate.label_shift import (
    agreement,
    augmented,
    choose,
    nearer_elsewhere,
    separation,
    silhouette,
    strengths,
    variance_ratio,
)


def clusters(apart: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Three classes of unequal size about three corners."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0] * 5 + [1] * 7 + [2] * 4)
    features = torch.randn(16, 6, dtype=torch.float64, generator=generator) + apart * torch.eye(6).double()[labels]
    return torch.nn.functional.normalize(features, dim=1), labels


def images(count: int = 24, classes: int = 4) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    return ImageSet(
        pixels=torch.randint(0, 256, (count, 3, 16, 16), generator=generator, dtype=torch.uint8),
        sizes=torch.full((count, 2), 16),
        names=[str(i) for i in range(count)],
        labels=torch.arange(count) % classes,
        classes=tuple("abcdefgh"[:classes]),
    )


def test_silhouette_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for apart in (0.0, 1.0, 4.0):
        features, labels = clusters(apart)
        wanted = metrics.silhouette_score(features.numpy(), labels.numpy())
        assert silhouette(features, labels) == pytest.approx(wanted, abs=1e-9)


def test_the_ratio_of_variances_by_loops() -> None:
    features, labels = clusters(2.0)
    rows, classes = features.tolist(), labels.tolist()
    mean = [sum(column) / 16 for column in zip(*rows, strict=True)]
    own = {
        c: [
            sum(column) / classes.count(c)
            for column in zip(*(r for r, l in zip(rows, classes, strict=True) if l == c), strict=True)
        ]
        for c in (0, 1, 2)
    }
    between = sum(math.dist(own[c], mean) ** 2 for c in classes)
    within = sum(math.dist(row, own[c]) ** 2 for row, c in zip(rows, classes, strict=True))
    assert variance_ratio(features, labels) == pytest.approx(between / within)


def test_neighbours_agree_by_loops() -> None:
    features, labels = clusters(1.0)
    shares = []
    for i in range(16):
        others = sorted((j for j in range(16) if j != i), key=lambda j: -float(features[i] @ features[j]))
        shares.append(sum(int(labels[j] == labels[i]) for j in others[:3]) / 3)
    assert agreement(features, labels, 3) == pytest.approx(sum(shares) / 16)


def elsewhere_by_loops(features: Tensor, plain: Tensor, labels: Tensor) -> list[bool]:
    wanted = []
    for i in range(len(labels)):
        distances = {}
        for c in (0, 1, 2):
            rows = [plain[j] for j in range(len(labels)) if labels[j] == c and (j != i or c != labels[i])]
            distances[c] = float((features[i] - torch.stack(rows).mean(0)).norm())
        wanted.append(min(distances.values()) < distances[int(labels[i])])
    return wanted


@pytest.mark.parametrize("seed", range(4))
def test_nearer_elsewhere_leaves_the_image_itself_out(seed: int) -> None:
    plain, labels = clusters(0.7, seed)
    wanted = elsewhere_by_loops(plain, plain, labels)
    assert nearer_elsewhere(plain, plain, labels).tolist() == wanted
    assert 0 < sum(wanted) < 16
    other, _ = clusters(0.7, seed + 10)
    after = elsewhere_by_loops(other, plain, labels)
    assert nearer_elsewhere(other, plain, labels).tolist() == after
    found = separation(other, labels, plain)
    assert found.elsewhere == pytest.approx(sum(after) / 16)
    moved = sum(a and not b for a, b in zip(after, wanted, strict=True)) / 16
    assert found.moved == pytest.approx(moved)
    assert moved < found.elsewhere


def test_separation_falls_as_classes_mix() -> None:
    far, labels = clusters(6.0)
    near, _ = clusters(0.0, seed=2)
    clear, mixed = separation(far, labels, far), separation(near, labels, far)
    assert clear.ratio > mixed.ratio
    assert clear.silhouette > 0.3 > mixed.silhouette
    assert clear.agreement > mixed.agreement
    assert (clear.elsewhere, clear.moved) == (0, 0)
    assert mixed.moved == mixed.elsewhere > 0.3


def test_chosen_images_are_of_their_classes_and_classes_stay() -> None:
    found = images()
    draws = [choose(found, 2, 4, torch.Generator().manual_seed(draw), of=5) for draw in range(2)]
    assert draws[0].classes == draws[1].classes
    assert not torch.equal(draws[0].index, draws[1].index)
    for chosen in draws:
        assert chosen.labels.tolist() == [0] * 4 + [1] * 4
        assert [found.classes[int(found.labels[i])] for i in chosen.index] == [chosen.classes[n] for n in chosen.labels]
        assert len(set(chosen.index.tolist())) == 8
    every = choose(found, 10, 64, torch.Generator())
    assert len(every.index) == 24
    assert every.classes == ("a", "b", "c", "d")
    with pytest.raises(InputError, match="two classes of two images are the least"):
        choose(images(4, 4), 10, 64, torch.Generator())


def test_strengths_are_none_a_crop_and_a_flip_and_all() -> None:
    none, weak, strong = strengths(32).values()
    assert none is None
    assert weak is not None
    assert strong is not None
    assert (weak.jitter_probability, weak.gray, weak.blur, weak.flip) == (0, 0, 0, 0.5)
    assert (strong.jitter_probability, strong.gray, strong.blur) == (0.8, 0.2, 0)
    large = strengths(224)["strong"]
    assert large is not None
    assert large.blur == 0.5


def test_views_are_drawn_from_the_generator_and_plain_ones_draw_nothing() -> None:
    found, index = images(), torch.tensor([3, 5, 1])
    mean, std = torch.tensor([0.5] * 3), torch.tensor([0.25] * 3)

    def seen(level: str, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        look = lambda views: views.flatten(1)  # noqa: E731
        return augmented(look, found, index, strengths(16)[level], 16, mean, std, generator)

    plain = ((found.pixels[index] / 255 - 0.5) / 0.25).flatten(1)
    torch.testing.assert_close(seen("none", 0), torch.nn.functional.normalize(plain, dim=1), rtol=1e-4, atol=1e-5)
    assert torch.equal(seen("none", 0), seen("none", 1))
    for level in ("weak", "strong"):
        assert torch.equal(seen(level, 0), seen(level, 0))
        assert not torch.equal(seen(level, 0), seen(level, 1))
    torch.testing.assert_close(seen("strong", 0).norm(dim=1), torch.ones(3))
