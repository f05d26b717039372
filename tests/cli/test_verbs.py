"""Every verb: its forms, its exit codes, its errors, and what it prints for people."""

import json
import os
import re
import subprocess
import sys

import click
import pytest

import camseek as package
from camseek import Settings
from camseek.cli import run
from camseek.cli.app import camseek as program

VERBS = (
    "index",
    "add",
    "remove",
    "search",
    "explain",
    "classes",
    "fit",
    "evaluate",
    "audit",
    "paper",
    "datasets",
    "model",
    "info",
    "check",
    "list",
    "duplicates",
    "export",
    "copy",
)
OF_A_COLLECTION = set(VERBS) - {"audit", "copy", "paper", "datasets", "model"}


@pytest.fixture
def indexed(photos, collection, camseek):
    folder = photos(3)
    camseek("index", folder, "--collection", collection)
    return folder


class TestJson:
    def test_index(self, photos, collection, camseek):
        folder = photos(3)
        (folder / "bad.jpg").write_text("no picture")
        told = camseek("index", folder, "--collection", collection)
        assert {key: told[key] for key in ("added", "changed", "unchanged", "moved", "removed")} == {
            "added": 3,
            "changed": 0,
            "unchanged": 0,
            "moved": 0,
            "removed": 0,
        }
        assert told["skipped"] == [
            {"path": str(folder / "bad.jpg"), "reason": "it is text", "code": "not_a_picture"}
        ]
        assert told["collection"] == str(collection)
        assert told["seconds"] > 0
        assert told["pictures_per_second"] == pytest.approx(3 / told["seconds"], rel=0.05)
        assert (told["encoded"], told["unknown_folders"], told["warnings"]) == (3, [], [])

    def test_add_and_remove(self, photos, collection, camseek):
        folder = photos(2)
        told = camseek("add", folder / "0.jpg", folder / "none.jpg", "--collection", collection)
        assert told["added"] == 1
        assert [item["code"] for item in told["skipped"]] == ["unreadable"]
        told = camseek("remove", folder / "0.jpg", folder / "1.jpg", "--collection", collection)
        assert told == {
            "collection": str(collection),
            "dry_run": False,
            "removed": 1,
            "names": [{"path": str(folder / "0.jpg"), "files": 1}],
            "files": [{"path": str(folder / "0.jpg")}],
            "unknown": [{"path": str(folder / "1.jpg")}],
        }

    @pytest.mark.parametrize("region", [None, [8, 0, 40, 48]])
    def test_search(self, indexed, collection, camseek, region):
        options = ["--region", ",".join(map(str, region))] if region else []
        told = camseek(
            *("search", indexed / "1.jpg", "--collection", collection, "--top", "2", "--boxes"), *options
        )
        assert told["query"]["pictures"][0]["path"] == str(indexed / "1.jpg")
        assert told["query"]["pictures"][0]["region"] == region
        assert told["query"]["pictures"][0]["size"] == [64, 48]
        assert told["query"]["classes"][0].keys() == {"id", "name", "probability"}
        assert told["collection"] == str(collection)
        assert told["seconds"] > 0
        assert told["searched"] == 3
        settings = told["settings"]
        assert settings.items() >= Settings().to_json().items()
        assert settings["region_reading"] == ("crop" if region else None)
        assert [hit["rank"] for hit in told["hits"]] == [1, 2]
        for hit in told["hits"]:
            assert hit["paths"] == [hit["path"]]
            assert hit["size"] == [64, 48]
            assert -1 <= hit["score"] <= 1
            x1, y1, x2, y2 = hit["box"]
            assert 0 <= x1 < x2 <= 64
            assert 0 <= y1 < y2 <= 48

    def test_explain(self, photos, tmp_path, camseek):
        page, picture = tmp_path / "seen.html", tmp_path / "seen.png"
        options = ["--top", "3", "--report", page, "--report", picture]
        told = camseek("explain", photos(1) / "0.jpg", *options)
        assert told["path"] == str(tmp_path / "photos" / "0.jpg")
        assert told["size"] == [64, 48]
        probabilities = [item["probability"] for item in told["classes"]]
        assert len(probabilities) == 3
        assert probabilities == sorted(probabilities, reverse=True)
        assert told["reports"] == [str(page), str(picture)]
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
        assert picture.read_bytes().startswith(b"\x89PNG")

    def test_explain_with_a_collections_settings(self, photos, tmp_path, collection, camseek):
        folder = photos(1)
        camseek("index", folder, "--collection", collection, "--size", "32")
        options = ["--collection", collection, "--report", tmp_path / "seen.png"]
        small = camseek("explain", folder / "0.jpg", *options)
        large = camseek("explain", folder / "0.jpg", "--report", tmp_path / "large.png")
        assert small["classes"] != large["classes"]

    def test_evaluate(self, photos, tmp_path, camseek):
        photos(["a.jpg", "b.jpg", "c.jpg"], "database")
        photos(["a.jpg"], "queries")
        query = {"image": "queries/a.jpg", "region": None, "ok": [], "junk": []}
        truth = {
            "database": "database",
            "queries": [
                query | {"id": "one", "good": ["a.jpg"]},
                query | {"id": "none", "good": []},
            ],
        }
        (tmp_path / "truth.json").write_text(json.dumps(truth))
        told = camseek("evaluate", tmp_path / "truth.json", "--encoding", "sum", "--encoding", "gem")
        assert list(told["encodings"]) == ["sum", "gem"]
        for item in told["encodings"].values():
            assert item["mAP"] == 1
            assert item["ap_form"].startswith("mean")
            assert item["recall"] == {"1": 1, "10": 1, "100": 1}
            assert (item["queries"], item["left_out"]) == (1, 1)

    def test_info(self, indexed, collection, camseek):
        told = camseek("info", "--collection", collection)
        assert told["collection"] == str(collection)
        assert (told["pictures"], told["files"], told["featureless"], told["added_by_hand"]) == (3, 3, 0, 0)
        assert told["format_version"] == 5
        assert told["settings"] == Settings().to_json()
        assert re.fullmatch("[0-9a-f]{64}", told["model_checksum"])
        assert told["roots"] == [
            {
                "path": str(indexed),
                "files": 3,
                "relative": False,
                "within": None,
                "include": [],
                "exclude": [],
            }
        ]
        assert told["bytes_per_picture"] == round(told["bytes"] / 3)
        assert told["skipped"] == []

    def test_check(self, indexed, collection, camseek):
        told = camseek("check", "--collection", collection)
        assert told == {"collection": str(collection), "sound": True, "pictures": 3}

    @pytest.mark.parametrize(
        "arguments",
        [
            ("search", "photos/0.jpg"),
            ("remove", "photos/0.jpg"),
            ("info",),
            ("check",),
            ("explain", "photos/0.jpg"),
        ],
    )
    def test_an_error(self, photos, tmp_path, monkeypatch, failing, arguments):
        photos(1)
        monkeypatch.chdir(tmp_path)
        error = failing(*arguments, "--collection", "none")
        assert error["code"] == "no_collection"
        assert "none does not exist" in error["message"]
        assert "camseek index" in error["remedy"]

    def test_an_evaluation_without_a_file(self, failing, tmp_path):
        assert failing("evaluate", tmp_path / "none.json")["code"] == "ground_truth"


