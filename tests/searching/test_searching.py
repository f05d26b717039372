"""What a search does after the first ranking, against the method's equations in plain arithmetic."""

import io
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from camseek import Encoding, Engine, Plan, QueryPart, Settings
from camseek.backbones import Backbone
from camseek.encoding.regions import CellGrid, largest_component
from camseek.errors import CancelledError, CollectionChangedError, SettingsError
from camseek.extraction.extractor import Extractor
from camseek.images import decode, open_file
from camseek.job import Quiet
from camseek.searching.stored import StoredDatabase

SIZE = (320, 224)
COUNT = 6
CLASSES = 8


def unit(vector):
    length = np.linalg.norm(vector)
    return vector / length if length else vector


class Plain:
    """The method's equations in double precision, a class at a time."""

    def __init__(self, model, settings):
        self.model = model
        self.settings = settings

    def run(self, path):
        with open_file(os.fsencode(path)) as file:
            picture = decode(file, resize=self.settings.size, multiple=self.model.card.input.multiple)
        found = self.model.run(picture.pixels)
        assert found.mask.all()
        return found.features[0].astype(float), found.scores[0].astype(float), picture

    def classes(self, scores, count):
        return np.argsort(-scores, kind="stable")[:count]

    def map(self, features, number):
        raw = np.tensordot(self.model.classifier_weights[number].astype(float), features, 1)
        return np.maximum(raw, 0) / raw.max() if raw.max() > 0 else np.zeros_like(raw)

    def vector(self, features, cam, power=1.0):
        fires = (features > 0).mean(axis=(1, 2))
        weights = np.array([np.log(fires.sum() / q) if q else 0.0 for q in fires])
        pooled = (features**power * cam).sum(axis=(1, 2)) ** (1 / power)
        return unit(weights * pooled)

    def descriptor(self, path, numbers, box=None, power=1.0):
        features, _, _ = self.run(path)
        return self.of(features, numbers, box, power)

    def of(self, features, numbers, box=None, power=1.0):
        row1, row2, column1, column2 = box or (0, features.shape[1], 0, features.shape[2])
        part = features[:, row1:row2, column1:column2]
        maps = [self.map(features, number)[row1:row2, column1:column2] for number in numbers]
        return unit(sum(self.vector(part, cam, power) for cam in maps))

    def best_region(self, path, query, numbers):
        """The best region's cosine, descriptor and box in pixels."""
        features, _, picture = self.run(path)
        heat = (self.map(features, numbers[0]) + self.map(features, numbers[1])) / 2
        boxes = [largest_component(heat > share * heat.max()) for share in (0.01, 0.1, 0.2, 0.3, 0.4)]
        found = [(self.of(features, numbers, box), box) for box in boxes]
        descriptor, box = max(found, key=lambda item: item[0] @ query)
        grid = CellGrid(picture.size, picture.pixels.shape[1::-1], self.model.stride)
        return descriptor @ query, descriptor, grid.box(box)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, encoded):
    place = tmp_path_factory.mktemp("photos")
    for number in range(COUNT):
        (place / f"{number}.jpg").write_bytes(encoded(number, SIZE))
    return place


def opened(address, model, encoding, **settings):
    return Engine.open(
        address,
        model=model,
        settings=Settings(encoding=Encoding.parse(encoding), **settings),
        create=True,
        without=("points",),
        workers=2,
    )


@pytest.fixture(scope="module")
def cam(tmp_path_factory, folder, model):
    with opened(tmp_path_factory.mktemp("c") / "cam", model, f"cam:classes={CLASSES}") as engine:
        engine.index(folder)
        yield engine


@pytest.fixture
def plain(model):
    return Plain(model, Settings())


def ranking(scores):
    return sorted(scores, key=lambda name: -scores[name])


def told(result):
    return {os.path.basename(hit.path): hit.score for hit in result.hits}


def check(result, expected, tolerance=2e-3):
    """Scores as expected, and hits by falling score."""
    found = told(result)
    assert found == pytest.approx(expected, abs=tolerance)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def names():
    return [f"{number}.jpg" for number in range(COUNT)]


