"""Index runs bring a collection in line with a folder, and touch nothing else."""

import os
import shutil

import pytest


@pytest.fixture
def opened(monkeypatch):
    """The names of the files that index runs open."""
    from camseek.indexing import runs

    seen = []
    real = runs.open_file

    def open_file(path, **bounds):
        seen.append(os.path.basename(os.fsdecode(path)))
        return real(path, **bounds)

    monkeypatch.setattr(runs, "open_file", open_file)
    return seen


@pytest.fixture
def trusting(monkeypatch):
    """Signatures are trusted at once, as they are some seconds after a file was written."""
    monkeypatch.setattr("camseek.images.files._TICK_NS", -(10**18))


@pytest.fixture
def files(camseek, collection):
    return lambda: camseek("info", "--collection", collection)["files"]


class TestReconciling:
    def test_what_is_new_changed_moved_or_gone(self, photos, encoded, index, names):
        folder = photos(6)
        assert index(folder) == {"added": 6, "encoded": 6}
        (folder / "new.jpg").write_bytes(encoded(10))
        (folder / "0.jpg").write_bytes(encoded(11))
        (folder / "more").mkdir()
        (folder / "1.jpg").rename(folder / "more" / "moved.jpg")
        (folder / "2.jpg").unlink()
        os.utime(folder / "3.jpg")
        assert index(folder) == {
            "added": 1,
            "changed": 1,
            "unchanged": 3,
            "moved": 1,
            "removed": 1,
            "encoded": 2,
        }
        found = ["0.jpg", "3.jpg", "4.jpg", "5.jpg", "more/moved.jpg", "new.jpg"]
        assert names(folder / "3.jpg") == [[str(folder / name)] for name in found]
        assert index(folder) == {"unchanged": 6}

    def test_nothing_is_opened_where_nothing_changed(self, photos, index, trusting, opened):
        folder = photos(3)
        index(folder)
        assert sorted(opened) == ["0.jpg", "1.jpg", "2.jpg"]
        opened.clear()
        assert index(folder) == {"unchanged": 3}
        assert opened == []

    def test_a_touched_file_is_read_and_not_encoded(self, photos, index, trusting, opened):
        folder = photos(2)
        index(folder)
        opened.clear()
        os.utime(folder / "0.jpg", ns=(5, 5))
        assert index(folder) == {"unchanged": 2}
        assert opened == ["0.jpg"]
        assert index(folder) == {"unchanged": 2}
        assert opened == ["0.jpg"]

    def test_a_moved_folder_is_not_encoded(self, photos, index, names):
        folder = photos(["a/0.jpg", "a/1.jpg", "b.jpg"])
        index(folder)
        (folder / "a").rename(folder / "z")
        assert index(folder) == {"moved": 2, "unchanged": 1}
        assert names(folder / "b.jpg") == [
            [str(folder / "b.jpg")],
            [str(folder / "z" / "0.jpg")],
            [str(folder / "z" / "1.jpg")],
        ]

    def test_a_copy_is_one_hit_with_several_paths(self, photos, index, names, camseek, collection):
        folder = photos(2)
        index(folder)
        shutil.copy(folder / "0.jpg", folder / "copy.jpg")
        assert index(folder) == {"added": 1, "unchanged": 2}
        both = [str(folder / "0.jpg"), str(folder / "copy.jpg")]
        assert names(folder / "1.jpg") == [both, [str(folder / "1.jpg")]]
        told = camseek("info", "--collection", collection)
        assert (told["pictures"], told["files"]) == (2, 3)
        # The picture stays as long as one of its files does.
        (folder / "0.jpg").unlink()
        assert index(folder) == {"removed": 1, "unchanged": 2}
        assert both[1:] in names(folder / "1.jpg")

    def test_copies_that_come_together(self, photos, encoded, camseek, collection, names):
        folder = photos(1)
        for number in range(20):
            (folder / f"copy{number}.jpg").write_bytes(encoded(0))
        report = camseek("index", folder, "--collection", collection)
        assert (report["added"], report["copies"]) == (21, 20)
        assert len(names(folder / "0.jpg")) == 1
        assert len(names(folder / "0.jpg")[0]) == 21

    def test_two_files_that_swap_their_names(self, photos, index, names, camseek, collection):
        folder = photos(["a.jpg", "b.jpg"])
        for name in ("a.jpg", "b.jpg"):
            os.utime(folder / name, ns=(10**18, 10**18))
        index(folder)
        first = camseek("search", folder / "a.jpg", "--collection", collection, "--top", "1")
        (folder / "a.jpg").rename(folder / "c")
        (folder / "b.jpg").rename(folder / "a.jpg")
        (folder / "c").rename(folder / "b.jpg")
        report = index(folder)
        assert report["changed"] == 2
        assert "moved" not in report
        assert "removed" not in report
        assert names(folder / "a.jpg") == [[str(folder / "a.jpg")], [str(folder / "b.jpg")]]
        for name in ("a.jpg", "b.jpg"):
            now = camseek("search", folder / name, "--collection", collection, "--top", "1")
            assert now["hits"][0]["path"] == str(folder / name)
            assert now["hits"][0]["score"] == pytest.approx(1, abs=1e-3)
        assert first["hits"][0]["path"] == str(folder / "a.jpg")

    @pytest.mark.parametrize("waited", [False, True])
    def test_a_file_rewritten_with_the_same_size_and_time(self, photos, encoded, index, request, waited):
        if waited:
            request.getfixturevalue("trusting")
        one, two = encoded(1), encoded(2)
        size = max(len(one), len(two))
        folder = photos(1)
        (folder / "x.jpg").write_bytes(one.ljust(size, b"\0"))
        os.utime(folder / "x.jpg", ns=(10**18, 10**18))
        index(folder)
        (folder / "x.jpg").write_bytes(two.ljust(size, b"\0"))
        os.utime(folder / "x.jpg", ns=(10**18, 10**18))
        assert index(folder) == {"changed": 1, "unchanged": 1, "encoded": 1}

    @pytest.mark.parametrize(
        "seconds", [0, -1, -(10**9), 2**33, 15 * 10**9], ids=["1970", "1969", "1938", "2242", "2445"]
    )
    def test_times_of_every_kind(self, photos, index, seconds, trusting, opened):
        folder = photos(2)
        os.utime(folder / "0.jpg", ns=(seconds * 10**9 + 7,) * 2)
        assert os.stat(folder / "0.jpg").st_mtime_ns == seconds * 10**9 + 7
        assert index(folder) == {"added": 2, "encoded": 2}
        opened.clear()
        assert index(folder) == {"unchanged": 2}
        assert opened == []

    def test_a_skipped_picture_may_have_any_time(self, photos, index):
        folder = photos(1)
        (folder / "bad.jpg").write_text("no picture")
        os.utime(folder / "bad.jpg", ns=(15 * 10**18,) * 2)
        assert index(folder)["skipped"] == {"bad.jpg": "not_a_picture"}


