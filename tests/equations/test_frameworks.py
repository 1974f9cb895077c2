"""Every framework's loss, written again from its paper with naive loops in float64.

B images, V views of each, D dimensions, K negatives, N images of the set, P prototypes.
"""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pairlens.assemble import assemble
from pairlens.data.images import ImageSet
from pairlens.draw import Draw
from pairlens.losses import byol_regression, negative_cosine
from pairlens.methods.instdisc import InstDiscSettings
from pairlens.methods.mochi import mix_hard_negatives
from pairlens.methods.swav import SwAVSettings, sinkhorn
from pairlens.pairs import Pairs, Scores, Step
from pairlens.place import Place
from pairlens.recipes import general
from pairlens.recipes.recipe import Recipe
from pairlens.resolve import resolve
from pairlens.settings import Network, Optimisation, Views
from pairlens.train import Training, drawn, render_views

N, B, D, SIDE = 12, 6, 8, 16
CPU = Place(torch.device("cpu"), torch.float32, threads=1, compile=False)
SMALL = {
    "network": Network("resnet8w", "small", hidden=16, dim=D),
    "views": Views(size=SIDE),
    "optimisation": Optimisation(epochs=2, batch=B, lr=0.1),
}


def built(recipe: Recipe) -> Training:
    pixels = torch.randint(0, 256, (N, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(5)).byte()
    labels = torch.arange(N) % 3
    names = [str(i) for i in range(N)]
    images = ImageSet(pixels, torch.full((N, 2), SIDE), names, labels=labels, classes=("a", "b", "c"))
    return assemble(resolve(recipe, images, CPU), images, CPU, seed=0)


def first_step(training: Training) -> tuple[dict[str, Tensor], Draw, Step]:
    """The views of the first batch, their draw, and what the method makes of them."""
    (part,) = next(drawn(training))
    training.method.train()
    views = render_views(training, part.params, part.wait())
    return views, part.draw, training.method(views, part.draw)


def dot(a: Tensor, b: Tensor) -> float:
    return sum(float(x) * float(y) for x, y in zip(a.detach().double(), b.detach().double(), strict=True))


def unit(rows: int, seed: int = 0, dim: int = D) -> Tensor:
    return F.normalize(torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)).double(), dim=1)


def test_instdisc_is_a_softmax_over_all_images() -> None:
    """Wu et al. 2018, Eq. 2 and 3: -log exp(v_i.f / t) / sum_j exp(v_j.f / t), j over the whole set."""
    training = built(general.instdisc(method=InstDiscSettings(temperature=0.3, full=True), **SMALL))
    bank = training.method.bank.vectors.clone()
    views, draw, step = first_step(training)
    with torch.no_grad():
        f = training.method.online(views["query"])["z"]
    total = 0.0
    for row, image in enumerate(draw.index.tolist()):
        below = sum(math.exp(dot(bank[j], f[row]) / 0.3) for j in range(N))
        total -= math.log(math.exp(dot(bank[image], f[row]) / 0.3) / below)
    assert step.loss.item() == pytest.approx(total / B, rel=1e-5)


def test_instdiscs_nce_tells_data_from_noise() -> None:
    """Wu et al. 2018, Eq. 4 to 8: h = P / (P + m Pn), J = -log h(data) - sum over the m noise samples log(1 - h)."""
    settings = InstDiscSettings(temperature=0.3, negatives=7, objective="nce")
    training = built(general.instdisc(method=settings, **SMALL))
    _, _, step = first_step(training)
    pairs, t = step.comparisons["z"].raw, 0.3
    noise = [[k for k in range(7) if not pairs.excluded[b, k]] for b in range(B)]
    estimates = []
    for b in range(B):
        scores = [math.exp(dot(pairs.query[b], pairs.negatives[k]) / t) for k in noise[b]]
        estimates.append(N / len(scores) * sum(scores))
    z = sum(estimates) / B
    total = 0.0
    for b in range(B):
        m = len(noise[b])

        def h(entry: Tensor, b: int = b, m: int = m) -> float:
            p = math.exp(dot(pairs.query[b], entry) / t) / z
            return p / (p + m / N)

        total -= math.log(h(pairs.key[b])) + sum(math.log(1 - h(pairs.negatives[k])) for k in noise[b])
    assert step.loss.item() == pytest.approx(total / B, rel=1e-4)
    assert training.method.log_z.item() == pytest.approx(math.log(z), rel=1e-4)


