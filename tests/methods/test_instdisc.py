"""InstDisc and its bank: which entries are keys, negatives and excluded, and how they move.

B images of a batch, S view size, D dimensions, N images of the set.
"""

import math

import pytest
import torch
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.methods import Method, Parts
from pairlens.methods.instdisc import InstDisc, InstDiscSettings
from pairlens.negatives import Bank
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import linear_head
from pairlens.pairs import Contrast, identity
from pairlens.transforms import chain, negative_interpolation, positive_extrapolation
from pairlens.views.plans import Augmentation, two_views

B, S, D, N = 6, 16, 8, 24
INDEX = torch.tensor([3, 20, 0, 7, 11, 5])


def method_of(settings: InstDiscSettings, *, transform=identity) -> InstDisc:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    branch = Branch(encoder, {"z": linear_head(encoder.features, D, generator)})
    images = ImageSet(torch.zeros(N, 3, S, S, dtype=torch.uint8), torch.full((N, 2), S), [""] * N)
    settings = settings.resolve(N)
    augmentation = Augmentation()
    plan = settings.plan(two_views(augmentation), augmentation, S)
    contrast = Contrast(settings.loss(), settings.temperature, transform)
    state = torch.Generator().manual_seed(1)
    return settings.build(Parts(branch, plan, contrast, images, D, 10, False, generator, state))


def views_of(seed: int = 1, small: int = 0, batch: int = B) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    views = {"query": torch.randn(batch, 3, S, S, generator=generator)}
    return views | {f"local_{i + 1}": torch.randn(batch, 3, 8, 8, generator=generator) for i in range(small)}


@pytest.fixture
def draw(make_draw) -> Draw:
    """The draw of a step over `INDEX`."""
    plain = make_draw(B)
    return Draw(INDEX, plain.sizes, 0, 0, plain.views, plain.features)


def test_the_whole_bank_gives_the_softmax_over_all_images(draw: Draw) -> None:
    method = method_of(InstDiscSettings(full=True, temperature=0.2))
    assert isinstance(method, Method)
    step = method(views_of(), draw)
    with torch.no_grad():
        v = method.online(views_of()["query"])["z"].double()
    bank, total = method.bank.vectors.double(), 0.0
    for b in range(B):
        exponentials = [math.exp(float(v[b] @ bank[j]) / 0.2) for j in range(N)]
        total -= math.log(exponentials[INDEX[b]] / sum(exponentials))
    assert step.loss.item() == pytest.approx(total / B, rel=1e-5)


def test_nce_is_the_papers_with_the_constant_of_the_first_step(draw: Draw, make_draw) -> None:
    method = method_of(InstDiscSettings(full=True, temperature=0.3, objective="nce"))
    assert method.log_z.isnan()
    bank = method.bank.vectors.double()
    z = math.nan
    for step_number in range(2):
        views = views_of(seed=step_number)
        with torch.no_grad():
            v = method.online(views["query"])["z"].double()
        others = [[math.exp(float(v[b] @ bank[j]) / 0.3) for j in range(N) if j != INDEX[b]] for b in range(B)]
        if step_number == 0:
            z = sum(N / (N - 1) * sum(row) for row in others) / B
        noise, total = (N - 1) / N, 0.0
        for b in range(B):
            p = math.exp(float(v[b] @ bank[INDEX[b]]) / 0.3) / z
            total -= math.log(p / (p + noise)) + sum(math.log(1 - e / z / (e / z + noise)) for e in others[b])
        assert method(views, draw).loss.item() == pytest.approx(total / B, rel=1e-5)
        assert method.log_z.item() == pytest.approx(math.log(z), rel=1e-5)


def test_the_constant_is_kept_with_the_state_and_never_estimated_again(draw: Draw) -> None:
    method = method_of(InstDiscSettings(negatives=9, objective="nce"))
    method(views_of(), draw).loss.backward()
    state = {name: value.clone() for name, value in method.state_dict().items()}
    other = method_of(InstDiscSettings(negatives=9, objective="nce"))
    other.load_state_dict(state)
    other(views_of(seed=5), draw)
    assert torch.equal(other.log_z, state["log_z"])
    assert "log_z" in state
    softmax = method_of(InstDiscSettings(negatives=9))
    softmax(views_of(), draw)
    assert softmax.log_z.isnan()


