"""BYOL and SimSiam: what their papers' loops give, where gradients stop, and when the two are one.

B images, S view size, D dimensions.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.methods import Method, MethodSettings, Parts
from pairlens.methods.siamese import BYOLSettings, Siamese, SimSiamSettings
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import mlp_head
from pairlens.optim import make_optimizer
from pairlens.pairs import Contrast, identity
from pairlens.train import set_rate
from pairlens.transforms import positive_extrapolation
from pairlens.views.plans import Augmentation, two_views

B, S, D = 6, 16, 8
BOTH = pytest.mark.parametrize("settings", [BYOLSettings(predictor_hidden=12), SimSiamSettings(predictor_hidden=12)])


def method_of(settings: MethodSettings, *, transform=identity, steps: int = 10) -> Siamese:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    branch = Branch(encoder, {"z": mlp_head(encoder.features, 16, D, generator=generator)})
    images = ImageSet(torch.zeros(B, 3, S, S, dtype=torch.uint8), torch.full((B, 2), S), [""] * B)
    contrast = Contrast(settings.loss(), settings.temperature, transform)
    state = torch.Generator().manual_seed(1)
    plan = two_views(Augmentation())
    method = settings.build(Parts(branch, plan, contrast, images, D, steps, False, generator, state))
    assert isinstance(method, Siamese)
    return method


def views_of(seed: int = 1, small: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    views = {name: torch.randn(B, 3, S, S, generator=generator) for name in ("query", "key")}
    return views | {f"local_{i + 1}": torch.randn(B, 3, 8, 8, generator=generator) for i in range(small)}


def alone(method: Siamese, views: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Predictions and keys, each view by itself, neither brought to unit length."""
    projected = {name: method.online.project(view)["z"] for name, view in views.items()}
    target = method.online if method.target is None else method.target.branch
    return (
        {name: method.predictor(z) for name, z in projected.items()},
        {name: target.project(views[name])["z"] for name in ("query", "key")},
    )


@BOTH
def test_the_loss_is_the_papers(make_draw, settings: MethodSettings) -> None:
    method = method_of(settings)
    assert isinstance(method, Method)
    views = views_of()
    with torch.no_grad():
        p, z = alone(method, views)
    directions = []
    for one, other in (("query", "key"), ("key", "query")):
        total = 0.0
        for i in range(B):
            a, b = p[one][i].double(), z[other][i].double()
            a, b = a / a.norm(), b / b.norm()
            total += -float(a @ b) if method.target is None else float((a - b) @ (a - b))
        directions.append(total / B)
    expected = sum(directions) / 2 if method.target is None else sum(directions)
    assert method(views, make_draw(B)).loss.item() == pytest.approx(expected, rel=1e-5)


@BOTH
def test_gradients_are_those_with_constant_keys_and_reach_all_that_learns(make_draw, settings: MethodSettings) -> None:
    method = method_of(settings)
    learning = [*method.online.parameters(), *method.predictor.parameters()]
    step = method(views_of(), make_draw(B))
    assert not step.comparisons["z"].raw.key.requires_grad
    step.loss.backward()
    assert {id(p) for p in method.parameters() if p.grad is not None} == {id(p) for p in learning}
    if method.target is not None:
        assert not any(p.requires_grad for p in method.target.parameters())

    p, z = alone(method, views_of())
    cosines = [F.cosine_similarity(p[a], z[b].detach(), dim=1).mean() for a, b in (("query", "key"), ("key", "query"))]
    loss = -sum(cosines) / 2 if method.target is None else 4 - 2 * sum(cosines)
    assert isinstance(loss, Tensor)
    for parameter, gradient in zip(learning, torch.autograd.grad(loss, learning), strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6)