def test_the_banks_entries_move_half_way_and_back_to_the_sphere() -> None:
    """Good practices, Section 5, and the authors' code: normalise(.5 old + .5 new), for the seen images alone."""
    training = built(general.instdisc(method=InstDiscSettings(full=True), **SMALL))
    before = training.method.bank.vectors.clone()
    views, draw, step = first_step(training)
    with torch.no_grad():
        f = training.method.online(views["query"])["z"]
    training.method.after_step(step)
    after = training.method.bank.vectors
    for image in range(N):
        if image in draw.index.tolist():
            row = draw.index.tolist().index(image)
            mixed = [0.5 * float(a) + 0.5 * float(b) for a, b in zip(before[image], f[row], strict=True)]
            length = math.sqrt(sum(x * x for x in mixed))
            assert after[image].tolist() == pytest.approx([x / length for x in mixed], abs=1e-5)
        else:
            assert torch.equal(after[image], before[image])


@pytest.mark.parametrize("recipe", [general.simsiam, general.byol])
def test_siamese_losses_are_cosines_of_predictions_and_keys_both_ways(recipe) -> None:
    """SimSiam, Eq. 1 and 2: (D(p1, z2) + D(p2, z1)) / 2; BYOL, Eq. 2: |p - z|^2 of unit vectors, both ways summed."""
    training = built(recipe(**SMALL))
    views, _, step = first_step(training)
    method = training.method
    with torch.no_grad():
        raw = {name: method.online.project(view)["z"] for name, view in views.items()}
        p = {name: F.normalize(method.predictor(z), dim=1) for name, z in raw.items()}
        if recipe is general.byol:
            z = {name: method.target.branch(view)["z"] for name, view in views.items()}
        else:
            z = {name: F.normalize(z, dim=1) for name, z in raw.items()}
    total = 0.0
    for b, (one, other) in product(range(B), (("query", "key"), ("key", "query"))):
        if recipe is general.byol:
            total += sum((float(x) - float(y)) ** 2 for x, y in zip(p[one][b], z[other][b], strict=True)) / B
        else:
            total -= dot(p[one][b], z[other][b]) / 2 / B
    assert step.loss.item() == pytest.approx(total, rel=1e-4)


def test_positive_only_losses_do_not_see_negatives() -> None:
    positive = torch.tensor([0.1, -0.4, 0.9], dtype=torch.float64)
    for loss, expected in ((negative_cosine, -0.2), (byol_regression, 2 * (2 - 2 * 0.2))):
        values = [float(loss(Scores(positive, unit(3, s, 5)), 0.5)) for s in (1, 2)]
        assert values == pytest.approx([expected, expected])


def test_codes_are_the_entropic_transport_plan() -> None:
    """SwAV, Eq. 3 and 4: the plan of largest Tr(Q C^T Z) + eps H(Q) with equal marginals.

    It is known by two marks (Cuturi 2013): its marginals, and that log Q - scores / eps is a row plus a column.
    """
    scores = (unit(10, 1) @ unit(4, 2).T).double()
    codes = sinkhorn(scores, 0.05, 2000)
    assert codes.sum(1).tolist() == pytest.approx([1.0] * 10)
    assert codes.sum(0).tolist() == pytest.approx([10 / 4] * 4)
    rest = codes.log() - scores / 0.05
    for b, p in product(range(1, 10), range(1, 4)):
        assert float(rest[b, p] - rest[b, 0] - rest[0, p] + rest[0, 0]) == pytest.approx(0, abs=1e-8)


