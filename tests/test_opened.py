"""Any encoder can be opened to look at it: a run's with its heads, a bare file, another library's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pairlens.errors import InputError
from pairlens.evaluate.features import encode
from pairlens.methods.looc import LooCSettings
from pairlens.nets.encoders import make_encoder
from pairlens.opened import IMAGENET, Opened, open_encoder, untrained_like
from pairlens.place import Place
from pairlens.pretrain import pretrain
from pairlens.recipes.general import looc
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.start import start_run

CPU = Place(torch.device("cpu"), torch.float32, 1, False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with three spaces, each with a last stage of its own."""
    folder = tmp_path_factory.mktemp("opened") / "run"
    recipe = looc(
        method=LooCSettings(negatives=32),
        network=Network(encoder="resnet8w", hidden=16, dim=8, last_stage="own"),
        views=Views(size=16, rotation=0.5),
        optimisation=Optimisation(epochs=1, batch=32),
    )
    generator = np.random.default_rng(0)
    images = folder.parent / "images.npy"
    np.save(images, generator.integers(0, 255, (64, 16, 16, 3), dtype=np.uint8))
    _, training, source, _ = start_run(
        str(images),
        recipe,
        folder=folder,
        machine=Machine(device="cpu", precision="fp32", threads=1),
        say=lambda _: None,
    )
    assert pretrain(folder, training, source, say=lambda _: None) == "finished"
    return folder


def seen(opened: Opened) -> Tensor:
    """What an encoder makes of fixed views."""
    views = torch.randn(3, 3, opened.size, opened.size, generator=torch.Generator().manual_seed(1))
    return encode(opened.encoder, views, opened.place.precision)


def test_a_run_is_opened_with_its_heads(run: Path) -> None:
    opened = open_encoder(str(run), CPU)
    assert list(opened.heads) == ["z", "color", "rotation"]
    features = seen(opened)
    assert features.shape == (3, 3 * 128)
    saved = load_file(run / "checkpoints" / "step-00000002" / "weights.safetensors")
    head = opened.heads["rotation"]
    own = {
        name.removeprefix("online.heads.rotation."): v for name, v in saved.items() if "online.heads.rotation" in name
    }
    assert own
    assert all(torch.equal(head.state_dict()[name], value) for name, value in own.items())
    assert head(features).shape == (3, 8)


def test_without_its_checkpoint_a_run_has_no_heads(run: Path, tmp_path: Path) -> None:
    bare = tmp_path / "run"
    shutil.copytree(run, bare)
    shutil.rmtree(bare / "checkpoints")
    opened = open_encoder(str(bare), CPU)
    assert opened.heads == {}
    assert torch.equal(seen(opened), seen(open_encoder(str(run), CPU)))


def test_its_bare_file_says_what_it_is(run: Path, tmp_path: Path) -> None:
    """The file alone, far from its run, is shown the same images in the same way."""
    file = tmp_path / "some.safetensors"
    shutil.copy(run / "encoder.safetensors", file)
    whole, bare = open_encoder(str(run), CPU), open_encoder(str(file), CPU)
    assert torch.equal(seen(whole), seen(bare))
    assert bare.size == 16
    assert torch.equal(bare.mean, whole.mean)
    assert torch.equal(bare.std, whole.std)
    assert bare.run is None


@pytest.mark.parametrize(("name", "stem", "size"), [("resnet18", "imagenet", 224), ("resnet10w", "small", 32)])
def test_the_network_of_a_nameless_file_is_found(tmp_path: Path, name: str, stem: str, size: int) -> None:
    encoder = make_encoder(name, stem=stem, generator=torch.Generator().manual_seed(3)).eval()
    save_file(encoder.state_dict() | {"fc.weight": torch.zeros(5, 512)}, tmp_path / "w.safetensors")
    opened = open_encoder(str(tmp_path / "w.safetensors"), CPU)
    assert opened.size == size
    assert torch.equal(opened.mean, torch.tensor(IMAGENET[0]))
    views = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert torch.allclose(opened.encoder(views), encoder(views), atol=1e-5)


def test_the_same_network_without_training(run: Path, tmp_path: Path) -> None:
    """Of a run, whose encoder has a last stage for each space, and of its bare file."""
    shutil.copy(run / "encoder.safetensors", tmp_path / "some.safetensors")
    for what in (run, tmp_path / "some.safetensors"):
        opened = open_encoder(str(what), CPU)
        made, again, other = (untrained_like(opened, seed).state_dict() for seed in (1, 1, 2))
        trained = opened.encoder.state_dict()
        assert {k: v.shape for k, v in made.items()} == {k: v.shape for k, v in trained.items()}
        assert all(torch.equal(made[k], again[k]) for k in made)
        first = next(k for k, v in made.items() if v.ndim == 4)
        assert not torch.equal(made[first], trained[first])
        assert not torch.equal(made[first], other[first])


def test_what_cannot_be_opened_is_told(run: Path, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    save_file(nn.Linear(2, 2).state_dict(), tmp_path / "c.safetensors", {"pairlens": json.dumps({"size": 3})})
    for what, message in (
        (str(tmp_path / "a.safetensors"), "are of none of resnet8w"),
        (str(tmp_path / "b.safetensors"), "cannot be read as weights"),
        (str(tmp_path / "c.safetensors"), "cannot be read .'network'.; name the encoder"),
        (str(tmp_path), "is not a run folder"),
        ("nowhere", "there is no encoder nowhere; give a run's folder"),
    ):
        with pytest.raises(InputError, match=message):
            open_encoder(what, CPU)
    with pytest.raises(InputError, match="do not fit the encoder resnet18"):
        open_encoder(str(tmp_path / "a.safetensors"), CPU, encoder="resnet18")
