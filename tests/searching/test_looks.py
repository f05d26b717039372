"""Questions about pictures that are seen again, asked together."""

from dataclasses import replace

import numpy as np
import pytest

from camseek import Encoding, Plan
from camseek.config import Limits, Resize
from camseek.encoding.encoder import Choices, Encoder
from camseek.encoding.whitening import fit_whitening
from camseek.extraction.extractor import Extractor
from camseek.searching.looks import UNSEEN, DescribeLook, LookSet, cosine, cosines
from camseek.searching.query import Sought
from camseek.searching.stages.match_regions import RegionLook


@pytest.fixture
def seen(model, photos):
    extractor = Extractor.of(model, Resize.parse("96"), Limits())
    return [extractor.extract(str(path)) for path in sorted(photos(3).iterdir())]


@pytest.fixture
def encoders(model):
    """Without a whitening, and with two."""
    plain = Encoder(Encoding.parse("cam"), model.classifier_weights, model.classifier_bias)
    rows = np.random.default_rng(0).random((30, model.channels), np.float32)
    some = [fit_whitening(rows[:count], dimensions=5) for count in (20, 30)]
    return [plain, *(replace(plain, whitening=item) for item in some)]


def test_class_vectors_are_pooled_once_for_all_whitenings(seen, encoders, monkeypatch):
    query = Sought(seen[:1])
    looks = [
        DescribeLook(encoder.unchosen(), chosen, query.descriptor(encoder.unchosen(), chosen), keep)
        for encoder in encoders
        for chosen, keep in ((query.classes(1), False), (query.classes(8), True))
    ]
    together = LookSet(looks)
    pooled = []
    real = Encoder.parts
    monkeypatch.setattr(
        Encoder, "parts", lambda self, *args, **more: pooled.append(self) or real(self, *args, **more)
    )
    found = together.see(seen[1])
    assert len(pooled) == 1
    for look in looks:
        answer = found[look.key]
        alone = look.encoder.describe_each(seen[1].activations, Choices.of([look.classes]))[0]
        assert answer.score == pytest.approx(cosine(look.query, alone), abs=1e-5)
        assert (answer.descriptor is None) == (not look.keep)
        if look.keep:
            np.testing.assert_allclose(answer.descriptor, alone, atol=1e-5)


def test_a_region_is_sought_once_with_and_without_its_descriptor(seen, encoders, monkeypatch):
    query = Sought(seen[:1])
    plans = [Plan.of(rerank=9), Plan.of(rerank=9, expand=2)]
    looks = [plan.bind(query, encoders[0])[1].look for plan in plans]
    assert [look.keep for look in looks] == [False, True]
    asked = []
    real = RegionLook.see
    monkeypatch.setattr(RegionLook, "see", lambda self, seen: asked.append(self.keep) or real(self, seen))
    found = LookSet(looks).see(seen[1])
    assert asked == [True]
    without, whole = (found[look.key] for look in looks)
    [alone] = LookSet(looks[:1]).see(seen[1]).values()
    assert without.descriptor is None
    assert whole.descriptor is not None
    for answer in (whole, alone):
        assert (answer.score, answer.box) == (without.score, without.box)


def test_cosines():
    queries = np.eye(3)[:2]
    descriptors = np.array([[0.6, 0.8, 0], [0, 0, 0]], np.float32)
    assert cosines(queries, descriptors).tolist() == pytest.approx([0.6, UNSEEN])
    descriptors[1] = np.nan
    assert cosines(queries, descriptors).tolist() == pytest.approx([0.6, UNSEEN])
    assert cosine(np.ones(1, np.float32), np.ones(1, np.float32)) == 1
