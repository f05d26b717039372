"""Whitenings fitted on a user's own pictures."""

import hashlib
import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from camseek import Encoding, Engine, Plan, Settings
from camseek.config import Limits, Resize
from camseek.encoding.encoder import Encoder
from camseek.encoding.whitening import Whitening, fit_whitening
from camseek.errors import CollectionBusyError, SettingsError, SourceError, UnreadableFileError
from camseek.extraction.classes import tally
from camseek.extraction.extractor import Extractor, FileMaps
from camseek.extraction.reading import PictureReader
from camseek.images import open_file
from camseek.indexing import recoding, refitting
from camseek.job import Job
from camseek.results import Skipped
from camseek.store import open_collection

PICTURES = 14


def settings(text):
    return Settings(encoding=Encoding.parse(text), size=Resize.parse("64"))


@pytest.fixture
def folder(photos):
    return photos(PICTURES)


@pytest.fixture
def made(address, model, folder):
    """Indexes the folder with an encoding and opens the collection."""
    opened = []

    def make(text="cam:classes=3", place=address, whitening=None, predefined=()):
        wanted = replace(settings(text), predefined=predefined)
        engine = Engine.open(
            place,
            model=model,
            create=True,
            without=("points",),
            settings=wanted,
            whitening=whitening,
            workers=2,
        )
        opened.append(engine)
        engine.index(folder)
        return engine

    yield make
    for engine in opened:
        engine.close()


@pytest.fixture
def shown(model, folder):
    """Four classes that the folder's pictures show."""
    extractor = Extractor.of(model, Resize.parse("64"), Limits())
    paths = [os.fsencode(path) for path in sorted(folder.iterdir())]
    found = tally(model, extractor.try_file, paths, per_picture=3, job=Job(workers=2))
    return tuple(item.id for item in found.classes[:4])


def by_content(collection):
    """Every descriptor by its picture's content."""
    with collection.snapshot():
        records = collection.vectors.records()
        pictures = collection.catalogue.pictures(records.tolist())
        return {
            pictures[record].content: vector
            for record, vector in zip(records.tolist(), collection.vectors.of(records), strict=True)
        }


def assert_same(one, two, atol=2**-10):
    assert one.keys() == two.keys()
    for content, vector in one.items():
        np.testing.assert_allclose(vector, two[content], atol=atol)


class Stopping:
    """Progress that interrupts the run at a step."""

    def __init__(self, at):
        self.left = at

    def start(self, total):
        self.total = total

    def step(self):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("text", "classes", "per_picture"),
    [
        ("cam:classes=3", None, 1),
        ("cam:classes=2", 3, 3),
        ("rmac", None, None),
        ("gem:prior=centre", None, 1),
        ("sum", None, 1),
        ("ucrow", None, 1),
        ("crow", None, 1),
    ],
)
def test_the_same_as_an_index_made_with_that_whitening(made, tmp_path, text, classes, per_picture):
    engine = made(text)
    report = engine.fit(dimensions=4, sample_classes=classes)
    profile = engine.collection.profile
    assert (report.dimensions, profile.dimensions) == (4, 4)
    assert (report.re_encoded, report.pictures, report.featureless) == (PICTURES,) * 2 + (0,)
    whitening = Whitening.from_bytes(profile.whitening)
    assert report.note == profile.whitening_note
    assert report.note.checksum == whitening.checksum
    assert (report.note.pictures, report.note.channels) == (PICTURES, 1280)
    if per_picture:
        assert report.note.samples + report.left_out == PICTURES * per_picture
    else:
        assert report.note.samples > PICTURES
    other = made(text, tmp_path / "other", whitening)
    assert_same(by_content(engine.collection), by_content(other.collection), atol=4e-3)
    assert engine.collection.catalogue.check() == []
    assert report.to_json()["whitening"]["checksum"] == whitening.checksum


