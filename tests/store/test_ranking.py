import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.errors import CollectionChangedError
from camseek.store import MemoryVectors, Vectors, memory, ranking


def unit_rows(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def vectors_of(rows, dtype=np.float32):
    rows = np.asarray(rows, dtype)
    return MemoryVectors(np.arange(1, 1 + len(rows)), rows)


def one(vectors, query, k, **options):
    [ranking] = vectors.nearest(np.asarray(query, np.float32)[None], k, **options)
    return ranking


def plain(records, vectors, query):
    """Records and scores by a loop in double precision."""
    scores = [float(sum(float(a) * float(b) for a, b in zip(row, query, strict=True))) for row in vectors]
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], records[i]))
    return [int(records[i]) for i in order], [scores[i] for i in order]


@pytest.fixture(params=[5, 100])
def small_parts(request, monkeypatch):
    """Ranks in parts of a few rows, as a large collection is ranked in many."""
    monkeypatch.setattr(ranking, "_PART", request.param)
    monkeypatch.setattr(memory, "THREADS", 3)


def test_order_is_score_then_record():
    found = one(vectors_of([[0, 1], [1, 0], [0, 1], [1, 0], [-1, 0]]), [1, 0], 5)
    assert found.records.tolist() == [2, 4, 1, 3, 5]
    assert found.scores.tolist() == [1, 1, 0, 0, -1]
    assert found.compared == 5
    assert (found.records.dtype, found.scores.dtype) == (np.int64, np.float64)


def test_more_asked_than_there_are_and_nothing_there():
    assert one(vectors_of([[1, 0]]), [1, 0], 99).records.tolist() == [1]
    found = one(vectors_of(np.empty((0, 2))), [1, 0], 5)
    assert (len(found.records), len(found.scores), found.compared) == (0, 0, 0)


def test_records_left_out():
    found = one(vectors_of([[1, 0], [0.8, 0.6], [0, 1]]), [1, 0], 2, without=[1, 77])
    assert found.records.tolist() == [2, 3]
    assert found.compared == 2


def test_nobody_asks():
    assert vectors_of([[1, 0]]).nearest(np.empty((0, 2), np.float32), 3) == []


def test_none_wanted():
    found = one(vectors_of([[1, 0], [0, 1]]), [1, 0], 0, without=[2])
    assert (len(found.records), found.compared) == (0, 1)


