import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from pairlens.data.images import ImageSet, Source
from pairlens.errors import InputError
from pairlens.evaluate.protocol import evaluate
from pairlens.nets.encoders import make_encoder
from pairlens.views.plans import two_views, weak_views

CLASSES = ("low", "middle", "high")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def bars(count, seed, labelled=True):
    """Three classes: a bright bar at one of three heights, on noise; images differ in the bar's colour."""
    labels = torch.randint(3, (count,), generator=generator(seed))
    pixels = torch.randint(100, (count, 3, 18, 18), generator=generator(seed + 50), dtype=torch.uint8)
    colours = torch.randint(100, 250, (count, 3, 1, 1), generator=generator(seed + 90), dtype=torch.uint8)
    for i, label in enumerate(labels.tolist()):
        pixels[i, :, 6 * label : 6 * label + 6] = colours[i]
    known = (labels, CLASSES) if labelled else (None, ())
    return ImageSet(pixels, torch.full((count, 2), 18), [f"{i}" for i in range(count)], *known)


class Rows(nn.Module):
    """The mean brightness of every row: nearly all that the classes differ in."""

    def forward(self, views):
        return views.mean((1, 3))


@pytest.fixture(scope="module")
def source():
    return Source("bars", bars(150, 0), bars(60, 1))


@pytest.fixture(scope="module")
def measured(source):
    random = make_encoder("resnet8w", generator=generator())
    mean, std = source.train.mean_std()
    plan = two_views(weak_views((0.5, 1.0)))
    return partial(evaluate, Rows(), random, size=18, mean=mean, std=std, seed=0, plan=plan)


@pytest.fixture(scope="module")
def result(measured, source):
    return measured(source)


def accuracies(value):
    return isinstance(value, dict) and set(value) == {"top1", "top5"} and all(0 <= v <= 1 for v in value.values())


def test_layout_is_the_one_that_the_report_reads(result, source):
    assert json.loads(json.dumps(result)) == result
    assert set(result) == {
        "date", "seed", "seconds", "data", "classes", "protocol", "test", "confusion", "retrieval",
    }  # fmt: skip
    assert result["data"] == {"train": 150, "test": 60}
    assert result["classes"] == list(CLASSES)
    assert result["protocol"]["knn"] == {"neighbours": 20, "temperature": 0.1}
    assert result["protocol"]["linear"]["solver"] == "lbfgs"
    assert list(result["test"]) == ["encoder", "random", "pixels"]
    for row in result["test"].values():
        assert set(row) == {"knn", "linear"}
        assert all(accuracies(value) for value in row.values())
    assert list(result["retrieval"]) == ["encoder", "random", "pixels", "images"]
    assert all(accuracies(result["retrieval"][name]) for name in result["test"])
    assert result["retrieval"]["images"] == 60
    counts = torch.bincount(source.test.labels, minlength=3).tolist()
    for kind in ("knn", "linear"):
        matrix = np.array(result["confusion"][kind])
        assert matrix.sum(1).tolist() == counts
        assert matrix.trace() / 60 == pytest.approx(result["test"]["encoder"][kind]["top1"])


def test_good_features_do_well(result):
    assert result["test"]["encoder"]["knn"]["top1"] > 0.95
    assert result["test"]["encoder"]["linear"]["top1"] > 0.95
    assert result["test"]["encoder"]["linear"]["top5"] == 1.0
    assert result["test"]["random"]["knn"]["top1"] < 1


def test_confusions_are_the_encoders(source):
    class Blind(nn.Module):
        def forward(self, views):
            return views[:, :, :, ::7].std(3).flatten(1)[:, :3]

    found = evaluate(Blind(), Rows(), source, size=18, mean=None, std=None, seed=0)
    for kind in ("knn", "linear"):
        accuracy = found["test"]["encoder"][kind]["top1"]
        assert accuracy < found["test"]["random"][kind]["top1"]
        assert accuracy < found["test"]["pixels"][kind]["top1"]
        assert np.trace(found["confusion"][kind]) / 60 == pytest.approx(accuracy)


def test_it_is_repeatable_and_disturbs_nothing(measured, source, result):
    encoder = make_encoder("resnet8w", generator=generator())
    state = {key: value.clone() for key, value in encoder.state_dict().items()}
    random = torch.get_rng_state()
    told, counted = [], []
    again = measured(source, say=told.append, progress=lambda done, total: counted.append((done, total)))
    assert {k: v for k, v in again.items() if k not in ("date", "seconds")} == {
        k: v for k, v in result.items() if k not in ("date", "seconds")
    }
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, state[key]) for key, value in encoder.state_dict().items())
    assert told
    assert counted[-1] == (420, 420)


