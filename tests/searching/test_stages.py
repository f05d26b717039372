"""Plans and their stages: what they refuse, and that stages of other people's fit in."""

import json
import os
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest

from camseek import DescribeAnew, Engine, Expand, MatchRegions, Nearest, Plan, Protocol, Settings, measure
from camseek.datasets import read_ground_truth
from camseek.errors import SettingsError
from camseek.extraction.extractor import Extraction
from camseek.lab.measuring import scoring
from camseek.results import Evidence, Stage, Verdict
from camseek.searching.looks import UNSEEN, Look, Unreadable
from camseek.searching.query import Sought
from camseek.searching.stages import (
    Candidates,
    Detail,
    FirstStage,
    LaterStage,
    Searching,
    Step,
    Terms,
    Told,
)

SETTINGS = Settings(encoding="cam:classes=4", size=96)
COUNT = 6


@dataclass(frozen=True, slots=True)
class Newest(FirstStage):
    """The pictures that came last, first."""

    name: ClassVar[str] = "newest"

    def features(self, query: Sought, terms: Terms) -> str:
        return query.name

    def rank(self, search: Searching, step: Step) -> tuple[Candidates, Stage]:
        assert step.features  # what a first stage takes from the query for itself
        every = search.database.nearest(step.terms.descriptor, None, search.without)
        records = np.sort(every.records)[::-1][: search.wanted]
        scores = 1 / np.arange(1.0, len(records) + 1)
        return Candidates(records, scores, self.name), Stage(self.name, every.compared)


