"""``list``, ``duplicates`` and ``export``."""

import base64
import csv
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camseek.rows import CsvRows

EXAMPLES = Path(__file__).parents[2] / "examples" / "groceries" / "photos"


def lines(told):
    return [json.loads(line) for line in told.out.splitlines()]


@pytest.fixture
def held(photos, collection, camseek, encoded):
    """Four pictures, one under two names, one featureless, and a file that is none."""
    folder = photos(["a.jpg", "b.jpg", "2019/c.jpg"])
    shutil.copy(folder / "a.jpg", folder / "2019" / "a again.jpg")
    (folder / "tiny.png").write_bytes(encoded.featureless)
    (folder / "bad.jpg").write_text("no picture")
    camseek("index", folder, "--collection", collection)
    return folder


class TestList:
    def test_for_people(self, held, collection, text):
        told = text("list", collection)
        assert sorted(line.split(maxsplit=3)[3] for line in told.out.splitlines()) == sorted(
            str(held / name) for name in ("a.jpg", "2019/a again.jpg", "b.jpg", "2019/c.jpg", "tiny.png")
        )
        [line] = [line for line in told.out.splitlines() if line.endswith("b.jpg")]
        assert line.split()[:3] == ["64x48", "JPEG", f"{(held / 'b.jpg').stat().st_size:,}"]
        assert told.err == ("4 pictures under 5 names; 1 file could not be used: camseek list --skipped\n")

    def test_for_programs(self, held, collection, text):
        found = {item["path"]: item for item in lines(text("list", "--collection", collection, "--json"))}
        assert len(found) == 4
        first = found[str(held / "2019" / "a again.jpg")]
        assert first["paths"] == [str(held / "2019" / "a again.jpg"), str(held / "a.jpg")]
        assert first["size"] == [64, 48]
        assert first["format"] == "JPEG"
        assert first["bytes"] == (held / "a.jpg").stat().st_size
        assert len(bytes.fromhex(first["sha256"])) == 32
        assert [item["featureless"] for item in found.values()].count(True) == 1
        assert found[str(held / "tiny.png")]["featureless"]

    @pytest.mark.parametrize(
        ("patterns", "expected"),
        [
            (["*.png"], ["tiny.png"]),
            (["2019"], ["2019/a again.jpg", "2019/c.jpg"]),
            (["2019/"], ["2019/a again.jpg", "2019/c.jpg"]),
            (["photos/2019/c*"], ["2019/c.jpg"]),
            (["./photos/2019/c*"], ["2019/c.jpg"]),
            (["**/2019/c*"], ["2019/c.jpg"]),
            (["b.jpg", "*.png"], ["b.jpg", "tiny.png"]),
            (["*.tif"], []),
            (["a*.jpg", "!*again*"], ["a.jpg"]),
        ],
    )
    def test_patterns(self, held, collection, text, patterns, expected, monkeypatch):
        monkeypatch.chdir(held.parent)
        options = [part for pattern in patterns for part in ("--match", pattern)]
        found = lines(text("list", collection, "--json", *options))
        names = [name for item in found for name in item["paths"]]
        assert sorted(names) == sorted(str(held / name) for name in expected)

    def test_names_with_a_dot_match_like_others(self, held, encoded, collection, camseek, text):
        """They were brought in on purpose; an index run takes them only where a pattern spells the dot."""
        (held / ".cache").mkdir()
        (held / ".cache" / ".hidden.jpg").write_bytes(encoded(77))
        camseek("add", held / ".cache" / ".hidden.jpg", "--collection", collection)
        for pattern in ("*.jpg", ".hidden.jpg", ".cache", ".*"):
            found = lines(text("list", collection, "--json", "--match", pattern))
            names = [name for item in found for name in item["paths"]]
            assert str(held / ".cache" / ".hidden.jpg") in names, pattern

    def test_a_pattern_that_cannot_be(self, held, collection, failing):
        assert failing("list", collection, "--match", "..")["code"] == "settings"

    def test_skipped(self, held, collection, text):
        told = text("list", collection, "--skipped")
        assert told.out == f"{held / 'bad.jpg'}: it is text\n"
        assert told.err == "1 file could not be used\n"
        [item] = lines(text("list", collection, "--skipped", "--json"))
        assert (item["path"], item["code"]) == (str(held / "bad.jpg"), "not_a_picture")
        assert text("list", collection, "--skipped", "--match", "*.png").out == ""

    def test_names_that_are_no_text(self, photos, collection, camseek, text):
        folder = photos(1)
        name = os.fsencode(folder) + b"/\xff\x1b.jpg"
        os.rename(folder / "0.jpg", name)
        camseek("index", folder, "--collection", collection)
        assert text("list", collection).out.isprintable() or "\x1b" not in text("list", collection).out
        [item] = lines(text("list", collection, "--json"))
        assert base64.b64decode(item["path_bytes"]) == name
        assert base64.b64decode(item["paths_bytes"][0]) == name


