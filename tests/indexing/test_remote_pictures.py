"""Pictures from object storage and the web: index runs, and every later step that needs a file."""

import json
import logging
import socket
import threading
from collections import Counter
from contextlib import suppress

import fsspec
import numpy as np
import pytest
import s3fs

from buckets import shelves, storage
from camseek import Engine, Plan
from camseek.cli import run
from camseek.errors import SourceError, UnreadableFileError
from camseek.images import remote, web
from camseek.searching import DescribeAnew, Nearest


@pytest.fixture(scope="module")
def s3():
    with storage() as served:
        yield served


@pytest.fixture(autouse=True)
def _drivers_are_new(monkeypatch):
    """Drivers read the environment when they are made."""
    remote._driver.cache_clear()
    yield
    remote._driver.cache_clear()
    fsspec.filesystem("memory").store.clear()
    fsspec.filesystem("memory").pseudo_dirs[:] = [""]


@pytest.fixture
def bucket(s3, monkeypatch, request):
    """Makes a bucket of the test's own; the environment leads to it."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    made = []

    def make(files):
        name = f"b{len(made)}-{abs(hash(request.node.nodeid)) % 10**9}"
        made.append(name)
        return s3.bucket(name, files), name

    return make


@pytest.fixture
def asked(monkeypatch):
    """How often S3 was asked what."""
    counts, real = Counter(), s3fs.S3FileSystem._call_s3

    async def counted(self, method, *given, **more):
        counts[method] += 1
        return await real(self, method, *given, **more)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", counted)
    return counts


@pytest.fixture
def memory():
    """Puts files into fsspec's memory."""
    files = fsspec.filesystem("memory")

    def put(some):
        for name, content in some.items():
            files.pipe(name, content)

    put.files = files
    return put


def of_folder(place, files, model):
    """What a folder of the same files gives."""
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    with Engine.open(place.parent / "of-folder", model=model, create=True, without=("points",)) as engine:
        report = engine.index(place)
        names, vectors = engine.descriptors()
    return report, [name[len(str(place)) + 1 :] for name in names], vectors


def test_a_bucket_is_indexed_as_a_folder_is(engine, bucket, s3, asked, encoded, tmp_path, model):
    files = {
        "photos/0.jpg": encoded(0),
        "photos/deep/er/1.JPG": encoded(1),
        "photos/a b%+ü#?.png": encoded(2, format="PNG"),
        "photos/copy.jpg": encoded(0),
        "photos/without-an-ending": encoded(3),
        "photos/.hidden.jpg": encoded(4),
        "photos/text.txt": b"text",
        "photos/broken.jpg": encoded(5)[:100],
        "photos/empty.jpg": b"",
        "photos/letter": b"Dear Sir,",
        "photos.jpg": encoded(6),
        "elsewhere/7.jpg": encoded(7),
    }
    address, name = bucket(files)
    root = f"{address}/photos"
    report = engine.index(root + "/")
    expected, names, vectors = of_folder(
        tmp_path / "photos",
        {key[7:]: content for key, content in files.items() if key.startswith("photos/")},
        model,
    )
    found, seen = engine.descriptors()
    assert [path[len(root) + 1 :] for path in found] == names
    np.testing.assert_array_equal(seen, vectors)
    assert (report.added, report.copies, report.encoded) == (
        expected.added,
        expected.copies,
        expected.encoded,
    )
    skipped = {item.path[len(root) + 1 :]: item.code for item in report.skipped}
    assert skipped == {b"broken.jpg": "damaged", b"empty.jpg": "not_a_picture", b"letter": "not_a_picture"}

    asked.clear()
    again = engine.index(root)
    assert (again.unchanged, again.added, again.encoded, again.removed) == (5, 0, 0, 0)
    assert len(again.skipped) == 3
    assert asked == {"list_objects_v2": 1}, "nothing is read that has not changed"

    s3.put(name, "photos/0.jpg", encoded(8))
    s3.put(name, "photos/new.jpg", encoded(9))
    s3.delete(name, "photos/deep/er/1.JPG")
    asked.clear()
    last = engine.index(root)
    assert (last.changed, last.added, last.removed, last.unchanged) == (1, 1, 1, 3)
    assert asked["get_object"] == 2
    assert engine.collection.catalogue.check() == []
    assert f"{root}/new.jpg" in engine.descriptors()[0]