@dataclass(frozen=True, slots=True)
class Joined(FirstStage):
    """Several first stages: the sum of a picture's reciprocal ranks (Cormack et al. 2009)."""

    name: ClassVar[str] = "joined"
    stages: tuple[FirstStage, ...] = (Nearest(), Newest())
    k: int = 60

    def features(self, query: Sought, terms: Terms) -> tuple[Any, ...]:
        return tuple(stage.features(query, terms) for stage in self.stages)

    def rank(self, search: Searching, step: Step) -> tuple[Candidates, Stage]:
        ranked = [
            stage.rank(search, replace(step, features=features))
            for stage, features in zip(self.stages, step.features, strict=True)
        ]
        totals: dict[int, float] = {}
        evidence: dict[int, tuple[Evidence, ...]] = {}
        for found, _ in ranked:
            for place, (record, score) in enumerate(
                zip(found.first(None), found.scores.tolist(), strict=True)
            ):
                totals[record] = totals.get(record, 0) + 1 / (self.k + place + 1)
                evidence[record] = (*evidence.get(record, ()), Evidence(found.by, score))
        best = sorted(totals, key=lambda record: (-totals[record], record))[: search.wanted]
        return (
            Candidates(
                np.array(best, np.int64),
                np.array([totals[record] for record in best]),
                self.name,
                {record: Detail(evidence[record]) for record in best},
            ),
            Stage(self.name, max(stage.pictures for _, stage in ranked)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class BrightnessLook:
    """How bright a picture is: a question of one's own."""

    @property
    def key(self) -> Hashable:
        return "brightness"

    def see(self, seen: Extraction) -> float:
        return float(seen.picture.pixels.mean()) / 255


@dataclass(frozen=True, slots=True)
class BrightEvidence(Evidence):
    """With what was measured, and a box of nothing."""

    brightness: float = 0.0
    corners: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Brightest(LaterStage):
    """The brightest of the first pictures first, and whether they are bright enough."""

    name: ClassVar[str] = "brightness"
    count: int = 3
    enough: float = 0.5
    tells: bool = True

    @property
    def reach(self) -> int | None:
        return self.count

    def look(self, query: Sought, terms: Terms) -> Look | None:
        return BrightnessLook()

    def apply(self, search: Searching, step: Step, found: Candidates) -> tuple[Candidates, Stage | None]:
        records = found.first(self.count)
        told = [self._told(answer) for answer in search.database.look(step.look, records)]
        return found.reordered(self.name, told), Stage(self.name, len(told), (), {"enough": self.enough})

    def _told(self, answer: float | Unreadable) -> Told:
        if isinstance(answer, Unreadable):
            return Told(None, kept=answer.reason)
        evidence = BrightEvidence(self.name, answer, answer, (1, 2))
        if not self.tells:
            return Told(None, evidence, verdict=Verdict(None, 0.0, "anything may be bright"))
        return Told(
            answer, evidence, verdict=Verdict(answer > self.enough, answer, "it is as bright as that")
        )


@dataclass(frozen=True, slots=True)
class Nothing(LaterStage):
    """Has nothing to do."""

    name: ClassVar[str] = "nothing"

    def apply(self, search: Searching, step: Step, found: Candidates) -> tuple[Candidates, Stage | None]:
        return found, None


@pytest.fixture(scope="module")
def folder(tmp_path_factory, encoded):
    """Pictures and a ground truth; the record of each is its number and 1, its row its number."""
    place = tmp_path_factory.mktemp("stages")
    (place / "db").mkdir()
    for number in range(COUNT):
        (place / "db" / f"{number}.jpg").write_bytes(encoded(number, (96, 64)))
    queries = [
        {"id": f"q{number}", "image": f"db/{number}.jpg", "good": [f"{(number + 1) % COUNT}.jpg"]}
        for number in range(COUNT)
    ]
    (place / "truth.json").write_text(json.dumps({"database": "db", "queries": queries}))
    return place


@pytest.fixture(scope="module")
def filled(tmp_path_factory, folder, model):
    address = tmp_path_factory.mktemp("c") / "c"
    with Engine.open(
        address, model=model, settings=SETTINGS, create=True, without=("points",), workers=1
    ) as engine:
        engine.index(folder / "db")
        yield engine


@pytest.fixture
def search(filled, folder):
    def call(number, plan, **options):
        return filled.search(folder / "db" / f"{number}.jpg", plan=plan, **options)

    return call


@pytest.fixture
def measured(folder, model, monkeypatch):
    """What each query finds in the laboratory, by the numbers of the pictures."""
    rankings = []
    score = scoring.score_ranking

    def told(truth, query, ranking, *args, **options):
        rankings.append(numbers(map(os.fsdecode, ranking)))
        return score(truth, query, ranking, *args, **options)

    monkeypatch.setattr(scoring, "score_ranking", told)

    def call(plan, **options):
        rankings.clear()
        protocol = Protocol(settings=SETTINGS, plan=plan, **options)
        found = measure(read_ground_truth(folder / "truth.json"), {"it": protocol}, model=model)
        json.dumps(found.to_json(), allow_nan=False)
        return list(rankings)

    return call


def numbers(paths):
    return [int(os.path.basename(path).removesuffix(".jpg")) for path in paths]


def stages(hit):
    return [item.stage for item in hit.evidence]


class TestFirstStages:
    def test_another_first_stage(self, search):
        result = search(0, Plan(first=Newest()))
        assert numbers(hit.path for hit in result) == [5, 4, 3, 2, 1, 0]
        assert [hit.score for hit in result] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6])
        assert {hit.scored_by for hit in result} == {"newest"}
        assert [hit.evidence for hit in result] == [(Evidence("newest", hit.score),) for hit in result]
        assert [(stage.name, stage.pictures) for stage in result.stages] == [("newest", COUNT)]
        assert result.searched == COUNT
        told = json.loads(json.dumps(result.to_json()))
        assert told["settings"]["plan"] == {"first": {"stage": "Newest"}, "then": []}
        assert told["hits"][0]["evidence"] == [{"stage": "newest", "score": 1.0}]

    def test_so_many_and_without_ones_own(self, search):
        result = search(5, Plan(first=Newest()), top=2, without_self=True)
        assert numbers(hit.path for hit in result) == [4, 3]
        assert result.searched == COUNT - 1

    def test_another_one_in_the_laboratory(self, measured):
        assert measured(Plan(first=Newest())) == [[5, 4, 3, 2, 1, 0]] * COUNT
        removed = measured(Plan(first=Newest()), own_picture="removed")
        assert removed == [[item for item in (5, 4, 3, 2, 1, 0) if item != own] for own in range(COUNT)]

    def test_two_joined(self, search):
        result = search(2, Plan(first=Joined()))
        near = {hit.path: hit for hit in search(2, Plan())}
        new = {hit.path: hit for hit in search(2, Plan(first=Newest()))}
        expected = {path: 1 / (60 + near[path].rank) + 1 / (60 + new[path].rank) for path in near}
        assert {hit.path: hit.score for hit in result} == pytest.approx(expected)
        assert [hit.score for hit in result] == sorted(expected.values(), reverse=True)
        for hit in result:
            assert hit.evidence == (
                Evidence("ranking", near[hit.path].score),
                Evidence("newest", new[hit.path].score),
                Evidence("joined", hit.score),
            )
            assert hit.scored_by == "joined"
        assert [stage.name for stage in result.stages] == ["joined"]
        told = json.loads(json.dumps(result.to_json()))
        assert told["settings"]["plan"]["first"] == {
            "stage": "Joined",
            "stages": [{"stage": "Nearest", "own_entry": "picture"}, {"stage": "Newest"}],
            "k": 60,
        }

    @pytest.mark.parametrize(
        "then", [(), (MatchRegions(COUNT),), (Brightest(4),), (DescribeAnew(classes=3), Expand(3))]
    )
    def test_joined_in_the_laboratory(self, search, measured, then):
        plan = Plan(first=Joined(), then=then)
        found = measured(plan)
        for number in range(COUNT):
            assert found[number] == numbers(hit.path for hit in search(number, plan)), number

    def test_later_stages_go_on_from_them(self, search):
        first, second, *others = search(0, Plan(first=Joined(), then=MatchRegions(2)))
        assert stages(first) == stages(second) == ["ranking", "newest", "joined", "re-ranking"]
        assert {stages(hit)[-1] for hit in others} == {"joined"}
        assert {hit.scored_by for hit in others} == {"joined"}