def test_swav_predicts_each_views_code_from_the_other() -> None:
    """SwAV, Eq. 1 and 2: -sum_k q_s(k) log softmax(z_t.c / t)(k), and the same with the views swapped."""
    settings = SwAVSettings(temperature=0.2, prototypes=5, epsilon=0.1, sinkhorn=500)
    training = built(general.swav(method=settings, **SMALL))
    prototypes = training.method.prototypes.detach().clone()
    views, _, step = first_step(training)
    with torch.no_grad():
        z = dict(zip(views, training.method.online(torch.cat(list(views.values())))["z"].chunk(2), strict=True))
    code = {}
    for name in views:  # Sinkhorn-Knopp as a loop: scale prototypes, then images, until both are even
        q = [[math.exp(dot(z[name][b], prototypes[p]) / 0.1) for p in range(5)] for b in range(B)]
        for _ in range(500):
            for p in range(5):
                column = sum(q[b][p] for b in range(B))
                for b in range(B):
                    q[b][p] /= column * 5 / B
            q = [[x / sum(row) for x in row] for row in q]
        assert [sum(row[p] for row in q) for p in range(5)] == pytest.approx([B / 5] * 5, rel=1e-6)
        code[name] = q
    total = 0.0
    for b, (one, other) in product(range(B), (("query", "key"), ("key", "query"))):
        below = sum(math.exp(dot(z[one][b], prototypes[p]) / 0.2) for p in range(5))
        total -= sum(code[other][b][p] * (dot(z[one][b], prototypes[p]) / 0.2 - math.log(below)) for p in range(5))
    assert step.loss.item() == pytest.approx(total / (2 * B), rel=1e-4)


def info_nce(query: Tensor, key: Tensor, negatives: Tensor, temperature: float) -> float:
    """FT, Eq. 1, the mean over the queries."""
    total = 0.0
    for q, k in zip(query, key, strict=True):
        above = math.exp(dot(q, k) / temperature)
        total -= math.log(above / (above + sum(math.exp(dot(q, n) / temperature) for n in negatives)))
    return total / len(query)


def test_the_jigsaw_is_compared_with_the_same_key_and_queue() -> None:
    """PIRL's patch branch within InfoMin: (1 - w) L(q, k) + w L(jigsaw, k); patches are projected, then merged."""
    recipe = general.infomin(**SMALL)
    recipe = replace(recipe, method=replace(recipe.method, negatives=9, temperature=0.2, jigsaw=0.3))
    training = built(recipe)
    queue, method = training.method.queue.keys.clone(), training.method
    generator = training.features.get_state()
    views, draw, step = first_step(training)
    z, jigsaw = step.comparisons["z"].raw, step.comparisons["jigsaw"].raw
    total = 0.7 * info_nce(z.query, z.key, queue, 0.2) + 0.3 * info_nce(jigsaw.query, z.key, queue, 0.2)
    assert step.loss.item() == pytest.approx(total, rel=1e-4)
    assert torch.equal(jigsaw.key, z.key)

    with torch.no_grad():
        features = method.online.encode(torch.cat([views[f"patch_{p}"] for p in range(1, 10)])).view(9, B, -1)
        projected = [[method.head.patch(features[p, b]) for p in range(9)] for b in range(B)]
        weight = method.head.merge.weight.view(D, 9, D)
        # the order is not told: the nine slots, each fed with the patch that fits best, must give the embedding
        draw.features.set_state(generator)
        order = torch.rand(B, 9, generator=draw.features).argsort(1)
        for b in range(B):
            assert sorted(order[b].tolist()) == list(range(9))
            merged = method.head.merge.bias.clone()
            for slot in range(9):
                merged += weight[:, slot] @ projected[b][order[b, slot]]
            expected = (merged / merged.norm()).tolist()
            assert jigsaw.query[b].tolist() == pytest.approx(expected, abs=1e-4)


