"""The options of a search beyond stored descriptors, and the classes that they name."""

import os

import pytest

SIZE = (192, 160)


@pytest.fixture
def folder(tmp_path, encoded):
    place = tmp_path / "photos"
    place.mkdir()
    for number in range(5):
        (place / f"{number}.jpg").write_bytes(encoded(number, SIZE))
    return place


@pytest.fixture
def indexed(folder, camseek, collection):
    camseek("index", folder, "--collection", collection, "--encoding", "cam:classes=8")
    return folder


@pytest.fixture
def search(camseek, collection):
    return lambda query, *options: camseek("search", query, "--collection", collection, *options)


def stages(found):
    return [stage["stage"] for stage in found["stages"]]


class TestSearch:
    def test_what_was_done_is_told(self, indexed, search):
        options = ("--aggregation", "online", "--classes", "3", "--rerank", "4", "--expand", "2")
        found = search(indexed / "0.jpg", *options, "--expand-with-query")
        assert stages(found) == ["ranking", "online", "re-ranking", "expansion"]
        _, online, reranking, expansion = found["stages"]
        assert (online["pictures"], len(online["classes"]), online["kept"]) == (5, 3, 0)
        assert (reranking["pictures"], len(reranking["classes"])) == (4, 6)
        assert reranking["classes"][:3] == online["classes"]
        assert (expansion["pictures"], expansion["with_query"]) == (2, True)
        plan = found["settings"]["plan"]
        assert plan["first"] == {"stage": "Nearest", "own_entry": "picture"}
        assert [stage["stage"] for stage in plan["then"]] == ["DescribeAnew", "MatchRegions", "Expand"]
        anew, regions, expand = plan["then"]
        assert (anew["classes"], anew["predefined"], anew["shortlist"]) == (3, [], 100)
        assert (regions["count"], expand["count"], expand["with_query"]) == (4, 2, True)
        assert len(found["hits"]) == 5

    def test_what_each_stage_said_is_told(self, indexed, search):
        os.unlink(indexed / "2.jpg")
        options = ("--aggregation", "online", "--classes", "3", "--rerank", "3")
        found = search(indexed / "0.jpg", *options, "--boxes")
        hits = {os.path.basename(hit["path"]): hit for hit in found["hits"]}
        plain = {hit["path"]: hit["score"] for hit in search(indexed / "0.jpg")["hits"]}
        for hit in hits.values():
            assert hit["verdict"] is None
            first = hit["evidence"][0]
            assert first == {"stage": "ranking", "score": plain[hit["path"]]}
            # The score is that of the last stage that could compare it.
            assert (hit["evidence"][-1]["stage"], hit["evidence"][-1]["score"]) == (
                hit["scored_by"],
                hit["score"],
            )
        said = [[item["stage"] for item in hit["evidence"]] for hit in found["hits"]]
        lost = found["hits"].index(hits["2.jpg"])
        assert said[lost] == ["ranking"]
        assert hits["2.jpg"]["scored_by"] == "ranking"
        assert hits["2.jpg"]["kept"] == "there is no such file"
        del said[lost]
        matched = 3 - (lost < 3)
        assert said == [["ranking", "online", "re-ranking"]] * matched + [["ranking", "online"]] * (
            4 - matched
        )
        best = found["hits"][0]
        # What was seen in the best region; the others have no region.
        assert set(best["evidence"][2]) == {"stage", "score", "box"}
        assert best["evidence"][2]["box"] == best["box"]

    def test_a_plain_search_tells_it_too(self, indexed, search):
        found = search(indexed / "0.jpg")
        plan = {"first": {"stage": "Nearest", "own_entry": "picture"}, "then": []}
        assert found["settings"]["plan"] == plan
        for hit in found["hits"]:
            assert hit["scored_by"] == "ranking"
            assert hit["evidence"] == [{"stage": "ranking", "score": hit["score"]}]
            assert hit["verdict"] is None

    def test_classes_by_name_or_number(self, indexed, search):
        by_name = search(indexed / "0.jpg", "--attend", "Pier", "--attend", "church")
        by_number = search(indexed / "0.jpg", "--attend", "718", "--attend", "497")
        assert by_name["stages"][1]["classes"] == [718, 497]
        assert by_name["hits"] == by_number["hits"]

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("unicorn", "there is no class 'unicorn'"),
            ("1000", "there is no class 1000"),
            ("sunglasses", "2 classes are called 'sunglasses'"),
        ],
    )
    def test_classes_that_are_none(self, indexed, failing, collection, name, says):
        error = failing("search", indexed / "0.jpg", "--collection", collection, "--attend", name)
        assert error["code"] == "settings"
        assert says in error["message"]

    def test_a_name_near_it_is_told(self, indexed, failing, collection):
        error = failing("search", indexed / "0.jpg", "--collection", collection, "--attend", "bridge")
        assert "suspension bridge" in error["remedy"]

    def test_for_people(self, indexed, text, collection):
        os.unlink(indexed / "2.jpg")
        told = text("search", indexed / "0.jpg", "--collection", collection, "--rerank", "5")
        assert "re-ranking: 5 pictures, 6 classes, 1 of them could not be read" in told.err
        assert "could not be looked at again: there is no such file" in told.err
        assert "5 of 5 pictures" in told.err

    def test_a_report_says_it(self, indexed, search, tmp_path):
        report = tmp_path / "r.html"
        os.unlink(indexed / "2.jpg")
        search(indexed / "0.jpg", "--rerank", "5", "--expand", "2", "--report", report)
        page = report.read_text(encoding="utf-8")
        assert "5 pictures looked at, 6 classes; 1 could not be read" in page
        assert "2 pictures summed" in page
        assert "could not be looked at again: there is no such file" in page

    def test_several_pictures(self, indexed, camseek, collection, tmp_path):
        report = tmp_path / "r.html"
        found = camseek(
            *("search", indexed / "0.jpg", indexed / "1.jpg", "--region", "0,0,96,160", "--together"),
            *("--collection", collection, "--report", report),
        )
        regions = [item["region"] for item in found["query"]["pictures"]]
        assert regions == [None, [0, 0, 96, 160]]
        page = report.read_text(encoding="utf-8")
        assert "0.jpg and 1 more" in page
        assert "96 × 160 pixels at (0, 0)" in page

    def test_several_regions_of_one(self, indexed, search):
        regions = ("--region", "0,0,96,160", "--region", "96,0,192,160")
        found = search(indexed / "0.jpg", *regions, "--together")
        assert len(found["query"]["pictures"]) == 2