class TestLaterStages:
    @pytest.fixture
    def brightness(self, folder, filled):
        found = {}
        for number in range(COUNT):
            seen = filled._describers.single().extractor.extract(folder / "db" / f"{number}.jpg")
            found[number] = seen.picture.pixels.mean() / 255
        return found

    def test_one_with_a_question_and_a_verdict_of_its_own(self, search, brightness):
        before = numbers(hit.path for hit in search(0, Plan()))
        result = search(0, Plan(then=Brightest(3, enough=0.5)))
        after = numbers(hit.path for hit in result)
        assert after == sorted(before[:3], key=lambda number: -brightness[number]) + before[3:]
        for hit, number in zip(result, after, strict=True):
            if hit.rank > 3:
                assert (hit.verdict, stages(hit), hit.scored_by) == (None, ["ranking"], "ranking")
                continue
            bright = brightness[number]
            assert hit.score == pytest.approx(bright)
            assert hit.scored_by == "brightness"
            assert hit.verdict == Verdict(bool(bright > 0.5), hit.score, "it is as bright as that")
            ranking, own = hit.evidence
            assert ranking.stage == "ranking"
            assert own == BrightEvidence("brightness", hit.score, hit.score, (1, 2))
        assert result.stages[1].to_json() == {
            "stage": "brightness",
            "pictures": 3,
            "classes": [],
            "enough": 0.5,
        }

    def test_in_json_and_rows(self, search):
        result = search(0, Plan(then=[Brightest(1)]))
        told = json.loads(json.dumps(result.to_json(), allow_nan=False))
        first, second = told["hits"][:2]
        bright = result.hits[0].score
        assert first["verdict"] == {
            "verdict": "present" if bright > 0.5 else "not shown",
            "same": bright > 0.5,
            "probability": round(bright, 6),
            "reason": "it is as bright as that",
        }
        assert first["evidence"][1] == {
            "stage": "brightness",
            "score": bright,
            "brightness": bright,
            "corners": [1, 2],
        }
        assert second["verdict"] is None
        assert told["settings"]["plan"]["then"] == [
            {"stage": "Brightest", "count": 1, "enough": 0.5, "tells": True}
        ]
        word = first["verdict"]["verdict"]
        assert [row["verdict"] for row in result.rows()[:2]] == [word, None]

    def test_one_that_cannot_tell_says_so_all_the_same(self, search):
        before = search(0, Plan())
        result = search(0, Plan(then=Brightest(3, tells=False)))
        assert [(hit.path, hit.score) for hit in result] == [(hit.path, hit.score) for hit in before]
        for hit in result.hits[:3]:
            assert hit.verdict == Verdict(None, 0.0, "anything may be bright")
            assert stages(hit) == ["ranking", "brightness"]
            assert (hit.scored_by, hit.kept) == ("ranking", None)
        assert result.hits[3].verdict is None

    def test_a_later_one_keeps_the_verdict(self, search):
        result = search(0, Plan(then=(Brightest(COUNT), MatchRegions(2), Nothing())))
        assert [stage.name for stage in result.stages] == ["ranking", "brightness", "re-ranking"]
        for hit in result:
            assert hit.verdict is not None
            assert stages(hit) == ["ranking", "brightness", "re-ranking"][: 3 if hit.rank <= 2 else 2]

    def test_pictures_are_seen_once_for_all(self, search, monkeypatch):
        from camseek.extraction.extractor import FileMaps

        seen = []
        real = FileMaps.maps
        monkeypatch.setattr(FileMaps, "maps", lambda self, item: seen.append(item.record) or real(self, item))
        plan = Plan(then=(DescribeAnew(), Brightest(COUNT), MatchRegions(COUNT), Expand(2)))
        search(0, plan, boxes=True)
        assert sorted(seen) == sorted(set(seen))
        assert len(seen) == COUNT

    def test_in_the_laboratory(self, measured, search):
        plan = Plan(then=(Brightest(3), MatchRegions(2)))
        found = measured(plan)
        for number in range(COUNT):
            assert found[number] == numbers(hit.path for hit in search(number, plan))

    def test_a_picture_that_has_gone_keeps_its_place(self, folder, model, tmp_path, encoded):
        with Engine.open(
            tmp_path / "c", model=model, settings=SETTINGS, create=True, without=("points",)
        ) as engine:
            engine.add({f"{number}": encoded(number) for number in range(3)})
            (tmp_path / "3.jpg").write_bytes(encoded(0, (70, 50)))
            engine.add([tmp_path / "3.jpg"])
            (tmp_path / "3.jpg").unlink()
            before = engine.search(encoded(0))
            place = next(hit.rank for hit in before if hit.path.endswith("3.jpg"))
            hit = engine.search(encoded(0), plan=Plan(then=Brightest(4))).hits[place - 1]
        assert hit.path.endswith("3.jpg")
        assert hit.kept
        assert (hit.verdict, stages(hit)) == (None, ["ranking"])


