"""LooC: with nothing designated it is MoCo, its loss is Eq. 2, queues hold their heads' keys, and variants are plans.

B images, S view size, D dimensions, K queued keys.
"""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pairlens.assemble import assemble
from pairlens.data.scenes import make_scenes
from pairlens.draw import Draw
from pairlens.errors import InputError
from pairlens.localisation import ContrastiveCrop
from pairlens.methods.looc import LooC, LooCSettings
from pairlens.pairs import Step
from pairlens.place import find_place
from pairlens.recipes.general import looc, moco_v2
from pairlens.recipes.recipe import Recipe
from pairlens.resolve import resolve
from pairlens.settings import FeatureTransform, Machine, Network, Optimisation, Selection, Views
from pairlens.train import Outcome, Training, fit

B, K = 8, 24
IMAGES = make_scenes(train=64, test=1).train
PLACE = find_place(Machine(device="cpu", precision="fp32", threads=1))
NETWORK = Network(hidden=16, dim=8, splits=2)
VIEWS = Views(rotation=0.5, size=16, blur=0.0)
TWO = ("color", "rotation")


def training_of(recipe: Recipe, seed: int = 0) -> Training:
    recipe = replace(recipe, optimisation=Optimisation(epochs=1, batch=B))
    return assemble(resolve(recipe, IMAGES, PLACE), IMAGES, PLACE, seed)


def looc_of(
    designated: tuple[str, ...] = TWO, *, network: Network = NETWORK, views: Views = VIEWS, **settings: object
) -> Training:
    method = LooCSettings(designated=designated, negatives=K, momentum=0.9, **settings)  # type: ignore[arg-type]
    return training_of(looc(method=method, network=network, views=views))


def steps_of(t: Training, count: int) -> list[Step]:
    """Train so many steps; what the method returned for each."""
    seen: list[Step] = []

    def observe(t: Training, outcome: Outcome) -> None:
        seen.extend(outcome.parts)
        t.stop = len(seen) >= count

    fit(t, [observe])
    return seen


def method_of(t: Training) -> LooC:
    assert isinstance(t.method, LooC)
    return t.method


@pytest.mark.parametrize("transform", [FeatureTransform(), FeatureTransform(extrapolate=2.0, interpolate=1.6)])
def test_with_nothing_designated_it_is_moco_bit_for_bit(transform: FeatureTransform) -> None:
    settings = LooCSettings(designated=(), negatives=K, momentum=0.9)
    ours = training_of(looc(method=settings, network=NETWORK, views=VIEWS, transform=transform))
    plain = moco_v2().method
    theirs = training_of(
        moco_v2(method=replace(plain, negatives=K, momentum=0.9), network=NETWORK, views=VIEWS, transform=transform)
    )
    losses = [[step.loss.item() for step in steps_of(t, 6)] for t in (ours, theirs)]
    assert losses[0] == losses[1]
    renamed = {name.replace("queues.z.", "queue."): value for name, value in ours.method.state_dict().items()}
    expected = theirs.method.state_dict()
    assert renamed.keys() == expected.keys()
    assert all(torch.equal(renamed[name], expected[name]) for name in expected)
    for one, other in ((ours.views, theirs.views), (ours.features, theirs.features)):
        assert torch.equal(one.get_state(), other.get_state())


def embed(t: Training, views: dict[str, Tensor], draw: Draw) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """Embeddings of the query and of every key view, by space; draws what a step draws."""
    method = method_of(t)
    keys = {name: method.target(view, draw) for name, view in views.items() if name != "query"}
    return method.online(views["query"]), keys


