"""What is told of the words that pictures share: of all of them, and of parts put together."""

import numpy as np
import pytest

from camseek.matching.codebook import embedded_codebook
from camseek.matching.index import WordsIndex
from camseek.matching.words import QueryWords, WordPoints, summed_signs
from camseek.store.sharing import Moments, ScoredWords, WordsRanking, best_of, looked_up, told_apart

BOOK = embedded_codebook()
NONE = np.empty(0, np.int64)


def points(number, count=40):
    generator = np.random.default_rng(number)
    ones = np.ones(count, np.float32)
    words = generator.integers(0, 60, count).astype(np.uint16)
    signs = np.uint64(0x5555_5555_5555_5555) ^ (np.uint64(1) << generator.integers(0, 8, count, np.uint64))
    return WordPoints(np.zeros((count, 2), np.float32), ones, ones, words, signs, BOOK.tag)


def query(number, count=40):
    own = points(number, count)
    words = own.words[:, None], own.signs[:, None], *summed_signs(own.words, own.signs)
    return QueryWords(own.points, own.scales, own.angles, *words, BOOK.tag)


def index(records):
    made = WordsIndex(BOOK)
    # Every fifth shares nothing: it has no points.
    made.add(records, [points(record, 0 if record % 5 == 0 else 40) for record in records])
    return made


@pytest.mark.parametrize("k", [None, 0, 1, 7, 50, 99])
def test_the_best_are_those_of_a_whole_sort(k):
    generator = np.random.default_rng(0)
    records = np.cumsum(generator.integers(1, 9, 60))
    scores = generator.integers(0, 6, 60) / 8
    wanted = sorted(zip(records, scores, strict=True), key=lambda pair: (-pair[1], pair[0]))[:k]
    found = best_of(records, scores, k)
    assert list(zip(*found, strict=True)) == wanted


@pytest.mark.parametrize("sizes", [(), (0,), (5,), (0, 5, 0), (1, 1), (3, 1000, 2)])
def test_moments_of_parts_are_those_of_all(sizes):
    values = [np.random.default_rng(number).normal(number, 2, size) for number, size in enumerate(sizes)]
    found = Moments.joined([Moments.of(part) for part in values])
    every = np.concatenate([np.empty(0), *values])
    if not len(every):
        assert found == Moments()
        assert found.deviation == 0
        return
    assert (found.count, found.best) == (len(every), every.max())
    assert (found.mean, found.deviation) == pytest.approx((every.mean(), every.std()), rel=1e-12)


class TestScoredWords:
    def test_it_is_a_plain_loop(self):
        words = index(range(1, 31))
        queries = [query(3), query(4), query(90)]
        asked = np.array([5, 99, 17])
        found = ScoredWords(words).ranked(queries, 8, without={2, 4}, own={3}, asked=asked)
        records, _ = words.scores(queries[0])
        sums = {
            record: sum(words.scores(one)[1][place] for one in queries) / 3
            for place, record in enumerate(records.tolist())
            if record not in (2, 4)
        }
        best = sorted(sums, key=lambda record: (-sums[record], record))[:8]
        assert found.records.tolist() == best
        assert found.scores.tolist() == pytest.approx([sums[record] for record in best], rel=1e-12)
        assert found.compared == 28
        others = told_apart(np.array([score for record, score in sums.items() if record != 3]))
        told = found.moments.mean, found.moments.deviation, found.moments.best, found.moments.count
        assert told == pytest.approx((others.mean(), others.std(), others.max(), 27), rel=1e-12)
        assert found.asked[[0, 2]].tolist() == pytest.approx([0, sums[17]])
        assert np.isnan(found.asked[1])
        shown = found.of(np.array([17, best[0], 1000]), asked)
        assert shown[:2].tolist() == pytest.approx([sums[17], sums[best[0]]])
        assert np.isnan(shown[2])

    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    def test_parts_together_are_the_whole(self, count):
        queries = [query(3), query(8), query(91)]
        asked = np.array([1, 6, 11, 99])
        whole = ScoredWords(index(range(1, 60))).ranked(queries, 9, without={4}, own={3}, asked=asked)
        parts = [ScoredWords(index(range(1 + part, 60, count))) for part in range(count)]
        each = [part.counts(queries) for part in parts]
        counts = [sum(some[1:], some[0]) for some in zip(*each, strict=True)]
        found = WordsRanking.joined(
            [part.ranked(queries, 9, without={4}, own={3}, asked=asked, counts=counts) for part in parts],
            9,
        )
        assert found.records.tolist() == whole.records.tolist()
        assert found.scores.tolist() == whole.scores.tolist(), "weights are those of all pictures"
        assert found.compared == whole.compared
        np.testing.assert_array_equal(found.asked, whole.asked)
        assert found.moments.count == whole.moments.count
        told = [(one.mean, one.variance, one.best) for one in (found.moments, whole.moments)]
        assert told[0] == pytest.approx(told[1], rel=1e-12)

    def test_the_first_query_is_compared_once(self):
        words, asked = index(range(1, 20)), []
        scores = words.scores
        words.scores = lambda query, **more: asked.append(query) or scores(query, **more)
        search = ScoredWords(words)
        first, second = query(3), query(4)
        one = search.ranked([first], 5, asked=NONE)
        # Another process has a copy of it.
        both = search.ranked([query(3), second], 5, asked=NONE)
        assert [len(asked), asked[1] is second] == [2, True]
        assert search.ranked([first], 5, asked=NONE).scores.tolist() == one.scores.tolist()
        assert len(asked) == 2
        assert both.records.tolist() != one.records.tolist()

    def test_without_words_there_is_nothing_to_ask(self):
        with pytest.raises(ValueError, match="no words"):
            ScoredWords(index([1])).ranked([], 5, asked=NONE)

    def test_of_nothing(self):
        found = ScoredWords(index([])).ranked([query(1)], 5, asked=np.array([4]))
        assert (found.records.tolist(), found.compared, found.moments) == ([], 0, Moments())
        assert np.isnan(found.asked).all()


def test_the_last_that_knows_a_record_decides():
    known = (np.array([1, 2]), np.array([0.1, 0.2])), (np.array([2, 3]), np.array([0.5, 0.6]))
    found = looked_up(np.array([3, 2, 1, 9]), *known)
    assert found[:3].tolist() == [0.6, 0.5, 0.1]
    assert np.isnan(found[3])