class TestClasses:
    def test_offline_is_what_is_stored(self, cam, folder, plain):
        query = plain.run(folder / "0.jpg")
        wanted = plain.of(query[0], plain.classes(query[1], CLASSES))
        expected = {}
        for name in names():
            features, scores, _ = plain.run(folder / name)
            expected[name] = plain.of(features, plain.classes(scores, CLASSES)) @ wanted
        result = cam.search(folder / "0.jpg", plan=Plan())
        check(result, expected)
        assert [stage.name for stage in result.stages] == ["ranking"]

    @pytest.mark.parametrize("count", [1, 4, CLASSES])
    def test_online(self, cam, folder, plain, count):
        _, scores, _ = plain.run(folder / "0.jpg")
        numbers = plain.classes(scores, count)
        wanted = plain.descriptor(folder / "0.jpg", numbers)
        expected = {name: plain.descriptor(folder / name, numbers) @ wanted for name in names()}
        result = cam.search(folder / "0.jpg", plan=Plan.of("online", classes=count))
        check(result, expected, 1e-5)
        assert result.stages[1].name == "online"
        assert result.stages[1].classes == tuple(numbers)
        assert result.stages[1].pictures == COUNT

    def test_classes_that_the_user_names(self, cam, folder, plain):
        numbers = (437, 970)
        wanted = plain.descriptor(folder / "0.jpg", numbers)
        expected = {name: plain.descriptor(folder / name, numbers) @ wanted for name in names()}
        check(cam.search(folder / "0.jpg", plan=Plan.of("online", attend=numbers)), expected, 1e-5)

    def test_a_predefined_list(self, cam, folder, plain, model, tmp_path):
        numbers = (497, 884, 562, 698)
        wanted = plain.descriptor(folder / "0.jpg", numbers[:3])
        expected = {name: plain.descriptor(folder / name, numbers[:3]) @ wanted for name in names()}
        plan = Plan.of("predefined", predefined=numbers, classes=3)
        check(cam.search(folder / "0.jpg", plan=plan), expected, 1e-5)
        # The same, fixed when indexing: nothing is looked at again.
        with opened(tmp_path / "c", model, "cam:classes=3", predefined=numbers) as engine:
            engine.index(folder)
            for shutter in (plan, None):
                result = engine.search(folder / "0.jpg", plan=shutter)
                check(result, expected)
                assert [stage.name for stage in result.stages] == ["ranking"]

    def test_online_on_an_encoding_without_class_vectors(self, folder, plain, model, tmp_path):
        _, scores, _ = plain.run(folder / "0.jpg")
        numbers = plain.classes(scores, 2)
        wanted = plain.descriptor(folder / "0.jpg", numbers, power=3.0)
        expected = {name: plain.descriptor(folder / name, numbers, power=3.0) @ wanted for name in names()}
        with opened(tmp_path / "c", model, "gem") as engine:
            engine.index(folder)
            plan = Plan.of("online", classes=2)
            check(engine.search(folder / "0.jpg", plan=plan), expected, 1e-5)

    def test_only_the_shortlist_is_looked_at(self, cam, folder):
        result = cam.search(folder / "0.jpg", top=2, plan=Plan.of("online", shortlist=3))
        assert len(result.hits) == 2
        assert result.stages[1].pictures == 3
        assert result.stages[0].pictures == COUNT

    def test_the_others_stay_behind_the_shortlist(self, cam, folder):
        before = cam.search(folder / "0.jpg").hits
        every = told(cam.search(folder / "0.jpg", plan=Plan.of("online", shortlist=None)))
        after = cam.search(folder / "0.jpg", plan=Plan.of("online", shortlist=3)).hits
        shortlist = {os.path.basename(hit.path): every[os.path.basename(hit.path)] for hit in before[:3]}
        assert [os.path.basename(hit.path) for hit in after[:3]] == ranking(shortlist)
        assert [hit.score for hit in after[:3]] == sorted(shortlist.values(), reverse=True)
        assert [(hit.path, hit.score) for hit in after[3:]] == [(hit.path, hit.score) for hit in before[3:]]
        assert [hit.scored_by for hit in after] == ["online"] * 3 + ["ranking"] * 3
        assert [[item.stage for item in hit.evidence] for hit in after[2:4]] == [
            ["ranking", "online"],
            ["ranking"],
        ]

    def test_a_class_that_is_none(self, cam, folder):
        with pytest.raises(SettingsError, match="there is no class 1000 among the 1000"):
            cam.search(folder / "0.jpg", plan=Plan.of("online", attend=(1000,)))


