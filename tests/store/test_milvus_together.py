"""Several processes at one collection on a server, where one fails or overtakes another, step by step.

The server is a stand-in: no real one stops where a test wants it to.
"""

import threading

import pytest

from camseek.address import milvus_address
from camseek.errors import StorageError
from camseek.store import Signature
from camseek.store.milvus import MilvusCollection
from camseek.store.milvus import collection as collection_module
from milvus_stand_in import StandIn

ADDRESS = milvus_address("milvus://127.0.0.1:1/name")


@pytest.fixture
def server(monkeypatch):
    """The class of connections to a server of this test's own, which everybody looks at each time."""
    kind = type("OwnStandIn", (StandIn,), {"data": {}})
    monkeypatch.setattr(collection_module, "Server", kind)
    monkeypatch.setattr(collection_module, "_LOOK_EVERY", 0.0)
    return kind


@pytest.fixture
def opened(server, profile):
    """Opens the collection as another process does, each time."""
    MilvusCollection.make(ADDRESS, profile).close()
    made = []

    def do():
        made.append(MilvusCollection(ADDRESS))
        return made[-1]

    yield do
    for collection in made:
        collection.close()


@pytest.fixture
def put(picture):
    def do(writer, numbers, root=b"/photos"):
        number_of_root = writer.root(root)
        for number in numbers:
            record = writer.insert(picture(number))
            writer.point(root + b"/%d.jpg" % number, record, Signature(1, 2, 3), number_of_root)

    return do


def names(collection):
    with collection.snapshot():
        return sorted(collection.catalogue.ledger().files())


class TestLooking:
    def test_a_failed_look_leaves_no_reader_in_an_old_moment(self, opened, fill):
        one, two = opened(), opened()
        fill(one, [1, 2])
        assert two.catalogue.count() == 2
        with two.snapshot():
            two._server.down = True
            assert two.catalogue.count() == 2
        with pytest.raises(StorageError, match="down"):
            two.catalogue.count()
        with pytest.raises(StorageError, match="down"), two.snapshot():
            pass
        two._server.down = False
        fill(one, [3])
        assert two.catalogue.count() == 3
        assert not two._reader._database.in_transaction

    def test_nobody_is_kept_waiting_by_a_look(self, opened, fill):
        one, two = opened(), opened()
        fill(one, [1])
        assert two.catalogue.count() == 1
        begun, go = threading.Event(), threading.Event()

        def stall(*told):
            begun.set()
            assert go.wait(10)

        two._server.before = stall
        slow = threading.Thread(target=two.catalogue.count)
        slow.start()
        try:
            assert begun.wait(10)
            with two.snapshot():
                assert two.catalogue.count() == 1
        finally:
            go.set()
            slow.join()

    def test_a_server_that_is_down_is_not_asked_again_at_once(self, opened, monkeypatch):
        collection = opened()
        collection._server.down = True
        with pytest.raises(StorageError):
            collection.catalogue.count()
        monkeypatch.setattr(collection_module, "_LOOK_EVERY", 60.0)
        assert collection.catalogue.count() == 0
