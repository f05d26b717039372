"""The Python API as somebody with a notebook uses it: pictures in memory, lists, tables, and mistakes."""

import csv
import io
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

import camseek
from camseek import (
    Encoding,
    Engine,
    Limits,
    Plan,
    Protocol,
    QueryPart,
    SearchResult,
    Settings,
    Skipped,
)
from camseek.cli import run
from camseek.errors import CancelledError

SIZE = (64, 48)
RERANK = Plan.of("online", classes=3, rerank=3)


@pytest.fixture
def image(encoded):
    """A picture in memory, other than those of ``photos``."""
    return lambda seed, size=SIZE: Image.open(io.BytesIO(encoded(50 + seed, size, "PNG")))


@pytest.fixture
def folder(photos):
    return photos(4)


@pytest.fixture
def filled(engine, folder):
    engine.index(folder)
    return engine


def names(engine):
    return sorted(name for picture in engine for name in picture.paths)


def timeless(result):
    """A result without its duration."""
    return result.to_json() | {"seconds": None}


class TestQueries:
    """One picture, whatever it comes as."""

    def test_every_kind_finds_the_same(self, filled, folder):
        path = folder / "1.jpg"
        # A picture of Pillow's, or an array, holds the pixels that the file is decoded to.
        picture = Image.open(path)
        kinds = [str(path), path, path.read_bytes(), bytearray(path.read_bytes()), picture]
        kinds += [np.asarray(picture), io.BytesIO(path.read_bytes()), QueryPart(path), [QueryPart(picture)]]
        with open(path, "rb") as file:
            results = [filled.search(kind, boxes=True) for kind in [*kinds, file]]
        expected = [(hit.path, pytest.approx(hit.score, abs=1e-6), hit.box) for hit in results[0]]
        assert len(expected) == 4
        for result in results:
            assert [(hit.path, hit.score, hit.box) for hit in result] == expected
            assert (result[0], result[-1]) == (result.hits[0], result.hits[3])

    def test_grey_and_transparent_ones(self, filled, image):
        picture = image(0)
        for mode in ("L", "RGBA", "P", "CMYK"):
            assert len(filled.search(picture.convert(mode))) == 4
        grey = np.asarray(picture.convert("L"))
        assert filled.search(grey).hits == filled.search(grey[:, :, None]).hits

    def test_several_pictures_of_one_thing(self, filled, image, folder):
        found = filled.search([image(0), QueryPart(folder / "1.jpg", (0, 0, 40, 40))], together=True)
        assert [item.path is None for item in found.query.pictures] == [True, False]

    def test_two_things_never_become_one_unasked(self, filled, image, folder):
        with pytest.raises(ValueError, match="together=True"):
            filled.search([image(0), folder / "1.jpg"])
        assert filled.search([image(0)]).hits == filled.search(image(0)).hits

    def test_regions_in_per_cent(self, filled, folder):
        pixels = filled.search(folder / "0.jpg", region=(16, 12, 64, 48))
        for region in ("16,12,64,48", "25%,25%,100%,100%", camseek.Shares(0.25, 0.25, 1, 1)):
            found = filled.search(folder / "0.jpg", region=region)
            assert found.query == pixels.query
            assert found.query.pictures[0].region == (16, 12, 64, 48)
            assert found.hits == pixels.hits


class TestResults:
    def test_hits_and_names(self, filled, folder):
        found = filled.search(folder / "2.jpg")
        assert isinstance(found, SearchResult)
        assert len(found) == len(found.hits) == len(list(found)) == 4
        first = next(iter(found))
        assert first.path == str(folder / "2.jpg")
        assert first.paths == (first.path,)
        assert first.path_bytes == bytes(folder / "2.jpg")
        assert first.paths_bytes == (first.path_bytes,)
        with Image.open(first.path) as picture:
            assert picture.size == first.size

    def test_rows_are_a_table(self, filled, folder):
        found = filled.search(folder / "2.jpg", plan=RERANK, boxes=True)
        rows = found.rows()
        assert [row["rank"] for row in rows] == [1, 2, 3, 4]
        assert len({tuple(row) for row in rows}) == 1
        assert rows[0]["path"] == str(folder / "2.jpg")
        assert (rows[0]["x1"], rows[0]["y1"], rows[0]["x2"], rows[0]["y2"]) == found.hits[0].box
        for row in rows:
            assert all(value is None or type(value) in (int, float, str, bool) for value in row.values())
        file = io.StringIO()
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        back = list(csv.DictReader(io.StringIO(file.getvalue())))
        assert [row["path"] for row in back] == [hit.path for hit in found]
        assert [float(row["score"]) for row in back] == [hit.score for hit in found]

    def test_nothing_found_is_an_empty_table(self, engine, image):
        found = engine.search(image(0))
        assert (len(found), found.rows(), found.searched) == (0, [], 0)