class TestClasses:
    def test_of_a_collection(self, indexed, camseek, text, collection):
        found = camseek("classes", collection, "--per-picture", "2", "--top", "3")
        assert found["pictures"] == 5
        assert len(found["classes"]) == 3
        told = text("classes", collection, "--per-picture", "2", "--top", "3")
        first = found["classes"][0]
        assert told.out.splitlines()[0].split(maxsplit=2) == [
            str(first["pictures"]),
            str(first["id"]),
            first["name"],
        ]
        assert "5 pictures read, 2 most probable classes of each counted" in told.err

    def test_a_list_goes_into_index_and_search(self, indexed, folder, camseek, collection, tmp_path, search):
        file = tmp_path / "theme.txt"
        made = camseek("classes", collection, "--like", folder / "1.jpg", "--list", file)
        listed = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
        assert len(listed) == 64
        ids = [int(number) for number, _ in listed]
        assert [item["id"] for item in made["classes"]] == ids[:16]
        searched = search(folder / "0.jpg", "--class-list", file, "--classes", "4")
        assert searched["stages"][1] == {
            "stage": "predefined",
            "pictures": 5,
            "classes": ids[:4],
            "kept": 0,
        }
        other = tmp_path / "other"
        options = ("--encoding", "cam:classes=4", "--class-list", file)
        camseek("index", folder, "--collection", other, *options)
        info = camseek("info", "--collection", other)
        assert info["settings"]["predefined"] == ids
        fixed = camseek("search", folder / "0.jpg", "--collection", other)
        assert stages(fixed) == ["ranking"]
        for one, two in zip(fixed["hits"], searched["hits"], strict=True):
            assert one["score"] == pytest.approx(two["score"], abs=2e-3)
        # The same list again is the same setting; another is not.
        camseek("index", folder, "--collection", other, *options)

    def test_another_list_is_refused(self, folder, camseek, failing, collection, tmp_path):
        for name, content in (("one", "1\n2\n"), ("two", "# theme\n2\tgreat white shark\n\n1\n")):
            (tmp_path / name).write_text(content)
        command = ("index", folder, "--collection", collection, "--encoding", "cam", "--class-list")
        camseek(*command, tmp_path / "one")
        error = failing(*command, tmp_path / "two")
        assert "predefined [1, 2] instead of [2, 1]" in error["message"]

    @pytest.mark.parametrize(
        ("content", "says"),
        [(b"", "names no class"), (b"\xff", "is not UTF-8"), (None, "cannot read"), (b"# x\n", "no class")],
    )
    def test_lists_that_cannot_be(self, indexed, failing, collection, tmp_path, content, says):
        file = tmp_path / "l.txt"
        if content is not None:
            file.write_bytes(content)
        error = failing("search", indexed / "0.jpg", "--collection", collection, "--class-list", file)
        assert says in error["message"]

    def test_predefined_classes_need_class_vectors(self, folder, failing, collection, tmp_path):
        (tmp_path / "l").write_text("1\n")
        error = failing("index", folder, "--collection", collection, "--class-list", tmp_path / "l")
        assert "do not go with the encoding" in error["message"]
        assert not os.path.exists(collection)

    def test_a_list_of_another_model_is_refused(self, indexed, failing, collection, tmp_path):
        (tmp_path / "l").write_text("7\tunicorn\n")
        command = ("search", indexed / "0.jpg", "--collection", collection, "--class-list", tmp_path / "l")
        assert "class 7 is 'rooster'" in failing(*command)["message"]

    def test_nothing_to_count_writes_no_list(self, indexed, failing, collection, tmp_path):
        command = ("classes", collection, "--like", tmp_path / "none", "--list", tmp_path / "l")
        error = failing(*command)
        assert error["code"] == "source"
        assert not (tmp_path / "l").exists()

    def test_pictures_that_cannot_be_used_are_told(self, indexed, camseek, collection, tmp_path):
        (tmp_path / "bad.jpg").write_text("no picture")
        found = camseek("classes", collection, "--like", tmp_path / "bad.jpg", "--like", indexed)
        assert (found["pictures"], len(found["skipped"])) == (5, 1)
