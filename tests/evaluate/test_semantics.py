"""Semantics against variance (CCrop, Figure 4): each number derived again, pair by pair and in float64."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.evaluate.binned import binned, common_edges, excess, relate
from pairlens.evaluate.semantics import Judged, draw_pairs, judge, semantics
from pairlens.views.boxes import Boxes
from pairlens.views.crops import contrastive_crop, full_image, random_resized_crop

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])


class Encoder(nn.Module):
    """Mean colour and contrast of each view; normalised otherwise while training, as batch normalisation is."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(6, affine=False)

    def forward(self, views):
        return self.norm(torch.cat([views.mean((2, 3)), views.std((2, 3))], 1))


def head_of(classes=3):
    head = nn.Linear(6, classes)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        head.weight.normal_(generator=generator)
        head.bias.normal_(generator=generator)
    return head


def image_set(count=7, side=24, sizes=None, labels=None):
    drawn = torch.randint(256, (count, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    drawn[:, :, : side // 3] //= 3
    drawn[:, 1, :, : side // 2] //= 2
    labels = torch.arange(count) % 3 if labels is None else labels
    sizes = torch.tensor([sizes or (side, side)]).repeat(count, 1)
    return ImageSet(drawn, sizes, [str(i) for i in range(count)], labels, ("a", "b", "c"))


def box_table(count=7):
    corner = torch.rand(count, 2, generator=torch.Generator().manual_seed(1)) / 2
    return torch.cat([corner, corner + 0.3], 1)


def test_scores_and_distances_are_those_of_each_pair_alone():
    """Pixels are cut by hand where crops end on whole pixels, so nothing of render is believed."""
    images, encoder, head = image_set(), Encoder(), head_of()
    crops = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.25, 0.5, 0.5, 0.5], [0.5, 0.25, 0.5, 0.5], [0.0, 0.5, 0.5, 0.5]])
    calls = []

    def sampler(draw):
        calls.append(draw.index.tolist())
        return crops[(draw.index + len(calls)) % 4]

    index = torch.tensor([6, 0, 3])
    found = judge(encoder, head, images, {"own": sampler}, 12, MEAN, STD, index=index, pairs=2, batch=2)["own"]
    assert calls == [[6, 0, 3]] * 4
    encoder.eval()
    weight, bias = head.weight.double().detach().numpy(), head.bias.double().detach().numpy()
    for i, image in enumerate(index.tolist()):
        for pair in range(2):
            features = []
            for view in range(2):
                left, top, width, _ = (24 * crops[(image + 2 * pair + view + 1) % 4]).long().tolist()
                cut = images.pixels[image, :, top : top + width, left : left + width].double() / 255
                cut = (cut - MEAN.double()[:, None, None]) / STD.double()[:, None, None]
                features.append(encoder.double()(cut[None])[0].numpy())
            scores = []
            for one in features:
                logits = weight @ one + bias
                scores.append(math.exp(logits[images.labels[image]]) / sum(math.exp(v) for v in logits))
            a, b = features
            cosine = a @ b / math.sqrt((a @ a) * (b @ b))
            assert float(found.score[i, pair]) == pytest.approx(sum(scores) / 2, abs=1e-5)
            assert float(found.distance[i, pair]) == pytest.approx(1 - cosine, abs=1e-5)
    assert found.score.dtype == found.distance.dtype == torch.float64


def test_crops_depend_on_neither_batch_nor_other_samplers_nor_a_global_generator():
    images, boxes = image_set(), Boxes.known(box_table())
    samplers = {"random": random_resized_crop(), "localised": contrastive_crop(boxes, 1.0)}
    head = head_of()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = judge(Encoder(), head, images, samplers, 16, pairs=3, seed=4, batch=2)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    alone = judge(Encoder(), head, images, {"x": samplers["localised"]}, 16, pairs=3, seed=4, batch=100)["x"]
    torch.testing.assert_close(first["localised"].score, alone.score, atol=1e-6, rtol=0)
    torch.testing.assert_close(first["localised"].distance, alone.distance, atol=1e-6, rtol=0)
    other = judge(Encoder(), head, images, samplers, 16, pairs=3, seed=5)
    assert not torch.allclose(first["random"].score, other["random"].score, atol=1e-3)


def test_samplers_draw_crops_of_the_same_sizes_about_their_images_boxes():
    boxes, index, sizes = Boxes.known(box_table()), torch.tensor([5, 2]), torch.tensor([[400, 300], [300, 500]])
    random_, localised = (
        draw_pairs(sampler, index, sizes, 50, 0) for sampler in (random_resized_crop(), contrastive_crop(boxes, 1.0))
    )
    assert random_.shape == (2, 50, 2, 4)
    assert torch.equal(random_[..., 2:], localised[..., 2:])
    asked = contrastive_crop(boxes, 1.0)(Draw(index, sizes, 0, 0, *[torch.Generator().manual_seed(0)] * 2))
    assert torch.equal(localised[:, 0, 0], asked)


def test_the_classifier_is_left_as_it_was_and_works_in_eval_mode():
    images, encoder, head = image_set(), Encoder().train(), nn.Sequential(nn.Dropout(0.9), head_of()).train()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    told = []
    ways = {"whole": full_image()}
    found = judge(encoder, head, images, ways, 24, MEAN, STD, pairs=1, batch=3, progress=told.append)["whole"]
    assert told == [3, 3, 1]
    assert encoder.training
    assert head[0].training
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())
    plain = judge(Encoder().eval(), head[1], images, ways, 24, MEAN, STD, pairs=1)["whole"]
    torch.testing.assert_close(found.score, plain.score, atol=1e-6, rtol=0)
    assert found.distance.abs().max() < 1e-6  # of an image to itself


