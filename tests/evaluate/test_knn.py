import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.evaluate import knn as module
from pairlens.evaluate.knn import knn
from pairlens.evaluate.scored import check_labels, labels_of, score_classes


def clouds(count=300, classes=7, width=6, spread=1.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(classes, (count,), generator=generator)
    return centres[labels] + spread * torch.randn(count, width, generator=generator), labels


@pytest.mark.parametrize(("neighbours", "temperature"), [(20, 0.1), (5, 0.07), (1, 0.5), (60, 1.0)])
def test_equals_scikit_learns_with_the_same_weights(neighbours, temperature, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 300 * 33)  # several chunks, the last one smaller
    (train, train_labels), (test, test_labels) = clouds(seed=0), clouds(100, seed=1)
    ours = knn(train, train_labels, test, test_labels, neighbours=neighbours, temperature=temperature, classes=7)
    theirs = KNeighborsClassifier(
        neighbours, metric="cosine", weights=lambda distance: np.exp((1 - distance) / temperature)
    ).fit(train.double().numpy(), train_labels.numpy())
    votes = theirs.predict_proba(test.double().numpy())
    predicted = votes.argmax(1)
    confusion = np.zeros((7, 7), dtype=int)
    for true, guess in zip(test_labels.tolist(), predicted.tolist(), strict=True):
        confusion[true, guess] += 1
    assert ours.top1 == pytest.approx((predicted == test_labels.numpy()).mean())
    assert ours.confusion.tolist() == confusion.tolist()
    five = [
        true in [c for c in np.argsort(-row)[:5] if row[c] > 0] for true, row in zip(test_labels, votes, strict=True)
    ]
    assert ours.top5 == pytest.approx(np.mean(five))
    assert ours.top1 > 0.3


def test_votes_are_weighed_by_similarity():
    """Two far neighbours of class 1 outvote a near one of class 0 only while the temperature is high."""
    angles = torch.tensor([0.1, 1.0, 1.0])
    train, labels = torch.stack([angles.cos(), angles.sin()], 1), torch.tensor([0, 1, 1])
    test, truth = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    balance = (math.cos(0.1) - math.cos(1.0)) / math.log(2)
    for temperature, right in ((balance * 0.99, 1.0), (balance * 1.01, 0.0)):
        assert knn(train, labels, test, truth, neighbours=3, temperature=temperature, classes=2).top1 == right


def test_a_class_without_votes_is_not_among_the_first_five():
    train, labels = torch.eye(3), torch.tensor([0, 1, 2])
    found = knn(train, labels, torch.eye(3), torch.tensor([0, 1, 3]), neighbours=1, classes=4)
    assert found.top5 == pytest.approx(2 / 3)


def test_the_length_of_features_does_not_matter_and_tiny_temperatures_do_not_overflow():
    (train, train_labels), (test, test_labels) = clouds(seed=0), clouds(100, seed=1)
    plain = knn(train, train_labels, test, test_labels, classes=7)
    assert plain.confusion.equal(knn(train * 100, train_labels, test * 0.01, test_labels, classes=7).confusion)
    cold = knn(train, train_labels, test, test_labels, temperature=1e-3, classes=7)
    nearest = knn(train, train_labels, test, test_labels, neighbours=1, classes=7)
    assert abs(cold.top1 - nearest.top1) < 0.05


def test_top_five_of_fewer_classes_is_all_of_them():
    scores = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0]])
    found = score_classes(scores, torch.tensor([1, 1]))
    assert (found.top1, found.top5) == (0.5, 1.0)
    assert found.confusion.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert found.accuracies() == {"top1": 0.5, "top5": 1.0}


def test_top_five_of_many_classes():
    scores = torch.arange(8.0).repeat(3, 1)
    found = score_classes(scores, torch.tensor([7, 3, 2]))
    assert found.top1 == pytest.approx(1 / 3)
    assert found.top5 == pytest.approx(2 / 3)


def test_bad_input_is_explained():
    features, labels = torch.eye(4), torch.arange(4)
    with pytest.raises(InputError, match="training labels run from 0 to 3, but there are 3 classes"):
        knn(features, labels, features, labels, classes=3)
    with pytest.raises(InputError, match="not finite"):
        knn(features / 0, labels, features, labels, classes=4)
    with pytest.raises(InputError, match="temperature 0"):
        knn(features, labels, features, labels, temperature=0.0, classes=4)
    with pytest.raises(InputError, match="no test image"):
        knn(features, labels, features[:0], labels[:0], classes=4)
    with pytest.raises(InputError, match=r"1 of the test set's classes have no training image \(cat\)"):
        check_labels(torch.tensor([0, 2]), torch.tensor([0, 1]), ("dog", "cat", "hen"))
    unlabelled = ImageSet(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.tensor([[4, 4]]), ["a"])
    with pytest.raises(InputError, match=r"the test images have no labels.*--labels"):
        labels_of(unlabelled, "test")
