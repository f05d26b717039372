"""A service that runs until it is stopped."""

import asyncio
import ctypes
import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from camseek.errors import SettingsError
from camseek.files import reason_of
from camseek.service.app import application
from camseek.service.house import House

# Connections at once; whoever comes then is told to come again.
_CONNECTIONS = 512
_KEPT_ALIVE = 15
# Requests under way have so many seconds to end when it is stopped.
_ENDING = 5
# A request's line and headers.
_HEAD_BYTES = 1 << 16
# It must have come after so many seconds, and an answer is read within so many, or the connection is cut.
_HEAD_SECONDS = 20
_READING = 60


class _Protocol(H11Protocol):
    """A connection that must say something, and listen: who does neither is cut off.

    uvicorn waits for a request's head for ever, and for a reader as long.
    """

    _timer: asyncio.TimerHandle | None = None
    _full: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer = _cleared(self._timer)
        self._full = _cleared(self._full)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._full = self._full or self.loop.call_later(_READING, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._full = _cleared(self._full)

    def _expect(self) -> None:
        """Waits for the whole head of a request where none is under way."""
        if self._answering():
            self._timer = _cleared(self._timer)
        elif self._timer is None:
            self._timer = self.loop.call_later(_HEAD_SECONDS, self._silent)

    def _silent(self) -> None:
        self._timer = None
        if not self._answering():
            self.transport.abort()

    def _answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete


def _cleared(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        SettingsError: Nothing can listen there.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.create_server(address[:2], family=family)
        # Whoever is accepted has it from here; asyncio sees to it for the sockets that it makes itself alone.
        # Without it what follows the head of an answer waits for a delayed acknowledgement, 40 ms.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "another program listens there" if taken else reason_of(error)
        raise SettingsError(
            f"cannot listen on {host}, port {port}: {reason}", remedy="give another --port, 0 for a free one"
        ) from error


def address_of(found: socket.socket, host: str) -> str:
    """The address of a service for a browser on this machine."""
    port = found.getsockname()[1]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # where it listens, not what is opened
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


# glibc's names for them (malloc.h).
_TRIM, _MMAP, _ARENAS = -1, -3, -8
_KEPT = 1 << 28
_LARGE = 1 << 26


def _keep_memory() -> None:
    """Has what a search lets go kept for the next one, where the system's C library knows how (glibc).

    Otherwise it gives some 60 MB a search back and asks for them again, page by page: 50 ms of the processor.
    """
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        for name, value in ((_ARENAS, 1), (_TRIM, _KEPT), (_MMAP, _LARGE)):
            library.mallopt(name, value)


def run(house: House, found: socket.socket, ready: Callable[[], None], trusted: Sequence[str] = ()) -> None:
    """Serves until the process is told to end (an interrupt, or a polite signal).

    Args:
        house: What is served; closed at the end.
        found: Where it listens.
        ready: Called once it does.
        trusted: Addresses of proxies whose word is taken for who asks, and how.
    """
    _keep_memory()
    config = uvicorn.Config(
        application(house),
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEPT_ALIVE,
        timeout_graceful_shutdown=_ENDING,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        http=_Protocol,
        ws="none",
        proxy_headers=bool(trusted),
        forwarded_allow_ips=list(trusted) or None,
    )
    with suppress(KeyboardInterrupt):  # an interrupt is how it ends
        _Server(config, ready).run(sockets=[found])
