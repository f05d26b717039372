"""No output takes the place of what somebody would miss."""

import os
import stat

import pytest

from camseek.cli.outputs import Outputs
from camseek.errors import OutputError
from camseek.store import open_collection


@pytest.fixture
def indexed(photos, index):
    folder = photos(3)
    index(folder)
    return folder


@pytest.fixture
def writing(indexed, collection, tmp_path):
    """Each verb that writes, but for where to."""
    query = indexed / "0.jpg"
    return {
        ".html": ("search", query, "--collection", collection, "--top", "1", "--report"),
        ".png": ("explain", query, "--collection", collection, "--top", "1", "--report"),
        ".txt": ("classes", collection, "--list"),
        ".csv": ("export", collection, "--csv"),
        ".npy": ("export", collection, "--descriptors"),
    }


@pytest.fixture
def kept(tmp_path):
    """What all files hold: to be compared afterwards."""

    def look():
        found = {}
        for folder, _, names in os.walk(tmp_path):
            for name in names:
                path = os.path.join(folder, name)
                if stat.S_ISREG(os.lstat(path).st_mode) and not name.startswith("writer."):
                    with open(path, "rb") as file:
                        found[path] = file.read()
        return found

    return look


ENDINGS = [".html", ".png", ".txt", ".csv", ".npy"]


@pytest.mark.parametrize("ending", ENDINGS)
class TestEveryVerb:
    def test_nothing_is_written_over_without_force(self, writing, ending, camseek, failing, tmp_path):
        place = tmp_path / f"out{ending}"
        camseek(*writing[ending], place)
        before = place.read_bytes()
        error = failing(*writing[ending], place)
        assert error["code"] == "output"
        assert error["message"] == f"{place} is there already"
        assert "--force" in error["remedy"]
        place.write_text("mine")
        failing(*writing[ending], place)
        assert place.read_text() == "mine"
        camseek(*writing[ending], place, "--force")
        assert place.read_bytes()[:9] == before[:9]

    @pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
    def test_no_file_of_a_collection(self, writing, ending, failing, collection, kept, force):
        before = kept()
        for name in ("collection.sqlite", "collection.sqlite-wal", "collection.sqlite.new", "writer.json"):
            place = collection / name
            if ending not in (".txt", ".csv"):
                # Others want an ending: a file that has two names.
                place = collection.parent / f"{name}{ending}"
                if not (collection / name).exists():
                    continue
                os.link(collection / name, place)
            assert failing(*writing[ending], place, *force)["code"] == "output"
        assert before.items() <= kept().items()

    def test_nothing_new_in_a_collections_folder(
        self, writing, ending, failing, collection, tmp_path, monkeypatch
    ):
        before = sorted(os.listdir(collection))
        (tmp_path / "link").symlink_to(collection)
        monkeypatch.chdir(collection)
        for place in (collection / f"out{ending}", tmp_path / "link" / f"out{ending}", f"out{ending}"):
            error = failing(*writing[ending], place)
            assert error["code"] == "output"
            assert "a collection's folder" in error["message"]
        assert sorted(os.listdir(collection)) == before

    @pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
    def test_no_picture_that_is_indexed(
        self, writing, ending, failing, indexed, index, kept, tmp_path, force
    ):
        # By content it is a picture, whatever its name; and by its second name, and through a link.
        picture = indexed / f"another{ending}"
        picture.write_bytes((indexed / "1.jpg").read_bytes() + b"another")
        index(indexed)
        link, second = tmp_path / f"link{ending}", tmp_path / f"second{ending}"
        link.symlink_to(picture)
        os.link(picture, second)
        before = kept()
        for place in (picture, link, second):
            assert failing(*writing[ending], place, *force)["code"] == "output"
        assert kept() == before
        assert link.is_symlink()

    def test_not_the_place_of_a_picture_that_is_away(
        self, writing, ending, failing, indexed, index, collection
    ):
        away = indexed / f"away{ending}"
        away.write_bytes((indexed / "1.jpg").read_bytes() + b"away")
        index(indexed)
        away.unlink()
        error = failing(*writing[ending], away, "--force")
        assert error["message"] == f"{away} is in the collection {collection}"
        assert not away.exists()

    def test_no_link_pipe_or_folder(self, writing, ending, failing, tmp_path, kept):
        (tmp_path / "goal").write_text("goal")
        (tmp_path / f"link{ending}").symlink_to(tmp_path / "goal")
        (tmp_path / f"dangling{ending}").symlink_to(tmp_path / "nowhere")
        (tmp_path / f"folder{ending}").mkdir()
        os.mkfifo(tmp_path / f"pipe{ending}")
        before = kept()
        for name in ("link", "dangling", "folder", "pipe"):
            for force in ((), ("--force",)):
                error = failing(*writing[ending], tmp_path / f"{name}{ending}", *force)
                assert error["message"].endswith("is there already, and no plain file")
        assert kept() == before
        assert not (tmp_path / "nowhere").exists()

    def test_it_is_known_before_the_work(self, writing, ending, failing, tmp_path, monkeypatch):
        from camseek.extraction.extractor import Extractor

        def work(*_, **__):
            raise AssertionError("the work began")

        monkeypatch.setattr(Extractor, "extract", work)
        (tmp_path / f"out{ending}").write_text("mine")
        failing(*writing[ending], tmp_path / f"out{ending}")
        failing(*writing[ending], tmp_path / "none" / f"out{ending}", "--force")
        failing(*writing[ending], tmp_path / (300 * "n" + ending))


