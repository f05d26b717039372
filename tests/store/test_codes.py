"""Codes of descriptors: what they say, the file they lie in, and what they propose."""

import numpy as np
import pytest

from camseek.store import MemoryVectors, codes, proposing
from camseek.store.codes import Axes, Scratch
from camseek.store.codes_file import read_codes, write_codes
from camseek.store.memory import Kept
from camseek.store.proposing import nearest_by_codes
from camseek.store.ranking import Block

MAGIC = b"camseek codes 1\n"
DAMAGED = "no file of codes|descriptors of|more than it can be|is not|checksum"


def structured(count, dimensions, seed=0, power=0.7):
    """Unit vectors whose numbers vary less and less, as those of photographs do along their axes."""
    generator = np.random.default_rng(seed)
    falls = np.arange(1, dimensions + 1) ** -power
    vectors = (generator.standard_normal((count, dimensions)) * falls + 2 * falls).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Held:
    """Descriptors, their codes, and how many were read."""

    def __init__(self, vectors, *, gone=()):
        self.vectors = vectors.astype(np.float16)
        self.records = 3 * np.arange(1, len(vectors) + 1)
        self.axes = Axes.fit(vectors[: codes.SAMPLE], len(vectors))
        self.kept = Kept(self.axes.width, np.uint8, self.records, self.axes.encode(self.vectors))
        self.gone = np.array(gone, np.int64)
        self.read = 0

    def stored(self, records):
        assert (np.diff(records) > 0).all()
        self.read += len(records)
        places = np.searchsorted(self.records, np.setdiff1d(records, self.gone))
        return Block(self.records[places], self.vectors[places])

    def nearest(self, queries, k, *, without=(), threads=1):
        left_out = np.array(sorted(without), np.int64)
        return nearest_by_codes(
            self.kept.blocks, self.axes, queries, k, read=self.stored, left_out=left_out, threads=threads
        )

    def exact(self, queries, k, *, without=()):
        return MemoryVectors(self.records, self.vectors).nearest(queries, k, without=without)


def beside(vectors, seed=1, apart=0.1):
    """Queries near vectors."""
    generator = np.random.default_rng(seed)
    near = vectors + apart * structured(len(vectors), vectors.shape[1], seed) * generator.choice(
        [-1, 1], vectors.shape
    ).astype(np.float32)
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


class TestAxes:
    @pytest.mark.parametrize("dimensions", [1, 2, 7, 40])
    def test_products_are_those_of_the_numbers_that_codes_stand_for(self, dimensions):
        vectors = structured(50, dimensions)
        axes = Axes.fit(vectors, 50)
        coded = axes.encode(vectors.astype(np.float16))
        queries = beside(vectors[:3])
        out = np.empty((3, 50), np.float32)
        Scratch(64, axes.width).products(coded, [axes.query(query) for query in queries], out)
        for row, code in enumerate(coded.tolist()):
            *packed, low, high = code
            levels = [byte & 15 for byte in packed] + [byte >> 4 for byte in packed]
            stood_for = axes.mean.astype(float)
            for level, direction in zip(levels, axes.directions.T, strict=True):
                stood_for = stood_for + (level - 7.5) * (low + 256 * high) / 65536 * direction
            np.testing.assert_allclose(out[:, row], queries @ stood_for, atol=1e-5)

    def test_rough_scores_are_nearly_right(self):
        vectors = structured(3000, 60)
        held = Held(vectors)
        out = np.empty((1, 3000), np.float32)
        Scratch(3000, held.axes.width).products(
            np.concatenate([block.vectors for block in held.kept.blocks]),
            [held.axes.query(vectors[7])],
            out,
        )
        exact = held.vectors.astype(np.float32) @ vectors[7]
        assert np.abs(out[0] - exact).std() < 0.13 * exact.std()

    def test_equal_samples_give_equal_axes(self):
        one, two = (Axes.fit(structured(300, 30), 9) for _ in range(2))
        assert (one.mean == two.mean).all()
        assert (one.directions == two.directions).all()

    def test_more_dimensions_than_axes(self, monkeypatch):
        monkeypatch.setattr(codes, "_MOST", 8)
        axes = Axes.fit(structured(300, 30), 300)
        assert axes.width == 4 + 2
        assert axes.directions.shape == (30, 8)

    @pytest.mark.parametrize("count", [2, 5])
    def test_samples_that_hardly_differ(self, count):
        vectors = np.repeat(structured(1, 30), count, axis=0)
        held = Held(vectors)
        [found] = held.nearest(vectors[:1], 2)
        assert found.records.tolist() == [3, 6]
        np.testing.assert_allclose(found.scores, 1, atol=1e-3)

    @pytest.mark.parametrize(
        ("part", "value"),
        [("mean", np.nan), ("mean", 3), ("directions", np.inf), ("directions", 3)],
    )
    def test_numbers_that_are_no_axes(self, part, value):
        axes = Axes.fit(structured(300, 30), 300)
        parts = {"mean": axes.mean.copy(), "directions": axes.directions.copy()}
        parts[part].flat[3] = value
        with pytest.raises(ValueError, match="no axes"):
            Axes(**parts, fitted=1)

    def test_numbers_that_no_writer_wrote_have_codes(self):
        vectors = structured(300, 30)
        axes = Axes.fit(vectors, 300)
        odd = vectors.astype(np.float16)
        odd[0], odd[1, 3], odd[2, 4] = np.nan, np.inf, -np.inf
        assert (axes.encode(odd)[3:] == axes.encode(vectors.astype(np.float16))[3:]).all()


