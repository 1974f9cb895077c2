"""Retrieval in every space: what neighbours share, whom the queries are, and that turned images are shown as seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pairlens.data.images import ImageSet
from pairlens.evaluate.factors import Factor, find_factors
from pairlens.evaluate.grids import alike, chance, diverse, retrieve, search, shared_qualities, with_pictures
from pairlens.evaluate.parts import Part, whole
from pairlens.evaluate.protocol import Sight
from pairlens.evaluate.rotation import TURNS
from pairlens.evaluate.seen import TURN, Seen, at_most, factor_of, see_turned, see_upright, turn_of, turned_once
from pairlens.evaluate.spaces import ENCODER


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lit(count: int, seed: int) -> ImageSet:
    """Noise that is brighter above and a little to the left, so that turns can be told; three classes by colour."""
    labels = torch.randint(3, (count,), generator=generator(seed))
    pixels = torch.randint(60, (count, 3, 12, 12), generator=generator(seed + 1), dtype=torch.uint8)
    pixels[:, :, :6] += 90
    pixels[torch.arange(count), labels] += 100
    hue = torch.rand(count, generator=generator(seed + 2))
    sizes = torch.full((count, 2), 12)
    known = {"hue": hue, "texture": torch.arange(count) % 2}
    return ImageSet(pixels, sizes, [f"{i}" for i in range(count)], labels, ("red", "green", "blue"), known)


class Quadrants(nn.Module):
    """The brightness of the upper, lower, left and right half, and the mean of each colour."""

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        gray = views.mean(1)
        halves = [gray[:, :6], gray[:, 6:], gray[:, :, :6], gray[:, :, 6:]]
        sides = torch.stack([half.mean((1, 2)) for half in halves], 1)
        return torch.cat([sides - sides.mean(1, keepdim=True), views.mean((2, 3))], 1)


def read(features: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"rotation": features[:, :4], "z": features[:, 4:]}


SIGHT = Sight(12, None, None)


@pytest.fixture(scope="module")
def parts() -> tuple[Part, Part]:
    train, test = lit(60, 0), lit(30, 10)
    return Part(train, torch.arange(60).flip(0)), whole(test)  # places are not indices


@pytest.fixture(scope="module")
def upright(parts: tuple[Part, Part]) -> tuple[Seen, Seen]:
    one, other = (see_upright(Quadrants(), read, part, SIGHT) for part in parts)
    return one, other


@pytest.fixture(scope="module")
def turned(parts: tuple[Part, Part]) -> tuple[Seen, Seen]:
    one, other = (see_turned(Quadrants(), read, part, SIGHT, images=20, seed=0) for part in parts)
    return one, other


def test_turned_views_know_their_image_and_turn(parts: tuple[Part, Part], turned: tuple[Seen, Seen]) -> None:
    seen = turned[0]
    assert len(seen) == 80
    for row in (0, 5, 42, 79):
        image = parts[0].images.pixels[parts[0].index[seen.place[row]]].float() / 255
        view = torch.rot90(image, int(seen.turn[row]), (1, 2))
        torch.testing.assert_close(seen.features["rotation"][row], Quadrants()(view[None])[0, :4])
    once = turned_once(seen, generator(3))
    assert once.place.tolist() == seen.place[::TURNS].tolist()
    assert len(once.turn.unique()) == TURNS
    views = list(zip(seen.place.tolist(), seen.turn.tolist(), strict=True))
    for row, view in enumerate(zip(once.place.tolist(), once.turn.tolist(), strict=True)):
        assert torch.equal(once.features["z"][row], seen.features["z"][views.index(view)])


def test_what_is_known_of_images_follows_their_views(parts: tuple[Part, Part], turned: tuple[Seen, Seen]) -> None:
    factors = {factor.name: factor for factor in find_factors(*parts)[0]}
    found = factor_of(factors["class"], *turned)
    labels = [part.images.labels[part.index[seen.place]] for part, seen in zip(parts, turned, strict=True)]
    assert torch.equal(found.train, labels[0])
    assert torch.equal(found.test, labels[1])
    turn = turn_of(*turned)
    assert (turn.name, turn.values, turn.train[:5].tolist()) == (TURN, 4, [0, 1, 2, 3, 0])


def test_a_part_is_cut_by_the_seed_alone(parts: tuple[Part, Part]) -> None:
    assert at_most(parts[0], 60, 0) is parts[0]
    cut = at_most(parts[0], 7, 1)
    assert len(set(cut.index.tolist())) == 7
    assert torch.equal(cut.index, at_most(parts[0], 7, 1).index)
    assert not torch.equal(cut.index, at_most(parts[0], 7, 2).index)


def hue(train: list[float], test: list[float]) -> Factor:
    def circle(turns: list[float]) -> torch.Tensor:
        angle = 2 * torch.pi * torch.tensor(turns)
        return torch.stack([angle.cos(), angle.sin()], 1)

    return Factor("hue", "circular", circle(train), circle(test))


def test_hues_are_alike_across_the_end_of_the_circle() -> None:
    found = alike(hue([0.98, 0.09, 0.06, 0.5], [0.01]), torch.tensor([[0, 1, 2, 3]]))
    assert found.tolist() == [[True, True, True, False]]
    assert alike(hue([0.1, 0.92], [0.01]), torch.tensor([[0, 1]])).tolist() == [[False, False]]  # 32 degrees


def test_chance_is_that_of_every_pair() -> None:
    classes = Factor("class", "class", torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1]), 3)
    assert chance(classes) == pytest.approx((2 + 1 + 1) / 12)
    train, test = torch.rand(40, generator=generator()).tolist(), torch.rand(9, generator=generator(1)).tolist()
    pairs = [min((a - b) % 1, (b - a) % 1) <= 1 / 12 for a in train for b in test]
    assert chance(hue(train, test)) == pytest.approx(sum(pairs) / len(pairs))


def test_only_what_two_images_share_or_not_is_a_quality() -> None:
    numbers = Factor("position", "number", torch.zeros(2, 2), torch.zeros(2, 2))
    assert [one.name for one in shared_qualities([numbers, hue([0.0], [0.0])])] == ["hue"]


def test_each_space_finds_its_nearest(upright: tuple[Seen, Seen]) -> None:
    gallery, queries = upright
    found = search(queries, gallery, [], 4)
    for space in ("rotation", "z"):
        for q in (0, 11):
            asked = queries.features[space][q]
            cosines = [float(torch.cosine_similarity(asked, one, dim=0)) for one in gallery.features[space]]
            best = sorted(range(len(cosines)), key=lambda g: -cosines[g])[:4]
            assert found[space].index[q].tolist() == best
            assert found[space].cosine[q].tolist() == pytest.approx([cosines[g] for g in best], abs=1e-5)


def test_queries_begin_with_different_classes() -> None:
    labels = torch.tensor([0] * 50 + [1] * 5 + [2] * 2)
    order = diverse(labels, 57, generator())
    assert sorted(order.tolist()) == list(range(57))
    assert sorted(labels[order[:3]].tolist()) == sorted(labels[order[3:6]].tolist()) == [0, 1, 2]
    assert labels[order[6:12]].tolist().count(1) == 3
    assert not torch.equal(order, diverse(labels, 57, generator(1)))
    assert sorted(diverse(None, 6, generator()).tolist()) == list(range(6))


@pytest.fixture(scope="module")
def retrieved(
    parts: tuple[Part, Part], upright: tuple[Seen, Seen], turned: tuple[Seen, Seen]
) -> tuple[dict, dict[str, np.ndarray]]:
    return retrieve(find_factors(*parts)[0], upright, turned, 3)


def test_the_space_that_knows_turns_finds_its_querys(retrieved: tuple[dict, dict[str, np.ndarray]]) -> None:
    record = retrieved[0]
    assert {name: (one["queries"], one["gallery"], one["k"]) for name, one in record.items()} == {
        "upright": (30, 60, 10),
        "turned": (20, 20, 10),
    }
    assert list(record["upright"]["chance"]) == ["class", "hue", "texture"]
    assert list(record["turned"]["chance"]) == [TURN, "class", "hue", "texture"]
    shares = record["turned"]["spaces"]
    assert list(shares) == [ENCODER, "rotation", "z"]  # the encoder's features are all spaces'
    assert shares["rotation"][TURN] > 1.5 * record["turned"]["chance"][TURN]
    assert shares["z"][TURN] < shares["rotation"][TURN]
    assert record["upright"]["spaces"]["z"]["class"] > 0.95
    assert record["upright"]["spaces"]["rotation"]["class"] < 0.6


def test_pictures_are_those_of_the_images_that_were_found(
    parts: tuple[Part, Part], upright: tuple[Seen, Seen], retrieved: tuple[dict, dict[str, np.ndarray]]
) -> None:
    places = retrieved[1] | {"example": np.array([4, 9])}
    arrays = with_pictures(places, *parts)
    assert arrays["pictures"].shape[0] == len(arrays["label"])
    assert arrays["pictures"].dtype == np.uint8
    for key, of in (("upright.query", 1), ("turned.neighbour.z", 0), ("upright.neighbour.rotation", 0), ("example", 1)):
        part = parts[of]
        index = part.index[torch.from_numpy(places[key].ravel())]
        np.testing.assert_array_equal(arrays["pictures"][arrays[key].ravel()], part.images.pixels[index].numpy())
        np.testing.assert_array_equal(arrays["label"][arrays[key].ravel()], part.images.labels[index].numpy())
    assert arrays["turned.neighbour.z"].shape == (6, 6)
    hits = arrays["upright.alike.class.z"]
    same = arrays["label"][arrays["upright.neighbour.z"]] == arrays["label"][arrays["upright.query"]][:, None]
    np.testing.assert_array_equal(hits, same)


def test_the_same_source_and_seed_ask_the_same(
    parts: tuple[Part, Part], upright: tuple[Seen, Seen], turned: tuple[Seen, Seen], retrieved: tuple[dict, dict]
) -> None:
    """Whatever the encoder: so runs can be shown beside each other."""

    def other(seen: Seen) -> Seen:
        return replace(seen, features={"z": torch.randn(len(seen), 5, generator=generator())})

    first, second = ((other(pair[0]), other(pair[1])) for pair in (upright, turned))
    factors = find_factors(*parts)[0]
    arrays = retrieve(factors, first, second, 3)[1]
    for key in ("upright.query", "turned.query", "turned.query_turn"):
        np.testing.assert_array_equal(arrays[key], retrieved[1][key])
    assert not np.array_equal(retrieve(factors, first, second, 4)[1]["upright.query"], retrieved[1]["upright.query"])