def test_explain_never_takes_a_photograph(photos, failing, camseek, tmp_path, encoded):
    """Without a collection, too: a picture that camseek did not draw is somebody's."""
    photo = tmp_path / "holiday.png"
    photo.write_bytes(encoded(5, format="PNG"))
    before = photo.read_bytes()
    error = failing("explain", photos(1) / "0.jpg", "--report", photo, "--force")
    assert error["message"] == f"{photo} is a picture: --force does not write over it"
    assert photo.read_bytes() == before
    drawn = tmp_path / "drawn.png"
    camseek("explain", tmp_path / "photos" / "0.jpg", "--report", drawn)
    camseek("explain", tmp_path / "photos" / "0.jpg", "--report", drawn, "--force")


def test_default_names_are_outputs_too(photos, failing, camseek, tmp_path, monkeypatch):
    picture = photos(1) / "0.jpg"
    monkeypatch.chdir(tmp_path)
    camseek("explain", picture)
    assert (tmp_path / "0.explained.png").exists()
    assert "0.explained.html is there already" in failing("explain", picture)["message"]
    camseek("explain", picture, "--force")


def test_two_outputs_of_one_name(photos, failing, tmp_path):
    options = ("--report", tmp_path / "a.png", "--report", f"{tmp_path}/./a.png")
    assert failing("explain", photos(1) / "0.jpg", *options)["message"].endswith("is named twice")
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("ending", [".txt", ".csv"])
def test_no_name_that_makes_a_collection(writing, ending, failing, tmp_path):
    error = failing(*writing[ending], tmp_path / "collection.sqlite")
    assert "would make a collection of its folder" in error["message"]
    assert not (tmp_path / "collection.sqlite").exists()


def test_a_list_of_classes_that_is_read(indexed, collection, camseek, failing, tmp_path):
    place = tmp_path / "list.html"
    camseek("classes", collection, "--list", place)
    before = place.read_bytes()
    options = ("--class-list", place, "--top", "1", "--report", place, "--force")
    error = failing("search", indexed / "0.jpg", "--collection", collection, *options)
    assert error["message"] == f"{place} is what this command reads: {place}"
    assert place.read_bytes() == before


def test_what_lies_in_a_folder_that_is_read(indexed, collection, failing, tmp_path):
    (indexed / "notes.txt").write_text("mine")
    like = ("--like", indexed, "--list", indexed / "notes.txt", "--force")
    assert "is what this command reads" in failing("classes", collection, *like)["message"]
    assert (indexed / "notes.txt").read_text() == "mine"


class TestOutputs:
    def test_another_file_that_came_meanwhile(self, tmp_path):
        place = tmp_path / "out.txt"
        outputs = Outputs([str(place)], force=True)
        place.write_text("theirs")
        with pytest.raises(OutputError, match="come there meanwhile"):
            outputs.write(str(place), "ours")
        known = Outputs([str(place)], force=True)
        place.rename(tmp_path / "elsewhere.txt")
        place.write_text("others'")
        with pytest.raises(OutputError, match="become another file"):
            known.write(str(place), "ours")
        assert place.read_text() == "others'"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere.txt", "out.txt"]

    def test_only_places_that_were_looked_at(self, tmp_path):
        with pytest.raises(KeyError):
            Outputs([], force=True).write(str(tmp_path / "out"), "text")

    def test_files_that_are_read(self, tmp_path):
        (tmp_path / "out").write_text("mine")
        (tmp_path / "link").symlink_to("out")
        outputs = Outputs([str(tmp_path / "out")], force=True)
        outputs.spare_files([os.fsencode(tmp_path / "none")])
        with pytest.raises(OutputError, match="is what this command reads"):
            outputs.spare_files([os.fsencode(tmp_path / "link")])

    def test_a_database(self, tmp_path):
        (tmp_path / "out").write_bytes(b"SQLite format 3\0" + bytes(84))
        with pytest.raises(OutputError, match="is a database: --force does not write over it"):
            Outputs([str(tmp_path / "out")], force=True)

    def test_a_folder_with_links_on_its_way_is_one_place(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        with pytest.raises(OutputError, match="named twice"):
            Outputs([str(tmp_path / "real/out"), str(tmp_path / "link/out")], force=True)

    def test_names_of_skipped_files_are_known(self, indexed, index, collection):
        (indexed / "text.jpg").write_text("text")
        index(indexed)
        (indexed / "second.html").hardlink_to(indexed / "text.jpg")
        outputs = Outputs([str(indexed / "second.html")], force=True)
        with open_collection(str(collection)) as opened:
            names = [os.path.basename(name) for name in opened.catalogue.names()]
            assert names == [b"0.jpg", b"1.jpg", b"2.jpg", b"text.jpg"]
            with pytest.raises(OutputError, match="is in the collection"):
                outputs.spare(opened)