def same_step(t: Training, seed: int = 3) -> tuple[dict[str, Tensor], Draw]:
    """Random views of a batch, and a draw whose generators begin alike each time."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.arange(B)
    features = torch.Generator().manual_seed(seed)
    draw = Draw(index, IMAGES.sizes[index], 0, 0, torch.Generator().manual_seed(seed), features)
    params = t.method.plan(draw)
    views = {name: torch.randn(B, 3, 16, 16, generator=generator) for name in params}
    return views, replace(draw, drawn=params)


@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_is_eq_2_in_loops(masked: bool) -> None:
    t = looc_of(mask_coincident=masked)
    method, tau = method_of(t), 0.1
    query, keys = embed(t, *same_step(t))
    views, draw = same_step(t)
    step = t.method(views, draw)
    names = {"z": "key", "color": "key_color", "rotation": "key_rotation"}
    terms, dropped = [], 0
    for space, positive in names.items():
        queue = method.queues[space].keys.double()
        for b in range(B):
            q = query[space][b].detach().double()
            score = {name: math.exp(float(q @ keys[name][space][b].double()) / tau) for name in keys}
            others = sum(math.exp(float(q @ k) / tau) for k in queue)
            own = 0.0
            for name in keys:
                if space == "z" or name == positive:
                    continue
                one, other = draw.drawn["query"], draw.drawn[name]
                if masked and space == "rotation" and one.rotation[b] == other.rotation[b]:  # type: ignore[attr-defined]
                    dropped += 1
                    continue
                if masked and space == "color" and bool(one.agrees(other, "color")[b]):
                    dropped += 1
                    continue
                own += score[name]
            terms.append(-math.log(score[positive] / (score[positive] + own + others)))
    assert step.loss.item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)
    assert (dropped > 2) == masked


def test_queues_hold_the_keys_of_their_own_heads() -> None:
    t = looc_of()
    method = method_of(t)
    _, keys = embed(t, *same_step(t))
    before = {space: queue.keys.clone() for space, queue in method.queues.items()}
    step = t.method(*same_step(t))
    t.method.after_step(step)
    for space, name in (("z", "key"), ("color", "key_color"), ("rotation", "key_rotation")):
        torch.testing.assert_close(method.queues[space].keys[:B], keys[name][space], rtol=1e-5, atol=1e-6)
        assert torch.equal(method.queues[space].keys[B:], before[space][B:])
    stored = [queue.keys for queue in method.queues.values()]
    assert not torch.equal(stored[0][B:], stored[1][B:])


def test_every_key_view_is_a_forward_of_its_own() -> None:
    t = looc_of()
    method, seen = method_of(t), []
    method.target.branch.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    t.method(*same_step(t))
    assert seen == [B, B, B]


def test_heads_of_their_own_last_stage_see_only_it() -> None:
    t = looc_of(network=replace(NETWORK, last_stage="own"))
    encoder = t.method.online.encoder
    assert encoder.features == 3 * 128
    step = steps_of(t, 1)[0]
    assert set(step.comparisons) == {"z", "color", "rotation"}
    views, draw = same_step(t)
    t.method.train()
    first = t.method(views, draw)
    for parameter in encoder.last["rotation"].parameters():
        parameter.data.zero_()
    views, draw = same_step(t)
    second = t.method(views, draw)
    changed = {s: not torch.equal(first.comparisons[s].loss, second.comparisons[s].loss) for s in first.comparisons}
    assert changed == {"z": False, "color": False, "rotation": True}


def test_the_first_last_stage_is_the_plain_networks() -> None:
    plain = training_of(moco_v2(network=NETWORK, views=VIEWS)).method.online.encoder.state_dict()
    fan = looc_of(network=replace(NETWORK, last_stage="own")).method.online.encoder.state_dict()
    for name, value in plain.items():
        ours = name.replace("layer3.", "last.z.") if name.startswith("layer3.") else f"network.{name}"
        assert torch.equal(fan.pop(ours), value)
    assert fan
    assert all(name.startswith(("last.color.", "last.rotation.")) for name in fan)
    weights = [fan[f"last.{space}.0.conv1.weight"] for space in TWO]
    assert not torch.equal(*weights)


def test_moco_plus_plus_compares_every_space_with_the_one_key() -> None:
    t = looc_of(strategy="invariant", network=replace(NETWORK, last_stage="own"))
    views, draw = same_step(t)
    assert set(views) == {"query", "key"}
    step = t.method(views, draw)
    assert set(step.comparisons) == {"z", *TWO}
    assert all(c.raw.own is None for c in step.comparisons.values())


def test_add_one_has_a_key_and_a_space_for_each_augmentation() -> None:
    t = looc_of(strategy="add_one")
    views, draw = same_step(t)
    assert set(views) == {"query", "key_color", "key_rotation"}
    step = t.method(views, draw)
    assert set(step.comparisons) == set(TWO)
    assert all(c.raw.own is None for c in step.comparisons.values())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"designated": ("colour",)}, "there is no augmentation 'colour'"),
        ({"designated": ("color", "color")}, "both contain factors"),
        ({"designated": ("blur",)}, "all views have it alike"),
        ({"views": replace(VIEWS, share=("rotation",))}, "all views have it alike"),
        ({"views": replace(VIEWS, locals=2, local_size=8)}, "set locals to 0"),
        ({"symmetric": True}, "drop symmetric"),
        ({"strategy": "add_one", "mask_coincident": True}, "choose leave_one_out"),
        ({"strategy": "add_one", "designated": ()}, "designate some"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        looc_of(**change)  # type: ignore[arg-type]


def test_masking_needs_what_was_drawn() -> None:
    t = looc_of(mask_coincident=True)
    views, draw = same_step(t)
    with pytest.raises(InputError, match="give the step's `drawn`"):
        t.method(views, replace(draw, drawn={}))


def test_all_three_reshapings_act_in_every_space() -> None:
    """ContrastiveCrop on every view, FT in every space, and the hardest negatives among the queue's and the image's."""
    recipe = looc(
        method=LooCSettings(designated=TWO, negatives=K, momentum=0.9),
        network=NETWORK,
        views=VIEWS,
        crops=ContrastiveCrop(boxes="central", alpha=0.6),
        transform=FeatureTransform(extrapolate=2.0, interpolate=1.6),
        selection=Selection(select="hardest", selected=5),
    )
    t = training_of(recipe)
    seen: list[Outcome] = []

    def observe(t: Training, outcome: Outcome) -> None:
        seen.append(outcome)
        t.stop = len(seen) == 3

    fit(t, [observe])
    outcome = seen[-1]
    (step,) = outcome.parts
    assert list(outcome.params) == ["query", "key", "key_color", "key_rotation"]
    for params in outcome.params.values():
        small = params.crop[:, 2] < 0.5  # their centres can lie in the central box, and do
        centre = params.crop[small, 0] + params.crop[small, 2] / 2
        assert ((centre > 0.25 - 1 / 32) & (centre < 0.75 + 1 / 32)).all()
    for space, comparison in step.comparisons.items():
        pairs, tau = comparison.transformed, 0.1
        anchors = (pairs.query if pairs.anchor is None else pairs.anchor).detach().double()
        assert not torch.equal(pairs.query, comparison.raw.query)
        assert not torch.equal(pairs.negatives, comparison.raw.negatives)
        assert (pairs.own is None) == (space == "z")
        terms = []
        for b in range(B):
            own = [] if pairs.own is None else [float(anchors[b] @ k.double()) for k in pairs.own[b]]
            scores = sorted([*(float(anchors[b] @ k.double()) for k in pairs.negatives), *own], reverse=True)
            positive = math.exp(float(pairs.query[b].detach().double() @ pairs.key[b].detach().double()) / tau)
            terms.append(-math.log(positive / (positive + sum(math.exp(s / tau) for s in scores[:5]))))
        assert comparison.loss.item() == pytest.approx(sum(terms) / B, rel=1e-4)
