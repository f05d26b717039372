"""A Ray cluster as this process joins it: once, however many things here work on it."""

import importlib
import os
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from camseek.errors import CamseekError, ClusterError

NAMESPACE = "camseek"
"""Where the names of our actors lie."""

SAME_VERSION = "install the same version on every machine of the cluster"
"""What is to be done where they differ."""

_GREETING = 5.0
# Ray reads these when it is imported, or when it joins. It says nothing to its makers of who uses it; a
# question after the cluster was left starts none of its own; and where the cluster's head does not answer
# it does not end this process, a service mostly, after a minute, but a day later.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "100000",
}


class _Connection:
    """This process's one connection; several may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._address = ""
        self._head = ""
        self._users = 0

    def join(self, address: str) -> Any:
        ray = _ray()
        with self._lock:
            if self._users and self._address == address:
                greet(self._head)
                self._users += 1
                return ray
            greet(address)
            if ray.is_initialized():
                raise ClusterError(
                    "this process uses a Ray cluster already", remedy="do it from another process"
                )
            try:
                ray.init(
                    address=address,
                    namespace=NAMESPACE,
                    log_to_driver=False,
                    configure_logging=False,
                    logging_level="ERROR",
                )
            except Exception as error:  # of any kind: what Ray raises here has no common base
                text = " ".join(str(error).split())[:300]
                raise ClusterError(
                    f"the Ray cluster {address!r} cannot be used: {text}",
                    remedy="start one with: ray start --head",
                ) from error
            self._address, self._users = address, 1
            self._head = str(ray.get_runtime_context().gcs_address)
        return ray

    def require_head(self) -> None:
        greet(self._head)

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                _ray().shutdown()


_CONNECTION = _Connection()


def join(address: str) -> Any:
    """Joins a cluster, until ``leave`` has been called as often.

    Args:
        address: ``HOST:PORT`` of its head, or ``auto`` for the one of which this machine is a part.

    Returns:
        Ray's package, connected.

    Raises:
        ClusterError: There is none, this process works on another one, or Ray is not installed here.
    """
    return _CONNECTION.join(address)


def leave() -> None:
    """Leaves the cluster, where nobody else in this process works on it."""
    _CONNECTION.leave()


def require_head() -> None:
    """Makes sure that the head of the cluster is there that was joined: Ray itself would wait for minutes.

    Raises:
        ClusterError: It does not answer.
    """
    _CONNECTION.require_head()


@contextmanager
def translated(ray: Any) -> Generator[None]:
    """Inside, what Ray cannot do is an error of camseek's.

    Raises:
        ClusterError: The cluster cannot be used.
    """
    try:
        yield
    # Where the head is away Ray raises what it meets, errors that it has no name for, too.
    except (ray.exceptions.RayError, AssertionError, RuntimeError, OSError) as error:
        raise ClusterError(
            f"the Ray cluster cannot be used: {text_of(error)}",
            remedy="look with: ray status; where it was started anew, start this again, too",
        ) from error


def _ray() -> Any:
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    try:
        # Not typed in a way that a strict checker can follow, and absent from a plain install.
        return importlib.import_module("ray")
    except ImportError as error:
        raise ClusterError(
            f"work on a cluster needs the package ray, which cannot be loaded: {error}",
            remedy="pip install 'camseek[ray]'",
        ) from error


def greet(address: str) -> None:
    """Asks whether anything listens there, for Ray itself would ask for minutes.

    Raises:
        ClusterError: Nothing does, or the address is none.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host or "@" in host:
        raise ClusterError(
            "a cluster is auto or HOST:PORT, as ray start --head prints it",
            remedy="run camseek on a machine of the cluster, and say --ray auto",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _GREETING).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address}: {error}", remedy="start one with: ray start --head"
        ) from error


def told(error: Any) -> Exception:
    """What was raised in a worker: an error of camseek's as it is; of all else that it was there."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, CamseekError):
        return cause
    return ClusterError(
        f"a worker of the cluster failed: {text_of(cause or error)}",
        remedy="check that every machine of it has the same camseek, with the same model",
    )


def text_of(error: BaseException) -> str:
    """An error of Ray's in a line."""
    # Behind its words Ray gives the whole way there.
    words = str(error).partition("traceback: ")[0]
    return " ".join(f"{type(error).__name__}: {words}".split())[:300]
