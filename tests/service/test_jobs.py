"""Jobs and what a service remembers, without a network."""

import contextlib
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from camseek.errors import CancelledError, CollectionBusyError, SettingsError, StorageError
from camseek.patterns import Patterns
from camseek.service import jobs as jobs_module
from camseek.service.jobs import INCOMING, Jobs
from camseek.service.problems import ApiError
from camseek.service.settings import ServiceSettings
from camseek.service.state import Said, State
from camseek.service.tables import read_table
from camseek.service.watching import Watcher

KEYS = {"museum": "key-of-museum"}


@pytest.fixture
def state(tmp_path):
    made = State(tmp_path)
    yield made
    made.close()


def until(look):
    end = time.monotonic() + 20
    while not look():
        assert time.monotonic() < end
        time.sleep(0.005)


def done(job):
    until(lambda: job.over)
    return job


def waits(job):
    """Work that ends when it is stopped."""
    job.cancelled.wait()
    raise CancelledError("stopped", remedy="none")


def test_what_an_earlier_version_remembers_is_taken_over(tmp_path):
    made = State(tmp_path)
    made.run("DROP TABLE dates")
    made.run("ALTER TABLE marks DROP COLUMN region")
    made.run("INSERT INTO marks VALUES ('c', 'q', 'p', 'right', '2026-01-01')")
    made.run("PRAGMA user_version = 1")
    made.close()
    for _ in range(2):
        found = State(tmp_path)
        assert found.marks("c") == [("q", "p", "2026-01-01", Said("right", None))]
        found.close()
    made = State(tmp_path)
    made.run("PRAGMA user_version = 99")
    made.close()
    with pytest.raises(StorageError, match="another version"):
        State(tmp_path)