def test_pooled_descriptors_are_whitened_without_pictures(made, folder):
    engine = made("gem")
    stored = by_content(engine.collection)
    shutil.rmtree(folder)
    report = engine.fit(dimensions=5)
    assert report.re_encoded == PICTURES
    rows = np.array(list(stored.values()))
    whitening = fit_whitening(rows / np.linalg.norm(rows, axis=1, keepdims=True), dimensions=5)
    plain = {
        content: (row / np.linalg.norm(row) - whitening.mean) @ whitening.projection
        for content, row in stored.items()
    }
    plain = {content: row / np.linalg.norm(row) for content, row in plain.items()}
    assert_same(by_content(engine.collection), plain)


def test_on_held_out_pictures(made, photos, encoded):
    engine = made()
    held_out = photos(3, "held out")
    for number in range(50, 58):
        (held_out / f"{number}.jpg").write_bytes(encoded(number))
    (held_out / "bad.jpg").write_bytes(b"no picture")
    report = engine.fit(on=held_out)
    assert report.note.folder == os.fsencode(held_out)
    assert (report.note.pictures, report.note.samples, report.dimensions) == (11, 11, 10)
    assert report.limited == "samples"
    assert [os.path.basename(item.path) for item in report.skipped] == [b"bad.jpg"]
    assert report.re_encoded == PICTURES


def test_some_pictures_of_many_are_drawn_the_same_ones_every_time(made):
    engine = made()
    first = engine.fit(max_samples=6)
    assert (first.note.samples, first.dimensions) == (6, 5)
    assert engine.fit(max_samples=6).note.checksum == first.note.checksum


def test_fitting_again_starts_from_the_pictures(made):
    engine = made("gem")
    engine.fit(dimensions=3)
    report = engine.fit(dimensions=6)
    assert (report.note.channels, report.dimensions, report.re_encoded) == (1280, 6, PICTURES)
    assert engine.collection.profile.generation == 2
    vectors = np.array(list(by_content(engine.collection).values()))
    assert vectors.shape == (PICTURES, 6)


class TestRepeating:
    """Whatever a fit comes after, the same pictures give the same whitening and the same descriptors."""

    @pytest.mark.parametrize(
        ("text", "listed"),
        [
            ("gem:prior=centre", False),
            ("sum", False),
            ("crow", False),
            ("rmac", False),
            ("cam:classes=3", False),
            ("cam:classes=2", True),
        ],
    )
    def test_once_twice_and_after_all_that_can_happen(
        self, made, folder, shown, encoded, tmp_path, text, listed
    ):
        # Descriptors of 7 numbers: with as many as there are samples, rounding decides the last directions.
        options = {"dimensions": 7, "max_samples": 12}
        engine = made(text, predefined=shown if listed else ())
        (folder / "dot.png").write_bytes(encoded.featureless)
        engine.index(folder)
        first = engine.fit(**options)
        wanted = by_content(engine.collection)
        assert len(wanted) == PICTURES
        found = engine.search(folder / "3.jpg", boxes=False, plan=plan_of(text), top=5).hits

        def same(report):
            assert report.note.checksum == first.note.checksum
            assert (report.note.samples, report.skipped) == (first.note.samples, ())
            assert_same(by_content(engine.collection), wanted, atol=1e-5)
            hits = engine.search(folder / "3.jpg", boxes=False, plan=plan_of(text), top=5).hits
            # Records may be others: pictures that come back get new ones.
            assert [(hit.paths, round(hit.score, 5)) for hit in hits] == [
                (hit.paths, round(hit.score, 5)) for hit in found
            ]

        (folder / "dot.png").unlink()  # nothing was seen in it, and nothing is said of it
        same(engine.fit(**options))
        # Killed and resumed, of a collection that is whitened and of one that is not.
        with pytest.raises(KeyboardInterrupt):
            engine.fit(**options, progress=Stopping(2 * PICTURES - 3))
        same(engine.fit(**options))
        engine.unfit()
        with pytest.raises(KeyboardInterrupt):
            engine.fit(**options, progress=Stopping(2 if text in ("gem:prior=centre", "sum", "crow") else 20))
        same(engine.fit(**options))
        # A picture that came, and was there for a fit, and left again; and one that left and came back.
        other = tmp_path / "other.jpg"
        other.write_bytes(encoded(99))
        engine.add([other])
        assert engine.fit(**options | {"max_samples": 100}).note.checksum != first.note.checksum
        engine.remove([other, folder / "0.jpg"])
        assert engine.index(folder).added == 1
        same(engine.fit(**options))

    @pytest.mark.parametrize("text", ["gem", "cam:classes=3"])
    def test_a_picture_that_comes_later_is_described_as_if_it_had_been_there(self, made, folder, text):
        engine = made(text)
        engine.fit(dimensions=7)
        wanted = by_content(engine.collection)
        engine.remove([folder / "5.jpg"])
        assert engine.index(folder).added == 1
        assert_same(by_content(engine.collection), wanted, atol=0)