class TestExitCodes:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("nonsense",),
            ("index",),
            ("index", "photos"),
            ("index", "photos", "more", "--collection", "c"),
            ("index", "photos", "--collection", "c", "--encoding", "best"),
            ("index", "photos", "--collection", "c", "--encoding", "gem:size=3"),
            ("index", "photos", "--collection", "c", "--size", "5"),
            ("index", "photos", "--collection", "c", "--max-megapixels", "0"),
            ("add", "--collection", "c"),
            ("remove", "--collection", "c"),
            ("search", "--collection", "c"),
            ("search", "a.jpg"),
            ("search", "a.jpg", "--collection", "c", "--top", "0"),
            ("search", "a.jpg", "--collection", "c", "--top", "many"),
            ("search", "a.jpg", "--collection", "c", "--region", "1,2,3"),
            ("search", "a.jpg", "--collection", "c", "--region", "1,2,3,4,5"),
            ("search", "a.jpg", "--collection", "c", "--region", "a,b,c,d"),
            ("search", "a.jpg", "--collection", "c", "--region", "1.5,2,3,4"),
            ("search", "a.jpg", "--collection", "c", "--region", ""),
            ("search", "a.jpg", "--collection", "c", "--region", "nan,0,1,1"),
            ("search", "a.jpg", "--collection", "c", "--region", "nan%,0%,1%,1%"),
            ("search", "a.jpg", "--collection", "c", "--region", "10%,20%,50,60"),
            ("search", "a.jpg", "--collection", "c", "--region", "10%,20%,101%,60%"),
            ("search", "a.jpg", "--collection", "c", "--region", "50%,20%,10%,60%"),
            ("search", "a.jpg", "--collection", "c", "--region"),
            ("search", "--region", "0,0,1,1", "--collection", "c"),
            ("search", "--region", "0,0,1,1", "a.jpg", "b.jpg", "--collection", "c"),
            ("search", "a.jpg", "--collection", "c", "--region-reading", "pixels"),
            ("search", "a.jpg", "--collection", "c", "--aggregation", "sideways"),
            ("search", "a.jpg", "--collection", "c", "--aggregation", "predefined"),
            ("search", "a.jpg", "--collection", "c", "--aggregation", "offline", "--attend", "pier"),
            ("search", "a.jpg", "--collection", "c", "--classes", "3"),
            ("search", "a.jpg", "--collection", "c", "--expand-with-query"),
            ("search", "a.jpg", "--collection", "c", "--expand", "-1"),
            ("search", "a.jpg", "--collection", "c", "--attend", "pier", "--class-list", "l.txt"),
            ("search", "a.jpg", "--collection", "c", "--shortlist", "9"),
            ("search", "a.jpg", "--collection", "c", "--attend", "pier", "--classes", "1"),
            ("classes",),
            ("classes", "c", "--top", "0"),
            ("explain", "a.jpg", "--report", "r.pdf"),
            ("evaluate", "t.json", "--ap", "oxford"),
            ("info",),
            ("check",),
        ],
    )
    def test_wrong_usage_is_2_and_touches_nothing(self, tmp_path, monkeypatch, failing, text, arguments):
        monkeypatch.chdir(tmp_path)
        error = failing(*arguments, code=2)
        assert (error["code"], error["message"][-1] == ".") == ("usage", False)
        told = text(*arguments, code=2)
        assert told.out == ""
        assert len(told.err.splitlines()) == 1
        assert os.listdir(tmp_path) == []

    def test_nothing_asked_shows_the_help(self, text):
        told = text(code=2)
        assert told.out == ""
        for verb in VERBS:
            assert re.search(rf"^  {verb} ", told.err, re.MULTILINE)

    @pytest.mark.parametrize("verb", VERBS)
    def test_help(self, text, verb):
        told = text(verb, "--help")
        assert told.out.startswith("Usage: camseek")
        assert (verb in OF_A_COLLECTION) == ("  --collection FOLDER " in told.out)
        kinds = [("list",), ("show",), ("check",)] if verb in ("datasets", "model") else [()]
        for kind in kinds:
            assert "--json" in text(verb, *kind, "--help").out
        assert told.err == ""

    def test_the_version(self, text, process):
        assert text("--version").out == f"camseek, version {package.__version__}\n"
        assert process("--version", json=False).out == f"camseek, version {package.__version__}\n"

    def test_a_failure_is_1(self, tmp_path, text):
        told = text("info", "--collection", tmp_path / "none", code=1)
        assert told.out == ""
        assert told.err.startswith("camseek: ")
        assert len(told.err.splitlines()) == 1

    def test_a_fault_of_ours_is_told_as_one(self, tmp_path, monkeypatch, collection, indexed, text, failing):
        def broken(self):
            raise ZeroDivisionError("by zero")

        monkeypatch.setattr("camseek.store.catalogue.FolderCatalogue.info", broken)
        error = failing("info", "--collection", collection)
        assert error["code"] == "internal"
        assert "ZeroDivisionError" in error["message"]
        told = text("info", "--collection", collection, code=1)
        assert "Traceback" in told.err

    def test_out_of_memory(self, monkeypatch, collection, indexed, failing):
        def greedy(*args, **options):
            raise MemoryError

        monkeypatch.setattr("camseek.extraction.reading.read_picture", greedy)
        # For one picture of many it is that picture's; for a query, all there is.
        assert failing("search", indexed / "0.jpg", "--collection", collection)["code"] == "memory"

    def test_an_interrupt_is_130(self, monkeypatch, collection, indexed, failing):
        def interrupted(self):
            raise KeyboardInterrupt

        monkeypatch.setattr("camseek.store.catalogue.FolderCatalogue.info", interrupted)
        error = failing("info", "--collection", collection, code=130)
        assert (error["code"], error["remedy"]) == ("interrupted", "nothing was written")

    @pytest.mark.parametrize("verb", ["index", "add", "remove", "fit"])
    def test_verbs_that_keep_what_was_done_say_so(self, monkeypatch, collection, indexed, failing, verb):
        def interrupted(self, command):
            raise KeyboardInterrupt

        monkeypatch.setattr("camseek.store.folder.FolderCollection.write", interrupted)
        given = [] if verb == "fit" else [indexed if verb == "index" else indexed / "0.jpg"]
        error = failing(verb, *given, "--collection", collection, code=130)
        assert error["remedy"] == "what was done is kept; run it again to go on"

    def test_the_collection_may_come_from_the_environment(self, monkeypatch, collection, indexed, camseek):
        monkeypatch.setenv("CAMSEEK_COLLECTION", str(collection))
        assert camseek("info")["pictures"] == 3