class TestJobs:
    def test_work_of_other_collections_is_left_alone(self, state):
        Jobs(state, {}, {"museum": "another"}).ask("index", "museum", {})
        found = Jobs(state, {"index": lambda _: {}}, KEYS)
        assert found.all() == []
        found.begin()
        found.close()
        [(told,)] = state.rows("SELECT state FROM jobs")
        assert told == "waiting"

    def test_what_an_earlier_service_had_not_ended_is_taken_up_by_its_key(self, state):
        asked = Jobs(state, {}, KEYS).ask("index", "museum", {"a": 1})
        found = Jobs(state, {"index": lambda job: job.arguments}, {"renamed": "key-of-museum"})
        found.begin()
        assert done(found[asked.id]).report == {"a": 1}
        assert found[asked.id].collection == "renamed"
        found.close()

    def test_what_a_user_stopped_stays_stopped(self, state):
        found = Jobs(state, {"index": waits}, KEYS)
        found.begin()
        job = found.ask("index", "museum", {})
        until(lambda: job.state == "running")
        seen, job.cancelled = job.cancelled, threading.Event()  # a kill comes before the work has seen it
        found.cancel(job)
        assert Jobs(state, {}, KEYS)[job.id].state == "cancelled"
        seen.set()
        found.close()

    def test_what_the_end_of_a_service_stopped_is_taken_up(self, state):
        found = Jobs(state, {"index": waits}, KEYS)
        found.begin()
        job = found.ask("index", "museum", {})
        until(lambda: job.state == "running")
        found.close()
        assert Jobs(state, {}, KEYS)[job.id].state == "waiting"

    def test_a_failing_disk_costs_one_job(self, state, monkeypatch):
        found = Jobs(state, {"index": lambda _: {}}, KEYS)
        found.begin()
        keep, failing = found._keep, [True]

        def full(job, told=None):
            if job.state == "running" and failing.pop() if failing else False:
                raise StorageError("full", remedy="make room")
            keep(job, told)

        monkeypatch.setattr(found, "_keep", full)
        first = done(found.ask("index", "museum", {"number": 1}))
        second = done(found.ask("index", "museum", {"number": 2}))
        assert (first.state, first.problem.code, second.state) == ("failed", "storage", "done")
        found.close()

    def test_what_cannot_be_remembered_is_not_asked_for(self, state, monkeypatch):
        found = Jobs(state, {}, KEYS)

        def full(*_):
            raise StorageError("full", remedy="make room")

        monkeypatch.setattr(found, "_keep", full)
        with pytest.raises(StorageError):
            found.ask("index", "museum", {})
        assert found.all() == []

    def test_one_that_meets_another_writer_is_tried_again(self, state, monkeypatch):
        monkeypatch.setattr(jobs_module, "_BUSY", 0.01)
        times = []

        def work(_):
            times.append(1)
            if len(times) < 3:
                raise CollectionBusyError("another process", remedy="wait")
            return {}

        found = Jobs(state, {"index": work}, KEYS)
        found.begin()
        assert done(found.ask("index", "museum", {})).state == "done"
        assert len(times) == 3
        found.close()

    def test_an_update_gives_way_to_what_a_user_waits_for_and_goes_on(self, state):
        order = []

        def index(job):
            order.append("index")
            if order.count("index") == 1:
                job.carried["added"] = 3
                waits(job)
            return dict(job.carried)

        found = Jobs(state, {"index": index, "remove": lambda _: order.append("remove") or {}}, KEYS)
        found.begin()
        long = found.ask("index", "museum", {})
        until(lambda: order)
        behind = found.ask("index", "museum", {"folder": "another"})
        done(found.ask("remove", "museum", {}))
        assert order[:2] == ["index", "remove"]
        assert done(long).state == done(behind).state == "done"
        assert long.report == {"added": 3}
        found.close()

    def test_an_upgrade_gives_way_to_an_update(self, state):
        order = []

        def upgrade(job):
            order.append("upgrade")
            if order.count("upgrade") == 1:
                waits(job)
            return {}

        found = Jobs(state, {"upgrade": upgrade, "index": lambda _: order.append("index") or {}}, KEYS)
        found.begin()
        long = found.ask("upgrade", "museum", {"model": "other"})
        until(lambda: order)
        behind = found.ask("undo_upgrade", "museum", {})
        found.cancel(behind)
        done(found.ask("index", "museum", {}))
        assert done(long).state == "done"
        assert order == ["upgrade", "index", "upgrade"]
        found.close()

    def test_what_gives_way_can_be_stopped(self, state):
        begun, go_on = threading.Event(), threading.Event()
        found = Jobs(state, {"index": waits, "remove": lambda _: begun.set() or (go_on.wait() and {})}, KEYS)
        found.begin()
        long = found.ask("index", "museum", {})
        until(lambda: long.state == "running")
        short = found.ask("remove", "museum", {})
        assert begun.wait(20)
        assert long.state == "waiting"
        found.cancel(long)
        go_on.set()
        assert (done(short).state, long.state) == ("done", "cancelled")
        found.close()

    def test_many_of_one_kind_throw_out_none_of_another(self, state, monkeypatch):
        monkeypatch.setattr(jobs_module, "_REMEMBERED", 3)
        found = Jobs(state, {"index": lambda _: {}, "groups": lambda _: {}}, KEYS)
        found.begin()
        groups = done(found.ask("groups", "museum", {}))
        for number in range(6):
            done(found.ask("index", "museum", {"number": number}))
        assert found.latest("groups", "museum") is groups
        assert len(found.all()) == 5
        found.close()

    def test_so_many_may_wait(self, state, monkeypatch):
        monkeypatch.setattr(jobs_module, "_WAITING", 2)
        found = Jobs(state, {}, KEYS)
        for number in (1, 2, 2):
            found.ask("index", "museum", {"number": number})
        with pytest.raises(ApiError) as raised:
            found.ask("index", "museum", {"number": 3})
        assert raised.value.problem.status == 429

    def test_uploads_are_told_to_go_when_a_job_has_ended(self, state):
        gone = []
        found = Jobs(state, {"add": lambda _: {}}, KEYS, ended=gone.append)
        first = found.ask("add", "museum", {INCOMING: "a"})
        second = found.ask("add", "museum", {INCOMING: "b"})
        assert found.open_folders() == {"a", "b"}
        found.cancel(second)
        found.begin()
        done(first)
        until(lambda: len(gone) == 2)
        assert found.open_folders() == set()
        found.close()

    def test_readers_alone_where_nothing_is_written(self, state):
        asked = Jobs(state, {}, KEYS)
        index, batch = asked.ask("index", "museum", {}), asked.ask("batch", "museum", {})
        found = Jobs(state, {"index": lambda _: {}, "batch": lambda _: {}}, KEYS)
        found.begin(writing=False)
        assert done(found[batch.id]).state == "done"
        assert found[index.id].state == "waiting"
        found.close()