@pytest.fixture(scope="module")
def many():
    return Held(structured(20_000, 96))


class TestProposing:
    @pytest.fixture
    def held(self, many):
        return many

    @pytest.mark.parametrize("k", [1, 100, 400])
    def test_what_is_found_is_what_comparing_all_finds(self, held, k):
        queries = beside(held.vectors[:10].astype(np.float32))
        for found, wanted in zip(held.nearest(queries, k), held.exact(queries, k), strict=True):
            assert np.isin(wanted.records, found.records).mean() >= 0.995
            same = np.isin(found.records, wanted.records)
            assert (
                found.scores[same].tolist() == wanted.scores[np.isin(wanted.records, found.records)].tolist()
            )
            assert found.compared == wanted.compared == 20_000
            assert found.moments() == pytest.approx(wanted.moments(), abs=0.005)
            assert found.score_at(200) == pytest.approx(wanted.score_at(200), abs=0.0031)
            assert found.spread.sum() == 20_000
            assert (found.spread >= 0).all()

    def test_few_are_read(self, held):
        held.read = 0
        held.nearest(beside(held.vectors[:1].astype(np.float32)), 20)
        assert held.read < 1000

    @pytest.mark.parametrize("k", [1, 50])
    def test_axes_that_miss_much_have_more_read(self, monkeypatch, k):
        """Where codes are rougher than the descriptors near the last place are apart."""
        monkeypatch.setattr(codes, "_MOST", 16)
        monkeypatch.setattr(proposing, "_LEAST", 16)
        held = Held(structured(4000, 64, power=0.3))
        queries = beside(held.vectors[:8].astype(np.float32))
        kept = []
        for found, wanted in zip(held.nearest(queries, k), held.exact(queries, k), strict=True):
            kept.append(np.isin(wanted.records, found.records).mean())
            # Codes miss a third of what scores vary by, and it is told all the same.
            assert found.moments() == pytest.approx(wanted.moments(), rel=0.15)
            assert found.spread.sum() == wanted.compared
        assert np.mean(kept) >= 0.99
        assert held.read > 2 * 8 * (2 * k + 16)

    def test_the_same_on_any_number_of_threads(self, held, monkeypatch):
        monkeypatch.setattr("camseek.store.memory.ROWS", 512)
        monkeypatch.setattr(proposing, "_ROWS", 100)
        monkeypatch.setattr(proposing, "_AT_ONCE", 40)
        other = Held(held.vectors.astype(np.float32)[:5000])
        queries = beside(held.vectors[:9].astype(np.float32))
        one, more = (other.nearest(queries, 30, threads=threads) for threads in (1, 3))
        for first, second in zip(one, more, strict=True):
            assert first.records.tolist() == second.records.tolist()
            assert first.scores.tolist() == second.scores.tolist()
            assert first.spread.tolist() == second.spread.tolist()

    def test_equal_descriptors_stand_by_record_however_many(self, monkeypatch):
        monkeypatch.setattr(proposing, "_LEAST", 4)
        monkeypatch.setattr(proposing, "_BESIDE", 30)
        vectors = structured(400, 20)
        vectors[100:300] = vectors[100]
        held = Held(vectors)
        for k in (1, 5, 60):
            [found] = held.nearest(vectors[100:101], k)
            assert found.records.tolist() == (3 * np.arange(101, 101 + k)).tolist()

    def test_the_first_k_are_a_prefix_of_more(self, held):
        queries = beside(held.vectors[:3].astype(np.float32))
        longest = held.nearest(queries, 120)
        for k in (0, 1, 2, 30, 119):
            for found, longer in zip(held.nearest(queries, k), longest, strict=True):
                assert found.records.tolist() == longer.records[:k].tolist()

    def test_records_left_out_and_records_that_have_gone(self):
        vectors = structured(600, 20)
        held = Held(vectors, gone=[6, 9])
        [found] = held.nearest(vectors[1:2], 50, without={12, 15, 10**15})
        [wanted] = held.exact(vectors[1:2], 50, without={6, 9, 12, 15})
        assert found.records.tolist() == wanted.records.tolist()
        assert found.compared == 598

    def test_nobody_asks_and_nothing_is_there(self):
        held = Held(structured(50, 20))
        assert held.nearest(np.empty((0, 20), np.float32), 3) == []
        [none] = held.nearest(structured(1, 20), 3, without=held.records.tolist())
        assert (len(none.records), none.compared) == (0, 0)
        held.gone = held.records
        [none] = held.nearest(structured(1, 20), 3)
        assert len(none.records) == 0