class TestForPeople:
    def test_index(self, photos, encoded, collection, text):
        folder = photos(2)
        (folder / "bad.jpg").write_text("no picture")
        (folder / "1x1.png").write_bytes(encoded.featureless)
        told = text("index", folder, "--collection", collection)
        counts, featureless, rate = told.out.splitlines()
        assert counts == "3 added, 0 changed, 0 unchanged, 0 moved, 0 removed, 1 skipped"
        assert featureless.startswith("1 featureless: ")
        assert re.fullmatch(r"3 pictures encoded in [\d.]+ s, [\d.]+ a second", rate)
        assert f"skipped: {folder / 'bad.jpg'}: it is text" in told.err.splitlines()

    def test_copies_and_other_files_are_told(self, photos, collection, text):
        folder = photos(2)
        for name in ("copy.jpg", "in.jpg"):
            (folder / name).write_bytes((folder / "1.jpg").read_bytes())
        (folder / "list.txt").write_text("no picture")
        told = text("index", folder, "--collection", collection)
        assert told.out.splitlines()[-1] == (
            "2 copies of pictures that are there; camseek duplicates lists them"
        )
        assert "1 other file left out, in no picture format that is read" in told.err.splitlines()
        assert "cop" not in text("index", folder, "--collection", collection).out

    def test_search(self, indexed, collection, text):
        told = text("search", indexed / "1.jpg", "--collection", collection, "--boxes")
        lines = [line.split() for line in told.out.splitlines()]
        assert [line[0] for line in lines] == ["1", "2", "3"]
        assert lines[0][1] == "1.000"
        assert lines[0][3] == str(indexed / "1.jpg")
        assert re.fullmatch(r"\d+,\d+,\d+,\d+", lines[0][2])
        assert re.fullmatch(r"3 pictures searched in [\d.]+ s; the network saw .*%", told.err.strip())

    def test_search_without_boxes(self, indexed, collection, text):
        told = text("search", indexed / "1.jpg", "--collection", collection)
        assert [line.split()[2] for line in told.out.splitlines()] == [
            str(indexed / name) for name in ("1.jpg", "0.jpg", "2.jpg")
        ]

    def test_a_hit_without_a_box_says_why(self, indexed, collection, text):
        os.unlink(indexed / "0.jpg")
        told = text("search", indexed / "1.jpg", "--collection", collection, "--boxes")
        assert len(told.out.splitlines()) == 3
        assert f"no box in {indexed / '0.jpg'}: there is no such file" in told.err

    def test_remove(self, indexed, collection, text):
        told = text("remove", indexed / "1.jpg", indexed / "none.jpg", "--collection", collection)
        assert told.out == "1 file removed\n"
        assert told.err.splitlines() == [
            f"not in the collection: {indexed / 'none.jpg'}",
            f"1 file is still in the indexed folder {indexed}: its next index run brings it back, unless an "
            "--exclude leaves it out",
        ]

    def test_what_is_removed_and_does_not_come_back(self, indexed, collection, text, camseek):
        at = ("--collection", collection)
        assert "are still in" in text("remove", indexed, *at, "--dry-run").err
        os.unlink(indexed / "1.jpg")
        assert text("remove", indexed / "1.jpg", *at).err == ""
        # Excluded already: it would not come back.
        camseek("index", indexed, *at, "--exclude", "2.jpg", "--exclude", "0.jpg", "--allow-removal")
        camseek("add", indexed / "0.jpg", *at)
        assert text("remove", indexed / "0.jpg", *at).err == ""

    def test_info(self, indexed, collection, text, camseek):
        (indexed / "bad.jpg").write_text("no picture")
        camseek("index", indexed, "--collection", collection)
        camseek("add", indexed / "0.jpg", "--collection", collection)
        told = dict(
            line.split(maxsplit=1) for line in text("info", "--collection", collection).out.splitlines()
        )
        assert told["skipped"] == "1 file: --skipped lists it"
        lines = text("info", "--collection", collection, "--skipped").out.splitlines()
        told = dict(line.split(maxsplit=1) for line in lines)
        assert told["collection"].startswith(f"{collection} (format 5, made ")
        assert told["model"].startswith("efficientnet-lite0, checksum ")
        assert told["encoding"] == f"{Settings().encoding}, layer head, size 640"
        assert told["pictures"] == "3 (0 featureless), 3 files"
        assert re.fullmatch(r"\d{2,3},\d{3}, [\d,]+ a picture", told["bytes"])
        assert told["root"] == f"{indexed}: 3 files"
        assert told["added"] == "1 file by hand"
        assert told["skipped"] == f"{indexed / 'bad.jpg'}: it is text"

    def test_check(self, indexed, collection, text):
        assert text("check", "--collection", collection).out == "sound: 3 pictures\n"

    def test_explain(self, indexed, tmp_path, monkeypatch, text):
        monkeypatch.chdir(tmp_path)
        told = text("explain", indexed / "0.jpg", "--top", "2")
        assert len(told.out.splitlines()) == 2
        assert sorted(path.name for path in tmp_path.glob("0.explained.*")) == [
            "0.explained.html",
            "0.explained.png",
        ]
        assert told.err.count("report: ") == 2

    def test_names_cannot_give_orders_to_a_terminal(self, photos, tmp_path, text):
        evil = "a\x1b[2J\nskipped: b\r\u202e.jpg"
        folder = photos(["ok.jpg", evil])
        collection = tmp_path / "c\x1b\n"
        (folder / f"bad{evil}").write_text("no picture")
        shown = "a\\u001b[2J\\u000askipped: b\\u000d\\u202e.jpg"
        told = text("index", folder, "--collection", collection)
        assert f"skipped: {folder}/bad{shown}: it is text" in told.err.splitlines()
        found = text("search", folder / "ok.jpg", "--collection", collection)
        assert f"{folder}/{shown}" in found.out
        info = text("info", "--collection", collection)
        missing = text("search", folder / f"none{evil}", "--collection", collection, code=1)
        gone = text("remove", folder / f"none{evil}", "--collection", collection, code=1)
        for one in (told, found, info, missing, gone):
            for line in (one.out + one.err).split("\n"):
                assert line.isprintable(), line