class TestAdding:
    """Pictures that have no file."""

    @pytest.fixture
    def given(self, image):
        return {"red": image(0), "green": np.asarray(image(1)), "blue/1": image(2)}

    def test_a_mapping_names_them(self, filled, given, image):
        report = filled.add(given)
        assert (report.added, report.encoded, report.skipped) == (3, 3, [])
        assert len(filled) == 7
        assert {b"camseek:red", b"camseek:green", b"camseek:blue/1"} < set(names(filled))
        found = filled.search(image(0))
        assert (found.hits[0].path, found.hits[0].path_bytes) == ("camseek:red", b"camseek:red")
        assert found.hits[0].score == pytest.approx(1, abs=2e-3)
        assert filled.search(given["green"]).hits[0].path == "camseek:green"

    def test_contents_of_files(self, filled, encoded, folder):
        with open(folder / "3.jpg", "rb") as file:
            filled.add({"bytes": encoded(9), "known": (folder / "0.jpg").read_bytes(), "open": file})
        assert filled.search(encoded(9)).hits[0].path == "camseek:bytes"
        # One content is one picture, under both names.
        assert len(filled) == 5
        assert filled.search(folder / "0.jpg").hits[0].paths == (str(folder / "0.jpg"), "camseek:known")

    def test_a_list_names_them_by_their_content(self, filled, image):
        report = filled.add([image(0), np.asarray(image(1)), image(0)])
        assert report.added + report.unchanged == 3
        assert len(filled) == 6
        first = filled.search(image(0)).hits[0].path
        assert first.startswith("camseek:")
        again = filled.add([image(0)])
        # What is there is not described again.
        assert (again.unchanged, again.encoded, len(filled)) == (1, 0, 6)

    def test_files_among_them(self, engine, folder, image):
        report = engine.add([folder / "0.jpg", image(0), str(folder / "1.jpg"), folder / "none.jpg"])
        assert report.added == 3
        assert [(item.path, item.code) for item in report.skipped] == [
            (bytes(folder / "none.jpg"), "unreadable")
        ]
        assert bytes(folder / "0.jpg") in names(engine)

    def test_a_generator_is_asked_for_few_at_a_time(self, engine, image, monkeypatch):
        monkeypatch.setattr("camseek.indexing.bringing._TOGETHER", 2)
        held = []

        def pictures():
            for number in range(7):
                held.append(number - len(engine))
                yield image(number)

        assert engine.add(pictures()).added == 7
        assert len(engine) == 7
        assert max(held) < 4
        assert engine.add(iter([])).added == 0

    def test_bad_ones_are_skipped(self, filled, image):
        cut = io.BytesIO()
        image(0).save(cut, "PNG")
        broken = Image.open(io.BytesIO(cut.getvalue()[:-200]))
        given = {"bad": b"no picture", "good": image(1), "gone": "nothing.jpg", "broken": broken}
        report = filled.add(given)
        assert (report.added, len(filled)) == (1, 5)
        assert {item.path: item.code for item in report.skipped} == {
            b"camseek:bad": "not_a_picture",
            b"camseek:gone": "unreadable",
            b"camseek:broken": "damaged",
        }

    def test_another_picture_of_the_name(self, filled, image):
        filled.add({"a": image(0), "b": image(1)})
        report = filled.add({"a": image(1), "b": image(0)})
        assert (report.changed, len(filled)) == (2, 6)
        for name, picture in (("a", image(1)), ("b", image(0))):
            first = filled.search(picture, boxes=True).hits[0]
            assert first.path == f"camseek:{name}"
            assert first.box is not None

    def test_boxes_and_stages_see_them(self, filled, given, image):
        filled.add(given)
        found = filled.search(image(0), plan=RERANK, views=True, boxes=True)
        assert [hit.box_reason for hit in found] == [None] * 7
        assert all(hit.box and not hit.kept for hit in found)
        assert found.hits[0].path == "camseek:red"
        assert found.hits[0].scored_by == "re-ranking"
        assert not any(isinstance(view, str) for view in found.views)
        expanded = filled.search(image(0), plan=Plan.of(expand=1))
        assert expanded.hits[0].path == "camseek:red"

    def test_they_are_taken_out_again(self, filled, given):
        filled.add(given)
        assert filled.remove(["camseek:red", b"camseek:green"]).removed == 2
        assert b"camseek:red" not in names(filled)
        assert len(filled) == 5
        assert filled.remove(["camseek:red"]).unknown == (b"camseek:red",)
        assert filled.search(given["red"]).hits[0].path != "camseek:red"

    def test_an_index_run_leaves_them_alone(self, filled, given, folder):
        filled.add(given)
        (folder / "0.jpg").unlink()
        report = filled.index(folder)
        assert (report.removed, report.unchanged) == (1, 3)
        assert len(filled) == 6
        assert {b"camseek:red", b"camseek:green", b"camseek:blue/1"} < set(names(filled))

    def test_another_engine_has_them(self, filled, given, image, address, model, capsys):
        filled.add(given)
        before = filled.search(image(1), plan=RERANK)
        filled.close()
        with Engine.open(address, model=model, workers=2) as again:
            assert timeless(again.search(image(1), plan=RERANK)) == timeless(before)
        assert run(["check", "--collection", str(address), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["sound"]


class TestLettingGo:
    """What is removed is gone; what cannot be made leaves nothing."""

    def test_a_given_picture_of_a_known_content(self, filled, folder):
        data = (folder / "0.jpg").read_bytes()
        filled.add({"mine": data, "again": data})
        traces = filled.collection.traces
        assert traces.kinds() == {"file": 1}
        assert filled.remove(["camseek:mine"]).removed == 1
        assert traces.kinds() == {"file": 1}
        assert filled.remove(["camseek:again"]).removed == 1
        assert traces.kinds() == {}
        assert str(folder / "0.jpg") in [hit.path for hit in filled.search(data, top=1)]

    def test_an_empty_name_is_not_the_working_folder(self, filled, monkeypatch, folder):
        monkeypatch.chdir(folder)
        for names in ([""], ["camseek:"]):
            with pytest.raises(ValueError, match="empty"):
                filled.remove(names)
        with pytest.raises(ValueError, match="empty"):
            filled.add({"camseek:": b""})
        with pytest.raises(ValueError, match="one"):
            filled.add({"x": b"1", "camseek:x": b"2"})
        assert len(filled) == 4

    def test_a_name_with_a_zero_byte_is_skipped(self, filled, image):
        report = filled.add([image(7), "a\0b"])
        assert report.added == 1
        assert [item.reason for item in report.skipped] == ["its name holds a zero byte"]

    def test_a_closed_engine_says_so(self, filled, image):
        filled.close()
        for use in (len, list, lambda engine: engine.search(image(0)), Engine.info):
            with pytest.raises(camseek.CamseekError, match="was closed"):
                use(filled)

    def test_what_is_cancelled_does_not_begin(self, filled, image, folder):
        stop = threading.Event()
        stop.set()
        before = filled.descriptors()[1]
        for work in (
            lambda: filled.search(image(0), cancelled=stop),
            lambda: list(filled.search_many([image(0)], cancelled=stop)),
            lambda: filled.index(folder, cancelled=stop),
            lambda: filled.fit(dimensions=2, cancelled=stop),
            lambda: filled.classes(cancelled=stop),
        ):
            with pytest.raises(CancelledError):
                work()
        np.testing.assert_array_equal(filled.descriptors()[1], before)
        with pytest.raises(TypeError, match="Event"):
            filled.search(image(0), cancelled=True)

    def test_no_collection_is_left_behind(self, tmp_path, model):
        with pytest.raises(ValueError, match="workers"):
            Engine.open(tmp_path / "new", create=True, model=model, workers=0)
        assert not (tmp_path / "new").exists()


class TestManyQueries:
    def test_in_order_and_as_single_searches(self, filled, folder, image):
        queries = [
            folder / "3.jpg",
            image(0),
            np.asarray(image(1)),
            (folder / "0.jpg").read_bytes(),
            [QueryPart(image(2), (0, 0, 40, 40)), QueryPart(folder / "1.jpg")],
        ]
        for options in ({}, {"plan": RERANK, "boxes": True}, {"top": 2, "plan": Plan.of(expand=2)}):
            found = list(filled.search_many(queries, **options))
            alone = [filled.search(query, together=True, **options) for query in queries]
            assert [timeless(item) for item in found] == [timeless(item) for item in alone]

    def test_bad_ones_end_nothing(self, filled, folder, image, encoded):
        queries = [
            image(0),
            b"no picture",
            folder / "none.jpg",
            [QueryPart(image(1), (0, 0, 65, 10))],
            encoded.featureless,
            # Bugs of the caller's, which end none of the other queries either.
            "",
            None,
            [],
            np.zeros((8, 8, 3)),
            "a\0b",
            [folder / "1.jpg", ""],
            image(2),
        ]
        found = list(filled.search_many(queries))
        assert [type(item) for item in found] == [SearchResult, *[Skipped] * 10, SearchResult]
        assert found[-1].hits == filled.search(image(2)).hits
        skipped = [item for item in found if isinstance(item, Skipped)]
        assert [item.code for item in skipped[:4]] == ["not_a_picture", "unreadable", "region", "featureless"]
        assert [item.path for item in skipped[:4]] == [b"", bytes(folder / "none.jpg"), b"", b""]
        assert [item.reason.split(":")[0] for item in skipped[4:8]] == [
            "the name is empty",
            "a picture cannot be a NoneType",
            "a query is at least one picture, and here is none",
            "an array of float64 is no picture",
        ]
        assert all(item.reason for item in skipped)
        assert {item.code for item in skipped[4:]} <= {"not_a_picture", "unreadable", "failed"}

    def test_without_themselves(self, filled, folder):
        paths = [folder / f"{number}.jpg" for number in range(4)]
        for path, found in zip(paths, filled.search_many(paths, without_self=True, top=2), strict=True):
            assert len(found) == 2
            assert found.searched == 3
            assert str(path) not in [hit.path for hit in found]
            assert timeless(found) == timeless(filled.search(path, without_self=True, top=2))

    def test_generators_are_taken_as_they_come(self, filled, image, monkeypatch):
        monkeypatch.setattr("camseek.searching.searcher._TOGETHER", 2)
        asked = []

        def queries():
            for number in range(5):
                asked.append(number)
                yield image(number)

        found = filled.search_many(queries())
        assert asked == []
        next(found)
        assert asked == [0, 1]
        assert len(list(found)) == 4
        assert asked == [0, 1, 2, 3, 4]

    def test_a_stack_of_pictures(self, filled, image):
        stack = np.stack([np.asarray(image(number)) for number in range(3)])
        assert len(list(filled.search_many(stack))) == 3

    def test_many_regions_of_one_picture_that_nobody_has_read_yet(self, filled, encoded, tmp_path):
        """Threads must not read one lazy image, or one open file, at the same time."""
        data = encoded(0, (400, 300), "BMP")
        boxes = [(x, y, x + 120, y + 100) for x in (0, 90, 180, 270) for y in (0, 90, 180)]
        expected = [filled.search(data, region=box, top=2) for box in boxes]
        (tmp_path / "one.bmp").write_bytes(data)
        with open(tmp_path / "one.bmp", "rb") as file, Image.open(tmp_path / "one.bmp") as image:
            for source in (file, image):
                found = list(filled.search_many([[QueryPart(source, box)] for box in boxes], top=2))
                for one, other in zip(found, expected, strict=True):
                    assert [hit.record for hit in one] == [hit.record for hit in other]
                    assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], abs=1e-5)

    def test_one_object_with_other_pixels_each_time(self, filled, image):
        """A loop over frames that fills one array, as video readers do."""
        frames = [np.asarray(image(number)) for number in range(5)]

        def reused():
            frame = np.empty_like(frames[0])
            for other in frames:
                frame[:] = other
                yield frame

        expected = [found.hits[0].score for found in filled.search_many(frames)]
        assert len(set(expected)) == 5
        assert [found.hits[0].score for found in filled.search_many(reused())] == expected
        assert filled.add(reused()).added == 5

    def test_progress_counts_queries(self, filled, folder):
        told = []

        class Told:
            def start(self, total):
                told.append(total)

            def step(self):
                told.append("step")

        paths = [folder / f"{number}.jpg" for number in range(3)]
        assert len(list(filled.search_many(paths, plan=RERANK, progress=Told()))) == 3
        assert told == [3, "step", "step", "step"]

    def test_each_has_its_own_duration(self, filled, image):
        queries = [image(number) for number in range(12)]
        started = time.perf_counter()
        found = list(filled.search_many(queries))
        # Two threads read them: were each timed from the beginning of all, the sum would be much more.
        assert sum(item.seconds for item in found) <= 2.5 * (time.perf_counter() - started)

    def test_none(self, filled, engine):
        assert list(filled.search_many([])) == []

    def test_in_an_empty_collection(self, engine, image):
        [found] = engine.search_many([image(0)])
        assert len(found) == 0


