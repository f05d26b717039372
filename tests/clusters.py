"""A Ray cluster of this machine, of several nodes, that talks to nobody else."""

import os
from contextlib import contextmanager

# Before Ray is imported, which reads them then.
os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}

from ray.cluster_utils import Cluster

# A node that has gone is missed after a second or two.
_WATCHFUL = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 2,
}
_NODE = {
    "num_cpus": 1,
    "object_store_memory": 80_000_000,
    "node_ip_address": "127.0.0.2",
    "include_dashboard": False,
}


@contextmanager
def two_nodes(cores=1):
    """A cluster of two nodes of so many cores, and its second node, which has what Ray takes for a GPU."""
    node = _NODE | {"num_cpus": cores}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"_system_config": _WATCHFUL})
    try:
        yield cluster, cluster.add_node(**node, num_gpus=1)
    finally:
        cluster.shutdown()
