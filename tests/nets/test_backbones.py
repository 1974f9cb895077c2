"""Encoders of other libraries: what is asked of a library is shown on a stand-in for it, so that none is needed; what
the libraries give back is checked on themselves, where they are installed."""

import copy
import importlib
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pairlens.assemble import assemble, make_branch, untrained_encoder
from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.nets.backbones import Backbone, make_backbone
from pairlens.nets.encoders import encoder_names, make_encoder
from pairlens.nets.momentum import MomentumBranch
from pairlens.place import Place
from pairlens.recipes.general import moco_v2, simclr
from pairlens.resolve import resolve
from pairlens.settings import Network, Optimisation, Views
from pairlens.views.plans import view_sizes

CPU = Place(torch.device("cpu"), torch.float32, threads=1, compile=False)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Patches(nn.Module):
    """A small transformer-like network as timm has them: patch tokens behind a class token, for one size of images."""

    num_prefix_tokens = 1

    def __init__(self, size: int, dynamic: bool = True) -> None:
        super().__init__()
        self.size, self.dynamic = size, dynamic
        self.embed = nn.Conv2d(3, 6, 8, 8)
        self.drop = nn.Dropout(0.5)

    def forward_features(self, images: Tensor) -> Tensor:
        assert images.shape[-1] % 8 == 0, "the side must be divisible by 8"
        assert self.dynamic or images.shape[-1] == self.size, f"built for {self.size}"
        tokens = self.drop(self.embed(images)).flatten(2).mT
        return torch.cat([tokens.mean(1, keepdim=True), tokens], 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_features(images)[:, 0]


class ChannelsLast(nn.Module):
    """A convolutional network whose map has its channels last, as timm's Swin has."""

    output_fmt = "NHWC"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, 4, 1)

    def forward_features(self, images: Tensor) -> Tensor:
        return self.conv(images).permute(0, 2, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_features(images).mean((1, 2))


class FakeTimm(ModuleType):
    """A library of four networks that remembers how it was asked for them."""

    def __init__(self) -> None:
        super().__init__("timm")
        self.asked: list[dict[str, Any]] = []

    def list_models(self) -> list[str]:
        return ["patches_tiny", "patches_fixed", "channels_last", "no_vector"]

    def list_pretrained(self) -> list[str]:
        return ["patches_tiny.in1k"]

    def create_model(self, name: str, pretrained: bool, num_classes: int, **options: Any) -> nn.Module:
        self.asked.append({"name": name, "pretrained": pretrained, "num_classes": num_classes, **options})
        known = {"patches_tiny": {"img_size", "dynamic_img_size"}, "patches_fixed": {"img_size"}}
        for option in options:
            if option not in known.get(name.partition(".")[0], set()):
                raise TypeError(f"__init__() got an unexpected keyword argument {option!r}")
        if pretrained:
            raise ConnectionError("no route\nto host")
        if name == "channels_last":
            return ChannelsLast()
        if name == "no_vector":
            return nn.Conv2d(3, 5, 1)
        return Patches(options["img_size"], options.get("dynamic_img_size", False))


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> FakeTimm:
    fake = FakeTimm()
    monkeypatch.setitem(sys.modules, "timm", fake)
    return fake


def weights_of(encoder: nn.Module) -> list[Tensor]:
    return list(encoder.state_dict().values())


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_missing_library_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    for module in (library, f"{library}.models"):
        monkeypatch.setitem(sys.modules, module, None)
    version = torch.__version__.partition("+")[0]
    line = rf"the encoder {library}/some_net needs {library}, .*: pip install torch=={version} {library}$"
    with pytest.raises(InputError, match=line):
        make_encoder(f"{library}/some_net", generator=generator())


def test_a_library_that_is_broken_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(InputError, match=r"cannot be imported here \(operator torchvision::nms does not exist\)"):
        make_encoder("torchvision/resnet18", generator=generator())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/patches_tinny", r"no network 'patches_tinny'; did you mean timm/patches_tiny"),
        ("timm/xyz", r"no network 'xyz'; its list_models\(\) names them all"),
        ("timm/patches_tiny.in22k", r"no network 'patches_tiny.in22k'; did you mean timm/patches_tiny"),
        ("keras/patches", r"no library 'keras' for encoders; use timm/NAME or torchvision/NAME"),
        ("timm/no_vector", r"timm/no_vector gives no feature vector"),
    ],
)
def test_what_cannot_be_made_is_said_in_a_sentence(timm: FakeTimm, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_encoder(name, sizes=(32,), generator=generator())


def test_the_same_seed_gives_the_same_weights_and_the_global_generator_is_left_alone(timm: FakeTimm) -> None:
    before = torch.get_rng_state()
    first = make_backbone("timm/patches_tiny", sizes=(32,), generator=generator(1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    again = make_backbone("timm/patches_tiny", sizes=(32,), generator=generator(1))
    other = make_backbone("timm/patches_tiny", sizes=(32,), generator=generator(2))
    assert all(torch.equal(a, b) for a, b in zip(weights_of(first), weights_of(again), strict=True))
    assert not torch.equal(first.network.embed.weight, other.network.embed.weight)


def test_networks_are_built_for_the_size_of_the_views_as_far_as_they_know_it(timm: FakeTimm) -> None:
    for name in ("patches_tiny", "patches_fixed", "channels_last"):
        make_backbone(f"timm/{name}", sizes=(32,), generator=generator())
    plain = {"pretrained": False, "num_classes": 0}
    fixed, dynamic = {"img_size": 32}, {"img_size": 32, "dynamic_img_size": True}
    assert timm.asked == [
        {"name": "patches_tiny", **plain, **dynamic},
        {"name": "patches_fixed", **plain, **dynamic},
        {"name": "patches_fixed", **plain, **fixed},
        {"name": "channels_last", **plain, **dynamic},
        {"name": "channels_last", **plain, **fixed},
        {"name": "channels_last", **plain},
    ]


def test_sizes_that_a_network_cannot_take_are_refused_when_it_is_made(timm: FakeTimm) -> None:
    make_backbone("timm/patches_tiny", sizes=(32, 16), generator=generator())
    with pytest.raises(InputError, match=r"cannot take views of 12 px \(the side must be divisible by 8\); choose"):
        make_backbone("timm/patches_tiny", sizes=(32, 12), generator=generator())
    with pytest.raises(InputError, match=r"patches_fixed cannot take views of 16 px \(built for 32\)"):
        make_backbone("timm/patches_fixed", sizes=(32, 16), generator=generator())


def test_other_errors_of_a_library_are_not_hidden(timm: FakeTimm, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, **options: Any) -> nn.Module:
        raise TypeError(f"a defect of its own, with {sorted(options)}")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(TypeError, match=r"defect of its own, with .*img_size"):
        make_backbone("timm/patches_tiny", sizes=(32,), generator=generator())


def test_a_backbone_speaks_as_our_encoders_do(timm: FakeTimm) -> None:
    encoder = make_encoder("timm/patches_tiny", sizes=(32,), generator=generator())
    images = torch.randn(2, 3, 32, 16, generator=generator())
    assert isinstance(encoder, Backbone)
    assert encoder.features == 6
    assert all(module.training for module in encoder.modules())
    patches = encoder.network.embed(images)
    torch.testing.assert_close(encoder(images), patches.mean((2, 3)))
    torch.testing.assert_close(encoder.features_map(images), patches)  # [2, 6, 4, 2]: tokens in their places
    assert set(encoder.state_dict()) == {"network.embed.weight", "network.embed.bias"}


def test_a_map_has_its_channels_first(timm: FakeTimm) -> None:
    encoder = make_backbone("timm/channels_last", sizes=(32,), generator=generator())
    images = torch.randn(2, 3, 32, 16, generator=generator())
    torch.testing.assert_close(encoder.features_map(images), encoder.network.conv(images))


def test_what_has_no_map_says_so() -> None:
    def network_of(last: Tensor | None) -> Backbone:
        vector = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return Backbone("some/net", vector, lambda network, images: last, (8,))

    for last in (None, torch.zeros(1, 5, 3), torch.zeros(1, 5)):
        with pytest.raises(InputError, match="some/net has no map of features"):
            network_of(last).features_map(torch.zeros(1, 3, 8, 8))


def test_dropout_is_off_so_that_training_draws_nothing_globally(timm: FakeTimm) -> None:
    encoder = make_backbone("timm/patches_tiny", sizes=(32,), generator=generator()).train()
    images = torch.randn(2, 3, 32, 32, generator=generator())
    before = torch.get_rng_state()
    torch.testing.assert_close(encoder(images), encoder(images), rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_that_cannot_be_fetched_are_told_in_a_sentence(timm: FakeTimm) -> None:
    with pytest.raises(InputError, match=r"pretrained weights of timm/patches_tiny cannot be had \(no route\); let"):
        make_encoder("timm/patches_tiny", weights="pretrained", sizes=(32,), generator=generator())
    assert timm.asked[-1]["pretrained"] is True
    with pytest.raises(InputError, match="resnet8w has no pretrained weights of its own"):
        make_encoder("resnet8w", weights="pretrained", generator=generator())


def test_arguments_of_our_own_encoders_are_refused(timm: FakeTimm) -> None:
    for own in ({"stem": "small"}, {"norm": nn.BatchNorm2d}, {"zero_init_residual": True}):
        with pytest.raises(InputError, match="shape pairlens's own encoders, not timm/patches_tiny"):
            make_encoder("timm/patches_tiny", sizes=(32,), generator=generator(), **own)  # type: ignore[arg-type]


def images_of(count: int = 32, side: int = 32) -> ImageSet:
    pixels = torch.randint(0, 256, (count, 3, side, side), generator=generator()).byte()
    return ImageSet(pixels, torch.full((count, 2), side), [str(i) for i in range(count)])


def test_a_recipe_leaves_out_for_them_what_it_brought_itself(timm: FakeTimm) -> None:
    images = images_of()
    recipe = resolve(moco_v2(network=Network("timm/patches_tiny", splits=8)), images, CPU)  # 8 is the recipe's
    assert (recipe.network.splits, recipe.network.stem) == (1, None)
    assert resolve(recipe, images, CPU) == recipe
    ours = resolve(moco_v2(network=Network("resnet8w", splits=8)), images, CPU).network
    assert (ours.splits, ours.stem) == (8, "small")


@pytest.mark.parametrize("own", [{"splits": 2}, {"stem": "imagenet"}, {"zero_init_residual": True}])
def test_what_was_asked_for_is_not_left_out_silently(timm: FakeTimm, own: dict[str, Any]) -> None:
    images = images_of()
    recipe = moco_v2(network=Network("timm/patches_tiny", **own), optimisation=Optimisation(batch=8, epochs=1))
    with pytest.raises(InputError, match="shape pairlens's own encoders"):
        assemble(resolve(recipe, images, CPU), images, CPU, seed=0)


def test_a_training_is_built_for_all_its_views_and_evaluated_with_the_same_weights(timm: FakeTimm) -> None:
    images = images_of()
    network = Network("timm/patches_tiny", hidden=8, dim=4)
    recipe = simclr(network=network, views=Views(locals=1, local_size=16), optimisation=Optimisation(batch=8, epochs=1))
    recipe = resolve(recipe, images, CPU)
    assert set(view_sizes(recipe.plan(), 32).values()) == {32, 16}
    trained = assemble(recipe, images, CPU, seed=3).method.online.encoder
    untrained = untrained_encoder(recipe.network, torch.float32, 3, 32)
    assert torch.equal(trained.network.embed.weight, untrained.network.embed.weight)
    small = replace(recipe, views=replace(recipe.views, local_size=12))
    with pytest.raises(InputError, match="cannot take views of 12 px"):
        assemble(small, images, CPU, seed=3)


def test_a_momentum_branch_copies_one_whole(timm: FakeTimm) -> None:
    branch = make_branch(Network("timm/patches_tiny", hidden=8, dim=4), torch.float32, generator(), (32,))
    target = MomentumBranch(branch, 0.9)
    images = torch.randn(4, 3, 32, 32, generator=generator())
    before = target.branch.encoder.features_map(images)
    with torch.no_grad():
        branch.encoder.network.embed.weight.zero_()
    torch.testing.assert_close(target.branch.encoder.features_map(images), before)


TORCHVISION = ["resnet18", "mobilenet_v2", "efficientnet_b0", "convnext_tiny", "swin_t", "vit_b_16", "densenet121"]
TIMM = ["vit_tiny_patch16_224", "resnet18", "swin_tiny_patch4_window7_224", "deit_tiny_distilled_patch16_224"]


def check_real(encoder: nn.Module, side: int) -> None:
    """Features and map have the shapes that they should have, and training draws nothing from the global generator."""
    images = torch.randn(2, 3, 64, 64, generator=generator())
    before = torch.get_rng_state()
    assert encoder.train()(images).shape == (2, encoder.features)
    assert torch.equal(torch.get_rng_state(), before)
    encoder.eval()
    with torch.no_grad():
        assert encoder.features_map(images).shape == (2, encoder.features, side, side)
        first = encoder(images)
        torch.testing.assert_close(copy.deepcopy(encoder)(images), first)


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_networks(name: str) -> None:
    pytest.importorskip("torchvision.models", exc_type=Exception, reason="torchvision does not import here")
    encoder = make_encoder(f"torchvision/{name}", sizes=(64,), generator=generator())
    check_real(encoder, 4 if name == "vit_b_16" else 2)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_b0", "swin_t"])
def test_torchvisions_features_are_what_its_classifier_gets(name: str) -> None:
    models = pytest.importorskip("torchvision.models", exc_type=Exception, reason="torchvision does not import here")
    encoder = make_encoder(f"torchvision/{name}", sizes=(64,), generator=generator()).eval()
    whole = models.get_model(name, weights=None).eval()
    whole.load_state_dict(encoder.network.state_dict(), strict=False)
    classifier = [m for m in whole.modules() if isinstance(m, nn.Linear)][-1]
    images = torch.randn(2, 3, 64, 64, generator=generator())
    seen: list[Tensor] = []
    with torch.no_grad(), classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
        whole(images)
        torch.testing.assert_close(encoder(images), seen[0])
        torch.testing.assert_close(encoder.features_map(images).mean((2, 3)), seen[0], rtol=1e-4, atol=1e-5)


def test_torchvisions_names_are_suggested() -> None:
    pytest.importorskip("torchvision.models", exc_type=Exception, reason="torchvision does not import here")
    with pytest.raises(InputError, match=r"no network 'vit_b16'; did you mean torchvision/vit_b_16 or"):
        make_encoder("torchvision/vit_b16", generator=generator())
    with pytest.raises(InputError, match="squeezenet1_1 ends in no linear classifier"):
        make_encoder("torchvision/squeezenet1_1", sizes=(64,), generator=generator())
    with pytest.raises(InputError, match=r"vit_b_16 cannot take views of 48 px"):
        make_encoder("torchvision/vit_b_16", sizes=(64, 48), generator=generator())


@pytest.mark.parametrize("name", TIMM)
def test_timms_networks(name: str) -> None:
    pytest.importorskip("timm", exc_type=Exception, reason="timm does not import here")
    encoder = make_encoder(f"timm/{name}", sizes=(64, 32), generator=generator())
    check_real(encoder, 4 if "patch16" in name else 2)
    theirs = encoder.network.forward_intermediates  # the library's own way to the last map
    images = torch.randn(2, 3, 64, 64, generator=generator())
    with torch.no_grad():
        expected = theirs(images, indices=1, norm=True, intermediates_only=True)[-1]
        torch.testing.assert_close(encoder.features_map(images), expected)


def test_their_names_are_told_with_ours(timm: FakeTimm) -> None:
    with pytest.raises(InputError, match=rf"{encoder_names()[-1]}, or timm/NAME or torchvision/NAME"):
        make_encoder("vgg", generator=generator())
