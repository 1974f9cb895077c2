"""The moments of a run, the columns that colour a map, its thumbnails, and what pixels say of near-duplicates."""

import io
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pairlens.data.images import ImageSet, Source
from pairlens.data.sources import open_source
from pairlens.errors import InputError
from pairlens.evaluate.nearest import thumbnails
from pairlens.mapping.asked import Asked, Looking, Track
from pairlens.mapping.columns import Kinds, Numbers, columns_of_images
from pairlens.mapping.copies import EXACT, FEATURES, compare, pixel_groups
from pairlens.mapping.moments import Moment, moments
from pairlens.mapping.page import page
from pairlens.mapping.payload import Drawn, payload
from pairlens.mapping.sheet import make_sheet
from pairlens.mapping.summary import Found, sentences
from pairlens.mapping.whole import measure
from pairlens.opened import Opened, open_encoder
from pairlens.place import Place
from pairlens.record.checkpoint import checkpoints, step_of
from pairlens.record.parts import Parts

CPU = Place(torch.device("cpu"), torch.float32, 1, False)


class Table(nn.Module):
    """Gives each image the features whose number its first pixel is."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.register_buffer("features", features)

    def forward(self, views: Tensor) -> Tensor:
        return self.features[(views[:, 0, 0, 0] * 255).round().long()]


def numbered(count: int, labels: Tensor | None = None, names: list[str] | None = None) -> ImageSet:
    """Images of noise whose first pixel is their number."""
    pixels = torch.randint(256, (count, 3, 8, 8), generator=torch.Generator().manual_seed(3)).byte()
    pixels[:, 0, 0, 0] = torch.arange(count)
    names = names or [f"image-{i}" for i in range(count)]
    classes = () if labels is None else tuple(f"class {i}" for i in range(int(labels.max()) + 1))
    return ImageSet(pixels, torch.full((count, 2), 8), names, labels, classes)


def measured(features: Tensor, shown: ImageSet, folder: Path, **given: int) -> tuple[Track, Looking]:
    encoder = Table(features)
    opened = Opened("table", encoder, 8, torch.zeros(3), torch.ones(3), CPU)
    asked = Asked(Source("numbers", shown), **given)
    parts = Parts(folder / "map.npz", "mark", "features")
    look = Looking(asked, shown.rows(asked.shown), parts, lambda *told: None)
    return measure(opened, "table", [Moment("as it is", None, None, lambda: encoder)], look), look


def test_moments_are_start_checkpoints_and_end(trained: tuple[Path, dict[str, Tensor]]) -> None:
    folder, start = trained
    found = moments(open_encoder(str(folder), CPU))
    kept = [step_of(path) for path in checkpoints(folder / "checkpoints")]
    assert [one.step for one in found] == [0, *kept]
    assert found[-1].step == kept[-1] == 3
    assert [one.name for one in found] == ["untrained", *["in training"] * (len(kept) - 1), "trained"]
    assert found[-1].title == "trained, step 3, epoch 1.0"
    first = found[0].load().state_dict()
    assert all(torch.equal(value, first[name]) for name, value in start.items())
    weights = [one.load().state_dict()["conv1.weight"] for one in found]
    assert not any(torch.equal(a, b) for a, b in itertools.pairwise(weights))


def test_what_is_damaged_is_left_out(run: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(run, tmp_path / "mine")
    oldest = checkpoints(mine / "checkpoints")[0]
    (oldest / "weights.safetensors").write_bytes(b"no")
    said: list[str] = []
    found = moments(open_encoder(str(mine), CPU), said.append)
    assert step_of(oldest) not in [one.step for one in found]
    assert [one.name for one in found][0 :: len(found) - 1] == ["untrained", "trained"]
    assert "a checkpoint is left out" in said[0]


def test_of_many_moments_some_are_taken(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pairlens.mapping.moments.MOST", 2)
    said: list[str] = []
    found = moments(open_encoder(str(run), CPU), said.append)
    assert [one.step for one in found] == [0, 3]
    assert "evenly spread" in said[0]


def test_neighbours_outliers_and_duplicates_are_of_the_features(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(90, 12, generator=generator)
    features[80] = features[7] + 1e-3
    features[82] = features[8] + 1e-3
    pixels = numbered(90)
    pixels.pixels[81] = pixels.pixels[8]  # so that both have the features of 8, too
    track, look = measured(features, pixels, tmp_path, images=60, neighbours=3)
    index = look.asked.searched
    assert len(index) == 90
    assert look.asked.shown.tolist() == sorted(look.asked.shown.tolist())
    of = nn.functional.normalize(features[[8 if i == 81 else i for i in index.tolist()]], dim=1)
    torch.testing.assert_close(track.features, of)
    similar = (of[:60] @ of[:60].T).fill_diagonal_(-2)
    assert torch.equal(track.last.near.index[:, 0], similar.argmax(1))
    assert track.last.near.index.shape == (60, 3)
    groups = pixel_groups(pixels.rows(index))
    found = compare(track, groups)
    named = {frozenset((int(index[p.one]), int(index[p.other]))): p.kind for p in found.near}
    assert named == {
        frozenset((8, 81)): EXACT,
        frozenset((7, 80)): FEATURES,
        frozenset((8, 82)): FEATURES,
        frozenset((81, 82)): FEATURES,
    }
    assert [found.count(kind) for kind in (EXACT, FEATURES)] == [1, 3]


def test_a_collapsed_encoder_is_told(tmp_path: Path) -> None:
    images = numbered(20, torch.arange(20) % 2)
    track, look = measured(torch.ones(20, 5), images, tmp_path)
    assert track.last.flat
    assert track.last.t_sne is None
    assert not track.last.axes.any()
    found = [Found(track, compare(track, pixel_groups(images)))]
    assert "has collapsed" in sentences(found, look)[0]
    text = page(look, found)
    assert "has collapsed" in text
    assert "none lies farther away" in text


@pytest.mark.parametrize("labels", [None, torch.zeros(3).long(), torch.tensor([0, 1, -1])])
def test_three_images_are_enough(labels: Tensor | None, tmp_path: Path) -> None:
    images = numbered(3, labels)
    track, look = measured(torch.eye(3, 4) + 0.1, images, tmp_path)
    assert track.last.near.index.shape == (3, 2)
    found = [Found(track, compare(track, pixel_groups(images)))]
    assert sentences(found, look)
    assert page(look, found).startswith("<!doctype html")


def test_what_cannot_be_mapped_is_told(tmp_path: Path) -> None:
    images = numbered(9)
    features = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    for given, wanted in (
        ({"images": 2}, "a map has 3 to 5,000 images, not 2"),
        ({"images": 6000}, "not 6000"),
        ({"neighbours": 0}, "0 neighbours"),
        ({"clusters": 10}, "9 images cannot be put in 10 clusters"),
    ):
        with pytest.raises(InputError, match=wanted):
            measured(features, images, tmp_path, **given)
    with pytest.raises(InputError, match="holds 2 training images"):
        measured(features, numbered(2), tmp_path)
    features[4, 1] = torch.nan
    with pytest.raises(InputError, match="table, as it is: the features of 1 of 9 images are not finite"):
        measured(features, images, tmp_path)


def test_columns_tell_what_is_seen_and_known() -> None:
    pixels = torch.zeros(6, 3, 8, 8, dtype=torch.uint8)
    pixels[0] = 255
    pixels[1, 0] = 200  # red
    pixels[2, 1] = 200  # green
    pixels[3, :, :, :4] = 255  # half white
    sizes = torch.tensor([[8, 8], [8, 8], [8, 16], [8, 8], [8, 8], [8, 8]])
    factors = {"shade": torch.arange(6) / 6, "turn": torch.arange(6) % 3, "same": torch.zeros(6).long()}
    names = ["a/x/1.png", "a/x/2.png", "a/y/3.png", "a/y/4.png", "b/5.png", "b/6.png"]
    labels = torch.tensor([0, 0, 0, 1, 1, -1])
    images = ImageSet(pixels, sizes, names, labels, ("cat", "dog"), factors)
    found = {column.name: column for column in columns_of_images(images, pixels)}
    assert set(found) == {
        *("label", "folder", "shade", "turn", "brightness", "contrast", "colourfulness", "hue"),
        *("width over height", "size"),
    }
    folder = found["folder"]
    assert isinstance(folder, Kinds)
    assert [folder.names[i] for i in folder.codes] == ["a/x", "a/x", "a/y", "a/y", "b", "b"]
    values = {name: one.values for name, one in found.items() if isinstance(one, Numbers)}
    np.testing.assert_allclose(values["brightness"][[0, 3, 4]], [1, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(values["contrast"][[0, 3]], [0, 0.5], atol=1e-6)
    np.testing.assert_allclose(values["hue"][1:3], [0, 120], atol=1e-4)
    assert np.isnan(values["hue"][[0, 3, 4]]).all()
    assert values["width over height"][2] == 2
    by_label = ImageSet(
        pixels,
        sizes,
        [f"{'ab'[i]}/{n}" for n, i in enumerate([0, 0, 0, 1, 1, 1])],
        labels.abs() * 0 + torch.tensor([0, 0, 0, 1, 1, 1]),
        ("cat", "dog"),
    )
    assert "folder" not in {column.name for column in columns_of_images(by_label, pixels)}


def test_the_sheet_holds_each_thumbnail_in_its_place() -> None:
    images = torch.zeros(7, 3, 16, 16, dtype=torch.uint8)
    images[5, 0] = 220
    made = make_sheet(images)
    assert (made.side, made.columns) == (16, 3)
    shown = np.asarray(Image.open(io.BytesIO(made.webp)).convert("RGB"))
    assert shown.shape == (48, 48, 3)
    assert shown[24, 40, 0] > 200
    assert shown[24, 24].max() < 20


def test_rare_kinds_share_a_look(tmp_path: Path) -> None:
    images = numbered(90, torch.cat([torch.arange(30), torch.arange(30), torch.arange(28), torch.tensor([-1, -1])]))
    track, look = measured(torch.randn(90, 4, generator=torch.Generator().manual_seed(0)), images, tmp_path)
    small = thumbnails(images, torch.arange(90), 8)
    data = payload(look, columns_of_images(images, small), [Drawn(track, [])], make_sheet(small))
    label = data["columns"][0]
    assert len(label["kinds"]) == 24
    assert label["kinds"][-1] == "7 others"
    codes = np.frombuffer(__import__("base64").b64decode(label["codes"]), "<i2")
    assert (codes == -1).sum() == 2
    assert (codes[:23] == np.arange(23)).all()
    assert (codes == 23).sum() == 7 * 3 - 2


def test_what_stands_in_for_a_lost_file_is_no_copy(photos: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(photos, tmp_path / "mine")
    train = open_source(str(mine), decode="always", workers=1).train
    lost = next(row for row, name in enumerate(train.names) if name.endswith("image 08.png"))
    (mine / "train" / "kind 2" / "image 08.png").unlink()
    found = pixel_groups(train)
    assert [name.rpartition("/")[2] for name, _ in found.lost] == ["image 08.png"]
    assert found.absent == {lost}
    assert not any(lost in group for group in found.groups)
    assert found.pairs >= 1