def test_images_without_a_label_are_left_out():
    images = image_set(labels=torch.tensor([0, -1, 2, 1, -1, 0, 1]))
    found = judge(Encoder(), head_of(), images, {"whole": full_image()}, 24, pairs=1)["whole"]
    some = torch.tensor([0, 2, 3, 5, 6])
    expected = judge(Encoder(), head_of(), images, {"whole": full_image()}, 24, index=some, pairs=1)["whole"]
    assert found.score.shape == (5, 1)
    assert torch.equal(found.score, expected.score)
    other = judge(Encoder(), head_of(), images, {"whole": full_image()}, 24, labels=2 - image_set().labels, pairs=1)
    assert not torch.allclose(other["whole"].score[some], expected.score)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"images": ImageSet(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.full((2, 2), 8), ["a", "b"])},
            "no labels",
        ),
        ({"images": image_set(labels=torch.full((7,), -1))}, "have no label"),
        ({"index": torch.tensor([0, 1]), "labels": torch.tensor([0, -1, 0, 0, 0, 0, 0])}, "have no label"),
        ({"head": head_of(2)}, "tells 2 classes apart, and the images have 3"),
        ({"head": nn.Linear(6, 3).requires_grad_(False).apply(lambda m: m.weight.fill_(math.nan))}, "not finite"),
        ({"pairs": 0}, "0 pairs of 1 samplers"),
        ({"samplers": {}}, "10 pairs of 0 samplers"),
    ],
)
def test_what_cannot_be_judged_gets_one_sentence(change, said):
    given = {"head": head_of(), "images": image_set(), "samplers": {"whole": full_image()}} | change
    with pytest.raises(InputError, match=said) as error:
        judge(Encoder(), size=16, **given)
    assert "\n" not in str(error.value)


# Statistics -----------------------------------------------------------------------------------------------------------


def drawn(images=40, pairs=9, seed=0, shift=0.0):
    """Distances and scores that fall with them, the pairs of an image alike."""
    rng = np.random.default_rng(seed)
    distance = rng.gamma(2, 0.1, (images, pairs)) + rng.uniform(0, 0.2, (images, 1))
    score = 0.9 - distance + shift + rng.normal(0, 0.1, (images, 1)) + rng.normal(0, 0.02, (images, pairs))
    return Judged(torch.from_numpy(score), torch.from_numpy(distance))


def naive(score, distance, low, high, last):
    """Mean, clustered standard error, pairs and images of one bin, by loops."""
    members = []
    for i in range(len(score)):
        for p in range(len(score[i])):
            if low <= distance[i][p] and (distance[i][p] < high or (last and distance[i][p] == high)):
                members.append((i, score[i][p]))
    mean = sum(value for _, value in members) / len(members)
    images = sorted({i for i, _ in members})
    total = 0.0
    for image in images:
        own = [value - mean for i, value in members if i == image]
        total += sum(own) ** 2
    error = math.sqrt(total * len(images) / (len(images) - 1)) / len(members)
    return mean, error, len(members), len(images)


def test_bins_are_means_with_errors_that_are_clustered_by_image():
    one, other = drawn(), drawn(seed=1)
    edges = common_edges([one.distance, other.distance], 6)
    borders = edges.tolist()
    every = np.sort(np.concatenate([one.distance.flatten(), other.distance.flatten()]))
    counts = [((every >= a) & (every < b)).sum() for a, b in pairwise(borders)]
    assert max(counts) - min(counts) <= 2
    for way in (one, other):
        found = relate(way.score, way.distance, edges)
        score, distance = way.score.tolist(), way.distance.tolist()
        for k, (low, high) in enumerate(pairwise(borders)):
            mean, error, count, images = naive(score, distance, low, high, k == 5)
            assert float(found.of.mean[k]) == pytest.approx(mean)
            assert float(found.of.error[k]) == pytest.approx(error)
            assert (int(found.of.count[k]), int(found.of.images[k])) == (count, images)
            along = naive(distance, distance, low, high, k == 5)[0]
            assert float(found.along.mean[k]) == pytest.approx(along)
    assert int(relate(one.score, one.distance, edges).of.count.sum()) == one.score.numel()