class TestOutput:
    """What becomes of a command whose output goes nowhere."""

    def run(self, collection, *arguments, **options):
        command = [sys.executable, "-m", "camseek", "info", "--collection", str(collection), *arguments]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": "/"} | options
        return subprocess.run(command, check=False, text=True, timeout=60, **options)

    @pytest.mark.parametrize("form", [[], ["--json"]])
    def test_a_reader_that_has_gone(self, indexed, collection, form):
        read, write = os.pipe()
        os.close(read)
        done = self.run(collection, *form, stdout=write)
        os.close(write)
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("form", [[], ["--json"]])
    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
    def test_a_full_disk(self, indexed, collection, form):
        with open("/dev/full", "w") as full:
            done = self.run(collection, *form, stdout=full)
        assert done.returncode == 1
        assert done.stderr.startswith("camseek: cannot write the output: ")
        assert len(done.stderr.splitlines()) == 1

    @pytest.mark.parametrize(
        "line",
        [
            "--help",
            "--version",
            *(f"{verb} --help" for verb in (*VERBS, "model import", "datasets check")),
            *(
                "list {0}",
                "list {0} --json",
                "info {0}",
                "check {0}",
                "duplicates {0} --threshold 0.01",
                "classes {0}",
            ),
            *("export {0} --csv {1}/out.csv", "search {1}/0.jpg --collection {0} --csv -"),
            *("index {1} --collection {0}", "add {1}/0.jpg --collection {0}", "remove {1} --collection {0}"),
            *("datasets list", "datasets show holidays", "model list", "model show efficientnet-lite0"),
            "explain {1}/0.jpg --report {1}/out.html",
        ],
    )
    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
    def test_every_verb_on_a_full_disk(self, indexed, collection, capsys, monkeypatch, line):
        with open("/dev/full", "w", encoding="utf-8") as full:
            monkeypatch.setattr(sys, "stdout", full)
            assert run(line.format(collection, indexed).split()) == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert (
            last == "camseek: cannot write the output: No space left on device; send it where there is space"
        )

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
    def test_completion_on_a_full_disk(self, capsys, monkeypatch):
        monkeypatch.setenv("_CAMSEEK_COMPLETE", "bash_source")
        with open("/dev/full", "w", encoding="utf-8") as full:
            monkeypatch.setattr(sys, "stdout", full)
            assert run([]) == 1
        assert capsys.readouterr().err.startswith("camseek: cannot write the output: No space left")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
    def test_remarks_that_cannot_be_written_end_nothing(self, photos, collection):
        command = [sys.executable, "-m", "camseek", "index", str(photos(2)), "--collection", str(collection)]
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, check=False, text=True)
        assert done.returncode == 0
        assert done.stdout.startswith("2 added")

    def test_names_of_any_language_in_a_plain_locale(self, photos, collection, camseek, process):
        name = "Ελλάς 日本.jpg"
        folder = photos([name])
        camseek("index", folder, "--collection", collection)
        environment = os.environ | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
        search = ("search", folder / name, "--collection", collection)
        assert name in process(*search, json=False, env=environment).out


