import pytest
import torch
from torch import nn

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.evaluate.features import central_crop, encode, extract, pixels, plain_views, pooled_pixels
from pairlens.nets.encoders import make_encoder

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])


def image_set(count=10, side=16, height=None, width=None, seed=0):
    drawn = torch.randint(256, (count, 3, side, side), generator=torch.Generator().manual_seed(seed))
    sizes = torch.tensor([[height or side, width or side]]).repeat(count, 1)
    return ImageSet(drawn.to(torch.uint8), sizes, [str(i) for i in range(count)])


def trained_looking(seed=0):
    """An encoder whose running statistics are not the initial ones."""
    encoder = make_encoder("resnet8w", generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        encoder(torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(seed)))
    return encoder


def test_small_images_are_looked_at_whole():
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    for size in ([32, 32], [64, 64], [48, 64]):
        assert torch.equal(central_crop(torch.tensor([size])), whole)


@pytest.mark.parametrize(
    ("height", "width", "crop"),
    [
        (256, 256, [0.0625, 0.0625, 0.875, 0.875]),
        (256, 512, [0.28125, 0.0625, 0.4375, 0.875]),
        (1024, 512, [0.0625, 0.28125, 0.875, 0.4375]),
        (32, 256, [0.5 - 14 / 256, 0.0625, 28 / 256, 0.875]),
    ],
)
def test_larger_ones_by_their_central_square(height, width, crop):
    torch.testing.assert_close(central_crop(torch.tensor([[height, width]])), torch.tensor([crop]))


def test_features_are_those_of_the_normalised_image_in_eval_mode():
    images, encoder = image_set(), trained_looking()
    found = extract(encoder, images, 16, MEAN, STD, batch=4)
    views = (images.pixels / 255 - MEAN[:, None, None]) / STD[:, None, None]
    with torch.no_grad():
        expected = encoder.eval()(views)
        other = encoder.train()(views)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, other, rtol=1e-2)
    assert not found.requires_grad


def test_only_the_centre_of_a_photograph_is_seen():
    images = image_set(side=128, height=300, width=600)
    images.pixels.fill_(255)
    images.pixels[:, :, :, 36:92] = 51  # 7/8 of 300 px out of 600, stored squeezed
    seen = extract(nn.Flatten(), images, 8, None, None)
    torch.testing.assert_close(seen, torch.full_like(seen, 0.2))


def test_encoder_and_generators_are_left_as_they_were():
    images, encoder = image_set(), trained_looking()
    encoder.get_submodule("layer1").eval()
    modes = [module.training for module in encoder.modules()]
    state = {key: value.clone() for key, value in encoder.state_dict().items()}
    random = torch.get_rng_state()
    extract(encoder, images, 16, MEAN, STD)
    assert [module.training for module in encoder.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in encoder.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_modes_come_back_after_a_failure():
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(5, 5))
    with pytest.raises(RuntimeError):
        encode(encoder, torch.zeros(2, 3, 8, 8))
    assert encoder.training


def test_bf16_is_near_float32_and_comes_as_float32():
    images, encoder = image_set(), trained_looking()
    exact = extract(encoder, images, 16, MEAN, STD)
    rough = extract(encoder, images, 16, MEAN, STD, precision=torch.bfloat16)
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    assert nn.functional.cosine_similarity(exact, rough).min() > 0.999


def test_progress_counts_every_image():
    counted = []
    extract(nn.Flatten(), image_set(10), 16, None, None, batch=4, progress=counted.append)
    assert counted == [4, 4, 2]


def test_pixels_are_flattened_and_at_most_32_a_side():
    images = image_set(side=16)
    torch.testing.assert_close(pixels(images, 16), images.pixels.flatten(1) / 255)
    normalised = (images.pixels / 255 - MEAN[:, None, None]) / STD[:, None, None]
    torch.testing.assert_close(pixels(images, 16, MEAN, STD), normalised.flatten(1), rtol=1e-4, atol=1e-5)
    assert pixels(image_set(side=80), 64).shape == (10, 3 * 32 * 32)


def test_pooled_pixels_average_down_to_32():
    views = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = views.view(2, 3, 32, 2, 32, 2).mean((3, 5)).flatten(1)
    torch.testing.assert_close(pooled_pixels(views), expected)
    assert torch.equal(pooled_pixels(views[..., :16, :16]), views[..., :16, :16].flatten(1))


def test_nan_features_are_named():
    class Broken(nn.Module):
        def forward(self, x):
            return x.flatten(1) / (x.flatten(1)[:, :1] - 1)

    images = image_set()
    images.pixels[:3, 0, 0, 0] = 255
    with pytest.raises(InputError, match=r"features of 3 of 10 images are not finite.*lower learning rate$"):
        extract(Broken(), images, 16, None, None)


def test_an_index_chooses_and_orders_the_images(monkeypatch):
    images, encoder = image_set(), trained_looking()
    index = torch.tensor([7, 2, 2, 9, 0])
    every = extract(encoder, images, 16, MEAN, STD)
    monkeypatch.setattr(ImageSet, "rows", None)  # nothing is copied
    torch.testing.assert_close(extract(encoder, images, 16, MEAN, STD, index=index, batch=2), every[index])
    assert torch.equal(pixels(images, 16, index=index), pixels(images, 16)[index])
    sizes = [len(views) for views in plain_views(images, 16, index=index, batch=2)]
    assert sizes == [2, 2, 1]
