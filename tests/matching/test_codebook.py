import importlib.util
from importlib import resources
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from PIL import Image

import reference
from camseek.matching.codebook import (
    Codebook,
    embedded_codebook,
    fit_codebook,
    nearest_words,
    packed_signs,
    summed,
)
from camseek.matching.features import LocalFeatures, extract_features


def half(values):
    return np.asarray(values, np.float16).astype(np.float32)


def descriptors(count, numbers=128, seed=0):
    """Clustered, positive and of norm 1."""
    rng = np.random.default_rng(seed)
    centres = rng.random((12, numbers)) ** 3
    made = centres[rng.integers(0, 12, count)] + 0.15 * rng.random((count, numbers))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def features(count, seed=0, numbers=128):
    rng = np.random.default_rng(seed)
    return LocalFeatures(
        rng.random((count, 2)).astype(np.float32),
        (1 + rng.random(count)).astype(np.float32),
        rng.random(count).astype(np.float32),
        descriptors(count, numbers, seed),
    )


@pytest.fixture(scope="module")
def codebook():
    return fit_codebook(descriptors(2000), words=40)


class TestWords:
    def test_of_a_picture(self, codebook):
        given = features(70, seed=3)
        found = codebook.picture_words(given)
        assert found.codebook == codebook.tag
        for part in ("points", "scales", "angles"):
            assert getattr(found, part) is getattr(given, part)
        for place, descriptor in enumerate(given.descriptors):
            [(word, signs)] = reference.words_of(codebook, descriptor, 1)
            assert (found.words[place], found.signs[place]) == (word, signs)

    def test_of_a_query(self, codebook):
        given = features(70, seed=4)
        found = codebook.query_words(given)
        assert found.words.shape == found.signs.shape == (70, 3)
        for place, descriptor in enumerate(given.descriptors):
            expected = reference.words_of(codebook, descriptor, 3)
            assert list(zip(found.words[place], found.signs[place], strict=True)) == expected
        assert dict(zip(found.terms, found.term_signs, strict=True)) == reference.aggregated(
            codebook, given.descriptors, 3
        )
        assert (np.diff(found.terms.astype(int)) > 0).all()

    def test_of_nothing(self, codebook):
        nothing = features(0)
        assert len(codebook.picture_words(nothing)) == 0
        found = codebook.query_words(nothing)
        assert found.words.shape == (0, 3)
        assert len(found.terms) == len(found.term_signs) == 0

    def test_a_codebook_of_few_words(self):
        small = fit_codebook(descriptors(100), words=2)
        assert small.query_words(features(5)).words.shape == (5, 2)

    def test_other_descriptors(self, codebook):
        # Callers without a type checker have a ValueError.
        with pytest.raises((ValueError, jaxtyping.TypeCheckError), match="64"):
            codebook.picture_words(features(5, numbers=64))


class TestArithmetic:
    def test_signs(self):
        vectors = np.full((2, 64), -1, np.float32)
        vectors[0, [0, 5, 63]] = [0, 1, 2]
        assert packed_signs(vectors).tolist() == [1 + 2**5 + 2**63, 0]

    def test_nearest_by_hand(self):
        words = np.array([[0, 0], [4, 0], [0, 4], [4, 0]], np.float32)
        halves = np.square(words).sum(axis=1) / 2
        found = nearest_words(np.array([[3, 0], [1, 2]], np.float32), words, halves, 3)
        assert found.tolist() == [[1, 3, 0], [0, 2, 1]]

    def test_more_vectors_than_are_compared_at_a_time(self):
        vectors = np.random.default_rng(0).normal(size=(9000, 3)).astype(np.float32)
        words = vectors[:50].copy()
        found = nearest_words(vectors, words, np.square(words).sum(axis=1) / 2, 2)
        distance = np.linalg.norm(vectors[:, None] - words[None], axis=2)
        np.testing.assert_allclose(
            np.take_along_axis(distance, found, axis=1), np.sort(distance, axis=1)[:, :2], atol=1e-5
        )

    def test_sums(self):
        words, sums = summed(np.array([3, 1, 3]), np.array([[1, 2], [3, 4], [5, 6]], np.float32))
        assert words.tolist() == [1, 3]
        assert sums.tolist() == [[3, 4], [6, 8]]


class TestFit:
    def test_the_directions_are_those_of_most_variance(self):
        data = descriptors(500, 80)
        fitted = fit_codebook(data, words=5)
        _, _, rows = np.linalg.svd(data - data.mean(axis=0, dtype=np.float64), full_matrices=False)
        alike = np.abs((rows[:8] * fitted.projection.T[:8]).sum(axis=1))
        np.testing.assert_allclose(alike, 1, atol=1e-3)

    def test_words_are_the_means_of_what_is_nearest(self):
        data = descriptors(600)
        fitted = fit_codebook(data, words=12, rounds=60)
        projected = (data - fitted.mean) @ fitted.projection
        own = nearest_words(projected, fitted.words, np.square(fitted.words).sum(axis=1) / 2, 1)[:, 0]
        for word in range(12):
            np.testing.assert_allclose(projected[own == word].mean(axis=0), fitted.words[word], atol=1e-3)

    def test_again_is_the_same(self):
        data = descriptors(600)
        one, again, other = (fit_codebook(data, words=30, seed=seed) for seed in (0, 0, 1))
        assert one.checksum == again.checksum != other.checksum

    def test_equal_descriptors(self):
        """Words that lose all their points stay finite."""
        fitted = fit_codebook(np.repeat(descriptors(3), 40, axis=0), words=100)
        assert np.isfinite(fitted.words).all()

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (descriptors(200, 63), 5),
            (descriptors(64), 5),
            (descriptors(100), 101),
            (descriptors(100), 0),
        ],
    )
    def test_too_little(self, data, words):
        with pytest.raises(ValueError, match="no codebook"):
            fit_codebook(data, words=words)

    def test_what_is_no_number(self):
        data = descriptors(100)
        data[3, 4] = np.nan
        with pytest.raises(ValueError, match="finite"):
            fit_codebook(data, words=5)