@pytest.mark.parametrize(
    "arguments",
    [
        ("remove", "", "--collection", "c"),
        ("index", "", "--collection", "c"),
        ("index", ".", "--collection", ""),
        ("search", "", "--collection", "c"),
        ("evaluate", ""),
        ("explain", ""),
        ("search", "q.jpg", "--collection", "c", "--report", ""),
        ("search", "q.jpg", "--collection", "c", "--report", "q.jpg"),
    ],
)
def test_an_empty_name_is_not_the_working_folder(arguments, failing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert failing(*arguments, code=2)["code"] == "usage"
    assert os.listdir(tmp_path) == []


def _valued(command, *verb):
    """Every option and argument of a verb, and of those under it, that takes a value."""
    yield from ((verb, param) for param in command.params if not getattr(param, "is_flag", False))
    for name, one in getattr(command, "commands", {}).items():
        yield from _valued(one, *verb, name)


@pytest.mark.parametrize(
    ("verb", "given"),
    [pytest.param(*item, id=" ".join((*item[0], item[1].opts[0]))) for item in _valued(program)],
)
def test_an_empty_value_is_wrong_usage(verb, given, text, tmp_path, monkeypatch):
    """A variable that is not set is no wish for the default."""
    monkeypatch.chdir(tmp_path)
    command = program
    for name in verb:
        command = command.commands[name]
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    # Those before the empty one, which may be left out, have to be there.
    wanted = arguments[: arguments.index(given)] if given in arguments else []
    line = [
        "" if param is given else "x" for param in arguments if param.required or param in (*wanted, given)
    ]
    if given not in arguments:
        line += [given.opts[0], ""]
    if "--collection" not in given.opts and any("--collection" in param.opts for param in command.params):
        line += ["--collection", "x"]
    told = text(*verb, *line, "--json", code=2).error
    assert told["code"] == "usage"
    assert (given.opts[0] if given not in arguments else "empty") in told["message"]
    assert os.listdir(tmp_path) == []
