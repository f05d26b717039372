import itertools
import signal
import threading
import time
from contextlib import closing

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from camseek.engine.pipeline import ordered

# Threads do as they like: what is here must hold whatever they do, so nothing waits for "long enough".


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_come_in_the_order_of_the_items(workers):
    rng = np.random.default_rng(0)
    waits = dict(enumerate(rng.random(60) / 500))

    def work(item):
        time.sleep(waits[item])
        return -item

    assert list(ordered(work, range(60), workers=workers)) == [-item for item in range(60)]


def test_no_items():
    assert list(ordered(abs, [], workers=2)) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_few_are_held_at_a_time(workers):
    taken, given, most = 0, 0, 0
    running, most_running = 0, 0
    lock = threading.Lock()

    def items():
        nonlocal taken, most
        for item in range(100):
            taken += 1
            most = max(most, taken - given)
            yield item

    def work(item):
        nonlocal running, most_running
        with lock:
            running += 1
            most_running = max(most_running, running)
        time.sleep(0.0005)
        with lock:
            running -= 1
        return item

    for _ in ordered(work, items(), workers=workers):
        given += 1
    assert given == 100
    assert most <= 4 * workers + 1
    assert most_running <= workers


def test_an_endless_row_of_items_is_no_trouble():
    found = ordered(lambda item: item * 2, itertools.count(), workers=2)
    assert list(itertools.islice(found, 10)) == list(range(0, 20, 2))
    found.close()


def test_threads_work_beside_each_other():
    both = threading.Barrier(2, timeout=30)
    assert len([*ordered(lambda _: both.wait(), range(10), workers=2)]) == 10


def test_an_exception_is_raised_in_its_turn():
    def work(item):
        if item == 5:
            raise KeyError(item)
        return item

    found = []
    with pytest.raises(KeyError, match="5"):
        found.extend(ordered(work, range(100), workers=2))
    assert found == [0, 1, 2, 3, 4]


def test_an_exception_of_the_items_is_raised():
    def items():
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        list(ordered(abs, items(), workers=2))


def begun_after(stop):
    """Runs until an item is taken, stops it in some way, and gives what began after that."""
    begun = []
    held = threading.Event()
    stopped = False
    after = []

    def work(item):
        (after if stopped else begun).append(item)
        if item > 0:
            held.wait(30)
        return item

    found = ordered(work, range(1000), workers=2)
    try:
        with closing(found):
            assert next(found) == 0
            stopped = True
            # The threads are busy with the next items: let go of them once the stop has begun.
            threading.Timer(0.3, held.set).start()
            stop()
    except (KeyboardInterrupt, ZeroDivisionError):
        pass
    return begun, after


def fail():
    raise ZeroDivisionError


def interrupt():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("stop", [lambda: None, fail, interrupt])
def test_what_has_not_begun_when_the_caller_stops_never_begins(stop):
    begun, after = begun_after(stop)
    assert set(begun) <= {0, 1, 2}
    # One that a thread had already taken may just have looked before the stop.
    assert len(after) <= 2


def test_an_interrupt_while_waiting_ends_it():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    begun = []

    def work(item):
        begun.append(item)
        if item == 3:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.1)
        return item

    try:
        with pytest.raises(KeyboardInterrupt):
            for _ in ordered(work, range(10_000), workers=2):
                pass
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(begun) < 10_000
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("camseek")]


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_blas_has_one_thread_inside_and_what_it_had_afterwards():
    np.ones((9, 9)) @ np.ones((9, 9))
    before = blas_threads()
    assert before
    inside = set.union(*ordered(lambda _: blas_threads(), range(4), workers=2))
    assert inside == {1}
    assert blas_threads() == before


def test_no_thread_stays():
    list(ordered(abs, range(10), workers=4))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("camseek")]
