"""Whole protocols against a plain reference, written from METHOD.md with loops and one picture at a time."""

import json
import os
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from camseek.backbones import Backbone
from camseek.config import Encoding, Resize, Settings
from camseek.datasets import GroundTruth, open_truth, read_ground_truth
from camseek.encoding.encoder import Encoder
from camseek.encoding.whitening import Whitening, fit_whitening
from camseek.engine import Engine
from camseek.errors import GroundTruthError, SettingsError, UnreadableFileError
from camseek.evaluation import Evaluation
from camseek.extraction import extractor
from camseek.extraction.extractor import RegionRules
from camseek.lab.measuring import measure, scoring, scratch
from camseek.lab.protocol import Protocol, with_own_entries
from camseek.searching import DescribeAnew, Expand, MatchRegions, Nearest, Plan

# A multiple of the stride, so that no cell is padding and nothing is resized.
SIZE = (192, 160)
STRIDE = 32
SETTINGS = Settings(encoding=Encoding.parse("cam:classes=8"), size=Resize.parse("192"))
REGION = (32, 32, 128, 128)


def thing(seed: int, size: tuple[int, int]) -> Image.Image:
    generator = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(generator.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = (int(generator.integers(0, side)) for side in size)
        width, height = (int(length) for length in generator.integers(15, 60, 2))
        shape = generator.choice([draw.ellipse, draw.rectangle])
        shape((x, y, x + width, y + height), fill=tuple(generator.integers(0, 256, 3).tolist()))
    return image


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> GroundTruth:
    """Three things, three times each, and three other pictures; queries 0 and 1 lie in the database."""
    folder = tmp_path_factory.mktemp("protocol")
    (folder / "db").mkdir()
    queries: list[dict[str, Any]] = []
    for number in range(3):
        for copy, corner in enumerate([(32, 32), (70, 50), (10, 60)]):
            wall = thing(100 + 10 * number + copy, SIZE)
            wall.paste(thing(number, (96, 96)), corner)
            wall.save(folder / "db" / f"{number}_{copy}.png")
        thing(200 + number, SIZE).save(folder / "db" / f"other_{number}.png")
        image = f"db/{number}_0.png"
        if number == 2:
            wall = thing(300, SIZE)
            wall.paste(thing(number, (96, 96)), (32, 32))
            wall.save(folder / "query.png")
            image = "query.png"
        query = {"id": f"q{number}", "image": image, "region": REGION, "junk": [f"other_{number}.png"]}
        queries.append(query | {"good": [f"{number}_0.png", f"{number}_1.png"], "ok": [f"{number}_2.png"]})
    (folder / "truth.json").write_text(json.dumps({"database": "db", "queries": queries}))
    return read_ground_truth(folder / "truth.json")


@pytest.fixture(scope="module")
def reference(truth: GroundTruth, model: Backbone) -> "Reference":
    return Reference(truth, model)


@pytest.fixture(scope="module")
def whitening(reference: "Reference") -> Whitening:
    """Fitted on the database itself, which does for arithmetic."""
    rows = [
        reference.class_vectors(seen, reference.classes(seen.scores, 4), None)
        for seen in reference.pictures.values()
    ]
    return fit_whitening(np.concatenate(rows).astype(np.float32), dimensions=24)


def unit(vector: Any) -> Any:
    norm = np.sqrt((vector**2).sum())
    return vector / norm if norm else vector


@dataclass
class Seen:
    maps: Any
    scores: Any


class Reference:
    """METHOD.md, for a network whose last maps are feature maps and classifier maps."""

    def __init__(self, truth: GroundTruth, model: Backbone) -> None:
        self.truth, self.model = truth, model
        self.pictures = {name: self.see(os.path.join(truth.database, name)) for name in names(truth)}
        self.queries = {query.id: self.see(query.image) for query in truth.queries}

    def see(self, path: bytes, box: Any = None) -> Seen:
        pixels = np.asarray(Image.open(os.fsdecode(path)))
        if box is not None:
            pixels = pixels[box[1] : box[3], box[0] : box[2]]
        found = self.model.run(pixels)
        return Seen(found.features[0].astype(np.float64), found.scores[0].astype(np.float64))

    @staticmethod
    def classes(scores: Any, count: int) -> list[int]:
        return sorted(range(len(scores)), key=lambda number: -scores[number])[:count]

    def activation_map(self, seen: Seen, number: int) -> Any:
        _, rows, columns = seen.maps.shape
        weights = self.model.classifier_weights[number].astype(np.float64)
        found = np.zeros((rows, columns))
        for row in range(rows):
            for column in range(columns):
                found[row, column] = max(0.0, float(seen.maps[:, row, column] @ weights))
        return found / found.max() if found.max() > 0 else found

    def class_vectors(self, seen: Seen, classes: Any, cells: Any) -> Any:
        top, bottom, left, right = cells or (0, seen.maps.shape[1], 0, seen.maps.shape[2])
        inside = seen.maps[:, top:bottom, left:right]
        shares = (inside > 0).mean(axis=(1, 2))
        weights = np.array([np.log(shares.sum() / share) if share else 0.0 for share in shares])
        vectors = []
        for number in classes:
            part = self.activation_map(seen, number)[top:bottom, left:right]
            total = np.zeros(len(inside))
            for row in range(bottom - top):
                for column in range(right - left):
                    total += part[row, column] * inside[:, row, column]
            vectors.append(unit(weights * total))
        return np.array(vectors)

    def descriptor(self, seen: Seen, classes: Any, cells: Any, whitening: Whitening | None) -> Any:
        total = 0.0
        for vector in self.class_vectors(seen, classes, cells):
            if whitening is not None:
                whitened = unit((vector - whitening.mean) @ whitening.projection.astype(np.float64))
                vector = whitened if vector.any() else 0 * whitened
            total = total + vector
        return unit(total)

    def region_scores(self, seen: Seen, cells: Any) -> Any:
        top, bottom, left, right = cells
        mean = seen.maps[:, top:bottom, left:right].mean(axis=(1, 2))
        return self.model.classifier_weights.astype(np.float64) @ mean + self.model.classifier_bias

    def best_region(self, seen: Seen, query: Any, classes: Any, how: MatchRegions, whitening: Any) -> Any:
        heat = sum(self.activation_map(seen, number) for number in classes[: how.heat_classes])
        boxes = []
        for threshold in how.thresholds:
            box = largest(heat > threshold * heat.max())
            if box and min(box[1] - box[0], box[3] - box[2]) >= how.smallest:
                boxes.append(box)
        boxes = boxes or [(0, heat.shape[0], 0, heat.shape[1])]
        found = [self.descriptor(seen, classes, box, whitening) for box in boxes]
        return max(((float(query @ item), item) for item in found), key=lambda pair: pair[0])

    def search(self, number: int, protocol: Protocol) -> list[bytes]:
        query, plan = self.truth.queries[number], protocol.plan
        seen, whitening = self.queries[query.id], protocol.whitening
        first, anew = plan.stage(Nearest), plan.stage(DescribeAnew)
        how, expand = plan.stage(MatchRegions), plan.stage(Expand)
        x1, y1, x2, y2 = REGION
        cells: Any = (y1 // STRIDE, -(-y2 // STRIDE), x1 // STRIDE, -(-x2 // STRIDE))
        scores = self.region_scores(seen, cells)
        if protocol.rules.scores == "crop":
            scores = self.see(query.image, REGION).scores
        if protocol.rules.reading == "crop":
            seen, cells = self.see(query.image, REGION), None
            scores = seen.scores
        if protocol.rules.reading == "whole":
            cells, scores = None, seen.scores
        count = (anew and anew.classes) or protocol.settings.encoding.classes
        listed = (anew and anew.predefined) or protocol.settings.predefined
        attend = list(anew.attend) if anew else []
        fixed = list(listed)[:count] or attend
        asked = fixed or self.classes(scores, count)
        vector = self.descriptor(seen, asked, cells, whitening)

        own = query.image.removeprefix(self.truth.database + b"/")
        whole = {}
        for name, picture in self.pictures.items():
            chosen = fixed or (asked if anew else self.classes(picture.scores, count))
            whole[name] = self.descriptor(picture, chosen, None, whitening)
        if protocol.own_picture == "removed":
            whole.pop(own, None)

        def entries(kind: str) -> dict[bytes, Any]:
            return whole | ({own: vector} if own in whole and kind == "query" else {})

        def ranked(database: dict[bytes, Any], by: Any) -> list[bytes]:
            return sorted(database, key=lambda name: -float(database[name] @ by))

        ranking = ranked(entries(first.own_entry), vector)
        won: dict[bytes, Any] = {}
        if how:
            again = attend or self.classes(scores, how.classes)
            matched = self.descriptor(seen, again, cells, whitening)
            best = {
                name: self.best_region(self.pictures[name], matched, again, how, whitening)
                for name in ranking[: how.count]
            }
            won = {name: item for name, (_, item) in best.items()}
            ranking = sorted(best, key=lambda name: -best[name][0]) + ranking[how.count :]
        if expand:
            database = entries(expand.own_entry)
            total = sum((won.get(name, database[name])) for name in ranking[: expand.count])
            new = unit(total + vector if expand.with_query else total)
            if expand.database == "overwritten":
                database |= won
            ranking = ranked(database, new)
        return ranking


def largest(binary: Any) -> Any:
    """The box of the largest 8-connected component, found by flooding."""
    left, best, box = {(int(row), int(column)) for row, column in np.argwhere(binary)}, 0, None
    for start in sorted(left):
        if start not in left:
            continue
        left.discard(start)
        waiting, cells = deque([start]), [start]
        while waiting:
            row, column = waiting.popleft()
            for other in [(row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)]:
                if other in left:
                    left.discard(other)
                    waiting.append(other)
                    cells.append(other)
        if len(cells) > best:
            rows, columns = zip(*cells, strict=True)
            best, box = len(cells), (min(rows), max(rows) + 1, min(columns), max(columns) + 1)
    return box


def names(truth: GroundTruth) -> list[bytes]:
    return sorted(os.listdir(truth.database))


@pytest.fixture
def rankings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[bytes]]]:
    """What every query of every protocol found, in their order."""
    found: list[list[bytes]] = []
    score = scoring.score_ranking

    def told(truth: Any, query: Any, ranking: Any, *args: Any, **kwargs: Any) -> Any:
        found.append(list(ranking))
        return score(truth, query, ranking, *args, **kwargs)

    monkeypatch.setattr(scoring, "score_ranking", told)
    return found


