import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import reference
from camseek.matching.words import (
    ALIKE,
    MAX_POINTS,
    QueryWords,
    WordPoints,
    alikeness,
    correspondences,
    correspondences_in,
)

SIDES = st.integers(1, 100_000)


def points(count, size=(640, 480), seed=0, words=50):
    rng = np.random.default_rng(seed)
    return WordPoints(
        (rng.random((count, 2)) * size).astype(np.float32),
        (rng.random(count) * 60 + 1).astype(np.float32),
        (rng.random(count) * 2 * np.pi).astype(np.float32),
        rng.integers(0, words, count).astype(np.uint16),
        rng.integers(0, 2**64, count, dtype=np.uint64),
        7,
    )


def query(picture, seed=1, assignments=3, words=50):
    """A query whose points are those of a picture, with some of their signs flipped, and further words."""
    rng = np.random.default_rng(seed)
    count = len(picture)
    numbers = np.zeros((count, assignments), np.uint16)
    for row, own in zip(numbers, picture.words, strict=True):
        others = rng.permutation(words)
        row[:] = [own, *others[others != own][: assignments - 1]]
    flips = rng.integers(0, 2**64, (count, assignments), dtype=np.uint64)
    flips &= rng.integers(0, 2**64, (count, assignments), dtype=np.uint64)
    return QueryWords(
        picture.points,
        picture.scales,
        picture.angles,
        numbers,
        picture.signs[:, None] ^ flips,
        np.unique(numbers),
        np.zeros(len(np.unique(numbers)), np.uint64),
        7,
    )


def same(one, other):
    parts = ("points", "scales", "angles", "words", "signs", "codebook")
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in parts)


class TestPacked:
    def test_what_is_kept(self):
        size = (640, 480)
        given_points = points(300, size)
        data = given_points.pack(size)
        assert len(data) == 10 + 16 * 300
        read = WordPoints.unpack(data, size)
        assert np.array_equal(read.words, given_points.words)
        assert np.array_equal(read.signs, given_points.signs)
        assert read.codebook == 7
        off = np.abs(read.points - given_points.points)
        assert (off <= np.array(size) / 131072 + 1e-4).all()
        assert (np.abs(np.log(read.scales / given_points.scales)) < 0.019).all()
        turned = np.abs(read.angles - given_points.angles)
        assert (np.minimum(turned, 2 * np.pi - turned) <= np.pi / 256 + 1e-6).all()

    def test_bytes_by_hand(self):
        one = WordPoints(
            np.array([[320, 120]], np.float32),
            np.array([640], np.float32),
            np.array([np.pi], np.float32),
            np.array([258], np.uint16),
            np.array([5], np.uint64),
            0x01020304,
        )
        expected = "637770 31 04030201 0100 0500000000000000 0201 0080 0040 ff 80"
        assert one.pack((640, 480)) == bytes.fromhex(expected)

    @given(hnp.arrays(np.uint8, st.integers(0, 20).map(lambda count: 16 * count)), SIDES, SIDES)
    def test_whatever_the_bytes(self, raw, width, height):
        """Any points that can be written down lie within the picture, are numbers, and pack to themselves."""
        data = b"cwp1" + bytes(4) + (len(raw) // 16).to_bytes(2, "little") + raw.tobytes()
        read = WordPoints.unpack(data, (width, height))
        assert read.pack((width, height)) == data
        assert np.isfinite(read.points).all()
        assert ((read.points >= 0) & (read.points <= [width, height])).all()
        assert (np.isfinite(read.scales) & (read.scales > 0)).all()
        assert (read.scales <= max(width, height) * 1.001).all()
        assert ((read.angles >= 0) & (read.angles < 2 * np.pi)).all()

    def test_none(self):
        nothing = points(0)
        read = WordPoints.unpack(nothing.pack((5, 5)), (5, 5))
        assert len(read) == 0
        assert read.points.shape == (0, 2)

    def test_points_on_the_far_border_and_of_any_scale(self):
        given_points = WordPoints(
            np.array([[640, 480], [0, 0], [700, -5]], np.float32),
            np.array([1e6, 1e-6, 3], np.float32),
            np.array([np.nextafter(np.float32(2 * np.pi), np.float32(0)), 0, 1], np.float32),
            np.array([65535, 0, 1], np.uint16),
            np.array([2**64 - 1, 0, 1], np.uint64),
            2**32 - 1,
        )
        read = WordPoints.unpack(given_points.pack((640, 480)), (640, 480))
        assert ((read.points >= 0) & (read.points <= [640, 480])).all()
        np.testing.assert_allclose(read.scales[:2], [640, 640 / 8192], rtol=0.02)
        assert np.array_equal(read.words, given_points.words)
        assert np.array_equal(read.signs, given_points.signs)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[:9],
            lambda data: data[:-1],
            lambda data: data + b"\0",
            lambda data: b"x" + data[1:],
            lambda data: b"cwp2" + data[4:],
            lambda data: data[:8] + b"\xff\xff" + data[10:],
            lambda data: data[:8] + b"\xff\xff" + data[10:] + bytes(16 * (65535 - 20)),
        ],
    )
    def test_damaged(self, damage):
        with pytest.raises(ValueError, match="points"):
            WordPoints.unpack(damage(points(20).pack((640, 480))), (640, 480))

    @given(st.binary(max_size=64))
    def test_any_bytes_are_refused_or_read(self, data):
        try:
            read = WordPoints.unpack(data, (30, 20))
        except ValueError:
            return
        assert read.pack((30, 20)) == data

    def test_callers_mistakes(self):
        with pytest.raises(ValueError, match="cannot pack 4097 points"):
            points(MAX_POINTS + 1).pack((640, 480))
        with pytest.raises(ValueError, match="of 0 x 5 pixels"):
            points(1).pack((0, 5))
        with pytest.raises(ValueError, match="of 0 x 5 pixels"):
            WordPoints.unpack(points(1).pack((5, 5)), (0, 5))