def test_errors_are_what_means_vary_by_when_images_are_drawn_anew():
    """Pairs of one image are alike: counting each as independent would halve the error."""
    draws = [drawn(seed=s) for s in range(300)]
    found = [semantics({"one": way}, bins=1)["ways"][0]["score"] for way in draws]
    spread = np.std([one["mean"] for one in found])
    assert np.mean([one["error"] for one in found]) == pytest.approx(spread, rel=0.1)
    naive_error = np.mean([float(way.score.std()) / math.sqrt(way.score.numel()) for way in draws])
    assert naive_error < 0.6 * spread


def test_a_bin_of_no_pairs_or_one_image_says_so():
    values, place = torch.tensor([[1.0, 3.0], [5.0, 5.0]]).double(), torch.tensor([[0, 0], [2, 2]])
    found = binned(values, place, 4)
    assert found.count.tolist() == [2, 0, 2, 0]
    assert found.images.tolist() == [1, 0, 1, 0]
    assert found.mean[[0, 2]].tolist() == [2, 5]
    assert found.mean[[1, 3]].isnan().all()
    assert found.error.isnan().all()
    assert found.residual.isfinite().all()


def test_the_excess_is_at_equal_distance_and_not_of_all_pairs():
    """The one draws farther pairs with lower scores over all, and higher ones at each distance."""
    rng = np.random.default_rng(3)
    base = rng.normal(0, 0.1, (200, 1))
    near, far = rng.uniform(0, 0.6, (200, 20)), rng.uniform(0.3, 0.9, (200, 20))
    other = Judged(torch.from_numpy(1 - near + base), torch.from_numpy(near))
    one = Judged(torch.from_numpy(1 - far + 0.05 + base), torch.from_numpy(far))
    made = semantics({"other": other, "one": one}, bins=100)["ways"]
    assert made[1]["score"]["mean"] < made[0]["score"]["mean"]
    assert made[0]["more_score"] is made[0]["more_distance"] is None
    more = made[1]["more_score"]
    assert more["difference"] == pytest.approx(0.05, abs=0.005)
    assert more["shared"] == pytest.approx(0.5, abs=0.06)
    assert more["error"] < 0.005  # the images' own brightness is common to both
    edges = common_edges([one.score, other.score], 100)
    expected = excess(*(relate(way.distance, way.score, edges) for way in (one, other)))
    assert made[1]["more_distance"] == expected != more


def test_the_error_of_the_excess_is_what_it_varies_by():
    found = []
    for seed in range(200):
        one, other = drawn(seed=seed, shift=0.02), drawn(seed=seed + 1000)
        edges = common_edges([one.distance, other.distance], 5)
        found.append(excess(*(relate(way.score, way.distance, edges) for way in (one, other))))
    spread = np.std([one["difference"] for one in found])
    assert np.mean([one["error"] for one in found]) == pytest.approx(spread, rel=0.12)
    assert np.mean([one["difference"] for one in found]) == pytest.approx(0.02, abs=3 * spread / math.sqrt(200))


def test_ways_that_share_no_distance_are_not_compared():
    near, far = (Judged(torch.rand(5, 4).double(), torch.rand(5, 4).double() + shift) for shift in (0.0, 3.0))
    more = semantics({"near": near, "far": far}, bins=2)["ways"][1]["more_score"]
    assert more == {"difference": None, "error": None, "shared": 0.0}


def test_the_record_is_json_of_columns_as_long_as_their_bins():
    same = Judged(torch.full((3, 4), 0.5).double(), torch.zeros(3, 4).double())
    made = semantics({"a": same, "b": same})
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["edges"] == {"distance": [0.0], "score": [0.5]}
    assert made["ways"][1]["score_by_distance"]["mean"] == [0.5]
    assert made["ways"][1]["more_score"]["difference"] == 0.0
    spread = semantics({"a": drawn(), "b": drawn(seed=1)}, bins=7)
    assert (spread["images"], spread["pairs"]) == (40, 9)
    assert json.loads(json.dumps(spread, allow_nan=False)) == spread
    for way in spread["ways"]:
        for name, edges in (("score_by_distance", "distance"), ("distance_by_score", "score")):
            assert {len(column) for column in way[name].values()} == {7} == {len(spread["edges"][edges]) - 1}
            assert sum(way[name]["count"]) == 360
    with pytest.raises(InputError, match="0 ways in 20 bins"):
        semantics({})