class TestWhatPlansRefuse:
    @pytest.mark.parametrize(
        "given",
        [
            {"first": MatchRegions()},
            {"first": Nearest},
            {"first": None},
            {"first": "nearest"},
            {"then": Nearest()},
            {"then": (Nearest(),)},
            {"then": (MatchRegions,)},
            {"then": (MatchRegions(), None)},
            {"then": None},
            {"then": "online"},
            {"then": 20},
        ],
    )
    def test_things_that_are_no_stages(self, given):
        with pytest.raises(TypeError, match="Stage"):
            Plan(**given)

    def test_pictures_described_anew_twice(self):
        with pytest.raises(SettingsError, match="anew twice") as error:
            Plan(then=(DescribeAnew(), MatchRegions(), DescribeAnew(attend=(1,))))
        assert error.value.remedy

    def test_what_they_take(self):
        one = Plan(then=MatchRegions(3))
        assert one == Plan(then=[MatchRegions(3)]) == Plan(then=iter([MatchRegions(3)]))
        assert hash(one) == hash(Plan.of(rerank=3))
        assert Plan(then=(MatchRegions(2), MatchRegions(1))).then == (MatchRegions(2), MatchRegions(1))

    def test_a_search_with_something_else(self, filled, folder):
        for wrong in ("online", MatchRegions(), {"rerank": 3}):
            with pytest.raises(TypeError, match="plan"):
                filled.search(folder / "db" / "0.jpg", plan=wrong)

    @pytest.mark.parametrize(
        ("kind", "settings"),
        [
            (Nearest, {"own_entry": "none"}),
            (DescribeAnew, {"classes": 0}),
            (DescribeAnew, {"shortlist": 0}),
            (DescribeAnew, {"shortlist": -1}),
            (DescribeAnew, {"predefined": (1,), "attend": (2,)}),
            (DescribeAnew, {"attend": (1, 2), "classes": 1}),
            (DescribeAnew, {"own_entry": "none"}),
            (MatchRegions, {"count": 0}),
            (MatchRegions, {"classes": 0}),
            (MatchRegions, {"heat_classes": 0}),
            (MatchRegions, {"smallest": 0}),
            (MatchRegions, {"thresholds": (0.1, 1.0)}),
            (MatchRegions, {"thresholds": (-0.1,)}),
            (MatchRegions, {"thresholds": (float("nan"),)}),
            (MatchRegions, {"largest": "area"}),
            (Expand, {"count": 0}),
            (Expand, {"count": -1}),
            (Expand, {"database": "mine"}),
            (Expand, {"own_entry": "none"}),
        ],
    )
    def test_settings_of_a_stage(self, kind, settings):
        stage = kind()
        for key, value in settings.items():
            # Not in the constructor: while testing, a word that is none of the literals is refused there.
            object.__setattr__(stage, key, value)
        with pytest.raises(SettingsError) as error:
            stage.__post_init__()
        assert error.value.remedy
        if not any(isinstance(value, str) for value in settings.values()):
            for make in (kind, partial(replace, kind())):
                with pytest.raises(SettingsError):
                    make(**settings)

    @pytest.mark.parametrize(
        "options",
        [
            {"aggregation": "sideways"},
            {"classes": 8},
            {"aggregation": "predefined"},
            {"predefined": (1,)},
            {"attend": (1,)},
            {"expand_with_query": True},
            {"expand": -1},
            {"rerank": -1},
            {"shortlist": 0},
            {"aggregation": "online", "shortlist": 0},
            {"aggregation": "online", "shortlist": 0, "rerank": 5},
            {"aggregation": "online", "classes": 0},
            {"aggregation": "online", "classes": 1, "attend": (1, 2)},
            {"aggregation": "online", "predefined": (1,)},
            {"aggregation": "predefined", "predefined": (1,), "attend": (1,)},
            {"aggregation": "offline", "classes": 0},
        ],
    )
    def test_options_that_do_not_go_together(self, options):
        with pytest.raises(SettingsError) as error:
            Plan.of(**options)
        assert error.value.remedy


