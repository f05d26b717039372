"""Index runs over files of every kind: links, pipes, odd names, files that change, other users' files."""

import base64
import os
import socket
import stat

import pytest

COMPOSED, DECOMPOSED = "caf\u00e9.jpg", "cafe\u0301.jpg"
NOBODY = 65534


class TestKinds:
    def test_links(self, photos, index, names, tmp_path):
        folder, outside = photos(["a.jpg", "in/b.jpg"]), photos(["c.jpg", "d.jpg"], "outside")
        (outside / "d.jpg").write_bytes((outside / "d.jpg").read_bytes() + b"another")
        (folder / "to-a.jpg").symlink_to("a.jpg")
        (folder / "to-d.jpg").symlink_to(outside / "d.jpg")
        (folder / "to-folder").symlink_to(outside)
        (folder / "in" / "loop").symlink_to("..")
        (folder / "self.jpg").symlink_to("self.jpg")
        (folder / "broken.jpg").symlink_to("none.jpg")
        report = index(folder)
        assert report["added"] == 4
        assert report["skipped"] == {"broken.jpg": "broken_link", "self.jpg": "broken_link"}
        assert names(folder / "a.jpg") == [
            [str(folder / "a.jpg"), str(folder / "to-a.jpg")],
            [str(folder / "in" / "b.jpg")],
            [str(folder / "to-d.jpg")],
        ]
        # What a link points to may change without the link.
        (outside / "d.jpg").write_bytes((outside / "c.jpg").read_bytes() + b"a third")
        assert index(folder)["changed"] == 1

    def test_pipes_sockets_and_devices(self, photos, index, monkeypatch):
        folder = photos(1)
        os.mkfifo(folder / "pipe.jpg")
        monkeypatch.chdir(folder)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("socket.jpg")
        kinds = {"pipe.jpg": "not_a_file", "socket.jpg": "not_a_file"}
        assert index(folder) == {"added": 1, "encoded": 1, "skipped": kinds}
        assert index(folder) == {"unchanged": 1, "skipped": kinds}

    @pytest.mark.needs_root
    def test_a_device(self, photos, open_tmp_path, index):
        folder = photos(1)
        os.mknod(folder / "zero.jpg", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        assert index(folder) == {"added": 1, "encoded": 1, "skipped": {"zero.jpg": "not_a_file"}}

    def test_a_picture_that_becomes_a_pipe(self, photos, index):
        folder = photos(2)
        index(folder)
        (folder / "1.jpg").unlink()
        os.mkfifo(folder / "1.jpg")
        assert index(folder) == {"removed": 1, "unchanged": 1, "skipped": {"1.jpg": "not_a_file"}}

    def test_other_files_are_counted(self, photos, index):
        folder = photos(1)
        (folder / "notes.txt").write_text("hello")
        (folder / "Thumbs.db").write_bytes(b"\0" * 100)
        assert index(folder) == {"added": 1, "encoded": 1, "ignored": 2}


class TestNames:
    NAMES = (
        b" leading and trailing .jpg ",
        b"a b\tc.jpg",
        b"line\nbreak\r.jpg",
        b"100%.jpg",
        b"a_b%20c?x=1&y#z.jpg",
        b"'quoted\" \\ back`tick`; $HOME *.jpg",
        b"--top.jpg",
        b"bytes \xff\xfe\x80.jpg",
        b"\xc3.jpg",
        "Ελλάς 日本 🍏.jpg".encode(),
        COMPOSED.encode(),
        DECOMPOSED.encode(),
        b"x" * 251 + b".jpg",
    )

    @pytest.fixture
    def folder(self, tmp_path, encoded):
        root = os.fsencode(tmp_path / "pho\u0301tos")
        os.mkdir(root)
        for number, name in enumerate(self.NAMES):
            with open(os.path.join(root, name), "wb") as file:
                file.write(encoded(number))
        return root

    def test_each_is_found_under_its_own_name(self, folder, index, camseek, collection):
        assert index(folder) == {"added": len(self.NAMES), "encoded": len(self.NAMES)}
        query = os.path.join(folder, self.NAMES[0])
        told = camseek("search", query, "--collection", collection, "--top", "99", "--boxes")
        found = set()
        for hit in told["hits"]:
            assert hit["box"] is not None
            name = base64.b64decode(hit["path_bytes"]) if "path_bytes" in hit else hit["path"].encode()
            assert ("path_bytes" in hit) == ("\ufffd" in hit["path"])
            assert hit["paths"] == [hit["path"]]
            found.add(name)
        assert found == {os.path.join(folder, name) for name in self.NAMES}
        assert index(folder) == {"unchanged": len(self.NAMES)}

    def test_copies_with_names_that_are_no_text(self, photos, encoded, index, camseek, collection):
        folder = os.fsencode(photos(1))
        with open(folder + b"/1\xff.jpg", "wb") as file:
            file.write(encoded(0))
        index(folder)
        [hit] = camseek("search", folder + b"/0.jpg", "--collection", collection)["hits"]
        assert hit["paths"] == [f"{os.fsdecode(folder)}/0.jpg", f"{os.fsdecode(folder)}/1\ufffd.jpg"]
        assert hit["paths_bytes"] == [None, base64.b64encode(folder + b"/1\xff.jpg").decode()]
        assert "path_bytes" not in hit

    @pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
    def test_each_can_be_searched_and_removed(self, folder, camseek, collection, index, name):
        index(folder, "--include", self.NAMES[3].replace(b"%", b"?"))
        path = os.path.join(folder, name)
        assert camseek("add", path, "--collection", collection)["skipped"] == []
        told = camseek("search", path, "--collection", collection, "--top", "1")
        assert told["hits"][0]["score"] == pytest.approx(1, abs=1e-3)
        query = told["query"]["pictures"][0]
        assert base64.b64decode(query.get("path_bytes", "")) in (b"", path)
        assert camseek("remove", path, "--collection", collection)["removed"] == 1

    def test_skipped_ones_too(self, tmp_path, index, camseek, collection):
        path = os.fsencode(tmp_path) + b"/bad\xff\n.jpg"
        with open(path, "wb") as file:
            file.write(b"no picture")
        report = camseek("index", tmp_path, "--collection", collection)
        [skipped] = report["skipped"]
        assert base64.b64decode(skipped["path_bytes"]) == path
        assert skipped["path"] == f"{tmp_path}/bad\ufffd\n.jpg"
        assert camseek("info", "--collection", collection)["skipped"] == report["skipped"]

    def test_composed_and_decomposed_accents_are_two_names(self, photos, index, names):
        folder = photos([COMPOSED, DECOMPOSED])
        assert index(folder) == {"added": 2, "encoded": 2}
        assert names(folder / COMPOSED) == [[str(folder / DECOMPOSED)], [str(folder / COMPOSED)]]
        (folder / COMPOSED).unlink()
        assert index(folder) == {"removed": 1, "unchanged": 1}
        assert names(folder / DECOMPOSED) == [[str(folder / DECOMPOSED)]]

    def test_collections_have_names_too(self, photos, camseek, tmp_path):
        folder = photos(1)
        for name in (b"my pictures\n50%? #1", b"bytes \xff"):
            collection = os.path.join(os.fsencode(tmp_path), name)
            assert camseek("index", folder, "--collection", collection)["added"] == 1
            assert camseek("check", "--collection", collection)["sound"]
            found = camseek("search", folder / "0.jpg", "--collection", collection)
            assert len(found["hits"]) == 1


class TestWhileIndexing:
    """Files that do something while they are indexed."""

    @pytest.fixture
    def after_the_walk(self, monkeypatch):
        """Has something happen between the walk and the reading."""
        from camseek.indexing import bringing

        real = bringing.find_pictures

        def arrange(happening):
            def find_pictures(*args, **options):
                found = real(*args, **options)
                happening()
                return found

            monkeypatch.setattr(bringing, "find_pictures", find_pictures)

        return arrange

    @pytest.fixture
    def while_reading(self, monkeypatch):
        """Has something happen after a file was read."""
        from camseek.extraction import reading

        real = reading.read_picture

        def arrange(happening):
            def decode(file, **options):
                try:
                    return real(file, **options)
                finally:
                    happening()

            monkeypatch.setattr(reading, "read_picture", decode)

        return arrange

    def test_one_vanishes(self, photos, index, after_the_walk, monkeypatch):
        folder = photos(3)
        after_the_walk((folder / "1.jpg").unlink)
        assert index(folder) == {"added": 2, "encoded": 2, "skipped": {"1.jpg": "unreadable"}}
        monkeypatch.undo()
        assert index(folder) == {"unchanged": 2}

    def test_a_known_one_vanishes(self, photos, index, after_the_walk, monkeypatch):
        folder = photos(3)
        index(folder)
        after_the_walk(lambda: (folder / "1.jpg").unlink())
        assert index(folder) == {"unchanged": 2, "skipped": {"1.jpg": "unreadable"}}
        monkeypatch.undo()
        assert index(folder) == {"unchanged": 2, "removed": 1}

    def test_one_becomes_a_pipe(self, photos, index, after_the_walk):
        folder = photos(2)

        def exchange():
            (folder / "1.jpg").unlink()
            os.mkfifo(folder / "1.jpg")

        after_the_walk(exchange)
        assert index(folder) == {"added": 1, "encoded": 1, "skipped": {"1.jpg": "unreadable"}}

    def test_one_is_being_written(self, photos, index, camseek, collection, while_reading, monkeypatch):
        folder = photos(1)

        def write():
            with open(folder / "0.jpg", "ab") as file:
                file.write(b"more")

        while_reading(write)
        told = camseek("index", folder, "--collection", collection)
        assert told["added"] == 0
        assert told["skipped"][0]["code"] == "unreadable"
        assert told["skipped"][0]["reason"] == "it was being written while it was read"
        assert camseek("info", "--collection", collection)["skipped"] == told["skipped"]
        monkeypatch.undo()
        assert index(folder) == {"added": 1, "encoded": 1}
        assert camseek("info", "--collection", collection)["skipped"] == []

    def test_a_known_one_is_being_written(self, photos, encoded, index, names, while_reading, monkeypatch):
        folder = photos(2)
        index(folder)
        (folder / "0.jpg").write_bytes(encoded(5))
        while_reading(lambda: os.utime(folder / "0.jpg", ns=(1, 1)))
        assert index(folder)["skipped"] == {"0.jpg": "unreadable"}
        # What was known of it stays until more is.
        assert len(names(folder / "1.jpg")) == 2
        monkeypatch.undo()
        assert index(folder) == {"changed": 1, "unchanged": 1, "encoded": 1}


@pytest.mark.needs_root
class TestOtherUsers:
    """What somebody sees who may not read everything."""

    @pytest.fixture
    def folder(self, open_tmp_path, encoded):
        place = open_tmp_path / "photos"
        for number, name in enumerate(("a.jpg", "b.jpg", "closed/c.jpg", "closed/deep/d.jpg")):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(encoded(number))
        return place

    @pytest.fixture
    def index(self, open_tmp_path, process):
        home = open_tmp_path / "home"
        home.mkdir()
        os.chown(home, NOBODY, NOBODY)

        def call(folder, *options, code=0):
            arguments = ("index", folder, "--collection", home / "collection", *options)
            return process(*arguments, code=code, user=NOBODY)

        return call

    @pytest.fixture
    def names(self, open_tmp_path, process):
        def call():
            query = open_tmp_path / "photos" / "a.jpg"
            home = open_tmp_path / "home" / "collection"
            told = process("search", query, "--collection", home, user=NOBODY)
            return sorted(os.path.relpath(hit["path"], query.parent) for hit in told.json["hits"])

        return call

    def test_a_folder_that_cannot_be_read_is_unknown_and_never_gone(self, folder, index, names):
        assert index(folder).json["added"] == 4
        os.chmod(folder / "closed", 0o700)
        (folder / "b.jpg").unlink()
        told = index(folder, "--allow-removal").json
        assert (told["unchanged"], told["removed"], told["skipped"]) == (1, 1, [])
        [unknown] = told["unknown_folders"]
        assert unknown["path"] == str(folder / "closed")
        assert "permission" in unknown["reason"]
        assert names() == ["a.jpg", "closed/c.jpg", "closed/deep/d.jpg"]
        os.chmod(folder / "closed", 0o755)
        (folder / "closed" / "c.jpg").unlink()
        told = index(folder).json
        assert (told["unchanged"], told["removed"], told["encoded"]) == (2, 1, 0)

    def test_a_root_whose_folders_all_cannot_be_read(self, folder, index, names):
        index(folder)
        for name in ("a.jpg", "b.jpg"):
            (folder / name).unlink()
        os.chmod(folder / "closed", 0o700)
        # Nothing tells this from a disk that is not there.
        assert index(folder, code=1).json["error"]["code"] == "removal"
        told = index(folder, "--allow-removal").json
        assert (told["removed"], len(told["unknown_folders"])) == (2, 1)

    def test_a_file_that_cannot_be_read_keeps_its_record(self, folder, index, names, encoded):
        index(folder)
        (folder / "b.jpg").write_bytes(encoded(9))
        os.chmod(folder / "b.jpg", 0o600)
        told = index(folder).json
        assert (told["unchanged"], told["changed"], told["removed"]) == (3, 0, 0)
        [skipped] = told["skipped"]
        assert (skipped["path"], skipped["code"]) == (str(folder / "b.jpg"), "not_permitted")
        assert "permission" in skipped["reason"]
        assert "b.jpg" in names()
        os.chmod(folder / "b.jpg", 0o644)
        told = index(folder).json
        assert (told["changed"], told["skipped"]) == (1, [])

    def test_a_root_that_cannot_be_read(self, folder, index, names, open_tmp_path):
        os.chmod(folder, 0o700)
        told = index(folder, code=1)
        assert told.error["code"] == "source"
        assert told.error["message"].startswith(f"{folder} cannot be read: ")
        assert not (open_tmp_path / "home" / "collection").exists()
        os.chmod(folder, 0o755)
        index(folder)
        os.chmod(folder, 0o700)
        assert index(folder, "--allow-removal", code=1).error["code"] == "source"
        os.chmod(folder, 0o755)
        assert len(names()) == 4

    def test_a_root_in_a_folder_that_cannot_be_entered(self, folder, index, names):
        inner = folder / "closed" / "deep"
        index(inner)
        os.chmod(folder / "closed", 0o600)
        error = index(inner, "--allow-removal", code=1).error
        assert error["code"] == "source"
        assert "ermission" in error["message"]
        assert names() == ["closed/deep/d.jpg"]

    def test_a_place_for_a_collection_that_cannot_be_written(self, folder, open_tmp_path, process):
        told = process(
            "index", folder, "--collection", open_tmp_path / "new" / "collection", code=1, user=NOBODY
        )
        assert told.error["code"] == "storage"
        assert str(open_tmp_path / "new" / "collection") in told.error["message"]
        assert not (open_tmp_path / "new").exists()