class TestReranking:
    def expected(self, plain, folder, query="0.jpg"):
        _, scores, _ = plain.run(folder / query)
        numbers = plain.classes(scores, 6)
        wanted = plain.descriptor(folder / query, numbers)
        return {name: plain.best_region(folder / name, wanted, numbers) for name in names()}

    def test_the_best_region_counts(self, cam, folder, plain):
        regions = self.expected(plain, folder)
        result = cam.search(folder / "0.jpg", plan=Plan.of(rerank=COUNT), boxes=True)
        check(result, {name: region[0] for name, region in regions.items()}, 1e-5)
        for hit in result.hits:
            assert hit.box == regions[os.path.basename(hit.path)][2]
        assert result.stages[1].name == "re-ranking"
        assert len(result.stages[1].classes) == 6

    def test_the_others_stay_behind(self, cam, folder, plain):
        before = cam.search(folder / "0.jpg")
        after = cam.search(folder / "0.jpg", plan=Plan.of(rerank=3))
        assert list(told(after).items())[3:] == list(told(before).items())[3:]
        regions = self.expected(plain, folder)
        first = {name: regions[name][0] for name in list(told(before))[:3]}
        assert dict(list(told(after).items())[:3]) == pytest.approx(first, abs=1e-5)
        assert list(told(after))[:3] == ranking(first)

    def test_only_what_was_re_ranked_has_a_region(self, cam, folder, plain):
        before = {hit.path: hit.box for hit in cam.search(folder / "0.jpg", boxes=True).hits}
        regions = self.expected(plain, folder)
        for hit in cam.search(folder / "0.jpg", plan=Plan.of(rerank=3), boxes=True).hits:
            if hit.rank <= 3:
                assert hit.box == regions[os.path.basename(hit.path)][2] == hit.evidence[-1].box
                assert hit.scored_by == "re-ranking"
            else:
                assert hit.box == before[hit.path]
                assert hit.scored_by == "ranking"

    def test_after_online_aggregation(self, cam, folder, plain):
        regions = self.expected(plain, folder)
        result = cam.search(folder / "0.jpg", plan=Plan.of("online", rerank=COUNT))
        check(result, {name: region[0] for name, region in regions.items()}, 1e-5)
        assert [stage.name for stage in result.stages] == ["ranking", "online", "re-ranking"]

    def test_views_show_the_box_that_won(self, cam, folder):
        options = {"plan": Plan.of(rerank=COUNT), "boxes": True}
        result = cam.search(folder / "0.jpg", views=True, **options)
        assert not any(isinstance(view, str) for view in result.views)
        assert all(hit.box for hit in result.hits)
        assert [hit.box for hit in result.hits] == [
            hit.box for hit in cam.search(folder / "0.jpg", **options).hits
        ]


class TestExpansion:
    @pytest.mark.parametrize("with_query", [False, True])
    @pytest.mark.parametrize("count", [1, 3])
    def test_the_first_make_the_query(self, cam, folder, plain, count, with_query):
        described = {}
        for name in names():
            features, scores, _ = plain.run(folder / name)
            described[name] = plain.of(features, plain.classes(scores, CLASSES))
        query = described["0.jpg"]
        first = ranking({name: vector @ query for name, vector in described.items()})[:count]
        new = unit(sum(described[name] for name in first) + (query if with_query else 0))
        result = cam.search(folder / "0.jpg", plan=Plan.of(expand=count, expand_with_query=with_query))
        check(result, {name: vector @ new for name, vector in described.items()})
        assert result.stages[-1].to_json() == {
            "stage": "expansion",
            "pictures": count,
            "classes": [],
            "with_query": with_query,
        }

    def test_after_reranking_the_winning_regions(self, cam, folder, plain):
        regions = TestReranking().expected(plain, folder)
        first = ranking({name: region[0] for name, region in regions.items()})[:2]
        new = unit(sum(regions[name][1] for name in first))
        expected = {}
        for name in names():
            features, scores, _ = plain.run(folder / name)
            expected[name] = plain.of(features, plain.classes(scores, CLASSES)) @ new
        result = cam.search(folder / "0.jpg", plan=Plan.of(rerank=COUNT, expand=2))
        check(result, expected)

    def test_of_pictures_described_anew(self, cam, folder, plain):
        _, scores, _ = plain.run(folder / "0.jpg")
        numbers = plain.classes(scores, CLASSES)
        described = {name: plain.descriptor(folder / name, numbers) for name in names()}
        first = ranking({name: vector @ described["0.jpg"] for name, vector in described.items()})[:2]
        new = unit(sum(described[name] for name in first))
        result = cam.search(folder / "0.jpg", plan=Plan.of("online", expand=2))
        check(result, {name: vector @ new for name, vector in described.items()}, 1e-5)


