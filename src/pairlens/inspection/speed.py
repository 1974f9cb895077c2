"""How fast views are delivered and how fast the encoder takes them, measured on this machine for some seconds.

B images of a batch, S pixels of a view's side.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor

from pairlens.data.loader import Loader, Wait, make_loader
from pairlens.data.parallel import cores
from pairlens.data.photographs import Photographs
from pairlens.draw import Draw
from pairlens.inspection.subject import Progress, Subject
from pairlens.inspection.threads import threads
from pairlens.train import ask, render_views, set_rate
from pairlens.views.params import ViewParams

SECONDS = 10.0  # that all measurements take, about
FEW = 32  # images of a batch of files, so that a slow disk is known soon
FIRST = 8  # images of the step that tells how long others will take


@dataclass(frozen=True)
class Speed:
    """Images a second."""

    files: Mapping[int, float]  # decoded, cut and rendered: workers -> images/s; empty where a store is trained on
    views: Mapping[int, float]  # rendered: threads -> images/s; from a store, drawing and gathering included
    encoder: Mapping[int, float]  # forward, backward and update: threads -> images/s; empty if nothing is trained
    views_each: int  # views of an image
    cores: int
    device: str
    share: float = 1.0  # of a core that a single thread was given, on a CPU; well below 1 where other programs run


def measure(subject: Subject, seconds: float = SECONDS, progress: Progress = lambda done, total: None) -> Speed:
    """Measure for about so many seconds; the subject's training is used up by it.

    Workers are threads that decode and cut files, while the calling thread renders. Threads are torch's; on a GPU they
    hardly matter and are left as they are. One and all are tried of both. Nothing else should run meanwhile: `share`
    tells whether something did.
    """
    t, pixels = subject.training, subject.images.pixels
    device, now = t.mean.device, torch.get_num_threads()
    numbers = sorted({1, now}) if device.type == "cpu" else [now]
    workers = sorted({1, pixels.workers}) if isinstance(pixels, Photographs) else []
    trains = subject.recipe.method.trains
    tasks = len(workers) + len(numbers) * (2 if trains else 1)
    done = iter(range(1, tasks + 1))

    def timed(steps: Generator[int, None, None]) -> float:
        with closing(steps):
            found = rate(steps, seconds / tasks, lambda: _synchronise(device))
        progress(next(done), tasks)
        return found

    progress(0, tasks)
    files, views, encoder, share = {}, {}, {}, 1.0
    for n in workers:
        assert isinstance(pixels, Photographs)
        some = Photographs(pixels.root, pixels.names, pixels.shape[-1], n)
        files[n] = timed(_delivered(subject, make_loader(some, device)))
    for n in numbers:
        began, used = time.perf_counter(), time.thread_time()
        with threads(n):
            views[n] = timed(_rendered(subject) if workers else _delivered(subject, t.loader))
            if trains:
                encoder[n] = timed(_steps(subject, seconds / tasks))
        if n == 1 and device.type == "cpu":
            share = (time.thread_time() - used) / (time.perf_counter() - began)
    each = len(subject.drawn(torch.zeros(1).long(), subject.generator()))
    return Speed(files, views, encoder, each, cores(), device.type, share)


def rate(steps: Iterator[int], seconds: float, settle: Callable[[], None] = lambda: None) -> float:
    """Images a second of steps that say how many they took; the first is a warm-up, unless it takes all the time."""

    def take() -> int:
        images = next(steps)
        settle()
        return images

    began = time.perf_counter()
    images = take()
    if (took := time.perf_counter() - began) >= seconds:
        return images / took
    began, images = time.perf_counter(), 0
    while True:
        images += take()
        if (passed := time.perf_counter() - began) >= seconds - took:
            return images / passed


def _delivered(subject: Subject, loader: Loader) -> Generator[int, None, None]:
    """Draw, ask as early as the loader wants, wait and render, as a training does; B after every batch."""
    t, generator = subject.training, subject.generator()
    batch = min(t.order.batch // t.accumulate, FEW if loader.cut else t.order.batch)
    asked: deque[tuple[Mapping[str, ViewParams], Wait]] = deque()
    try:
        while True:
            while len(asked) <= loader.ahead:
                index = subject.some(batch, generator)
                params = subject.drawn(index, generator)
                asked.append((params, ask(loader, index, params, t.size)))
            params, wait = asked.popleft()
            _render(subject, params, wait(), cut=loader.cut)
            yield batch
    finally:
        for _, wait in asked:  # what was begun is not to run beside the next measurement
            wait()


def _rendered(subject: Subject) -> Generator[int, None, None]:
    """Render one batch of files again and again: its pixels are there."""
    params, pixels, draw = _batch(subject, min(subject.training.order.batch, FEW))

    def render() -> int:
        _render(subject, params, pixels, cut=True)
        return len(draw.index)

    return _forever(render)


def _steps(subject: Subject, seconds: float) -> Generator[int, None, None]:
    """Steps on views that are there, at a rate of 0; of a slow network few images at a time."""
    t, splits = subject.training, subject.recipe.network.splits
    part = t.order.batch // t.accumulate
    least = min(part, splits * max(2, -(-FIRST // splits)))
    t.method.train()
    set_rate(t.optimizer, 0.0)

    def step_of(batch: int) -> Callable[[], int]:
        params, pixels, draw = _batch(subject, batch)
        views = render_views(t, params, pixels)

        def step() -> int:
            made = t.method(views, draw)
            made.loss.backward()
            t.optimizer.step()
            t.method.after_step(made)
            t.optimizer.zero_grad()
            return batch

        return step

    few = step_of(least)
    few()
    began = time.perf_counter()
    few()
    _synchronise(t.mean.device)
    slow = (time.perf_counter() - began) * part / least > seconds / 2
    return _forever(few if slow or least == part else step_of(part))


def _forever(step: Callable[[], int]) -> Generator[int, None, None]:
    while True:
        yield step()


def _batch(subject: Subject, batch: int) -> tuple[Mapping[str, ViewParams], Mapping[str, Tensor], Draw]:
    """Parameters and pixels of some images, and their draw at the training's end, when everything acts."""
    t, generator = subject.training, subject.generator()
    index = subject.some(min(batch, len(subject.images)), generator)
    params = subject.drawn(index, generator)
    pixels = ask(t.loader, index, params, t.size)()
    sizes = subject.images.sizes[index]
    end = Draw(index, sizes, max(0, t.epochs - 1), max(0, t.steps - 1), generator, t.features, drawn=params)
    return params, pixels, end


def _render(subject: Subject, params: Mapping[str, ViewParams], pixels: Mapping[str, Tensor], *, cut: bool) -> None:
    t = subject.training
    for name, p in params.items():
        t.render(pixels[name], p, p.size or t.size, t.mean, t.std, cut)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