# Both of two summed descriptors are equally near to their sum: sum three, or rounding decides the order.
PLANS = {
    "offline": Plan(),
    "online": Plan.of("online", shortlist=None, classes=5),
    "predefined": Plan.of("predefined", shortlist=None, predefined=(3, 500, 700, 9, 20, 999), classes=4),
    "attend": Plan.of("online", shortlist=None, attend=(700, 3), rerank=4, expand=3),
    "expanded": Plan.of(expand=3),
    "expanded online": Plan.of("online", shortlist=None, expand=3),
    "expanded with the query": Plan.of(expand=3, expand_with_query=True),
    "re-ranked": Plan.of(rerank=6),
    "re-ranked online": Plan.of("online", shortlist=None, classes=3, rerank=20),
    "re-ranked, expanded": Plan.of(rerank=6, expand=4),
    "online, all": Plan.of("online", shortlist=None, rerank=5, expand=4, expand_with_query=True),
}
WITH_ALL = PLANS["re-ranked, expanded"]
OPTIONS: dict[str, dict[str, Any]] = {
    "overwritten": {"plan": WITH_ALL.changed(Expand, database="overwritten")},
    "overwritten online": {"plan": PLANS["online, all"].changed(Expand, database="overwritten")},
    "entry": {"plan": with_own_entries(Plan.of(expand=3), "query", "picture")},
    "entry online": {"plan": with_own_entries(PLANS["expanded online"], "query", "query")},
    "entry throughout": {"plan": with_own_entries(Plan.of(expand=3), "query", "query")},
    "removed": {"plan": WITH_ALL, "own_picture": "removed"},
    "scores": {"plan": WITH_ALL, "rules": RegionRules(reading="cells", scores="crop")},
    "crop": {"plan": PLANS["online, all"], "rules": RegionRules(reading="crop")},
    "whole": {"plan": PLANS["online, all"], "rules": RegionRules(reading="whole")},
    "thresholds": {
        "plan": WITH_ALL.changed(MatchRegions, classes=4, heat_classes=3, thresholds=(0.2, 0.6), smallest=2),
    },
}


