"""Fine points: their axes, their packed form, and which of two pictures correspond."""

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.matching.fine import (
    ALIKE,
    AXES,
    DESCRIPTOR,
    MAX_POINTS,
    FineAxes,
    FinePoints,
    Turn,
    embedded_axes,
    fit_axes,
    likely_turn,
    nearest_pairs,
    verify_fine,
)
from camseek.matching.words import Correspondences, QueryWords, WordPoints

SIZE = (640, 480)


def units(count, numbers=DESCRIPTOR, seed=0):
    found = np.random.default_rng(seed).normal(size=(count, numbers)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def places(count, seed=1, size=SIZE):
    return (np.random.default_rng(seed).random((count, 2)) * size).astype(np.float32)


def packed(count, seed=0):
    return embedded_axes().pack(places(count), units(count, seed=seed), SIZE, 640)


class TestAxes:
    def test_the_ones_that_ship(self):
        axes = embedded_axes()
        assert axes.checksum == hashlib.sha256(axes.to_bytes()).hexdigest()
        assert axes.tag == int(axes.checksum[:8], 16)
        np.testing.assert_allclose(axes.projection.T @ axes.projection, np.eye(AXES), atol=2e-3)

    def test_bytes_there_and_back(self):
        axes = fit_axes(units(500))
        again = FineAxes.from_bytes(axes.to_bytes())
        assert (again.checksum, again.tag) == (axes.checksum, axes.tag)
        assert np.array_equal(again.projection, axes.projection)

    def test_fitted_on_what_lies_along_32_directions_they_lose_nothing(self):
        basis = np.linalg.qr(np.random.default_rng(3).normal(size=(DESCRIPTOR, AXES)))[0].T
        inside = (units(2000, AXES) @ basis).astype(np.float32)
        axes = fit_axes(inside)
        kept = axes.project(inside)
        np.testing.assert_allclose(kept[:50] @ kept[:50].T, inside[:50] @ inside[:50].T, atol=5e-3)
        read = axes.unpack(axes.pack(places(2000), inside, SIZE, 640), SIZE)
        assert np.vecdot(read.vectors, kept).min() > 0.97

    @pytest.mark.parametrize("data", [b"", b"camseek fine axes 1\n", b"x" * 4180])
    def test_other_bytes(self, data):
        with pytest.raises(ValueError, match="no axes"):
            FineAxes.from_bytes(data)

    def test_numbers_that_cannot_be(self):
        whole = embedded_axes().to_bytes()
        for bad in (struct.pack("<e", float("nan")), struct.pack("<e", float("inf")), bytes(2)):
            with pytest.raises(ValueError, match="must be finite"):
                FineAxes.from_bytes(whole[:-2] + bad)
        with pytest.raises(ValueError, match="give no axes"):
            fit_axes(units(64))


class TestPacking:
    @pytest.mark.parametrize("count", [0, 1, 600, MAX_POINTS])
    def test_there_and_back(self, count):
        data = packed(count)
        assert len(data) == 12 + 20 * count
        read = embedded_axes().unpack(data, SIZE)
        np.testing.assert_allclose(read.points, places(count), atol=0.01)
        np.testing.assert_allclose(np.linalg.norm(read.vectors, axis=1), 1, atol=1e-6)
        assert read.scales.tolist() == [1] * count
        assert read.angles.tolist() == [0] * count
        if count > 1:
            kept = embedded_axes().project(units(count))
            assert np.median(np.vecdot(read.vectors, kept)) > 0.97

    def test_the_size_it_was_seen_at_is_the_scale(self):
        data = embedded_axes().pack(places(3), units(3), (1280, 960), 640)
        assert embedded_axes().unpack(data, (1280, 960)).pixel == 2

    def test_places_outside_and_a_zero_descriptor(self):
        given_places = np.array([[640, 480], [-5, 700]], np.float32)
        data = embedded_axes().pack(given_places, np.zeros((2, DESCRIPTOR), np.float32), SIZE, 640)
        read = embedded_axes().unpack(data, SIZE)
        assert ((read.points >= 0) & (read.points <= SIZE)).all()
        np.testing.assert_allclose(np.linalg.norm(read.vectors, axis=1), 1, atol=1e-6)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[:11],
            lambda data: data[:-1],
            lambda data: data + b"\0",
            lambda data: b"cfp2" + data[4:],
            lambda data: data[:4] + b"\0\0\0\0" + data[8:],
            lambda data: data[:8] + b"\0\0" + data[10:],
            lambda data: data[:10] + b"\xff\xff" + data[12:],
            lambda data: data[:10] + b"\xff\xff" + data[12:] + bytes(20 * (65535 - 20)),
        ],
    )
    def test_damaged(self, damage):
        with pytest.raises(ValueError, match="fine points"):
            embedded_axes().unpack(damage(packed(20)), SIZE)

    @given(st.integers(0, 0xFFFF), st.integers(0, 3), st.binary(max_size=60))
    def test_any_bytes_are_refused_or_read(self, side, count, data):
        head = struct.pack("<4sIHH", b"cfp1", embedded_axes().tag, side, count)
        try:
            read = embedded_axes().unpack(head + data, (30, 20))
        except ValueError:
            return
        assert ((read.points >= 0) & (read.points <= [30, 20])).all()
        np.testing.assert_allclose(np.linalg.norm(read.vectors, axis=1), 1, atol=1e-6)
        assert np.isfinite(read.scales).all()
        assert (read.scales > 0).all()

    def test_callers_mistakes(self):
        for count, size, side in ((MAX_POINTS + 1, SIZE, 640), (1, (0, 5), 640), (1, SIZE, 0)):
            with pytest.raises(ValueError, match="cannot pack"):
                embedded_axes().pack(places(count), units(count), size, side)
        with pytest.raises(ValueError, match="no fine points"):
            embedded_axes().unpack(packed(1), (0, 5))