def test_every_later_step_reads_from_the_bucket(engine, bucket, s3, encoded):
    address, name = bucket({f"{number}.jpg": encoded(number) for number in range(3)})
    engine.index(address)
    plan = Plan(first=Nearest(), then=(DescribeAnew(shortlist=3),))
    result = engine.search(f"{address}/1.jpg", plan=plan, boxes=True, views=True)
    assert result.hits[0].path == f"{address}/1.jpg"
    assert not any(isinstance(view, str) for view in result.views)
    assert engine.fit(max_samples=2).pictures == 3
    # What holds something else now is not taken for what it was, be it longer or as long.
    s3.put(name, "1.jpg", encoded(5) + bytes(1000))
    s3.delete(name, "2.jpg")
    last = engine.search(encoded(0), views=True)
    seen = {hit.path[-5:]: view for hit, view in zip(last.hits, last.views, strict=True)}
    assert not isinstance(seen.pop("0.jpg"), str)
    assert seen == {
        "1.jpg": "its file has changed since it was indexed",
        "2.jpg": "there is no such file or bucket",
    }
    assert engine.remove([f"{address}/1.jpg"]).removed == 1
    assert engine.remove([address]).removed == 2
    assert len(engine) == 0


def test_the_command_line(bucket, encoded, tmp_path, capsys, model):
    address, _ = bucket({"in/0.jpg": encoded(0), "in/1.png": encoded(1), "out/2.jpg": encoded(2)})
    place = str(tmp_path / "c")

    def told(*words):
        assert run([*words, "--collection", place, "--json"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return lines if words[0] == "list" else lines[0]

    rehearsed = told("index", address, "--exclude", "out/", "--dry-run")
    assert (rehearsed["added"], rehearsed["dry_run"]) == (2, True)
    assert told("index", address, "--exclude", "out/", "--without", "points")["added"] == 2
    assert told("index", address, "--no-patterns")["added"] == 1
    assert [root["path"] for root in told("info")["roots"]] == [address]
    listed = told("list", "--match", f"{address}/in/")
    assert [item["path"] for item in listed] == [f"{address}/in/0.jpg", f"{address}/in/1.png"]
    assert told("search", f"{address}/in/1.png")["hits"][0]["path"] == f"{address}/in/1.png"
    assert told("check")["sound"]
    assert told("remove", f"{address}/in")["removed"] == 2
    assert told("add", f"{address}/in/0.jpg")["added"] == 1
    assert run(["index", address, "--relative", "--collection", place]) == 1
    assert "--relative" in capsys.readouterr().err


def test_a_listing_that_fails_half_way_removes_nothing(engine, bucket, encoded, monkeypatch):
    address, _ = bucket({f"{number}.jpg": encoded(number) for number in range(4)})
    engine.index(address)
    real = s3fs.S3FileSystem._call_s3

    async def two_a_page(self, method, *given, **more):
        if method == "list_objects_v2":
            if "ContinuationToken" in more:
                raise OSError("the line broke")
            more["MaxKeys"] = 2
        return await real(self, method, *given, **more)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", two_a_page)
    with pytest.raises(SourceError, match=r"cannot be listed: .*the line broke"):
        engine.index(address, allow_removal=True)
    assert len(engine) == 4


def test_an_emptied_bucket_is_held_and_a_bucket_that_is_gone_is_an_error(engine, bucket, s3, encoded):
    address, name = bucket({"0.jpg": encoded(0)})
    engine.index(address)
    s3.delete(name, "0.jpg")
    assert engine.index(address).held
    s3.client.delete_bucket(Bucket=name)
    with pytest.raises(SourceError, match="no such file or bucket"):
        engine.index(address, allow_removal=True)
    assert len(engine) == 1
    with pytest.raises(SourceError, match="no such file or bucket"):
        engine.index("s3://never-there")


def test_a_bucket_without_rights(engine, bucket, monkeypatch, encoded):
    address, _ = bucket({"0.jpg": encoded(0)})
    engine.index(address)
    denied = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Not for you</Message></Error>'

    def deny(handler):
        handler.send_response(403)
        handler.send_header("Content-Length", str(len(denied)))
        handler.end_headers()
        handler.wfile.write(denied)

    class Everything(dict):
        def __contains__(self, path):
            return True

        def __getitem__(self, path):
            return deny

    with shelves({}, answers=Everything()) as (endpoint, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        remote._driver.cache_clear()
        with pytest.raises(SourceError, match=r"no permission.*Not for you") as raised:
            engine.index(address, allow_removal=True)
        assert "AWS_ACCESS_KEY_ID" in raised.value.remedy
    assert len(engine) == 1


def test_a_server_that_does_not_answer(engine, memory, encoded, monkeypatch):
    monkeypatch.setattr(web, "_SILENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(SourceError, match="not answer in time"):
            engine.index(f"http://127.0.0.1:{port}/photos")
    with pytest.raises(SourceError, match="cannot be listed"):
        engine.index(f"http://127.0.0.1:{port}/photos")

    async def never(self, *given, **more):
        import asyncio

        await asyncio.sleep(60)

    monkeypatch.setattr(s3fs.S3FileSystem, "_info", never)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(remote._Objects._ask, "__kwdefaults__", {"seconds": 0.2})
    report = engine.add(["s3://slow/0.jpg"])
    assert [item.reason for item in report.skipped] == ["its server does not answer in time"]


def test_what_vanishes_or_changes_between_the_list_and_the_reading(engine, memory, encoded, monkeypatch):
    memory({f"/photos/{number}.jpg": encoded(number) for number in range(3)})
    real, once = remote._Objects._ask, threading.Event()

    def meddled(self, method, *given, **more):
        told = real(self, method, *given, **more)
        if method == "find":
            memory.files.rm("/photos/0.jpg")
            memory({"/photos/1.jpg": encoded(7)})
        if method == "cat_file" and given == ("photos/2.jpg",) and not once.is_set():
            once.set()
            memory({"/photos/2.jpg": encoded(8)})
        return told

    monkeypatch.setattr(remote._Objects, "_ask", meddled)
    report = engine.index("memory://photos")
    told = {item.path: item.reason for item in report.skipped}
    assert told == {
        b"memory://photos/0.jpg": "there is no such file or bucket",
        b"memory://photos/2.jpg": "it was being written while it was read",
    }
    monkeypatch.setattr(remote._Objects, "_ask", real)
    after = engine.index("memory://photos")
    assert (after.unchanged, after.added, after.skipped) == (1, 1, [])


def test_a_picture_may_not_be_larger_than_a_file_may(engine, memory, encoded, monkeypatch):
    memory({"/photos/0.jpg": encoded(0), "/photos/1.jpg": encoded(1) + bytes(10_000)})
    real = remote.fetch
    monkeypatch.setattr(
        "camseek.images.files.fetch", lambda path, *, most, only: real(path, most=5000, only=only)
    )
    report = engine.index("memory://photos")
    assert [(item.path[-5:], item.code) for item in report.skipped] == [(b"1.jpg", "too_large")]


class TestTheWeb:
    def test_pages_of_links(self, engine, encoded):
        files = {
            "/photos/0.jpg": encoded(0),
            "/photos/deep/a b.png": encoded(1),
            "/photos/notes.txt": b"notes",
            "/other/2.jpg": encoded(2),
        }
        with shelves(files) as (server, asked):
            report = engine.index(f"{server}/photos/")
            assert engine.descriptors()[0] == [f"{server}/photos/0.jpg", f"{server}/photos/deep/a%20b.png"]
            assert (report.added, report.ignored, report.skipped) == (2, 1, [])
            asked.clear()
            assert engine.index(f"{server}/photos").unchanged == 2
            assert Counter(method for method, _ in asked) == {"GET": 3, "HEAD": 2}, "a manifest?"
            assert not isinstance(engine.search(encoded(1), views=True).views[0], str)
            del files["/photos/0.jpg"]
            assert engine.index(f"{server}/photos").removed == 1

    def test_what_a_server_cannot_say_now_is_no_removal(self, engine, encoded):
        files = {f"/photos/{place}.jpg": encoded(number) for number, place in enumerate(("a", "b/c", "b/d"))}
        answers = {}
        with shelves(files, answers=answers) as (server, _):
            engine.index(f"{server}/photos")
            answers["/photos/b/"] = answers["/photos/a.jpg"] = lambda handler: handler.send_error(500)
            report = engine.index(f"{server}/photos", allow_removal=True)
            assert (report.removed, len(report.unknown), len(engine)) == (0, 2, 3)
            answers["/photos/"] = lambda handler: handler.send_error(503)
            with pytest.raises(SourceError, match="answers 503"):
                engine.index(f"{server}/photos", allow_removal=True)
            answers["/photos/"] = lambda handler: (handler.send_response(200), handler.end_headers())
            with pytest.raises(SourceError, match="no page that lists it"):
                engine.index(f"{server}/photos", allow_removal=True)

    def test_an_endless_file_and_one_that_breaks_off(self, engine, encoded, monkeypatch):
        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            try:
                while handler.command == "GET":
                    handler.wfile.write(bytes(1 << 16))
            except OSError:
                pass

        def broken(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "9000")
            handler.end_headers()
            handler.wfile.write(encoded(0))
            handler.close_connection = True

        monkeypatch.setattr("camseek.images.files.MOST_BYTES", 100_000)
        monkeypatch.setattr("camseek.images.files.open_file.__kwdefaults__", {"most": 100_000, "only": None})
        with shelves({}, answers={"/0.jpg": endless, "/1.jpg": broken}) as (server, _):
            report = engine.add([f"{server}/0.jpg", f"{server}/1.jpg"])
        assert [item.reason for item in report.skipped] == [
            "it has more than 100,000 bytes",
            "it broke off before its end",
        ]

    def test_the_head_of_an_answer_that_comes_letter_by_letter(self, monkeypatch):
        monkeypatch.setattr(web, "_HEAD", 0.3)
        ended = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as server:

            def drip():
                connection, _ = server.accept()
                with connection, suppress(OSError):
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                    while not ended.wait(0.05):
                        connection.sendall(b"a")

            dripping = threading.Thread(target=drip)
            dripping.start()
            try:
                with pytest.raises(UnreadableFileError, match="its server does not answer in time"):
                    web.Web().look(b"http://127.0.0.1:%d/a.jpg" % server.getsockname()[1])
            finally:
                ended.set()
                dripping.join()

    def test_a_server_sends_nobody_elsewhere(self, engine):
        def away(handler):
            handler.send_response(302)
            handler.send_header("Location", "http://localhost:1/secret?token=abc")
            handler.end_headers()

        with shelves({}, answers={"/0.jpg": away}) as (server, _):
            [skipped] = engine.add([f"{server}/0.jpg"]).skipped
        assert skipped.reason == "its server sends us elsewhere: http://localhost:1/secret?***"


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIA123:hush@bucket/photos",
        "https://me:hush@host/photos",
        "https://host/photos?X-Amz-Signature=hush",
        "s3://bucket/photos?X-Amz-Credential=hush",
        "https://host/photos#hush",
    ],
)
def test_secrets_in_an_address(address, tmp_path, capsys, caplog):
    caplog.set_level(logging.DEBUG)
    place = tmp_path / "c"
    for words in (["index", address], ["add", address], ["search", address]):
        assert run([*words, "--collection", str(place)]) != 0
        out, err = capsys.readouterr()
        assert "hush" not in out + err + caplog.text
    assert not place.exists()
    assert "leave it out" in err or words[0] == "search"


def test_schemes_and_drivers_that_are_not_there(engine, monkeypatch):
    with pytest.raises(SourceError, match="not read from ftp://"):
        engine.index("ftp://host/photos")
    with pytest.raises(SourceError, match="names no bucket"):
        engine.index("s3:///photos")
    real = remote.importlib.import_module

    def missing(name):
        if name == "s3fs":
            raise ImportError("No module named 's3fs'")
        return real(name)

    monkeypatch.setattr(remote.importlib, "import_module", missing)
    with pytest.raises(SourceError, match="needs the package s3fs") as raised:
        engine.index("s3://bucket/photos")
    assert raised.value.remedy == "pip install 'camseek[remote]'"


def test_a_file_of_this_machine_may_have_an_address(engine, photos):
    folder = photos(2, "a folder")
    assert engine.index(f"file://{folder}".replace(" ", "%20")).added == 2
    assert engine.descriptors()[0] == [str(folder / "0.jpg"), str(folder / "1.jpg")]
