"""Index runs on a Ray cluster of two nodes, one of which is killed on the way."""

import json
import os
import signal
import socket
import threading
import time
from functools import partial

import numpy as np
import pytest

from camseek import Engine, Settings, load_model
from camseek.cli import run
from camseek.config import PARTS, Encoding, Resize
from camseek.errors import CancelledError, ClusterError, DamagedPictureError, SourceError
from camseek.indexing.cluster import TRIES, _Room, connected
from camseek.store import open_collection
from clusters import two_nodes
from models import other_model

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def cluster():
    with two_nodes() as made:
        yield made


@pytest.fixture
def head(cluster):
    return cluster[0].address


def squares(cluster, work, numbers, **more):
    """What an executor gives for numbers; the last of them that were lost, too."""
    lost = []

    def give_up(item, reason):
        lost.append(item)
        return

    check = more.get("check", lambda: None)
    return list(cluster.map(work, iter(numbers), lost=give_up, check=check)), lost


def held(place):
    """All that a collection holds, by name."""
    with open_collection(str(place)) as collection:
        records = collection.catalogue.records().tolist()
        pictures = collection.catalogue.pictures(records)
        described = collection.vectors.records()
        vectors = dict(zip(described.tolist(), collection.vectors.of(described), strict=True))
        kinds = collection.traces.kinds()
        traces = {kind: collection.traces.get(kind, records) for kind in kinds}
        return {
            os.path.basename(path): (
                record,
                picture.content,
                vectors.get(record),
                {kind: found.get(record) for kind, found in traces.items()},
            )
            for record, picture in pictures.items()
            for path in picture.paths
        }


def same(one, other):
    """Two collections hold the same."""
    assert one.keys() == other.keys()
    for name, (record, content, vector, traces) in one.items():
        assert other[name][:2] == (record, content)
        np.testing.assert_allclose(other[name][2], vector, atol=1e-6)
        assert other[name][3] == traces


def test_workers_on_every_node_and_results_in_order(head):
    def work(number):
        import ray

        time.sleep(0.02)
        return number * number, ray.get_runtime_context().get_node_id()

    with connected(head, sees=[b"/"]) as cluster:
        found, lost = squares(cluster, work, range(60))
        assert [square for square, _ in found] == [number**2 for number in range(60)]
        assert (len({node for _, node in found}), lost) == (2, [])
        actors = [member.handle for member in cluster.members]
        assert squares(cluster, work, [])[0] == []
        assert [square for square, _ in squares(cluster, work, [3])[0]] == [9]
        assert squares(cluster, lambda number: number + 1, [3])[0] == [4]
        assert [member.handle for member in cluster.members] == actors, "they stay"


def test_an_actor_for_each_gpu(head):
    def work(number):
        import ray

        return number, ray.get_gpu_ids()

    with connected(head, sees=[b"/"], gpus=lambda: True) as cluster:
        assert squares(cluster, work, range(9)) == ([(number, [0]) for number in range(9)], [])
        assert len(cluster.members) == 1


@pytest.mark.parametrize(
    ("nodes", "gpus", "room"),
    [
        ([{"CPU": 4}, {"CPU": 2}], True, _Room(6)),
        ([{"CPU": 4, "GPU": 2}, {"CPU": 2}], False, _Room(6)),
        ([{"CPU": 16, "GPU": 2}, {"CPU": 5, "GPU": 1}, {"CPU": 64}], True, _Room(3, 5, True)),
        ([{"CPU": 1, "GPU": 2}], True, _Room(2, 1, True)),
        ([], True, _Room(1)),
    ],
)
def test_room(nodes, gpus, room):
    assert _Room.of(nodes, gpus=gpus) == room


def test_what_kills_workers_is_given_up_and_nothing_with_it(head):
    def work(number):
        if number == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number

    with connected(head, sees=[b"/"]) as cluster:
        found, lost = squares(cluster, work, range(20))
    assert found == [None if number == 5 else number**2 for number in range(20)]
    assert lost == [5]
    assert TRIES == 3