@pytest.mark.parametrize("small", [0, 2])
def test_keys_are_the_images_own_entries_and_negatives_others(draw: Draw, small: int) -> None:
    method = method_of(InstDiscSettings(negatives=200))
    raw = method(views_of(small=small), draw).comparisons["z"].raw
    rows = (1 + small) * B
    assert raw.query.shape == raw.key.shape == (rows, D)
    assert raw.negatives.shape == (200, D)
    assert raw.excluded is not None
    seen = set()
    for row in range(rows):
        own = method.bank.vectors[INDEX[row % B]]
        assert torch.equal(raw.key[row], own)
        assert torch.equal(raw.excluded[row], (raw.negatives == own).all(1))
    for k in range(200):
        seen.add(int((method.bank.vectors == raw.negatives[k]).all(1).nonzero()))
    assert seen == set(range(N))  # each entry is drawn sooner or later


def test_negatives_are_drawn_anew_from_the_features_generator_only(draw: Draw) -> None:
    method = method_of(InstDiscSettings(negatives=50))
    states = draw.views.get_state(), torch.get_rng_state()
    first, second = (method(views_of(), draw).comparisons["z"].raw.negatives for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(draw.views.get_state(), states[0])
    assert torch.equal(torch.get_rng_state(), states[1])


@pytest.mark.parametrize("objective", ["softmax", "nce"])
@pytest.mark.parametrize("full", [False, True])
def test_gradients_reach_the_branch_and_nothing_of_the_bank(draw: Draw, objective, full: bool) -> None:
    method = method_of(InstDiscSettings(full=full, objective=objective))
    step = method(views_of(), draw)
    raw = step.comparisons["z"].raw
    assert not raw.key.requires_grad
    assert not raw.negatives.requires_grad
    step.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.online.parameters())
    assert {name for name, _ in method.named_parameters()} == {
        f"online.{n}" for n, _ in method.online.named_parameters()
    }
    assert not step.kept["features"].requires_grad


def test_entries_move_after_the_step_and_for_every_part(make_draw) -> None:
    method = method_of(InstDiscSettings(bank_momentum=0.25))
    parts = [INDEX[:3], INDEX[3:]]
    steps = []
    for i, index in enumerate(parts):
        plain = make_draw(3)
        steps.append(
            method(views_of(seed=i, small=1, batch=3), Draw(index, plain.sizes, 0, 0, plain.views, plain.features))
        )
    before = method.bank.vectors.clone()
    method.after_step(*steps)
    for index, step in zip(parts, steps, strict=True):
        features = step.comparisons["z"].raw.query[:3].detach()  # of the first view
        for i, f in zip(index.tolist(), features, strict=True):
            mixed = 0.25 * before[i] + 0.75 * f
            torch.testing.assert_close(method.bank.vectors[i], mixed / mixed.norm())
    untouched = [i for i in range(N) if i not in INDEX]
    assert torch.equal(method.bank.vectors[untouched], before[untouched])


def test_the_first_epoch_may_only_fill_the_bank(make_draw) -> None:
    method = method_of(InstDiscSettings(negatives=9, objective="nce", fill=True))
    parameters = [p.clone() for p in method.parameters()]
    optimizer = torch.optim.SGD(method.parameters(), 0.5, momentum=0.9, weight_decay=0.1)
    for epoch in (0, 1):
        plain = make_draw(B)
        before = method.bank.vectors[INDEX]
        step = method(views_of(seed=epoch), Draw(INDEX, plain.sizes, epoch, epoch, plain.views, plain.features))
        step.loss.backward()
        optimizer.step()
        method.after_step(step)
        moved = [not torch.equal(p, old) for p, old in zip(method.parameters(), parameters, strict=True)]
        assert all(moved) if epoch else not any(moved)
        features = step.comparisons["z"].raw.query.detach()
        expected = torch.nn.functional.normalize(before + features, dim=1) if epoch else features
        torch.testing.assert_close(method.bank.vectors[INDEX], expected)


def test_a_filled_banks_constant_is_that_of_each_step(draw: Draw) -> None:
    """A constant kept from alike features would be far too large for features that are spread."""
    method = method_of(InstDiscSettings(full=True, objective="nce", temperature=0.3, fill=True))
    for seed in (1, 2):
        raw = method(views_of(seed=seed), draw).comparisons["z"].raw
        sums = (raw.query.detach().double() @ raw.negatives.double().T / 0.3).exp().masked_fill(raw.excluded, 0).sum(1)
        assert method.log_z.item() == pytest.approx((sums.mean() * N / (N - 1)).log().item(), rel=1e-5)


