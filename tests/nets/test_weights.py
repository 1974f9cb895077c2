"""Starting weights: which names are taken for which, what must fit, what is never opened, when no file is needed."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pairlens.assemble import assemble, untrained_encoder
from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.nets.encoders import make_encoder
from pairlens.nets.weights import load_tensors, load_weights, read_tensors, resize_positions
from pairlens.place import Place
from pairlens.recipes.general import moco_v2
from pairlens.record.checkpoint import save_checkpoint, save_encoder
from pairlens.reopen import reopen_run
from pairlens.resolve import resolve
from pairlens.settings import Machine, Network, Optimisation
from pairlens.start import start_run

CPU = Place(torch.device("cpu"), torch.float32, threads=1, compile=False)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def encoder_of(seed: int, **arguments: Any) -> nn.Module:
    return make_encoder("resnet8w", generator=generator(seed), **arguments)


def same(network: nn.Module, other: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    )


def moco_checkpoint(query: Mapping[str, Tensor], key: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names as MoCo's authors save them: both encoders with their heads, and the queue."""
    tensors = {f"module.encoder_q.{name}": value for name, value in query.items()}
    tensors |= {f"module.encoder_k.{name}": value for name, value in key.items()}
    heads = {"module.encoder_q.fc.0.weight": torch.zeros(4, 128), "module.encoder_k.fc.0.weight": torch.zeros(4, 128)}
    return {**tensors, **heads, "module.queue": torch.zeros(128, 8), "module.queue_ptr": torch.zeros(1)}


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "module.",
        "backbone.",
        "module.backbone.",
        "encoder.",
        "online.encoder.",
        "online.encoder.network.",
        "model.",
    ],
)
def test_prefixes_are_taken_off(prefix: str) -> None:
    source, target = encoder_of(1), encoder_of(2)
    assert not same(source, target)
    tensors = {prefix + name: value for name, value in source.state_dict().items()}
    load_tensors(target, tensors, "a file", "resnet8w")
    assert same(source, target)


def test_of_a_contrastive_checkpoint_the_query_encoder_is_taken() -> None:
    query, key, target = encoder_of(1), encoder_of(2), encoder_of(3)
    load_tensors(target, moco_checkpoint(query.state_dict(), key.state_dict()), "a file", "resnet8w")
    assert same(query, target)


def test_a_name_that_begins_like_a_prefix_is_left_whole() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Linear(2, 2)
            self.stem = nn.Linear(2, 2)

    source, target = Net(), Net()
    load_tensors(target, source.state_dict(), "a file", "net")
    assert same(source, target)


def test_the_classifier_and_missing_counters_are_left_out() -> None:
    source, target = encoder_of(1), encoder_of(2)
    tensors = {name: value for name, value in source.state_dict().items() if "num_batches" not in name}
    heads = {f"{head}weight": torch.zeros(10, 128) for head in ("fc.", "classifier.1.", "head.", "heads.head.")}
    load_tensors(target, {**tensors, **heads}, "a file", "resnet8w")
    assert same(source, target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"layer1.0.conv1.weight": None},
            r"1 tensor differs \(layer1.0.conv1.weight is missing\); give the encoder that",
        ),
        ({"layer9.weight": torch.zeros(2)}, r"1 tensor differs \(layer9.weight is unknown\)"),
        (
            {"conv1.weight": torch.zeros(32, 3, 7, 7)},
            r"1 tensor differs \(conv1.weight has the shape \[32, 3, 7, 7\] instead of \[32, 3, 3, 3\]\); give the "
            r"encoder and stem \(torchvision's ResNets: imagenet\)",
        ),
        (
            {f"layer{i}.x": torch.zeros(1) for i in range(5)},
            r"5 tensors differ \(layer0.x is unknown, layer1.x is unknown, layer2.x is unknown, \.\.\.\)",
        ),
    ],
)
def test_what_does_not_fit_is_counted_and_named_and_nothing_is_loaded(
    change: dict[str, Tensor | None], message: str
) -> None:
    target = encoder_of(2)
    changed = {**encoder_of(1).state_dict(), **change}
    with pytest.raises(InputError, match=rf"weights a file do not fit the encoder resnet8w: {message}"):
        load_tensors(target, {k: v for k, v in changed.items() if v is not None}, "a file", "resnet8w")
    assert same(target, encoder_of(2))