class TestSkipped:
    def test_it_is_remembered_and_tried_again_when_it_changes(
        self, photos, encoded, index, opened, trusting, camseek, collection
    ):
        folder = photos(1)
        (folder / "bad.jpg").write_bytes(encoded(5)[:300])
        assert index(folder) == {"added": 1, "encoded": 1, "skipped": {"bad.jpg": "damaged"}}
        opened.clear()
        # Listed again, and not opened again.
        assert index(folder) == {"unchanged": 1, "skipped": {"bad.jpg": "damaged"}}
        assert opened == []
        [known] = camseek("info", "--collection", collection)["skipped"]
        assert known["path"] == str(folder / "bad.jpg")
        assert known["reason"].startswith("the JPEG file is damaged")
        (folder / "bad.jpg").write_bytes(encoded(5))
        assert index(folder) == {"added": 1, "unchanged": 1, "encoded": 1}
        assert camseek("info", "--collection", collection)["skipped"] == []

    def test_it_is_tried_again_with_another_limit(self, photos, encoded, index, opened, trusting):
        folder = photos(1)
        (folder / "large.png").write_bytes(encoded(1, (500, 400), "PNG"))
        assert index(folder, "--max-megapixels", "0.1")["skipped"] == {"large.png": "too_large"}
        opened.clear()
        assert index(folder, "--max-megapixels", "0.1")["skipped"] == {"large.png": "too_large"}
        assert opened == []
        assert index(folder, "--max-megapixels", "0.15")["skipped"] == {"large.png": "too_large"}
        assert opened == ["large.png"]
        assert index(folder, "--max-megapixels", "0.2") == {"added": 1, "unchanged": 1, "encoded": 1}

    def test_a_picture_that_is_none_any_more_leaves(self, photos, index, names):
        folder = photos(2)
        index(folder)
        (folder / "1.jpg").write_text("no picture")
        assert index(folder) == {"unchanged": 1, "removed": 1, "skipped": {"1.jpg": "not_a_picture"}}
        assert names(folder / "0.jpg") == [[str(folder / "0.jpg")]]

    def test_it_is_forgotten_when_it_has_gone(self, photos, index, camseek, collection):
        folder = photos(1)
        (folder / "bad.jpg").write_text("no picture")
        index(folder)
        (folder / "bad.jpg").unlink()
        assert index(folder) == {"unchanged": 1}
        assert camseek("info", "--collection", collection)["skipped"] == []

    def test_each_of_two_nested_roots_remembers_it(self, photos, index, opened, trusting):
        folder = photos(["a.jpg", "in/b.jpg"])
        (folder / "in" / "bad.jpg").write_text("no picture")
        for _ in range(2):
            for root in (folder, folder / "in"):
                assert index(root)["skipped"] == {"bad.jpg": "not_a_picture"}
        assert opened.count("bad.jpg") == 2


