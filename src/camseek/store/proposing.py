"""Search in a large collection: codes propose, and what they propose is ordered by the stored numbers."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float32, Int64

from camseek.numerics import F32, I64
from camseek.store.codes import Axes, Query, Scratch
from camseek.store.ranking import Block, less, nearest_in, taken, widen
from camseek.store.records import STEPS, Ranking, step_of

# Beside the k best codes half as many again are looked at, and so many: their errors tell how far on it is
# worth looking.
_LEAST = 256
# How many standard deviations of a rough score's error it must lie below the last place not to be looked at.
_SURE = 3.0
# How many are looked at for k at most, times k, and beside them.
_TIMES, _BESIDE = 4, 4096
# Descriptors that are read at a time: 21 MB of 1,280 dimensions.
_AT_ONCE = 4096
# Codes that are compared at a time, by one thread: half a megabyte of numbers, which its core keeps at hand.
_ROWS = 256
# Queries whose rough scores are held at a time.
_QUERIES = 8
# A standard deviation over the median distance from the median, of a normal distribution.
_DEVIATION = 1.4826
_HAIR = 1e-6
_LOWEST = float(np.finfo(np.float32).min)

Read = Callable[[Int64[I64, " n"]], Block]


def nearest_by_codes(
    blocks: Sequence[Block],
    axes: Axes,
    queries: Float32[F32, "Q D"],
    k: int,
    *,
    read: Read,
    left_out: Int64[I64, " m"],
    threads: int = 1,
) -> list[Ranking]:
    """The records nearest to each query: by the stored numbers, of those that their codes propose.

    All codes are compared with the query. Somewhat more descriptors than are wanted are read and
    compared exactly; then those, too, whose rough score is not far enough below that of the last place to be
    sure that they lie behind it. So what is found is, but for a rare one near the last place, what comparing
    everything would find, and the order is exactly the same.

    Args:
        blocks: Codes of ``axes``, records ascending throughout.
        axes: What they were made with.
        queries: Of unit length.
        k: How many records at most.
        read: Reads stored descriptors, ascending by record; those that have gone are left out.
        left_out: Records to leave out.
        threads: How many share the comparing.

    Returns:
        One for each query. The ``spread`` counts estimates, and exact scores of those that were read.
    """
    some = [less(block, left_out) for block in blocks]
    compared = sum(block.count for block in some)
    if k == 0:
        return [Ranking(np.empty(0, np.int64), np.empty(0, np.float64), compared) for _ in queries]
    records = np.concatenate([np.empty(0, np.int64), *(block.records for block in some)])
    found: list[Ranking] = []
    for start in range(0, len(queries), _QUERIES):
        asked = queries[start : start + _QUERIES]
        scores, spreads = _compared(some, axes, asked, threads)
        for query, rough, spread in zip(asked, scores, spreads, strict=True):
            one = _One(query, records, rough, spread, read)
            [exact] = nearest_in(one.proposed(k), query[None], k)
            found.append(Ranking(exact.records, exact.scores, compared, one.told()))
    return found


class _One:
    """What codes say of one query, and what was read of it.

    Args:
        query: The query.
        records: Whose the codes are, ascending.
        rough: Their scores; -inf for those that may not be found.
        spread: How many have which.
        read: Reads descriptors.
    """

    def __init__(
        self,
        query: Float32[F32, " D"],
        records: Int64[I64, " N"],
        rough: Float32[F32, " N"],
        spread: Int64[I64, " steps"],
        read: Read,
    ) -> None:
        self._query, self._records, self._read = query, records, read
        self._rough, self._spread = rough, spread
        # Of what was read: how many have which score, and the deviation of what the codes were off by.
        self._left = spread.copy()
        self._exact: Int64[I64, " steps"] = np.zeros(2 * STEPS, np.int64)
        self._wrong = 0.0

    def told(self) -> Int64[I64, " steps"]:
        """How many have which score: exact ones of what was read, and estimates of the others.

        What codes miss makes exact scores vary more than rough ones.
        """
        values = (np.arange(2 * STEPS) + 0.5) / STEPS - 1
        total = max(1, int(self._left.sum()))
        mean = values @ self._left / total
        variance = np.square(values - mean) @ self._left / total
        wider = mean + (values - mean) * np.sqrt(1 + self._wrong**2 / variance if variance > 0 else 1.0)
        places = step_of(wider.astype(np.float32))
        estimates = np.bincount(places, weights=self._left, minlength=2 * STEPS)
        return self._exact + np.rint(estimates).astype(np.int64)

    def proposed(self, k: int) -> Iterator[Block]:
        """The descriptors that may be among the k nearest, some at a time."""
        first = self._best(k + k // 2 + _LEAST)
        most = self._best(_TIMES * k + _BESIDE)
        exact, off = np.empty(0, np.float32), np.empty(0, np.float32)
        for block, scores, rough in self._stored(first):
            exact, off = np.append(exact, scores), np.append(off, scores - rough)
            yield block
        more = most[len(first) :]
        if len(off):
            # By the medians: of the query's own picture, or copies of it, codes miss more than of any other.
            middle = float(np.median(off))
            self._wrong = _DEVIATION * float(np.median(np.abs(off - middle)))
            if k <= len(exact):
                last = float(np.partition(exact, -k)[-k])
                more = more[self._rough[more] >= last - max(middle, 0.0) - _SURE * self._wrong]
        for block, _, _ in self._stored(more):
            yield block

    def _best(self, count: int) -> Int64[I64, " n"]:
        """The places of the best codes, by rough score, then by record."""
        step = int(np.searchsorted(self._spread[::-1].cumsum(), count))
        # All that have a score of this step or above: a few more than are wanted, where scores differ at all.
        least = (2 * STEPS - 1 - step) / STEPS - 1 - _HAIR if step < 2 * STEPS - 1 else _LOWEST
        some = np.flatnonzero(self._rough >= np.float32(least))
        return some[np.argsort(-self._rough[some], kind="stable")[:count]]

    def _stored(self, some: Int64[I64, " n"]) -> Iterator[tuple[Block, F32, F32]]:
        """Descriptors in single precision, their scores, and what their codes said."""
        wanted = np.sort(self._records[some])
        for start in range(0, len(wanted), _AT_ONCE):
            stored = self._read(wanted[start : start + _AT_ONCE])
            vectors = np.empty(stored.vectors.shape, np.float32)
            widen(stored.vectors, vectors)
            scores = np.vecdot(vectors, self._query)
            rough = self._rough[np.searchsorted(self._records, stored.records)]
            self._exact += np.bincount(step_of(scores), minlength=2 * STEPS)
            self._left -= np.bincount(step_of(rough), minlength=2 * STEPS)
            yield Block(stored.records, vectors), scores, rough


def _compared(
    blocks: Sequence[Block], axes: Axes, queries: Float32[F32, "Q D"], threads: int
) -> tuple[Float32[F32, "Q N"], Int64[I64, "Q steps"]]:
    """The rough scores of all codes, and how many have which."""
    scores = np.empty((len(queries), sum(len(block.records) for block in blocks)), np.float32)
    waiting, end = deque[tuple[Block, F32]](), 0
    for block in blocks:
        start, end = end, end + len(block.records)
        waiting.append((block, scores[:, start:end]))
    asked = [axes.query(query) for query in queries]
    count = max(1, min(threads, len(waiting)))
    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(_compare, taken(waiting), axes, asked) for _ in range(count)]
        spreads = [run.result() for run in running]
    return scores, np.sum(spreads, axis=0)


def _compare(parts: Iterator[tuple[Block, F32]], axes: Axes, asked: Sequence[Query]) -> Int64[I64, "Q steps"]:
    """Compares codes with queries, and counts how many have which score."""
    scratch = Scratch(_ROWS, axes.width)
    spread = np.zeros((len(asked), 2 * STEPS), np.int64)
    for block, scores in parts:
        for start in range(0, len(block.records), _ROWS):
            some = slice(start, start + _ROWS)
            scratch.products(block.vectors[some], asked, scores[:, some])
        for place, values in enumerate(scores):
            usable = values if block.usable is None else values[block.usable]
            spread[place] += np.bincount(step_of(usable), minlength=2 * STEPS)
        if block.usable is not None:
            scores[:, ~block.usable] = -np.inf
    return spread