class TestDuplicates:
    @pytest.fixture
    def alike(self, tmp_path, collection, camseek):
        """Three photographs; of the first a copy and two that were compressed again."""
        folder = tmp_path / "photos"
        folder.mkdir()
        for number, name in enumerate(("Alpro-Fresh-Soy-Milk_002", "Banana_002", "Carrots_003")):
            shutil.copy(EXAMPLES / f"{name}.jpg", folder / f"{number}.jpg")
        shutil.copy(folder / "0.jpg", folder / "copy of 0.jpg")
        with Image.open(folder / "0.jpg") as image:
            image.save(folder / "again.jpg", quality=90)
            image.save(folder / "worse.jpg", quality=60)
        camseek("index", folder, "--collection", collection)
        return folder

    def test_what_is_there_more_than_once(self, alike, collection, text):
        before = sorted(os.listdir(alike))
        told = text("duplicates", collection, "--threshold", "0.9")
        first, *others = told.out.splitlines()
        assert first == str(alike / "0.jpg")
        assert [line.split(maxsplit=1)[1] for line in others] == [
            str(alike / name) for name in ("copy of 0.jpg", "again.jpg", "worse.jpg")
        ]
        assert others[0].split()[0] == "same"
        scores = [float(line.split()[0]) for line in others[1:]]
        assert 0.9 <= scores[1] <= scores[0] <= 1
        assert told.err.splitlines()[-1] == "1 picture with 3 copies"
        assert sorted(os.listdir(alike)) == before

    def test_what_comes_later_stands_below(self, alike, collection, camseek, text):
        """A near copy whose name is first of all, and another name of the first content."""
        with Image.open(alike / "0.jpg") as image:
            image.save(alike / "!later.jpg", quality=75)
        shutil.copy(alike / "0.jpg", alike / "!name.jpg")
        camseek("index", alike, "--collection", collection)
        [item] = lines(text("duplicates", collection, "--threshold", "0.9", "--json"))
        assert item["paths"] == sorted(str(alike / name) for name in ("0.jpg", "copy of 0.jpg", "!name.jpg"))
        assert str(alike / "!later.jpg") in [near["path"] for near in item["near"]]

    def test_for_programs(self, alike, collection, text):
        [item] = lines(text("duplicates", collection, "--threshold", "0.9", "--json"))
        assert item["paths"] == [str(alike / "0.jpg"), str(alike / "copy of 0.jpg")]
        assert [near["path"] for near in item["near"]] == [str(alike / "again.jpg"), str(alike / "worse.jpg")]

    def test_same_content_alone(self, alike, collection, text):
        told = text("duplicates", collection, "--same")
        assert told.out.splitlines() == [str(alike / "0.jpg"), f"   same  {alike / 'copy of 0.jpg'}"]
        assert told.err == "1 picture with 1 copy\n"

    def test_none(self, photos, collection, camseek, text):
        camseek("index", photos(2), "--collection", collection)
        assert text("duplicates", collection, "--threshold", "1").out == ""

    @pytest.mark.parametrize(
        "options", [("--threshold", "0"), ("--threshold", "1.1"), ("--same", "--threshold", "1")]
    )
    def test_wrong_usage(self, options, failing):
        assert failing("duplicates", "c", *options, code=2)["code"] == "usage"


