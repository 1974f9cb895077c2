import pytest
import torch

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.evaluate import retrieval
from pairlens.evaluate.retrieval import neighbours, view_retrieval
from pairlens.views.crops import full_image
from pairlens.views.plans import Augmentation, two_views

PLAIN = Augmentation(full_image(), flip=0.0, jitter_probability=0.0, gray=0.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise_images(count=40, side=8):
    pixels = torch.randint(256, (count, 3, side, side), generator=generator(), dtype=torch.uint8)
    return ImageSet(pixels, torch.full((count, 2), side), [str(i) for i in range(count)])


def flat(views):
    return views.flatten(1) - 0.5


def test_equal_views_find_each_other(monkeypatch):
    monkeypatch.setattr(retrieval, "CHUNK", 40 * 7)
    found = view_retrieval(flat, noise_images(), two_views(PLAIN), size=8, seed=0)
    assert found == {"top1": 1.0, "top5": 1.0}


def test_a_collapsed_encoder_finds_nothing():
    """All cosines are one but for rounding."""

    def collapsed(views):
        return torch.ones(len(views), 50) * (0.1 + views.mean((1, 2, 3)))[:, None]

    found = view_retrieval(collapsed, noise_images(), two_views(PLAIN), size=8, seed=0)
    assert found == {"top1": 0.0, "top5": 0.0}


def test_features_that_ignore_the_image_find_it_by_chance():
    draws = generator(1)
    found = view_retrieval(
        lambda views: torch.randn(len(views), 30, generator=draws),
        noise_images(500),
        two_views(PLAIN),
        size=8,
        seed=0,
    )
    assert found["top1"] < 0.02
    assert found["top5"] < 0.04
    assert found["top5"] > 0


def test_shares_are_those_of_a_loop():
    images, seen = noise_images(), []

    def encode(views):
        seen.append(views)
        return flat(views)[:, :4]

    found = view_retrieval(encode, images, two_views(Augmentation()), size=8, seed=3)
    query, key = (flat(views)[:, :4] for views in seen)
    ranks = []
    for i in range(40):
        cosines = [torch.cosine_similarity(query[i], key[j], dim=0).item() for j in range(40)]
        ranks.append(sum(c > cosines[i] for c in cosines))
    assert found["top1"] == sum(r < 1 for r in ranks) / 40
    assert found["top5"] == sum(r < 5 for r in ranks) / 40
    assert 0 < found["top1"] < found["top5"] < 1


def test_images_and_views_come_from_the_seed_alone():
    images, plan = noise_images(), two_views(Augmentation(blur=0.5))
    seen, before = [], torch.get_rng_state()

    def encode(views):
        seen.append(views)
        return flat(views)

    for seed in (0, 0, 1):
        view_retrieval(encode, images, plan, size=8, seed=seed, limit=16)
    assert all(len(views) == 16 for views in seen)
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])
    assert not torch.equal(seen[0], seen[4])
    assert torch.equal(torch.get_rng_state(), before)


def test_retrieval_needs_two_images_and_two_views():
    with pytest.raises(InputError, match="a set of 1 images"):
        view_retrieval(flat, noise_images(1), two_views(PLAIN), size=8, seed=0)
    with pytest.raises(InputError, match="draws 1 view"):
        view_retrieval(flat, noise_images(), lambda draw: {"query": PLAIN.draw(draw)}, size=8, seed=0)


def test_neighbours_are_sorted_cosines():
    queries, gallery = torch.randn(5, 6, generator=generator()), torch.randn(30, 6, generator=generator(1))
    cosines = torch.cosine_similarity(queries[:, None], gallery[None], dim=2)
    similarity, index = neighbours(queries, gallery, 4)
    torch.testing.assert_close(similarity, cosines.sort(descending=True).values[:, :4])
    assert index.tolist() == cosines.argsort(descending=True)[:, :4].tolist()


def test_neighbours_leave_the_query_out():
    gallery = torch.randn(30, 6, generator=generator())
    without = torch.tensor([4, 9])
    similarity, index = neighbours(gallery[without], gallery, 29, without=without)
    assert similarity.isfinite().all()
    assert [sorted(row) for row in index.tolist()] == [[i for i in range(30) if i != w] for w in (4, 9)]
    with pytest.raises(InputError, match="there are 29 images to find 30 neighbours among"):
        neighbours(gallery[without], gallery, 30, without=without)


def test_an_index_limits_the_images():
    images = noise_images()
    index = torch.tensor([4, 9, 30])
    some = view_retrieval(flat, images, two_views(Augmentation(blur=0.5)), size=8, seed=0, index=index)
    assert some == view_retrieval(flat, images.rows(index), two_views(Augmentation(blur=0.5)), size=8, seed=0)
    with pytest.raises(InputError, match="set of 1 images"):
        view_retrieval(flat, images, two_views(PLAIN), size=8, seed=0, index=index[:1])
