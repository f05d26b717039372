"""How this process joins a cluster; ``tests/indexing/test_cluster.py`` works on one."""

import os
import socket

import pytest

from camseek import clusters
from camseek.errors import ClusterError


def test_ray_is_told_before_it_is_imported(monkeypatch):
    """It ends no process whose cluster is away, starts none by itself, and tells nobody."""
    seen = {}
    for name in clusters._ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")

    def load(name):
        seen.update(os.environ)
        raise ImportError(name)

    monkeypatch.setattr(clusters.importlib, "import_module", load)
    with pytest.raises(ClusterError, match="needs the package ray"):
        clusters.join("auto")
    assert int(seen["RAY_gcs_rpc_server_reconnect_timeout_s"]) > 3600
    assert seen["RAY_ENABLE_AUTO_CONNECT"] == "0"
    assert seen["RAY_USAGE_STATS_ENABLED"] == "1", "what somebody set stays"


def test_a_head_is_looked_for_at_once():
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        clusters.greet(f"127.0.0.1:{port}")
        clusters.greet(f"[127.0.0.1]:{port}")
    with pytest.raises(ClusterError, match="no Ray cluster answers at"):
        clusters.greet(f"127.0.0.1:{port}")