class TestWhatItHolds:
    def test_an_empty_one_is_true(self, engine):
        assert len(engine) == 0
        assert engine
        assert list(engine) == []
        paths, vectors = engine.descriptors()
        assert (paths, vectors.shape, vectors.dtype) == ([], (0, 1280), np.float32)
        assert engine.info().pictures == 0

    def test_pictures(self, filled, folder, image):
        filled.add({"red": image(0)})
        assert len(filled) == len(list(filled)) == 5
        assert names(filled) == sorted([*(bytes(folder / f"{n}.jpg") for n in range(4)), b"camseek:red"])
        assert {picture.size for picture in filled} == {SIZE}

    def test_info(self, filled, address, folder):
        info = filled.info()
        assert (info.address, info.pictures, info.files) == (str(address), 4, 4)
        assert list(info.roots) == [bytes(folder)]

    def test_descriptors_belong_to_their_names(self, filled, folder, image):
        filled.add({"red": image(0)})
        paths, vectors = filled.descriptors()
        assert sorted(paths) == sorted([*(str(folder / f"{n}.jpg") for n in range(4)), "camseek:red"])
        assert (vectors.shape, vectors.dtype) == ((5, 1280), np.float32)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
        # Their cosines are what a search gives.
        cosines = dict(zip(paths, vectors @ vectors[paths.index("camseek:red")], strict=True))
        for hit in filled.search(image(0)):
            assert hit.score == pytest.approx(float(cosines[hit.path]), abs=2e-3)


