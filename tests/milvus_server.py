"""A Milvus server for tests: one for all processes of a test run, started by the first that wants it."""

import fcntl
import os
import signal
import socket
import sys
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

# What a process has started ends with the last of them, not with this one.
_STARTED = []


class Milvus:
    """A server of the package ``milvus`` in a folder of its own, on free ports of this machine."""

    def __init__(self, folder):
        from milvus import MilvusServer

        folder.mkdir(exist_ok=True)
        server = MilvusServer()
        server.set_base_dir(str(folder))
        # Whoever wants to see all that was written waits for the next tick.
        server.config.set("proxy.timeTickInterval", 20)
        # Its etcd has ports of its own, which the package does not choose: several servers would not start.
        etcd = folder / "etcd.yaml"
        etcd.write_text(_ETCD.format(client=_free_port(), peer=_free_port()))
        config = server.config
        config.template_text = config.template_text.replace(
            "\netcd:\n", f"\netcd:\n  config:\n    path: {etcd}\n", 1
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # its sockets
            server.start()
        self.process, server.server_proc = server.server_proc, None
        for file in server.proc_fds.values():
            file.close()
        self.port = server.listen_port

    def stop(self):
        self.process.kill()
        self.process.wait()


_ETCD = """name: default
listen-client-urls: http://127.0.0.1:{client}
advertise-client-urls: http://127.0.0.1:{client}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster: default=http://127.0.0.1:{peer}
"""


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def shared_port(folder):
    """The port of the server that all processes share which name the same folder."""
    with _locked(folder):
        if not (folder / "port").exists():
            server = Milvus(folder / "milvus")
            _STARTED.append(server)
            (folder / "pid").write_text(str(server.process.pid))
            (folder / "port").write_text(str(server.port))
        _count(folder, 1)
    try:
        yield int((folder / "port").read_text())
    finally:
        with _locked(folder):
            if _count(folder, -1) == 0:
                _end(int((folder / "pid").read_text()))
                (folder / "port").unlink()


@contextmanager
def _locked(folder):
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _count(folder, more):
    place = Path(folder / "count")
    number = (int(place.read_text()) if place.exists() else 0) + more
    place.write_text(str(number))
    return number


def _end(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for server in _STARTED:
        server.process.wait()
    for _ in range(100):
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            time.sleep(0.05)
            continue
        return


def _serve(folder):
    """Serves until it is ended; says its port when it is ready."""
    server = Milvus(Path(folder))
    # The server is a process of its own, which would go on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        print(server.port, flush=True)
        signal.pause()
    finally:
        server.stop()


if __name__ == "__main__":
    _serve(sys.argv[1])