class TestState:
    def test_two_services_do_not_share_one(self, state, tmp_path):
        with pytest.raises(CollectionBusyError, match="camseek serve"):
            State(tmp_path)

    def test_the_second_is_told_where_the_page_is(self, tmp_path):
        first = State(tmp_path, "camseek open")
        first.say("http://127.0.0.1:8357/")
        with pytest.raises(CollectionBusyError, match=r"at http://127.0.0.1:8357/: .*\(camseek open,"):
            State(tmp_path)
        first.say("javascript:alert(1)")
        with pytest.raises(CollectionBusyError, match=r"^/"):
            State(tmp_path)
        first.close()
        State(tmp_path).close()


class TestSettings:
    def test_read_only_is_not_watched(self, tmp_path):
        with pytest.raises(SettingsError, match="only read"):
            ServiceSettings(collections={"a": "a"}, state=tmp_path, read_only=True, watch=True)

    def test_where_it_listens_everywhere_any_name_will_do(self, tmp_path):
        given = {
            "collections": {"a": "a"},
            "state": tmp_path,
            "token_file": tmp_path / "t",
            "host": "0.0.0.0",
        }
        assert ServiceSettings(**given).hosts is None
        assert "pictures.example" in ServiceSettings(**given, names=("pictures.example",)).hosts
        assert "localhost" in ServiceSettings(**given, names=("pictures.example",)).hosts


class TestWatcher:
    def test_its_own_files_and_what_no_update_looks_at_are_no_change(self, tmp_path):
        asked = []
        photos = tmp_path / "photos"
        settings = ServiceSettings(collections={"a": str(photos / "in.camseek")}, state=photos / "state")
        watcher = Watcher([], SimpleNamespace(ask=lambda *given: asked.append(given)), settings)
        patterns = Patterns.of(str(photos).encode(), (), ("raw/",))
        roots = {("museum", str(photos)): patterns}
        for name in (
            "state/service.sqlite",
            "in.camseek/collection.sqlite-wal",
            ".hidden/a.jpg",
            "raw/b.jpg",
        ):
            watcher._ask(roots, {str(photos / name)})
        watcher._ask(roots, {str(tmp_path / "elsewhere" / "a.jpg")})
        assert asked == []
        watcher._ask(roots, {str(photos / "new" / "a.jpg"), str(photos / "state/x")})
        assert asked == [("index", "museum", {"folder": str(photos)})]


class TestTables:
    def test_quotes_within_quotes(self):
        table = read_table(
            b"file,title,licence\na.jpg,plain,x\n" * 900 + b'b.jpg,"the ""Sun"", a print",CC-BY\n'
        )
        assert table.row(table.key("hall/b.jpg")) == {"title": 'the "Sun", a print', "licence": "CC-BY"}

    @pytest.mark.parametrize("text", [b"'\n\"" * 9000, b"\"'a\n" * 6000, b"' ,\"'" * 6000])
    def test_texts_that_took_minutes(self, text):
        began = time.process_time()
        with contextlib.suppress(ApiError):
            read_table(text)
        assert time.process_time() - began < 2


def test_the_folder_of_a_state_is_named_by_nobody_else(tmp_path):
    State(Path(tmp_path / "deep" / "er")).close()
    assert (tmp_path / "deep" / "er").stat().st_mode & 0o077 == 0