def compare(found: list[list[bytes]], reference: Reference, protocols: dict[str, Protocol]) -> None:
    expected = [
        (name, number, reference.search(number, protocol))
        for name, protocol in protocols.items()
        for number in range(3)
    ]
    for (name, number, ranking), ours in zip(expected, found, strict=True):
        assert ours == ranking, (name, number)


@pytest.mark.parametrize("whitened", [False, True])
def test_plans_equal_the_reference(
    truth: GroundTruth,
    model: Backbone,
    reference: Reference,
    whitening: Whitening,
    rankings: list[list[bytes]],
    whitened: bool,
) -> None:
    protocols = {
        name: Protocol(settings=SETTINGS, plan=plan, whitening=whitening if whitened else None)
        for name, plan in PLANS.items()
    }
    measured = measure(truth, protocols, model=model, workers=2)
    compare(rankings, reference, protocols)
    assert [item.name for item in measured.encodings] == list(PLANS)
    assert measured.settings["queries_in_database"] == 2
    assert len({tuple(map(tuple, rankings[start : start + 3])) for start in range(0, 33, 3)}) > 6


def test_options_equal_the_reference(
    truth: GroundTruth,
    model: Backbone,
    reference: Reference,
    whitening: Whitening,
    rankings: list[list[bytes]],
) -> None:
    protocols = {
        name: Protocol(settings=SETTINGS, whitening=whitening, **options) for name, options in OPTIONS.items()
    }
    measure(truth, protocols, model=model, workers=2)
    compare(rankings, reference, protocols)


