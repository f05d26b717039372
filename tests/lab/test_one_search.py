"""Every plan that can be written, through ``Engine.search`` and through the evaluation: the same answers."""

import itertools
import os

import cv2
import numpy as np
import pytest

from camseek import Encoding, Engine, Limits, QueryPart, Settings, Whitening
from camseek.datasets import GroundTruth
from camseek.encoding.whitening import fit_whitening
from camseek.extraction.extractor import Extractor, RegionRules
from camseek.job import Job
from camseek.lab.measuring.asking import ask
from camseek.lab.measuring.database import read_rows
from camseek.lab.measuring.scratch import scratch
from camseek.lab.measuring.searches import Searches
from camseek.lab.measuring.tasks import Task
from camseek.lab.protocol import Protocol, with_own_entries
from camseek.matching.fine import CHANCE
from camseek.searching import Expand, ExpandVerified, Joined, LateInteraction, Plan, Verify, Words
from camseek.searching.looks import UNSEEN
from textures import png, texture

COUNT = 6
SIZE = (192, 160)
LIST = (879, 409, 22, 7, 614)
REGION = (30, 20, 150, 140)

AGGREGATIONS = {
    "offline": {},
    "online": {"aggregation": "online", "shortlist": None},
    "online, few": {"aggregation": "online", "shortlist": 4, "classes": 3},
    "predefined": {"aggregation": "predefined", "predefined": LIST, "shortlist": None},
    "predefined, some": {"aggregation": "predefined", "predefined": LIST, "classes": 2, "shortlist": 5},
    "attend": {"aggregation": "online", "attend": LIST[:2], "shortlist": None},
}
LATER = {
    "": {},
    "rerank": {"rerank": 4},
    # Four, of which one may be unreadable: the sum of two is equally near to both, and rounding orders them.
    "expand": {"expand": 4},
    "expand with query": {"expand": 2, "expand_with_query": True},
    "rerank, expand": {"rerank": 4, "expand": 4},
    "rerank few, expand": {"rerank": 2, "expand": 5},
}
PLANS = {
    f"{name}; {then}": Plan.of(**first, **later)
    for (name, first), (then, later) in itertools.product(AGGREGATIONS.items(), LATER.items())
} | {
    # What papers and their code decide differently is a stage's option, and so a search can do it too.
    "own entry": with_own_entries(Plan.of("online", shortlist=None, rerank=3, expand=4), "query", "picture"),
    "own entry throughout": with_own_entries(Plan.of(rerank=3, expand=4), "query", "query"),
    "overwritten": Plan.of(rerank=4, expand=4).changed(Expand, database="overwritten"),
    "overwritten anew": Plan.of("online", shortlist=None, rerank=4, expand=4).changed(
        Expand, database="overwritten"
    ),
}


def collections():
    """Encodings, predefined lists, whether the descriptors are whitened, and how regions are read."""
    yield "cam:classes=6", (), False, "crop"
    yield "cam:classes=6", (), True, "cells"
    yield "cam:classes=3", LIST, False, "crop"
    yield "gem", (), False, "cells"
    yield "rmac", (), True, "crop"


@pytest.fixture(scope="module", params=collections(), ids=str)
def opened(request, tmp_path_factory, encoded, model):
    """A collection, its pictures' folder, one of them gone since it was indexed, and how regions are read."""
    encoding, predefined, whitened, reading = request.param
    folder = tmp_path_factory.mktemp("photos")
    for number in range(COUNT):
        (folder / f"{number}.jpg").write_bytes(encoded(number, SIZE))
    settings = Settings(encoding=Encoding.parse(encoding), predefined=predefined)
    whitening = None
    if whitened:
        vectors = np.abs(np.random.default_rng(0).normal(size=(40, model.channels))).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        whitening = fit_whitening(vectors, dimensions=24)
    with Engine.open(
        tmp_path_factory.mktemp("c") / "collection",
        model=model,
        settings=settings,
        whitening=whitening,
        create=True,
        workers=2,
    ) as engine:
        engine.index(folder)
        (folder / "5.jpg").unlink()
        yield engine, folder, reading


def queries(folder, encoded):
    """Each a name, its parts, and whether its own picture is left out."""
    whole = QueryPart(folder / "1.jpg")
    yield "without itself", [whole], True
    yield (
        "a region, and a picture that is not in the collection",
        [
            QueryPart(folder / "2.jpg", REGION),
            QueryPart(encoded(77, SIZE)),
        ],
        False,
    )
    yield "a region", [QueryPart(folder / "2.jpg", REGION)], False


def evaluated(engine, folder, queries, plans, reading, removed, stored=True):
    """The records and scores that an evaluation ranks, for each plan and each query.

    The pictures are the collection's, or (not ``stored``) the folder's, in whose order they came.
    """
    numbers = engine.collection.vectors.records().tolist()
    whitening = engine.collection.profile.whitening
    tasks = [
        Task.of(
            name,
            Protocol(
                settings=engine.settings,
                plan=plan,
                whitening=None if whitening is None else Whitening.from_bytes(whitening),
                rules=RegionRules(reading=reading),
            ),
            engine.model,
        )
        for name, plan in plans.items()
    ]
    truth = GroundTruth(os.fsencode(folder / "truth.json"), os.fsencode(folder), ())
    rows = read_rows(truth, (), engine.collection if stored else None)
    job, extractor = Job(workers=2), Extractor.of(engine.model, engine.settings.size, Limits())
    with scratch() as place:
        asked = [ask(extractor, tasks, parts) for parts in queries]
        searches = Searches(tasks, asked, rows, place)
        searches.describe(extractor, job)
        # What files hold is known once they were read.
        own = [
            frozenset(row for row, content in enumerate(rows.contents) if content in set(item.contents))
            for item in asked
        ]
        searches.look(extractor, job, own, [removed] * len(tasks))
        return {
            name: [
                ([numbers[row] for row in found.first(None)], found.scores.tolist())
                for found in searches.rankings(number, own, removed=removed)
            ]
            for number, name in enumerate(plans)
        }


