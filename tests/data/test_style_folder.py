"""A folder of stylised copies: found by the images' names, whatever their ending."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pairlens.data.style_folder import decode_copies, find_copies
from pairlens.errors import InputError

NAMES = ["a/one.jpg", "a/two.jpg", "three.PNG", "train/00007"]


def lay(root: Path, names: list[str], style: int, size: tuple[int, int] = (8, 8)) -> None:
    for place, name in enumerate(names):
        path = root / f"style-{style}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (10 * style, place, 0)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lay(tmp_path, ["a/one.jpg", "a/two.png", "three.PNG", "train/00007.bmp", "beside.png"], 1)
    lay(tmp_path, ["a/one.png", "a/two.png", "three.png", "train/00007.png"], 2)
    return tmp_path


def test_copies_are_found_style_after_style(root: Path) -> None:
    assert find_copies(root, NAMES, 2) == [
        *("style-1/a/one.jpg", "style-1/a/two.png", "style-1/three.PNG", "style-1/train/00007.bmp"),
        *("style-2/a/one.png", "style-2/a/two.png", "style-2/three.png", "style-2/train/00007.png"),
    ]
    assert find_copies(root, NAMES[:1], 1) == ["style-1/a/one.jpg"]


def test_names_that_differ_in_their_ending_alone_are_not_mixed_up(tmp_path: Path) -> None:
    lay(tmp_path, ["x.png", "y.png"], 1)
    with pytest.raises(InputError, match=r"lacks 1 of the 3 stylised copies: style-1/x\.jpg; make them"):
        find_copies(tmp_path, ["x.jpg", "x.png", "y.jpg"], 1)
    lay(tmp_path, ["x.jpg"], 1)
    assert find_copies(tmp_path, ["x.jpg", "x.png", "y.jpg"], 1) == [
        f"style-1/{n}" for n in ("x.jpg", "x.png", "y.png")
    ]


def test_missing_copies_are_named(root: Path) -> None:
    (root / "style-2" / "a" / "two.png").unlink()
    with pytest.raises(
        InputError, match=r"lacks 5 of the 12 .* style-2/a/two\.jpg, style-3/a/one\.jpg, .* fewer styles$"
    ):
        find_copies(root, NAMES, 3)
    with pytest.raises(InputError, match=r"style-1/11 and 988 more; make them"):
        find_copies(root, [str(i) for i in range(1000)], 1)


def test_copies_are_decoded_at_the_stored_side(root: Path) -> None:
    lay(root, ["three.png"], 2, size=(8, 4))
    bent: list[str] = []
    told: list[int] = []
    made = decode_copies(
        root, find_copies(root, NAMES, 2), [(20, 20)] * 4, 6, lambda done, all: told.append(done), bent
    )
    pixels = np.stack(list(made))
    assert pixels.shape == (8, 3, 6, 6)
    assert pixels.dtype == np.uint8
    colors = pixels[:, :2, 3, 3].astype(int)
    expected = [[10, 0], [10, 1], [10, 2], [10, 3], [20, 0], [20, 1], [20, 0], [20, 3]]
    assert np.abs(colors - expected).max() <= 1  # of a JPEG
    assert (colors[1:] == expected[1:]).all()
    assert bent == ["style-2/three.png"]
    assert told[-1] == 8


def test_a_copy_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "style-1" / "three.PNG").write_bytes(b"none")
    made = decode_copies(root, find_copies(root, NAMES, 1), [(8, 8)] * 4, 8, lambda done, all: None, [])
    with pytest.raises(InputError, match=r"style-1/three\.PNG in .* cannot be read \(not an image"):
        list(made)
