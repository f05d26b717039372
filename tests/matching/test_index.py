import errno
import os
import shutil
import struct
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from camseek.matching import index as index_module
from camseek.matching import lists as lists_module
from camseek.matching import mapped as mapped_module
from camseek.matching.codebook import Codebook
from camseek.matching.index import WordsIndex
from camseek.matching.words import QueryWords, WordPoints, summed_signs


def codebook(words, seed=0):
    rng = np.random.default_rng(seed)
    parts = (rng.normal(size=shape) for shape in (128, (128, 64), (words, 64)))
    return Codebook(*(part.astype(np.float16).astype(np.float32) for part in parts))


BOOK = codebook(30)
BASES = np.random.default_rng(9).integers(0, 2**64, 30, dtype=np.uint64)


def picture(seed, count=12, words=30, book=BOOK):
    """Points whose signs are near those that all pictures have for the word."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, words, count).astype(np.uint16)
    flips = rng.integers(0, 2**64, (3, count), dtype=np.uint64)
    nothing = np.zeros(count, np.float32)
    signs = BASES[numbers % 30] ^ (flips[0] & flips[1] & flips[2])
    return WordPoints(np.zeros((count, 2), np.float32), nothing + 1, nothing, numbers, signs, book.tag)


def query(seed, count=20, words=30, book=BOOK):
    points = picture(seed, count, words, book)
    terms, signs = summed_signs(points.words, points.signs)
    own = points.words[:, None], points.signs[:, None]
    return QueryWords(points.points, points.scales, points.angles, *own, terms, signs, book.tag)


def entries(points):
    return reference.majority(points.words.tolist(), points.signs.tolist())


def filled(seeds, book=BOOK):
    made = WordsIndex(book)
    made.add(list(seeds), [picture(seed) for seed in seeds])
    return made


def equal(one, other, seed=99):
    return all(
        np.array_equal(mine, theirs)
        for mine, theirs in zip(one.scores(query(seed)), other.scores(query(seed)), strict=True)
    )


@pytest.fixture
def small_steps(monkeypatch):
    """Lists are made, merged and read in parts already where there are few entries."""
    monkeypatch.setattr(index_module, "_FRESH", 25)
    monkeypatch.setattr(lists_module, "_ENTRIES", 7)
    monkeypatch.setattr(lists_module, "_LONG", 5)
    monkeypatch.setattr(lists_module, "_AT_ONCE", 3)


class TestSummedSigns:
    @pytest.mark.parametrize(("count", "words"), [(0, 3), (1, 3), (40, 30), (60, 4), (7, 1)])
    def test_against_loops(self, count, words):
        rng = np.random.default_rng(count)
        numbers = rng.integers(0, words, count).astype(np.uint16)
        signs = rng.integers(0, 2**64, count, dtype=np.uint64)
        terms, joint = summed_signs(numbers, signs)
        expected = reference.majority(numbers.tolist(), signs.tolist())
        assert dict(zip(terms.tolist(), joint.tolist(), strict=True)) == expected
        assert (terms.dtype, joint.dtype) == (np.uint16, np.uint64)

    def test_in_a_tie_the_strongest_decides(self):
        _, joint = summed_signs(np.array([5, 5], np.uint16), np.array([3, 12], np.uint64))
        assert joint.tolist() == [3]


class TestScores:
    @pytest.mark.parametrize("count", [1, 2, 9, 60])
    def test_against_loops(self, count, small_steps):
        made = filled(range(100, 100 + count))
        sought = query(7)
        asked = dict(zip(sought.terms.tolist(), sought.term_signs.tolist(), strict=True))
        pictures = [entries(picture(seed)) for seed in range(100, 100 + count)]
        records, scores = made.scores(sought)
        assert records.tolist() == list(range(100, 100 + count))
        np.testing.assert_allclose(scores, reference.shared_words(asked, pictures), rtol=1e-4)
        assert ((scores >= 0) & (scores <= 1)).all()

    def test_threads_change_nothing(self, small_steps, monkeypatch):
        made, sought, asked = filled(range(60)), query(3), []
        expected = made.scores(sought)
        ordered = lists_module.ordered

        def told(work, parts, *, workers):
            asked.append(workers)
            return ordered(work, parts, workers=workers)

        monkeypatch.setattr(lists_module, "ordered", told)
        made.scores(sought, workers=3)  # there is not much to look at
        assert not asked
        monkeypatch.setattr(lists_module, "_SHARED", 1)
        for _ in range(3):
            for mine, theirs in zip(made.scores(sought, workers=3), expected, strict=True):
                np.testing.assert_array_equal(mine, theirs)
        assert set(asked) == {3}

    def test_itself_comes_first(self):
        made = filled(range(50))
        records, scores = made.scores(query(17, 12))
        assert records[scores.argmax()] == 17
        assert scores.max() > 2 * np.sort(scores)[-2]

    def test_nothing_shared_is_zero(self):
        made = filled([1, 2])
        made.add([3, 4], [picture(3, 0), picture(4)])
        records, scores = made.scores(query(5, 0))
        assert records.tolist() == [1, 2, 3, 4]
        assert scores.tolist() == [0, 0, 0, 0]
        assert made.scores(query(5))[1][2] == 0

    def test_of_nothing(self):
        records, scores = WordsIndex(BOOK).scores(query(1))
        assert len(records) == len(scores) == 0
        assert scores.dtype == np.float64

    def test_other_codebooks(self):
        other = codebook(30, seed=1)
        with pytest.raises(ValueError, match="record 4: the words are of another codebook"):
            WordsIndex(BOOK).add([4], [picture(1, book=other)])
        with pytest.raises(ValueError, match="query are of another codebook"):
            WordsIndex(BOOK).scores(query(1, book=other))
        with pytest.raises(ValueError, match="record 4: there are words that the codebook has not"):
            WordsIndex(BOOK).add([4], [picture(1, 50, words=31)])
        with pytest.raises(ValueError, match="shorter"):
            WordsIndex(BOOK).add([4, 5], [picture(1)])


class TestChanges:
    @settings(max_examples=60)
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 25)), max_size=70), st.data())
    def test_only_what_is_there_counts(self, steps, data):
        """Whatever came and went, in whatever order: the scores are, bit by bit, those of a fresh index."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(index_module, "_FRESH", data.draw(st.integers(1, 90)))
            patch.setattr(lists_module, "_ENTRIES", data.draw(st.integers(1, 200)))
            patch.setattr(lists_module, "_LONG", data.draw(st.integers(1, 20)))
            made, there = WordsIndex(BOOK), set()
            for adds, seed in steps:
                if adds:
                    made.add([seed], [picture(seed)])
                    there.add(seed)
                else:
                    assert made.remove(seed) == (seed in there)
                    there.discard(seed)
            fresh = filled(sorted(there, reverse=True))
            assert len(made) == len(there)
            assert equal(made, fresh)

    def test_a_record_that_comes_again_is_replaced(self, small_steps):
        made = filled(range(10))
        made.add([4, 9], [picture(104), picture(4)])
        fresh = WordsIndex(BOOK)
        seeds = [*range(4), 104, *range(5, 9), 4]
        fresh.add(list(range(10)), [picture(seed) for seed in seeds])
        assert len(made) == 10
        assert equal(made, fresh)

    def test_lists_stay_few(self, small_steps):
        made = filled(range(300))
        assert len(made._lists) < 10
        sizes = [part.entries for part in made._lists]
        assert all(large >= 2 * small for large, small in pairwise(sizes))

    def test_those_taken_out_take_no_room_for_long(self, small_steps):
        made = filled(range(200))
        for record in range(150):
            made.remove(record)
        made.add(list(range(300, 310)), [picture(seed) for seed in range(300, 310)])
        assert sum(len(part.records) for part in made._lists) < 100

    def test_lists_that_lose_all_their_pictures_go(self, small_steps):
        made = filled(range(60))
        for record in range(60):
            made.remove(record)
        assert len(made) == 0
        assert made.scores(query(1))[0].tolist() == []
        for seed in range(100, 140):
            made.add([seed], [picture(seed)])
        assert all(part.there for part in made._lists)
        assert equal(made, filled(range(100, 140)))

    def test_searches_beside_additions(self, small_steps):
        made, faults = filled(range(40)), []

        def search():
            for _ in range(50):
                records, scores = made.scores(query(3))
                if len(records) != len(scores) or (np.diff(records) <= 0).any() or len(records) < 40:
                    faults.append(len(records))

        threads = [threading.Thread(target=search) for _ in range(2)]
        for thread in threads:
            thread.start()
        for seed in range(100, 160):
            made.add([seed], [picture(seed)])
            made.remove(seed)
        for thread in threads:
            thread.join()
        assert not faults
        assert equal(made, filled(range(40)))