def test_a_removed_picture_is_no_positive(truth: GroundTruth, model: Backbone) -> None:
    kept = Protocol(settings=SETTINGS)
    measured = measure(truth, {"kept": kept, "out": replace(kept, own_picture="removed")}, model=model)
    first, second = (item.average_precisions for item in measured.encodings)
    assert first[2] == second[2]  # its picture is in no database
    # The first is found first: without it the others' precisions are counted anew.
    assert first[:2] != second[:2]


def test_a_query_whose_only_positive_is_itself_is_left_out_of_all(
    truth: GroundTruth, model: Backbone
) -> None:
    alone = replace(truth.queries[0], good=frozenset({b"0_0.png"}), ok=frozenset())
    changed = replace(truth, queries=(alone, *truth.queries[1:]))
    kept = Protocol(settings=SETTINGS)
    removed = replace(kept, own_picture="removed")
    measured = measure(changed, {"kept": kept, "out": removed}, model=model)
    assert [len(item.queries) for item in measured.encodings] == [2, 2]
    assert measured.left_out == 1
    with pytest.raises(GroundTruthError, match="besides its own picture"):
        measure(replace(truth, queries=(alone,)), {"out": removed}, model=model)


def test_a_whole_is_its_parts(truth: GroundTruth, model: Backbone, whitening: Whitening) -> None:
    """Protocols share passes, class vectors and whitening; each alone gives the same."""
    protocols = {
        f"{count} {bool(white)} {plan.to_json()}": Protocol(
            settings=replace(SETTINGS, encoding=Encoding.parse(f"cam:classes={count}")),
            plan=plan,
            whitening=white,
        )
        for count in (1, 3, 8)
        for white in (None, whitening)
        for plan in (Plan(), Plan.of("online", shortlist=None), Plan.of(rerank=4, expand=2))
    }
    together = measure(truth, protocols, model=model)
    for name, item in zip(protocols, together.encodings, strict=True):
        alone = measure(truth, {name: protocols[name]}, model=model).encodings[0]
        assert item.average_precisions == pytest.approx(alone.average_precisions)


