"""Searches that are verified, on the command line."""

import re
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from textures import png, texture

pytestmark = pytest.mark.points


@pytest.fixture
def made(tmp_path, text):
    """Four textures and a flat picture, one of them again upside down."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.png").write_bytes(png(texture(number)))
    (folder / "turned.png").write_bytes(png(np.ascontiguousarray(texture(2)[::-1, ::-1])))
    (folder / "flat.png").write_bytes(png(np.full((90, 120, 3), 99, np.uint8)))
    text("index", folder, "--collection", tmp_path / "c")
    return folder, tmp_path / "c"


def test_for_people(made, text):
    folder, collection = made
    told = text("search", folder / "2.png", "--collection", collection, "--explain")
    lines = told.out.splitlines()
    assert re.search(r"present +\d+%", lines[0])
    assert lines[0].endswith("0,0,320,240  " + str(folder / "2.png"))
    assert "points agree; of the same size" in lines[1]
    assert "present" in lines[2]
    assert "turned by 180 degrees" in lines[3].replace("-180", "180")
    assert lines[4] == "--- from here on none is found to show it ---"
    flat = next(line for line in lines if line.endswith("flat.png"))
    assert " - " in flat
    assert "verification: 6 pictures" in told.err


def test_none_is_shown(made, text, tmp_path):
    _, collection = made
    query = tmp_path / "query.png"
    query.write_bytes(png(texture(50)))
    told = text("search", query, "--collection", collection)
    assert told.out.startswith("--- none is found to show it: it may not be in this collection ---\n")
    plain = text("search", query, "--collection", collection, "--first", "descriptors")
    assert "---" not in plain.out
    assert "present" not in plain.out


def test_json_and_tables(made, camseek, text):
    folder, collection = made
    found = camseek("search", folder / "2.png", "--collection", collection)
    assert [stage["stage"] for stage in found["stages"]] == ["joined", "late interaction", "verification"]
    first = found["hits"][0]
    assert first["verdict"]["verdict"] == "present"
    assert first["box"] == [0, 0, 320, 240]
    assert len(first["outlines"][0]["corners"]) == 4
    assert "matching_points" not in first["outlines"][0]
    explained = camseek("search", folder / "2.png", "--collection", collection, "--explain")["hits"]
    for hit in explained[:2]:
        [outline] = hit["outlines"]
        assert len(outline["matching_points"]) >= min(outline["points"], 200)
        assert all(len(pair) == 4 for pair in outline["matching_points"])
    for x, y, u, v in explained[1]["outlines"][0]["matching_points"]:
        assert (320 - x, 240 - y) == pytest.approx((u, v), abs=4)
    table = text("search", folder / "2.png", "--collection", collection, "--csv", "-").out.splitlines()
    heading, row = table[0].split(","), table[1].split(",")
    assert row[heading.index("verdict")] == "present"
    assert float(row[heading.index("probability")]) == pytest.approx(
        first["verdict"]["probability"], abs=1e-6
    )


def test_a_query_without_points_has_no_verdicts_and_is_told_so(made, text, tmp_path):
    _, collection = made
    Image.linear_gradient("L").save(tmp_path / "page.png")
    lines = text("search", tmp_path / "page.png", "--collection", collection, "--top", "2").out.splitlines()
    assert lines[0] == "--- no verdicts: the query, or every hit, has too few points to tell by ---"
    assert [line.split()[2:4] for line in lines[1:]] == [["-", "-"], ["-", "-"]]


def test_the_report_draws_outlines(made, text, tmp_path):
    folder, collection = made
    text("search", folder / "2.png", "--collection", collection, "--report", tmp_path / "hits.html")
    page = (tmp_path / "hits.html").read_text("utf-8")
    assert page.count('<svg class="outlines"') == 2
    assert page.count('<details class="matching">') == 2
    assert page.count("data:image/jpeg") == 7
    assert '<polygon points="' in page
    assert "present, " in page
    assert "not shown, " in page
    assert "From here on none is found to show it." in page
    assert "http" not in page.replace("http-equiv", "")


def test_options_of_a_plan(made, camseek, failing):
    folder, collection = made
    search = ("search", folder / "2.png", "--collection", collection)

    def stages(*options):
        return [stage["stage"] for stage in camseek(*search, *options)["stages"]]

    assert stages("--first", "words") == ["words", "verification"]
    assert stages("--first", "words", "--verify", "0") == ["words"]
    assert stages("--verify", "0") == ["ranking"]
    assert stages("--verify", "2") == ["joined", "late interaction", "verification"]
    assert stages("--verify", "2", "--late-interaction", "0") == ["joined", "verification"]
    assert stages("--late-interaction", "0") == ["joined", "verification"]
    assert stages("--expand-verified", "0") == ["joined", "late interaction", "verification"]
    assert stages("--late-interaction", "3", "--verify", "0") == ["joined", "late interaction"]
    assert stages("--first", "descriptors") == ["ranking"]
    assert stages("--expand", "2") == ["ranking", "expansion"]
    assert stages("--expand", "2", "--verify", "3") == ["ranking", "expansion", "verification"]
    assert failing(*search, "--first", "word", code=2)["code"]
    error = failing(*search, "--first", "words", "--late-interaction", "3", code=2)
    assert "both first stages" in error["message"]


def test_info_tells_what_an_enriching_run_left(made, text, camseek, tmp_path):
    _, collection = made
    copy = tmp_path / "copy"
    shutil.copytree(collection, copy)
    assert camseek("info", copy)["lacking"] == 0
    with closing(sqlite3.connect(copy / "collection.sqlite")) as database, database:
        database.execute("DELETE FROM traces WHERE picture = 2 AND kind LIKE 'fine-%'")
    assert camseek("info", copy)["lacking"] == 1
    assert "1 picture lacks some of it: camseek enrich makes it" in text("info", copy).out
    assert camseek("enrich", copy)["enriched"] == 1
    assert "lack" not in text("info", copy).out


def test_enrich(made, text, camseek, failing):
    folder, collection = made
    assert text("enrich", collection).out.splitlines()[1:] == ["nothing was missing"]
    dropped = camseek("enrich", collection, "--without", "points")
    assert (dropped["keeps"], dropped["dropped"]) == ([], 18)
    assert "descriptors alone" in text("info", collection).out
    error = failing("search", folder / "2.png", "--collection", collection, "--first", "words")
    assert "camseek enrich" in error["remedy"]
    found = camseek("search", folder / "2.png", "--collection", collection, "--late-interaction", "0")
    assert [stage["stage"] for stage in found["stages"]] == ["ranking"]
    truth = folder.parent / "truth.json"
    truth.write_text(
        '{"database": "photos", "queries": [{"id": "a", "image": "photos/2.png", "region": null, '
        '"good": ["turned.png"], "ok": [], "junk": []}]}'
    )
    error = failing("evaluate", truth, "--collection", collection, "--first", "words")
    assert "camseek enrich" in error["remedy"]
    told = text("enrich", collection)
    assert "keeps points, fine points and sketches beside the descriptor of 6 pictures" in told.out
    assert "keeps        points, fine points and sketches of each picture" in text("info", collection).out
    text("check", collection)
    error = failing("index", folder, "--collection", collection, "--without", "points")
    assert "keeps points" in error["message"]
    assert failing("enrich", collection, "--without", "sketches", code=2)["code"]


def test_an_evaluation_of_it(made, camseek, tmp_path):
    _folder, _ = made
    truth = tmp_path / "truth.json"
    truth.write_text(
        '{"database": "photos", "queries": [{"id": "a", "image": "photos/2.png", "region": null, '
        '"good": ["turned.png"], "ok": [], "junk": ["2.png"]}]}'
    )
    plan = ("--first", "joined", "--verify", "5", "--region-reading", "crop")
    found = camseek("evaluate", truth, "--encoding", "gem", *plan)
    [scores] = found["encodings"].values()
    assert scores["mAP"] == 1.0