def plan_of(text):
    return Plan.of("online") if text.startswith("cam") else None


class TestClassLists:
    def test_the_samples_are_of_the_lists_classes(self, made, model, folder, shown, tmp_path):
        """Paper section 4.3: the first N_pca of the list for every picture."""
        plain = made("cam:classes=3").fit(dimensions=5, sample_classes=2)
        engine = made("cam:classes=3", tmp_path / "listed", predefined=shown)
        report = engine.fit(dimensions=5, sample_classes=2)
        assert report.note.checksum != plain.note.checksum
        assert (plain.note.predefined, report.note.predefined) == (False, True)
        assert "2 classes of the class list each" in str(report.note)
        rows = []
        encoder = Encoder(Encoding.parse("cam"), model.classifier_weights, model.classifier_bias)
        reader = PictureReader.of(model, Resize.parse("64"), Limits())
        paths = sorted(folder.iterdir(), key=lambda path: hashlib.sha256(path.read_bytes()).digest())
        for path in paths:
            with open_file(os.fsencode(path)) as file:
                activations = model.run(reader.read(file).pixels)
            rows += list(encoder.parts(activations, classes=np.array([shown[:2]]))[0])
        rows = np.array([row for row in rows if row.any()])
        wanted = fit_whitening(rows, dimensions=5)
        found = Whitening.from_bytes(engine.collection.profile.whitening)
        np.testing.assert_allclose(found.projection, wanted.projection, rtol=1e-3, atol=1e-4)
        assert report.note.samples == len(rows)

    def test_more_than_the_list_has(self, made, shown):
        engine = made("cam:classes=3", predefined=shown)
        with pytest.raises(SettingsError, match="5 sample classes are more than the class list has: 4"):
            engine.fit(sample_classes=5)
        assert engine.fit(sample_classes=4, dimensions=5).note.sample_classes == 4

    def test_a_whitening_of_an_earlier_camseek_is_kept(self, made, address, folder, shown):
        """It was fitted on each picture's own classes, and does not say so."""
        engine = made("cam:classes=3", predefined=shown)
        engine.fit(dimensions=5)
        wanted = by_content(engine.collection)
        engine.close()
        with closing(sqlite3.connect(f"{address}/collection.sqlite")) as database, database:
            [note] = database.execute("SELECT value FROM meta WHERE key = 'whitening_note'").fetchone()
            told = json.loads(note)
            assert told.pop("predefined") is True
            sql = "UPDATE meta SET value = ? WHERE key = 'whitening_note'"
            database.execute(sql, (json.dumps(told),))
        with Engine.open(address, model=engine.model) as opened:
            note = opened.collection.profile.whitening_note
            assert (note.sample_classes, note.predefined) == (1, False)
            assert "of the class list" not in str(note)
            assert opened.search(folder / "2.jpg", boxes=False).hits[0].score > 0.999
            assert_same(by_content(opened.collection), wanted, atol=0)
            assert opened.fit(dimensions=5).note.predefined

    def test_an_unfinished_one_of_an_earlier_camseek_starts_again(self, made, address, shown):
        engine = made("cam:classes=3", predefined=shown)
        with pytest.raises(KeyboardInterrupt):
            engine.fit(dimensions=5, progress=Stopping(PICTURES + 6))
        engine.close()
        with closing(sqlite3.connect(f"{address}/collection.sqlite")) as database, database:
            [refit] = database.execute("SELECT value FROM meta WHERE key = 'refit'").fetchone()
            told = json.loads(refit)
            asked = json.loads(told["asked"])
            assert asked.pop("predefined") is True
            told["asked"] = json.dumps(asked)
            database.execute("UPDATE meta SET value = ? WHERE key = 'refit'", (json.dumps(told),))
        with Engine.open(address, model=engine.model, workers=2) as opened:
            report = opened.fit(dimensions=5)
        assert (report.resumed, report.re_encoded, report.note.predefined) == (False, PICTURES, True)


