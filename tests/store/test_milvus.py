"""What a collection on a server has that one in a folder has not: other writers, and what fails then."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from camseek.address import milvus_address
from camseek.errors import (
    CollectionBusyError,
    CollectionChangedError,
    CollectionError,
    CollectionVersionError,
    CorruptCollectionError,
    NoCollectionError,
    SettingsError,
    StorageError,
)
from camseek.patterns import Patterns
from camseek.store import (
    FolderCollection,
    Refit,
    Signature,
    create_collection,
    open_collection,
)
from camseek.store.milvus import collection as collection_module
from camseek.store.milvus import mirrors
from camseek.store.milvus import server as server_module
from camseek.store.milvus.rows import Names
from camseek.store.milvus.server import ROWS, TEXT, TRACES, Server
from camseek.store.milvus.sweeping import sweep_epoch

SIGNATURE = Signature(1, 2, 3)


@pytest.fixture
def made(milvus, profile):
    with create_collection(milvus, profile) as opened:
        yield opened


@pytest.fixture
def other(made):
    """The same collection, as another process has it open."""
    with open_collection(made.address) as opened:
        yield opened


def raw(collection):
    """The server, to do there what no writer does."""
    return Server(milvus_address(collection.address))


def files_of(collection):
    with collection.snapshot():
        return sorted(collection.catalogue.ledger().files())


class TestSameAnswers:
    @pytest.fixture
    def both(self, made, tmp_path, profile, fill, picture):
        """The same pictures in a folder and on a server, some of which have left."""
        with FolderCollection.create(tmp_path / "folder", profile) as folder:
            for one in (folder, made):
                fill(one, range(40))
                with one.write("test") as writer:
                    root = writer.root(b"/photos")
                    writer.point(b"/photos/none.jpg", writer.insert(picture(999, None)), SIGNATURE, root)
                    writer.release([b"/photos/3.jpg", b"/photos/17.jpg"], None)
            yield folder, made

    def test_rankings_are_those_of_a_folder(self, both, other, unit):
        folder, _ = both
        queries = np.array([unit(0), unit(500)])
        wanted = folder.vectors.nearest(queries, 12, without=(9,))
        contents = {r: p.content for r, p in folder.catalogue.pictures(range(1, 60)).items()}
        found = both[1].vectors.nearest(queries, 12, without=(9,))
        for one, two in zip(wanted, found, strict=True):
            assert one.records.tolist() == two.records.tolist()
            assert one.scores.tolist() == two.scores.tolist()
            assert (one.compared, one.spread.tolist()) == (two.compared, two.spread.tolist())
        # Another mirror numbers pictures in its own way, and ranks the same ones.
        there = {
            r: p.content for r, p in other.catalogue.pictures(other.catalogue.records().tolist()).items()
        }
        for one, two in zip(
            folder.vectors.nearest(queries, 12), other.vectors.nearest(queries, 12), strict=True
        ):
            assert [contents[r] for r in one.records] == [there[r] for r in two.records]
            assert one.scores.tolist() == two.scores.tolist()

    def test_a_new_mirror_has_all_of_it(self, both, tmp_path, monkeypatch):
        folder, server = both
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
        with open_collection(server.address) as far:
            one, two = folder.catalogue.info(), far.catalogue.info()
            assert (one.pictures, one.files, one.featureless) == (two.pictures, two.files, two.featureless)
            assert {path: root.files for path, root in two.roots.items()} == {b"/photos": 39}
            assert files_of(far) == files_of(folder)
            assert far.profile == replace(folder.profile)
            assert far.catalogue.check() == []


class TestSeveralWriters:
    def test_both_bring_the_same_pictures(self, made, other, picture):
        with made.write("one") as one, other.write("two") as two:
            for writer, numbers in ((one, (1, 2, 3)), (two, (2, 3, 4))):
                root = writer.root(b"/r")
                for number in numbers:
                    writer.point(b"/r/%d" % number, writer.insert(picture(number)), SIGNATURE, root)
            one.commit()
            two.commit()
        for collection in (made, other):
            assert files_of(collection) == [b"/r/1", b"/r/2", b"/r/3", b"/r/4"]
            assert collection.catalogue.count() == 4
            assert collection.catalogue.check() == []

    def test_one_open_collection_has_one_writer(self, made):
        with made.write("one"), pytest.raises(CollectionBusyError), made.write("two"):
            pass

    def test_what_one_takes_away_leaves_the_other(self, made, other, fill):
        fill(made, range(3))
        assert other.catalogue.count() == 3
        with other.write("two") as writer:
            writer.release([b"/photos/1.jpg"], None)
        assert made.catalogue.count() == other.catalogue.count() == 2
        assert files_of(made) == [b"/photos/0.jpg", b"/photos/2.jpg"]

    def test_a_picture_that_one_drops_and_the_other_holds_stays(self, made, other, fill):
        fill(made, [1])
        record = other.catalogue.find((1).to_bytes(32, "big"))
        with other.write("two") as two, made.write("one") as one:
            two.point(b"/second", record, SIGNATURE, two.root(b"/"))
            two.commit()
            one.release([b"/photos/1.jpg"], None)
        assert files_of(made) == files_of(other) == [b"/second"]
        assert made.catalogue.count() == 1
        assert made.catalogue.check() == []

    def test_a_picture_that_leaves_under_a_writer_is_told(self, made, other, fill):
        fill(made, [1])
        record = other.catalogue.find((1).to_bytes(32, "big"))
        with pytest.raises(CollectionChangedError, match="another writer took"), other.write("two") as two:
            with made.write("one") as one:
                one.release([b"/photos/1.jpg"], None)
            two.point(b"/second", record, SIGNATURE, two.root(b"/"))
        assert files_of(made) == files_of(other) == []
        assert made.catalogue.check() == []

    def test_a_whitening_that_was_fitted_meanwhile(self, made, other, picture, fill, unit):
        fill(made, [1])
        with (
            pytest.raises(CollectionChangedError, match="fitted or upgraded by"),
            other.write("two") as two,
        ):
            two.point(b"/late", two.insert(picture(2)), SIGNATURE, two.root(b"/"))
            with made.write("fit") as writer:
                writer.refitter.begin(Refit(asked="so", profile=made.profile))
                for record in writer.refitter.pending():
                    writer.refitter.put(record, unit(77))
                writer.refitter.finish()
        for collection in (made, other):
            assert files_of(collection) == [b"/photos/1.jpg"]
            [record] = collection.vectors.records()
            np.testing.assert_allclose(collection.vectors.of(np.array([record]))[0], unit(77), atol=2**-11)
            assert collection.vectors.generation == 1
        with made.write("compact") as writer:
            writer.compact()
        assert other.catalogue.check() == []


class TestKilled:
    SCRIPT = """
    import os, signal
    from camseek.config import Settings
    from camseek.store import PictureRecord, Signature, open_collection
    from camseek.store.milvus import writer as module
    import numpy as np

    def die(*args):
        os.kill(os.getpid(), signal.SIGKILL)

    vector = np.zeros(16, np.float32)
    vector[3] = 1
    with open_collection({address!r}) as opened, opened.write("killed") as writer:
        root = writer.root(b"/r")
        module.MilvusWriter.{step} = die
        record = writer.insert(PictureRecord(
            content=(7).to_bytes(32, "big"), size=(1, 1), format="PNG", frames=1, descriptor=vector,
            traces={{"a": b"data"}}))
        writer.point(b"/r/7", record, Signature(1, 2, 3), root)
    """

    @pytest.mark.parametrize("step", ["_put_rows", "_put_pictures"])
    def test_between_two_writes_loses_nothing_and_doubles_nothing(self, made, fill, picture, tmp_path, step):
        fill(made, [1])
        script = textwrap.dedent(self.SCRIPT).format(address=made.address, step=step)
        env = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        run = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, timeout=60)
        assert run.returncode == -signal.SIGKILL, run.stderr.decode()
        assert made.catalogue.count() == 1
        assert made.catalogue.check() == []
        fill(made, [7], b"/r")
        assert files_of(made) == [b"/photos/1.jpg", b"/r/7.jpg"]
        assert made.catalogue.count() == 2
        assert made.catalogue.check() == []


class TestTraces:
    def test_long_ones_come_in_parts(self, made, other, picture):
        data = np.random.default_rng(1).bytes(3 * TEXT)
        with made.write("test") as writer:
            record = writer.insert(replace(picture(1), traces={"a": data, "b": b""}))
            writer.point(b"/1", record, SIGNATURE, writer.root(b"/"))
        [there] = other.catalogue.records()
        assert other.traces.get("a", [there]) == made.traces.get("a", [record]) == {record: data}
        assert other.traces.get("b", [there]) == {there: b""}
        # Descriptors as Milvus keeps them, and traces in base64.
        assert other.catalogue.info().bytes == 4 * 16 + 4 * len(data) // 3

    def test_what_was_replaced_or_dropped_is_gone_from_the_server(self, made, picture):
        with made.write("test") as writer:
            record = writer.insert(replace(picture(1), traces={"a": b"one", "b": b"two"}))
            writer.point(b"/1", record, SIGNATURE, writer.root(b"/"))
        with made.write("test") as writer:
            writer.put_trace(record, "a", b"three")
            writer.drop_traces("b")
        name = Names(milvus_address(made.address).name).all
        assert len(list(raw(made).walk(TRACES, name, ("key",)))) == 1
        with made.write("test") as writer:
            writer.release([b"/1"], None)
        assert list(raw(made).walk(TRACES, name, ("key",))) == []

    def test_one_that_is_lost_is_damaged(self, made, picture):
        with made.write("test") as writer:
            record = writer.insert(replace(picture(1), traces={"a": b"one"}))
            writer.point(b"/1", record, SIGNATURE, writer.root(b"/"))
        server = raw(made)
        name = Names(milvus_address(made.address).name).all
        server.delete(TRACES, [row["key"] for row in server.walk(TRACES, name, ("key",))])
        damaged = set()
        assert made.traces.get("a", [record], damaged=damaged) == {}
        assert damaged == {record}
        assert made.traces.damaged("a") == [record]
        assert made.catalogue.check() == [f"the a of record {record} is lost, or not as it was written"]
        with pytest.raises(CorruptCollectionError, match="is lost"):
            made.traces.get("a", [record])


class TestStrangers:
    """Rows that camseek has not written."""

    def alter(self, made, key, **changes):
        server = raw(made)
        fields = ("key", "session", "seq", "content", "text", "vector")
        [row] = server.rows_of(changes.pop("where", ROWS), [key], fields, strong=True)
        server.upsert(changes.pop("of", ROWS), [row | changes])

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("epoch",), "../x"),
            (("identity",), 5),
            (("whitening",), -1),
            (("meta", "settings"), "[]"),
            (("meta", "dimensions"), 0),
            (("meta", "other"), "x"),
            (("meta",), None),
        ],
    )
    def test_a_head_that_cannot_be(self, made, path, value):
        names = Names(milvus_address(made.address).name)
        [row] = raw(made).rows_of(ROWS, [names.head], ("text",), strong=True)
        data = json.loads(row["text"])
        place = data
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value
        self.alter(made, names.head, text=json.dumps(data))
        with pytest.raises(CollectionError), open_collection(made.address) as opened:
            opened.catalogue.check()

    def test_a_later_format(self, made):
        names = Names(milvus_address(made.address).name)
        self.alter(made, names.head, text='{"camseek": 2}')
        with pytest.raises(CollectionVersionError, match="format 2"):
            open_collection(made.address)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[" * 20_000,
            "{}",
            '{"path": "Li4vYQ==", "root": "", "bytes": 1, "mtime_ns": 1, "ctime_ns": 1}',
            '{"path": "L2E=", "root": "", "bytes": 1e99, "mtime_ns": 1, "ctime_ns": 1}',
            '{"path": "L2EA", "root": "", "bytes": 1, "mtime_ns": 1, "ctime_ns": 1}',
        ],
    )
    def test_a_file_that_cannot_be(self, made, fill, text):
        fill(made, [1])
        key = Names(milvus_address(made.address).name).row("file", b"/photos/1.jpg", b"/photos")
        self.alter(made, key, text=text)
        with pytest.raises(CorruptCollectionError, match="damaged"):
            made.catalogue.check()

    def test_a_descriptor_that_cannot_be(self, made, fill, tmp_path, monkeypatch):
        fill(made, [1])
        server, names = raw(made), Names(milvus_address(made.address).name)
        [row] = server.walk("camseek_pictures_16", names.all, ("key", "session", "seq", "content", "text"))
        server.upsert("camseek_pictures_16", [row | {"vector": [0.1] * 16}])
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
        with pytest.raises(CorruptCollectionError, match="unit length"):
            open_collection(made.address)

    def test_a_key_that_cannot_be(self, made, fill):
        fill(made, [1])
        names = Names(milvus_address(made.address).name)
        [row] = raw(made).rows_of(ROWS, [names.head], ("session", "seq", "content", "text", "vector"))
        key = f'{names.rows}file/" or key > "'
        raw(made).upsert(ROWS, [row | {"key": key}])
        with pytest.raises(CorruptCollectionError, match=r"the key .* cannot be"):
            made.catalogue.check()

    def test_a_milvus_collection_of_another_program(self, milvus_port, profile):
        address = f"milvus://127.0.0.1:{milvus_port}/x"
        server = Server(milvus_address(address))
        name = "camseek_pictures_12"
        schema = server._client.create_schema(auto_id=True)
        schema.add_field("id", server._package.DataType.INT64, is_primary=True)
        schema.add_field("vector", server._package.DataType.FLOAT_VECTOR, dim=12)
        server._client.create_collection(name, schema=schema)
        try:
            with pytest.raises(CorruptCollectionError, match="not as camseek makes it"):
                create_collection(address, replace(profile, dimensions=12))
        finally:
            server._client.drop_collection(name)


class TestServer:
    def test_all_rows_are_walked_page_by_page(self, made, fill, monkeypatch, tmp_path):
        """Over segments that are full and such that grow, with rows that were replaced and taken away."""
        fill(made, range(10))
        for name in (ROWS, "camseek_pictures_16"):
            made._server._client.flush(name)
        with made.write("test") as writer:
            for record in made.catalogue.records().tolist()[::2]:
                writer.put_trace(record, "a", b"data")
            writer.release([b"/photos/4.jpg"], None)
        fill(made, [20, 3])
        monkeypatch.setattr(server_module, "PAGE", 3)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
        with open_collection(made.address) as far:
            assert files_of(far) == files_of(made)
            assert far.catalogue.count() == made.catalogue.count() == 10
            assert far.catalogue.check() == []

    def test_a_collection_that_was_half_made(self, milvus_port):
        connection = Server(milvus_address(f"milvus://127.0.0.1:{milvus_port}/x"))
        name = "camseek_pictures_13"
        with pytest.MonkeyPatch.context() as patch:
            client = connection._client
            make = client.create_collection
            bare = lambda *args, index_params, **rest: make(*args, **rest)  # noqa: E731
            patch.setattr(client, "create_collection", bare)
            patch.setattr(Server, "_is_ready", lambda *args: args[1] != name)
            connection.prepare(13)
        try:
            assert connection._client.list_indexes(name) == []
            # It cannot be read, which keeps nobody from taking away what is elsewhere.
            assert name not in connection.picture_collections()
            sweep_epoch(connection, "0" * 16)
            connection.prepare(13)
            assert name in connection.picture_collections()
            assert list(connection.walk(name, "x/", ("key",))) == []
        finally:
            connection._client.drop_collection(name)

    def test_no_collection_of_this_name(self, milvus, made):
        with pytest.raises(NoCollectionError, match="does not exist"):
            open_collection(f"{milvus}-other")

    def test_a_server_that_is_down(self, monkeypatch):
        monkeypatch.setattr(server_module, "CONNECTING", 0.5)
        with pytest.raises(StorageError, match="does not answer"):
            open_collection("milvus://127.0.0.1:1/name")

    def test_a_server_that_goes_in_the_middle(self, made, fill, picture, monkeypatch):
        fill(made, [1])

        def fail(*args, **options):
            raise made._server._package.MilvusException(message="server unavailable")

        with pytest.raises(StorageError, match="unavailable"), made.write("test") as writer:
            writer.point(b"/2", writer.insert(picture(2)), SIGNATURE, writer.root(b"/"))
            with monkeypatch.context() as patch:
                patch.setattr(made._server._client, "upsert", fail)
                writer.commit()
        assert made.catalogue.count() == 1
        fill(made, [2])
        assert made.catalogue.count() == 2
        assert made.catalogue.check() == []

    @pytest.mark.parametrize("version", ["v2.2.16", "unknown"])
    def test_an_older_server(self, milvus, monkeypatch, version):
        import pymilvus

        monkeypatch.setattr(pymilvus.MilvusClient, "get_server_version", lambda self: version)
        with pytest.raises(CollectionVersionError, match=re.escape(version)):
            open_collection(milvus)

    def test_without_the_package(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pymilvus", None)
        with pytest.raises(CollectionError, match="pymilvus") as told:
            open_collection("milvus://127.0.0.1/name")
        assert told.value.remedy == "pip install 'camseek[milvus]'"

    def test_what_lets_in_is_told_nobody(self, milvus, profile, monkeypatch, caplog, capfd):
        address = milvus.replace("//", "//someone:s3cr%40t@")
        with create_collection(address, profile) as opened:
            assert opened.address == milvus
            assert "s3cr" not in repr(opened._server.address) + str(opened.catalogue.info())
            folder = opened._mirror.folder
            for root, _, names in os.walk(folder):
                for name in names:
                    with open(os.path.join(root, name), "rb") as file:
                        assert b"s3cr" not in file.read()

            def fail(*args, **options):
                raise opened._server._package.MilvusException(message="auth failed for someone:s3cr@t")

            monkeypatch.setattr(opened._server._client, "query", fail)
            with pytest.raises(StorageError, match="does not let one in") as told:
                opened.catalogue.check()
            assert "s3cr" not in str(told.value) + str(told.value.remedy)
        assert "s3cr" not in caplog.text + "".join(capfd.readouterr())


class TestMirror:
    def test_it_is_kept_and_taken_up_again(self, made, fill, monkeypatch):
        fill(made, [1, 2])
        made.close()
        read = []
        monkeypatch.setattr(Server, "rows_of", lambda *args, **options: read.append(args) or iter(()))
        with open_collection(made.address) as again:
            assert again.catalogue.count() == 2
        assert read == []

    def test_one_that_is_damaged_is_made_anew(self, made, fill):
        fill(made, [1])
        place = made._mirror.folder / "collection.sqlite"
        made.close()
        place.write_bytes(b"no database")
        with open_collection(made.address) as again:
            assert again.catalogue.count() == 1
            assert again.catalogue.check() == []

    def test_where_nothing_can_be_kept(self, made, fill, monkeypatch, tmp_path):
        fill(made, [1])
        (tmp_path / "file").touch()
        monkeypatch.setattr(mirrors, "mirrors_folder", lambda: tmp_path / "file")
        with open_collection(made.address) as again:
            assert again.catalogue.count() == 1
            folder = again._mirror.folder
        assert not folder.exists()

    def test_a_collection_of_the_same_name_that_was_made_anew(self, made, fill, profile):
        fill(made, [1])
        server, names = raw(made), Names(milvus_address(made.address).name)
        server.delete(ROWS, [row["key"] for row in server.walk(ROWS, names.all, ("key",))])
        with create_collection(made.address, profile) as again:
            assert again.catalogue.count() == 0
            with pytest.raises(CollectionChangedError, match="made anew"):
                made.catalogue.count()

    def test_it_is_looked_once_a_second(self, made, monkeypatch):
        looks = []
        state_of = collection_module.state_of
        monkeypatch.setattr(collection_module, "_LOOK_EVERY", 60.0)
        monkeypatch.setattr(
            collection_module, "state_of", lambda *a, **o: looks.append(1) or state_of(*a, **o)
        )
        for _ in range(5):
            made.catalogue.count()
        assert len(looks) <= 1


def test_names_from_the_collections_folder_on_are_refused(made):
    with made.write("test") as writer:
        with pytest.raises(SettingsError, match="no folder"):
            writer.root(b"/r", relative=True)
        number = writer.root(b"/r")
        writer.anchor(number, relative=False)
        with pytest.raises(SettingsError, match="no folder"):
            writer.anchor(number, relative=True)


def test_patterns_and_settings_come_back(made, other):
    patterns = Patterns(("*.jpg",), ("/old", "\udcff*"))
    with made.write("test") as writer:
        writer.set_patterns(writer.root(b"/r"), patterns)
        writer.keep(("points",))
        with pytest.raises(SettingsError, match="too many"):
            writer.set_patterns(
                writer.root(b"/r"), Patterns(tuple("a" * 4000 + str(n) for n in range(20)), ())
            )
    with other.snapshot():
        assert other.catalogue.ledger().roots()[b"/r"].patterns == patterns
        assert other.profile.keeps == ("points",)