@pytest.mark.parametrize(
    ("query", "k", "why"),
    [
        ([1, 0], -1, "below 0"),
        ([np.nan, 0], 1, "not finite"),
        ([np.inf, 0], 1, "not finite"),
        ([3, 0], 1, "longer than 1"),
        ([1, 0, 0], 1, "3 numbers, descriptors of 2"),
    ],
)
def test_what_a_caller_may_not_ask(query, k, why):
    with pytest.raises(ValueError, match=why):
        one(vectors_of([[1, 0]]), query, k)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from([np.float16, np.float32]),
    st.sampled_from([7, 40, 10**6]),
)
def test_against_a_plain_loop_with_many_ties(seed, count, distinct, asked, dtype, part):
    rng = np.random.default_rng(seed)
    kinds = unit_rows(rng.standard_normal((distinct, 7)))
    rows = kinds[rng.integers(0, distinct, count)].astype(dtype)
    numbers = rng.permutation(3 * count)[:count] + 1
    queries = unit_rows(rng.standard_normal((asked, 7)))
    without = set(rng.choice(numbers, count // 5, replace=False).tolist())
    kept = [i for i in range(count) if int(numbers[i]) not in without]
    vectors = MemoryVectors(numbers, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_PART", part)
        found = vectors.nearest(queries, count, without=without)
        tops = {k: vectors.nearest(queries, k, without=without) for k in {0, 1, 2, count // 2, count - 1}}
    for place, query in enumerate(queries):
        records, scores = found[place].records, found[place].scores
        wanted, exact = plain(numbers[kept], rows[kept], query)
        assert found[place].compared == len(kept) == len(records)
        np.testing.assert_allclose(scores, np.clip(exact, -1, 1), atol=1e-12)
        assert sorted(records.tolist()) == sorted(wanted)
        by_record = dict(zip(numbers.tolist(), rows, strict=True))
        # Equal descriptors have equal scores to the last digit, so that records decide.
        for before, after in zip(range(len(records)), range(1, len(records)), strict=False):
            if (by_record[int(records[before])] == by_record[int(records[after])]).all():
                assert scores[before] == scores[after]
                assert records[before] < records[after]
        for top, rankings in tops.items():
            assert rankings[place].records.tolist() == records[:top].tolist()
            assert rankings[place].scores.tolist() == scores[:top].tolist()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("asked", [1, 9])
def test_many_parts_rank_like_one(asked, monkeypatch):
    rng = np.random.default_rng(3)
    vectors = vectors_of(unit_rows(rng.standard_normal((500, 16))), np.float16)
    queries = unit_rows(rng.standard_normal((asked, 16)))
    parted = [vectors.nearest(queries, k, without=[7]) for k in (1, 20, 499)]
    monkeypatch.setattr(ranking, "_PART", 10**9)
    whole = [vectors.nearest(queries, k, without=[7]) for k in (1, 20, 499)]
    for ours, theirs in zip(parted, whole, strict=True):
        for here, there in zip(ours, theirs, strict=True):
            assert here.records.tolist() == there.records.tolist()
            assert here.scores.tolist() == there.scores.tolist()


def test_a_query_ranks_alike_whoever_asks_beside_it():
    rng = np.random.default_rng(4)
    vectors = vectors_of(unit_rows(rng.standard_normal((300, 16))), np.float16)
    queries = unit_rows(rng.standard_normal((8, 16)))
    for query, beside in zip(queries, vectors.nearest(queries, 30), strict=True):
        alone = one(vectors, query, 30)
        assert alone.records.tolist() == beside.records.tolist()
        assert alone.scores.tolist() == beside.scores.tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_very_many_equal_descriptors_keep_their_order(dtype):
    rows = np.tile(unit_rows([[3, 4]]), (10_000, 1))
    found = one(vectors_of(rows, dtype), unit_rows([[3, 4]])[0], 9_000)
    assert found.records.tolist() == list(range(1, 9_001))
    assert len(set(found.scores.tolist())) == 1


def test_scores_never_leave_minus_one_to_one():
    assert one(vectors_of([[1.0001, 0], [-1.0001, 0]]), [1, 0], 2).scores.tolist() == [1, -1]


def test_every_half_is_widened_exactly():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].reshape(-1, 1)
    contest = ranking._Contest(np.ones((1, 1), np.float32), 1)
    exact = finite.astype(np.float32).view(np.int32)
    np.testing.assert_array_equal((contest._widen(finite) * ranking._BIAS).view(np.int32), exact)
    widened = np.empty(finite.shape, np.float32)
    ranking.widen(finite, widened)
    np.testing.assert_array_equal(widened.view(np.int32), exact)


class TestMemoryVectors:
    def test_it_is_the_interface(self):
        assert isinstance(vectors_of([[1, 0]]), Vectors)
        assert (vectors_of([[1, 0]]).dimensions, vectors_of([[1, 0]]).generation) == (2, 0)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32])
    def test_rows_that_are_no_descriptors_are_never_found(self, dtype):
        rows = [[0, 0], [1, 0], [np.nan, 1], [np.inf, 0], [0.6, 0.8]]
        vectors = vectors_of(rows, dtype)
        found = one(vectors, [1, 0], 9)
        assert found.records.tolist() == [2, 5]
        assert found.compared == 2
        assert vectors.records().tolist() == [2, 5]
        assert one(vectors, [1, 0], 9, without=[2]).records.tolist() == [5]
        with pytest.raises(KeyError):
            vectors.of(np.array([2, 3]))

    def test_records_in_any_order(self):
        vectors = MemoryVectors(np.array([9, 2, 5]), unit_rows([[1, 0], [0, 1], [1, 0]]))
        assert vectors.records().tolist() == [2, 5, 9]
        assert one(vectors, [1, 0], 3).records.tolist() == [5, 9, 2]
        assert vectors.of(np.array([2, 9, 2])).tolist() == [[0, 1], [1, 0], [0, 1]]
        for missing in (1, 3, 10):
            with pytest.raises(KeyError, match=str(missing)):
                vectors.of(np.array([2, missing]))

    def test_a_map_of_a_file_is_not_read_at_once(self, tmp_path):
        rng = np.random.default_rng(1)
        rows = unit_rows(rng.standard_normal((3_000, 8))).astype(np.float16)
        rows.tofile(tmp_path / "rows")
        mapped = np.memmap(tmp_path / "rows", np.float16, "r", shape=rows.shape)
        one_way, other = vectors_of(rows, np.float16), MemoryVectors(np.arange(1, 3_001), mapped)
        query = rows[5].astype(np.float32)
        assert one(one_way, query, 50).records.tolist() == one(other, query, 50).records.tolist()
        assert other.of(np.array([4])).dtype == np.float32

    @pytest.mark.parametrize(
        ("records", "rows", "why"),
        [([1, 1], np.ones((2, 1), np.float32), "twice"), ([1], np.ones((1, 1)), "float64")],
    )
    def test_what_it_does_not_take(self, records, rows, why):
        with pytest.raises(ValueError, match=why):
            MemoryVectors(np.array(records), rows)

    def test_another_generation(self):
        vectors = vectors_of([[1, 0]])
        assert len(vectors.of(np.array([1]), generation=0)) == 1
        with pytest.raises(CollectionChangedError):
            vectors.nearest(np.eye(1, 2, dtype=np.float32), 1, generation=1)


class TestKept:
    """The blocks in memory, whatever comes and goes."""

    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 2**32 - 1)), max_size=30))
    def test_they_hold_what_is_there(self, changes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory, "ROWS", 8)
            kept, there, taken = memory.Kept(2), [], []
            for adds, seed in changes:
                rng = np.random.default_rng(seed)
                if adds:
                    new = np.arange(kept.last + 1, kept.last + 1 + rng.integers(0, 20))
                    kept.append(new, np.stack([new, -new], axis=1).astype(np.float16))
                    there += new.tolist()
                elif kept.blocks:
                    place = int(rng.integers(0, len(kept.blocks)))
                    most = int(rng.choice([1, 1, 2, 9]))
                    gone = set(rng.permutation(kept.blocks[place].records)[:most].tolist())
                    there = [record for record in there if record not in gone]
                    kept.retain(place, np.isin(kept.blocks[place].records, there))
                taken.append((kept.blocks, list(there)))
                assert kept.last >= max(there, default=0)
                assert sum(block.count for block in kept.blocks) == len(there)
                assert all(0 < len(block.records) <= 8 for block in kept.blocks)
            # What was taken before a change still holds what it held.
            for blocks, records in taken:
                usable = [slice(None) if block.usable is None else block.usable for block in blocks]
                found = [block.records[rows].tolist() for block, rows in zip(blocks, usable, strict=True)]
                assert [record for some in found for record in some] == records
                for block in blocks:
                    assert block.vectors.astype(int).tolist() == [[r, -r] for r in block.records.tolist()]


class TestSpread:
    @pytest.mark.parametrize("kind", [np.float16, np.float32])
    @pytest.mark.parametrize("queries", [1, 20])
    @pytest.mark.parametrize("threads", [1, 3])
    def test_it_is_known_how_many_have_which_score(self, kind, queries, threads):
        generator = np.random.default_rng(0)
        vectors = generator.standard_normal((20_000, 8)).astype(np.float32)
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(kind)
        records = np.arange(1, len(vectors) + 1)
        asked = vectors[:queries].astype(np.float32)
        without = [5, 17, 30_000]
        found = ranking.nearest_in(
            [ranking.Block(records, vectors)], asked, 3, without=without, threads=threads
        )
        left = np.setdiff1d(records, without) - 1
        for query, item in zip(asked, found, strict=True):
            exact = np.sort(vectors[left].astype(np.float64) @ query)[::-1]
            assert item.spread.sum() == item.compared == len(left)
            for place in (1, 2, 300, len(left)):
                assert item.score_at(place) == pytest.approx(exact[place - 1].clip(-1, 0.999), abs=0.0011)
            assert item.score_at(0) is item.score_at(len(left) + 1) is None
