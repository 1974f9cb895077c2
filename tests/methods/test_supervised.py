"""The supervised baseline: cross-entropy of every labelled view, and nothing of the comparison in the gradient.

B images of a batch, S view size, L classes, N images of the set.
"""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.methods import Method, Parts
from pairlens.methods.supervised import Supervised, SupervisedSettings, labels_of
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import mlp_head
from pairlens.pairs import Contrast
from pairlens.views.plans import Augmentation, two_views

B, S, L, N = 6, 16, 3, 12
INDEX = torch.tensor([3, 10, 0, 7, 11, 5])


def images_of(labels: list[int] | None = None, classes: tuple[str, ...] = ("a", "b", "c")) -> ImageSet:
    known = torch.arange(N) % L if labels is None else torch.tensor(labels)
    pixels = torch.zeros(N, 3, S, S, dtype=torch.uint8)
    return ImageSet(pixels, torch.full((N, 2), S), [""] * N, known, classes)


def method_of(images: ImageSet | None = None, precision: torch.dtype = torch.float32) -> Supervised:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    branch = Branch(encoder, {"z": mlp_head(encoder.features, 16, 8, generator=generator)}, precision)
    settings = SupervisedSettings()
    contrast = Contrast(settings.loss(), settings.temperature)
    state, plan = torch.Generator().manual_seed(1), two_views(Augmentation())
    method = settings.build(Parts(branch, plan, contrast, images or images_of(), 8, 10, False, generator, state))
    assert isinstance(method, Supervised)
    return method


def views_of(small: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    views = {name: torch.randn(B, 3, S, S, generator=generator) for name in ("query", "key")}
    return views | {f"local_{i + 1}": torch.randn(B, 3, 8, 8, generator=generator) for i in range(small)}


@pytest.fixture
def draw(make_draw) -> Draw:
    """The draw of a step over `INDEX`."""
    plain = make_draw(B)
    return Draw(INDEX, plain.sizes, 0, 0, plain.views, plain.features)


@pytest.mark.parametrize("small", [0, 2])
@pytest.mark.parametrize("missing", [0, 1, 4])
def test_the_loss_is_the_mean_over_the_labelled_views(draw: Draw, small: int, missing: int) -> None:
    images = images_of()
    assert images.labels is not None
    images.labels[INDEX[:missing]] = -1
    method = method_of(images)
    assert isinstance(method, Method)
    losses = []
    for view in views_of(small).values():
        with torch.no_grad():
            logits = method.classifier(method.online.encoder(view)).double()
        for b in range(B):
            label = int(images.labels[INDEX[b]])
            if label >= 0:
                exponentials = [math.exp(float(x)) for x in logits[b]]
                losses.append(-math.log(exponentials[label] / sum(exponentials)))
    step = method(views_of(small), draw)
    assert step.loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    step.loss.backward()


def test_a_batch_without_labels_costs_nothing(draw: Draw) -> None:
    images = images_of()
    assert images.labels is not None
    images.labels[INDEX] = -1
    method = method_of(images)
    loss = method(views_of(), draw).loss
    loss.backward()
    assert loss == 0
    assert all((p.grad == 0).all() for p in method.online.encoder.parameters() if p.grad is not None)


def test_gradients_reach_the_encoder_and_the_classifier_only(draw: Draw) -> None:
    method = method_of()
    step = method(views_of(), draw)
    step.loss.backward()
    reached = {name for name, p in method.named_parameters() if p.grad is not None}
    trainable = {name for name, p in method.named_parameters() if p.requires_grad}
    assert reached == trainable
    assert not any(name.startswith("online.heads") for name in trainable)
    assert {"classifier.weight", "classifier.bias", "online.encoder.conv1.weight"} <= reached
    comparison = step.comparisons["z"]
    assert not comparison.loss.requires_grad
    assert comparison.loss.item() != step.loss.item()


def test_the_comparison_is_of_the_views_unit_features(draw: Draw) -> None:
    method = method_of()
    views = views_of(small=1)
    comparison = method(views, draw).comparisons["z"]
    with torch.no_grad():
        z = {name: torch.nn.functional.normalize(method.online.encode(view), dim=1) for name, view in views.items()}
    torch.testing.assert_close(comparison.raw.query, torch.cat([z["query"], z["key"], z["local_1"], z["local_1"]]))
    torch.testing.assert_close(comparison.raw.key, torch.cat([z["key"], z["query"], z["query"], z["key"]]))
    assert comparison.temperature == SupervisedSettings().temperature == 0.1


def test_the_labels_are_no_part_of_the_state() -> None:
    method = method_of()
    assert "labels" in dict(method.named_buffers())
    assert "labels" not in method.state_dict()


def test_lower_precision_ends_before_the_loss(draw: Draw) -> None:
    step = method_of(precision=torch.bfloat16)(views_of(), draw)
    assert step.loss.dtype == step.comparisons["z"].raw.query.dtype == torch.float32


def test_nothing_is_left_to_do_after_several_parts(draw: Draw) -> None:
    method = method_of()
    steps = [method(views_of(), draw) for _ in range(2)]
    held = {name: value.clone() for name, value in method.state_dict().items()}
    method.after_step(*steps)
    assert all(torch.equal(value, held[name]) for name, value in method.state_dict().items())


def test_there_is_an_output_for_each_class_that_is_named_or_seen() -> None:
    assert labels_of(images_of([0] * N))[1] == 3
    assert labels_of(images_of([4, -1] + [0] * (N - 2), classes=()))[1] == 5
    assert method_of().classifier.out_features == L


@pytest.mark.parametrize("images", [replace(images_of(), labels=None), images_of([-1] * N)])
def test_images_without_labels_are_refused(images: ImageSet) -> None:
    with pytest.raises(InputError, match="label"):
        method_of(images)
