import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from camseek.backbones import Backbone
from camseek.config import Encoding, Resize, Settings
from camseek.datasets import GroundTruth, read_ground_truth
from camseek.encoding.encoder import Encoder
from camseek.engine import Engine
from camseek.errors import GroundTruthError, SettingsError
from camseek.evaluation import average_precision, overlap
from camseek.extraction.extractor import Extractor, Reading
from camseek.lab.measuring import evaluate, measure
from camseek.lab.protocol import Protocol
from camseek.searching import Plan

ENCODINGS = ("gem", "sum", "sum:prior=centre", "crow", "cam", "cam:power=3,classes=4")
SIDE = 192
SETTINGS = Settings(size=Resize.parse(str(SIDE)))


def thing(seed: int, size: tuple[int, int] = (160, 128)) -> Image.Image:
    """A picture of its own: shapes of some colours."""
    generator = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(generator.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(7):
        x, y = (int(generator.integers(0, side)) for side in size)
        width, height = (int(length) for length in generator.integers(15, 70, 2))
        shape = generator.choice([draw.ellipse, draw.rectangle])
        shape((x, y, x + width, y + height), fill=tuple(generator.integers(0, 256, 3).tolist()))
    return image


def lighter(image: Image.Image, factor: float) -> Image.Image:
    return image.point(lambda value: min(255, int(value * factor)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five things, each twice in the database and once in a query, some of them in a larger picture."""
    (tmp_path / "db" / "more").mkdir(parents=True)
    (tmp_path / "queries").mkdir()
    queries: list[dict[str, Any]] = []
    for number in range(5):
        image = thing(number)
        lighter(image, 0.8).save(tmp_path / "db" / f"{number}_dark.png")
        wall = thing(100 + number, (220, 200))
        wall.paste(image, (30, 40))
        wall.save(tmp_path / "db" / "more" / f"{number}_wall.png")
        query = {
            "id": f"thing {number}",
            "image": f"queries/{number}.png",
            "region": None,
            "good": [f"{number}_dark.png"],
            "ok": [f"more/{number}_wall.png"],
            "junk": [],
            "boxes": {f"more/{number}_wall.png": [30, 40, 190, 168]},
        }
        if number < 3:
            scene = thing(200 + number, (300, 240))
            scene.paste(image.resize((80, 64)), (100, 90))
            scene.save(tmp_path / query["image"])
            query["region"] = [100, 90, 180, 154]
            query["junk"] = [f"{number + 1}_dark.png"]
        else:
            image.rotate(8).save(tmp_path / query["image"])
        queries.append(query)
    queries.append({"id": "none", "image": "queries/0.png", "region": None, "good": [], "ok": [], "junk": []})
    write(tmp_path, queries)
    return tmp_path


def write(folder: Path, queries: list[dict[str, Any]]) -> None:
    (folder / "truth.json").write_text(json.dumps({"database": "db", "queries": queries}))


def change(folder: Path, number: int, **values: Any) -> GroundTruth:
    """Changes one query."""
    queries = json.loads((folder / "truth.json").read_text())["queries"]
    queries[number] |= values
    write(folder, queries)
    return read_ground_truth(folder / "truth.json")


@pytest.fixture
def truth(folder: Path) -> GroundTruth:
    return read_ground_truth(folder / "truth.json")


@pytest.fixture
def engine(folder: Path, model: Backbone) -> Iterator[Engine]:
    """A collection of the database."""
    with opened(folder / "collection", model, "gem") as engine:
        engine.index(folder / "db")
        yield engine


def opened(address: Path, model: Backbone, encoding: str) -> Engine:
    settings = replace(SETTINGS, encoding=Encoding.parse(encoding))
    return Engine.open(address, model=model, settings=settings, create=True, without=("points",), workers=2)


def found(engine: Engine, truth: GroundTruth, number: int, reading: Reading) -> list[bytes]:
    """What a search gives, as names in the database."""
    query = truth.queries[number]
    result = engine.search(
        os.fsdecode(query.image),
        region=None if reading == "whole" else query.region,
        reading="crop" if reading == "whole" else reading,
        top=1000,
        boxes=False,
    )
    return [os.path.relpath(path, truth.database) for hit in result.hits for path in hit.paths_bytes]


@pytest.mark.parametrize(("reading", "form"), [("crop", "mean"), ("cells", "trapezoid"), ("whole", "mean")])
def test_equals_separate_searches(
    truth: GroundTruth, folder: Path, model: Backbone, reading: Any, form: Any
) -> None:
    measured = evaluate(
        truth,
        encodings=[Encoding.parse(name) for name in ENCODINGS],
        settings=SETTINGS,
        model=model,
        reading=reading,
        ap_form=form,
        workers=2,
    )
    assert [item.name for item in measured.encodings] == [str(Encoding.parse(name)) for name in ENCODINGS]
    for name, scores in zip(ENCODINGS, measured.encodings, strict=True):
        with opened(folder / "collections" / name, model, name) as engine:
            engine.index(folder / "db")
            alone = evaluate(truth, engine=engine, reading=reading, ap_form=form)
            expected = tuple(
                average_precision(found(engine, truth, number, reading), query.positives, query.junk, form)
                for number, query in enumerate(truth.queries[:5])
            )
        assert scores.average_precisions == pytest.approx(expected)
        assert alone.encodings == (scores,)
        assert alone.overlaps == measured.overlaps
        assert (alone.database, alone.distractors) == (measured.database, 0) == (10, 0)
    assert (measured.queries, measured.left_out) == (6, 1)
    assert (measured.form, measured.region_reading) == (form, reading)


def test_one_pass_a_picture(truth: GroundTruth, model: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    run = Backbone.run

    def counted(self: Backbone, pixels: Any) -> Any:
        passes.append(pixels.shape)
        return run(self, pixels)

    monkeypatch.setattr(Backbone, "run", counted)
    encodings = [Encoding.parse(name) for name in ENCODINGS]
    evaluate(truth, encodings=encodings, settings=SETTINGS, model=model, workers=2)
    assert len(passes) == 5 + 10


def test_the_number_of_workers_changes_nothing(truth: GroundTruth, model: Backbone) -> None:
    one, three = (evaluate(truth, settings=SETTINGS, model=model, workers=count) for count in (1, 3))
    assert one.encodings == three.encodings
    assert one.overlaps == three.overlaps


def test_the_settings_encoding_is_the_default(truth: GroundTruth, model: Backbone) -> None:
    settings = replace(SETTINGS, encoding=Encoding.parse("crow"))
    assert [item.name for item in evaluate(truth, settings=settings, model=model).encodings] == ["crow"]


def test_an_encoding_named_twice_is_measured_once(truth: GroundTruth, model: Backbone) -> None:
    encodings = [Encoding.parse(name) for name in ("gem", "gem:power=3")]
    assert len(evaluate(truth, encodings=encodings, settings=SETTINGS, model=model).encodings) == 1


def test_boxes_are_those_of_a_search(truth: GroundTruth, engine: Engine) -> None:
    measured = evaluate(truth, engine=engine)
    expected = set()
    for query in truth.queries[:5]:
        result = engine.search(os.fsdecode(query.image), region=query.region, top=1000, boxes=True)
        for hit in result.hits:
            name = os.path.relpath(hit.path_bytes, truth.database)
            if name in query.boxes:
                expected.add(overlap(query.id, name, query.boxes[name], hit.box, hit.size))
    assert set(measured.overlaps) == expected
    assert len(expected) == 5


def test_progress_counts_queries_and_pictures(truth: GroundTruth, model: Backbone) -> None:
    told = []

    class Told:
        def start(self, total: int) -> None:
            told.append(total)

        def step(self) -> None:
            told.append("step")

    evaluate(truth, settings=SETTINGS, model=model, progress=Told())
    assert told == [5] + ["step"] * 5 + [10] + ["step"] * 10


def test_settings_are_told(truth: GroundTruth, model: Backbone) -> None:
    told = evaluate(truth, settings=SETTINGS, model=model).to_json()
    protocols = told["settings"].pop("protocols")
    assert told["settings"] == {
        "model": model.card.name,
        "model_checksum": model.checksum,
        "layer": "head",
        "size": str(SIDE),
        "whitened": False,
        "queries_in_database": 0,
        "queries_in_database_by_name": 0,
    }
    assert list(protocols) == [str(SETTINGS.encoding)]
    assert protocols[str(SETTINGS.encoding)]["region_reading"] == "crop"
    assert told["collection"] is None


class TestWhatCannotBeRead:
    def test_a_damaged_picture_is_never_retrieved(
        self, folder: Path, truth: GroundTruth, model: Backbone
    ) -> None:
        before = evaluate(truth, settings=SETTINGS, model=model)
        damaged = folder / "db" / "4_dark.png"
        damaged.write_bytes(damaged.read_bytes()[:300])
        after = evaluate(truth, settings=SETTINGS, model=model)
        assert [(item.path, item.code) for item in after.skipped] == [(os.fsencode(damaged), "damaged")]
        assert after.database == before.database - 1
        assert after.encodings[0].average_precisions[4] <= 1 / 2

    def test_a_collection_tells_the_same(
        self, folder: Path, truth: GroundTruth, model: Backbone, tmp_path: Path
    ) -> None:
        damaged = folder / "db" / "4_dark.png"
        damaged.write_bytes(damaged.read_bytes()[:300])
        (folder / "db" / "3_dark.png").write_bytes(b"")
        directly = evaluate(truth, encodings=[Encoding.parse("gem")], settings=SETTINGS, model=model)
        with opened(tmp_path / "other", model, "gem") as engine:
            engine.index(folder / "db")
            through = evaluate(truth, engine=engine)
        assert through.encodings == directly.encodings
        assert through.database == directly.database == 8
        assert {item.path for item in through.skipped} == {item.path for item in directly.skipped}

    def test_a_positive_that_no_walk_finds_is_told(self, folder: Path, model: Backbone) -> None:
        shutil.copy(folder / "db" / "0_dark.png", folder / "db" / ".hidden.png")
        truth = change(folder, 0, good=["0_dark.png", ".hidden.png"])
        measured = evaluate(truth, settings=SETTINGS, model=model)
        assert [(item.path, item.code) for item in measured.skipped] == [
            (os.path.join(truth.database, b".hidden.png"), "not_found")
        ]
        assert measured.encodings[0].average_precisions[0] <= 2 / 3

    def test_a_damaged_query_is_an_error(self, folder: Path, truth: GroundTruth, model: Backbone) -> None:
        (folder / "queries" / "3.png").write_bytes(b"no picture")
        with pytest.raises(GroundTruthError, match="query 'thing 3', image: it is text"):
            evaluate(truth, settings=SETTINGS, model=model)

    @pytest.mark.parametrize("reading", ["crop", "cells"])
    def test_a_region_outside_is_an_error(self, folder: Path, model: Backbone, reading: Any) -> None:
        truth = change(folder, 0, region=[100, 90, 301, 154])
        with pytest.raises(GroundTruthError, match=r"query 'thing 0', region: .*outside"):
            evaluate(truth, settings=SETTINGS, model=model, reading=reading)

    def test_a_box_outside_is_an_error(self, folder: Path, model: Backbone) -> None:
        truth = change(folder, 0, boxes={"0_dark.png": [0, 0, 161, 9]})
        with pytest.raises(GroundTruthError, match=r"query 'thing 0', boxes: .*0_dark\.png.*160 x 128"):
            evaluate(truth, settings=SETTINGS, model=model)

    def test_nothing_to_measure_is_an_error(self, folder: Path, model: Backbone) -> None:
        write(folder, [json.loads((folder / "truth.json").read_text())["queries"][5]])
        with pytest.raises(GroundTruthError, match="no query has a positive"):
            evaluate(read_ground_truth(folder / "truth.json"), settings=SETTINGS, model=model)


class TestFeatureless:
    @pytest.fixture(autouse=True)
    def blind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The network sees nothing in pictures of one cell."""
        parts = Encoder.parts

        def sees(self: Encoder, activations: Any, cells: Any = None, *, classes: Any = None) -> Any:
            factor = 0 if activations.features.shape[2:] == (1, 1) else 1
            return parts(self, activations, cells, classes=classes) * np.float32(factor)

        monkeypatch.setattr(Encoder, "parts", sees)

    def test_is_never_retrieved_and_finds_nothing(self, folder: Path, model: Backbone) -> None:
        thing(3).resize((20, 20)).save(folder / "db" / "3_dark.png")
        thing(4).resize((20, 20)).save(folder / "queries" / "4.png")
        truth = read_ground_truth(folder / "truth.json")
        encodings = [Encoding.parse("gem")]
        directly = evaluate(truth, encodings=encodings, settings=SETTINGS, model=model)
        scores = directly.encodings[0]
        assert scores.queries[3].average_precision <= 1 / 2
        assert scores.queries[4].average_precision == 0
        assert [query.featureless for query in scores.queries] == [False] * 4 + [True]
        assert scores.featureless == 1
        assert directly.database == 10
        with opened(folder / "collection", model, "gem") as engine:
            engine.index(folder / "db")
            through = evaluate(truth, engine=engine)
        assert through.encodings == directly.encodings
        assert (through.database, through.distractors) == (10, 0)


class TestCollections:
    def test_must_hold_the_database(self, folder: Path, truth: GroundTruth, engine: Engine) -> None:
        thing(50).save(folder / "db" / "new.png")
        with pytest.raises(GroundTruthError, match=r"1 of 11 pictures .*new\.png") as caught:
            evaluate(truth, engine=engine)
        assert "index the folder" in caught.value.remedy
        engine.index(folder / "db")
        assert evaluate(truth, engine=engine).database == 11

    def test_an_empty_one_holds_nothing(self, folder: Path, truth: GroundTruth, model: Backbone) -> None:
        with (
            opened(folder / "empty", model, "gem") as engine,
            pytest.raises(GroundTruthError, match=r"10 of 10 pictures .*, \.\.\."),
        ):
            evaluate(truth, engine=engine)

    def test_what_else_it_holds_are_distractors(
        self, folder: Path, truth: GroundTruth, engine: Engine, tmp_path: Path
    ) -> None:
        before = evaluate(truth, engine=engine)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        for number in range(3):
            # The query's own thing: a negative that comes before everything else.
            thing(3).rotate(8 + number / 10).save(elsewhere / f"{number}.png")
        engine.index(elsewhere)
        after = evaluate(truth, engine=engine)
        assert (after.database, after.distractors) == (10, 3)
        assert after.encodings[0].average_precisions[3] < before.encodings[0].average_precisions[3]
        assert after.encodings[0].average_precisions[3] == average_precision(
            found(engine, truth, 3, "crop"), truth.queries[3].positives
        )

    def test_copies_count_under_each_name_in_the_folder_only(
        self, folder: Path, model: Backbone, tmp_path: Path
    ) -> None:
        shutil.copy(folder / "db" / "3_dark.png", folder / "db" / "3_copy.png")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        shutil.copy(folder / "db" / "3_dark.png", elsewhere / "3.png")
        truth = change(folder, 3, good=["3_dark.png", "3_copy.png"])
        directly = evaluate(truth, encodings=[Encoding.parse("gem")], settings=SETTINGS, model=model)
        with opened(folder / "collection", model, "gem") as engine:
            engine.index(folder / "db")
            engine.index(elsewhere)
            through = evaluate(truth, engine=engine)
        assert through.encodings == directly.encodings
        assert (through.database, through.distractors) == (11, 0)

    def test_bring_their_own_settings(self, truth: GroundTruth, engine: Engine, model: Backbone) -> None:
        assert evaluate(truth, engine=engine, settings=engine.settings).encodings[0].name == "gem"
        with pytest.raises(SettingsError, match="encoding gem, layer head and size 192"):
            evaluate(truth, engine=engine, encodings=[Encoding.parse("gem"), Encoding.parse("sum")])
        with pytest.raises(SettingsError, match="size 192"):
            evaluate(truth, engine=engine, settings=replace(engine.settings, size=Resize.parse("64")))
        with pytest.raises(ValueError, match="its own model"):
            evaluate(truth, engine=engine, model=model)


def test_a_model_with_another_layer_is_refused(truth: GroundTruth, model: Backbone) -> None:
    with pytest.raises(SettingsError, match="layer head, not expand16"):
        evaluate(truth, settings=replace(SETTINGS, layer="expand16"), model=model)


def test_an_earlier_layer(truth: GroundTruth) -> None:
    settings = replace(SETTINGS, layer="expand16")
    encodings = [Encoding.parse("gem"), Encoding.parse("cam")]
    measured = evaluate(truth, settings=settings, encodings=encodings, reading="cells")
    assert measured.settings["layer"] == "expand16"
    assert all(0 < item.mean_average_precision <= 1 for item in measured.encodings)


@pytest.mark.shared_data
def test_buildings(shared_data: Path, model: Backbone) -> None:
    """The easiest of the shared sets: nearly all is found."""
    truth = read_ground_truth(shared_data / "buildings" / "ground_truth.json")
    encodings = [Encoding.parse(name) for name in ("gem", "cam")]
    measured = evaluate(truth, encodings=encodings, model=model, settings=Settings(size=Resize.parse("320")))
    for scores in measured.encodings:
        assert scores.mean_average_precision > 0.9
        assert scores.recall(1) > 0.95
    assert not measured.skipped


def test_a_picture_is_seen_once_for_all_later_stages_of_a_plan(tmp_path, encoded, model, monkeypatch):
    """A shortlist and a re-ranking within it: the pass that describes every picture, and one more."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.jpg").write_bytes(encoded(number, (96, 96)))
    queries = [{"id": "a", "image": "photos/0.jpg", "region": None, "good": ["1.jpg"], "ok": [], "junk": []}]
    (tmp_path / "truth.json").write_text(json.dumps({"database": "photos", "queries": queries}))
    seen = []
    real = Extractor.try_file
    monkeypatch.setattr(
        Extractor, "try_file", lambda self, path: seen.append(os.path.basename(path)) or real(self, path)
    )
    protocol = Protocol(settings={"encoding": "cam:classes=3"}, plan=Plan.of("online", shortlist=4, rerank=3))
    measure(tmp_path / "truth.json", {"one": protocol}, model=model)
    assert sorted(seen.count(f"{number}.jpg".encode()) for number in range(5)) == [1, 2, 2, 2, 2]
