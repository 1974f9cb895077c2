from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.evaluate.probe import probe, validation_split
from pairlens.nets.encoders import make_encoder


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def striped(count=60, labelled=True):
    """Two classes of noisy images: dark and bright in the upper half."""
    labels = torch.arange(count) % 2
    pixels = torch.randint(60, (count, 3, 16, 16), generator=generator(), dtype=torch.uint8)
    pixels[:, :, :8] += (labels * 150).to(torch.uint8)[:, None, None, None]
    names = [str(i) for i in range(count)]
    sizes = torch.full((count, 2), 16)
    return ImageSet(pixels, sizes, names, labels if labelled else None, ("dark", "bright") if labelled else ())


@given(count=st.integers(2, 400), fraction=st.floats(0.01, 0.99), limit=st.integers(1, 300), seed=st.integers(0, 2**31))
def test_a_split_parts_the_set(count, fraction, limit, seed):
    images = ImageSet(torch.zeros(count, 3, 1, 1, dtype=torch.uint8), torch.ones(count, 2).long(), [""] * count)
    train, held = validation_split(images, fraction, limit, seed=seed)
    assert sorted(train.tolist() + held.tolist()) == list(range(count))
    assert train.tolist() == sorted(train.tolist())
    assert held.tolist() == sorted(held.tolist())
    assert len(held) == min(limit, max(1, round(fraction * count)), count - 1)


def test_a_split_is_the_seeds_and_random():
    images = striped()
    first, same, other = (validation_split(images, seed=seed)[1].tolist() for seed in (1, 1, 2))
    assert first == same != other
    assert len(first) == 6


def test_a_split_leaves_something_to_fit_on():
    train, held = validation_split(striped(4), 0.99, seed=0)
    assert (len(train), len(held)) == (1, 3)


def test_a_split_needs_two_images():
    with pytest.raises(InputError, match="1 images cannot be split"):
        validation_split(striped(1), seed=0)
    with pytest.raises(InputError, match=r"split of 1\.5"):
        validation_split(striped(), 1.5, seed=0)


def test_probe_tells_what_the_features_tell():
    images = striped()
    split = validation_split(images, 0.3, seed=0)
    settings = {"size": 16, "mean": torch.tensor([0.3] * 3), "std": None}
    assert probe(torch.nn.Flatten(), images, split, **settings) == 1.0

    class Blind(torch.nn.Module):
        def forward(self, x):
            return x[:, :, 8:].flatten(1)  # the lower half is noise

    assert probe(Blind(), images, split, **settings) < 0.9
    assert probe(torch.nn.Flatten(), images, split, gallery=21, **settings) == 1.0


def test_probe_leaves_the_training_as_it_was():
    images = striped()
    encoder = make_encoder("resnet8w", generator=generator())
    encoder(torch.randn(8, 3, 16, 16, generator=generator()))
    encoder.get_submodule("layer2").eval()
    modes = [module.training for module in encoder.modules()]
    state = {key: value.clone() for key, value in encoder.state_dict().items()}
    random = torch.get_rng_state()
    split = validation_split(images, seed=0)
    mean, std = images.mean_std()
    first = probe(encoder, images, split, size=16, mean=mean, std=std)
    assert first == probe(encoder, images, split, size=16, mean=mean, std=std)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in encoder.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in encoder.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in encoder.parameters())


def test_probe_needs_labels():
    images = striped(labelled=False)
    with pytest.raises(InputError, match="the training images have no labels"):
        probe(torch.nn.Flatten(), images, validation_split(images, seed=0), size=16, mean=None, std=None)


def test_probe_copies_no_set_of_images(monkeypatch):
    images = striped()
    split = validation_split(images, 0.3, seed=0)
    monkeypatch.setattr(ImageSet, "rows", None)
    assert probe(torch.nn.Flatten(), images, split, size=16, mean=None, std=None) == 1.0


def test_only_labelled_images_are_split_and_probed():
    images = striped()
    some = replace(images, labels=images.labels.where(torch.arange(60) % 3 == 0, -1))
    fit, held = validation_split(some, 0.3, seed=0)
    assert sorted(fit.tolist() + held.tolist()) == list(range(0, 60, 3))
    assert probe(torch.nn.Flatten(), some, (fit, held), size=16, mean=None, std=None) == 1.0
    with pytest.raises(InputError, match="set of 1 labelled images cannot be split"):
        validation_split(replace(images, labels=images.labels.where(torch.arange(60) == 7, -1)), seed=0)