class TestPlans:
    def test_the_papers_options(self):
        assert Plan.of() == Plan() == Plan(first=Nearest(), then=())
        assert Plan.of("online", classes=5, rerank=3, expand=2) == Plan(
            then=(DescribeAnew(classes=5), MatchRegions(3), Expand(2))
        )
        assert Plan.of("online", attend=[7, 9], rerank=3) == Plan(
            then=(DescribeAnew(attend=(7, 9)), MatchRegions(3, attend=(7, 9)))
        )
        assert Plan.of("predefined", predefined=[7, 9], classes=1) == Plan(
            then=DescribeAnew(predefined=(7, 9), classes=1)
        )
        assert Plan.of(expand=2, expand_with_query=True) == Plan(then=Expand(2, True))

    @pytest.mark.parametrize(
        ("shortlist", "wanted"), [(100, 100), (None, None), (10, 60), (59, 60), (61, 61)]
    )
    def test_the_shortlist_is_at_least_what_later_stages_take(self, shortlist, wanted):
        plan = Plan.of("online", shortlist=shortlist, rerank=60, expand=20)
        assert plan.stage(DescribeAnew).shortlist == wanted

    def test_how_far_they_reach(self):
        assert Plan().reach(7) == 7
        assert Plan.of(rerank=20, expand=5).reach(7) == 20
        assert Plan.of("online").reach(7) == 100
        assert Plan.of("online").reach(None) is None
        assert Plan.of("online", shortlist=None).reach(7) is None
        assert Plan(then=(Brightest(9), Nothing())).reach(7) == 9

    def test_changing_stages(self):
        plan = Plan.of("online", rerank=20)
        assert plan.changed(MatchRegions, count=5) == Plan(then=(DescribeAnew(), MatchRegions(5)))
        assert plan.changed(Expand, count=5) == plan
        assert plan.changed(Nearest, own_entry="query").first == Nearest(own_entry="query")
        with pytest.raises(SettingsError):
            plan.changed(MatchRegions, count=0)

    def test_what_they_are_called(self):
        assert (Plan().aggregation, Plan().attend, Plan().needs_classifier) == ("offline", (), False)
        assert Plan.of(expand=3).needs_classifier is False
        assert Plan.of(rerank=3).needs_classifier is True
        plan = Plan.of("predefined", predefined=(3,))
        assert (plan.aggregation, plan.needs_classifier) == ("predefined", True)
        assert Plan.of("online", attend=(3,)).attend == (3,)

    def test_in_json(self):
        told = Plan.of("online", attend=(3,), rerank=2).to_json()
        assert told == json.loads(json.dumps(told))
        assert [stage["stage"] for stage in told["then"]] == ["DescribeAnew", "MatchRegions"]
        assert told["then"][0] == {
            "stage": "DescribeAnew",
            "classes": None,
            "predefined": [],
            "attend": [3],
            "shortlist": 100,
            "own_entry": "picture",
        }


