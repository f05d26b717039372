"""Searches in shards that actors of a Ray cluster of two nodes hold, of a collection on a Milvus server.

``tests/store/test_sharded.py`` compares what shards answer; here they are searched from end to end.
"""

import secrets
import time

import pytest

from camseek import Engine, Plan
from camseek.address import milvus_address
from camseek.errors import ClusterError, CollectionError
from camseek.indexing.copying import copy
from camseek.job import Job
from camseek.searching import Joined, Nearest, Verify, Words
from camseek.store import ShardTold, end_shards, open_collection, open_shards, tell_shards
from camseek.store.sharded import group
from clusters import two_nodes
from textures import png, texture

pytestmark = [
    pytest.mark.points,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]

SHARDS = 3
PLANS = [None, Plan(Words()), Plan(Nearest()), Plan(Joined(), (Verify(5),))]


@pytest.fixture(scope="module")
def head():
    with two_nodes(cores=2) as (cluster, _):
        yield cluster.address


@pytest.fixture(scope="module")
def address(milvus_port):
    return f"milvus://127.0.0.1:{milvus_port}/shards-{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, address, model):
    """Some textures, one of them twice, and a flat picture: in a folder, and on the server."""
    place = tmp_path_factory.mktemp("sharded") / "folder"
    with Engine.open(place, model=model, create=True, workers=2) as engine:
        small = {str(seed): png(texture(seed, (200, 160))) for seed in range(7)}
        engine.add(small | {"large": png(texture(3, (280, 200))), "flat": png(texture(3)[:30, :30] * 0 + 9)})
        with open_collection(str(place)) as source:
            copy(source, address, job=Job.of(None, None))
        yield engine


@pytest.fixture(scope="module")
def sharded(folder, address, head, model):
    with Engine.open(address, model=model, shards=SHARDS, cluster=head, workers=2) as engine:
        yield engine
    end_shards(address, head)


@pytest.fixture(scope="module")
def query():
    return png(texture(3, (200, 160))[20:150, 10:180])


def told(result):
    """What is to be the same: hits by name, with verdicts, boxes and evidence."""
    hits = [
        (
            hit.path,
            hit.scored_by,
            hit.size,
            hit.verdict and hit.verdict.word,
            len(hit.outlines),
            len(hit.evidence),
        )
        for hit in result.hits
    ]
    return hits, result.searched, [(stage.name, stage.pictures, stage.details) for stage in result.stages]


def same(one, two):
    assert told(two) == told(one)
    assert [hit.score for hit in two.hits] == pytest.approx([hit.score for hit in one.hits], abs=1e-4)
    chances = [hit.verdict.probability for hit in one.hits if hit.verdict]
    assert [hit.verdict.probability for hit in two.hits if hit.verdict] == pytest.approx(chances, abs=1e-4)


@pytest.mark.parametrize("plan", PLANS, ids=["usual", "words", "descriptors", "verified"])
def test_hits_are_the_folders(folder, sharded, query, plan):
    one, two = (engine.search(query, plan=plan, top=9) for engine in (folder, sharded))
    assert len(one.hits) > 5
    same(one, two)


def test_many_queries_and_the_querys_own_picture(folder, sharded):
    queries = [png(texture(seed, (200, 160))) for seed in (1, 2)]
    for without in (False, True):
        found = [
            list(engine.search_many(queries, without_self=without, top=4)) for engine in (folder, sharded)
        ]
        for one, two in zip(*found, strict=True):
            same(one, two)


def test_shards_are_shared_and_told(sharded, address, head):
    with open_shards(address, SHARDS, head) as another:
        assert another.catalogue.count() == len(sharded)
        assert another.catalogue.records().tolist() == sharded.collection.catalogue.records().tolist()
    shards = tell_shards(address, head)
    assert [shard.part for shard in shards] == ["1 of 3", "2 of 3", "3 of 3"]
    assert sum(shard.pictures for shard in shards) == len(sharded) == 9
    assert all(shard.host and shard.memory > 1e6 for shard in shards)


def test_a_shard_that_is_lost_in_the_middle_is_made_again(folder, sharded, address, query, capsys):
    import ray

    killed = []

    def kill(_):
        if not killed:
            killed.append(group._name(milvus_address(address), sharded.collection._shards.parts[1]))
            ray.kill(ray.get_actor(killed[0], namespace="camseek"))

    records = sharded.collection.catalogue.records().tolist()
    two = sharded.search(query, top=9, staged=kill)
    same(folder.search(query, top=9), two)
    assert killed
    assert sharded.collection.catalogue.records().tolist() == records, "its mirror was there"
    assert capsys.readouterr().out == ""


