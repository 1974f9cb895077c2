"""Work on many files: in order, a little ahead, by the threads that were asked for, and with every error told."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pairlens.data.parallel import TASK, each, share


def test_results_keep_the_files_order_and_progress_is_told():
    told = []
    found = list(each(lambda i: i * i, range(150), lambda done, total: told.append((done, total)), 3))
    assert found == [i * i for i in range(150)]
    assert told == [(64, 150), (128, 150), (150, 150)]


def test_little_is_done_ahead_of_the_reader():
    begun = []
    results = each(begun.append, range(10_000), lambda done, total: None, 2)
    next(results)
    assert len(begun) <= TASK * 7
    results.close()


def test_an_error_in_a_file_is_raised_to_the_reader():
    def work(i):
        if i == 20:
            raise KeyError("twenty")
        return i

    results = each(work, range(40), lambda done, total: None, 2)
    with pytest.raises(KeyError, match="twenty"):
        list(results)


@pytest.mark.parametrize("count", [0, 1, 5, 300])
@pytest.mark.parametrize("threads", [1, 4])
def test_every_piece_is_done_once(count, threads):
    done = []
    with ThreadPoolExecutor(threads) as pool:
        assert share(pool, done.append, count, threads, "all").result(20) == "all"
    assert sorted(done) == list(range(count))


def test_the_future_waits_for_the_last_piece():
    gate, done = threading.Event(), []

    def work(i):
        if i == 0:
            assert gate.wait(20)
        done.append(i)

    with ThreadPoolExecutor(3) as pool:
        future = share(pool, work, 50, 3, None)
        while len(done) < 49:
            pass
        assert not future.done()
        gate.set()
        future.result(20)
    assert done[-1] == 0


def test_a_piece_that_fails_fails_the_whole():
    def work(i):
        if i == 7:
            raise OSError("seven")

    with ThreadPoolExecutor(2) as pool, pytest.raises(OSError, match="seven"):
        share(pool, work, 20, 2, None).result(20)
