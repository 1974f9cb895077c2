"""AdaIN: the equation, the network that a file of weights becomes, and the copies that it makes."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.nets import adain as module
from pairlens.nets.adain import DECODER, ENCODER, EPSILON, adain, load_style_transfer
from pairlens.styling import Styling, add_copies

VGG = (0, 2, 5, 7, 10, 12, 14, 16, 19)
"""torchvision's places of the first nine convolutions of VGG-19."""


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    """Small random weights under pairlens's names."""
    generator, made = torch.Generator().manual_seed(0), {}
    for part, shape in (("encoder", ENCODER), ("decoder", DECODER)):
        channels = [step for step in shape if isinstance(step, int)]
        for place, (before, after) in enumerate(pairwise(channels)):
            weight = torch.randn(after, before, 3, 3, generator=generator) * (2 / (9 * before)) ** 0.5
            made |= {f"{part}.{place}.weight": weight, f"{part}.{place}.bias": torch.full((after,), 0.1)}
    return made


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are not enlarged: the network is slow."""
    monkeypatch.setattr(module, "LEAST", 16)


def saved(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def images(count: int, side: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(seed)).byte()


def test_each_channel_has_the_styles_mean_and_deviation() -> None:
    """Eq. 8 in loops, in float64."""
    generator = torch.Generator().manual_seed(1)
    content = torch.randn(2, 3, 4, 5, generator=generator) * 2 + 1
    style = torch.randn(2, 3, 6, 3, generator=generator) * 5 - 3
    made = adain(content, style)
    for b in range(2):
        for c in range(3):
            x, y = (maps[b, c].double().numpy() for maps in (content, style))
            moments = []
            for values in (x, y):
                mean = sum(values.flat) / values.size
                variance = sum((v - mean) ** 2 for v in values.flat) / values.size
                moments.append((mean, (variance + EPSILON) ** 0.5))
            (mean, deviation), (wanted, spread) = moments
            expected = [[spread * (v - mean) / deviation + wanted for v in row] for row in x]
            np.testing.assert_allclose(made[b, c].double().numpy(), expected, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose((made[b, c].mean(), made[b, c].std(correction=0)), (wanted, spread), rtol=1e-3)


def test_features_of_one_value_do_not_break_it() -> None:
    flat = torch.full((1, 2, 3, 3), 7.0)
    assert torch.isfinite(adain(flat, torch.zeros(1, 2, 2, 2))).all()
    torch.testing.assert_close(adain(flat, flat), flat)


def test_the_network_is_vgg_adain_and_its_mirror(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Against functions applied one after the other."""
    network = load_style_transfer(saved(tmp_path / "w.safetensors", tensors))
    content, style = images(2, 24), images(2, 24, seed=1)

    def run(x: torch.Tensor, part: str, shape: tuple[int | str, ...], last: int) -> torch.Tensor:
        place = 0
        for step in shape[1:]:
            if step == "pool":
                x = torch.nn.functional.max_pool2d(x, 2)
            elif step == "grow":
                x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            else:
                x = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
                x = torch.nn.functional.conv2d(x, tensors[f"{part}.{place}.weight"], tensors[f"{part}.{place}.bias"])
                x = x.relu() if place != last else x
                place += 1
        return x

    mean, std = (torch.tensor(values)[:, None, None] for values in module.IMAGENET)
    seen = [run((x / 255 - mean) / std, "encoder", ENCODER, -1) for x in (content, style)]
    assert seen[0].shape == (2, 512, 3, 3)
    expected = run(adain(*seen), "decoder", DECODER, 8).mul(255).round().clamp(0, 255)
    made = network(content, style)
    assert made.dtype == torch.uint8
    assert (made.float() - expected).abs().max() <= 1
    assert torch.equal(made, network(content, style))
    assert not torch.equal(made, network(content, content))


@pytest.mark.parametrize("side", [10, 16, 20])
def test_copies_have_the_images_size(tmp_path: Path, tensors: dict[str, torch.Tensor], side: int) -> None:
    network = load_style_transfer(saved(tmp_path / "w.safetensors", tensors))
    assert network(images(1, side), images(1, 32)).shape == (1, 3, side, side)