def test_what_comes_and_goes_is_seen(sharded, address, model):
    def await_count(count):
        until = time.monotonic() + 30
        while len(sharded) != count and time.monotonic() < until:
            time.sleep(0.1)
        assert len(sharded) == count

    thing = png(texture(77, (200, 160)))
    with Engine.open(address, model=model) as writer:
        writer.add({"new": thing})
        await_count(10)
        [hit] = sharded.search(thing, top=1)
        assert (hit.path, hit.verdict.word) == ("camseek:new", "present")
        writer.remove(["camseek:new"])
        await_count(9)
    assert sharded.search(thing, top=1).hits[0].path != "camseek:new"


def test_it_is_only_read(sharded, photos):
    with pytest.raises(CollectionError, match="only read where it is searched in shards"):
        sharded.add({"x": png(texture(5))})
    with pytest.raises(CollectionError, match="only read where it is searched in shards"):
        sharded.index(photos(1))


@pytest.mark.parametrize("json", [False, True])
def test_the_command_line(folder, sharded, address, head, query, tmp_path, json, text):
    (tmp_path / "query.png").write_bytes(query)
    options = "--collection", address, "--shards", str(SHARDS), "--ray", head
    found = text("search", tmp_path / "query.png", *options, "--top", "3", *(["--json"] * json))
    if json:
        names = [hit["path"] for hit in found.json["hits"]]
        assert names == [hit.path for hit in folder.search(query, top=3)]
        told = text("shards", address, "--ray", head, "--json").json
        assert [shard["part"] for shard in told["shards"]] == ["1 of 3", "2 of 3", "3 of 3"]
    else:
        assert "present" in found.out
        lines = text("shards", address, "--ray", head).out.splitlines()
        assert [line.partition(":")[0] for line in lines] == [f"shard {n} of 3" for n in (1, 2, 3)]


def test_another_camseek_is_told(sharded, address, head, monkeypatch):
    monkeypatch.setattr(group, "VERSION", "0.0")
    with pytest.raises(ClusterError, match=r"this machine 0\.0") as told:
        open_shards(address, SHARDS, head)
    assert "camseek shards --stop" in told.value.remedy
    assert len(tell_shards(address, head)) == SHARDS, "they are others' all the same"


def test_a_cluster_without_room_is_told(sharded, address, head, monkeypatch):
    monkeypatch.setattr(group, "_ROOM", 1.0)
    with pytest.raises(ClusterError, match=r"no room for shard . of 7"):
        open_shards(address, 7, head)
    assert len(tell_shards(address, head)) == SHARDS


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["search", "none.jpg", "--collection", "a", "--shards", "2"], "settings"),
        (["shards", "a"], "settings"),
        (["serve", "--collection", "a", "--shards", "2", "--read-only"], "settings"),
        (["serve", "--collection", "milvus://127.0.0.1:1/a", "--shards", "2"], "settings"),
        (
            ["search", "none.jpg", "--collection", "milvus://127.0.0.1:1/a", "--shards", "2", "--ray", "x"],
            "cluster",
        ),
        (["search", "none.jpg", "--collection", "milvus://127.0.0.1:1/a", "--ray", "auto"], "usage"),
        (["search", "none.jpg", "--collection", "milvus://127.0.0.1:1/a", "--shards", "0"], "usage"),
    ],
)
def test_what_cannot_be(arguments, code, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.jpg").write_bytes(png(texture(1)))
    told = text(*arguments, "--json", code=2 if code == "usage" else 1)
    assert told.error["code"] == code


def test_shards_that_are_not_ready_are_told(monkeypatch, text):
    found = [ShardTold("1 of 2", "there", None, 10), ShardTold("2 of 2", "", None, 0)]
    monkeypatch.setattr("camseek.store.tell_shards", lambda *_: found)
    told = text("shards", "milvus://someone:s3cret@127.0.0.1:1/a")
    assert told.out.splitlines() == [
        "shard 1 of 2 on there is reading its part",
        "shard 2 of 2 does not answer",
    ]
    as_json = text("shards", "milvus://someone:s3cret@127.0.0.1:1/a", "--json")
    assert as_json.json["shards"][1] == {"part": "2 of 2", "host": "", "pictures": None, "memory": 0}
    assert "s3cret" not in as_json.out


def test_no_cluster_is_told(address):
    with pytest.raises(ClusterError, match="no Ray cluster answers"):
        open_shards(address, 2, "127.0.0.1:1")


def test_they_are_ended_and_made_again(sharded, address, head, text):
    assert "3 shards" in text("shards", address, "--ray", head, "--stop").out
    assert "has no shards" in text("shards", address, "--ray", head).out
    assert len(sharded) == 9
    assert text("shards", address, "--ray", head, "--stop", "--json").json["stopped"] == SHARDS