def test_every_kind_of_file_is_read(tmp_path: Path) -> None:
    source = encoder_of(1)
    state = source.state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pth")
    torch.save(
        {"epoch": 200, "arch": "resnet", "state_dict": {"module." + k: v for k, v in state.items()}}, tmp_path / "c.pt"
    )
    torch.save(
        {"model": {k: v.half() if v.is_floating_point() else v for k, v in state.items()}}, tmp_path / "half.pth"
    )
    save_encoder(tmp_path / "encoder.safetensors", source)
    for given in ("a.safetensors", "b.pth", "c.pt", "."):  # the last is a run's folder
        assert same(encoder_of(2, weights=str(tmp_path / given)), source)
    half = encoder_of(2, weights=str(tmp_path / "half.pth"))
    torch.testing.assert_close(half.state_dict(), state, rtol=1e-3, atol=1e-4)


class Harmful:
    """What a pickle can do when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_files_that_could_run_code_are_not_opened(tmp_path: Path) -> None:
    torch.save({"state_dict": Harmful(tmp_path / "harm")}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Harmful(tmp_path / "harm"), protocol=2))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(InputError, match=r"holds more than tensors or is damaged.*state_dict\(\) alone"):
            read_tensors(tmp_path / name)
    assert not (tmp_path / "harm").exists()


def test_files_without_weights_say_so(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    (tmp_path / "torn.safetensors").write_bytes(b"\x10")
    whole = tmp_path / "whole.pth"
    torch.save(encoder_of(1).state_dict(), whole)
    (tmp_path / "torn.pth").write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "empty.pth").write_bytes(b"")
    for name, message in (
        ("list.pth", r"list.pth holds no tensors with names; save the network's state_dict\(\)"),
        ("none.pth", "none.pth holds no tensors with names"),
        ("torn.safetensors", "torn.safetensors cannot be read as weights"),
        ("torn.pth", "torn.pth cannot be read as weights"),
        ("empty.pth", "empty.pth cannot be read as weights"),
        ("gone.pth", "there are no weights .*gone.pth; give 'pretrained', a .safetensors"),
    ):
        with pytest.raises(InputError, match=message):
            load_weights(encoder_of(0), tmp_path / name, "resnet8w")
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match=r"run holds no encoder.safetensors; give the folder of a finished run"):
        load_weights(encoder_of(0), tmp_path / "run", "resnet8w")


@pytest.mark.parametrize("first", [0, 1, 2, 5])
def test_position_embeddings_of_a_smooth_grid_stay_smooth(first: int) -> None:
    def ramp(side: int) -> Tensor:
        """Rises by 1 from the grid's left to its right and by 10 from its top to its bottom, at the tokens' centres."""
        at = (torch.arange(side) + 0.5) / side
        tokens = (10 * at[:, None] + at).reshape(1, -1, 1)
        return torch.cat([torch.full((1, first, 1), -7.0), tokens], 1)

    smaller = resize_positions(ramp(14), 49 + first)
    assert torch.equal(smaller[:, :first], ramp(14)[:, :first])
    grid, expected = smaller[0, first:, 0].view(7, 7), ramp(7)[0, first:, 0].view(7, 7)
    torch.testing.assert_close(grid[2:-2, 2:-2], expected[2:-2, 2:-2], rtol=0, atol=1e-4)
    torch.testing.assert_close(resize_positions(ramp(7), 49 + first), ramp(7), rtol=0, atol=0)
    assert resize_positions(ramp(7), 50 + first).shape[1] == 49 + first  # no grid: left for the check of shapes


def test_positions_are_averaged_when_the_grid_shrinks() -> None:
    board = 1.0 - 2.0 * ((torch.arange(15)[:, None] + torch.arange(15)) % 2)
    smaller = resize_positions(board.reshape(1, -1, 1), 25)
    assert smaller.abs().max() < 0.1  # picking tokens would give 1 or -1


def test_positions_are_resized_when_they_are_loaded() -> None:
    class Net(nn.Module):
        def __init__(self, tokens: int) -> None:
            super().__init__()
            self.pos_embed = nn.Parameter(torch.ones(1, tokens, 3))

    target = Net(5)
    load_tensors(target, {"pos_embed": torch.full((1, 17, 3), 2.0)}, "a file", "net")
    torch.testing.assert_close(target.pos_embed.detach(), torch.full((1, 5, 3), 2.0))
    with pytest.raises(InputError, match=r"pos_embed has the shape \[1, 17, 3\] instead of \[1, 7, 3\]"):
        load_tensors(Net(7), {"pos_embed": torch.ones(1, 17, 3)}, "a file", "net")


def recipe_of(weights: str | None) -> Any:
    return moco_v2(
        network=Network("resnet8w", "small", hidden=16, dim=8, weights=weights),
        optimisation=Optimisation(epochs=2, batch=8),
    )


def test_a_training_begins_with_the_weights_and_its_baseline_does_not(tmp_path: Path) -> None:
    source = encoder_of(1)
    torch.save(source.state_dict(), tmp_path / "start.pth")
    images = ImageSet(torch.zeros(16, 3, 16, 16, dtype=torch.uint8), torch.full((16, 2), 16), ["image"] * 16)
    recipe = resolve(recipe_of(str(tmp_path / "start.pth")), images, CPU)
    method = assemble(recipe, images, CPU, seed=0).method
    plain = assemble(resolve(recipe_of(None), images, CPU), images, CPU, seed=0).method
    assert same(method.online.encoder, source)
    assert same(method.target.branch.encoder, source)
    assert same(method.online.heads, plain.online.heads)  # drawn as without
    (tmp_path / "start.pth").unlink()
    assert same(untrained_encoder(recipe.network, torch.float32, 0), plain.online.encoder)


def test_a_run_with_a_checkpoint_goes_on_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    torch.save(encoder_of(1).state_dict(), tmp_path / "start.pth")
    monkeypatch.chdir(tmp_path)
    folder, training, *_ = start_run(
        str(tmp_path / "images.npy"),
        recipe_of("start.pth"),
        folder=tmp_path / "run",
        machine=Machine("cpu", "fp32", threads=1),
        say=lambda text: None,
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert same(reopen_run(folder, lambda text: None)[0].method.online.encoder, encoder_of(1))  # found from anywhere
    (tmp_path / "start.pth").unlink()
    with pytest.raises(InputError, match=r"there are no weights .*start.pth"):
        reopen_run(folder, lambda text: None)
    save_checkpoint(folder / "checkpoints", training, seconds=1.0)
    again = reopen_run(folder, lambda text: None)[0]
    assert same(again.method.online.encoder, encoder_of(1))


def test_torchvisions_own_file_names_fit_our_resnets() -> None:
    models = pytest.importorskip("torchvision.models", exc_type=Exception, reason="torchvision does not import here")
    theirs, ours = models.resnet18(), make_encoder("resnet18", stem="imagenet", generator=generator())
    load_tensors(ours, theirs.state_dict(), "a file", "resnet18")
    images = torch.randn(2, 3, 64, 64, generator=generator())
    theirs.fc = nn.Identity()
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images), rtol=1e-4, atol=1e-5)


def test_torchvisions_pretrained_weights_are_taken_from_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = pytest.importorskip("torchvision.models", exc_type=Exception, reason="torchvision does not import here")
    theirs = models.mobilenet_v3_small()
    cached = tmp_path / "hub" / "checkpoints" / Path(models.MobileNet_V3_Small_Weights.DEFAULT.url).name
    cached.parent.mkdir(parents=True)
    torch.save(theirs.state_dict(), cached)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    ours = make_encoder("torchvision/mobilenet_v3_small", weights="pretrained", sizes=(64,), generator=generator())
    theirs.classifier[3] = nn.Identity()
    assert same(ours.network, theirs)


def test_timms_positions_are_resized_as_timm_does() -> None:
    layers = pytest.importorskip("timm.layers", exc_type=Exception, reason="timm does not import here")
    large = make_encoder("timm/vit_tiny_patch16_224", sizes=(224,), generator=generator(1))
    small = make_encoder("timm/vit_tiny_patch16_224", sizes=(64,), generator=generator(2))
    load_tensors(small.network, large.state_dict(), "a file", "timm/vit_tiny_patch16_224")
    assert small.network.pos_embed.shape[1] == 17
    expected = layers.resample_abs_pos_embed(large.network.pos_embed, [4, 4])
    torch.testing.assert_close(small.network.pos_embed, expected)
    assert torch.equal(small.network.blocks[0].mlp.fc1.weight, large.network.blocks[0].mlp.fc1.weight)
