from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camseek.backbones import Backbone
from camseek.config import Encoding, Resize, Settings
from camseek.datasets import GroundTruth, open_truth
from camseek.errors import SettingsError
from camseek.extraction.extractor import RegionRules
from camseek.lab.auditing import BASE, Audit, audit, variants
from camseek.lab.measuring import measure
from camseek.lab.measuring.held_out import THE_SAME, fit_held_out, held_out
from camseek.lab.protocol import Protocol
from camseek.searching import MatchRegions, Plan

SETTINGS = Settings(encoding=Encoding.parse("cam:classes=8"), size=Resize.parse("128"))
FULL = Protocol(settings=SETTINGS, plan=Plan.of(rerank=8, expand=3))
BARE = Protocol(settings=SETTINGS)


@pytest.fixture(scope="module")
def oxford(tmp_path_factory: pytest.TempPathFactory, miniatures: Any) -> GroundTruth:
    return open_truth(f"oxford5k={miniatures.oxford(tmp_path_factory.mktemp('oxford'))}")


@pytest.fixture(scope="module")
def audited(oxford: GroundTruth, model: Backbone) -> Audit:
    return audit(oxford, FULL, model=model, workers=2)


@pytest.fixture
def bgr(model: Backbone) -> Backbone:
    """The same network in the manner of Caffe's."""
    taken = replace(
        model.card.input, channel_order="BGR", mean=(103.939, 116.779, 123.68), std=(128.0, 128.0, 128.0)
    )
    return model.with_input(taken)


def test_every_disputed_point_is_there(audited: Audit) -> None:
    assert [item.variant.name for item in audited.outcomes] == [
        "own picture",
        "own entry",
        "own entry throughout",
        "class scores",
        "squeezed",
        "box",
        "maps",
        "means",
        "thresholds",
        "small boxes",
        "contour",
        "expansion",
        "expansion database",
        "average precision",
    ]


