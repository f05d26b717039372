"""What every request passes first: who asks, from where, and how much they send."""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Scoped

from camseek.service.problems import TYPE, ApiError
from camseek.service.settings import ServiceSettings
from camseek.service.tokens import SCOPES, Scope, TokenFile

COOKIE = "camseek"
HEADER = "x-camseek"
"""What a request that changes something carries where no token does: no other site's page can send it."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN = ("/api/v1/session", "/api/v1/health")
_FILES = re.compile(r"/api/v1/(uploads|collections/[^/]+/(pictures|search|batch/files|table))")
_ONCE = ("host", "origin", "authorization", "content-type", "content-length")
_JSON_BYTES = 1 << 20
# Multipart adds some lines to each file.
_ENVELOPE = 1 << 16
_SILENCE = 30.0
# Of what is too much so much is read, for so many seconds.
_DRAINED = 1 << 24
_DRAINED_SECONDS = 5.0
_SLOWEST = 20_000.0  # bytes a second, after the first minute
# Bodies that are under way hold so many bytes together; whoever finds no room for so many seconds is asked to
# come again.
_TOGETHER = 1 << 29
_PATIENCE = 10.0
_LOOK = 0.05
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "geolocation=(), microphone=(), camera=(self)",
}


class Guard:
    """An application behind checks of host, origin, token and size.

    A browser on this machine visits other sites, too, and these must neither read nor change anything
    here. So a request by another host's name is refused (a name that was made to point here), and one that
    another site's page sends, as the browser says (``Origin``, ``Sec-Fetch-Site``). What changes something
    comes with a token, with JSON, or with a header that no form can send.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, tokens: TokenFile | None) -> None:
        """Puts an application behind it.

        Args:
            app: An ASGI application.
            settings: Where it may be reached, and how much it takes.
            tokens: Who may do what; None where whoever reaches it may do everything.
        """
        self._app = app
        self._settings = settings
        self._tokens = tokens
        self._budget = _Budget(max(_TOGETHER, settings.upload_bytes + _ENVELOPE))

    async def __call__(self, scope: Scoped, receive: Receive, send: Send) -> None:
        """Answers a request, or has it answered."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # nothing here speaks over web sockets
        answered, body = False, None

        async def sends(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                message = {**message, "headers": _with_headers(message.get("headers", []))}
            await send(message)

        try:
            headers = _headers_of(scope)
            scope.setdefault("state", {})["scopes"] = self._allowed(scope, headers)
            body = _Body(receive, self._most(scope, headers), self._budget)
            await body.expect(_length(headers))
            await self._app(scope, body, sends)
        except ApiError as error:
            if not answered:
                await _answer(error, sends)
        finally:
            if body is not None:
                body.let_go()

    def _allowed(self, scope: Scoped, headers: Mapping[str, str]) -> tuple[Scope, ...]:
        method, path = scope["method"], scope["path"]
        self._check_place(headers, path, method)
        token, from_cookie = _token(headers)
        scopes: tuple[Scope, ...] = SCOPES if self._tokens is None else self._tokens.scopes(token)
        if self._settings.read_only:
            scopes = tuple(item for item in scopes if item == "read")
        if not path.startswith(("/api/", "/metrics")) or path in _OPEN:
            pass  # the page itself says nothing of any collection
        elif "read" not in scopes:
            if token and self._tokens is not None:
                raise self._tokens.refusal()
            raise ApiError(401, "token", "a token is needed", "send it as: Authorization: Bearer TOKEN")
        if method in _SAFE:
            return scopes
        if self._tokens is None or from_cookie or not token:
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if HEADER not in headers and kind != "application/json":
                raise ApiError(
                    403,
                    "foreign",
                    "what changes something must not come from another site's form",
                    "send JSON, or the header X-Camseek with anything in it",
                )
        return scopes

    def _check_place(self, headers: Mapping[str, str], path: str, method: str) -> None:
        host = _host_name(headers.get("host", ""))
        if (hosts := self._settings.hosts) is not None and host not in hosts:
            raise ApiError(
                421,
                "host",
                "this service is not reached by that name",
                "use its own, or start it with --allow-host NAME",
            )
        origin = headers.get("origin")
        # A page of this service has its own scheme, name and port, whatever a proxy in front of it does.
        if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
            raise ApiError(403, "foreign", "another site asks")
        site = headers.get("sec-fetch-site", "none")
        visits = method == "GET" and headers.get("sec-fetch-mode") == "navigate" and path == "/"
        if site not in ("same-origin", "none") and not visits:
            raise ApiError(403, "foreign", "another site asks")

    def _most(self, scope: Scoped, headers: Mapping[str, str]) -> int:
        # JSON of whatever name is read whole and at once: only what is a file may be large.
        file = scope["method"] not in _SAFE and _FILES.fullmatch(scope["path"])
        json = "json" in headers.get("content-type", "").lower()
        return self._settings.upload_bytes + _ENVELOPE if file and not json else _JSON_BYTES


class _Budget:
    """What the bodies of all requests hold together: as much as has come, so that slow ones take little."""

    def __init__(self, most: int) -> None:
        self._left = most

    async def take(self, count: int) -> None:
        """Takes room for some bytes, once there is.

        Raises:
            ApiError: There is none for a while.
        """
        until = time.monotonic() + _PATIENCE
        while count > self._left:
            if time.monotonic() > until:
                raise ApiError(
                    503, "busy", "so much is being sent just now", "send it again", **{"retry-after": "10"}
                )
            await asyncio.sleep(_LOOK)
        self._left -= count

    def give(self, count: int) -> None:
        """Gives it back."""
        self._left += count


class _Body:
    """A request's body, of so many bytes at most, at some speed at least."""

    def __init__(self, receive: Receive, most: int, budget: _Budget) -> None:
        self._receive = receive
        self._most = most
        self._budget = budget
        self._held = 0
        self._got = 0
        self._began = time.monotonic()
        self._done = False

    async def expect(self, length: int | None) -> None:
        """Refuses what says itself that it is too much.

        Raises:
            ApiError: It does.
        """
        if length is not None and length > self._most:
            raise await self._too_much(length)

    def let_go(self) -> None:
        """Its bytes are not held any more."""
        self._budget.give(self._held)
        self._held = 0

    async def _too_much(self, length: int) -> ApiError:
        """The answer; some of what still comes is read first, or its sender would never see it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAINED_SECONDS):
                while (
                    not self._done and length <= self._most + _DRAINED and self._got < self._most + _DRAINED
                ):
                    message = await self._receive()
                    self._got += len(message.get("body", b""))
                    self._done = not message.get("more_body", False)
        taken = f"{self._most // 1000:,} kB"
        return ApiError(
            413, "too_large", f"more than {taken} were sent", "send less at once: a smaller picture, say"
        )

    async def __call__(self) -> Message:
        if self._done:
            return await self._receive()  # it waits until the client has gone
        try:
            message = await asyncio.wait_for(self._receive(), _SILENCE)
        except TimeoutError:
            raise ApiError(408, "slow", "nothing came for a while", "send it again") from None
        if message["type"] != "http.request":
            return message
        came = len(message.get("body", b""))
        self._got += came
        self._done = not message.get("more_body", False)
        if self._got > self._most:
            raise await self._too_much(0)
        await self._budget.take(came)
        self._held += came
        passed = time.monotonic() - self._began
        if passed > 60 and self._got < (passed - 60) * _SLOWEST:
            raise ApiError(408, "slow", "it comes too slowly", "send it again")
        return message


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ApiError(400, "bad_request", "its length is no number")
    return int(text)


def _headers_of(scope: Scoped) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in found and key in _ONCE:
            raise ApiError(400, "bad_request", f"the header {key} is there twice")
        found[key] = value.decode("latin-1")
    return found


def _host_name(host: str) -> str:
    """The name of a host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _token(headers: Mapping[str, str]) -> tuple[str, bool]:
    """The token that came, and whether a browser sent it by itself."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip(), False
    found = cookie_parser(headers.get("cookie", "")[:8192]).get(COOKIE)
    return (found, True) if found else ("", False)


def _with_headers(headers: Any) -> list[tuple[bytes, bytes]]:
    there = {name.lower() for name, _ in headers}
    more = [(name.encode(), value.encode()) for name, value in _HEADERS.items() if name.encode() not in there]
    kept = [] if b"cache-control" in there else [(b"cache-control", b"no-store")]
    return [*headers, *more, *kept]


async def _answer(error: ApiError, send: Send) -> None:
    found = error.problem
    content = json.dumps(found.model_dump(exclude_none=True)).encode()
    headers = [(b"content-type", TYPE.encode()), (b"content-length", str(len(content)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in error.headers.items()]
    if found.status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of what was sent is not read
    await send({"type": "http.response.start", "status": found.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
