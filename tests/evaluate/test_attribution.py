"""Attribution (LooC, Fig. 4) against loops in float64, and what it must not depend on."""

import math

import pytest
import torch

from pairlens.evaluate.attribution import BINS, attribute, contributions, entropy, shares
from pairlens.evaluate.linear import Readout, linear_solver

WIDTHS = (3, 2, 4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def made() -> tuple[torch.Tensor, Readout, torch.Tensor]:
    """Features of three spaces, a classifier on them, and the right classes."""
    features = torch.randn(40, 9, generator=generator(), dtype=torch.float64).abs()
    weight = torch.randn(9, 5, generator=generator(1), dtype=torch.float64)
    bias = torch.randn(5, generator=generator(2), dtype=torch.float64)
    return features, Readout(weight, bias), torch.randint(5, (40,), generator=generator(3))


@pytest.mark.parametrize("centred", [False, True])
def test_contributions_are_sums_of_activation_times_weight(
    made: tuple[torch.Tensor, Readout, torch.Tensor], centred: bool
) -> None:
    features, readout, labels = made
    centre = features.mean(0) if centred else None
    found = contributions(features, readout, labels, WIDTHS, centre)
    for n in range(len(features)):
        place = 0
        for space, width in enumerate(WIDTHS):
            total = 0.0
            for d in range(place, place + width):
                mean_weight = sum(float(readout.weight[d, c]) for c in range(5)) / 5
                mean_active = sum(float(features[i, d]) for i in range(40)) / 40 if centred else 0.0
                total += (float(features[n, d]) - mean_active) * (float(readout.weight[d, labels[n]]) - mean_weight)
            assert float(found[n, space]) == pytest.approx(total, abs=1e-12)
            place += width


def test_they_add_up_to_what_sets_the_logit_apart(made: tuple[torch.Tensor, Readout, torch.Tensor]) -> None:
    features, readout, labels = made
    found = contributions(features, readout, labels, WIDTHS, features.mean(0)).sum(1)
    logits = readout(features)
    above = logits - logits.mean(1, keepdim=True)
    expected = (above - above.mean(0)).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(found, expected)


def test_weights_moved_alike_for_all_classes_change_nothing(made: tuple[torch.Tensor, Readout, torch.Tensor]) -> None:
    features, readout, labels = made
    moved = Readout(readout.weight + torch.randn(9, 1, generator=generator(5), dtype=torch.float64), readout.bias)
    one, other = (contributions(features, r, labels, WIDTHS) for r in (readout, moved))
    torch.testing.assert_close(one, other)


def test_shares_leave_out_what_speaks_against_the_class() -> None:
    found = shares(torch.tensor([[3.0, -5.0, 1.0], [2.0, 2.0, 0.0], [-1.0, -2.0, 0.0]]))
    torch.testing.assert_close(found[:2], torch.tensor([[0.75, 0.0, 0.25], [0.5, 0.5, 0.0]]))
    assert found[2].isnan().all()


@pytest.mark.parametrize(("given", "bits"), [([1.0, 0.0], 0.0), ([0.25] * 4, 2.0), ([0.5, 0.5, 0.0, 0.0], 1.0)])
def test_entropy_in_bits(given: list[float], bits: float) -> None:
    assert entropy(torch.tensor(given)) == pytest.approx(bits, abs=1e-6)


def test_the_record_is_that_of_loops(made: tuple[torch.Tensor, Readout, torch.Tensor]) -> None:
    features, readout, _ = made
    labels = readout(features).argmax(1)
    labels[::3] = (labels[::3] + 1) % 5  # a third is named wrongly
    found = attribute(features, readout, labels, WIDTHS, features.mean(0)).record()
    each = shares(contributions(features, readout, labels, WIDTHS, features.mean(0)))
    right = [n for n in range(40) if n % 3 and not each[n].isnan().any()]
    assert (found["right"], found["tested"]) == (len(right), 40)
    mean = [sum(float(each[n, s]) for n in right) / len(right) for s in range(3)]
    assert found["share"] == pytest.approx(mean)
    assert found["entropy"] == pytest.approx(-sum(p * math.log2(p) for p in mean))
    most = [sum(int(each[n].argmax()) == s for n in right) / len(right) for s in range(3)]
    assert found["most"] == pytest.approx(most)
    for s in range(3):
        bins = [0] * BINS
        for n in right:
            bins[min(BINS - 1, int(float(each[n, s]) * BINS))] += 1
        assert found["histogram"][s] == bins
    for c in range(5):
        of_class = [n for n in right if int(labels[n]) == c]
        assert found["count"][c] == len(of_class)
        if of_class:
            expected = [sum(float(each[n, s]) for n in of_class) / len(of_class) for s in range(3)]
            assert found["by_class"][c] == pytest.approx(expected)
        else:
            assert found["by_class"][c] is None


def test_the_space_that_knows_the_class_has_all_the_share() -> None:
    labels = torch.randint(4, (400,), generator=generator())
    knows = torch.nn.functional.one_hot(labels, 4).float()
    noise = 3 + torch.randn(400, 6, generator=generator(1))
    features = torch.cat([noise, knows], 1)
    readout = linear_solver(features, labels, classes=4, generator=generator(2))
    found = attribute(features, readout, labels, (6, 4), features.mean(0)).record()
    assert found["share"][1] > 0.98
    assert found["entropy"] < 0.15
    assert found["most"] == pytest.approx([0.0, 1.0], abs=0.01)


def test_where_nothing_is_right_there_is_nothing_to_attribute(made: tuple[torch.Tensor, Readout, torch.Tensor]) -> None:
    features, readout, _ = made
    wrong = (readout(features).argmax(1) + 1) % 5
    assert attribute(features, readout, wrong, WIDTHS).record() == {"right": 0, "tested": 40}
