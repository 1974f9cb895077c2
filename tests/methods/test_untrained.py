"""Random initialisation: it compares views, and no optimiser changes it.

B images, S view size.
"""

import pytest
import torch
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.methods import Method, Parts
from pairlens.methods.crossed import encode_together
from pairlens.methods.untrained import Untrained, UntrainedSettings
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import mlp_head
from pairlens.optim import OptimizerName, make_optimizer
from pairlens.pairs import Contrast, identity
from pairlens.transforms import positive_extrapolation
from pairlens.views.plans import Augmentation, two_views

B, S = 5, 16


def method_of(transform=identity) -> Untrained:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    branch = Branch(encoder, {"z": mlp_head(encoder.features, 16, 8, generator=generator)})
    settings = UntrainedSettings()
    images = ImageSet(torch.zeros(B, 3, S, S, dtype=torch.uint8), torch.full((B, 2), S), [""] * B)
    contrast = Contrast(settings.loss(), settings.temperature, transform)
    state, plan = torch.Generator().manual_seed(1), two_views(Augmentation())
    return settings.build(Parts(branch, plan, contrast, images, 8, 0, False, generator, state))


def views_of(small: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    views = {name: torch.randn(B, 3, S, S, generator=generator) for name in ("query", "key")}
    return views | {f"local_{i + 1}": torch.randn(B, 3, 8, 8, generator=generator) for i in range(small)}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lars"])
def test_training_steps_change_nothing(make_draw, optimizer: OptimizerName) -> None:
    method = method_of()
    assert isinstance(method, Method)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    descent = make_optimizer(optimizer, method, lr=0.5, weight_decay=0.1)
    method.train()
    for i in range(3):
        steps = [method(views_of(), make_draw(B, step=i)) for _ in range(2)]
        for step in steps:
            step.loss.backward()
        descent.step()
        method.after_step(*steps)
        descent.zero_grad()
    after = method.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("small", [0, 2])
def test_it_compares_views_as_evaluation_sees_them(make_draw, small: int) -> None:
    method = method_of()
    step = method(views_of(small), make_draw(B))
    raw = step.comparisons["z"].raw
    with torch.no_grad():
        z = encode_together(method.online.eval(), views_of(small))
    torch.testing.assert_close(raw.negatives, torch.cat([z["query"], z["key"]]))
    torch.testing.assert_close(raw.query[: 2 * B], torch.cat([z["query"], z["key"]]))
    assert len(raw.query) == (2 + 2 * small) * B
    assert step.loss.item() == step.comparisons["z"].loss.item()


def test_positives_can_be_extrapolated_to_look_at_them(make_draw) -> None:
    comparison = method_of(positive_extrapolation(2.0))(views_of(), make_draw(B)).comparisons["z"]
    assert (comparison.scores.positive < (comparison.raw.query * comparison.raw.key).sum(1)).all()
