"""Searches keep their word."""

import base64
import csv
import io
import itertools
import os
import shutil
import sys
from html.parser import HTMLParser

import pytest


@pytest.fixture
def indexed(photos, index):
    folder = photos(6)
    index(folder)
    return folder


@pytest.fixture
def search(camseek, collection):
    return lambda query, *options: camseek("search", query, "--collection", collection, *options)


@pytest.fixture
def refused(failing, collection):
    return lambda query, *options: failing("search", query, "--collection", collection, *options)


def names(found):
    return [os.path.basename(hit["path"]) for hit in found["hits"]]


class TestRegions:
    @pytest.mark.parametrize("reading", ["crop", "cells"])
    @pytest.mark.parametrize(
        ("region", "says"),
        [
            ("-1,0,10,10", "reaches outside"),
            ("0,-5,10,10", "reaches outside"),
            ("0,0,65,48", "reaches outside"),
            ("0,0,64,49", "reaches outside"),
            ("100,100,200,200", "reaches outside"),
            ("10,10,10,20", "is empty"),
            ("10,10,20,10", "is empty"),
            ("20,10,10,20", "is reversed"),
            ("10,20,20,10", "is reversed"),
            ("0,0,99999999999999999999,1", "reaches outside"),
        ],
    )
    def test_regions_that_cannot_be(self, indexed, refused, region, says, reading):
        error = refused(indexed / "0.jpg", "--region", region, "--region-reading", reading)
        assert error["code"] == "region"
        assert says in error["message"]
        assert "64 x 48" in error["message"]
        assert "0 <= x1 < x2 <= 64" in error["remedy"]

    @pytest.mark.parametrize("reading", ["crop", "cells"])
    def test_both_readings_of_a_region(self, photos, encoded, camseek, collection, reading):
        folder = photos(2)
        (folder / "wide.png").write_bytes(encoded(8, (320, 96), "PNG"))
        camseek("index", folder, "--collection", collection)
        found = camseek(
            *("search", folder / "wide.png", "--collection", collection),
            *("--region", "64,0,192,96", "--region-reading", reading),
        )
        assert found["query"]["pictures"][0]["region"] == [64, 0, 192, 96]
        assert found["query"]["pictures"][0]["size"] == [320, 96]
        assert found["settings"]["region_reading"] == reading
        assert len(found["hits"]) == 3
        assert found["hits"][0]["score"] < 0.999

    def test_the_readings_differ(self, photos, encoded, camseek, collection):
        folder = photos(2)
        (folder / "wide.png").write_bytes(encoded(8, (320, 96), "PNG"))
        camseek("index", folder, "--collection", collection)
        arguments = ("search", folder / "wide.png", "--collection", collection, "--region", "64,0,192,96")
        crop, cells, default = (
            [hit["score"] for hit in camseek(*arguments, *options)["hits"]]
            for options in (["--region-reading", "crop"], ["--region-reading", "cells"], [])
        )
        assert crop != cells
        assert default == crop

    @pytest.mark.parametrize("reading", ["crop", "cells"])
    def test_the_whole_picture_as_a_region(self, indexed, search, reading):
        whole = search(indexed / "2.jpg")
        region = search(indexed / "2.jpg", "--region", "0,0,64,48", "--region-reading", reading)
        assert names(region) == names(whole)
        for one, two in zip(region["hits"], whole["hits"], strict=True):
            assert one["score"] == pytest.approx(two["score"], abs=1e-5)

    def test_a_region_of_a_turned_picture_counts_upright_pixels(self, photos, image, camseek, collection):
        folder = photos(1)
        exif = image(0).getexif()
        exif[0x0112] = 6
        image(9, (64, 48)).save(folder / "turned.jpg", exif=exif)
        camseek("index", folder, "--collection", collection)
        arguments = ("search", folder / "turned.jpg", "--collection", collection, "--region")
        found = camseek(*arguments, "0,0,48,64")
        assert found["query"]["pictures"][0]["size"] == [48, 64]
        assert found["hits"][0]["size"] == [48, 64]


