"""Speed: rates are measured, whoever waits is found out, and nothing is left running."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from subjects import made, opened

from pairlens.data.images import Source
from pairlens.data.loader import Resident, Textures, Wait
from pairlens.data.photographs import Rectangles
from pairlens.inspection import speed
from pairlens.inspection.advice import advise, at
from pairlens.inspection.speed import Speed, measure
from pairlens.methods.looc import LooCSettings
from pairlens.recipes import RECIPES
from pairlens.recipes.general import looc, random
from pairlens.settings import Network, Optimisation, Views


def speed_of(
    files: dict[int, float], views: dict[int, float], encoder: dict[int, float], cores: int = 8, device: str = "cpu"
) -> Speed:
    rates = ({n: float(rate) for n, rate in given.items()} for given in (files, views, encoder))
    return Speed(*rates, 2, cores, device)


class Clock:
    """Time that passes only while something is done."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def steps(self, *seconds: float) -> Iterator[int]:
        for one in seconds:
            self.now += one
            yield 10


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((1.0, 0.5, 0.5, 0.5, 0.5, 9.0), 20.0),  # the first is a warm-up
        ((7.0, 0.1), 10 / 7),  # but of one that takes all the time it is all that is known
        ((2.0, 4.0, 0.1), 10 / 4),  # the last may take longer
    ],
)
def test_a_rate_is_images_over_time(
    monkeypatch: pytest.MonkeyPatch, seconds: tuple[float, ...], expected: float
) -> None:
    clock = Clock()
    monkeypatch.setattr(speed, "time", clock)
    assert speed.rate(clock.steps(*seconds), 3.0) == pytest.approx(expected)


def test_between_one_and_all_rates_grow_as_powers() -> None:
    assert at({1: 100.0, 8: 800.0}, 4) == pytest.approx(400)
    assert at({1: 100.0, 4: 200.0}, 2) == pytest.approx(100 * 2**0.5)
    assert at({1: 100.0, 4: 200.0}, 4) == 200


def test_the_encoder_is_the_bottleneck_and_gets_the_cores() -> None:
    advice = advise(speed_of({1: 2000, 8: 12_000}, {1: 20_000, 8: 90_000}, {1: 300, 8: 2000}))
    assert (advice.workers, advice.threads, advice.limit) == (1, 7, "encoder")
    assert "`--workers 1 --threads 7`" in advice.sentence
    expected = 300 * 7 ** (torch.tensor(2000 / 300).log() / torch.tensor(8.0).log()).item()
    assert advice.images == pytest.approx(expected, rel=0.05)


def test_files_are_the_bottleneck_and_get_the_cores() -> None:
    advice = advise(speed_of({1: 50, 8: 400}, {1: 20_000, 8: 90_000}, {1: 3000, 8: 9000}))
    assert (advice.workers, advice.threads, advice.limit) == (7, 1, "files")
    assert advice.images == pytest.approx(350)
    assert advice.sentence.startswith("Decoding files is the bottleneck")


def test_cores_are_shared_where_both_need_them() -> None:
    advice = advise(speed_of({1: 500, 8: 4000}, {1: 1e6, 8: 1e6}, {1: 500, 8: 4000}))
    assert (advice.workers, advice.threads) == (4, 4)


@pytest.mark.parametrize("cores", [1, 2])
def test_few_cores_have_one_worker_and_one_thread(cores: int) -> None:
    rates = {1: 100.0} if cores == 1 else {1: 100.0, 2: 150.0}
    advice = advise(speed_of(rates, rates, rates, cores))
    assert (advice.workers, advice.threads) == (1, 1)


def test_on_a_gpu_workers_are_as_many_as_it_can_take() -> None:
    advice = advise(speed_of({1: 1000, 16: 16_000}, {16: 50_000}, {16: 7000}, cores=16, device="cuda"))
    assert (advice.workers, advice.threads, advice.limit) == (6, None, "encoder")
    assert advice.images == pytest.approx(6000)
    slow = advise(speed_of({1: 100, 16: 1600}, {16: 50_000}, {16: 7000}, cores=16, device="cuda"))
    assert (slow.workers, slow.limit) == (16, "files")