def test_mochi_mixes_the_hardest_negatives_on_the_sphere(make_draw) -> None:
    """Kalantidis et al. 2020, Eq. 4 and 5: h = unit(a n_i + (1 - a) n_j), then unit(b q + (1 - b) n_j) with b < .5."""
    query, key, queue = unit(3, 1), unit(3, 2), unit(20, 3)
    made = mix_hard_negatives(hardest=2, mixed=6, query_mixed=5)(Pairs(query, key, queue), make_draw(3)).own
    assert made.shape == (3, 11, D)
    for b in range(3):
        ranked = sorted(range(20), key=lambda k: -dot(query[b], queue[k]))
        first, second = queue[ranked[0]], queue[ranked[1]]
        for h in made[b, :6]:
            assert float(h.norm()) == pytest.approx(1)
            a, c = torch.linalg.lstsq(torch.stack([first, second], 1), h[:, None]).solution[:, 0].tolist()
            assert a > -1e-9
            assert c > -1e-9
            torch.testing.assert_close(a * first + c * second, h)
        for h in made[b, 6:]:
            assert float(h.norm()) == pytest.approx(1)
            fits = []
            for n in (first, second):
                a, c = torch.linalg.lstsq(torch.stack([query[b], n], 1), h[:, None]).solution[:, 0].tolist()
                fits.append(torch.allclose(a * query[b] + c * n, h) and -1e-9 < a <= c)
            assert any(fits)


def test_mochis_loss_is_infonce_over_queue_and_mixtures() -> None:
    recipe = general.mochi(**SMALL)
    settings = replace(recipe.method, negatives=10, hardest=4, mixed=3, query_mixed=2, temperature=0.3)
    training = built(replace(recipe, method=settings))
    queue = training.method.queue.keys.clone()
    _, _, step = first_step(training)
    comparison = step.comparisons["z"]
    total = 0.0
    for b in range(B):
        pairs = comparison.transformed
        total += info_nce(pairs.query[b : b + 1], pairs.key[b : b + 1], torch.cat([queue, pairs.own[b]]), 0.3) / B
    assert comparison.transformed.own.shape == (B, 5, D)
    assert step.loss.item() == pytest.approx(total, rel=1e-4)


def test_unmixs_mixture_belongs_to_both_of_its_images() -> None:
    """Shen et al. 2022, Eq. 3 and 4: L(q, k) + lam L(q_mix, k) + (1 - lam) L(q_mix, reversed k), global mixture."""
    recipe = general.unmix(**SMALL)
    training = built(replace(recipe, method=replace(recipe.method, negatives=9, cut=0.0, temperature=0.3)))
    method, queue = training.method, training.method.queue.keys.clone()
    seen = []
    method.online.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    views, _, step = first_step(training)
    q, k = step.comparisons["z"].raw.query, step.comparisons["z"].raw.key
    mixture = seen[-1]
    x, y = views["query"], views["query"].flip(0)
    lam = float(((mixture - y) * (x - y)).sum() / (x - y).square().sum())
    assert 0 < lam < 1
    for b in range(B):  # one share for the whole batch, pixel by pixel
        expected = lam * x[b].double() + (1 - lam) * y[b].double()
        torch.testing.assert_close(mixture[b].double(), expected, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        mixed = method.online(mixture)["z"]
    total = info_nce(q, k, queue, 0.3) + lam * info_nce(mixed, k, queue, 0.3)
    total += (1 - lam) * info_nce(mixed, k.flip(0), queue, 0.3)
    assert step.loss.item() == pytest.approx(total, rel=1e-3)


def test_the_supervised_baseline_is_cross_entropy_on_the_same_views() -> None:
    training = built(general.supervised(**SMALL))
    views, draw, step = first_step(training)
    labels = (draw.index % 3).tolist()
    total = 0.0
    with torch.no_grad():
        logits = [training.method.classifier(training.method.online.encode(view)) for view in views.values()]
    for row, values in enumerate(torch.cat(logits).double().tolist()):
        total -= values[labels[row % B]] - math.log(sum(math.exp(v) for v in values))
    assert step.loss.item() == pytest.approx(total / (2 * B), rel=1e-4)