def test_after_some_training_nce_tells_data_from_noise(make_draw) -> None:
    settings = InstDiscSettings(temperature=0.1, negatives=16, objective="nce", fill=True)
    method = method_of(settings)
    optimizer = torch.optim.AdamW(method.parameters(), 3e-3)
    views = torch.randn(N, 3, 4, 4, generator=torch.Generator().manual_seed(3)).repeat_interleave(4, 2)
    views, plain = views.repeat_interleave(4, 3), make_draw(N)
    for epoch in range(40):
        for index in torch.randperm(N, generator=plain.views).chunk(4):
            noise = 0.2 * torch.randn(B, 3, S, S, generator=plain.views)
            step_draw = Draw(index, plain.sizes[index], epoch, 0, plain.views, plain.features)
            step = method({"query": views[index] + noise}, step_draw)
            step.loss.backward()
            optimizer.step()
            method.after_step(step)
            optimizer.zero_grad()
    scores, log_noise = step.comparisons["z"].scores, math.log(16 / N) + method.log_z
    data, noise = (torch.sigmoid(s / 0.1 - log_noise) for s in (scores.positive, scores.negative))
    assert data.mean() > 0.5
    assert noise[~scores.excluded].mean() < 0.1


def test_transformed_pairs_are_compared_and_raw_features_stored(draw: Draw) -> None:
    transform = chain(positive_extrapolation(2.0), negative_interpolation(1.6))
    method = method_of(InstDiscSettings(negatives=30, bank_momentum=0.0), transform=transform)
    step = method(views_of(), draw)
    comparison = step.comparisons["z"]
    step.loss.backward()
    assert (comparison.scores.positive < (comparison.raw.query * comparison.raw.key).sum(1)).all()
    assert comparison.raw.excluded is not None
    assert comparison.scores.excluded is not None
    assert (comparison.scores.excluded | ~comparison.raw.excluded).all()
    method.after_step(step)
    torch.testing.assert_close(method.bank.vectors[INDEX], comparison.raw.query.detach())


def test_how_many_negatives_a_query_has() -> None:
    assert InstDiscSettings().resolve(50_000).negatives == 4096
    assert InstDiscSettings().resolve(100).shared_negatives(8, 100) == 32
    assert InstDiscSettings(negatives=7).resolve(100).shared_negatives(8, 100) == 7
    assert InstDiscSettings(full=True).resolve(100).shared_negatives(8, 100) == 99


def test_what_contradicts_itself_or_is_empty_is_refused() -> None:
    with pytest.raises(InputError, match="full"):
        InstDiscSettings(full=True, negatives=5).resolve(100)
    with pytest.raises(InputError, match="negatives"):
        method_of(InstDiscSettings(negatives=0))
    with pytest.raises(InputError, match="momentum"):
        method_of(InstDiscSettings(bank_momentum=1.5))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 1.0])
def test_a_bank_moves_the_entries_that_were_seen(momentum: float) -> None:
    bank = Bank(N, D, torch.Generator().manual_seed(2), momentum)
    before = bank.vectors.clone()
    torch.testing.assert_close(before.norm(dim=1), torch.ones(N))
    features = torch.nn.functional.normalize(torch.randn(B, D, generator=torch.Generator().manual_seed(3)), dim=1)
    live = features.clone().requires_grad_()
    bank.update(INDEX, live * 1)
    assert not bank.vectors.requires_grad
    for i in range(N):
        expected = before[i]
        if i in INDEX:
            mixed = momentum * before[i] + (1 - momentum) * features[INDEX.tolist().index(i)]
            expected = mixed / mixed.norm()
        torch.testing.assert_close(bank.vectors[i], expected)
    assert list(bank.state_dict()) == ["vectors"]


@pytest.mark.parametrize(("images", "dim", "momentum"), [(0, D, 0.5), (N, 0, 0.5), (N, D, -0.1), (N, D, math.nan)])
def test_a_bank_that_cannot_be_made_is_refused(images: int, dim: int, momentum: float) -> None:
    with pytest.raises(InputError, match="bank"):
        Bank(images, dim, torch.Generator(), momentum)
