"""Exact search: cosine with every descriptor, ordered by score, then record. Every ranking ends here."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float16, Float32, Float64, Int64, Real
from numpy.typing import NDArray

from camseek.numerics import BOOL, F32, F64, I64
from camseek.store.records import STEPS, Ranking, step_of

Numbers = NDArray[Any]
Floats = NDArray[Any]
F16 = NDArray[np.float16]

_T = TypeVar("_T")

# A float32 dot product of unit vectors of up to some thousand dimensions is off by less than this.
_MARGIN = 1e-4
# Numbers that are widened, multiplied and forgotten together: 1.3 MB, half of a core's cache.
_PART = 256 * 1280
# From so many queries on, one matrix product is quicker than a product for each. It waits for all threads of
# BLAS, on a busy machine for longer than they work: such parts are larger, 21 MB, so that it waits seldom.
_BATCH = 16
_BATCH_PART = 4096 * 1280
# A thread takes as long to start as one part takes.
_WORTH_A_THREAD = 8
# float16 in place of float32's bits is too small by this power of two: the exponents' biases are 15 and 127.
_BIAS = np.float32(2.0**112)
# So many scores of each query wait until they are counted: one by one would take longer than comparing.
_WAITING = 1 << 16
_HALF_BITS = np.uint32(0x8FFFE000).view(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some descriptors, or their codes.

    Attributes:
        records: (n,), int64, all different.
        vectors: (n, D), float16 or float32; codes (``camseek.store.codes``): (n, B), uint8.
        usable: (n,): which rows may be found; None where all may.
    """

    records: Int64[I64, " n"]
    vectors: Real[Numbers, "n D"]
    usable: Bool[BOOL, " n"] | None = None

    @property
    def count(self) -> int:
        """How many may be found."""
        return len(self.records) if self.usable is None else int(self.usable.sum())

    def rows(self, some: slice) -> "Block":
        """Some of them, not copied."""
        usable = None if self.usable is None else self.usable[some]
        return Block(self.records[some], np.asarray(self.vectors[some]), usable)