class TestSettings:
    def test_encodings_are_equal_however_they_are_written(self):
        assert Encoding(name="gem") == Encoding.parse("gem")
        assert Encoding(name="gem", power=3) == Encoding.parse("gem")
        assert hash(Encoding(name="gem")) == hash(Encoding.parse("gem"))
        assert Encoding(name="gem", prior="centre") == Encoding.parse("gem:prior=centre")

    @pytest.mark.parametrize(
        ("settings", "wanted"),
        [
            ("gem", Settings(encoding=Encoding.parse("gem"))),
            (Encoding(name="sum"), Settings(encoding=Encoding.parse("sum"))),
            (
                {"encoding": "cam", "size": 320},
                Settings.of({"encoding": Encoding(name="cam"), "size": "320"}),
            ),
            (Settings(), Settings()),
            (None, Settings()),
        ],
    )
    def test_opening(self, address, model, settings, wanted, image):
        with Engine.open(address, model=model, settings=settings, create=True) as engine:
            assert engine.settings == wanted
            engine.add([image(0)])
            assert len(engine.search(image(0))) == 1
        # The same again is the same; so is saying nothing.
        for again in (settings, None):
            Engine.open(address, model=model, settings=again).close()

    def test_others_are_refused(self, address, model):
        Engine.open(address, model=model, settings="gem", create=True).close()
        with pytest.raises(camseek.CamseekError, match="encoding gem instead of sum"):
            Engine.open(address, model=model, settings="sum")