class TestRoots:
    def test_a_root_reconciles_itself_alone(self, photos, index, names):
        one, two = photos(["a.jpg", "b.jpg"], "one"), photos(["x/c.jpg"], "two")
        (two / "x" / "c.jpg").write_bytes((one / "a.jpg").read_bytes() + b"another")
        index(one)
        index(two)
        (one / "a.jpg").unlink()
        assert index(two) == {"unchanged": 1}
        assert len(names(two / "x" / "c.jpg")) == 3
        assert index(one) == {"removed": 1, "unchanged": 1}
        assert len(names(two / "x" / "c.jpg")) == 2

    def test_a_picture_that_two_roots_hold(self, photos, index, names):
        one, two = photos(["a.jpg", "b.jpg"], "one"), photos(["c.jpg"], "two")
        index(one)
        assert index(two) == {"added": 1}
        (one / "a.jpg").unlink()
        assert index(one) == {"removed": 1, "unchanged": 1}
        assert names(one / "b.jpg") == [[str(one / "b.jpg")], [str(two / "c.jpg")]]

    def test_nested_roots(self, photos, index, names, camseek, collection):
        folder = photos(["a.jpg", "in/b.jpg", "in/c.jpg"])
        index(folder / "in")
        assert index(folder) == {"added": 1, "unchanged": 2, "encoded": 1}
        roots = {root["path"]: root["files"] for root in camseek("info", "--collection", collection)["roots"]}
        assert roots == {str(folder): 3, str(folder / "in"): 2}
        # What one of them leaves out stays for the other's sake.
        assert index(folder, "--exclude", "in") == {"unchanged": 1}
        assert len(names(folder / "a.jpg")) == 3
        (folder / "in" / "b.jpg").unlink()
        assert index(folder / "in") == {"removed": 1, "unchanged": 1}
        assert len(names(folder / "a.jpg")) == 2
        assert index(folder) == {"unchanged": 1}
        assert index(folder, "--no-patterns") == {"unchanged": 2}
        (folder / "in" / "c.jpg").unlink()
        # Gone for both.
        assert index(folder) == {"unchanged": 1, "removed": 1}
        roots = {root["path"]: root["files"] for root in camseek("info", "--collection", collection)["roots"]}
        assert roots == {str(folder): 1, str(folder / "in"): 0}

    @pytest.mark.parametrize("first", ["", "in"])
    def test_what_is_gone_is_gone_for_roots_in_roots(self, photos, index, files, camseek, collection, first):
        folder = photos(["a.jpg", "in/b.jpg", "in/c.jpg", "in/deep/d.jpg", "in/.e.jpg"])
        index(folder / "in", "--include", "*", "--include", ".e.jpg")
        index(folder)
        assert files() == 5
        shutil.rmtree(folder / "in" / "deep")
        (folder / "in" / "b.jpg").unlink()
        assert index(folder / first)["removed"] == 2
        assert files() == 3
        assert camseek("check", "--collection", collection)["sound"]
        # What the outer one never sees is the inner one's alone.
        (folder / "in" / ".e.jpg").unlink()
        assert "removed" not in index(folder)
        assert index(folder / "in")["removed"] == 1
        # And what was added by hand is nobody's.
        camseek("add", folder / "in" / "c.jpg", "--collection", collection)
        (folder / "in" / "c.jpg").unlink()
        index(folder)
        assert files() == 2
        [root] = camseek("info", "--collection", collection)["roots"][1:]
        assert (root["path"], root["files"], root["within"]) == (str(folder / "in"), 0, {"path": str(folder)})
        shutil.rmtree(folder / "in")
        index(folder)
        assert len(camseek("info", "--collection", collection)["roots"]) == 1

    @pytest.mark.parametrize("missing", [False, True])
    def test_one_that_is_suddenly_empty_or_missing(
        self, photos, index, collection, held, files, camseek, missing
    ):
        folder = photos(3)
        index(folder)
        away = folder.with_name("away")
        folder.rename(away)
        if not missing:
            folder.mkdir()
        report = held(folder)
        removal = report["removal"]
        assert (removal["files"], removal["of"], removal["reasons"]) == (3, 3, {"missing": 3})
        assert removal["folders"] == [{"path": str(folder), "files": 3}]
        assert "3 of 3 files" in report["error"]["message"]
        assert files() == 3
        assert index(folder, "--allow-removal") == {"removed": 3}
        assert camseek("info", "--collection", collection)["pictures"] == 0
        if not missing:
            folder.rmdir()
        away.rename(folder)
        assert index(folder) == {"added": 3, "encoded": 3}

    def test_one_that_holds_nothing_but_a_text(self, photos, index, held, files):
        folder = photos(3)
        index(folder)
        for path in folder.iterdir():
            path.unlink()
        (folder / "note.jpg").write_text("out of order")
        assert held(folder)["removal"]["files"] == 3
        assert files() == 3
        assert index(folder, "--allow-removal") == {"removed": 3, "skipped": {"note.jpg": "not_a_picture"}}

    def test_one_that_holds_only_broken_links(self, photos, index, held, files):
        folder = photos(["deep/0.jpg"])
        (folder / "link.jpg").symlink_to("deep/0.jpg")
        index(folder)
        shutil.rmtree(folder / "deep")
        report = held(folder)
        assert report["removal"]["reasons"] == {"missing": 1, "broken_link": 1}
        # What to look at is said once, and of these reasons alone.
        mount, let_go = report["error"]["remedy"].split("; ")
        assert (mount, let_go[:17]) == ("if a disk is not mounted, mount it", "if they are to go")
        assert files() == 2

    def test_patterns_that_leave_nothing(self, photos, index, held, files, camseek, collection):
        folder = photos(2)
        index(folder)
        assert held(folder, "--include", "*.png")["removal"]["reasons"] == {"excluded": 2}
        assert files() == 2
        # They are not kept: nobody agreed.
        assert index(folder) == {"unchanged": 2}
        assert camseek("info", "--collection", collection)["roots"][0]["include"] == []

    def test_one_behind_a_link(self, photos, index, names, tmp_path):
        folder = photos(2)
        link = tmp_path / "link"
        link.symlink_to(folder)
        assert index(link) == {"added": 2, "encoded": 2}
        assert names(folder / "0.jpg") == [[str(link / "0.jpg")], [str(link / "1.jpg")]]

    @pytest.mark.parametrize("spelling", ["photos/", "./photos", "../{}/photos", "photos//"])
    def test_one_root_spelt_in_several_ways(
        self, photos, index, camseek, collection, tmp_path, monkeypatch, spelling
    ):
        index(photos(2))
        monkeypatch.chdir(tmp_path)
        assert index(spelling.format(tmp_path.name)) == {"unchanged": 2}
        assert len(camseek("info", "--collection", collection)["roots"]) == 1

    def test_the_collection_may_lie_in_its_own_root(self, photos, camseek):
        folder = photos(2)
        collection = folder / "found"
        for _ in range(2):
            told = camseek("index", folder, "--collection", collection)
            assert told["added"] + told["unchanged"] == 2
            assert told["ignored"] == 0