@pytest.mark.parametrize("prefix", ["vgg", "features", "vgg.features", "net.encoder", "module.encoder"])
def test_names_of_others_are_understood(tmp_path: Path, tensors: dict[str, torch.Tensor], prefix: str) -> None:
    """VGG's places, and convolutions behind relu4_1, which are left out."""
    expected = load_style_transfer(saved(tmp_path / "w.safetensors", tensors)).state_dict()
    given = {name: tensor for name, tensor in tensors.items() if name.startswith("decoder")}
    for i, place in enumerate(VGG):
        given |= {f"{prefix}.{place}.{what}": tensors[f"encoder.{i}.{what}"] for what in ("weight", "bias")}
    given |= {f"{prefix}.21.weight": torch.zeros(512, 512, 3, 3), f"{prefix}.21.bias": torch.zeros(512)}
    given["classifier.0.weight"] = torch.zeros(4, 4)
    found = load_style_transfer(saved(tmp_path / "other.safetensors", given)).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_first_convolution_that_mixes_colours_takes_the_place_of_normalisation(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    moved = {}
    for name, tensor in tensors.items():
        part, place, what = name.split(".")
        moved[f"{part}.{int(place) + (part == 'encoder')}.{what}"] = tensor
    mean, std = (torch.tensor(values) for values in module.IMAGENET)
    moved["encoder.0.weight"], moved["encoder.0.bias"] = torch.diag(1 / std)[:, :, None, None], -mean / std
    torch.save({"state_dict": moved}, tmp_path / "mixed.pth")
    mixed = load_style_transfer(tmp_path / "mixed.pth")
    plain = load_style_transfer(saved(tmp_path / "w.safetensors", tensors))
    made, expected = (network(images(1, 16), images(1, 16, 1)).int() for network in (mixed, plain))
    assert (made - expected).abs().max() <= 1


def test_other_weights_are_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    lacking = {name: tensor for name, tensor in tensors.items() if not name.startswith("decoder.8")}
    with pytest.raises(InputError, match="holds 8 convolutions of the decoder, and AdaIN's has 9; name its tensors"):
        load_style_transfer(saved(tmp_path / "a.safetensors", lacking))
    with pytest.raises(InputError, match="holds 0 convolutions of the encoder"):
        load_style_transfer(saved(tmp_path / "b.safetensors", {"fc.weight": torch.zeros(3, 3)}))
    wrong = tensors | {"encoder.3.weight": torch.zeros(64, 64, 3, 3)}
    with pytest.raises(InputError, match=r"weight of \[128, 128, 3, 3\] is due and has the weight \[64, 64, 3, 3\]"):
        load_style_transfer(saved(tmp_path / "c.safetensors", wrong))
    bare = {name: tensor for name, tensor in tensors.items() if name != "encoder.0.bias"}
    with pytest.raises(InputError, match="has no bias"):
        load_style_transfer(saved(tmp_path / "d.safetensors", bare))


def test_a_networks_copies_are_made_once(
    tmp_path: Path, tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take long: the cache folder has them, however few they are."""
    monkeypatch.setenv("PAIRLENS_CACHE", str(tmp_path / "cache"))
    path = saved(tmp_path / "w.safetensors", tensors)
    some = ImageSet(images(4, 16), torch.full((4, 2), 16), [str(i) for i in range(4)])
    styling = Styling(str(path), 2)
    made = add_copies(some, styling, seed=3).styles.clone()
    assert made.shape == (2, 4, 3, 16, 16)
    assert torch.equal(made, add_copies(some, styling, seed=3).styles)
    monkeypatch.setenv("PAIRLENS_CACHE", str(tmp_path / "empty"))
    assert torch.equal(made, add_copies(some, styling, seed=3).styles)
    monkeypatch.setattr("pairlens.styling.load_style_transfer", lambda path: pytest.fail("the network was needed"))
    assert torch.equal(made, add_copies(some, styling, seed=3).styles)
    assert styling.neural
    assert styling.words == "by AdaIN with the weights w.safetensors"