class TestNothingSeen:
    """A picture in which nothing of the query's classes is seen stands behind everything that was seen."""

    @pytest.fixture
    def engine(self, tmp_path, model, folder, encoded):
        photos = tmp_path / "photos"
        shutil.copytree(folder, photos)
        # By its stored descriptor it is the nearest but one.
        (photos / "small.png").write_bytes(small(folder / "0.jpg"))
        with opened(tmp_path / "c", model, f"cam:classes={CLASSES}") as engine:
            engine.index(photos)
            yield engine

    @pytest.fixture
    def blind(self, monkeypatch):
        """From now on the network sees nothing in that picture."""
        real = Backbone.run

        def sees(model, pixels):
            found = real(model, pixels)
            return found if pixels.shape[:2] != (192, 256) else replace(found, features=0 * found.features)

        return lambda: monkeypatch.setattr(Backbone, "run", sees)

    @pytest.mark.parametrize(
        ("plan", "stage"),
        [
            (Plan.of("online"), "online"),
            (Plan.of("predefined", predefined=(497, 884)), "predefined"),
            (Plan.of(rerank=COUNT + 1), "re-ranking"),
            (Plan.of("online", rerank=COUNT + 1), "re-ranking"),
        ],
    )
    def test_it_stands_last_at_minus_one(self, engine, folder, blind, plan, stage):
        assert os.path.basename(engine.search(folder / "0.jpg").hits[1].path) == "small.png"
        blind()
        *others, last = engine.search(folder / "0.jpg", plan=plan).hits
        assert os.path.basename(last.path) == "small.png"
        assert (last.score, last.scored_by, last.kept) == (-1, stage, None)
        assert (last.evidence[-1].stage, last.evidence[-1].score) == (stage, None)
        assert last.to_json()["evidence"][-1]["score"] is None
        assert all(hit.score > -1 for hit in others)
        assert len(others) == COUNT

    def test_it_is_no_part_of_the_shortlists_expansion(self, engine, folder, blind):
        blind()
        result = engine.search(folder / "0.jpg", plan=Plan.of("online", expand=COUNT + 1))
        last = result.hits[-1]
        assert (os.path.basename(last.path), last.score, last.scored_by) == ("small.png", -1, "expansion")


def small(path):
    with Image.open(path) as image:
        file = io.BytesIO()
        image.resize((256, 192)).save(file, "PNG")
    return file.getvalue()


class TestFilesThatHaveGone:
    @pytest.mark.parametrize("plan", [Plan.of(rerank=COUNT), Plan.of("online")])
    def test_they_keep_their_place_and_are_told(self, folder, model, tmp_path, encoded, plan):
        photos = tmp_path / "photos"
        shutil.copytree(folder, photos)
        with opened(tmp_path / "c", model, f"cam:classes={CLASSES}") as engine:
            engine.index(photos)
            before = engine.search(photos / "0.jpg").hits
            gone, changed = before[1].path, before[3].path
            os.unlink(gone)
            with open(changed, "wb") as file:
                file.write(encoded(99, SIZE))
            result = engine.search(photos / "0.jpg", plan=plan)
        after = result.hits
        assert (after[1].path, after[3].path) == (gone, changed)
        assert (after[1].score, after[3].score) == (before[1].score, before[3].score)
        assert after[1].kept == "there is no such file"
        assert after[3].kept == "its file has changed since it was indexed"
        assert [hit.kept is None for hit in after] == [True, False, True, False, True, True]
        assert result.stages[1].details["kept"] == 2
        kept = [hit for hit in result.to_json()["hits"] if "kept" in hit]
        assert len(kept) == 2
        others = [hit.score for hit in after if hit.kept is None]
        assert others == sorted(others, reverse=True)


