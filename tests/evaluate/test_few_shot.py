"""Few-shot classification (LooC, Table 2) against one trial at a time with torch's own layer and optimiser."""

import pytest
import torch
from torch import nn

from pairlens.errors import InputError
from pairlens.evaluate import few_shot as module
from pairlens.evaluate.few_shot import ITERATIONS, RATE, draw_shots, few_shot


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(count: int, seed: int, spread: float = 1.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes in 6 dimensions, float64, far from the origin and on a scale of its own."""
    labels = torch.randint(3, (count,), generator=generator(seed))
    centres = torch.randn(3, 6, generator=generator(99), dtype=torch.float64)
    noise = torch.randn(count, 6, generator=generator(seed + 1), dtype=torch.float64)
    return 40 + 7 * (centres[labels] + spread * noise), labels


@pytest.mark.parametrize("batch", [256, 7])
def test_every_trial_is_that_of_a_layer_trained_alone(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(module, "BATCH", batch)
    (features, labels), (tested, asked) = blobs(90, 0), blobs(70, 5)
    found = few_shot(features, labels, tested, asked, classes=3, shots=5, seed=3, trials=2)
    draws = generator(3)
    rows = draw_shots(labels, 3, 5, 2, draws)
    orders = []
    while batch < 15 and sum(map(len, orders)) < ITERATIONS:
        orders.append(torch.randperm(15, generator=draws).split(batch))
    batches = [some for order in orders for some in order] or [torch.arange(15)] * ITERATIONS
    for trial, accuracy in enumerate(found):
        given, known = features[rows[trial]], labels[rows[trial]]
        centre = given.mean(0)
        scale = sum(float((v - c) ** 2) for row in given for v, c in zip(row, centre, strict=True)) / given.numel()
        layer = nn.Linear(6, 3).double()
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        optimizer = torch.optim.Adam(layer.parameters(), lr=RATE)
        for some in batches[:ITERATIONS]:
            optimizer.zero_grad()
            nn.functional.cross_entropy(layer((given[some] - centre) / scale**0.5), known[some]).backward()
            optimizer.step()
        named = layer((tested - centre) / scale**0.5).argmax(1)
        assert accuracy == pytest.approx(float((named == asked).double().mean()))
    assert 1 / 3 < sum(found) / 2 < 1
    assert found[0] != found[1]


def test_the_papers_numbers() -> None:
    assert (RATE, ITERATIONS, module.BATCH, module.SHOTS, module.TRIALS) == (0.03, 250, 256, (5, 10), 10)


def test_every_class_gives_its_shots_and_the_seed_alone_decides() -> None:
    labels = torch.randint(4, (60,), generator=generator())
    rows = draw_shots(labels, 4, 3, 5, generator(1))
    assert rows.shape == (5, 12)
    for trial in rows:
        assert len(set(trial.tolist())) == 12
        assert labels[trial].tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert torch.equal(rows, draw_shots(labels, 4, 3, 5, generator(1)))
    assert not torch.equal(rows[0], rows[1])


def test_other_features_are_given_the_same_images_and_no_scale_matters() -> None:
    (features, labels), (tested, asked) = blobs(90, 0), blobs(70, 5)
    how = {"classes": 3, "shots": 5, "seed": 3, "trials": 3}
    one = few_shot(features, labels, tested, asked, **how)
    other = few_shot(1e4 * features - 7, labels, 1e4 * tested - 7, asked, **how)
    assert one == other


def test_easy_classes_are_told_without_fault() -> None:
    (features, labels), (tested, asked) = blobs(90, 0, 0.05), blobs(70, 5, 0.05)
    assert few_shot(features, labels, tested, asked, classes=3, shots=2, seed=0, trials=2) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("shots", "trials", "said"), [(50, 1, "the smallest class has"), (0, 1, "give 1 or more"), (1, 0, "give 1 or more")]
)
def test_what_cannot_be_drawn_is_said(shots: int, trials: int, said: str) -> None:
    features, labels = blobs(60, 0)
    with pytest.raises(InputError, match=said):
        few_shot(features, labels, features, labels, classes=3, shots=shots, seed=0, trials=trials)