class TestDimensions:
    def test_as_many_as_the_samples_give(self, made):
        report = made().fit()
        assert (report.dimensions, report.limited) == (PICTURES - 1, "samples")

    def test_more_than_the_samples_give(self, made):
        engine = made()
        with pytest.raises(SettingsError, match="at most 13 dimensions, not 14") as error:
            engine.fit(dimensions=14)
        assert "at most 13" in error.value.remedy
        assert engine.collection.profile.whitening is None

    def test_more_than_the_channels(self, made, monkeypatch):
        engine = made()
        monkeypatch.setattr(refitting, "fitted", None)  # told before any picture is read
        with pytest.raises(SettingsError, match="at most 1280 dimensions, not 1281"):
            engine.fit(dimensions=1281)
        with pytest.raises(SettingsError, match="at most 9 dimensions, not 10"):
            engine.fit(dimensions=10, max_samples=10)

    def test_the_papers_where_there_are_enough(self, made, monkeypatch):
        monkeypatch.setattr(refitting, "DEFAULT_DIMENSIONS", 7)
        report = made("gem").fit()
        assert (report.dimensions, report.limited) == (7, None)

    def test_one_picture(self, made, photos):
        engine = made()
        with pytest.raises(SettingsError, match="1 samples are too few"):
            engine.fit(on=photos(1, "one"))

    def test_an_empty_collection(self, engine, photos):
        with pytest.raises(SettingsError, match="0 samples are too few"):
            engine.fit()
        report = engine.fit(on=photos(3))
        assert (report.pictures, report.dimensions) == (0, 2)

    @pytest.mark.parametrize("wrong", [{"dimensions": 0}, {"max_samples": 1}])
    def test_numbers_that_cannot_be(self, engine, wrong):
        with pytest.raises(ValueError, match="too small"):
            engine.fit(**wrong)

    def test_sample_classes_are_for_cam(self, made):
        with pytest.raises(SettingsError, match="sample classes"):
            made("gem").fit(sample_classes=2)


class TestResuming:
    def test_a_stopped_run_goes_on(self, made, tmp_path, folder, encoded, monkeypatch):
        engine = made()
        before = by_content(engine.collection)
        shutil.copytree(engine.collection.address, tmp_path / "copy")
        with Engine.open(tmp_path / "copy", model=engine.model, workers=2) as other:
            whole = other.fit(dimensions=5)
            wanted = by_content(other.collection)
        assert not whole.resumed
        with pytest.raises(KeyboardInterrupt):
            engine.fit(dimensions=5, progress=Stopping(PICTURES + 6))
        # All is as it was, for others and for this engine.
        assert_same(by_content(engine.collection), before, atol=0)
        assert engine.collection.catalogue.check() == []
        # One picture comes and one goes before it goes on; nothing is sampled again.
        (folder / "late.jpg").write_bytes(encoded(99))
        (folder / "0.jpg").unlink()
        engine.index(folder)
        with monkeypatch.context() as patch:
            patch.setattr(refitting, "draw", None)
            report = engine.fit(dimensions=5)
        assert report.resumed
        assert report.re_encoded < PICTURES
        assert (report.pictures, report.note.samples) == (PICTURES, PICTURES)
        assert report.note.checksum == whole.note.checksum
        found = by_content(engine.collection)
        shared = found.keys() & wanted.keys()
        assert len(shared) == PICTURES - 1
        assert_same({key: found[key] for key in shared}, {key: wanted[key] for key in shared})

    def test_other_options_start_again(self, made):
        engine = made()
        with pytest.raises(KeyboardInterrupt):
            engine.fit(dimensions=5, progress=Stopping(PICTURES + 6))
        report = engine.fit(dimensions=6)
        assert (report.resumed, report.re_encoded, report.dimensions) == (False, PICTURES, 6)

    def test_options_that_cannot_be_keep_what_was_done(self, made):
        engine = made()
        with pytest.raises(KeyboardInterrupt):
            engine.fit(dimensions=5, progress=Stopping(PICTURES + 6))
        with pytest.raises(SettingsError):
            engine.fit(dimensions=500)
        assert engine.fit(dimensions=5).resumed

    def test_an_unfinished_one_can_be_forgotten(self, made):
        engine = made()
        with pytest.raises(KeyboardInterrupt):
            engine.fit(dimensions=5, progress=Stopping(PICTURES + 6))
        report = engine.unfit()
        assert (report.re_encoded, report.dimensions, report.note) == (0, 1280, None)
        assert not engine.fit(dimensions=5).resumed

    def test_progress_comes_to_its_end(self, made):
        engine = made()

        class Counting(Stopping):
            def step(self):
                self.left -= 1

        for text in ("sampled and encoded", "again"):
            told = Counting(0)
            engine.fit(dimensions=5, progress=told)
            assert -told.left == told.total == 2 * PICTURES, text


