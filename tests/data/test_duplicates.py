"""Which images repeat another: known copies are found as what they are, different pictures are left alone."""

import io
import itertools
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pairlens.data import duplicates as duplicates_module
from pairlens.data.duplicates import Duplicates, Group, Leak, _unite, find_duplicates


def pictures(count, side=64, seed=0):
    """Smooth shapes and detail of several scales in colour: no two are alike."""
    draw = torch.Generator().manual_seed(seed)
    layers = [
        (scale**-0.7) * F.interpolate(torch.randn(count, 3, scale, scale, generator=draw), side, mode="bicubic")
        for scale in (2, 4, 8, 16)
    ]
    return (128 + 60 * sum(layers)).clamp(0, 255).byte()


def compressed(pixels):
    def again(image):
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=50)
        return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)

    return torch.stack([again(image) for image in pixels])


def resized(pixels, side):
    small = F.interpolate(pixels.float(), (side, side), mode="bicubic", antialias=True)
    return small.round().clamp(0, 255).byte()


COPIES = {
    "compressed": compressed,
    "half the size": lambda pixels: resized(pixels, 32),
    "brighter": lambda pixels: (1.1 * pixels).clamp(0, 255).byte(),
    "darker": lambda pixels: (0.8 * pixels).byte(),
    "cropped": lambda pixels: resized(pixels[:, :, 1:-1, 1:-1], 64),
    "mirrored": lambda pixels: pixels.flip(3),
    "all of it": lambda pixels: compressed((1.1 * resized(pixels[:, :, 1:-1, 1:-1], 64).flip(3)).clamp(0, 255).byte()),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(kind):
    pixels = pictures(60)
    copies = COPIES[kind](pixels[10:50])
    found = find_duplicates(pixels, copies)
    assert [(leak.test, leak.train) for leak in found.leaks] == [(k, k + 10) for k in range(40)]
    assert not any(leak.exact for leak in found.leaks)
    assert found.groups == ()
    assert found.complete


def test_groups_of_a_set_are_told_by_size_and_kind():
    base = pictures(20)
    near = COPIES["brighter"](base)
    pixels = torch.cat([base, base[7:8], base[6:7], near[7:8], base[6:7], near[3:4], near[3:4].flip(3), base[7:8]])
    found = find_duplicates(pixels)
    groups = [Group((7, 20, 22, 26), False), Group((3, 24, 25), False), Group((6, 21, 23), True)]
    assert list(found.groups) == groups
    assert (found.images, found.redundant, found.share) == (27, 7, 7 / 27)
    assert (found.tests, found.leaks, found.complete) == (None, (), True)


def test_groups_are_joined_through_others():
    pixels = pictures(1, side=200).repeat(6, 1, 1, 1)
    chain = torch.stack([resized(pixels[k : k + 1, :, :, 4 * k : 4 * k + 176], 64)[0] for k in range(6)])
    ends = find_duplicates(chain[:1], chain[5:])
    assert ends.leaks == ()
    assert find_duplicates(chain).groups == (Group((0, 1, 2, 3, 4, 5), False),)


def test_a_leak_names_the_identical_image_before_a_near_one():
    base = pictures(8)
    near = COPIES["darker"](base)
    train = torch.cat([near[:4], base[:2], base[:1]])
    found = find_duplicates(train, torch.cat([pictures(2, seed=9), base[:4]]))
    assert found.leaks == (Leak(2, 4, True), Leak(3, 5, True), Leak(4, 2, False), Leak(5, 3, False))
    assert found.groups == find_duplicates(train).groups == (Group((0, 4, 6), False), Group((1, 5), False))
    assert found.tests == 6


def test_copies_within_the_test_set_are_no_leaks_and_join_no_groups():
    """The test image lies between two training images that are too far apart to be one group."""
    wide = pictures(1, side=200)
    left, middle, right = (resized(wide[:, :, :, begin : begin + 176], 64) for begin in (0, 7, 14))
    found = find_duplicates(
        torch.cat([left, right]), torch.cat([middle, middle, pictures(1, seed=3).repeat(2, 1, 1, 1)])
    )
    assert found.groups == ()
    assert [leak.test for leak in found.leaks] == [0, 1]


@pytest.mark.parametrize("count", [0, 1])
def test_sets_of_none_and_one(count):
    found = find_duplicates(pictures(2)[:count], pictures(2)[:count])
    assert (found.images, found.groups, found.redundant, found.share) == (count, (), 0, 0.0)
    assert found.leaks == tuple(Leak(0, 0, True) for _ in range(count))
    assert found.met(10) == 0.0
    assert f"{count} training images" in found.summary(10)


def test_one_image_throughout_is_one_group():
    found = find_duplicates(pictures(1).expand(3000, -1, -1, -1))
    assert found.groups == (Group(tuple(range(3000)), True),)
    assert found.complete


def noisy(frame, count, levels):
    noise = torch.randint(-levels, levels + 1, (count, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    return (frame.int() + noise).clamp(0, 255).byte()


@pytest.mark.parametrize("frame", ["picture", "paper"])
def test_a_crowd_of_near_copies_is_one_group_with_few_comparisons(frame, monkeypatch):
    """1 500 frames have over a million pairs."""
    seen = []
    real = duplicates_module.alike
    monkeypatch.setattr(duplicates_module, "alike", lambda *given: seen.append(len(given[1])) or real(*given))
    still = pictures(1, side=32) if frame == "picture" else torch.full((1, 3, 32, 32), 250)
    found = find_duplicates(noisy(still, 1500, 4))
    assert [len(group.rows) for group in found.groups] == [1500]
    assert sum(seen) < 10 * 1500
    assert not found.complete  # more of them share a band than are looked at


def test_a_crowd_of_different_images_ends_within_its_budget(monkeypatch):
    """All have one fingerprint, and none repeats another."""
    monkeypatch.setattr(duplicates_module, "alike", lambda a, i, b, j, mirrored: np.zeros(len(i), bool))
    seen = []
    monkeypatch.setattr(duplicates_module, "COMPARED", 2)
    found = find_duplicates(noisy(torch.full((1, 3, 32, 32), 250), 200, 2), None, lambda done, total: seen.append(done))
    assert found.groups == ()
    assert not found.complete
    assert "not all could be compared" in found.summary()
    assert seen[-1] == 200


def test_flat_colours_repeat_where_they_are_nearly_one():
    levels = torch.tensor([[200, 30, 30], [201, 30, 31], [30, 200, 30], [30, 30, 200], [90, 90, 90], [200, 30, 30]])
    found = find_duplicates(levels.byte()[:, :, None, None].expand(6, 3, 32, 32))
    assert found.groups == (Group((0, 1, 5), False),)


def test_progress_counts_both_sets():
    told = []
    find_duplicates(pictures(70, side=16), pictures(5, side=24), lambda done, total: told.append((done, total)))
    assert told == [(64, 75), (70, 75), (75, 75)]


@pytest.mark.parametrize("seed", range(5))
def test_joining_pairs_gives_the_connected_components(seed):
    draw = random.Random(seed)
    pairs = [(draw.randrange(60), draw.randrange(60)) for _ in range(45)]
    label = np.arange(60)
    for some in (pairs[:15], pairs[15:30], pairs[30:]):
        _unite(label, *np.array(some).T)
    naive = list(range(60))
    for _ in range(60):
        for i, j in pairs:
            naive[i] = naive[j] = min(naive[i], naive[j])
    assert label.tolist() == naive


def test_share_of_queries_that_meet_a_copy_is_what_drawing_gives():
    groups = (Group((0, 1, 2), True), Group((5, 6), False))
    found = Duplicates(9, groups, None, (), True)
    copies = {row: set(group.rows) - {row} for group in groups for row in group.rows}
    for negatives in range(10):
        drawn = list(itertools.combinations(range(8), min(negatives, 8)))  # positions among the others of a query
        met = 0.0
        for query in range(9):
            others = [row for row in range(9) if row != query]
            met += sum(bool(copies.get(query, set()) & {others[k] for k in draw}) for draw in drawn) / len(drawn)
        assert found.met(negatives) == pytest.approx(met / 9)


def test_summary_says_what_was_found_and_what_to_do():
    some = Duplicates(2000, (Group((0, 3, 8), True), Group((1, 2), False)), 50, (Leak(4, 0, True),), True)
    assert some.summary(500) == (
        "3 of the 2,000 training images (0.1 %) repeat another one, in 2 groups of up to 3 (identical pixels in 1, "
        "nearly the same picture in 1), and copies of a picture are met as its negatives, by 0.1 % of the queries with "
        "500 negatives: keep one of each group; 1 of the 50 test images (2.0 %) has a copy in training, so the test "
        "result looks better than it is: take those copies out of training"
    )
    assert Duplicates(7, (), 4, (), True).summary() == (
        "no two of the 7 training images show the same picture; none of the 4 test images has a copy in training"
    )
    assert "repeats another one, in 1 group of" in Duplicates(9, (Group((1, 2), True),), None, (), True).summary()
    assert "less than 0.1 %" in Duplicates(9000, (Group((1, 2), True),), None, (), True).summary()
