"""A group of shards where the cluster, or a shard, is away: what is told, when, and what is asked for.

Ray is a stand-in; ``tests/test_shards.py`` has a cluster of two nodes.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from camseek.errors import ClusterError
from camseek.store.sharded import group as group_module
from camseek.store.sharded.group import Group, end_shards, tell_shards
from camseek.version import VERSION
from parted import ADDRESS


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class GetTimeoutError(RayError):
    pass


class FakeRay:
    """Ray with one actor, which can be lost, slow to begin, and out of reach."""

    exceptions = SimpleNamespace(
        RayError=RayError, RayTaskError=RayTaskError, GetTimeoutError=GetTimeoutError
    )

    def __init__(self):
        self.util = SimpleNamespace(list_named_actors=self.names)
        self.called = []
        self.left = 0
        self.begins = threading.Event()
        self.begins.set()
        self.failure = None
        self.lost = False

    def _method(self, name, answer):
        def remote(*given, **more):
            self.called.append(name)
            return answer

        method = SimpleNamespace(remote=remote)
        method.options = lambda **_: method
        return method

    def names(self):
        if self.failure:
            raise self.failure
        return [f"{group_module._beginning(ADDRESS)}1-of-1"]

    def get_actor(self, name, namespace):
        self.called.append("get_actor")
        if self.failure:
            raise self.failure
        return SimpleNamespace(
            greet=self._method("greet", (VERSION, "here")),
            begin=self._method("begin", "life"),
            ask=self._method("ask", RayError("it is gone") if self.lost else 7),
            tell=self._method("tell", ("here", 7, 1)),
        )

    def get(self, answer, timeout=None):
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, answers, timeout):
        there = self.begins.wait(min(timeout, 0.05))
        return (answers, []) if there else ([], answers)

    def kill(self, handle):
        self.called.append("kill")


@pytest.fixture
def ray(monkeypatch):
    made = FakeRay()

    def leave():
        made.left += 1

    monkeypatch.setattr(group_module, "join", lambda _: made)
    monkeypatch.setattr(group_module, "leave", leave)
    monkeypatch.setattr(group_module, "require_head", lambda: None)
    monkeypatch.setattr(group_module, "_PAUSE", 0.01)
    return made


@pytest.fixture
def group(ray):
    made = Group(ADDRESS, 1, "auto")
    yield made
    made.close()


def ask(group):
    return group.ask("count", {0: ()}, ["life"])


def test_a_shard_answers(group):
    assert ask(group) == {0: 7}


def lose(group, ray):
    """The actor is gone; whoever asks for it again gets what ``ray.lost`` says."""
    ray.lost = True
    group._members[0].handle = ray.get_actor("", "")


FAILURES = pytest.mark.parametrize(
    "failure", [GetTimeoutError("no GCS"), AssertionError("not NoneType"), RuntimeError("no"), OSError("no")]
)


@FAILURES
def test_what_ray_cannot_do_is_an_error_of_ours(group, ray, monkeypatch, failure):
    monkeypatch.setattr(group_module, "_MAKING", 0.05)
    lose(group, ray)
    ray.failure = failure
    for asked in (
        lambda: ask(group),
        lambda: Group(ADDRESS, 1, "auto"),
        lambda: tell_shards(ADDRESS, "auto"),
        lambda: end_shards(ADDRESS, "auto"),
    ):
        with pytest.raises(ClusterError):
            asked()
    assert ray.left == 3, "whoever failed to begin has left"


def test_where_the_head_is_away_nobody_waits_for_it(group, ray, monkeypatch):
    def away():
        raise ClusterError("no Ray cluster answers", remedy="wait")

    lose(group, ray)
    monkeypatch.setattr(group_module, "require_head", away)
    del ray.called[:]
    with pytest.raises(ClusterError, match="no Ray cluster answers"):
        ask(group)
    assert ray.called == ["ask"]


def test_after_it_was_closed_nothing_is_asked_of_ray(group, ray, monkeypatch):
    """Ray would start a cluster of its own then."""
    lose(group, ray)

    def closed():
        group.close()
        raise RayError("it was left")

    monkeypatch.setattr(group, "_handle", lambda *_: closed())
    del ray.called[:]
    with pytest.raises(ClusterError, match="was closed"):
        ask(group)
    assert ray.called == ["ask"]
    with ThreadPoolExecutor(4) as threads:
        [*threads.map(lambda _: group.close(), range(4))]
    assert ray.left == 1


def test_what_a_cluster_has_is_told_and_ended(ray):
    [told] = tell_shards(ADDRESS, "auto")
    assert (told.host, told.pictures, told.memory) == ("here", 7, 1)
    assert end_shards(ADDRESS, "auto") == 1
    assert ray.called[-1] == "kill"
    assert ray.left == 2
