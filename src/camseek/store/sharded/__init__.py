"""A collection on a server that is searched in shards, which actors of a Ray cluster hold."""

from camseek.store.sharded.collection import ShardedCollection
from camseek.store.sharded.group import end_shards, tell_shards

__all__ = ["ShardedCollection", "end_shards", "tell_shards"]
