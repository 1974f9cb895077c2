"""Which encoders and which images are looked at."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pairlens.errors import InputError
from pairlens.place import Place
from pairlens.probing.subject import open_subject, usual_images, with_textures


def test_a_run_brings_its_own_images(run: Path, photos: Path, place: Place) -> None:
    subject = open_subject([str(run)], place)
    assert (subject.source, subject.which, subject.names) == (str(photos), "training", ("run",))
    assert len(subject.part) == 64
    assert subject.part.images.names != sorted(subject.part.images.names)


def test_the_seed_chooses_them(run: Path, place: Place) -> None:
    first, again, other = (open_subject([str(run)], place, images=50, seed=s).part.images.names for s in (0, 0, 1))
    assert first == again != other
    assert len(first) == 50


def test_test_images_go_before_training_images(place: Place, bare: Path) -> None:
    subject = open_subject([str(bare)], place, on="scenes", images=40)
    assert subject.which == "test"
    assert all(name.startswith("test/") for name in subject.part.images.names)
    assert "\u202e" not in subject.names[0]


def test_photographs_are_decoded_once(place: Place, bare: Path, tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (44, 20, 24, 3), dtype=np.uint8)
    for i, colour in enumerate(colours):
        Image.fromarray(colour).save(tmp_path / f"{i:02d}.png")
    told: list[tuple[int, int]] = []
    subject = open_subject(
        [str(bare)], place, on=str(tmp_path), progress=lambda done, total: told.append((done, total))
    )
    assert isinstance(subject.part.images.pixels, torch.Tensor)
    assert len(subject.part) == 44
    assert told[-1] == (44, 44)


def test_textures_are_those_of_the_same_three_images(run: Path, place: Place) -> None:
    images = open_subject([str(run)], place).part.images
    assert images.styles is not None
    assert images.styles.shape == (3, 64, 3, 8, 8)
    assert torch.equal(with_textures(replace(images, styles=None)).styles, images.styles)
    own = [(copy == images.pixels).flatten(1).float().mean(1) for copy in images.styles]
    assert all(float(same.max()) > 0.9 for same in own)  # each gives its texture to itself, too
    assert all(float(same.median()) < 0.5 for same in own)


@pytest.mark.parametrize(("size", "count"), [(32, 1600), (64, 1600), (96, 711), (224, 320), (384, 320)])
def test_large_views_get_fewer_images(size: int, count: int, place: Place) -> None:
    assert usual_images(size, place) == count


@pytest.mark.parametrize(
    ("what", "given", "message"),
    [
        (["RUN"], {"images": 39}, "39 images are too few to tell anything by; look at 40 at least"),
        (["BARE"], {}, "do not say which images they are for; name some with --on"),
        (["nowhere"], {"on": "scenes"}, "there is no encoder nowhere"),
        (["BARE"], {"on": "nowhere"}, "there is no folder nowhere"),
        (["BARE"], {"on": "FEW"}, "holds 5 images, and the probe needs 40 at least"),
        ([], {"on": "scenes"}, "there is no encoder to probe"),
    ],
)
def test_what_cannot_be_probed(
    run: Path, bare: Path, place: Place, tmp_path: Path, what: list[str], given: dict[str, object], message: str
) -> None:
    np.save(tmp_path / "few.npy", np.zeros((5, 16, 16, 3), np.uint8))
    names = {"RUN": str(run), "BARE": str(bare), "FEW": str(tmp_path / "few.npy")}
    given = {key: names.get(str(value), value) for key, value in given.items()}
    with pytest.raises(InputError, match=message):
        open_subject([names.get(name, name) for name in what], place, **given)


def test_runs_on_different_images_need_common_ones(
    run: Path, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pairlens.shown as module

    marks = iter([("a",), ("b",)])
    told: Callable[[object], tuple[str, ...]] = lambda _: next(marks)  # noqa: E731
    monkeypatch.setattr(module, "_images", told)
    with pytest.raises(InputError, match=r"were trained on different images .* with --on"):
        open_subject([str(run), str(run)], place)


def test_more_images_than_there_are_is_told(run: Path, place: Place) -> None:
    said: list[str] = []
    assert len(open_subject([str(run)], place, images=500, say=said.append).part) == 64
    assert any("holds 64 training images; all of them are looked at" in text for text in said)