class TestWrongRoots:
    @pytest.mark.parametrize("kind", ["missing", "empty", "file", "broken link", "nothing but text"])
    def test_they_leave_no_collection_behind(self, tmp_path, photos, collection, failing, kind):
        place = tmp_path / "place"
        says = "holds no pictures"
        if kind == "missing":
            says = "does not exist"
        elif kind == "empty":
            place.mkdir()
        elif kind == "nothing but text":
            place.mkdir()
            (place / "text.txt").write_text("hello")
        else:
            says = "is not a folder"
            place.symlink_to("nowhere") if kind == "broken link" else place.write_text("hello")
        error = failing("index", place, "--collection", collection)
        assert error["code"] == "source"
        assert error["message"] == f"{place} {says}"
        assert "folder of your pictures" in error["remedy"]
        assert not collection.exists()

    def test_they_change_nothing_in_a_collection(self, tmp_path, photos, index, collection, failing, files):
        index(photos(2))
        (tmp_path / "empty").mkdir()
        for wrong in ("empty", "none", "photos/0.jpg"):
            assert failing("index", tmp_path / wrong, "--collection", collection)["code"] == "source"
        assert files() == 2

    def test_a_folder_of_nothing_but_bad_pictures_is_indexed(self, tmp_path, index):
        (tmp_path / "bad.jpg").write_text("no picture")
        assert index(tmp_path)["skipped"] == {"bad.jpg": "not_a_picture"}