def test_a_search_and_an_evaluation_give_the_same(opened, encoded):
    engine, folder, reading = opened
    for removed in (False, True):
        asked = [(name, parts) for name, parts, without in queries(folder, encoded) if without == removed]
        told = evaluated(engine, folder, [parts for _, parts in asked], PLANS, reading, removed)
        for (plan, stages), (place, (name, parts)) in itertools.product(PLANS.items(), enumerate(asked)):
            found = engine.search(
                parts, together=True, plan=stages, top=COUNT, reading=reading, without_self=removed
            )
            records, scores = told[plan][place]
            where = f"{plan}, {name}"
            assert [hit.record for hit in found.hits] == records, where
            assert [hit.score for hit in found.hits] == pytest.approx(scores, abs=1e-6), where
            assert len(records) == COUNT - removed, where


@pytest.mark.parametrize("stored", [True, False])
def test_plans_that_compare_points_give_the_same(tmp_path, model, stored):
    """Points of a collection's pictures, or of a folder's."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(COUNT):
        # Two of them show one thing.
        picture = texture(max(number, 1))[: 240 - 40 * (number == 0)]
        (folder / f"{number}.png").write_bytes(png(picture))
    # By fine points alone.
    (folder / "soft.png").write_bytes(png(cv2.GaussianBlur(texture(1), (0, 0), 8)))
    (folder / "flat.png").write_bytes(png(np.full((90, 120, 3), 99, np.uint8)))
    plans = {
        "words": Plan(Words()),
        "joined": Plan(Joined()),
        "verified": Plan(Joined(), (Verify(3),)),
        "expanded": Plan(Joined(), (Verify(COUNT), ExpandVerified(2), Verify(3))),
        "cells": Plan(Joined(), (LateInteraction(4),)),
        "everything": Plan.of(first="joined", late_interaction=COUNT, verify=COUNT, expand_verified=2),
        "all verified": Plan(Joined(), (Verify(COUNT + 2),)),
        "descriptors verified": Plan(then=(Verify(4),)),
        "expanded, verified": Plan.of(expand=3, verify=4),
        "online, verified": Plan.of("online", shortlist=None, verify=4, first="words"),
    }
    settings = Settings(encoding="cam:classes=6", size="320")
    with Engine.open(tmp_path / "c", model=model, settings=settings, create=True, workers=2) as engine:
        engine.index(folder)
        parts = [[QueryPart(folder / "1.png")], [QueryPart(folder / "2.png", (20, 10, 200, 180))]]
        told = evaluated(engine, folder, parts, plans, "crop", False, stored=stored)
        for (name, plan), (place, part) in itertools.product(plans.items(), enumerate(parts)):
            found = engine.search(part, plan=plan, top=COUNT + 2)
            records, scores = told[name][place]
            # Descriptors of a collection are of half precision: pictures as alike can change places.
            precision = 1e-6 if stored else 2e-2
            assert [hit.score for hit in found.hits] == pytest.approx(scores, abs=precision), name
            by_record = dict(zip(records, scores, strict=True))
            own = [by_record[hit.record] for hit in found.hits]
            assert own == pytest.approx(scores, abs=2 * precision), name
            if (name, place) == ("all verified", 0):
                [soft] = [hit for hit in found.hits if hit.path.endswith("soft.png")]
                assert soft.evidence[-1].fine > CHANCE


def test_what_shows_nothing_stands_behind_everything_that_was_seen(tmp_path, encoded, model):
    """In a search and in an evaluation alike, with a score below every cosine, never above a negative one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpg").write_bytes(encoded(number, SIZE))
    settings = Settings(encoding="cam:classes=6")
    with Engine.open(
        tmp_path / "c", model=model, settings=settings, create=True, without=("points",), workers=1
    ) as engine:
        engine.index(folder)
        # Classes whose maps are positive nowhere in one of the pictures, if there are any for this query.
        seen = {path.name: _seen_classes(engine, path) for path in sorted(folder.iterdir())}
        dark = {name: set(range(1000)) - classes for name, classes in seen.items()}
        name, other = next(
            (name, other)
            for name, other in itertools.permutations(dark, 2)
            if len(dark[name] & seen[other]) >= 2
        )
        attend = tuple(sorted(dark[name] & seen[other])[:2])
        for later in LATER.values():
            plan = Plan.of("online", attend=attend, shortlist=None, **later)
            parts = [QueryPart(folder / other)]
            hits = engine.search(parts, plan=plan, top=4).hits
            records, scores = evaluated(engine, folder, [parts], {"": plan}, "crop", False)[""][0]
            assert [hit.record for hit in hits] == records
            assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-6)
            shows = [bool(seen[os.path.basename(hit.path)].intersection(attend)) for hit in hits]
            assert shows == sorted(shows, reverse=True)
            assert [hit.score > UNSEEN for hit in hits] == shows
            assert not shows[-1]


def _seen_classes(engine, path):
    """The classes whose activation map is positive somewhere in a picture."""
    activations = engine._describers.single().extractor.extract(path).activations
    maps = np.tensordot(engine.model.classifier_weights, activations.classifier_maps[0], 1)
    return set(np.flatnonzero(maps.max(axis=(1, 2)) > 0).tolist())
