"""Which features stand for a space, which sets of spaces are read out, and what each of them tells."""

import pytest
import torch
from torch import nn

from pairlens.errors import InputError
from pairlens.evaluate.factors import Factor
from pairlens.evaluate.knn import knn
from pairlens.evaluate.linear import linear_solver
from pairlens.evaluate.spaces import (
    ENCODER,
    Task,
    beside,
    beside_evenly,
    of_one_scale,
    read_spaces,
    sets_of,
    space_readers,
    subsets,
    tell_spaces,
)
from pairlens.nets.encoders import make_encoder
from pairlens.nets.fan import Fan


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_shared_last_stage_has_the_encoders_features_and_each_heads_embedding() -> None:
    heads = {"z": nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)), "color": nn.Linear(6, 3)}
    heads["z"].train()
    features = torch.randn(5, 6, generator=generator())
    encoder = nn.Identity()
    found = read_spaces(encoder, space_readers(encoder, heads), features)
    assert list(found) == [ENCODER, "z", "color"]
    assert torch.equal(found[ENCODER], features)
    torch.testing.assert_close(found["color"], heads["color"](features).detach())
    torch.testing.assert_close(found["z"], heads["z"].eval()(features).detach())  # nothing was learned of the batch
    assert not any(part.requires_grad for part in found.values())


def test_a_last_stage_of_its_own_gives_a_space_its_features_and_all_together_are_the_encoders() -> None:
    fan = Fan(make_encoder("resnet8w", stem="small", generator=generator()), ("z", "rotation"), generator(1)).eval()
    images = torch.randn(3, 3, 16, 16, generator=generator(2))
    with torch.no_grad():
        features = fan(images)
        stages = [stage(fan.network.features_map(images)).mean((2, 3)) for stage in fan.last.values()]
    found = read_spaces(fan, space_readers(fan, {"z": nn.Identity(), "rotation": nn.Identity()}), features)
    assert list(found) == ["z", "rotation"]
    torch.testing.assert_close(list(found.values()), stages)
    assert torch.equal(beside(found, ("z", "rotation")), features)
    assert sets_of(found, ("z", "rotation")) == [("z",), ("rotation",), ("z", "rotation")]


def test_a_space_may_not_be_called_as_the_encoders_features_are() -> None:
    with pytest.raises(InputError, match="give it another name"):
        read_spaces(nn.Identity(), {ENCODER: nn.Identity()}, torch.zeros(2, 3))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_subset_of_few_spaces(count: int) -> None:
    spaces = tuple("zabcd"[:count])
    found = subsets(spaces)
    assert len({frozenset(chosen) for chosen in found}) == len(found) == 2**count - 1
    assert found[:count] == [(space,) for space in spaces]
    assert found[-1] == spaces


def test_of_many_spaces_each_alone_the_first_with_each_and_all() -> None:
    found = subsets(tuple("zabcde"))
    assert found[:6] == [(space,) for space in "zabcde"]
    assert found[6:11] == [("z", space) for space in "abcde"]
    assert found[11:] == [tuple("zabcde")]


def test_an_encoder_without_spaces_is_read_out_alone() -> None:
    assert sets_of({ENCODER: torch.zeros(1, 2)}, ()) == [(ENCODER,)]


def test_cosines_beside_each_other_are_means_whatever_the_scale() -> None:
    features = {"a": 100 * torch.randn(4, 3, generator=generator()), "b": torch.randn(4, 7, generator=generator(1))}
    joined = beside_evenly(features, ("a", "b"))
    cosine = torch.cosine_similarity(joined[:, None], joined[None], dim=2)
    each = [torch.cosine_similarity(part[:, None], part[None], dim=2) for part in features.values()]
    torch.testing.assert_close(cosine, (each[0] + each[1]) / 2)


def test_spaces_on_one_scale_stray_alike() -> None:
    (train, *_), (test, *_) = made(300, 0), made(200, 1)
    scaled, tested = of_one_scale(train, test)
    for space in ("a", "b"):
        assert float((scaled[space] - scaled[space].mean(0)).square().mean()) == pytest.approx(1, rel=1e-4)
        scale = (train[space] - train[space].mean(0)).square().mean().sqrt()
        torch.testing.assert_close(tested[space] * scale, test[space])  # by the training images' number


def made(count: int, seed: int) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Images whose class space `a` knows, and whose position `b`, on a much greater scale."""
    label = torch.randint(3, (count,), generator=generator(seed))
    place = torch.rand(count, 1, generator=generator(seed + 100))
    noise = torch.randn(count, 8, generator=generator(seed + 200))
    a = torch.cat([nn.functional.one_hot(label, 3).float(), noise[:, :3]], 1)
    b = 1000 * torch.cat([place, noise[:, 3:]], 1)
    return {"a": a, "b": b}, label, place


def test_each_set_tells_what_its_spaces_know() -> None:
    (train, label, place), (test, asked, where) = made(300, 0), made(200, 1)
    tasks = [
        Task(Factor("class", "class", label, asked, 3), train, test),
        Task(Factor("position", "number", place, where), train, test),
    ]
    told: list[tuple[int, int]] = []
    result = tell_spaces(tasks, subsets(("a", "b")), seed=0, progress=lambda *counts: told.append(counts))
    a, b, both = result["sets"]
    assert [row["spaces"] for row in result["sets"]] == [["a"], ["b"], ["a", "b"]]
    assert [row["features"] for row in result["sets"]] == [6, 6, 12]
    assert (a["linear"]["class"]["value"], both["linear"]["class"]["value"]) == (1.0, 1.0)
    assert b["linear"]["class"]["value"] < 0.5
    assert a["linear"]["position"]["value"] < 0.1
    assert min(row["linear"]["position"]["value"] for row in (b, both)) > 0.99
    assert both["knn"]["class"] > 0.7  # the greater scale of b drowns nothing
    assert b["knn"]["class"] < 0.5
    assert [row["knn"]["position"] for row in result["sets"]] == [None, None, None]
    assert result["tasks"]["position"] == {"kind": "number", "measure": "r2", "chance": 0.0}
    assert result["tasks"]["class"]["measure"] == "accuracy"
    assert told == [(i + 1, 6) for i in range(6)]


def test_a_single_space_is_told_from_as_by_the_usual_read_outs() -> None:
    (train, label, _), (test, asked, _) = made(100, 0), made(80, 1)
    task = Task(Factor("class", "class", label, asked, 3), train, test)
    readout = linear_solver(train["a"], label, classes=3, generator=generator(7))
    told = task.tell(("a",), 7)
    assert (told.value, told.strength) == (readout.score(test["a"], asked).top1, readout.strength)
    assert task.nearest(("a",)) == knn(train["a"], label, test["a"], asked, classes=3).top1


def test_views_of_an_image_are_held_out_together(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def split(points: int, generator: torch.Generator, views: int = 1) -> None:
        given.append((points, views))

    monkeypatch.setattr("pairlens.evaluate.linear.held_out", split)
    train, label, _ = made(8, 0)
    Task(Factor("turn", "class", label, label, 3), train, train, views=4).tell(("a",), 0)
    assert given == [(8, 4)]
