"""A collection on a Milvus server, with a mirror of it on this machine (the ``Collection`` interface)."""

from camseek.store.milvus.collection import MilvusCollection

__all__ = ["MilvusCollection"]
