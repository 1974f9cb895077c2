"""CCrop (Peng et al., CVPR 2022), Section 3 and Algorithm 1, written out with loops in float64.

B images of a batch, D channels, h x w positions of a heat map, S pixels of a view's side.
"""

import math

import pytest
import scipy.stats
import torch
from torch import Tensor

from pairlens.draw import Draw
from pairlens.views.boxes import Boxes, boxes_of, heat_map
from pairlens.views.crops import contrastive_crop

B, D = 6, 5
SCALE, RATIO = (0.2, 1.0), (3 / 4, 4 / 3)
SIZES = [(40, 60), (375, 500), (7, 9), (10, 300), (1, 5000), (64, 64)]
BOXES = [
    (0.0, 0.0, 1.0, 1.0),
    (0.25, 0.25, 0.75, 0.75),
    (0.1, 0.6, 0.3, 1.0),
    (0.9, 0.2, 0.4, 0.1),  # inverted
    (1.25, -0.5, 1.5, -0.25),  # outside of the image
    (0.5, 0.5, 0.5, 0.5),
]


def naive_heat(features: Tensor) -> list[list[float]]:
    """M of Section 3.2: summed over channels and brought to [0, 1]."""
    channels, height, width = features.shape
    total = [
        [math.fsum(features[d, i, j].item() for d in range(channels)) for j in range(width)] for i in range(height)
    ]
    low, high = min(map(min, total)), max(map(max, total))
    return [[(x - low) / (high - low) for x in row] for row in total]


def naive_enlarged(heat: list[list[float]], size: int) -> list[list[float]]:
    """Bilinear, pixel centres at half-integers; what lies beyond the outermost positions is like them."""

    def taps(length: int, i: int) -> tuple[int, int, float]:
        at = min(max((i + 0.5) * length / size - 0.5, 0.0), length - 1.0)
        first = min(int(at), length - 1)
        return first, min(first + 1, length - 1), at - first

    found = []
    for i in range(size):
        top, bottom, y = taps(len(heat), i)
        row = []
        for j in range(size):
            left, right, x = taps(len(heat[0]), j)
            upper = (1 - x) * heat[top][left] + x * heat[top][right]
            lower = (1 - x) * heat[bottom][left] + x * heat[bottom][right]
            row.append((1 - y) * upper + y * lower)
        found.append(row)
    return found


def naive_box(heat: list[list[float]], k: float) -> tuple[float, ...]:
    """Eq. 2: the rectangular closure of what is activated, in fractions of the side."""
    size = len(heat)
    active = [(i, j) for i in range(size) for j in range(size) if heat[i][j] > k]
    if not active:
        return 0.0, 0.0, 1.0, 1.0
    rows, columns = [i for i, _ in active], [j for _, j in active]
    return min(columns) / size, min(rows) / size, (max(columns) + 1) / size, (max(rows) + 1) / size