class TestAlikeness:
    def test_by_hand(self):
        everything = np.uint64(2**64 - 1)
        one = np.array([0, 0, 0, 5], np.uint64)
        other = np.array([0, everything, everything >> np.uint64(32), 4], np.uint64)
        assert alikeness(one, other).tolist() == [1, -1, 0, 0.96875]


class TestCorrespondences:
    @pytest.mark.parametrize(("count", "words"), [(60, 50), (200, 10), (150, 400), (1, 5), (0, 5)])
    def test_against_loops(self, count, words):
        picture = points(count, words=words)
        asked = query(picture, words=words)
        found = correspondences(asked, picture)
        expected = reference.corresponding(asked.words, asked.signs, picture.words, picture.signs)
        pairs = zip(found.query_index, found.picture_index, found.similarity.tolist(), strict=True)
        assert list(pairs) == expected

    def test_pictures_side_by_side_are_as_each_alone(self):
        pictures = [points(count, words=30) for count in (60, 0, 9000 // 3, 1, 4096, 4000)]
        asked = query(points(300, words=30), words=30)
        together = correspondences_in(asked, pictures)
        assert len(together) == len(pictures)
        for found, picture in zip(together, pictures, strict=True):
            alone = correspondences(asked, picture)
            for part in ("query_index", "picture_index", "similarity"):
                np.testing.assert_array_equal(getattr(found, part), getattr(alone, part))
        assert correspondences_in(asked, []) == []

    def test_each_pair_once_and_alike(self):
        picture = points(200, words=10)
        found = correspondences(query(picture, words=10), picture)
        assert len(found) > 200
        pairs = set(zip(found.query_index.tolist(), found.picture_index.tolist(), strict=True))
        assert len(pairs) == len(found)
        assert (found.similarity >= ALIKE).all()
        assert np.bincount(found.query_index).max() <= 8

    def test_a_file_may_claim_anything(self):
        """As many points as there can be, all of one word and all alike: work stays bounded."""
        count = MAX_POINTS
        picture = WordPoints(
            np.zeros((count, 2), np.float32),
            np.ones(count, np.float32),
            np.zeros(count, np.float32),
            np.zeros(count, np.uint16),
            np.zeros(count, np.uint64),
            7,
        )
        found = correspondences(query(picture, words=5), picture)
        assert len(found) <= 8 * count
        assert set(found.picture_index.tolist()) <= set(range(32))

    def test_other_codebooks(self):
        picture = points(5)
        other = WordPoints(*(getattr(picture, part) for part in list(picture.__slots__)[:5]), 8)
        with pytest.raises(ValueError, match="different codebooks"):
            correspondences(query(picture), other)