def test_two_passes_for_all(truth: GroundTruth, model: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    run = Backbone.run
    monkeypatch.setattr(Backbone, "run", lambda self, pixels: passes.append(1) or run(self, pixels))
    protocols = {name: Protocol(settings=SETTINGS, plan=plan) for name, plan in PLANS.items()}
    measure(truth, protocols, model=model)
    assert len(passes) == 3 + 12 + 12


def test_other_sizes_are_other_passes(truth: GroundTruth, model: Backbone) -> None:
    protocols = {
        size: Protocol(settings=replace(SETTINGS, size=Resize.parse(size)), plan=Plan.of(rerank=3, expand=2))
        for size in ("192", "smaller:96", "128x96")
    }
    together = measure(truth, protocols, model=model)
    for name, item in zip(protocols, together.encodings, strict=True):
        assert item == measure(truth, {name: protocols[name]}, model=model).encodings[0]
    assert {item["size"] for item in together.settings["protocols"].values()} == set(protocols)


def test_arrays_in_files_change_nothing(
    truth: GroundTruth, model: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocols = {name: Protocol(settings=SETTINGS, plan=plan) for name, plan in PLANS.items()}
    before = measure(truth, protocols, model=model)
    monkeypatch.setattr(scratch, "_IN_MEMORY", 0)
    assert measure(truth, protocols, model=model).encodings == before.encodings


def test_a_box_of_original_pixels(truth: GroundTruth, model: Backbone, rankings: list[list[bytes]]) -> None:
    """At half the size, the cells of the doubled box."""
    half = replace(SETTINGS, size=Resize.parse("96"))
    x1, y1, x2, y2 = (min(2 * side, SIZE[place % 2]) for place, side in enumerate(REGION))
    doubled = tuple(replace(query, region=(x1, y1, x2, y2)) for query in truth.queries)
    original = Protocol(settings=half, rules=RegionRules(reading="cells", box="original"))
    measure(truth, {"original": original}, model=model)
    measure(replace(truth, queries=doubled), {"resized": Protocol(settings=half)}, model=model)
    assert rankings[:3] == rankings[3:]


def test_what_has_gone_keeps_its_place(
    truth: GroundTruth, model: Backbone, monkeypatch: pytest.MonkeyPatch, rankings: list[list[bytes]]
) -> None:
    protocol = Protocol(settings=SETTINGS, plan=Plan.of(rerank=12))
    measure(truth, {"before": Protocol(settings=SETTINGS), "all": protocol}, model=model)
    plain, all_again = rankings[:3], rankings[3:]
    gone = plain[0][4]
    opened, times = extractor.open_file, Counter[bytes]()

    def missing(path: bytes) -> Any:
        times[path] += 1
        if path.endswith(gone) and times[path] > 1:  # it was there when the database was described
            raise UnreadableFileError("gone", remedy="none")
        return opened(path)

    monkeypatch.setattr(extractor, "open_file", missing)
    rankings.clear()
    measure(truth, {"gone": protocol}, model=model)
    assert rankings[0][4] == gone
    rest = [name for name in rankings[0] if name != gone]
    assert rest == [name for name in all_again[0] if name != gone]


@pytest.mark.parametrize("name", ["online", "re-ranked", "re-ranked online"])
def test_what_nothing_is_seen_in_stands_behind_everything_that_was_seen(
    truth: GroundTruth,
    model: Backbone,
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
    rankings: list[list[bytes]],
    name: str,
) -> None:
    plan = PLANS[name].changed(MatchRegions, count=12)
    measure(truth, {"seen": Protocol(settings=SETTINGS, plan=plan)}, model=model)
    seen = list(rankings)
    unseen = seen[0][1]
    maps = reference.pictures[unseen].maps

    def blind(method: str) -> None:
        """What is described with the query's classes: the stored descriptor is as it was."""
        real = getattr(Encoder, method)

        def described(encoder: Encoder, activations: Any, *rest: Any, **classes: Any) -> Any:
            found = real(encoder, activations, *rest, **classes)
            if not (rest or classes):
                return found
            same = activations.features.shape[1:] == maps.shape and np.allclose(activations.features, maps)
            return 0 * found if same else found

        monkeypatch.setattr(Encoder, method, described)

    blind("parts")
    blind("describe_regions")
    rankings.clear()
    measure(truth, {"unseen": Protocol(settings=SETTINGS, plan=plan)}, model=model)
    for before, after in zip(seen, rankings, strict=True):
        assert after == [item for item in before if item != unseen] + [unseen]


class TestCollections:
    @pytest.fixture
    def engine(self, truth: GroundTruth, model: Backbone, tmp_path: Path) -> Iterator[Engine]:
        with Engine.open(
            tmp_path / "c", model=model, settings=SETTINGS, create=True, without=("points",)
        ) as engine:
            engine.index(os.fsdecode(truth.database))
            yield engine

    def test_every_plan(self, truth: GroundTruth, model: Backbone, engine: Engine) -> None:
        protocols = {name: Protocol(settings=SETTINGS, plan=plan) for name, plan in PLANS.items()}
        through = measure(truth, protocols, engine=engine)
        directly = measure(truth, protocols, model=model)
        for one, other in zip(through.encodings, directly.encodings, strict=True):
            # Stored descriptors are float16.
            assert one.average_precisions == pytest.approx(other.average_precisions, abs=0.05), one.name
        assert through.settings["queries_in_database"] == 2

    def test_bring_their_whitening(self, truth: GroundTruth, engine: Engine, whitening: Whitening) -> None:
        with pytest.raises(SettingsError, match="its own whitening"):
            measure(truth, {"w": Protocol(settings=SETTINGS, whitening=whitening)}, engine=engine)


class TestWhatDoesNotFit:
    def test_classes(self, truth: GroundTruth, model: Backbone) -> None:
        plan = Plan.of("predefined", predefined=(1000,))
        with pytest.raises(SettingsError, match="no class 1000 among the 1000"):
            measure(truth, {"p": Protocol(settings=SETTINGS, plan=plan)}, model=model)

    def test_a_whitening(self, truth: GroundTruth, model: Backbone) -> None:
        wrong = Whitening(np.zeros(4, np.float32), np.eye(4, dtype=np.float32))
        with pytest.raises(SettingsError, match=r"4 dimensions; the layer head .* gives 1280"):
            measure(truth, {"p": Protocol(settings=SETTINGS, whitening=wrong)}, model=model)

    def test_nothing(self, truth: GroundTruth, model: Backbone) -> None:
        with pytest.raises(ValueError, match="no protocol"):
            measure(truth, {}, model=model)


class TestPublicDataSets:
    """The official files and rules, through the real readers."""

    SMALL = Protocol(
        settings=replace(SETTINGS, size=Resize.parse("128")),
        plan=Plan.of("online", shortlist=None, rerank=8, expand=3),
    )

    def measured(self, text: str, model: Backbone, **options: Any) -> tuple[GroundTruth, Evaluation]:
        truth = open_truth(text)
        return truth, measure(truth, {"small": replace(self.SMALL, **options)}, model=model)

    def test_oxford(
        self, tmp_path: Path, miniatures: Any, model: Backbone, rankings: list[list[bytes]]
    ) -> None:
        truth, found = self.measured(f"oxford5k={miniatures.oxford(tmp_path)}", model)
        assert (found.form, found.queries, found.database, found.left_out) == ("trapezoid", 9, 26, 0)
        assert found.settings["queries_in_database"] == 9
        for query, ranking, score in zip(truth.queries, rankings, found.encodings[0].queries, strict=True):
            assert len(ranking) == 26
            assert query.own in ranking
            assert score.average_precision == pytest.approx(trapezoid(ranking, query.positives, query.junk))
        assert found.encodings[0].mean_average_precision > 0.4

    def test_oxford105k(self, tmp_path: Path, miniatures: Any, model: Backbone) -> None:
        miniatures.flickr(miniatures.oxford(tmp_path))
        truth = open_truth(f"oxford105k={tmp_path}")
        found = measure(truth, {"small": self.SMALL}, model=model)
        assert (found.database, found.distractors) == (26, 4)

    def test_roxford(
        self, tmp_path: Path, miniatures: Any, model: Backbone, rankings: list[list[bytes]]
    ) -> None:
        truth, found = self.measured(f"roxford5k={miniatures.roxford(tmp_path)}", model)
        assert (found.queries, found.database) == (6, 19)
        assert found.settings["queries_in_database"] == 0
        setups = {item.setup: item for item in found.encodings[0].setups}
        assert [setups[name].queries for name in ("easy", "medium", "hard")] == [5, 6, 6]
        expected = {
            "easy": [
                trapezoid(ranking, query.good, query.ok | query.junk)
                for query, ranking in zip(truth.queries, rankings, strict=True)
                if query.good
            ],
            "hard": [
                trapezoid(ranking, query.ok, query.good | query.junk)
                for query, ranking in zip(truth.queries, rankings, strict=True)
            ],
        }
        for name, values in expected.items():
            assert setups[name].mean_average_precision == pytest.approx(np.mean(values))

    def test_holidays_takes_the_query_out(
        self, tmp_path: Path, miniatures: Any, model: Backbone, rankings: list[list[bytes]]
    ) -> None:
        truth, found = self.measured(f"holidays={miniatures.holidays(tmp_path)}", model)
        assert found.settings["queries_in_database"] == 4
        assert all(query.own not in ranking for query, ranking in zip(truth.queries, rankings, strict=True))

    def test_ukbench_counts_four(self, tmp_path: Path, miniatures: Any, model: Backbone) -> None:
        _, found = self.measured(f"ukbench={miniatures.ukbench(tmp_path)}", model, plan=Plan())
        assert found.encodings[0].n_s is not None
        assert 1 <= found.encodings[0].n_s <= 4


def trapezoid(ranking: list[bytes], positives: Any, ignored: Any) -> float:
    """The area under the lines of the precision-recall curve, one picture at a time (compute_ap)."""
    old_recall, old_precision, area, seen, rank = 0.0, 1.0, 0.0, 0, 0
    for name in ranking:
        if name in ignored:
            continue
        if name in positives:
            seen += 1
        recall, precision = seen / len(positives), seen / (rank + 1)
        area += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision = recall, precision
        rank += 1
    return area
