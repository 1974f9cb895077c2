import numpy as np
import pytest
import torch
from torch import nn

from pairlens.data.images import ImageSet, Source
from pairlens.evaluate.nearest import neighbour_arrays

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


def test_neighbours_of_test_images(source):
    mean, std = source.train.mean_std()
    found = neighbour_arrays(Rows(), source, size=18, mean=mean, std=std, seed=4)
    shapes = {name: (value.dtype.name, value.shape) for name, value in found.items()}
    assert shapes == {
        "queries": ("uint8", (12, 3, 18, 18)),
        "neighbours": ("uint8", (12, 8, 3, 18, 18)),
        "similarity": ("float32", (12, 8)),
        "query_label": ("int64", (12,)),
        "neighbour_label": ("int64", (12, 8)),
    }
    assert (np.diff(found["similarity"]) <= 0).all()
    assert (found["neighbour_label"] == found["query_label"][:, None]).mean() > 0.9
    places = {image.numpy().tobytes(): i for i, image in enumerate(source.test.pixels)}
    drawn = [places[query.tobytes()] for query in found["queries"]]
    assert len(set(drawn)) == 12
    assert source.test.labels[drawn].tolist() == found["query_label"].tolist()
    known = {image.numpy().tobytes(): i for i, image in enumerate(source.train.pixels)}
    for query, near, similarity in zip(drawn, found["neighbours"], found["similarity"], strict=True):
        shown = source.train.pixels[[known[picture.tobytes()] for picture in near]] / 255
        shown, asked = (
            (v - mean[:, None, None]) / std[:, None, None] for v in (shown, source.test.pixels[query] / 255)
        )
        cosines = torch.cosine_similarity(shown.mean((1, 3)), asked.mean((0, 2))[None])
        np.testing.assert_allclose(similarity, cosines, atol=1e-5)
    other = neighbour_arrays(Rows(), source, size=18, mean=mean, std=std, seed=5)
    assert not np.array_equal(other["queries"], found["queries"])


def test_neighbours_of_unlabelled_training_images_are_not_themselves():
    found = neighbour_arrays(Rows(), Source("folder", bars(7, 0, labelled=False)), size=18, mean=None, std=None, seed=0)
    assert found["neighbours"].shape == (7, 6, 3, 18, 18)
    assert (found["query_label"] == -1).all()
    assert (found["neighbour_label"] == -1).all()
    for query, near in zip(found["queries"], found["neighbours"], strict=True):
        assert len({picture.tobytes() for picture in near}) == 6
        assert not any(np.array_equal(query, picture) for picture in near)


def test_no_more_than_the_gallery_is_encoded_and_told(source, monkeypatch):
    """Images are gathered batch by batch: a set of photographs is never copied."""
    monkeypatch.setattr(ImageSet, "rows", None)
    told = []
    found = neighbour_arrays(
        Rows(),
        source,
        size=18,
        mean=None,
        std=None,
        seed=4,
        gallery=40,
        queries=5,
        progress=lambda *counts: told.append(counts),
    )
    assert told == [(5, 45), (45, 45)]
    assert found["neighbours"].shape == (5, 8, 3, 18, 18)