class TestSeveralPictures:
    def test_descriptors_are_summed_and_probabilities_averaged(self, cam, folder, plain):
        pair = ("0.jpg", "3.jpg")
        runs = [plain.run(folder / name) for name in pair]
        shares = [np.exp(scores - scores.max()) for _, scores, _ in runs]
        mean = np.mean([share / share.sum() for share in shares], axis=0)
        numbers = plain.classes(mean, CLASSES)
        wanted = unit(sum(plain.descriptor(folder / name, numbers) for name in pair))
        expected = {name: plain.descriptor(folder / name, numbers) @ wanted for name in names()}
        parts = [QueryPart(folder / name) for name in pair]
        result = cam.search(parts, plan=Plan.of("online"), together=True)
        check(result, expected, 1e-5)
        assert [os.path.basename(item.path) for item in result.query.pictures] == [
            os.fsencode(name) for name in pair
        ]

    def test_several_regions_of_one(self, cam, folder):
        boxes = [(0, 0, 160, 224), (160, 0, 320, 224)]
        parts = [QueryPart(folder / "0.jpg", box) for box in boxes]
        result = cam.search(parts, together=True, views=True)
        assert [item.region for item in result.query.pictures] == boxes
        assert [view.size for view in result.query_views] == [SIZE, SIZE]
        scores = [told(cam.search(folder / "0.jpg", region=box)) for box in boxes]
        # A sum's cosine lies in the direction of both: its order is that of their mean.
        mean = {name: scores[0][name] + scores[1][name] for name in names()}
        assert list(told(result)) == ranking(mean)

    def test_each_is_left_out_of_the_hits(self, cam, folder):
        parts = [QueryPart(folder / "0.jpg"), QueryPart(folder / "3.jpg")]
        found = told(cam.search(parts, together=True, without_self=True))
        assert found.keys() == set(names()) - {"0.jpg", "3.jpg"}

    def test_none_or_a_region_beside_them_is_the_callers_bug(self, cam, folder):
        with pytest.raises(ValueError, match="at least one picture"):
            cam.search([])
        with pytest.raises(ValueError, match="regions in QueryPart"):
            cam.search([QueryPart(folder / "0.jpg")], region=(0, 0, 9, 9))


class TestWhileOthersWrite:
    """No lock is held while pictures are seen, and what changes meanwhile is noticed."""

    @pytest.fixture
    def engine(self, tmp_path, model, folder):
        shutil.copytree(folder, tmp_path / "photos")
        with opened(tmp_path / "c", model, f"cam:classes={CLASSES}") as engine:
            engine.index(tmp_path / "photos")
            yield engine

    @pytest.fixture
    def meanwhile(self, monkeypatch):
        """Does something in a thread of its own while a search sees its pictures, so many times."""
        real, lock, done = StoredDatabase._see, threading.Lock(), []

        def during(what, times=1):
            def see(database, work):
                with lock:
                    if len(done) < times:
                        with ThreadPoolExecutor(1) as pool:
                            done.append(pool.submit(what).result(timeout=60))
                return real(database, work)

            monkeypatch.setattr(StoredDatabase, "_see", see)
            return done

        return during

    def test_pictures_come(self, engine, folder, tmp_path, encoded, meanwhile):
        (tmp_path / "new.jpg").write_bytes(encoded(77, SIZE))
        before = engine.search(folder / "0.jpg", plan=Plan.of("online"))
        done = meanwhile(lambda: engine.add([tmp_path / "new.jpg"]))
        after = engine.search(folder / "0.jpg", plan=Plan.of("online"))
        assert [report.added for report in done] == [1]
        assert after.hits == before.hits
        assert len(engine.search(folder / "0.jpg").hits) == COUNT + 1

    def test_a_picture_that_goes_is_not_found(self, engine, tmp_path, meanwhile):
        query, gone = tmp_path / "photos" / "0.jpg", tmp_path / "photos" / "1.jpg"
        done = meanwhile(lambda: engine.remove([gone]))
        result = engine.search(query, plan=Plan.of("online"))
        [report] = done
        assert (report.files, report.unknown) == ((os.fsencode(gone),), ())
        assert result.hits == engine.search(query, plan=Plan.of("online")).hits
        assert len(result.hits) == COUNT - 1

    def test_a_whitening_that_is_fitted_is_searched_with(self, engine, tmp_path, meanwhile):
        query, plan = tmp_path / "photos" / "0.jpg", Plan.of(rerank=3, expand=2)
        done = meanwhile(lambda: engine.fit(dimensions=3))
        result = engine.search(query, plan=plan)
        assert [report.dimensions for report in done] == [3]
        assert result.hits == engine.search(query, plan=plan).hits

    def test_one_that_changes_all_the_time_is_told(self, engine, tmp_path, meanwhile):
        dimensions = iter(range(2, 9))
        done = meanwhile(lambda: engine.fit(dimensions=next(dimensions), max_samples=9), times=9)
        with pytest.raises(CollectionChangedError) as error:
            engine.search(tmp_path / "photos" / "0.jpg", plan=Plan.of(rerank=1, expand=1))
        assert error.value.remedy
        assert len(done) == 3