class TestPatterns:
    @pytest.fixture
    def tree(self, photos):
        return photos(["a.jpg", "b.jpeg", "in/c.jpg", "in/deep/d.jpg", "out/e.jpg"])

    @pytest.mark.parametrize(
        ("options", "found"),
        [
            (["--include", "*.jpg"], ["a.jpg", "in/c.jpg", "in/deep/d.jpg", "out/e.jpg"]),
            (["--include", "in"], ["in/c.jpg", "in/deep/d.jpg"]),
            (["--include", "in/*", "--exclude", "deep"], ["in/c.jpg"]),
            (["--exclude", "in", "--exclude", "a*"], ["b.jpeg", "out/e.jpg"]),
            (["--include", "a.jpg", "--include", "b.jpeg"], ["a.jpg", "b.jpeg"]),
        ],
    )
    def test_include_and_exclude(self, tree, index, names, options, found):
        assert index(tree, *options)["added"] == len(found)
        assert names(tree / "a.jpg") == [[str(tree / name)] for name in found]

    def test_what_is_excluded_later_leaves(self, tree, index):
        index(tree)
        assert index(tree, "--exclude", "in") == {"unchanged": 3, "removed": 2}
        # They are kept with the folder.
        assert index(tree) == {"unchanged": 3}
        assert index(tree, "--no-patterns") == {"unchanged": 3, "added": 2, "encoded": 2}
        assert index(tree) == {"unchanged": 5}

    def test_they_are_kept_shown_changed_and_cleared(self, tree, index, text, camseek, collection):
        at = ("--collection", collection)

        def kept():
            [root] = camseek("info", *at)["roots"]
            return root["include"], root["exclude"]

        report = camseek("index", tree, *at, "--exclude", "./in/deep", "--exclude", f"{tree}/out/")
        assert report["added"] == 3
        assert report["patterns"] == {
            "include": [],
            "exclude": ["/in/deep", "/out/"],
            "from": "given",
            "idle": [],
            "before": None,
        }
        assert kept() == ([], ["/in/deep", "/out/"])
        told = text("index", tree, *at)
        assert (
            "patterns of earlier runs (--no-patterns clears them): --exclude /in/deep --exclude" in told.err
        )
        assert "3 unchanged" in told.out
        assert "patterns --exclude /in/deep --exclude /out/" in text("info", *at).out
        # Others take their place, and that is said.
        others = ("--include", "*.jpg", "--exclude", "out")
        told = text("index", tree, *at, *others, "--dry-run")
        assert (
            "patterns of earlier runs would no longer count: --exclude /in/deep --exclude /out/" in told.err
        )
        before = camseek("index", tree, *at, *others, "--dry-run")["patterns"]["before"]
        assert before == {"include": [], "exclude": ["/in/deep", "/out/"]}
        assert index(tree, "--include", "*.jpg", "--exclude", "out") == {
            "unchanged": 2,
            "added": 1,
            "removed": 1,
            "encoded": 1,
        }
        assert kept() == (["*.jpg"], ["out"])
        told = text("index", tree, *at, "--no-patterns")
        assert "patterns of earlier runs no longer count: --include *.jpg --exclude out" in told.err
        assert kept() == ([], [])
        assert "patterns" not in text("index", tree, *at).err

    def test_one_that_matched_nothing_says_so(self, tree, text, camseek, collection):
        given = ("--exclude", "*.tif", "--exclude", "in", "--include", "*.JPG", "--include", "*")
        told = text("index", tree, "--collection", collection, *given)
        said = [line for line in told.err.splitlines() if "matched nothing" in line]
        assert [line.split()[2] for line in said] == ["*.JPG", "*.tif"]
        assert camseek("index", tree, "--collection", collection)["patterns"]["idle"] == ["*.JPG", "*.tif"]

    @pytest.mark.parametrize("pattern", ["/", "..", "\\"])
    def test_one_that_cannot_be_read(self, tree, failing, collection, pattern):
        error = failing("index", tree, "--collection", collection, "--exclude", pattern)
        assert error["code"] == "settings"
        assert ".gitignore" in error["remedy"]
        assert not collection.exists()

    def test_patterns_and_none(self, tree, failing, collection):
        given = ("--exclude", "in", "--no-patterns")
        assert failing("index", tree, "--collection", collection, *given, code=2)["code"] == "usage"

    def test_hidden_files_and_thumbnail_folders_are_left_out(self, photos, index, names):
        folder = photos(["a.jpg", ".hidden.jpg", ".cache/b.jpg", "in/@eaDir/c.jpg", "in/d.jpg"])
        assert index(folder) == {"added": 2, "encoded": 2}
        assert names(folder / "a.jpg") == [[str(folder / "a.jpg")], [str(folder / "in" / "d.jpg")]]
        assert index(folder, "--include", ".hidden.jpg")["added"] == 1