class TestFilesThatAreLost:
    def test_nothing_is_lost_with_them(self, made, folder, encoded):
        engine = made()
        before = by_content(engine.collection)
        (folder / "0.jpg").unlink()
        (folder / "1.jpg").write_bytes(encoded(77))
        with pytest.raises(SourceError, match="2 pictures cannot be encoded anew") as error:
            engine.fit(dimensions=4)
        assert "0.jpg" in error.value.message
        assert "changed since it was indexed" in error.value.message
        assert "--allow-removal" in error.value.remedy
        assert_same(by_content(engine.collection), before, atol=0)
        engine.index(folder)
        report = engine.fit(dimensions=4)
        # Two that could be encoded stand already; the changed one came with the index run.
        assert (report.resumed, report.re_encoded, report.pictures) == (True, 1, PICTURES - 1)
        assert report.removed == ()

    def test_they_leave_where_that_is_wanted(self, made, folder, encoded):
        engine = made()
        (folder / "0.jpg").unlink()
        (folder / "1.jpg").write_bytes(encoded(77))
        report = engine.fit(dimensions=4, allow_removal=True)
        assert sorted(os.path.basename(item.path) for item in report.removed) == [b"0.jpg", b"1.jpg"]
        assert (report.pictures, report.newly_featureless) == (PICTURES - 2, 0)
        assert engine.collection.catalogue.check() == []
        assert engine.index(folder).added == 1

    def test_what_may_be_read_tomorrow_never_leaves(self, made, folder, monkeypatch):
        engine = made()
        (folder / "0.jpg").unlink()
        real, fails = FileMaps.see, os.fsencode(folder / "1.jpg")

        def see(maps, item):
            if fails in item.paths:
                return Skipped(fails, "there is not enough memory for it now", UnreadableFileError.code)
            return real(maps, item)

        monkeypatch.setattr(FileMaps, "see", see)
        with pytest.raises(SourceError, match=r"1 picture cannot be encoded anew.*memory") as error:
            engine.fit(dimensions=4, allow_removal=True)
        assert "this may pass" in error.value.remedy
        assert len(engine) == PICTURES
        monkeypatch.undo()
        report = engine.fit(dimensions=4, allow_removal=True)
        assert [os.path.basename(item.path) for item in report.removed] == [b"0.jpg"]

    def test_a_copy_serves_as_well(self, made, folder):
        shutil.copy(folder / "3.jpg", folder / "copy.jpg")
        engine = made()
        (folder / "3.jpg").unlink()
        report = engine.fit(dimensions=4)
        assert (report.re_encoded, report.removed) == (PICTURES, ())


class TestTakingItOut:
    @pytest.mark.parametrize("text", ["cam:classes=3", "gem"])
    def test_the_collection_is_what_it_was(self, made, text):
        engine = made(text)
        before, profile = by_content(engine.collection), engine.collection.profile
        engine.fit(dimensions=4)
        report = engine.unfit()
        assert (report.re_encoded, report.dimensions, report.note) == (PICTURES, 1280, None)
        assert_same(by_content(engine.collection), before, atol=1e-4)
        now = engine.collection.profile
        assert (now.settings, now.dimensions, now.whitening, now.whitening_note) == (
            profile.settings,
            profile.dimensions,
            None,
            None,
        )

    def test_there_is_none(self, made):
        with pytest.raises(SettingsError, match="has no whitening"):
            made().unfit()

    def test_a_stopped_one_goes_on(self, made):
        engine = made()
        engine.fit(dimensions=4)
        with pytest.raises(KeyboardInterrupt):
            engine.unfit(progress=Stopping(8))
        assert engine.collection.profile.dimensions == 4
        report = engine.unfit()
        assert report.resumed
        assert 0 < report.re_encoded < PICTURES