def test_a_store_has_no_workers_and_threads_that_help() -> None:
    advice = advise(speed_of({}, {1: 9000, 8: 9000}, {1: 3000, 8: 2000}))
    assert (advice.workers, advice.threads, advice.limit) == (None, 1, "encoder")
    assert advice.images == pytest.approx(1 / (1 / 9000 + 1 / 3000))
    assert advise(speed_of({}, {1: 500, 8: 900}, {1: 3000, 8: 9000})).limit == "views"


def test_a_store_is_measured(source: Source) -> None:
    subject = made(source)
    heard: list[tuple[int, int]] = []
    found = measure(subject, 0.05, lambda done, total: heard.append((done, total)))
    assert found.files == {}
    assert set(found.views) == set(found.encoder) == {1}
    assert min(*found.views.values(), *found.encoder.values()) > 0
    assert (found.views_each, found.device) == (2, "cpu")
    assert 0 < found.share <= 1.01
    assert heard == [(0, 2), (1, 2), (2, 2)]


def test_other_programs_are_noticed(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take time in which a thread does nothing, as in sleep."""

    def rate(*args: object) -> float:
        time.sleep(0.2)
        return 1.0

    subject = made(source)
    monkeypatch.setattr(speed, "rate", rate)
    monkeypatch.setattr(speed, "_steps", lambda *args: (1 for _ in range(9)))
    assert measure(subject).share < 0.5


def test_files_are_measured(folder: Path) -> None:
    found = measure(opened(folder, decode="always"), 0.1)
    assert set(found.files) == {1}
    assert min(found.files[1], found.views[1], found.encoder[1]) > 0
    assert torch.get_num_threads() == 1


def test_what_was_begun_is_waited_for(source: Source) -> None:
    """Else it would run beside the next measurement."""
    asked, waited = [], []

    class Counted(Resident):
        ahead = 3

        def ask(self, index: torch.Tensor, rectangles: Rectangles, textures: Textures) -> Wait:
            wait, number = super().ask(index, rectangles, textures), len(asked)
            asked.append(number)
            return lambda: waited.append(number) or wait()  # type: ignore[func-returns-value]

    steps = speed._delivered(made(source), Counted(source.train.pixels, torch.device("cpu")))
    assert next(steps) == 8
    assert (asked, waited) == ([0, 1, 2, 3], [0])
    steps.close()
    assert waited == asked


def test_measuring_leaves_the_network_where_it_is(source: Source) -> None:
    subject = made(source)
    before = [p.clone() for p in subject.training.method.online.parameters()]
    measure(subject, 0.02)
    assert all(torch.equal(a, b) for a, b in zip(before, subject.training.method.online.parameters(), strict=True))


def test_what_trains_nothing_has_views_alone(source: Source) -> None:
    subject = made(source, random(network=Network(hidden=16, dim=8), views=Views(size=16)))
    found = measure(subject, 0.02)
    assert found.encoder == {}
    assert advise(found) is None


def test_a_step_that_asks_what_was_drawn_can_be_measured(source: Source) -> None:
    """LooC may drop negatives by what both views were turned by."""
    recipe = looc(
        method=LooCSettings(mask_coincident=True),
        network=Network(encoder="resnet8w", hidden=16, dim=8),
        views=Views(size=16, rotation=0.5),
        optimisation=Optimisation(batch=8, epochs=2),
    )
    assert measure(made(source, recipe), 0.01).encoder[1] > 0


@pytest.mark.parametrize("name", sorted(name for name in RECIPES if "." not in name and name != "random"))
def test_a_step_of_every_method_can_be_measured(source: Source, name: str) -> None:
    recipe = RECIPES[name](
        network=Network(encoder="resnet8w", hidden=16, dim=8),
        views=Views(size=16, rotation=0.5),  # which LooC must be able to leave out
        optimisation=Optimisation(batch=8, epochs=2),
    )
    assert measure(made(source, recipe), 0.01).encoder[1] > 0