def points(count, seed=0, pixel=1.0, angle=0.0):
    return FinePoints(places(count), units(count, AXES, seed), pixel, angle)


class TestPairs:
    def test_against_loops(self):
        one, other = points(40), points(60)
        mixed = other.vectors.copy()
        mixed[:30] = one.vectors[:30] + 0.4 * units(30, AXES, 5)
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        other = FinePoints(other.points, mixed, 1.0)
        found = nearest_pairs(one, other)
        expected = []
        for row, vector in enumerate(one.vectors):
            cosines = [float(vector @ item) for item in mixed]
            there = max(range(60), key=cosines.__getitem__)
            back = max(range(40), key=lambda item, there=there: float(one.vectors[item] @ mixed[there]))
            reach = 0.1 * np.ptp(one.points, axis=0).max()
            far = [item for item in range(40) if np.hypot(*(one.points[item] - one.points[row])) > reach]
            elsewhere = max(float(one.vectors[item] @ mixed[there]) for item in far)
            if back == row and cosines[there] >= max(ALIKE, elsewhere + 0.03):
                expected.append((row, there))
        assert len(expected) > 20
        assert list(zip(found.query_index, found.picture_index, strict=True)) == expected
        assert ((found.similarity >= ALIKE) & (found.similarity <= 1)).all()

    def test_what_is_in_several_places_says_nothing(self):
        """Of what repeats nearby, as around a corner, the nearest one counts."""
        two = units(2, AXES)
        picture = FinePoints(places(2), two, 1.0)
        for x, pairs in ((300, [(1, 1)]), (20, [(0, 0), (1, 1)])):
            where = np.array([[0, 0], [500, 0], [x, 0]], np.float32)
            again = (two[0] + 0.05 * units(1, AXES, 7)[0])[None]
            vectors = np.concatenate([two, again / np.linalg.norm(again)])
            found = nearest_pairs(FinePoints(where, vectors, 1.0), picture)
            assert list(zip(found.query_index, found.picture_index, strict=True)) == pairs

    def test_of_nothing(self):
        for one, other in ((points(0), points(3)), (points(3), points(0))):
            assert len(nearest_pairs(one, other)) == 0


CORNERS = np.array([[0, 0], [640, 0], [640, 480], [0, 480]], np.float64)


class TestVerifying:
    def test_the_size_and_turn_that_agree_most_decide(self):
        """The picture shows the query turned by 90 degrees, at half the size."""
        query = points(200, angle=np.deg2rad(270))
        moved = np.stack([(480 - query.points[:, 1]) / 2, query.points[:, 0] / 2], axis=1)
        picture = FinePoints(moved, query.vectors, 0.5)
        other = points(200, seed=9)
        [match] = verify_fine([other, query], picture, CORNERS, (240, 320))
        assert match.inliers > 100
        assert match.turn == pytest.approx(90, abs=0.5)
        assert match.scale == pytest.approx(0.5, rel=0.01)
        assert verify_fine([other], picture, CORNERS, (240, 320)) == ()
        assert verify_fine([], picture, CORNERS, (240, 320)) == ()


class TestLikelyTurn:
    def test_what_most_say(self):
        degrees = np.array([57, 62, 66, 200, 10, 58, 60, 61, 300, 120], np.float32)
        angles = np.mod(np.deg2rad(degrees) + 6, 2 * np.pi).astype(np.float32)
        count = len(degrees)
        picture = WordPoints(
            places(count), np.ones(count, np.float32), angles, np.zeros(count, np.uint16),
            np.zeros(count, np.uint64), 0,
        )  # fmt: skip
        query = QueryWords(
            places(count), np.ones(count, np.float32), np.full(count, 6, np.float32),
            np.zeros((count, 1), np.uint16), np.zeros((count, 1), np.uint64),
            np.zeros(1, np.uint16), np.zeros(1, np.uint64), 0,
        )  # fmt: skip
        rows = np.arange(count)
        turn = likely_turn(query, picture, Correspondences(rows, rows, np.ones(count, np.float32)))
        assert (turn.degrees, turn.share) == (60, pytest.approx(0.6))
        for few in (0, 9):
            some = Correspondences(rows[:few], rows[:few], np.ones(few, np.float32))
            assert likely_turn(query, picture, some) == Turn(0, 0.0)
