"""What a search does after the first ranking, against the method's equations in plain arithmetic."""

import os
import shutil

import numpy as np
import pytest

from camseek import Encoding, Engine, Settings
from camseek.config import Plan
from camseek.engine import QueryPart
from camseek.engine import engine as engine_module
from camseek.errors import SettingsError
from camseek.images import decode, open_file
from camseek.regions import CellGrid, largest_component

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
        result = cam.search(folder / "0.jpg", plan=Plan(aggregation="online", classes=count))
        check(result, expected, 1e-5)
        assert result.stages[1].name == "online"
        assert result.stages[1].classes == tuple(numbers)
        assert result.stages[1].pictures == COUNT

    def test_classes_that_the_user_names(self, cam, folder, plain):
        numbers = (437, 970)
        wanted = plain.descriptor(folder / "0.jpg", numbers)
        expected = {name: plain.descriptor(folder / name, numbers) @ wanted for name in names()}
        check(cam.search(folder / "0.jpg", plan=Plan(aggregation="online", attend=numbers)), expected, 1e-5)

    def test_a_predefined_list(self, cam, folder, plain, model, tmp_path):
        numbers = (497, 884, 562, 698)
        wanted = plain.descriptor(folder / "0.jpg", numbers[:3])
        expected = {name: plain.descriptor(folder / name, numbers[:3]) @ wanted for name in names()}
        plan = Plan(aggregation="predefined", predefined=numbers, classes=3)
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
            plan = Plan(aggregation="online", classes=2)
            check(engine.search(folder / "0.jpg", plan=plan), expected, 1e-5)

    def test_only_the_shortlist_is_looked_at(self, cam, folder):
        result = cam.search(folder / "0.jpg", top=2, plan=Plan(aggregation="online", shortlist=3))
        assert len(result.hits) == 2
        assert result.stages[1].pictures == 3
        assert result.stages[0].pictures == COUNT

    def test_a_class_that_is_none(self, cam, folder):
        with pytest.raises(SettingsError, match="there is no class 1000 among the 1000"):
            cam.search(folder / "0.jpg", plan=Plan(aggregation="online", attend=(1000,)))


class TestReranking:
    def expected(self, plain, folder, query="0.jpg"):
        _, scores, _ = plain.run(folder / query)
        numbers = plain.classes(scores, 6)
        wanted = plain.descriptor(folder / query, numbers)
        return {name: plain.best_region(folder / name, wanted, numbers) for name in names()}

    def test_the_best_region_counts(self, cam, folder, plain):
        regions = self.expected(plain, folder)
        result = cam.search(folder / "0.jpg", plan=Plan(rerank=COUNT))
        check(result, {name: region[0] for name, region in regions.items()}, 1e-5)
        for hit in result.hits:
            assert hit.box == regions[os.path.basename(hit.path)][2]
        assert result.stages[1].name == "re-ranking"
        assert len(result.stages[1].classes) == 6

    def test_the_others_stay_behind(self, cam, folder, plain):
        before = cam.search(folder / "0.jpg")
        after = cam.search(folder / "0.jpg", plan=Plan(rerank=3))
        assert list(told(after).items())[3:] == list(told(before).items())[3:]
        regions = self.expected(plain, folder)
        first = {name: regions[name][0] for name in list(told(before))[:3]}
        assert dict(list(told(after).items())[:3]) == pytest.approx(first, abs=1e-5)
        assert list(told(after))[:3] == ranking(first)

    def test_after_online_aggregation(self, cam, folder, plain):
        regions = self.expected(plain, folder)
        result = cam.search(folder / "0.jpg", plan=Plan(aggregation="online", rerank=COUNT))
        check(result, {name: region[0] for name, region in regions.items()}, 1e-5)
        assert [stage.name for stage in result.stages] == ["ranking", "online", "re-ranking"]

    def test_views_show_the_box_that_won(self, cam, folder):
        result = cam.search(folder / "0.jpg", plan=Plan(rerank=COUNT), views=True)
        assert all(view is not None for view in result.views)
        assert [hit.box for hit in result.hits] == [
            hit.box for hit in cam.search(folder / "0.jpg", plan=Plan(rerank=COUNT)).hits
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
        result = cam.search(folder / "0.jpg", plan=Plan(expand=count, expand_with_query=with_query))
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
        result = cam.search(folder / "0.jpg", plan=Plan(rerank=COUNT, expand=2))
        check(result, expected)

    def test_of_pictures_described_anew(self, cam, folder, plain):
        _, scores, _ = plain.run(folder / "0.jpg")
        numbers = plain.classes(scores, CLASSES)
        described = {name: plain.descriptor(folder / name, numbers) for name in names()}
        first = ranking({name: vector @ described["0.jpg"] for name, vector in described.items()})[:2]
        new = unit(sum(described[name] for name in first))
        result = cam.search(folder / "0.jpg", plan=Plan(aggregation="online", expand=2))
        check(result, {name: vector @ new for name, vector in described.items()}, 1e-5)


class TestFilesThatHaveGone:
    @pytest.mark.parametrize("plan", [Plan(rerank=COUNT), Plan(aggregation="online")])
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
        result = cam.search(parts, plan=Plan(aggregation="online"))
        check(result, expected, 1e-5)
        assert [os.path.basename(item.path) for item in result.query.pictures] == [
            os.fsencode(name) for name in pair
        ]

    def test_several_regions_of_one(self, cam, folder):
        boxes = [(0, 0, 160, 224), (160, 0, 320, 224)]
        parts = [QueryPart(folder / "0.jpg", box) for box in boxes]
        result = cam.search(parts, views=True)
        assert [item.region for item in result.query.pictures] == boxes
        assert [view.size for view in result.query_views] == [SIZE, SIZE]
        scores = [told(cam.search(folder / "0.jpg", region=box)) for box in boxes]
        # A sum's cosine lies in the direction of both: its order is that of their mean.
        mean = {name: scores[0][name] + scores[1][name] for name in names()}
        assert list(told(result)) == ranking(mean)

    def test_each_is_left_out_of_the_hits(self, cam, folder):
        parts = [QueryPart(folder / "0.jpg"), QueryPart(folder / "3.jpg")]
        found = told(cam.search(parts, without_self=True))
        assert found.keys() == set(names()) - {"0.jpg", "3.jpg"}

    def test_none_or_a_region_beside_them_is_the_callers_bug(self, cam, folder):
        with pytest.raises(ValueError, match="a region each"):
            cam.search([])
        with pytest.raises(ValueError, match="a region each"):
            cam.search([QueryPart(folder / "0.jpg")], region=(0, 0, 9, 9))


class TestWithoutAClassifier:
    @pytest.mark.parametrize("plan", [Plan(rerank=1), Plan(aggregation="online")])
    def test_class_maps_are_refused(self, cam, folder, plan, monkeypatch):
        monkeypatch.setattr(cam.model, "has_classifier", False)
        monkeypatch.setattr(engine_module.Engine, "_in_worker", lambda self: self.model)
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