class TestByHand:
    def test_it_stays_until_it_is_removed(self, photos, index, camseek, collection, failing, names, tmp_path):
        folder, other = photos(2), photos(["x.jpg"], "other")
        (other / "x.jpg").write_bytes((other / "x.jpg").read_bytes() + b"another")
        index(folder)
        told = camseek("add", other / "x.jpg", folder / "1.jpg", "--collection", collection)
        assert (told["added"], told["unchanged"], told["encoded"]) == (1, 1, 1)
        assert camseek("info", "--collection", collection)["added_by_hand"] == 2
        (other / "x.jpg").unlink()
        (folder / "1.jpg").unlink()
        # Gone from the folder and from the disk, and still here.
        assert index(folder) == {"unchanged": 1}
        kept = [str(folder / "0.jpg"), str(folder / "1.jpg"), str(other / "x.jpg")]
        assert names(folder / "0.jpg") == sorted([name] for name in kept)
        told = camseek("search", folder / "0.jpg", "--collection", collection, "--boxes")
        gone = [hit for hit in told["hits"] if hit["path"] != kept[0]]
        assert [(hit["box"], hit["box_reason"]) for hit in gone] == [(None, "there is no such file")] * 2
        # Not brought again by a file that is not there.
        assert failing("add", other / "x.jpg", "--collection", collection)["code"] == "source"
        told = camseek("remove", folder / "1.jpg", other / "x.jpg", "--collection", collection)
        assert (told["removed"], told["unknown"]) == (2, [])
        assert names(folder / "0.jpg") == [kept[:1]]

    def test_it_stays_when_it_is_no_picture_any_more(self, photos, index, camseek, collection, names):
        folder = photos(2)
        index(folder)
        camseek("add", folder / "1.jpg", "--collection", collection)
        (folder / "1.jpg").write_text("no picture")
        for _ in range(2):
            assert index(folder) == {"unchanged": 1, "skipped": {"1.jpg": "not_a_picture"}}
        told = camseek("add", folder / "1.jpg", "--collection", collection)
        assert (told["removed"], [item["code"] for item in told["skipped"]]) == (0, ["not_a_picture"])
        assert names(folder / "0.jpg") == [[str(folder / "0.jpg")], [str(folder / "1.jpg")]]
        found = camseek("search", folder / "0.jpg", "--collection", collection, "--boxes")
        assert found["hits"][1]["box_reason"] == "its file has changed since it was indexed"
        assert camseek("remove", folder / "1.jpg", "--collection", collection)["removed"] == 1
        assert index(folder) == {"unchanged": 1, "skipped": {"1.jpg": "not_a_picture"}}

    def test_a_changed_file_is_brought_again(self, photos, encoded, camseek, collection):
        folder = photos(1)
        camseek("add", folder / "0.jpg", "--collection", collection)
        (folder / "0.jpg").write_bytes(encoded(7))
        told = camseek("add", folder / "0.jpg", "--collection", collection)
        assert (told["changed"], told["encoded"]) == (1, 1)
        assert camseek("info", "--collection", collection)["pictures"] == 1

    def test_one_name_twice_in_a_command(self, photos, camseek, collection):
        folder = photos(1)
        again = folder / ".." / "photos" / "0.jpg"
        told = camseek("add", folder / "0.jpg", again, "--collection", collection)
        assert (told["added"], told["encoded"]) == (1, 1)

    def test_a_folder_is_refused_and_leaves_no_collection(self, photos, collection, failing):
        folder = photos(1)
        error = failing("add", folder / "0.jpg", folder, "--collection", collection)
        assert error["code"] == "source"
        assert error["message"] == f"{folder} is a folder"
        assert "camseek index" in error["remedy"]
        assert not collection.exists()

    def test_names_of_nothing_leave_no_collection(self, tmp_path, collection, failing):
        error = failing("add", tmp_path / "none.jpg", "--collection", collection)
        assert error["code"] == "source"
        assert "none.jpg: there is no such file" in error["message"]
        assert not os.path.exists(collection)

    def test_frames_left_out_are_told(self, photos, image, camseek, collection):
        folder = photos(0)
        image(1).save(folder / "a.gif", save_all=True, append_images=[image(2), image(3)])
        [odd] = camseek("add", folder / "a.gif", "--collection", collection)["warnings"]
        assert odd["reason"] == "it has 3 frames; the first one is indexed"

    def test_what_is_no_picture_is_skipped(self, photos, camseek, collection):
        folder = photos(1)
        (folder / "text.jpg").write_text("hello")
        os.mkfifo(folder / "pipe.jpg")
        (folder / "loop.jpg").symlink_to("loop.jpg")
        files = [folder / name for name in ("0.jpg", "text.jpg", "pipe.jpg", "loop.jpg")]
        told = camseek("add", *files, "--collection", collection)
        assert told["added"] == 1
        assert {os.path.basename(item["path"]): item["code"] for item in told["skipped"]} == {
            "loop.jpg": "unreadable",
            "pipe.jpg": "unreadable",
            "text.jpg": "not_a_picture",
        }