class TestFile:
    @pytest.fixture
    def held(self, monkeypatch):
        monkeypatch.setattr("camseek.store.memory.ROWS", 64)
        return Held(structured(200, 30))

    def test_it_is_read_as_it_was_written(self, held, tmp_path):
        alive = np.ones(64, np.bool_)
        alive[[3, 7]] = False
        held.kept.retain(1, alive)
        write_codes(tmp_path / "codes", held.axes, held.kept.blocks, b"of now")
        found, stamp = read_codes(tmp_path / "codes", 30, 200)
        assert stamp == b"of now"
        left = np.delete(np.arange(200), [64 + 3, 64 + 7])
        assert found.records.tolist() == held.records[left].tolist()
        assert (found.codes == held.axes.encode(held.vectors)[left]).all()
        assert (found.axes.directions == held.axes.directions).all()
        assert (found.axes.mean == held.axes.mean).all()
        assert found.axes.fitted == 200

    @pytest.mark.parametrize("place", [0, 5, 17, 21, 25, 33, 41, 45, 49, 53, 56, 330, 1500, -2000, -1])
    def test_a_byte_that_is_another_is_noticed(self, held, tmp_path, place):
        write_codes(tmp_path / "codes", held.axes, held.kept.blocks, b"of now")
        content = bytearray((tmp_path / "codes").read_bytes())
        before = content[place]
        content[place] ^= 64
        assert content[place] != before
        (tmp_path / "codes").write_bytes(content)
        with pytest.raises(ValueError, match=DAMAGED):
            read_codes(tmp_path / "codes", 30, 200)

    @pytest.mark.parametrize(
        "content", [b"", b"text", b"camseek codes 1\n", b"camseek codes 1\n" + b"\xff" * 500]
    )
    def test_what_is_no_file_of_codes(self, tmp_path, content):
        (tmp_path / "codes").write_bytes(content)
        with pytest.raises(ValueError, match=DAMAGED):
            read_codes(tmp_path / "codes", 30, 200)

    def test_another_length_and_more_than_there_can_be(self, held, tmp_path):
        write_codes(tmp_path / "codes", held.axes, held.kept.blocks, b"")
        for dimensions, most, why in ((31, 200, "of 30 numbers, not 31"), (30, 199, "more than it can be")):
            with pytest.raises(ValueError, match=why):
                read_codes(tmp_path / "codes", dimensions, most)
        content = (tmp_path / "codes").read_bytes()
        (tmp_path / "codes").write_bytes(content[:-1])
        with pytest.raises(ValueError, match="is not"):
            read_codes(tmp_path / "codes", 30, 200)

    def test_checksums_that_are_right_prove_nothing(self, held, tmp_path):
        records = held.records[::-1].copy()
        codes_of = Kept(held.axes.width, np.uint8, records, held.axes.encode(held.vectors))
        write_codes(tmp_path / "codes", held.axes, codes_of.blocks, b"")
        with pytest.raises(ValueError, match="do not rise"):
            read_codes(tmp_path / "codes", 30, 200)
        held.axes.directions[3, 4] = np.nan
        write_codes(tmp_path / "codes", held.axes, held.kept.blocks, b"")
        with pytest.raises(ValueError, match="no axes"):
            read_codes(tmp_path / "codes", 30, 200)
