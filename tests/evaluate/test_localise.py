import pytest
import torch
from torch import nn

from pairlens.data.images import ImageSet
from pairlens.data.scenes import make_scenes
from pairlens.errors import InputError
from pairlens.evaluate.localise import heat_maps, locate
from pairlens.nets.encoders import make_encoder
from pairlens.views.boxes import Boxes, coverage, heat_map, iou

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])


def image_set(count=10, side=16, sizes=None, seed=0):
    drawn = torch.randint(256, (count, 3, side, side), generator=torch.Generator().manual_seed(seed))
    sizes = torch.tensor([sizes or (side, side)]).repeat(count, 1)
    return ImageSet(drawn.to(torch.uint8), sizes, [str(i) for i in range(count)])


def encoder_of(seed=0):
    """An encoder whose running statistics are not the initial ones."""
    encoder = make_encoder("resnet8w", generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        encoder(torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(seed)))
    return encoder


class Brightness(nn.Module):
    """Active where the image is bright: its map is the image itself, halved."""

    def features_map(self, x):
        return nn.functional.avg_pool2d(x, 2)


def squares(count=6, side=32, sizes=None):
    """Black images with a bright rectangle each, and its box; pixels stored squeezed to `side`."""
    images = image_set(count, side, sizes)
    images.pixels.zero_()
    boxes = []
    for i in range(count):
        left, top, right, bottom = 2 * i, 4, 2 * i + 8, 10 + 2 * i
        images.pixels[i, :, top:bottom, left:right] = 255
        boxes.append([left / side, top / side, right / side, bottom / side])
    return images, torch.tensor(boxes)


def test_maps_are_those_of_the_normalised_image_in_eval_mode():
    images, encoder = image_set(), encoder_of()
    found = heat_maps(encoder, images, 16, MEAN, STD, batch=4)
    views = (images.pixels / 255 - MEAN[:, None, None]) / STD[:, None, None]
    with torch.no_grad():
        expected = heat_map(encoder.eval().features_map(views))
        other = heat_map(encoder.train().features_map(views))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(found, other, atol=1e-2)
    assert found.dtype == torch.float32
    assert not found.requires_grad


def test_the_whole_of_a_photograph_is_seen_and_not_its_centre():
    images, boxes = squares(side=128, sizes=(300, 600))
    found = locate(Brightness(), images, 128, None, None, k=0.5)
    assert torch.equal(found.boxes, boxes)


@pytest.mark.parametrize("size", [16, 32])
def test_objects_are_found_at_the_views_size(size):
    images, boxes = squares()
    found = locate(Brightness(), images, size, MEAN, STD, k=0.4, batch=4)
    assert found.k == 0.4
    assert (found.boxes - boxes).abs().max() <= 2 / size
    assert iou(found.boxes, boxes).min() > 0.5


def test_an_index_chooses_and_orders_the_images():
    images, encoder = image_set(), encoder_of()
    index = torch.tensor([7, 2, 9])
    everything = heat_maps(encoder, images, 16, MEAN, STD)
    torch.testing.assert_close(heat_maps(encoder, images, 16, MEAN, STD, index=index, batch=2), everything[index])
    found = locate(encoder, images, 16, MEAN, STD, index=index, k=0.3)
    assert torch.equal(found.boxes, locate(encoder, images, 16, MEAN, STD, k=0.3).boxes[index])


def test_pixels_are_asked_for_by_rows_only():
    images, _ = squares()

    class Lazy:
        def __getitem__(self, rows):
            assert isinstance(rows, torch.Tensor)
            assert rows.dtype == torch.long
            return images.pixels[rows]

        def __len__(self):
            return len(images.pixels)

    class Lazily(ImageSet):
        pixels = Lazy()

        def __init__(self):
            object.__setattr__(self, "sizes", images.sizes)

    found = locate(Brightness(), Lazily(), 32, None, None, k=0.9, batch=4)
    assert torch.equal(found.boxes, locate(Brightness(), images, 32, None, None, k=0.9).boxes)


def test_one_threshold_for_the_set_is_chosen_by_coverage():
    images = make_scenes(train=300, test=1).train
    encoder = encoder_of()
    covers = {}
    for target in (0.2, 0.6):
        found = locate(encoder, images, 32, MEAN, STD, k=0.1, coverage=target)
        assert torch.equal(found.boxes, locate(encoder, images, 32, MEAN, STD, k=found.k).boxes)
        covers[found.k] = coverage(found.boxes).median().item()
        assert covers[found.k] == pytest.approx(target, abs=0.1)
    assert list(covers) == sorted(covers, reverse=True)


def test_encoder_and_generators_are_left_as_they_were():
    images, encoder = image_set(), encoder_of()
    encoder.get_submodule("layer1").eval()
    modes = [module.training for module in encoder.modules()]
    state = {key: value.clone() for key, value in encoder.state_dict().items()}
    random = torch.get_rng_state()
    locate(encoder, images, 16, MEAN, STD)
    assert [module.training for module in encoder.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in encoder.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_bf16_is_near_float32_and_progress_counts_every_image():
    images, encoder, counted = image_set(), encoder_of(), []
    exact = heat_maps(encoder, images, 16, MEAN, STD)
    rough = heat_maps(encoder, images, 16, MEAN, STD, batch=4, precision=torch.bfloat16, progress=counted.append)
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    assert (exact - rough).abs().max() < 0.1
    assert counted == [4, 4, 2]


def test_an_encoder_that_diverged_gives_full_boxes():
    encoder = encoder_of()
    with torch.no_grad():
        encoder.get_parameter("conv1.weight").fill_(float("nan"))
    boxes = Boxes.unknown(10)
    boxes.refresh(locate(encoder, image_set(), 16, MEAN, STD).boxes, 1, 1, 0.1)
    assert torch.equal(boxes.table, Boxes.whole(10).table)


def test_encoders_without_a_map_are_refused():
    with pytest.raises(InputError, match="Flatten has no features_map"):
        heat_maps(nn.Flatten(), image_set(), 16, None, None)
    with pytest.raises(InputError, match="a view of 2 px at a single position"):
        heat_maps(Brightness(), image_set(), 2, None, None)