class TestQueries:
    def test_one_that_is_not_there(self, indexed, refused):
        error = refused(indexed / "none.jpg")
        assert error["code"] == "unreadable"
        assert error["message"] == f"{indexed / 'none.jpg'}: there is no such file"

    def test_a_folder_without_pictures(self, indexed, refused, tmp_path):
        (tmp_path / "empty").mkdir()
        error = refused(tmp_path / "empty")
        assert error["code"] == "source"
        assert error["message"] == f"{tmp_path / 'empty'} holds no pictures"

    @pytest.mark.timeout(20)
    def test_a_pipe(self, indexed, refused):
        os.mkfifo(indexed / "pipe.jpg")
        error = refused(indexed / "pipe.jpg")
        assert error["code"] == "unreadable"
        assert "named pipe" in error["message"]

    def test_a_loop(self, indexed, refused):
        (indexed / "loop.jpg").symlink_to("loop.jpg")
        assert refused(indexed / "loop.jpg")["code"] == "unreadable"

    def test_no_picture(self, indexed, refused):
        (indexed / "text.jpg").write_text("hello")
        error = refused(indexed / "text.jpg")
        assert error["code"] == "not_a_picture"
        assert error["message"] == f"{indexed / 'text.jpg'}: it is text"

    def test_relative_names(self, indexed, search, monkeypatch):
        monkeypatch.chdir(indexed.parent)
        assert search("photos/0.jpg")["query"]["pictures"][0]["path"] == str(indexed / "0.jpg")


class TestRanking:
    def test_more_asked_than_there_are(self, indexed, search):
        found = search(indexed / "0.jpg", "--top", "1000000")
        assert len(found["hits"]) == found["searched"] == 6
        assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3, 4, 5, 6]
        scores = [hit["score"] for hit in found["hits"]]
        assert scores == sorted(scores, reverse=True)
        assert all(-1 <= score <= 1 for score in scores)

    def test_the_top_k_are_a_prefix(self, indexed, search):
        lists = [search(indexed / "3.jpg", "--top", str(top))["hits"] for top in range(1, 8)]
        for fewer, more in itertools.pairwise(lists):
            assert more[: len(fewer)] == fewer
        assert len(lists[-1]) == 6

    def test_equal_pictures_keep_the_order_of_their_records(self, photos, encoded, index, search):
        # The same pixels in other files: equal descriptors.
        folder = photos(2)
        for number in (5, 3, 4):
            (folder / f"same{number}.jpg").write_bytes(encoded(0) + b"%d" % number)
            index(folder)
        lists = [search(folder / "1.jpg", "--top", str(top)) for top in (2, 3, 4, 5)]
        assert names(lists[-1]) == ["1.jpg", "0.jpg", "same5.jpg", "same3.jpg", "same4.jpg"]
        assert len({hit["score"] for hit in lists[-1]["hits"][1:]}) == 1
        for found in lists:
            assert names(found) == names(lists[-1])[: len(found["hits"])]

    def test_itself_comes_first(self, indexed, search):
        for number in range(6):
            hit = search(indexed / f"{number}.jpg", "--top", "1")["hits"][0]
            assert hit["path"] == str(indexed / f"{number}.jpg")
            assert hit["score"] == pytest.approx(1, abs=1e-3)

    def test_without_self_knows_it_by_its_content(self, indexed, search, tmp_path):
        other = tmp_path / "another name.png"
        shutil.copy(indexed / "2.jpg", other)
        found = search(other, "--without-self")
        assert sorted(names(found)) == ["0.jpg", "1.jpg", "3.jpg", "4.jpg", "5.jpg"]
        assert found["searched"] == 5
        assert found["settings"]["without_self"] is True
        assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3, 4, 5]
        assert "2.jpg" in names(search(other))

    def test_without_self_never_takes_the_first_for_it(self, indexed, encoded, search, tmp_path):
        # The same pixels and another content: it is another picture, and as like as can be.
        (tmp_path / "other.jpg").write_bytes(encoded(2) + b"more")
        found = search(tmp_path / "other.jpg", "--without-self")
        assert names(found)[0] == "2.jpg"
        assert len(found["hits"]) == 6

    def test_without_self_leaves_copies_out_too(self, indexed, search, index):
        shutil.copy(indexed / "2.jpg", indexed / "copy.jpg")
        index(indexed)
        assert len(search(indexed / "2.jpg", "--without-self")["hits"]) == 5

    def test_an_empty_collection(self, indexed, search, camseek, collection, text):
        camseek("remove", indexed, "--collection", collection)
        found = search(indexed / "0.jpg")
        assert (found["hits"], found["searched"]) == ([], 0)
        assert "nothing to find" in text("search", indexed / "0.jpg", "--collection", collection).err

    def test_nothing_left_without_self(self, photos, index, search):
        folder = photos(1)
        index(folder)
        assert search(folder / "0.jpg", "--without-self")["hits"] == []

    def test_a_large_query_is_not_changed_by_its_neighbours(self, photos, encoded, index, search):
        folder = photos(3)
        (folder / "large.jpg").write_bytes(encoded(7, (1000, 750)))
        index(folder)
        assert search(folder / "large.jpg")["hits"][0]["score"] == pytest.approx(1, abs=1e-3)