class TestMeasuring:
    @pytest.fixture
    def truth(self, folder, tmp_path):
        queries = [
            {"id": f"q{number}", "image": f"photos/{number}.jpg", "good": [f"{number}.jpg", "3.jpg"]}
            for number in range(3)
        ]
        place = tmp_path / "truth.json"
        place.write_text(json.dumps({"database": "photos", "queries": queries}))
        return place

    def test_by_name(self, truth, model):
        for place in (truth, str(truth)):
            found = camseek.evaluate(place, encodings=["gem", Encoding(name="sum")], model=model)
            assert [item.name for item in found.encodings] == ["gem", "sum"]
            assert found.encodings[0].mean_average_precision > 0.5

    def test_by_names_of_ones_own(self, truth, model):
        found = camseek.evaluate(str(truth), encodings={"mine": "gem"}, settings={"size": 320}, model=model)
        assert [item.name for item in found.encodings] == ["mine"]

    def test_a_collection(self, filled, truth, image):
        filled.add({"red": image(0)})
        found = camseek.evaluate(str(truth), engine=filled)
        assert (found.database, found.distractors) == (4, 1)

    def test_a_protocol(self, truth, model):
        protocol = Protocol(settings=Settings(encoding=Encoding.parse("gem")), plan=Plan.of(expand=1))
        found = camseek.measure(str(truth), {"one": protocol}, model=model)
        assert found.encodings[0].name == "one"

    def test_an_audit(self, truth, model):
        base = Protocol(settings=Settings(encoding=Encoding.parse("gem")))
        assert camseek.audit(str(truth), base, model=model).facts()["encoding"] == "gem"