class TestCancelling:
    def test_a_search_that_looks_at_pictures_stops(self, cam, folder):
        class Stopping(Quiet):
            def step(self):
                stop.set()

        stop = threading.Event()
        with pytest.raises(CancelledError):
            cam.search(folder / "0.jpg", plan=Plan.of("online"), progress=Stopping(), cancelled=stop)
        assert len(cam.search(folder / "0.jpg", cancelled=threading.Event()).hits) == COUNT


class TestSearchMany:
    @pytest.mark.parametrize("without_self", [False, True])
    @pytest.mark.parametrize("plan", [Plan(), Plan.of("online", rerank=2, expand=2), Plan.of(expand=3)])
    def test_it_is_a_search_of_each(self, cam, folder, plan, without_self):
        queries = [folder / name for name in names()]
        queries.append([QueryPart(folder / "0.jpg"), QueryPart(folder / "1.jpg", (0, 0, 99, 99))])
        options = {"top": 4, "plan": plan, "without_self": without_self}
        many = list(cam.search_many(queries, **options))
        for query, found in zip(queries, many, strict=True):
            alone = cam.search(query, together=True, **options)
            assert found.query == alone.query
            assert [hit.path for hit in found.hits] == [hit.path for hit in alone.hits]
            # Queries that are read beside each other go through the network with one thread.
            np.testing.assert_allclose(
                [hit.score for hit in found.hits], [hit.score for hit in alone.hits], atol=1e-5
            )
            assert found.stages == alone.stages

    def test_one_that_cannot_be_used_ends_nothing(self, cam, folder, tmp_path):
        (tmp_path / "bad.jpg").write_bytes(b"no picture")
        found = list(cam.search_many([folder / "0.jpg", tmp_path / "bad.jpg", b"no", folder / "1.jpg"]))
        assert [type(item).__name__ for item in found] == [
            "SearchResult",
            "Skipped",
            "Skipped",
            "SearchResult",
        ]
        assert found[1].path == os.fsencode(tmp_path / "bad.jpg")
        assert found[1].code == "not_a_picture"
        assert os.path.basename(found[3].hits[0].path) == "1.jpg"

    def test_whatever_one_raises_ends_nothing(self, cam, folder, monkeypatch):
        real, fails = Extractor._read, (folder / "1.jpg").read_bytes()

        def read(self, file, *arguments):
            if file.read() == fails:
                raise MemoryError
            return real(self, file, *arguments)

        monkeypatch.setattr(Extractor, "_read", read)
        found = list(cam.search_many([folder / "0.jpg", folder / "1.jpg", folder / "2.jpg"]))
        assert [type(item).__name__ for item in found] == ["SearchResult", "Skipped", "SearchResult"]
        assert "memory" in found[1].reason

    def test_none(self, cam):
        assert list(cam.search_many([])) == []


class TestWithoutAClassifier:
    @pytest.mark.parametrize("plan", [Plan.of(rerank=1), Plan.of("online")])
    def test_class_maps_are_refused(self, cam, folder, plan, monkeypatch):
        monkeypatch.setattr(cam.model, "has_classifier", False)
        with pytest.raises(SettingsError, match="has no classifier"):
            cam.search(folder / "0.jpg", plan=plan)


class TestClassTally:
    def test_counts_of_the_most_probable(self, cam, folder, plain):
        found = cam.classes(per_picture=5)
        counts = {}
        for name in names():
            for number in plain.classes(plain.run(folder / name)[1], 5):
                counts[number] = counts.get(number, 0) + 1
        assert {item.id: item.pictures for item in found.classes} == counts
        assert [item.pictures for item in found.classes] == sorted(counts.values(), reverse=True)
        assert (found.pictures, found.skipped) == (COUNT, ())

    def test_of_other_pictures(self, cam, folder, plain, tmp_path):
        (tmp_path / "like").mkdir()
        shutil.copy(folder / "2.jpg", tmp_path / "like")
        (tmp_path / "like" / "bad.jpg").write_bytes(b"\xff\xd8\xff broken")
        found = cam.classes(like=[tmp_path / "like", folder / "3.jpg"], per_picture=1)
        expected = {int(plain.classes(plain.run(folder / name)[1], 1)[0]) for name in ("2.jpg", "3.jpg")}
        assert {item.id for item in found.classes} == expected
        assert [item.code for item in found.skipped] == ["damaged"]

    def test_a_sample(self, cam):
        assert cam.classes(sample=4).pictures == 4