def test_byol_whose_target_has_momentum_zero_is_simsiam(make_draw) -> None:
    """The losses are 4 + 4 times SimSiam's, so a quarter of the rate takes the same steps."""
    byol = method_of(BYOLSettings(momentum=0.0, rising=False, predictor_hidden=12))
    simsiam = method_of(SimSiamSettings(predictor_hidden=12))
    rates = {byol: 0.1 / 4, simsiam: 0.1}
    losses = []
    for i in range(5):
        found = {}
        for method, rate in rates.items():
            step = method(views_of(seed=i), make_draw(B, step=i))
            step.loss.backward()
            with torch.no_grad():
                for p in method.parameters():
                    if p.grad is not None:
                        p.sub_(rate * p.grad)
                        p.grad = None
            method.after_step(step)
            found[method] = step.loss.item()
        assert found[byol] == pytest.approx(4 + 4 * found[simsiam], rel=1e-5)
        losses.append(found[simsiam])
    assert len({round(loss, 4) for loss in losses}) == 5
    for one, other in zip(byol.online.parameters(), simsiam.online.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_byol_with_a_target_that_lags_is_not_simsiam(make_draw) -> None:
    byol = method_of(BYOLSettings(momentum=0.9, rising=False, predictor_hidden=12))
    with torch.no_grad():
        for p in byol.online.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    raw = byol(views_of(), make_draw(B)).comparisons["z"].raw
    with torch.no_grad():
        own = F.normalize(byol.online.project(views_of()["key"])["z"], dim=1)
    assert (raw.key[:B] - own).abs().max() > 1e-2


@BOTH
def test_every_view_is_encoded_in_a_forward_of_its_own(make_draw, settings: MethodSettings) -> None:
    method = method_of(settings)
    sizes: list[int] = []
    method.online.encoder.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    method(views_of(), make_draw(B))
    assert sizes == [B, B]


@BOTH
def test_local_views_predict_the_large_ones(make_draw, settings: MethodSettings) -> None:
    method = method_of(settings)
    step = method(views_of(small=2), make_draw(B))
    raw = step.comparisons["z"].raw
    assert raw.query.shape == raw.key.shape == (6 * B, D)  # query and key cross, two locals against both
    assert raw.negatives.shape == (2 * B, D)
    assert raw.excluded is not None
    assert ((~raw.excluded).sum(1) == 2 * B - 2).all()
    keys = {"query": raw.negatives[:B], "key": raw.negatives[B:]}
    for row, name in enumerate(("key", "query", "query", "key", "query", "key")):
        assert torch.equal(raw.key[row * B : (row + 1) * B], keys[name])
    step.loss.backward()


@BOTH
def test_positives_can_be_extrapolated(make_draw, settings: MethodSettings) -> None:
    method = method_of(settings, transform=positive_extrapolation(2.0, renormalise=True))
    comparison = method(views_of(), make_draw(B)).comparisons["z"]
    transformed = comparison.transformed
    assert torch.allclose(transformed.query.norm(dim=1), torch.ones(2 * B), atol=1e-5)
    raw_score = (comparison.raw.query * comparison.raw.key).sum(1)
    assert (comparison.scores.positive < raw_score).all()
    assert comparison.loss > method_of(settings)(views_of(), make_draw(B)).loss
    comparison.loss.backward()


def test_the_target_moves_once_for_several_parts_and_simsiam_has_none(make_draw) -> None:
    method = method_of(BYOLSettings(momentum=0.75, rising=False, predictor_hidden=12))
    assert method.target is not None
    steps = [method(views_of(seed=i), make_draw(B)) for i in (1, 2)]
    with torch.no_grad():
        for p in method.online.parameters():
            p.add_(1.0)
    before = [p.clone() for p in method.target.parameters()]
    method.after_step(*steps)
    for old, new in zip(before, method.target.parameters(), strict=True):
        torch.testing.assert_close(new - old, torch.full_like(old, 0.25))
    simsiam = method_of(SimSiamSettings(predictor_hidden=12))
    step = simsiam(views_of(), make_draw(B))
    held = {name: value.clone() for name, value in simsiam.state_dict().items()}
    simsiam.after_step(step)
    assert all(torch.equal(value, held[name]) for name, value in simsiam.state_dict().items())


@pytest.mark.parametrize(("rising", "share"), [(True, 0.5), (False, 1.0)])
def test_the_targets_momentum_rises_to_one(make_draw, rising: bool, share: float) -> None:
    """Half way through the training half of the way that momentum .6 leaves is taken."""
    method = method_of(BYOLSettings(momentum=0.6, rising=rising, predictor_hidden=12), steps=10)
    assert method.target is not None
    step = method(views_of(), make_draw(B, step=5))
    with torch.no_grad():
        for p in method.online.parameters():
            p.add_(1.0)
    before = [p.clone() for p in method.target.parameters()]
    method.after_step(step)
    for old, new in zip(before, method.target.parameters(), strict=True):
        torch.testing.assert_close(new - old, torch.full_like(old, 0.4 * share), rtol=1e-4, atol=1e-5)


def test_only_simsiams_predictor_keeps_its_rate() -> None:
    for settings, kept in ((SimSiamSettings(), True), (BYOLSettings(), False)):
        method = method_of(settings)
        optimizer = make_optimizer("sgd", method, lr=0.5, constant_rate=settings.constant_rate)
        set_rate(optimizer, 0.1)
        rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
        assert {rates[id(p)] for p in method.online.parameters()} == {0.1}
        assert {rates[id(p)] for p in method.predictor.parameters()} == {0.5 if kept else 0.1}


@BOTH
def test_predictions_leave_in_float32_whatever_the_precision(make_draw, settings: MethodSettings) -> None:
    method = method_of(settings)
    for branch in (method.online, method.target.branch if method.target else method.online):
        branch.precision = torch.bfloat16
    seen: list[torch.dtype] = []
    method.predictor.register_forward_hook(lambda _, args, out: seen.append(out.dtype))
    step = method(views_of(), make_draw(B))
    assert set(seen) == {torch.bfloat16}
    assert step.comparisons["z"].raw.query.dtype == step.comparisons["z"].raw.key.dtype == torch.float32
    assert step.loss.dtype == torch.float32


@BOTH
def test_nothing_is_drawn(make_draw, settings: MethodSettings) -> None:
    method, draw = method_of(settings), make_draw(B)
    before = draw.features.get_state(), torch.get_rng_state()
    method(views_of(), draw)
    assert torch.equal(draw.features.get_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("settings", [BYOLSettings(predictor_hidden=0), SimSiamSettings(predictor_hidden=0)])
def test_a_predictor_without_hidden_units_is_refused(settings) -> None:
    with pytest.raises(InputError, match="0 outputs cannot be made; give every layer of a head or predictor 1 unit"):
        method_of(settings)