def test_what_a_notebook_needs_is_exported():
    names = ["Plan", "QueryPart", "evaluate", "audit", "measure", "Protocol", "Encoding", "Engine"]
    # What a search that asks for nothing else does can be written down, and what it gives be named.
    usual = Plan.usual(["points"])
    names += [type(stage).__name__ for stage in (usual.first, *usual.then)]
    names += ["Words", "Verdict", "Outline", "CollectionBusyError"]
    for name in names:
        assert name in camseek.__all__
        assert getattr(camseek, name).__module__.startswith("camseek.")


def test_what_a_cell_shows_of_a_whitened_collection_is_readable(filled):
    filled.fit(dimensions=2)
    whitening = filled.info().profile.whitening
    assert len(whitening) > 10_000
    assert len(repr(filled.info())) < 5_000


# Cells of a notebook, each an expression: what somebody may write by mistake, the error and its message.
MISTAKES = {
    "engine.search(picture, plan='online')": "TypeError: a plan is a camseek.Plan, not 'online'",
    "engine.search(picture, region='1,2,3')": "RegionError: '1,2,3' is no region",
    "engine.search(picture, region=(1, 2, 3))": "RegionError: (1, 2, 3) is no region",
    "engine.search(picture, region=(1.0, 2.0, 30.0, 40.0))": "RegionError: (1.0, 2.0, 30.0, 40.0) is no",
    "engine.search(picture, region=5)": "RegionError: 5 is no region",
    "engine.search(picture, reading='cell')": "ValueError: there is no region reading 'cell'",
    "engine.search(picture, top='5')": "TypeError: top is a whole number, not '5'",
    "engine.search(picture, top=None)": "TypeError: top is a whole number, not None",
    "engine.search(picture, top=2.5)": "TypeError: top is a whole number, not 2.5",
    "engine.search(picture, top=True)": "TypeError: top is a whole number, not True",
    "engine.search(picture, top=0)": "ValueError: top is 0",
    "engine.search([QueryPart(picture)], region=(0, 0, 9, 9))": "ValueError: a list of pictures has",
    "engine.search(None)": "TypeError: a picture cannot be a NoneType: give a file's name",
    "engine.search(5)": "TypeError: a picture cannot be a int",
    "engine.search({})": "TypeError: a picture cannot be a dict",
    "engine.search([])": "ValueError: a query is at least one picture",
    "engine.search(['a.jpg', 'b.jpg'])": "ValueError: 2 pictures are one query only with together=True",
    "engine.search(np.zeros((8, 8, 3)))": "TypeError: an array of float64 is no picture: it must be of uint8",
    "engine.search('none.jpg')": "UnreadableFileError: ",
    # At once, not when the first result is asked for.
    "engine.search_many([picture], plan='online')": "TypeError: a plan is a camseek.Plan",
    "engine.search_many([picture], top='5')": "TypeError: top is a whole number",
    "engine.search_many([picture], reading='cell')": "ValueError: there is no region reading",
    "engine.add([picture, None])": "TypeError: a picture cannot be a NoneType",
    "engine.add({'a': picture, 1: picture})": "ValueError: the name of a picture without a file is text",
    "engine.add({'a': picture, '': picture})": "ValueError: the name of a picture without a file is text",
    "engine.add({'a': picture, 'b': 5})": "TypeError: a picture cannot be a int",
    "Engine.open(address, settings=5)": "TypeError: settings cannot be 5",
    "Engine.open(address, settings='gemm')": "SettingsError: there is no encoding 'gemm'",
    "Engine.open(address, settings={'encodin': 'gem'})": "SettingsError: there is no setting encodin",
    "Engine.open(address, settings={'encoding': 5})": "SettingsError: the encoding cannot be 5",
    "Engine.open(address, model=5)": "TypeError: a model is what camseek.load_model gives, or its name",
    "Engine.open(address, limits=5)": "TypeError: limits are camseek.Limits, not 5",
    "Engine.open(address, workers=0)": "ValueError: 0 workers",
    "Engine.open(address, workers='2')": "TypeError: workers is a whole number, not '2'",
    "Engine.open(address + '2')": "NoCollectionError: ",
    "Plan('online')": "TypeError: 'online' is no FirstStage",
    "Plan(then=('online',))": "TypeError: 'online' is no LaterStage",
    "Plan.of('onlin')": "SettingsError: there is no aggregation 'onlin'",
    "Plan.of(rerank='5')": "TypeError: rerank is a whole number, not '5'",
    "Plan.of(rerank=5.5)": "TypeError: rerank is a whole number, not 5.5",
    "Plan.of(expand=None)": "TypeError: expand is a whole number, not None",
    "Plan.of('online', classes='5')": "TypeError: classes is a whole number, not '5'",
    "Plan.of('online', shortlist=2.5)": "TypeError: shortlist is a whole number, not 2.5",
    "Plan.of('online', attend=['church'])": "TypeError: a class is a whole number, not 'church'; camseek",
    "Plan.of('online', attend='church')": "TypeError: numbers are a list, also where there is one, not str",
    "Plan.of('predefined', predefined=['church'])": "TypeError: a class is a whole number, not 'church'",
    "camseek.MatchRegions('5')": "TypeError: count is a whole number, not '5'",
    "camseek.Expand('5')": "TypeError: count is a whole number, not '5'",
    "camseek.DescribeAnew(classes=2.5)": "TypeError: classes is a whole number, not 2.5",
    "camseek.evaluate('none.json')": "GroundTruthError: ",
    "camseek.evaluate('none.json', encodings='gem')": "TypeError: encodings are a list",
    "camseek.measure('none.json', camseek.Protocol())": "TypeError: protocols are a mapping of names to them",
}
# One thing where a list is wanted; most of them could be gone through all the same. Letter by letter, the
# first name to remove would be "/", and everything would go.
MISTAKES |= {
    call.format(single): f"TypeError: {what} are a list, also where there is one"
    for single in ("path", "str(path)", "path.read_bytes()", "picture", "pixels", "open(path, 'rb')", "None")
    for call, what in {
        "engine.add({})": "pictures",
        "engine.search_many({})": "queries",
        "engine.remove({})": "names to remove",
        "engine.index(path.parent, include={})": "patterns",
        "engine.index(path.parent, exclude={})": "patterns",
    }.items()
}
# Those of the last run.
for key in ("include", "exclude"):
    del MISTAKES[f"engine.index(path.parent, {key}=None)"]