class TestBytes:
    def test_there_and_back(self, codebook):
        again = Codebook.from_bytes(codebook.to_bytes())
        assert again.checksum == codebook.checksum
        assert again.tag == codebook.tag == int(codebook.checksum[:8], 16)
        for part in ("mean", "projection", "words"):
            assert np.array_equal(getattr(again, part), getattr(codebook, part))

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[:27],
            lambda data: data[:-2],
            lambda data: data + b"\0\0",
            lambda data: b"x" + data[1:],
            lambda data: data[:20] + b"\xff\xff\xff\xff" + data[24:],
            lambda data: data[:-2] + np.array([np.nan], "<f2").tobytes(),
            lambda data: data[:-2] + np.array([np.inf], "<f2").tobytes(),
            lambda data: data[:24] + bytes(4) + data[28 : 28 + 2 * 128 * 65],
        ],
    )
    def test_damaged(self, codebook, damage):
        with pytest.raises(ValueError, match="codebook"):
            Codebook.from_bytes(damage(codebook.to_bytes()))

    def test_numbers_that_the_file_could_not_keep(self, codebook):
        with pytest.raises(ValueError, match="half precision"):
            Codebook(codebook.mean, codebook.projection, codebook.words + np.float32(1e-6))

    def test_shapes(self, codebook):
        with pytest.raises((ValueError, jaxtyping.TypeCheckError), match="projection"):
            Codebook(codebook.mean[:5], codebook.projection, codebook.words)


class TestEmbedded:
    def test_what_ships(self):
        """Another one has other words: collections that were made with this would have to be made anew."""
        book = embedded_codebook()
        assert book.words.shape == (4096, 64)
        assert book.projection.shape == (128, 64)
        assert book.checksum == "6ec9b84b3aba8b9f578dcc16a11d8bd10292696c4bfe678bfaef611681d92139"
        assert embedded_codebook() is book

    def test_its_directions_keep_lengths(self):
        products = embedded_codebook().projection.T @ embedded_codebook().projection
        np.testing.assert_allclose(products, np.eye(64), atol=2e-3)

    def test_its_words_all_differ(self):
        assert len(np.unique(embedded_codebook().words, axis=0)) == 4096

    def test_the_licence_lies_beside_it(self):
        folder = resources.files("camseek.matching") / "data"
        assert "Copyright (c) 2019 Marcus Klasson" in (folder / "LICENSE").read_text("utf-8")


class TestCommand:
    """``tools/make_codebook.py``."""

    @pytest.fixture
    def command(self):
        path = Path(__file__).parents[2] / "tools" / "make_codebook.py"
        spec = importlib.util.spec_from_file_location("make_codebook", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    @pytest.fixture
    def photographs(self, tmp_path):
        """A folder of pictures with texture, and a licence."""
        folder = tmp_path / "photographs"
        (folder / "within").mkdir(parents=True)
        (folder / "LICENSE").write_text("Do what you like.", "utf-8")
        for number, place in enumerate(["b.jpg", "a.jpg", "within/c.jpg"]):
            patches = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(patches).resize((200, 150), Image.Resampling.BICUBIC).save(folder / place)
        return folder

    def test_it_writes_what_the_arithmetic_gives(self, command, photographs, tmp_path):
        made = command.make(photographs, tmp_path / "data", words=20)
        data = (tmp_path / "data" / "codebook.bin").read_bytes()
        assert Codebook.from_bytes(data).checksum == made.checksum
        assert (tmp_path / "data" / "LICENSE").read_text("utf-8") == "Do what you like."
        found = []
        for place in ("a.jpg", "b.jpg", "within/c.jpg"):
            pixels = np.asarray(Image.open(photographs / place).convert("RGB"))
            found.append(extract_features(pixels, (200, 150), 600).descriptors)
        assert made.checksum == fit_codebook(np.concatenate(found), words=20).checksum

    def test_few_of_many(self, command, photographs):
        every = command.descriptors_of(photographs)
        some = command.descriptors_of(photographs, 50)
        assert np.array_equal(some, every[np.linspace(0, len(every) - 1, 50).round().astype(int)])

    def test_no_pictures(self, command, tmp_path):
        with pytest.raises(SystemExit, match="no JPEG"):
            command.descriptors_of(tmp_path)
