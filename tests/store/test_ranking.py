import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.store import DescriptorIndex, rank


class Memory:
    """Descriptors 1, 2, 3, ... in blocks of three."""

    def __init__(self, vectors):
        self.vectors = np.asarray(vectors, np.float32)

    def descriptors(self, *, after=0, block=3):
        for start in range(after, len(self.vectors), 3):
            part = self.vectors[start : start + 3]
            yield np.arange(start + 1, start + 1 + len(part)), part

    def descriptors_of(self, records):
        return self.vectors[records - 1]


def unit_rows(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_order_is_score_then_record():
    source = Memory([[0, 1], [1, 0], [0, 1], [1, 0], [-1, 0]])
    records, scores, searched = rank(source, np.array([1, 0], np.float32), 5)
    assert records.tolist() == [2, 4, 1, 3, 5]
    assert scores.tolist() == [1, 1, 0, 0, -1]
    assert searched == 5


def test_more_asked_than_there_are_and_nothing_there():
    source = Memory([[1, 0]])
    assert rank(source, np.array([1, 0], np.float32), 99)[0].tolist() == [1]
    records, scores, searched = rank(Memory(np.empty((0, 2))), np.array([1, 0], np.float32), 5)
    assert (len(records), len(scores), searched) == (0, 0, 0)


def test_records_left_out():
    source = Memory([[1, 0], [0.8, 0.6], [0, 1]])
    records, _, searched = rank(source, np.array([1, 0], np.float32), 2, without=[1])
    assert records.tolist() == [2, 3]
    assert searched == 2


def test_a_negative_top_is_a_callers_bug():
    with pytest.raises(ValueError, match="below 0"):
        rank(Memory([[1, 0]]), np.array([1, 0], np.float32), -1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 5))
def test_against_a_plain_sort_with_many_ties(seed, count, distinct):
    rng = np.random.default_rng(seed)
    kinds = unit_rows(rng.standard_normal((distinct, 7)))
    vectors = kinds[rng.integers(0, distinct, count)]
    query = unit_rows(rng.standard_normal((1, 7)))[0]
    records, scores, _ = rank(Memory(vectors), query, count)
    exact = [float(sum(float(a) * float(b) for a, b in zip(v, query, strict=True))) for v in vectors]
    np.testing.assert_allclose(scores, [exact[r - 1] for r in records], atol=1e-12)
    # Equal descriptors have equal scores to the last digit, so that records decide.
    for place in range(count - 1):
        one, two = records[place], records[place + 1]
        if (vectors[one - 1] == vectors[two - 1]).all():
            assert scores[place] == scores[place + 1]
            assert one < two
    for top in range(count):
        prefix, prefix_scores, _ = rank(Memory(vectors), query, top)
        assert prefix.tolist() == records[:top].tolist()
        assert prefix_scores.tolist() == scores[:top].tolist()


def test_very_many_equal_descriptors_keep_their_order():
    vectors = np.tile(unit_rows([[3, 4]]), (10_000, 1))
    records, scores, _ = rank(Memory(vectors), unit_rows([[3, 4]])[0], 9_000)
    assert records.tolist() == list(range(1, 9_001))
    assert len(set(scores.tolist())) == 1


def test_scores_never_leave_minus_one_to_one():
    long = np.array([[1.0001, 0], [-1.0001, 0]], np.float32)
    assert rank(Memory(long), np.array([1, 0], np.float32), 2)[1].tolist() == [1, -1]


class TestIndexInMemory:
    def same_as_the_file(self, collection, index, query):
        with collection.snapshot():
            index.refresh()
            one, two = rank(index, query, 10), rank(collection, query, 10)
        assert one[0].tolist() == two[0].tolist()
        assert one[1].tolist() == two[1].tolist()
        return one[0].tolist()

    def test_it_follows_what_comes_and_goes(self, collection, fill, unit):
        index = DescriptorIndex(collection)
        assert self.same_as_the_file(collection, index, unit(0)) == []
        fill(collection, range(5))
        assert self.same_as_the_file(collection, index, unit(3))[0] == 4
        fill(collection, range(5, 9))
        assert self.same_as_the_file(collection, index, unit(7))[0] == 8
        with collection.write("test") as writer:
            writer.release([b"/photos/7.jpg", b"/photos/0.jpg"], None)
        found = self.same_as_the_file(collection, index, unit(7))
        assert sorted(found) == [2, 3, 4, 5, 6, 7, 9]
        fill(collection, [20])
        assert self.same_as_the_file(collection, index, unit(20))[0] == 10

    def test_it_reads_nothing_when_nothing_changed(self, collection, fill, monkeypatch):
        fill(collection, range(3))
        index = DescriptorIndex(collection)
        index.refresh()
        monkeypatch.setattr(collection, "descriptors", None)
        monkeypatch.setattr(collection, "record_numbers", None)
        index.refresh()

    def test_a_record_without_descriptor(self, collection, fill):
        fill(collection, range(3))
        index = DescriptorIndex(collection)
        index.refresh()
        with pytest.raises(KeyError):
            index.descriptors_of(np.array([2, 9]))

    def test_blocks_after_a_record(self, collection, fill):
        fill(collection, range(5))
        index = DescriptorIndex(collection)
        index.refresh()
        assert [records.tolist() for records, _ in index.descriptors(after=3)] == [[4, 5]]
        assert list(index.descriptors(after=5)) == []