# What is no mistake, though it is not what annotations say: these are equal.
SAME = {
    "engine.search(picture, region=(8, 4, 56, 44)).hits": (
        "engine.search(picture, region=[8, 4, 56, 44]).hits",
        "engine.search(picture, region=np.array([8, 4, 56, 44])).hits",
        "engine.search(picture, region=tuple(np.array([8, 4, 56, 44]))).hits",
        "engine.search(QueryPart(picture, [8, 4, 56, 44])).hits",
    ),
    "engine.search(picture, top=3).hits": ("engine.search(picture, top=np.int64(3)).hits",),
    "Plan.of('online', classes=3, rerank=2, expand=2)": (
        "Plan.of('online', classes=np.int64(3), rerank=np.uint8(2), expand=np.int32(2))",
    ),
    "Plan.of('online', attend=(1, 2))": (
        "Plan.of('online', attend=[1, 2])",
        "Plan.of('online', attend=np.array([1, 2]))",
    ),
    "Plan.of(rerank=5)": (
        "Plan(then=camseek.MatchRegions(5))",
        "Plan(then=[camseek.MatchRegions(5)])",
        "Plan(camseek.Nearest(), (camseek.MatchRegions(count=5),))",
    ),
    # A number of NumPy's would be none in JSON.
    "json.dumps(Plan.of(rerank=5, expand=2).to_json())": (
        "json.dumps(Plan.of(rerank=np.int64(5), expand=np.int64(2)).to_json())",
    ),
    "Engine.open(address, settings='gem').settings": (
        "Engine.open(address, settings={'encoding': 'gem', 'size': 640}).settings",
        "Engine.open(address, settings=camseek.Encoding(name='gem')).settings",
        "Engine.open(address).settings",
    ),
}
NOTEBOOK = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
import camseek
from camseek import Engine, Plan, QueryPart
address, path = sys.argv[1], Path(sys.argv[2])
picture = Image.open(path)
pixels = np.asarray(picture)
engine = Engine.open(address)
before = sorted(name for item in engine for name in item.paths)
told = {}
for cell in json.load(sys.stdin):
    try:
        told[cell] = repr(eval(cell))
    except Exception as error:
        told[cell] = f"{type(error).__name__}: {error}"
