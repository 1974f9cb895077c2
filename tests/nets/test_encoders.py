"""Encoders against torchvision's: names, shapes and outputs stored in torchvision_resnets.json, made by `fill` below
on torchvision's own networks (its `fc` replaced by the identity) with the versions that the file names."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from pairlens.errors import InputError
from pairlens.nets.encoders import encoder_names, make_encoder
from pairlens.nets.norm import SplitBatchNorm2d

REFERENCE = json.loads((Path(__file__).parent / "torchvision_resnets.json").read_text())
TORCHVISION = ["resnet18", "resnet34", "resnet50"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def fill(network):
    """Weights that are a formula of the name's place and the element's, so that two code bases can share them."""
    for place, (name, value) in enumerate(network.state_dict().items()):
        if not value.is_floating_point():
            continue
        wave = torch.sin(torch.arange(value.numel(), dtype=torch.float64) * 0.37 + place)
        if name.endswith("running_var"):
            wave = 1 + 0.5 * wave
        elif value.dim() == 4:
            wave = wave * (2 / (value.numel() / value.shape[0])) ** 0.5
        elif name.endswith("weight"):
            wave = 1 + 0.2 * wave
        else:
            wave = 0.1 * wave
        value.copy_(wave.reshape(value.shape))


def stored_images():
    return torch.sin(torch.arange(2 * 3 * 64 * 64, dtype=torch.float64) * 0.01).reshape(2, 3, 64, 64)


@pytest.mark.parametrize("name", TORCHVISION)
def test_names_and_shapes_are_torchvisions(name):
    state = make_encoder(name, stem="imagenet", generator=generator()).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == REFERENCE["shapes"][name]


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet18", 11_176_512), ("resnet34", 21_284_672), ("resnet50", 23_508_032)]
)
def test_parameter_counts(name, parameters):
    encoder = make_encoder(name, stem="imagenet", generator=generator())
    assert sum(p.numel() for p in encoder.parameters()) == parameters


@pytest.mark.parametrize("name", TORCHVISION)
def test_output_equals_the_one_stored_from_torchvision(name):
    encoder = make_encoder(name, stem="imagenet", generator=generator()).double().eval()
    fill(encoder)
    with torch.no_grad():
        features = encoder(stored_images())
    expected = torch.tensor(REFERENCE["check"][name], dtype=torch.float64).reshape(2, 8)
    torch.testing.assert_close(features[:, :8], expected, rtol=1e-7, atol=2e-9)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_output_equals_torchvisions_with_the_same_weights(name):
    models = pytest.importorskip("torchvision.models", exc_type=Exception, reason="torchvision does not import here")
    theirs = getattr(models, name)()
    theirs.fc = nn.Identity()
    ours = make_encoder(name, stem="imagenet", generator=generator())
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(3, 3, 80, 64, generator=generator())
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(images), theirs.train(mode)(images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "stem", "side"),
    [
        ("resnet18", "small", 4),
        ("resnet18", "imagenet", 1),
        ("resnet50", "small", 4),
        ("resnet8w", "small", 4),
        ("resnet8w", "imagenet", 2),
        ("resnet10w", "small", 2),
    ],
)
def test_map_is_what_pooling_pools(name, stem, side):
    encoder = make_encoder(name, stem=stem, generator=generator()).eval()
    images = torch.randn(2, 3, 32, 32, generator=generator())
    with torch.no_grad():
        last = encoder.features_map(images)
        pooled = encoder(images)
    assert last.shape == (2, encoder.features, side, side)
    torch.testing.assert_close(pooled, last.flatten(2).mean(2))


def test_small_ones_are_small():
    counts = {n: sum(p.numel() for p in make_encoder(n, generator=generator()).parameters()) for n in encoder_names()}
    assert counts["resnet8w"] == 307_360
    assert sorted(counts.values()) == list(counts.values())


def test_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first = make_encoder("resnet8w", generator=generator(1)).state_dict()
    torch.manual_seed(99)
    second = make_encoder("resnet8w", generator=generator(1)).state_dict()
    torch.set_rng_state(before)
    third = make_encoder("resnet8w", generator=generator(2)).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], second[key]) for key in first)
    convolutions = [key for key, value in first.items() if value.dim() == 4]
    assert not any(torch.equal(first[key], third[key]) for key in convolutions)


def test_weights_are_he_normal_by_fan_out():
    encoder = make_encoder("resnet18", stem="imagenet", generator=generator())
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            sigma = (2 / fan_out) ** 0.5
            assert module.weight.std().item() == pytest.approx(sigma, rel=0.05)
            assert abs(module.weight.mean().item()) < 5 * sigma / module.weight.numel() ** 0.5


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_zero_residual_leaves_only_the_skip_connections(name):
    encoder = make_encoder(name, zero_init_residual=True, generator=generator()).eval()
    block = encoder.get_submodule("layer1")[-1]
    x = torch.rand(2, 64 * block.expansion, 8, 8, generator=generator())
    torch.testing.assert_close(block(x), x)
    plain = make_encoder(name, generator=generator()).eval().get_submodule("layer1")[-1]
    assert not torch.allclose(plain(x), x)


@pytest.mark.parametrize("name", ["resnet8w", "resnet50"])
def test_channels_last_changes_nothing(name):
    encoder = make_encoder(name, generator=generator()).eval()
    images = torch.randn(4, 3, 32, 32, generator=generator())
    with torch.no_grad():
        plain = encoder(images)
        last = encoder.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, last, rtol=1e-4, atol=1e-5)


def test_bf16_autocast_stays_near_float32():
    encoder = make_encoder("resnet8w", generator=generator()).to(memory_format=torch.channels_last)
    images = torch.randn(32, 3, 32, 32, generator=generator()).to(memory_format=torch.channels_last)
    exact = encoder(images)
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(images)
    assert rough.dtype == torch.bfloat16
    assert nn.functional.cosine_similarity(exact, rough.float()).min() > 0.999
    rough.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_a_norm_is_put_everywhere_and_keeps_the_names():
    split = make_encoder("resnet10w", norm=partial(SplitBatchNorm2d, splits=2), generator=generator())
    plain = make_encoder("resnet10w", generator=generator())
    norms = [m for m in split.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert all(isinstance(m, SplitBatchNorm2d) for m in norms)
    plain.load_state_dict(split.state_dict())


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"no encoder 'resnet19'.*resnet8w.*resnet50"):
        make_encoder("resnet19", generator=generator())
    with pytest.raises(InputError, match=r"no stem 'tiny'.*imagenet.*small"):
        make_encoder("resnet18", stem="tiny", generator=generator())