def nearest_in(
    blocks: Iterable[Block],
    queries: Float32[F32, "Q D"],
    k: int,
    *,
    without: Iterable[int] = (),
    threads: int = 1,
) -> list[Ranking]:
    """The records nearest to each query.

    Each block is read once. All descriptors are compared by products in single precision, whose last digits
    depend on a row's place; those that may be among the k best are compared again, each by itself in double
    precision, so that equal descriptors have equal scores and the first k are always a prefix of the first
    k + 1. What is held besides the blocks grows with Q and k, not with the number of descriptors.

    Args:
        blocks: The descriptors, of unit length.
        queries: Of unit length, too.
        k: How many records at most, 0 or more.
        without: Records to leave out.
        threads: How many share the work, where it is worth it; with one, only this one takes blocks, one
            after the other.

    Returns:
        One for each query.

    Raises:
        ValueError: k is negative, or a query is not finite, longer than 1 or of another length.
    """
    require_askable(queries, k)
    left_out = as_records(without)
    batch = len(queries) >= _BATCH
    numbers = _BATCH_PART if batch else _PART
    parts = (part for block in blocks for part in _parts(less(block, left_out), queries, numbers))
    first = _Contest(queries, k)
    if threads == 1 or batch:
        first.enter_all(parts)
        return first.results()
    waiting = deque(parts)
    others = [_Contest(queries, k) for _ in range(min(threads, len(waiting) // _WORTH_A_THREAD) - 1)]
    with ThreadPoolExecutor(1 + len(others)) as pool:
        running = [pool.submit(other.enter_all, taken(waiting)) for other in others]
        first.enter_all(taken(waiting))
        for other, run in zip(others, running, strict=True):
            run.result()
            first.join(other)
    return first.results()


def joined(parts: Sequence[Ranking], k: int) -> Ranking:
    """The records nearest to a query among those of several parts.

    Args:
        parts: Of different pictures: the k nearest of each, at least.
        k: How many records at most.
    """
    records = np.concatenate([part.records for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    order = np.lexsort((records, -scores))[:k]
    spread: Int64[I64, " steps"] | None = np.zeros(2 * STEPS, np.int64)
    for part in parts:
        # What nobody counted of one part is not known of all.
        spread = None if spread is None or part.spread is None else spread + part.spread
    return Ranking(records[order], scores[order], sum(part.compared for part in parts), spread)


def require_askable(queries: Float32[F32, "Q D"], k: int) -> None:
    """Makes sure that this can be asked.

    Raises:
        ValueError: k is negative, or a query is not finite or longer than 1.
    """
    if k < 0:
        raise ValueError(f"k is {k}, below 0")
    if not (np.linalg.norm(queries, axis=1) <= 1.01).all():
        raise ValueError("a query is not finite or longer than 1")


def require_length(queries: Float32[F32, "Q D"], dimensions: int) -> None:
    """Raises: ValueError: The queries have another length than the descriptors."""
    if queries.shape[1] != dimensions:
        raise ValueError(f"queries of {queries.shape[1]} numbers, descriptors of {dimensions}")


def as_records(records: Iterable[int]) -> Int64[I64, " n"]:
    """Each of these once, ascending."""
    return np.array(sorted(set(records)), np.int64)


def less(block: Block, left_out: Int64[I64, " n"]) -> Block:
    """The block, in which the records to leave out may not be found."""
    gone = np.isin(block.records, left_out) if len(left_out) else None
    if gone is None or not gone.any():
        return block
    return Block(block.records, block.vectors, ~gone if block.usable is None else block.usable & ~gone)


def _parts(block: Block, queries: Float32[F32, "Q D"], numbers: int) -> Iterator[Block]:
    """The block in parts of so many numbers."""
    require_length(queries, block.vectors.shape[1])
    if block.vectors.dtype == np.float32:
        numbers *= 4  # there is no scratch to keep small
    rows = max(1, numbers // max(1, queries.shape[1]))
    for start in range(0, len(block.records), rows):
        yield block.rows(slice(start, start + rows))


def taken(waiting: deque[_T]) -> Iterator[_T]:
    """Parts that several threads take from one row."""
    while True:
        try:
            yield waiting.popleft()
        except IndexError:
            return


def _shifted(vectors: Float16[F16, "n D"], out: NDArray[np.int32]) -> Float32[F32, "n D"]:
    """float16 as float32 times 2^-112, exactly: much quicker than NumPy's own conversion.

    Args:
        vectors: Finite numbers.
        out: (n, D), where the result's bits go.
    """
    out[:] = vectors.view(np.int16)
    # The sign, which widening has spread over the upper bits, stays at the top; exponent and mantissa move to
    # their places.
    np.left_shift(out, 13, out=out)
    np.bitwise_and(out, _HALF_BITS, out=out)
    return out.view(np.float32)


def widen(vectors: Float16[F16, "n D"], out: Float32[F32, "n D"]) -> None:
    """Writes finite float16 numbers as float32: the same numbers.

    Args:
        vectors: The numbers.
        out: Where they go.
    """
    rows = max(1, _PART // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), rows):
        some = slice(start, start + rows)
        shifted = _shifted(vectors[some], out[some].view(np.int32))
        np.multiply(shifted, _BIAS, out=out[some])


class _Contest:
    """Descriptors enter part by part; the best of each query stay."""

    def __init__(self, queries: Float32[F32, "Q D"], k: int) -> None:
        self._k = k
        self._queries = queries
        self._scaled: Float32[F32, "Q D"] = queries * _BIAS
        self._wide: Float64[F64, "Q D"] = queries.astype(np.float64)
        self._best = [_Best(k) for _ in queries]
        self._floors: Float64[F64, " Q"] = np.full(len(queries), -np.inf)
        self._compared = 0
        self._spread: Int64[I64, "Q steps"] = np.zeros((len(queries), 2 * STEPS), np.int64)
        self._waiting: list[Float32[F32, "n Q"]] = []
        self._scratch: NDArray[np.int32] = np.empty((0, queries.shape[1]), np.int32)

    def enter_all(self, parts: Iterable[Block]) -> None:
        """Compares all of these descriptors with every query."""
        for part in parts:
            self.enter(part)

    def join(self, other: "_Contest") -> None:
        """Takes over what another one found among other descriptors."""
        self._compared += other._compared
        self._spread += other._counted()
        for mine, theirs in zip(self._best, other._best, strict=True):
            mine.add(*theirs.sorted())

    def enter(self, part: Block) -> None:
        """Compares some descriptors with every query."""
        self._compared += part.count
        if self._k == 0 or not self._best:
            return
        half = part.vectors.dtype == np.float16
        vectors = self._widen(part.vectors) if half else part.vectors
        rough = _products(vectors, self._scaled if half else self._queries)
        self._count(rough if part.usable is None else rough[part.usable])
        promising = rough >= (self._floors - _MARGIN).astype(np.float32)
        if part.usable is not None:
            promising &= part.usable[:, None]
        for query in np.flatnonzero(promising.any(axis=0)).tolist():
            rows = np.flatnonzero(promising[:, query])
            rows = rows[_near_the_best(rough[rows, query], self._k)]
            exact = vectors[rows] * _BIAS if half else vectors[rows]
            # Stored descriptors are rounded: a picture with itself may come out a hair above 1.
            scores = (exact * self._wide[query]).sum(axis=1).clip(-1.0, 1.0)
            self._floors[query] = self._best[query].add(part.records[rows], scores)

    def _widen(self, vectors: Float16[F16, "n D"]) -> Float32[F32, "n D"]:
        """Some descriptors times 2^-112: gone with the next."""
        if len(self._scratch) < len(vectors):
            self._scratch = np.empty(vectors.shape, np.int32)
        return _shifted(vectors, self._scratch[: len(vectors)])

    def _count(self, rough: Float32[F32, "n Q"]) -> None:
        """Remembers how many have which score."""
        self._waiting.append(rough)
        if sum(map(len, self._waiting)) >= _WAITING:
            self._counted()

    def _counted(self) -> Int64[I64, "Q steps"]:
        """How many have which score, for each query."""
        if self._waiting:
            steps = step_of(np.concatenate(self._waiting).T)
            for spread, some in zip(self._spread, steps, strict=True):
                spread += np.bincount(some, minlength=2 * STEPS)
            self._waiting = []
        return self._spread

    def results(self) -> list[Ranking]:
        """The best of each query."""
        if self._k == 0:
            return [Ranking(*best.sorted(), self._compared) for best in self._best]
        spreads = self._counted()
        return [
            Ranking(*best.sorted(), self._compared, spread)
            for best, spread in zip(self._best, spreads, strict=True)
        ]


def _products(vectors: Float[Floats, "n D"], queries: Float32[F32, "Q D"]) -> Float32[F32, "n Q"]:
    if len(queries) >= _BATCH:
        return vectors @ queries.T
    return np.stack([np.vecdot(vectors, query) for query in queries], axis=1)


def _near_the_best(rough: Float32[F32, " n"], k: int) -> Bool[BOOL, " n"]:
    """Which may be among the k best of these, were the products exact."""
    if len(rough) <= k:
        return np.ones(len(rough), np.bool_)
    return rough >= np.partition(rough, len(rough) - k)[len(rough) - k] - np.float32(2 * _MARGIN)


class _Best:
    """The k best that one query has met."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._pieces: list[tuple[Int64[I64, " n"], Float64[F64, " n"]]] = []
        self._count = 0
        self._floor = -np.inf

    def add(self, records: Int64[I64, " n"], scores: Float64[F64, " n"]) -> float:
        """Adds some; returns a score below which nothing can be among the k best any more."""
        if self._k == 0:
            return self._floor
        self._pieces.append((records, scores))
        self._count += len(records)
        # Not at every single one: the k best may be many.
        slack = 0 if self._floor == -np.inf else 1 + self._k // 8
        if self._count >= self._k + slack:
            best = self.sorted()
            self._pieces = [best]
            self._count = self._k
            self._floor = float(best[1][-1])
        return self._floor

    def sorted(self) -> tuple[Int64[I64, " k"], Float64[F64, " k"]]:
        """Records and scores: by score descending, then by record."""
        if not self._pieces:
            return np.empty(0, np.int64), np.empty(0, np.float64)
        records, scores = (np.concatenate(column) for column in zip(*self._pieces, strict=True))
        order = np.lexsort((records, -scores))[: self._k]
        return records[order], scores[order]
