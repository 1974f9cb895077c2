"""How often a negative is of its query's own class, against naive loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from pairlens.errors import InputError
from pairlens.evaluate.false_negatives import expected_share, hardest_share, same_image


def test_by_chance_it_is_the_share_of_the_other_images() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 3])
    found = expected_share(labels, 4)
    for label in range(4):
        own = [i for i, one in enumerate(labels.tolist()) if one == label]
        shares = [sum(labels[j] == label for j in range(6) if j != i) / 5 for i in own]
        assert found[label] == pytest.approx(sum(shares) / len(shares) if shares else 0.0)
    with pytest.raises(InputError, match="two labelled images at least"):
        expected_share(torch.tensor([0]), 1)


def test_a_long_queue_holds_the_query_itself() -> None:
    assert same_image(4096, 10_000) == pytest.approx(0.4096)
    assert same_image(65_536, 10_000) == pytest.approx(6.5536)


@pytest.mark.parametrize("chunk", [1 << 24, 40])
def test_the_hardest_are_those_of_the_greatest_cosine(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr("pairlens.evaluate.false_negatives.CHUNK", chunk)
    generator = torch.Generator().manual_seed(0)
    gallery = torch.randn(60, 5, generator=generator)
    labels = torch.randint(4, (60,), generator=generator)
    labels[labels == 2] = 1  # a class without images
    parts = (0.01, 0.05, 0.25)
    found = hardest_share(gallery[:17], labels[:17], gallery, labels, classes=4, own=torch.arange(17), parts=parts)
    assert found.negatives == (1, 3, 15)  # of 59
    for place, count in enumerate(found.negatives):
        by_class: dict[int, list[float]] = {}
        for i in range(17):
            scored = sorted(
                ((float(F.cosine_similarity(gallery[i], gallery[j], dim=0)), j) for j in range(60) if j != i),
                reverse=True,
            )
            hits = [float(labels[j] == labels[i]) for _, j in scored[:count]]
            by_class.setdefault(int(labels[i]), []).append(sum(hits) / count)
        for label in range(4):
            share = float(found.share[place, label])
            if label in by_class:
                assert share == pytest.approx(sum(by_class[label]) / len(by_class[label]))
            else:
                assert math.isnan(share)
        values = [value for of in by_class.values() for value in of]
        assert found.overall()[place] == pytest.approx(sum(values) / len(values))
    record = found.record()
    assert record["by_class"][0][2] is None
    assert sum(record["queries"]) == 17


def test_queries_may_lie_outside_the_gallery() -> None:
    gallery = F.normalize(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), dim=1)
    query = torch.tensor([[2.0, 0.1]])
    given = {"classes": 2, "own": torch.tensor([-1]), "parts": (0.3,)}
    found = hardest_share(query, torch.tensor([1]), gallery, torch.tensor([1, 0, 0]), **given)
    assert (found.negatives, float(found.share[0, 1])) == ((1,), 1.0)


def test_a_lone_image_and_features_that_are_no_numbers_are_refused() -> None:
    one, label = torch.ones(1, 2), torch.tensor([0])
    with pytest.raises(InputError, match="no other image"):
        hardest_share(one, label, one, label, classes=1, own=torch.tensor([0]))
    bad = torch.full((3, 2), torch.nan)
    labels = torch.tensor([0, 0, 0])
    with pytest.raises(InputError, match="not finite"):
        hardest_share(bad, labels, bad, labels, classes=1, own=torch.arange(3))