class TestFeatureless:
    @pytest.mark.parametrize("text", ["cam:classes=3", "gem"])
    def test_it_stays_so(self, made, folder, encoded, text):
        (folder / "dot.png").write_bytes(encoded.featureless)
        engine = made(text)
        assert engine.info().featureless == 1
        (folder / "dot.png").unlink()  # it is not read again either
        report = engine.fit(dimensions=4)
        assert (report.featureless, report.newly_featureless, report.pictures) == (1, 0, PICTURES + 1)
        report = engine.unfit()
        assert (report.featureless, report.newly_featureless, report.removed) == (1, 0, ())

    def test_one_that_becomes_so_and_comes_back(self, made, monkeypatch):
        engine = made("gem")
        real = recoding.apply_whitening

        zeroed = []

        def zero(vectors, whitening):
            found = real(vectors, whitening)
            if not zeroed:
                zeroed.append(found)
                found[0] = 0
            return found

        with monkeypatch.context() as patch:
            patch.setattr(recoding, "apply_whitening", zero)
            report = engine.fit(dimensions=4)
        assert (report.featureless, report.newly_featureless) == (1, 1)
        report = engine.unfit()
        assert (report.featureless, report.newly_featureless) == (0, 0)


class TestWhoeverHasItOpen:
    @pytest.mark.parametrize("keep", [True, False])
    @pytest.mark.parametrize("text", ["cam:classes=3", "gem"])
    def test_a_search_before_and_after(self, made, model, address, folder, text, keep):
        engine = made(text)
        with Engine.open(address, model=model, keep_descriptors=keep) as other:
            first = other.search(folder / "2.jpg")
            for dimensions in (4, 6, None):
                engine.fit(dimensions=dimensions) if dimensions else engine.unfit()
                found = other.search(folder / "2.jpg")
                assert found.hits[0].path == str(folder / "2.jpg")
                assert found.hits[0].score > 0.99
                with Engine.open(address, model=model) as fresh:
                    wanted = fresh.search(folder / "2.jpg")
                assert [hit.record for hit in found.hits] == [hit.record for hit in wanted.hits]
                np.testing.assert_allclose(
                    [hit.score for hit in found.hits], [hit.score for hit in wanted.hits], atol=1e-5
                )
            assert [hit.record for hit in found.hits] == [hit.record for hit in first.hits]

    def test_what_it_adds_is_whitened(self, made, model, address, folder, encoded):
        engine = made()
        with Engine.open(address, model=model, workers=2) as other:
            other.search(folder / "2.jpg")
            engine.fit(dimensions=4)
            (folder / "late.jpg").write_bytes(encoded(70))
            assert other.index(folder).added == 1
            found = other.search(folder / "late.jpg")
            assert found.hits[0].path == str(folder / "late.jpg")
            assert found.hits[0].score > 0.99
        assert engine.collection.catalogue.check() == []

    def test_one_writer_at_a_time(self, made, model, address, folder):
        engine = made()
        with (
            open_collection(str(address)) as other,
            other.write("somebody else"),
            pytest.raises(CollectionBusyError, match="somebody else"),
        ):
            engine.fit()

    def test_a_damaged_picture_row_is_not_read_as_another(self, made, folder):
        """The content decides, not the name: two files that changed places are two changed files."""
        engine = made()
        one, two = folder / "0.jpg", folder / "1.jpg"
        with open_file(os.fsencode(one)) as file:
            content = file.read()
        one.write_bytes(two.read_bytes())
        two.write_bytes(content)
        with pytest.raises(SourceError, match="2 pictures cannot be encoded anew"):
            engine.fit(dimensions=4)