class TestFeatureless:
    def test_they_are_counted_and_never_returned(self, photos, encoded, index, search, camseek, collection):
        folder = photos(2)
        (folder / "one.png").write_bytes(encoded.featureless)
        assert index(folder) == {"added": 3, "encoded": 3, "featureless": 1}
        told = camseek("info", "--collection", collection)
        assert (told["pictures"], told["featureless"]) == (3, 1)
        found = search(folder / "0.jpg", "--top", "99")
        assert (len(found["hits"]), found["searched"]) == (2, 2)
        assert camseek("check", "--collection", collection)["sound"]
        # Known as it is: not tried again, and found by its content.
        assert index(folder) == {"unchanged": 3}

    def test_a_query_says_so(self, indexed, encoded, refused, tmp_path):
        (tmp_path / "one.png").write_bytes(encoded.featureless)
        error = refused(tmp_path / "one.png")
        assert error["code"] == "featureless"
        assert "sees nothing" in error["message"]

    @pytest.mark.parametrize("reading", ["crop", "cells"])
    def test_a_region_says_so(self, indexed, encoded, refused, tmp_path, reading):
        (tmp_path / "tiny.png").write_bytes(encoded.featureless)
        options = ("--region", "0,0,16,16", "--region-reading", reading)
        assert refused(tmp_path / "tiny.png", *options)["code"] == "featureless"

    @pytest.mark.parametrize("colour", ["black", "white", "grey"])
    def test_a_picture_of_one_colour_breaks_nothing(self, photos, index, search, colour, collection):
        from PIL import Image

        folder = photos(2)
        Image.new("RGB", (256, 200), colour).save(folder / "flat.png")
        index(folder)
        found = search(folder / "0.jpg")
        assert all(-1 <= hit["score"] <= 1 for hit in found["hits"])


class TestBoxes:
    def test_without_them_no_file_of_a_hit_is_read(self, indexed, search, monkeypatch):
        def forbidden(path, **bounds):
            raise AssertionError(path)

        monkeypatch.setattr("camseek.extraction.extractor.open_file", forbidden)
        found = search(indexed / "0.jpg")
        assert len(found["hits"]) == 6
        for hit in found["hits"]:
            assert hit["box"] is None
            assert "box_reason" not in hit

    def test_hits_whose_files_have_gone_or_changed_keep_their_places(
        self, indexed, encoded, search, tmp_path, index
    ):
        query = tmp_path / "query.jpg"
        query.write_bytes(encoded(0))
        before = search(query, "--boxes")
        (indexed / "1.jpg").unlink()
        (indexed / "2.jpg").write_bytes(encoded(20))
        (indexed / "3.jpg").unlink()
        (indexed / "3.jpg").mkdir()
        (indexed / "4.jpg").unlink()
        os.mkfifo(indexed / "4.jpg")
        after = search(query, "--boxes")
        assert names(after) == names(before)
        for one, two in zip(before["hits"], after["hits"], strict=True):
            assert one["score"] == two["score"]
            assert one["box"]
            name = os.path.basename(two["path"])
            if name in ("0.jpg", "5.jpg"):
                assert one == two
            else:
                assert two["box"] is None
                assert (
                    two["box_reason"]
                    == {
                        "1.jpg": "there is no such file",
                        "2.jpg": "its file has changed since it was indexed",
                        "3.jpg": "it is a folder, not a file",
                        "4.jpg": "it is a named pipe, not a file",
                    }[name]
                )

    def test_any_copy_serves(self, indexed, search, index):
        shutil.copy(indexed / "1.jpg", indexed / "copy.jpg")
        index(indexed)
        box = search(indexed / "1.jpg", "--top", "1", "--boxes")["hits"][0]["box"]
        (indexed / "1.jpg").unlink()
        [hit] = search(indexed / "copy.jpg", "--top", "1", "--boxes")["hits"]
        assert hit["box"] == box
        assert len(hit["paths"]) == 2

    def test_they_are_pixels_of_the_original(self, photos, encoded, index, search):
        folder = photos(1)
        (folder / "large.jpg").write_bytes(encoded(7, (1500, 1000)))
        index(folder)
        [hit] = search(folder / "large.jpg", "--top", "1", "--boxes")["hits"]
        assert hit["size"] == [1500, 1000]
        x1, y1, x2, y2 = hit["box"]
        assert 0 <= x1 < x2 <= 1500
        assert 0 <= y1 < y2 <= 1000
        assert x2 > 640 or y2 > 480


