import itertools
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from camseek.errors import CancelledError
from camseek.job import Job, Progress, Quiet, one_blas_thread, ordered, processors

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


def set_blas_threads(count):
    """Not in this thread: threadpoolctl lets no other thread set a limit while the one that did is alive."""
    setting = threading.Thread(target=threadpool_limits, args=(count,), kwargs={"user_api": "blas"})
    setting.start()
    setting.join()
    assert blas_threads() == {count}


class TestOneBlasThread:
    @pytest.fixture(autouse=True)
    def three(self):
        """BLAS has three threads, whatever the machine has."""
        np.ones((9, 9)) @ np.ones((9, 9))
        [before] = blas_threads()
        set_blas_threads(3)
        yield
        set_blas_threads(before)

    @pytest.mark.parametrize("left", list(itertools.permutations(range(3))))
    def test_contexts_that_overlap_leave_blas_as_it_was(self, left):
        contexts = [one_blas_thread() for _ in range(3)]
        for context in contexts:
            context.__enter__()
            assert blas_threads() == {1}
        for number, place in enumerate(left):
            contexts[place].__exit__(None, None, None)
            assert blas_threads() == ({3} if number == 2 else {1})

    def test_the_next_one_finds_it_as_it_is_then(self):
        with one_blas_thread():
            pass
        set_blas_threads(2)
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {2}

    def test_runs_that_overlap(self):
        """Each is held up between its items while the other begins or ends."""
        one, two = (ordered(abs, range(20), workers=1) for _ in range(2))
        assert next(one) == next(two) == 0
        one.close()
        assert blas_threads() == {1}
        assert list(two) == list(range(1, 20))
        assert blas_threads() == {3}

    def test_an_error_inside(self):
        with pytest.raises(ZeroDivisionError), one_blas_thread():
            raise ZeroDivisionError
        assert blas_threads() == {3}

    @pytest.mark.parametrize("first", ["one", "two"])
    def test_in_two_threads_that_stay(self, first):
        """As threads of a server do: neither ends when its work does."""
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
            threads = {"one": (one, one_blas_thread()), "two": (two, one_blas_thread())}
            for thread, context in threads.values():
                thread.submit(context.__enter__).result()
                assert blas_threads() == {1}
            thread, context = threads.pop(first)
            thread.submit(context.__exit__, None, None, None).result()
            assert blas_threads() == {1}
            [(thread, context)] = threads.values()
            thread.submit(context.__exit__, None, None, None).result()
            assert blas_threads() == {3}

    def test_many_threads_at_once(self):
        def work(_):
            with one_blas_thread():
                return blas_threads()

        with ThreadPoolExecutor(4) as pool:
            assert set.union(*pool.map(work, range(80))) == {1}
            assert blas_threads() == {3}


class TestJob:
    def test_by_default_it_has_every_core_and_nobody_is_told(self):
        job = Job()
        assert job.workers == processors() >= 1
        assert isinstance(job.progress, Quiet)
        assert isinstance(job.progress, Progress)
        assert job.cancelled is None
        job.check()

    @pytest.mark.parametrize("workers", [0, -1])
    def test_without_workers_nothing_is_done(self, workers):
        with pytest.raises(ValueError, match=f"{workers} workers"):
            Job(workers=workers)

    def test_what_it_is_told(self):
        class Told(Quiet):
            pass

        progress, stop = Told(), threading.Event()
        job = Job(workers=3)
        told = job.told(progress, stop)
        assert (told.progress, told.cancelled, told.workers, told.limits) == (progress, stop, 3, job.limits)
        assert told.told(None) == told
        assert told.told(Told()).cancelled is stop
        assert isinstance(told.quiet().progress, Quiet)
        assert told.quiet().cancelled is stop

    def test_map_is_in_the_order_of_the_items(self):
        assert list(Job(workers=2).map(abs, range(-9, 0))) == list(range(9, 0, -1))

    def test_cancelled_it_stops_and_what_was_done_stays(self):
        stop, begun, done = threading.Event(), [], []

        def work(item):
            begun.append(item)
            return item

        with pytest.raises(CancelledError, match="cancelled") as error:
            for item in Job(workers=2, cancelled=stop).map(work, itertools.count()):
                done.append(item)
                if item == 5:
                    stop.set()
        assert error.value.remedy
        assert done == list(range(6))
        assert len(begun) <= 6 + 4 * 2
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("camseek")]

    def test_cancelled_by_another_thread(self):
        stop, reached = threading.Event(), threading.Event()

        def cancel():
            reached.wait(30)
            stop.set()

        other = threading.Thread(target=cancel)
        other.start()
        with pytest.raises(CancelledError):
            for item in Job(workers=2, cancelled=stop).map(abs, itertools.count()):
                if item == 20:
                    reached.set()
        other.join()

    def test_cancelled_before_it_began(self):
        stop = threading.Event()
        stop.set()
        job = Job(workers=1, cancelled=stop)
        with pytest.raises(CancelledError):
            job.check()
        done = []
        with pytest.raises(CancelledError):
            done.extend(job.map(abs, itertools.count()))
        assert len(done) <= 1

    def test_whoever_stops_taking_stops_the_threads(self):
        with closing(Job(workers=2).map(abs, itertools.count())) as found:
            assert next(found) == 0
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("camseek")]
