"""Work on many files by threads: decoders, resizers and reads release the interpreter's lock."""

import itertools
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

TASK = 8  # files that a thread takes at a time
TOLD = 64  # files, or tasks of them, between two reports of progress
READERS = 16  # threads that look at files without decoding them: slow disks serve many at a time

A = TypeVar("A")
T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Told how many files of how many are done."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(work: Callable[[A], T], files: Sequence[A], progress: Progress, threads: int) -> Iterator[T]:
    """What `work` gives for each file, in the files' order; a little ahead of the reader, not more."""

    def do(begin: int) -> list[T]:
        return [work(file) for file in files[begin : begin + TASK]]

    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters is raised and reported
        tasks = (pool.submit(do, begin) for begin in range(0, len(files), TASK))
        for done, result in enumerate(_ahead(tasks, 2 * threads), 1):
            yield result
            if done % TOLD == 0 or done == len(files):
                progress(done, len(files))


def _ahead(tasks: Iterable[Future[list[T]]], number: int) -> Iterator[T]:
    """The tasks' results, with `number` of them begun before the first is waited for."""
    begun: deque[Future[list[T]]] = deque()
    for task in tasks:
        begun.append(task)
        if len(begun) > number:
            yield from begun.popleft().result()
    while begun:
        yield from begun.popleft().result()


def share(pool: Executor, work: Callable[[int], None], count: int, threads: int, result: T) -> Future[T]:
    """Do `work` for 0 to `count` - 1 by up to `threads` of the pool's, each taking the next that is left.

    The future gives `result` when all is done, or raises what a piece of work raised.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    left, finished, tasks = iter(range(count)), itertools.count(1), max(1, min(count, threads))
    errors: list[BaseException] = []

    def take() -> None:
        try:
            for i in left:
                work(i)
        except BaseException as error:
            errors.append(error)
        if next(finished) == tasks:  # the last of the threads
            future.set_exception(errors[0]) if errors else future.set_result(result)

    for _ in range(tasks):
        pool.submit(take)
    return future