class Page(HTMLParser):
    """Whatever a page names outside of itself."""

    def __init__(self, page):
        super().__init__()
        self.outside = []
        self.pictures = 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.pictures += tag == "img"
        for name, value in attrs:
            if tag == "a":  # opens a picture when it is clicked, and loads nothing
                assert (value or "").startswith(("file:///", "./", "#", "open", "noreferrer"))
            elif name in ("src", "href", "srcset") and not (value or "").startswith(("data:", "#")):
                self.outside.append((tag, name, value))


def asked(found):
    return [
        (os.path.basename(item["query"]["pictures"][0]["path"]), item["query"]["pictures"][0]["region"])
        for item in found["queries"]
    ]


class TestSeveral:
    def test_each_is_a_query_of_its_own(self, indexed, camseek, collection, search):
        command = ("search", indexed / "0.jpg", indexed / "3.jpg", "--collection", collection, "--top", "2")
        found = camseek(*command)
        assert found["failed"] == 0
        assert asked(found) == [("0.jpg", None), ("3.jpg", None)]
        for item, name in zip(found["queries"], ("0.jpg", "3.jpg"), strict=True):
            alone = search(indexed / name, "--top", "2")
            assert item.keys() == alone.keys()
            assert names(item) == names(alone)
            assert item["hits"][0]["score"] == pytest.approx(1, abs=1e-3)

    def test_together_they_are_one(self, indexed, camseek, collection):
        found = camseek(
            *("search", indexed / "0.jpg", indexed / "3.jpg", "--together"), "--collection", collection
        )
        assert [os.path.basename(item["path"]) for item in found["query"]["pictures"]] == ["0.jpg", "3.jpg"]
        assert sorted(names(found)[:2]) == ["0.jpg", "3.jpg"]

    def test_one_that_is_missing_ends_those_together(self, indexed, failing, collection, tmp_path):
        folder = tmp_path / "queries"
        folder.mkdir()
        shutil.copy(indexed / "0.jpg", folder)
        (folder / "1.jpg").write_bytes(b"")
        error = failing("search", folder, "--together", "--collection", collection)
        assert error["code"] == "source"
        assert "1.jpg: it is empty" in error["message"]

    def test_regions_belong_to_the_picture_before_them(self, indexed, camseek, collection):
        a, b, c = (indexed / f"{number}.jpg" for number in range(3))
        region, per_cent = ("--region", "0,0,40,40"), ("--region=25%,25%,100%,100%",)
        found = camseek("search", a, *region, *per_cent, b, c, *per_cent, "--collection", collection)
        assert asked(found) == [
            ("0.jpg", [0, 0, 40, 40]),
            ("0.jpg", [16, 12, 64, 48]),
            ("1.jpg", None),
            ("2.jpg", [16, 12, 64, 48]),
        ]
        # Of a single picture, wherever it stands.
        first = camseek("search", *region, a, "--collection", collection)
        assert first["query"]["pictures"][0]["region"] == [0, 0, 40, 40]
        assert camseek("search", a, *region, "--collection", collection)["hits"] == first["hits"]

    def test_a_folder_is_its_pictures(self, indexed, text, collection):
        (indexed / "more").mkdir()
        shutil.copy(indexed / "5.jpg", indexed / "more" / "6.jpg")
        (indexed / "bad.jpg").write_text("no picture")
        told = text("search", indexed, "--collection", collection, "--top", "1", "--json", code=1)
        found = told.json
        assert [name for name, _ in asked(found)] == [*(f"{i}.jpg" for i in range(6)), "bad.jpg", "6.jpg"]
        assert found["failed"] == 1
        assert found["queries"][6]["error"] == {
            "code": "not_a_picture",
            "message": f"{indexed / 'bad.jpg'}: it is text",
        }
        one = text("search", indexed / "more", "--collection", collection, "--json")
        assert len(one.json["queries"]) == 1

    def test_for_people(self, indexed, index, text, collection):
        shutil.copy(indexed / "0.jpg", indexed / "copy\n\x1b[31m.jpg")
        (indexed / os.fsdecode(b"\xff.jpg")).write_bytes((indexed / "0.jpg").read_bytes())
        index(indexed)
        told = text(
            *("search", indexed / "0.jpg", indexed / "none.jpg", "--collection", collection, "--top", "1"),
            code=1,
        )
        assert told.out.splitlines() == [
            f"query 1: {indexed / '0.jpg'}",
            f"   1   1.000  {indexed / '0.jpg'}",
            f"   =   1.000  {indexed}/copy\\u000a\\u001b[31m.jpg",
            f"   =   1.000  {indexed}/\\xff.jpg",
            "",
            f"query 2: {indexed / 'none.jpg'}",
            f"      cannot be used: {indexed / 'none.jpg'}: there is no such file",
        ]
        assert "1 of 2 queries could not be used" in told.err

    def test_one_page_for_all(self, indexed, text, collection, tmp_path):
        page = indexed / "found.html"
        text(
            *("search", indexed / "0.jpg", indexed / "none.jpg", indexed / "2.jpg", "--top", "2"),
            *("--collection", collection, "--report", page),
            code=1,
        )
        html = page.read_text(encoding="utf-8")
        for number in (1, 2, 3):
            assert f'href="#query-{number}"' in html
            assert f'id="query-{number}"' in html
        assert "It could not be used: " in html
        assert 'href="./0.jpg"' in html
        assert "<title>camseek: hits for 3 queries</title>" in html