class TestRemove:
    def test_a_folder_goes_with_its_root_and_what_was_skipped(self, photos, index, camseek, collection):
        folder = photos(2)
        (folder / "empty.jpg").touch()
        (folder / "text.jpg").write_text("text")
        index(folder)
        told = camseek("info", "--collection", collection)
        assert [os.path.basename(item["path"]) for item in told["skipped"]] == ["empty.jpg", "text.jpg"]
        told = camseek("remove", folder / "text.jpg", "--collection", collection)
        assert (told["removed"], told["unknown"]) == (0, [])
        camseek("remove", folder, "--collection", collection)
        told = camseek("info", "--collection", collection)
        assert (told["pictures"], told["roots"], told["skipped"]) == (0, [], [])

    def test_files_and_folders(self, photos, index, camseek, collection, names):
        folder = photos(["a.jpg", "a_b/c.jpg", "a_b/d/e.jpg", "axb/f.jpg", "a%/g.jpg", "a_bc.jpg"])
        index(folder)
        told = camseek("remove", folder / "a_b", folder / "a%", "--collection", collection)
        assert told["removed"] == 3
        left = [[str(folder / name)] for name in ("a.jpg", "a_bc.jpg", "axb/f.jpg")]
        assert names(folder / "a.jpg") == left
        told = camseek("remove", folder, "--collection", collection)
        assert told["removed"] == 3
        assert camseek("info", "--collection", collection)["pictures"] == 0
        # The files are where they were, and come back.
        assert index(folder) == {"added": 6, "encoded": 6}

    def test_a_name_given_twice(self, photos, index, camseek, collection):
        folder = photos(2)
        index(folder)
        told = camseek("remove", folder / "0.jpg", folder, folder / "0.jpg", "--collection", collection)
        assert told["removed"] == 2

    def test_names_that_are_not_there(self, photos, index, failing, collection, files):
        folder = photos(2)
        index(folder)
        error = failing("remove", folder / "no\nne.jpg", folder / "0", "--collection", collection)
        assert error["code"] == "source"
        assert str(folder / "no\\u000ane.jpg") in error["message"]
        assert files() == 2