class TestExport:
    def test_a_table(self, held, collection, text, tmp_path):
        path = tmp_path / "out.csv"
        assert text("export", collection, "--csv", path).out == f"{path}\n"
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 5
        by_name = {row["path"]: row for row in rows}
        one, two = by_name[str(held / "a.jpg")], by_name[str(held / "2019" / "a again.jpg")]
        assert {key for key in one if one[key] != two[key]} == {"path"}
        assert one["copies"] == "1"
        assert (one["width"], one["height"], one["format"]) == ("64", "48", "JPEG")
        assert by_name[str(held / "tiny.png")]["row"] == ""

    @pytest.mark.parametrize("precision", ["float32", "float16"])
    def test_descriptors_and_the_names_of_their_rows(
        self, held, collection, camseek, text, tmp_path, precision
    ):
        array, table, objects = (tmp_path / f"out.{kind}" for kind in ("npy", "csv", "jsonl"))
        told = camseek(
            "export", collection, "--descriptors", array, "--json-lines", objects, "--precision", precision
        )
        assert told["files"] == [str(objects), str(array), str(table)]
        assert (told["pictures"], told["descriptors"]) == (4, 3)
        vectors = np.load(array)
        assert vectors.shape == (3, 1280)
        assert vectors.dtype == precision
        np.testing.assert_allclose(np.linalg.norm(vectors.astype(float), axis=1), 1, atol=2e-3)
        with open(table, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["row"] for row in rows] == ["0", "1", "2"]
        found = {item["row"]: item for item in map(json.loads, objects.read_text().splitlines())}
        for row in rows:
            assert found[int(row["row"])]["path"] == row["path"]
            assert found[int(row["row"])]["record"] == int(row["record"])
        assert found[None]["path"] == str(held / "tiny.png")
        # They are those that a search compares.
        query = held / "b.jpg"
        hit = camseek("search", query, "--collection", collection, "--top", "3")["hits"][1]
        place = {row["path"]: int(row["row"]) for row in rows}
        cosine = float(vectors[place[str(query)]].astype(float) @ vectors[place[hit["path"]]].astype(float))
        assert cosine == pytest.approx(hit["score"], abs=2e-3)

    def test_some(self, held, collection, camseek, tmp_path):
        told = camseek("export", collection, "--match", "2019", "--descriptors", tmp_path / "some.npy")
        assert (told["pictures"], told["descriptors"]) == (2, 2)
        assert np.load(tmp_path / "some.npy").shape == (2, 1280)

    def test_an_empty_collection(self, photos, collection, camseek, tmp_path):
        folder = photos(1)
        camseek("index", folder, "--collection", collection)
        camseek("remove", folder / "0.jpg", "--collection", collection)
        camseek("export", collection, "--descriptors", tmp_path / "none.npy")
        assert np.load(tmp_path / "none.npy").shape == (0, 1280)

    def test_names_that_are_no_text(self, photos, collection, camseek, tmp_path):
        folder = photos(1)
        name = os.fsencode(folder) + b'/\xff,"\n.jpg'
        os.rename(folder / "0.jpg", name)
        camseek("index", folder, "--collection", collection)
        camseek("export", collection, "--csv", tmp_path / "out.csv")
        with open(tmp_path / "out.csv", encoding="utf-8-sig", newline="") as file:
            [row] = csv.DictReader(file)
        assert base64.b64decode(row["path_bytes"]) == name
        assert row["path"] == f'{folder}/\ufffd,"\n.jpg'

    def test_nothing_is_written_over_without_force(self, held, collection, failing, camseek, tmp_path):
        path = tmp_path / "out.csv"
        path.write_text("precious")
        assert failing("export", collection, "--csv", path)["code"] == "output"
        assert path.read_text() == "precious"
        camseek("export", collection, "--csv", path, "--force")
        assert path.read_text() != "precious"

    @pytest.mark.parametrize("name", ["photos/a.jpg", "collection/collection.sqlite"])
    def test_never_over_a_picture_or_a_collection(self, held, collection, failing, tmp_path, name):
        before = (tmp_path / name).read_bytes()
        assert failing("export", collection, "--csv", tmp_path / name, "--force")["code"] == "output"
        assert (tmp_path / name).read_bytes() == before

    @pytest.mark.parametrize("options", [(), ("--descriptors", "out.txt")])
    def test_wrong_usage(self, options, failing):
        assert failing("export", "c", *options, code=2)["code"] == "usage"

    def test_one_place_for_two(self, held, collection, failing, tmp_path):
        options = ("--csv", tmp_path / "out.csv", "--descriptors", tmp_path / "out.npy")
        assert "named twice" in failing("export", collection, *options)["message"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\uff1d1"])
def test_a_cell_that_would_be_a_formula(text):
    file = io.BytesIO()
    CsvRows(file, ("name", "number")).write((text, -1))
    row = list(csv.reader(io.StringIO(file.getvalue().decode("utf-8-sig"), newline="")))[1]
    assert row == [f"'{text}", "-1"]
