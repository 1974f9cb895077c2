"""SimCLR against NT-Xent written as the double loop of its paper (Chen et al. 2020, Eq. 1 and Algorithm 1).

B images, S view size, D dimensions.
"""

import math

import pytest
import torch
from torch import Tensor

from pairlens.losses import info_nce
from pairlens.methods import Method
from pairlens.methods.crossed import same_image
from pairlens.methods.simclr import SimCLR
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import make_encoder
from pairlens.nets.heads import mlp_head
from pairlens.pairs import Contrast, identity
from pairlens.transforms import mix_negatives
from pairlens.views.plans import Augmentation, two_views

B, S, D = 5, 16, 6


def simclr_of(temperature: float = 0.2, transform=identity) -> SimCLR:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder("resnet8w", stem="small", generator=generator)
    branch = Branch(encoder, {"z": mlp_head(encoder.features, 16, D, generator=generator)})
    return SimCLR(branch, Contrast(info_nce, temperature, transform), two_views(Augmentation()))


def views_of(local: int = 0) -> dict[str, Tensor]:
    """Two large views, and so many local ones."""
    generator = torch.Generator().manual_seed(1)
    sizes = {"query": S, "key": S} | {f"local_{i + 1}": S // 2 for i in range(local)}
    return {name: torch.randn(B, 3, size, size, generator=generator) for name, size in sizes.items()}


def nt_xent(z: Tensor, temperature: float) -> float:
    """The paper's loss over 2B views, those of image i in rows i and B + i."""
    z = z.double()
    similarity = [[float(a @ b) / float(a.norm() * b.norm()) for b in z] for a in z]

    def loss(i: int, j: int) -> float:
        below = sum(math.exp(similarity[i][k] / temperature) for k in range(len(z)) if k != i)
        return -math.log(math.exp(similarity[i][j] / temperature) / below)

    batch = len(z) // 2
    return sum(loss(i, i + batch) + loss(i + batch, i) for i in range(batch)) / len(z)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 5.0])
def test_the_loss_is_nt_xent(make_draw, temperature: float) -> None:
    method = simclr_of(temperature)
    assert isinstance(method, Method)
    views = views_of()
    step = method(views, make_draw(B))
    with torch.no_grad():
        z = method.online(torch.cat([views["query"], views["key"]]))["z"]
    assert step.loss.item() == pytest.approx(nt_xent(z, temperature), rel=1e-5)


def test_every_view_is_a_query_whose_key_is_the_other_view_of_its_image(make_draw) -> None:
    raw = simclr_of()(views_of(), make_draw(B)).comparisons["z"].raw
    assert raw.query.shape == raw.key.shape == raw.negatives.shape == (2 * B, D)
    assert torch.equal(raw.key, torch.cat([raw.query[B:], raw.query[:B]]))
    assert raw.excluded is not None
    for i in range(2 * B):
        for j in range(2 * B):
            assert raw.excluded[i, j] == (i % B == j % B)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_view_has_two_fewer_negatives_than_there_are_views(batch: int) -> None:
    excluded = same_image(batch, 2, 2, torch.device("cpu"))
    assert excluded.shape == (2 * batch, 2 * batch)
    assert ((~excluded).sum(1) == 2 * batch - 2).all()
    assert excluded.diagonal().all()


def test_gradients_reach_both_views_as_those_of_the_double_loop(make_draw) -> None:
    method = simclr_of()
    views = views_of()
    embedded: list[Tensor] = []
    method.online.register_forward_hook(lambda branch, given, found: embedded.append(found["z"]))
    step = method(views, make_draw(B))
    (z,) = embedded
    (found,) = torch.autograd.grad(step.loss, z)
    free = z.detach().double().requires_grad_()
    logits = (free @ free.T / 0.2).masked_fill(torch.eye(2 * B, dtype=torch.bool), -torch.inf)
    expected = torch.nn.functional.cross_entropy(logits, (torch.arange(2 * B) + B) % (2 * B))
    (gradient,) = torch.autograd.grad(expected, free)
    torch.testing.assert_close(found.double(), gradient, rtol=1e-4, atol=1e-6)


def test_mixed_negatives_never_hold_a_view_of_the_query_image(make_draw) -> None:
    order = torch.randperm(2 * B, generator=torch.Generator().manual_seed(3))
    method = simclr_of(transform=lambda pairs, draw: mix_negatives(pairs, torch.tensor([[0.4]]), order))
    excluded = method(views_of(), make_draw(B)).comparisons["z"].scores.excluded
    assert excluded is not None
    for i in range(2 * B):
        for k in range(2 * B):
            assert excluded[i, k] == (i % B in (k % B, int(order[k]) % B))


def test_local_views_are_queries_against_the_large_ones_whose_negatives_are_large_views(make_draw) -> None:
    method = simclr_of().eval()
    views = views_of(local=2)
    step = method(views, make_draw(B))
    with torch.no_grad():
        z = {name: method.online(view)["z"].double() for name, view in views.items()}
    losses = []
    for query in views:
        for key in ("query", "key"):
            for i in range(B) if query != key else ():
                up = math.exp(float(z[query][i] @ z[key][i]) / 0.2)
                others = [z[name][j] for name in ("query", "key") for j in range(B) if j != i]
                losses.append(-math.log(up / (up + sum(math.exp(float(z[query][i] @ n) / 0.2) for n in others))))
    assert len(losses) == len(step.comparisons["z"].raw.query) == 6 * B
    assert step.loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_nothing_is_left_to_do_after_a_step(make_draw) -> None:
    method = simclr_of()
    step = method(views_of(), make_draw(B))
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.after_step(step)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