class TestAside:
    """Large parts lie in files without a name."""

    @pytest.fixture(autouse=True)
    def little_is_held(self, small_steps, monkeypatch):
        monkeypatch.setattr(index_module, "_HELD", 60)

    def filled(self, folder, seeds):
        made = WordsIndex(BOOK, folder)
        made.add(list(seeds), [picture(seed) for seed in seeds])
        return made

    def test_the_same_is_found(self, tmp_path):
        made, other = self.filled(tmp_path, range(120)), filled(range(120))
        large = [part for part in made._lists if part.entries > 60]
        assert large
        assert not any(part.signs.flags.owndata or part.signs.flags.writeable for part in large)
        assert os.listdir(tmp_path) == []
        for index in (made, other):
            for record in range(0, 80, 3):
                index.remove(record)
            index.add([5, 300], [picture(105), picture(300)])
        assert equal(made, other)
        made.check()
        for index, name in ((made, "one"), (other, "two")):
            index.save(tmp_path / name)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

    def test_without_room_all_is_held(self, tmp_path):
        made = self.filled(tmp_path / "none", range(60))
        assert all(part.signs.flags.owndata for part in made._lists)
        assert equal(made, filled(range(60)))

    def test_a_disk_that_fills_up(self, tmp_path, monkeypatch):
        """What was put down before stays in use, and the rest is held."""
        write, written = mapped_module._write, []

        def full(*arguments):
            write(*arguments)
            written.append(arguments)
            if len(written) > 1:
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(mapped_module, "_write", full)
        made = self.filled(tmp_path, range(120))
        assert len(written) > 1
        assert equal(made, filled(range(120)))
        assert os.listdir(tmp_path) == []

    def test_others_keep_room_on_the_disk(self, tmp_path, monkeypatch):
        usage = shutil.disk_usage(tmp_path)._replace(free=2000)
        monkeypatch.setattr(mapped_module.shutil, "disk_usage", lambda folder: usage)
        made = self.filled(tmp_path, range(60))
        assert all(part.signs.flags.owndata for part in made._lists)
        assert equal(made, filled(range(60)))

    def test_one_that_was_opened(self, tmp_path):
        filled(range(40)).save(tmp_path / "words")
        made = WordsIndex.open(tmp_path / "words", BOOK, aside=tmp_path)
        made.add(list(range(100, 200)), [picture(seed) for seed in range(100, 200)])
        assert equal(made, filled([*range(40), *range(100, 200)]))
        assert os.listdir(tmp_path) == ["words"]


