"""The vectors that a whitening is fitted on."""

from dataclasses import replace

import numpy as np
import pytest

from camseek import Encoding
from camseek.config import Limits, Resize
from camseek.encoding.aggregation import most_probable
from camseek.encoding.cam import class_activation_maps
from camseek.encoding.encoder import Encoder
from camseek.encoding.pooling import channel_weights, class_vectors
from camseek.encoding.whitening import fit_whitening
from camseek.extraction.extractor import Extractor
from camseek.images import open_file
from camseek.indexing.sampling import collect_samples, gather, samples
from camseek.job import Job
from camseek.results import Skipped


class Counting:
    """Progress that counts."""

    def __init__(self):
        self.total = self.done = 0

    def start(self, total):
        self.total += total

    def step(self):
        self.done += 1


@pytest.fixture
def extractor(model):
    return Extractor.of(model, Resize.parse("64"), Limits())


@pytest.fixture
def encoder(model):
    def make(text):
        return Encoder(Encoding.parse(text), model.classifier_weights, model.classifier_bias)

    return make


@pytest.fixture
def paths(photos):
    return [str(path).encode() for path in sorted(photos(5).iterdir())]


@pytest.fixture
def activations(model, extractor, paths):
    with open_file(paths[0]) as file:
        return model.run(extractor.reader.read(file).pixels)


@pytest.mark.parametrize("top", [1, 3])
def test_class_vectors_of_the_most_probable_classes(encoder, activations, model, top):
    found = samples(encoder("cam:classes=2"), activations, top=top)
    assert found.shape == (top, model.channels)
    weights = channel_weights(activations.features, activations.mask)
    classes = most_probable(activations.scores, top)
    maps = class_activation_maps(
        activations.classifier_maps,
        model.classifier_weights,
        classes,
        activations.classifier_mask,
        size=activations.features.shape[2:],
        normalisation="clipped",
    )
    wanted = class_vectors(activations.features, maps, weights, power=1.0)[0]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    # And in plain loops, for the most probable class (METHOD, steps 2 to 4).
    best = int(np.argmax(activations.scores[0]))
    plain = np.einsum("khw,k->hw", activations.classifier_maps[0], model.classifier_weights[best]).clip(0)
    plain = plain / plain.max()
    summed = weights[0] * (activations.features[0] * plain).sum(axis=(1, 2))
    np.testing.assert_allclose(found[0], summed / np.linalg.norm(summed), atol=1e-5)


@pytest.mark.parametrize("text", ["sum", "ucrow", "crow", "gem", "gem:prior=centre"])
def test_the_descriptor_itself_of_pooled_encodings(encoder, activations, text):
    found = samples(encoder(text), activations, top=7)
    np.testing.assert_array_equal(found, encoder(text).describe(activations))


def test_region_vectors_of_rmac(encoder, activations):
    found = samples(encoder("rmac"), activations)
    assert len(found) > 1
    summed = found.sum(axis=0)
    np.testing.assert_allclose(
        summed / np.linalg.norm(summed), encoder("rmac").describe(activations)[0], atol=1e-5
    )


def test_a_whitening_is_not_applied(encoder, activations, model):
    rows = np.random.default_rng(0).random((4, model.channels), np.float32)
    plain = encoder("gem")
    whitened = replace(plain, whitening=fit_whitening(rows, dimensions=2))
    np.testing.assert_array_equal(samples(whitened, activations), samples(plain, activations))


def test_many_pictures(encoder, model, extractor, paths, tmp_path, encoded):
    (tmp_path / "none.jpg").write_bytes(b"no picture")
    (tmp_path / "dot.png").write_bytes(encoded.featureless)
    bad = [str(tmp_path / name).encode() for name in ("none.jpg", "dot.png", "missing.jpg")]
    told = Counting()
    vectors, skipped = collect_samples(
        extractor,
        [*paths[:2], *bad, *paths[2:]],
        encoder("cam"),
        top=2,
        job=Job(workers=2, progress=told),
    )
    assert (told.total, told.done) == (8, 8)
    assert [(item.path, item.code) for item in skipped][::2] == [
        (bad[0], "not_a_picture"),
        (bad[2], "unreadable"),
    ]
    assert (skipped[1].path, skipped[1].code) == (bad[1], "featureless")
    rows = []
    for path in paths:
        with open_file(path) as file:
            rows += list(samples(encoder("cam"), model.run(extractor.reader.read(file).pixels), top=2))
    np.testing.assert_allclose(vectors, [row for row in rows if row.any()], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_pictures(encoder, model, extractor):
    vectors, skipped = collect_samples(extractor, [], encoder("gem"), job=Job(workers=1))
    assert (vectors.shape, skipped) == ((0, model.channels), [])


class TestGather:
    def rows(self, item):
        """Two vectors a picture; those of multiples of 3 are half zero, those of 4 are none."""
        if item % 4 == 0:
            return Skipped(b"%d" % item, "bad", "damaged")
        vectors = np.full((2, 3), item, np.float32)
        if item % 3 == 0:
            vectors[0] = 0
        return b"%d" % item, vectors

    def test_zero_vectors_are_left_out_and_counted(self):
        told = Counting()
        found = gather(
            self.rows, range(1, 7), channels=3, count=6, name_of=str, job=Job(workers=2, progress=told)
        )
        assert found.vectors[:, 0].tolist() == [1, 1, 2, 2, 3, 5, 5, 6]
        assert (found.pictures, found.zero) == (5, 2)
        assert [item.path for item in found.skipped] == [b"4"]
        assert told.done == 6

    def test_enough_is_enough(self):
        seen = []

        def work(item):
            seen.append(item)
            return self.rows(item)

        told = Counting()
        job = Job(workers=1, progress=told)
        found = gather(work, range(1, 500), channels=3, count=499, most=3, name_of=str, job=job)
        assert found.vectors[:, 0].tolist() == [1, 1, 2]
        assert found.pictures == 2
        assert len(seen) < 100
        assert told.done == 499