def test_each_differs_from_the_base_in_one_point(oxford: GroundTruth, model: Backbone) -> None:
    def flat(data: dict[str, Any], before: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in data.items():
            if key == "then":  # the plan's later stages, by their names
                value = {stage["stage"]: stage for stage in value}
            found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
        return found

    base = flat(FULL.to_json())
    known = {item.name: item for item in variants(oxford, FULL, model)}
    differing = {
        name: {key for key, value in flat(item.protocol.to_json()).items() if value != base[key]}
        for name, item in known.items()
        if item.protocol is not None
    }
    assert differing.pop("box") == {"query_box", "size"}
    assert known["box"].against == "squeezed"
    assert differing.pop("own entry throughout") == {"plan.first.own_entry", "plan.then.Expand.own_entry"}
    assert differing == {
        "own picture": {"own_picture"},
        "own entry": {"plan.first.own_entry"},
        "class scores": {"query_scores"},
        "squeezed": {"size"},
        "maps": {"encoding"},
        "thresholds": {"plan.then.MatchRegions.thresholds"},
        "small boxes": {"plan.then.MatchRegions.smallest"},
        "contour": {"plan.then.MatchRegions.largest"},
        "expansion": {"plan.then.Expand.with_query"},
        "expansion database": {"plan.then.Expand.database"},
        "average precision": {"ap_form"},
    }
    four = known["thresholds"].protocol
    assert four is not None
    assert four.plan.stage(MatchRegions).thresholds == (0.01, 0.1, 0.2, 0.3)


def test_numbers_are_those_of_measuring(oxford: GroundTruth, model: Backbone, audited: Audit) -> None:
    for name in ("own picture", "thresholds", "squeezed"):
        outcome = next(item for item in audited.outcomes if item.variant.name == name)
        protocol = outcome.variant.protocol
        assert protocol is not None
        first, other = measure(oxford, {BASE: FULL, name: protocol}, model=model).encodings
        assert outcome.mean_average_precision == pytest.approx(other.mean_average_precision)
        expected = other.mean_average_precision - first.mean_average_precision
        assert outcome.difference == pytest.approx(expected)
        assert outcome.interval is not None
        assert outcome.interval[0] - 1e-9 <= expected <= outcome.interval[1] + 1e-9
        pairs = zip(first.average_precisions, other.average_precisions, strict=True)
        assert outcome.changed == sum(one != two for one, two in pairs)


def test_taking_the_query_out_costs(audited: Audit) -> None:
    """Each is its own easiest positive."""
    outcome = audited.outcomes[0]
    assert outcome.difference is not None
    assert outcome.difference < -0.01
    assert outcome.changed > 5


def test_facts(audited: Audit, model: Backbone) -> None:
    facts = audited.facts()
    assert facts["queries in the database"] == "9 (9 by name, 0 by content alone), kept"
    assert facts["average precision"] == "trapezoid"
    assert model.checksum in facts["model"]
    assert facts["whitening"] == "none"
    assert facts["junk"].startswith("9 labels")
    assert "1%, 10%, 20%, 30%, 40%" in facts["re-ranking"]


def test_json_is_whole(audited: Audit) -> None:
    told = audited.to_json()
    assert told["protocol"]["plan"]["then"][0]["count"] == 8
    measured = [item for item in told["variants"] if "mAP" in item]
    assert len(measured) == 13
    assert [item["name"] for item in told["variants"] if "reason" in item] == ["means"]


def test_what_decides_nothing_says_why(oxford: GroundTruth, model: Backbone) -> None:
    plain = replace(
        BARE, rules=RegionRules(reading="crop"), settings=replace(SETTINGS, encoding=Encoding.parse("gem"))
    )
    reasons = {item.name: item.reason for item in variants(oxford, plain, model) if item.protocol is None}
    assert reasons == {
        "own entry throughout": "nothing is expanded",
        "class scores": "no region is cut from the maps",
        "box": "no region is cut from the maps",
        "maps": "the encoding gem has no activation maps",
        "means": "the model takes RGB",
        "thresholds": "nothing is re-ranked",
        "small boxes": "nothing is re-ranked",
        "contour": "nothing is re-ranked",
        "expansion": "nothing is expanded",
        "expansion database": "nothing is re-ranked and expanded",
    }


def test_own_pictures_that_are_not_there(tmp_path: Path, miniatures: Any, model: Backbone) -> None:
    truth = open_truth(f"roxford5k={miniatures.roxford(tmp_path)}")
    found = audit(truth, BARE, model=model)
    for outcome in found.outcomes[:2]:
        assert outcome.difference is None
        assert outcome.variant.reason == "no query's picture is in the database"
    assert found.facts()["queries in the database"].startswith("0 ")


def test_means_in_the_wrong_order(oxford: GroundTruth, bgr: Backbone) -> None:
    variant = next(item for item in variants(oxford, BARE, bgr) if item.name == "means")
    assert variant.model is not None
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    right, wrong = bgr.prepare(pixels)[0], variant.model.prepare(pixels)[0]
    assert wrong[0] - right[0] == pytest.approx((103.939 - 123.68) / 128, abs=1e-5)
    assert wrong[1] == pytest.approx(right[1])
    assert variant.model.with_threads(1).card.input == variant.model.card.input
    assert variant.protocol is not None
    found = audit(oxford, BARE, model=bgr)
    outcome = next(item for item in found.outcomes if item.variant.name == "means")
    assert outcome.changed > 0


@pytest.mark.parametrize(
    ("size", "turned"),
    [("smaller:720", "1024x720"), ("640", "640x450"), ("1024x720", "smaller:720")],
)
def test_sizes(oxford: GroundTruth, model: Backbone, size: str, turned: str) -> None:
    base = replace(BARE, settings=replace(SETTINGS, size=Resize.parse(size)))
    found = next(item for item in variants(oxford, base, model) if item.text.startswith("pictures are"))
    assert found.protocol is not None
    assert str(found.protocol.settings.size) == turned


class TestWhitening:
    def test_fitted_on_another_set(
        self, oxford: GroundTruth, tmp_path: Path, miniatures: Any, model: Backbone
    ) -> None:
        other = open_truth(f"roxford5k={miniatures.roxford(tmp_path)}")
        pictures = held_out(other, oxford)
        assert len(pictures.paths) == 19
        assert THE_SAME not in pictures.name
        whitening, note = fit_held_out(model, pictures, SETTINGS, dimensions=8, sample_classes=2)
        assert whitening.projection.shape == (1280, 8)
        assert "38 vectors of 19 pictures" in note
        assert "N_pca 2, 8 dimensions" in note

    def test_the_same_pictures_are_said_to_be(self, oxford: GroundTruth) -> None:
        assert held_out(oxford, oxford).name.endswith(THE_SAME)
        assert held_out(oxford.database, oxford).name.endswith(THE_SAME)

    def test_some_of_the_same_are_counted(self, oxford: GroundTruth) -> None:
        fewer = replace(oxford, files=oxford.files[:5] if oxford.files else None)
        assert fewer.files is not None
        assert held_out(oxford, fewer).name.endswith(f"5 are {THE_SAME}")

    def test_too_few(self, oxford: GroundTruth, model: Backbone) -> None:
        with pytest.raises(SettingsError, match="26 vectors of 1280 channels give at most 25 dimensions"):
            fit_held_out(model, held_out(oxford, oxford), SETTINGS, dimensions=26)