class TestFile:
    @pytest.mark.parametrize("count", [0, 1, 40])
    def test_there_and_back(self, tmp_path, count, small_steps):
        made = filled(range(count))
        made.save(tmp_path / "words", b"of 12")
        again = WordsIndex.open(tmp_path / "words", BOOK)
        assert again.stamp == b"of 12"
        assert len(again) == count
        assert equal(made, again)

    def test_changes_after_opening(self, tmp_path, small_steps):
        filled(range(30)).save(tmp_path / "words")
        made = WordsIndex.open(tmp_path / "words", BOOK)
        made.remove(3)
        made.remove(29)
        made.add([50, 4], [picture(50), picture(104)])
        fresh = filled([*range(3), *range(5, 29), 50])
        fresh.add([4], [picture(104)])
        assert equal(made, fresh)
        made.save(tmp_path / "words", b"x")  # over the file that it is mapped from
        assert equal(made, fresh)
        again = WordsIndex.open(tmp_path / "words", BOOK)
        assert equal(again, fresh)
        assert again.stamp == b"x"

    def test_other_codebooks(self, tmp_path):
        filled(range(3)).save(tmp_path / "words")
        for book in (codebook(30, seed=1), codebook(31)):
            with pytest.raises(ValueError, match="another codebook"):
                WordsIndex.open(tmp_path / "words", book)

    def test_a_long_stamp(self, tmp_path):
        with pytest.raises(ValueError, match="at most 255 bytes"):
            filled([1]).save(tmp_path / "words", bytes(256))
        assert list(tmp_path.iterdir()) == []

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            WordsIndex.open(tmp_path / "words", BOOK)

    @pytest.mark.parametrize("size", [0, 10, 43, 302, 303, 2000])
    def test_cut_short(self, tmp_path, size):
        place = tmp_path / "words"
        filled(range(30)).save(place)
        place.write_bytes(place.read_bytes()[:size])
        with pytest.raises(ValueError, match="index"):
            WordsIndex.open(place, BOOK)

    def test_any_changed_byte_is_refused_or_harmless(self, tmp_path):
        """Of entries that were changed scores are wrong at worst; everything else is noticed on opening."""
        place = tmp_path / "words"
        made = filled(range(12))
        made.save(place, b"stamp")
        whole, sought = place.read_bytes(), query(99)
        before = made.scores(sought)[0]
        refused = 0
        for position in range(0, len(whole), 7):
            changed = bytearray(whole)
            changed[position] ^= 0xFF
            place.unlink()
            place.write_bytes(changed)
            try:
                records, scores = WordsIndex.open(place, BOOK).scores(sought)
            except ValueError:
                refused += 1
                continue
            assert np.array_equal(records, before)
            assert np.isfinite(scores).all()
        assert refused > 60

    @pytest.mark.parametrize(
        ("place", "numbers"),
        [
            (24, struct.pack("<Q", 2**62)),
            (32, struct.pack("<Q", 2**62)),
            (40, struct.pack("<I", 2**32 - 1)),
        ],
    )
    def test_absurd_sizes(self, tmp_path, place, numbers):
        path = tmp_path / "words"
        filled(range(12)).save(path)
        data = path.read_bytes()
        path.write_bytes(data[:place] + numbers + data[place + len(numbers) :])
        with pytest.raises(ValueError, match="is not"):
            WordsIndex.open(path, BOOK)

    def test_entries_of_no_picture(self, tmp_path, small_steps):
        path = tmp_path / "words"
        filled(range(12)).save(path)
        made = WordsIndex.open(path, BOOK)
        [part] = made._lists
        data = bytearray(path.read_bytes())
        begin = len(data) - 8 * part.entries
        begin = (begin - 4 * part.entries) // 64 * 64
        data[begin : begin + 4 * part.entries] = b"\xff" * (4 * part.entries)
        path.unlink()
        path.write_bytes(data)
        made = WordsIndex.open(path, BOOK)
        with pytest.raises(ValueError, match="of no picture"):
            made.scores(query(1))
        with pytest.raises(ValueError, match="of no picture"):
            made.save(tmp_path / "again")
        assert not (tmp_path / "again").exists()