class TestTables:
    def rows(self, text):
        return list(csv.DictReader(io.StringIO(text)))

    def test_a_file_for_a_spreadsheet(self, indexed, text, collection, tmp_path):
        place = tmp_path / "hits.csv"
        told = text(
            *("search", indexed / "0.jpg", "--region", "0,0,40,40", indexed / "none.jpg", "--top", "2"),
            *("--collection", collection, "--boxes", "--csv", place),
            code=1,
        )
        assert told.out.startswith("query 1: ")
        data = place.read_bytes()
        assert data.startswith(b"\xef\xbb\xbfquery,region,rank,score,")
        first, second, third = self.rows(data.decode("utf-8-sig"))
        assert (first["query"], first["region"], first["rank"]) == (str(indexed / "0.jpg"), "0,0,40,40", "1")
        assert (second["rank"], second["error"]) == ("2", "")
        assert [float(row["score"]) for row in (first, second)] == sorted(
            (float(row["score"]) for row in (first, second)), reverse=True
        )
        assert int(first["x1"]) < int(first["x2"]) <= int(first["width"]) == 64
        assert (third["query"], third["rank"]) == (str(indexed / "none.jpg"), "")
        assert third["error"] == f"{indexed / 'none.jpg'}: there is no such file"
        # Nothing is written over unasked.
        again = text(
            *("search", indexed / "0.jpg", "--collection", collection, "--csv", place, "--json"), code=1
        )
        assert again.error["code"] == "output"
        assert place.read_bytes() == data

    def test_on_standard_output(self, indexed, index, text, collection):
        shutil.copy(indexed / "0.jpg", indexed / os.fsdecode(b"\xff.jpg"))
        index(indexed)
        told = text("search", indexed / "0.jpg", "--collection", collection, "--top", "1", "--csv", "-")
        first, second = self.rows(told.out)
        assert (first["path"], first["path_bytes"]) == (str(indexed / "0.jpg"), "")
        # A row for each name, as an export has it.
        assert second["path"] == f"{indexed}/\ufffd.jpg"
        assert base64.b64decode(second["path_bytes"]) == os.fsencode(indexed) + b"/\xff.jpg"
        assert {key for key in first if first[key] != second[key]} == {"path", "path_bytes"}
        assert (first["rank"], first["copies"], first["x1"]) == ("1", "1", "")

    def test_a_pipe_has_names_as_they_are_and_a_terminal_none_that_commands(
        self, indexed, index, text, collection, monkeypatch
    ):
        name = indexed / 'a\r\n\x1b[31m",b.jpg'
        (indexed / "2.jpg").rename(name)
        index(indexed)
        search = ("search", name, "--collection", collection, "--top", "1", "--csv", "-")
        told = text(*search)
        [row] = csv.DictReader(io.StringIO(told.out, newline=""))
        assert (row["query"], row["path"], row["query_bytes"]) == (str(name), str(name), "")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert "\\x1b[31m" in text(*search).out
        assert "\x1b" not in text(*search).out

    def test_no_cell_is_a_formula(self):
        from camseek.cli.hits import write_table
        from camseek.cli.queries import Asked
        from camseek.results import Skipped

        bad = Skipped(b"=cmd|' /C calc'!A0", "+1", "code")
        file = io.BytesIO()
        write_table(file, Asked((bad,), True), [bad])
        [row] = self.rows(file.getvalue().decode("utf-8-sig"))
        assert row["query"] == "'=cmd|' /C calc'!A0"
        assert row["error"] == "'+1"