def test_errors_and_cancellation(head):
    def damaged(number):
        if number == 2:
            raise DamagedPictureError("it is broken", remedy="none")
        return number

    def wrong(number):
        raise KeyError(number)

    def slow(number):
        time.sleep(30)

    stop = threading.Event()

    def check():
        if stop.is_set():
            raise CancelledError("stopped", remedy="none")

    with connected(head, sees=[b"/"]) as cluster:
        with pytest.raises(DamagedPictureError, match="it is broken"):
            squares(cluster, damaged, range(8))
        with pytest.raises(ClusterError, match="a worker of the cluster failed: KeyError"):
            squares(cluster, wrong, range(8))
        threading.Timer(1.0, stop.set).start()
        began = time.monotonic()
        with pytest.raises(CancelledError):
            squares(cluster, slow, range(8), check=check)
        assert time.monotonic() - began < 15
        assert cluster.members == []
    with connected(head, sees=[b"/nowhere"]) as cluster, pytest.raises(ClusterError, match="does not see"):
        squares(cluster, damaged, [1])


@pytest.mark.parametrize("address", ["museum", "ray://head:10001", "me:hush@host:6379", "host:port"])
def test_addresses_that_are_none(address):
    with pytest.raises(ClusterError, match="auto or HOST:PORT") as raised, connected(address, sees=[b"/"]):
        pass
    assert "hush" not in str(raised.value)


def test_nobody_answers_and_no_package(monkeypatch, engine, photos):
    folder = photos(1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ClusterError, match="no Ray cluster answers"):
        engine.index(folder, cluster=f"127.0.0.1:{port}")
    assert len(engine) == 0

    def missing(name):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr("camseek.clusters.importlib.import_module", missing)
    with pytest.raises(ClusterError, match="needs the package ray") as raised:
        engine.index(folder, cluster="auto")
    assert raised.value.remedy == "pip install 'camseek[ray]'"
    with pytest.raises(SourceError):
        engine.index(folder / "nowhere")


def test_what_is_made_anew_comes_out_as_without_a_cluster(
    head, photos, encoded, tmp_path, model, monkeypatch
):
    """Parts and another network; one picture has no file."""
    folder = photos(4)
    monkeypatch.setenv("CAMSEEK_MODELS", str(tmp_path / "models"))
    other_model(tmp_path / "models")
    other = load_model("other", threads=1)
    settings = Settings(encoding=Encoding.parse("rmac"), size=Resize.parse("64"))
    states = []
    for cluster in (None, head):
        place = tmp_path / f"c{len(states)}"
        with Engine.open(place, model=model, create=True, without=PARTS, settings=settings) as engine:
            engine.index(folder)
            engine.add({"given": encoded(9)})
            seen = []
            for work in (engine.enrich, partial(engine.upgrade, other)):
                report = work(cluster=cluster)
                assert report.pictures == 5
                seen.append(held(place))
            states.append(seen)
    for one, other_one in zip(*states, strict=True):
        same(one, other_one)


def test_a_collection_comes_out_as_without_a_cluster(cluster, head, photos, encoded, tmp_path, model):
    """The last test: it kills a node."""
    ray_cluster, node = cluster
    folder = photos(24)
    (folder / "copy.jpg").write_bytes(encoded(3))
    (folder / "broken.jpg").write_bytes(encoded(30)[:200])
    (folder / "large.png").write_bytes(encoded(40, size=(300, 200), format="PNG"))
    with Engine.open(tmp_path / "threads", model=model, create=True) as engine:
        expected = engine.index(folder)

    class Killing:
        def start(self, total):
            self.left = 9

        def step(self):
            self.left -= 1
            if self.left == 0:
                ray_cluster.remove_node(node, allow_graceful=False)

    with Engine.open(tmp_path / "cluster", model=model, create=True) as engine:
        report = engine.index(folder, cluster=head, progress=Killing())
        again = engine.index(folder, cluster=head)
    for count in ("added", "copies", "encoded", "changed", "removed"):
        assert getattr(report, count) == getattr(expected, count)
    assert report.skipped == expected.skipped
    assert (again.unchanged, again.encoded) == (26, 0)
    same(held(tmp_path / "threads"), held(tmp_path / "cluster"))


def test_the_command(head, photos, tmp_path, capsys):
    words = ["index", str(photos(2)), "--collection", str(tmp_path / "c"), "--ray", head, "--json"]
    assert run([*words, "--without", "points"]) == 0
    assert json.loads(capsys.readouterr().out)["encoded"] == 2