class TestCandidates:
    def test_by_new_scores_among_the_first(self):
        """By hand: three of four were judged, of which one could not be; the fourth stays behind."""
        found = Candidates(np.array([7, 5, 9, 2]), np.array([0.9, 0.8, 0.7, 0.6]), "ranking")
        after = found.reordered("stage", [Told(0.1), Told(None, kept="gone"), Told(0.4)])
        assert after.records.tolist() == [9, 5, 7, 2]
        assert after.scores.tolist() == [0.4, 0.8, 0.1, 0.6]
        assert after.detail(9).evidence == (Evidence("ranking", 0.7), Evidence("stage", 0.4))
        assert after.detail(7).by == "stage"
        assert (after.detail(5).kept, after.detail(5).by, after.detail(5).evidence) == ("gone", None, ())
        assert after.judged(5, 0.8).evidence == (Evidence("ranking", 0.8),)
        assert list(after.details) == [7, 5, 9]
        # What it was made of is as it was.
        assert found.records.tolist() == [7, 5, 9, 2]
        assert found.details == {}

    def test_what_was_not_seen_stands_behind_what_was(self):
        found = Candidates(np.array([1, 2, 3]), np.array([0.9, 0.8, 0.7]), "ranking")
        after = found.reordered("stage", [Told(UNSEEN), Told(-0.5), Told(0.0)])
        assert after.records.tolist() == [3, 2, 1]

    def test_equal_scores_stay_in_their_order(self):
        found = Candidates(np.array([4, 3, 1]), np.array([0.9, 0.8, 0.7]), "ranking")
        assert found.reordered("stage", [Told(0.5)] * 3).records.tolist() == [4, 3, 1]

    def test_of_nothing(self):
        nothing: Any = Candidates(np.empty(0, np.int64), np.empty(0), "ranking")
        assert len(nothing.reordered("stage", [])) == 0
        assert nothing.first(None) == []
