"""What a collection holds, some at a time: copies against a plain reference, and what goes on meanwhile."""

import numpy as np
import pytest

from camseek import listing
from camseek.config import Settings
from camseek.job import Job
from camseek.store import FolderCollection, PictureRecord, Profile, Signature

DIMENSIONS = 8


@pytest.fixture
def collection(tmp_path):
    profile = Profile(model="toy", model_checksum="ab" * 32, settings=Settings(), dimensions=DIMENSIONS)
    with FolderCollection.create(tmp_path / "made.camseek", profile) as made:
        yield made


def fill(collection, vectors):
    with collection.write("test") as writer:
        root = writer.root(b"/photos")
        for number, vector in enumerate(vectors):
            record = writer.insert(
                PictureRecord(
                    content=number.to_bytes(32, "big"),
                    size=(4, 3),
                    format="JPEG",
                    frames=1,
                    descriptor=vector,
                )
            )
            writer.point(b"/photos/%04d.jpg" % number, record, Signature(number, 2, 3), root)


def clustered(count, seed):
    """Unit vectors around a few directions."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((count // 6, DIMENSIONS))
    found = centres[rng.integers(len(centres), size=count)] + 0.15 * rng.standard_normal((count, DIMENSIONS))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def reference(vectors, threshold):
    """The definition, one by one: of those that came before and are no copies, the one that is most like."""
    heads, groups = [], {}
    for number, vector in enumerate(vectors):
        scores = [(float(vectors[head] @ vector), head) for head in heads]
        best = max((score for score, _ in scores), default=-1)
        if best >= threshold:
            groups.setdefault(next(head for score, head in scores if score == best), set()).add(number)
        else:
            heads.append(number)
    return groups


@pytest.mark.parametrize("threshold", [0.7, 0.9, 0.97])
@pytest.mark.parametrize("sizes", [(512, 8192), (7, 21), (16, 16)])
def test_copies_are_those_of_the_definition(collection, monkeypatch, threshold, sizes):
    monkeypatch.setattr(listing, "_ROWS", sizes[0])
    monkeypatch.setattr(listing, "_HEADS", sizes[1])
    fill(collection, clustered(150, 3))
    stored = collection.vectors.of(collection.vectors.records())
    found = {
        item.picture.record - 1: {near.record - 1 for near, _ in item.near}
        for item in listing.copies(collection, threshold, Job())
    }
    assert found == reference(stored, threshold)
    assert found


def test_scores_are_cosines_best_first(collection):
    fill(collection, clustered(60, 4))
    for item in listing.copies(collection, 0.8, Job()):
        scores = [score for _, score in item.near]
        assert scores == sorted(scores, reverse=True)
        own = collection.vectors.of(np.array([item.picture.record]))[0]
        others = collection.vectors.of(np.array([near.record for near, _ in item.near]))
        np.testing.assert_allclose(others @ own, scores, atol=1e-5)


def test_all_alike_take_no_more_memory_than_some(collection, monkeypatch):
    monkeypatch.setattr(listing, "_ROWS", 8)
    monkeypatch.setattr(listing, "_HEADS", 16)
    fill(collection, np.ones((100, DIMENSIONS), np.float32) / np.sqrt(DIMENSIONS, dtype=np.float32))
    [item] = listing.copies(collection, 0.9, Job())
    assert len(item.near) == 99


def test_a_picture_that_leaves_meanwhile(collection, monkeypatch):
    """It is no copy, and ends nothing."""
    monkeypatch.setattr(listing, "_ROWS", 4)
    vector = np.ones(DIMENSIONS, np.float32) / np.sqrt(DIMENSIONS, dtype=np.float32)
    fill(collection, [vector] * 10)

    class Leaving:
        def start(self, total):
            with collection.write("test") as writer:
                writer.release([b"/photos/0007.jpg"], None)

        def step(self):
            pass

    [item] = listing.copies(collection, 0.9, Job(progress=Leaving()))
    assert {near.record for near, _ in item.near} == set(range(2, 11)) - {8}


def test_no_descriptors_are_compared_without_a_threshold(collection):
    fill(collection, clustered(10, 5))
    with collection.write("test") as writer:
        writer.point(b"/photos/other.jpg", 3, Signature(1, 2, 3), writer.root(b"/photos"))
    [item] = listing.copies(collection, None, Job())
    assert (item.picture.record, len(item.picture.paths), item.near) == (3, 2, ())


def test_descriptors_in_the_order_asked_for(collection, monkeypatch):
    monkeypatch.setattr(listing, "_ROWS", 4)
    vectors = clustered(11, 6)
    fill(collection, vectors)
    wanted = np.array([9, 1, 5, 2, 11, 7])
    pictures, found = zip(*listing.descriptor_blocks(collection, wanted), strict=True)
    assert [item.record for some in pictures for item in some] == wanted.tolist()
    np.testing.assert_allclose(np.concatenate(found), vectors[wanted - 1], atol=1e-3)


def test_what_a_picture_says(collection):
    fill(collection, [*clustered(6, 7)[:2], None])
    found = list(listing.every_picture(collection))
    assert [(item.record, item.format, item.bytes, item.featureless) for item in found] == [
        (1, "JPEG", 0, False),
        (2, "JPEG", 1, False),
        (3, "JPEG", 2, True),
    ]