assert before == sorted(name for item in engine for name in item.paths), "a mistake changed the collection"
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory, encoded, model):
    """What each cell gave, all in one notebook."""
    place = tmp_path_factory.mktemp("notebook")
    (place / "photos").mkdir()
    for number in range(4):
        (place / "photos" / f"{number}.jpg").write_bytes(encoded(number))
    with Engine.open(place / "collection", model=model, settings="gem", create=True) as engine:
        engine.index(place / "photos")
    cells = [*MISTAKES, *(cell for one, others in SAME.items() for cell in (one, *others))]
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, place / "collection", place / "photos" / "0.jpg"],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestCells:
    """In a process of its own: here, what functions are given is checked before they see it."""

    @pytest.mark.parametrize("cell", MISTAKES)
    def test_mistakes(self, told, cell):
        assert told[cell].startswith(MISTAKES[cell])

    @pytest.mark.parametrize("cell", SAME)
    def test_no_mistakes(self, told, cell):
        assert "Error: " not in told[cell]
        for other in SAME[cell]:
            assert told[other] == told[cell]


def test_limits(address, model, image):
    limits = Limits(max_pixels=64 * 47)
    with Engine.open(address, model=model, create=True, limits=limits) as engine:
        assert [item.code for item in engine.add({"a": image(0)}).skipped] == ["too_large"]