class TestReports:
    def test_one_self_contained_page(self, indexed, search, tmp_path):
        (indexed / "1.jpg").unlink()
        page = tmp_path / "found.html"
        found = search(indexed / "0.jpg", "--region", "0,0,50,40", "--report", page)
        assert found["report"] == str(page)
        html = page.read_text(encoding="utf-8")
        read = Page(html)
        assert read.outside == []
        assert read.pictures >= 6
        assert "http:" not in html.replace("http://www.w3.org", "")
        assert "there is no such file" in html
        for name in names(found):
            assert name in html
        # The hits are the same with and without a page.
        assert search(indexed / "0.jpg", "--region", "0,0,50,40")["hits"] == found["hits"]

    def test_hits_are_seen_once_for_their_boxes_and_views(self, indexed, search, tmp_path, monkeypatch):
        from camseek.extraction import extractor

        seen, real = [], extractor.open_file

        def open_file(path, **bounds):
            seen.append(os.path.basename(os.fsdecode(path)))
            return real(path, **bounds)

        monkeypatch.setattr(extractor, "open_file", open_file)
        found = search(indexed / "0.jpg", "--boxes", "--report", tmp_path / "found.html")
        assert sorted(seen) == sorted(names(found))

    def test_for_people(self, indexed, text, collection, tmp_path):
        page = tmp_path / "found.html"
        told = text("search", indexed / "0.jpg", "--collection", collection, "--report", page)
        assert f"report: {page}" in told.err
        assert page.exists()

    def test_names_in_it_are_only_names(self, photos, index, search, tmp_path):
        folder = photos(["<script>alert(1)<", "b.jpg"])
        index(folder)
        search(folder / "b.jpg", "--report", tmp_path / "found.html")
        html = (tmp_path / "found.html").read_text(encoding="utf-8")
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)" in html

    @pytest.mark.parametrize("place", ["none/found.html", "folder.html", "photos/0.jpg/found.html"])
    def test_a_place_that_cannot_be_written(self, indexed, refused, tmp_path, place):
        (tmp_path / "folder.html").mkdir()
        error = refused(indexed / "0.jpg", "--top", "1", "--report", tmp_path / place)
        assert error["code"] == "output"
        assert str(tmp_path / place) in error["message"]
        assert sorted(os.listdir(indexed)) == [f"{number}.jpg" for number in range(6)]

    def test_it_never_takes_a_pictures_place(self, indexed, refused, tmp_path, encoded):
        picture = tmp_path / "page.html"
        picture.write_bytes(encoded(1))
        error = refused(picture, "--report", picture)
        assert error["code"] == "output"
        assert error["message"] == f"{picture} is what this command reads: {picture}"
        assert picture.read_bytes() == encoded(1)

    @pytest.mark.needs_root
    def test_a_full_disk(self, indexed, refused, failing, small_disk):
        disk = small_disk(1)
        (disk / "found.html").write_text("a page of yesterday")
        (disk / "ballast").write_bytes(bytes(1024 * 1024 - 8192))
        error = refused(indexed / "0.jpg", "--report", disk / "found.html", "--force")
        assert error["code"] == "output"
        assert "No space left" in error["message"]
        assert (disk / "found.html").read_text() == "a page of yesterday"
        assert sorted(os.listdir(disk)) == ["ballast", "found.html"]
        assert failing("explain", indexed / "0.jpg", "--report", disk / "seen.png")["code"] == "output"

    def test_explaining_into_a_place_that_cannot_be_written(self, indexed, failing, tmp_path):
        error = failing("explain", indexed / "0.jpg", "--report", tmp_path / "none" / "seen.html")
        assert error["code"] == "output"