def test_sgd_trains_on_views_drawn_anew_each_epoch(source):
    """As the papers do: 3 epochs are 3 new crops of each training image, for both encoders alike."""
    seen, counted, told = [], [], []

    class Watched(Rows):
        def forward(self, views):
            seen.append(views.clone())
            return super().forward(views)

    settings = {"size": 18, "mean": None, "std": None, "seed": 0, "solver": "sgd"}
    found = evaluate(
        Watched(),
        Rows(),
        source,
        epochs=3,
        say=told.append,
        progress=lambda done, total: counted.append((done, total)),
        **settings,
    )
    views = torch.cat(seen)
    plain = {view.numpy().tobytes() for view in torch.cat([source.train.pixels, source.test.pixels]) / 255}
    new = [view.numpy().tobytes() for view in views if view.numpy().tobytes() not in plain]
    assert len(views) == 150 + 60 + 3 * 150
    assert len(set(new)) > 0.95 * 3 * 150
    assert counted[-1] == (2 * len(views), 2 * len(views))
    assert any("fresh crops and flips, 3 epochs" in text for text in told)
    linear = found["protocol"]["linear"]
    assert (linear["solver"], linear["epochs"], linear["rate"]) == ("sgd", 3, 10.0)
    assert linear["views"]["encoder"] == linear["views"]["random"] == "cropped and flipped anew each epoch"
    assert linear["views"]["pixels"] == "un-augmented"
    assert found["test"]["encoder"] == found["test"]["random"]  # the same network sees the same crops
    assert found["test"]["encoder"]["linear"]["top1"] > 0.5


def test_sgd_is_the_papers_by_default(source):
    few = Source("bars", source.train.rows(torch.arange(20)), source.test)
    found = evaluate(Rows(), Rows(), few, size=18, mean=None, std=None, seed=0, solver="sgd")
    assert found["protocol"]["linear"]["epochs"] == 100


@pytest.mark.parametrize(("solver", "epochs"), [("sgd", 0), ("lbfgs", 10)])
def test_epochs_that_cannot_be_made(measured, source, solver, epochs):
    with pytest.raises(InputError, match=f"the {solver} solver .* cannot make {epochs} epochs"):
        measured(source, solver=solver, epochs=epochs)


def test_without_labels_only_views_are_retrieved(measured):
    found = measured(Source("folder", bars(40, 0, labelled=False)))
    assert found["test"] is None
    assert found["confusion"] is None
    assert found["classes"] == []
    assert found["data"] == {"train": 40, "test": 0}
    assert found["retrieval"]["images"] == 40
    assert found["retrieval"]["pixels"]["top5"] > 5 / 40


def test_a_labelled_source_without_a_test_set_gives_a_tenth(measured):
    found = measured(Source("folder", bars(100, 0)), plan=None)
    assert found["data"] == {"train": 90, "test": 10}
    assert found["test"]["encoder"]["knn"]["top1"] > 0.8


def test_bad_sources_are_explained(measured, source):
    with pytest.raises(InputError, match="training images have no labels"):
        measured(Source("folder", bars(40, 0, labelled=False)), plan=None)
    with pytest.raises(InputError, match="test images have no labels"):
        measured(Source("folder", bars(40, 0), bars(40, 1, labelled=False)), plan=None)
    with pytest.raises(InputError, match="not the same ones"):
        measured(Source("folder", source.train, replace(source.test, classes=("a", "b", "c"))))
    only = source.train.rows((source.train.labels != 1).nonzero()[:, 0])
    with pytest.raises(InputError, match=r"have no training image \(middle\)"):
        measured(Source("folder", only, source.test))


def test_a_held_out_tenth_is_not_copied(measured, monkeypatch):
    monkeypatch.setattr(ImageSet, "rows", None)
    assert measured(Source("folder", bars(50, 0)))["data"] == {"train": 45, "test": 5}


@pytest.mark.parametrize("solver", ["lbfgs", "sgd"])
def test_images_without_a_label_are_not_evaluated_on(measured, source, solver):
    """As in STL-10, whose training set is mostly unlabelled: the result is that of the labelled images alone."""
    rows = torch.arange(150) % 3 == 0
    mixed = replace(source.train, labels=source.train.labels.where(rows, -1))
    settings = {"solver": solver, "epochs": 2} if solver == "sgd" else {}
    found, expected = (
        measured(Source("bars", train, source.test), **settings)
        for train in (mixed, source.train.rows(rows.nonzero()[:, 0]))
    )
    assert found["data"] == {"train": 50, "test": 60}
    same = ("data", "classes", "protocol", "test", "confusion", "retrieval")
    assert {name: found[name] for name in same} == {name: expected[name] for name in same}


def test_without_a_test_set_the_tenth_is_of_labelled_images(measured):
    images = bars(100, 0)
    mixed = replace(images, labels=images.labels.where(torch.arange(100) < 40, -1))
    assert measured(Source("folder", mixed), plan=None)["data"] == {"train": 36, "test": 4}


def test_baselines_can_be_left_out_and_the_result_says_so(source, measured, result):
    assert result["protocol"]["baselines"] == ["random", "pixels"]
    counted = []
    mean, std = source.train.mean_std()
    look = {"size": 18, "mean": mean, "std": std, "seed": 0, "plan": two_views(weak_views((0.5, 1.0)))}
    alone = evaluate(Rows(), None, source, **look, progress=lambda done, total: counted.append((done, total)))
    assert counted[-1] == (210, 210)
    assert alone["protocol"]["baselines"] == []
    assert list(alone["test"]) == list(alone["protocol"]["linear"]["strength"]) == ["encoder"]
    assert alone["test"]["encoder"] == result["test"]["encoder"]
    assert alone["confusion"] == result["confusion"]
    assert alone["retrieval"] == {name: result["retrieval"][name] for name in ("encoder", "images")}
    by_sgd = evaluate(Rows(), None, source, **look, solver="sgd", epochs=2)
    assert list(by_sgd["protocol"]["linear"]["views"]) == list(by_sgd["test"]) == ["encoder"]