def naive_crop(
    size: tuple[int, int], box: tuple[float, ...], alpha: float, tries: list[tuple[float, float]], uv: list[float]
) -> tuple[list[int], bool]:
    """Algorithm 1 on whole pixels: sizes of the full image, centres in the box, Beta(alpha, alpha) along each axis.

    `tries` and `uv` are uniform numbers: of area and shape, ten times, and of the place.
    """
    height, width = size
    extent, placed = (0, 0), False
    for s, r in tries:
        area = (SCALE[0] + s * (SCALE[1] - SCALE[0])) * height * width
        shape = math.exp(math.log(RATIO[0]) + r * (math.log(RATIO[1]) - math.log(RATIO[0])))
        extent = (round(math.sqrt(area * shape)), round(math.sqrt(area / shape)))
        if 0 < extent[0] <= width and 0 < extent[1] <= height:
            placed = True
            break
    if not placed:
        extent = (max(min(width, round(height * RATIO[1])), 1), max(min(height, round(width / RATIO[0])), 1))
        return [(width - extent[0]) // 2, (height - extent[1]) // 2, *extent], False
    offsets = []
    for axis, side in enumerate((width, height)):
        first, last = (box[axis] * side, box[axis + 2] * side)
        allowed = [o for o in range(-2 * side, 3 * side + 1) if first <= o + extent[axis] / 2 <= last]
        if not allowed:
            allowed = [round((first + last) / 2 - extent[axis] / 2)]
        low, high = (min(max(o, 0), side - extent[axis]) for o in (allowed[0], allowed[-1]))
        place = float(scipy.stats.beta.ppf(uv[axis], alpha, alpha))
        offsets.append(min(low + math.floor((high - low + 1) * place), high))
    return [*offsets, *extent], True


@pytest.mark.parametrize(("height", "width", "size"), [(4, 4, 32), (3, 5, 16), (7, 7, 50), (12, 12, 12)])
@pytest.mark.parametrize("k", [0.0, 0.1, 0.5, 0.8])
def test_eq_2_equals_the_loops(height: int, width: int, size: int, k: float) -> None:
    generator = torch.Generator().manual_seed(height)
    features = (3 * torch.randn(B, D, height, width, generator=generator, dtype=torch.float64)).exp()  # few are hot
    maps = [naive_heat(image) for image in features]
    found = heat_map(features)
    torch.testing.assert_close(found.double(), torch.tensor(maps, dtype=torch.float64), rtol=0, atol=1e-6)
    expected = [naive_box(naive_enlarged(heat, size), k) for heat in maps]
    torch.testing.assert_close(boxes_of(found, size, k), torch.tensor(expected))
    assert len(set(expected)) > 1 or k == 0


def test_eq_2_is_strict() -> None:
    heat = torch.tensor([[[0.0, 0.5], [0.25, 1.0]]])
    assert boxes_of(heat, 2, 0.25).tolist() == [[0.5, 0.0, 1.0, 1.0]]
    assert boxes_of(heat, 2, 0.5).tolist() == [[0.5, 0.5, 1.0, 1.0]]


@pytest.mark.parametrize("alpha", [1.0, 0.1, 0.6, 2.0], ids=["eq_3", "eq_4_small", "eq_4_imagenet", "peaked"])
def test_eq_3_and_4_and_algorithm_1_equal_the_loops(alpha: float) -> None:
    """The same uniform numbers go through both: areas, shapes and places, in the order in which they are drawn."""
    pairs = [(size, box) for size in SIZES for box in BOXES] * 3
    sizes = torch.tensor([size for size, _ in pairs])
    boxes = torch.tensor([box for _, box in pairs])

    class Given:
        def of(self, index: Tensor) -> Tensor:
            return boxes[index]

    ours, same = torch.Generator().manual_seed(11), torch.Generator().manual_seed(11)
    index = torch.arange(len(pairs))
    crop = contrastive_crop(Given(), alpha, SCALE, RATIO)(Draw(index, sizes, 0, 0, ours, ours))
    tries = torch.rand(2, len(pairs), 10, generator=same)
    place = torch.rand(len(pairs), 2, generator=same)
    found, naive, placed = [], [], 0
    for n, (size, box) in enumerate(pairs):
        expected, tried = naive_crop(size, box, alpha, tries[:, n].T.tolist(), place[n].tolist())
        naive.append(expected)
        placed += tried
        found.append([round(x * side) for x, side in zip(crop[n].tolist(), (size[1], size[0]) * 2, strict=True)])
    assert 0 < placed < len(pairs)
    assert found == naive


def test_eq_3_is_eq_1_where_the_box_is_the_image() -> None:
    """Along an axis of 8 px a crop of 4 has 5 places, each as likely (Eq. 1); centres in the image do not bind."""
    count = 10_000
    generator = torch.Generator().manual_seed(3)
    draw = Draw(torch.arange(count), torch.full((count, 2), 8), 0, 0, generator, generator)
    crop = contrastive_crop(Boxes.whole(count), 1.0, (0.25, 0.25), (1.0, 1.0))(draw)
    places = (crop[:, :2] * 8).long()
    for axis in places.unbind(1):
        assert scipy.stats.chisquare(axis.bincount(minlength=5)).pvalue > 1e-3
