"""Stylised copies of a set: from where, the same ones again, and a sentence where they cannot be had."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pairlens import styling, words
from pairlens.data import store
from pairlens.data.fingerprint import copies_mark
from pairlens.data.images import ImageSet
from pairlens.data.photographs import Photographs
from pairlens.data.styles import mix_spectra
from pairlens.errors import InputError
from pairlens.styling import Styling, add_copies, draw_pictures


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAIRLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def images() -> ImageSet:
    """20 images of 16 px."""
    pixels = torch.randint(0, 256, (20, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(pixels, torch.full((20, 2), 16), [f"train/{i:05d}" for i in range(20)])


def lay(folder: Path, names: list[str], seed: int = 0) -> Path:
    numbers = np.random.default_rng(seed)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(numbers.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize("by", ["spectrum", "patches"])
def test_the_same_seed_gives_the_same_copies(images: ImageSet, by: str) -> None:
    images = replace(images, pixels=images.pixels.repeat_interleave(2, 2).repeat_interleave(2, 3))
    before, state = images.pixels.clone(), torch.get_rng_state()
    one, same, other = (add_copies(images, Styling(by, 3), seed=seed).styles for seed in (1, 1, 2))
    assert one.shape == (3, 20, 3, 32, 32)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(images.pixels, before)
    assert torch.equal(state, torch.get_rng_state())
    assert images.styles is None
    for copies in (one[0], one[1]):
        assert (copies != images.pixels).flatten(1).any(1).all()
    assert (one[0] != one[1]).flatten(1).any(1).double().mean() > 0.8  # a picture may be drawn twice


def test_copies_are_of_their_images_whatever_the_chunks(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw_pictures(2, 20, None, torch.Generator().manual_seed(styling.STREAM + 5))
    made = add_copies(images, Styling(count=2), seed=5).styles
    for style in range(2):
        assert torch.equal(made[style], mix_spectra(images.pixels, images.pixels[drawn[style]]))
    monkeypatch.setattr(styling, "CHUNK", 16 * 16 * 3)
    assert torch.equal(made, add_copies(images, Styling(count=2), seed=5).styles)


def test_no_image_takes_its_own_style_and_all_others_are_taken_alike() -> None:
    drawn = draw_pictures(6000, 7, None, torch.Generator().manual_seed(0))
    assert (drawn != torch.arange(7)).all()
    counts = torch.stack([torch.bincount(drawn[:, i], minlength=7) for i in range(7)])
    assert (counts + 1000 * torch.eye(7).long() - 1000).abs().max() < 120
    given = draw_pictures(4000, 2, 3, torch.Generator().manual_seed(0))
    assert (torch.bincount(given.flatten()) - 8000 / 3).abs().max() < 200


def test_styles_are_taken_from_pictures(images: ImageSet, tmp_path: Path) -> None:
    said: list[str] = []
    folder = lay(tmp_path / "paintings", ["a/one.png", "two.png"])
    (folder / "three.jpg").write_bytes(b"none")
    way = Styling("spectrum", 2, str(folder))
    made = add_copies(images, way, say=said.append).styles
    assert not torch.equal(made, add_copies(images, Styling("spectrum", 2)).styles)
    pictures = [torch.from_numpy(np.array(Image.open(folder / n))).permute(2, 0, 1) for n in ("a/one.png", "two.png")]
    either = [mix_spectra(images.pixels, picture.expand(20, -1, -1, -1)) for picture in pictures]
    for style in range(2):
        found = torch.stack([(made[style] == one).flatten(1).all(1) for one in either])
        assert (found.sum(0) == 1).all()
        assert found.any(1).all()
    assert said[0].startswith("1 of the pictures in ")
    assert said[1].endswith("by spectrum mixing (a stand-in that is not neural), styles from paintings, 0 MB")
    lay(folder, ["two.png"], seed=9)
    assert not torch.equal(made, add_copies(images, way).styles)


def test_a_folder_of_copies_is_taken_as_it_is(images: ImageSet, tmp_path: Path) -> None:
    said: list[str] = []
    for style in (1, 2):
        lay(tmp_path / f"copies/style-{style}", [f"{name}.png" for name in images.names], seed=style)
    made = add_copies(images, Styling(str(tmp_path / "copies"), 2), say=said.append).styles
    for style, row in ((0, 0), (1, 13)):
        path = tmp_path / f"copies/style-{style + 1}/train/{row:05d}.png"
        assert np.array_equal(made[style, row].permute(1, 2, 0), np.array(Image.open(path)))
    assert said == ["2 stylised copies of each training image from the folder copies, 0 MB"]
    with pytest.raises(InputError, match="lacks 20 of the 60 stylised copies"):
        add_copies(images, Styling(str(tmp_path / "copies"), 3))
    wide = replace(images, sizes=torch.tensor([[16, 32]]).repeat(20, 1))
    add_copies(wide, Styling(str(tmp_path / "copies"), 1), say=said.append)
    assert said[-1].startswith("20 of the stylised copies have not the shape of their images (style-1/train/00000.png")


def test_many_copies_are_kept_in_the_cache_folder(
    images: ImageSet, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = add_copies(images, Styling(), seed=1).styles
    assert not cache.exists()
    monkeypatch.setattr(store, "IN_MEMORY", 0)
    made = add_copies(images, Styling(), seed=1)
    assert torch.equal(made.styles, expected)
    assert len(list(cache.glob("*.pixels"))) == 1
    monkeypatch.setattr(styling, "mix_spectra", lambda *pixels: pytest.fail("copies are made again"))
    assert torch.equal(add_copies(images, Styling(), seed=1).styles, expected)
    monkeypatch.undo()
    monkeypatch.setenv("PAIRLENS_CACHE", str(cache))
    monkeypatch.setattr(store, "IN_MEMORY", 0)
    other = replace(images, pixels=images.pixels.clone())
    other.pixels[19, 2, 15, 15] ^= 255
    assert not torch.equal(add_copies(other, Styling(), seed=1).styles, expected)
    assert not torch.equal(add_copies(images, Styling(), seed=2).styles, expected)
    assert len(add_copies(images, Styling(count=3), seed=1).styles) == 3
    assert len(list(cache.glob("*.pixels"))) == 4


def test_other_files_give_other_copies_in_the_cache_folder(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "IN_MEMORY", 0)
    names = [f"style-1/{name}.png" for name in images.names]
    for way in (Styling("spectrum", 1, str(tmp_path / "copies")), Styling(str(tmp_path / "copies"), 1)):
        lay(tmp_path / "copies", names)
        made = add_copies(images, way).styles.clone()
        assert torch.equal(made, add_copies(images, way).styles)
        lay(tmp_path / "copies", names, seed=1)
        assert not torch.equal(made, add_copies(images, way).styles)


def test_a_mark_tells_copies_apart(images: ImageSet) -> None:
    assert copies_mark(images) is None
    made = add_copies(images, Styling(), seed=1)
    assert copies_mark(made) == copies_mark(add_copies(images, Styling(), seed=1))
    others = [Styling(count=3), Styling("patches")]
    assert len({copies_mark(made), *(copies_mark(add_copies(images, way, seed=1)) for way in others)}) == 3
    assert copies_mark(made.rows(torch.arange(10))) != copies_mark(made)


def test_what_cannot_be_stylised_is_a_sentence(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path / "photos", ["a.png", "b.png"])
    files = replace(images, pixels=Photographs(tmp_path / "photos", ["a.png", "b.png"], 16, 1))
    with pytest.raises(InputError, match=r"decoded anew in every epoch; store them with --decode once, or leave"):
        add_copies(files, Styling())
    with pytest.raises(InputError, match="has no other to take its texture from; give a folder of pictures, or patch"):
        add_copies(images.rows(torch.tensor([3])), Styling())
    assert add_copies(images.rows(torch.tensor([3])), Styling("patches")).styles.shape == (4, 1, 3, 16, 16)
    with pytest.raises(InputError, match="stylised copies are squares, and the images are 8 x 16"):
        add_copies(replace(images, pixels=images.pixels[:, :, :8]), Styling())
    monkeypatch.setattr(styling, "free_room", lambda: 5)
    monkeypatch.setattr(store, "IN_MEMORY", 0)
    monkeypatch.setattr(styling, "memory", lambda: 0)
    with pytest.raises(InputError, match=r"4 stylised copies of 20 images take 0 GB, and .* has room for 0 GB; set"):
        add_copies(images, Styling())


def test_ways_that_are_not_there_are_refused_early(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="cannot be stylised by spectra, which is not there; give spectrum, patches, a"
    ):
        Styling("spectra").check()
    with pytest.raises(InputError, match=r"there is no folder .*gone to take styles from"):
        Styling("spectrum", pictures=str(tmp_path / "gone")).check()
    Styling("spectrum", pictures=str(tmp_path)).check()
    (tmp_path / "w.pth").write_bytes(b"")
    for by, kind, neural in (
        ("spectrum", "spectrum", False),
        ("patches", "patches", False),
        (str(tmp_path), "folder", True),
        (str(tmp_path / "w.pth"), "network", True),
    ):
        assert (Styling(by).kind, Styling(by).neural) == (kind, neural)
        assert ("not neural" in Styling(by).words) != neural


def test_long_work_is_told(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(words, "PATIENCE", 0.0)
    monkeypatch.setattr(styling, "CHUNK", 16 * 16 * 8)
    add_copies(images, Styling(count=2), say=said.append)
    assert said[:6] == [f"making stylised copies: {done} of 40" for done in (0, 8, 16, 20, 28, 36)]
    assert len(said) == 7
