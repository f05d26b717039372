"""Pictures from other servers: of hosts that the owner named, of some bytes, in some seconds."""

import time
import urllib.request
from collections.abc import Collection
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.parse import urlsplit

from camseek.service.problems import ApiError
from camseek.version import VERSION

_SECONDS = 60.0
_SILENCE = 15.0
_BLOCK = 1 << 16
_REMEDY = "start camseek with --allow-remote {}"


class Remote:
    """Fetches from hosts that were named; a redirection elsewhere is refused, too."""

    def __init__(self, hosts: Collection[str], most: int) -> None:
        """Takes what may be fetched.

        Args:
            hosts: Names, with a port where it is not the scheme's own.
            most: Bytes of one file.
        """
        self._hosts = frozenset(host.lower() for host in hosts)
        self._most = most
        self._opener = urllib.request.build_opener(_Redirected(self))
        self._opener.addheaders = [("User-Agent", f"camseek/{VERSION}")]

    def check(self, url: str) -> None:
        """Refuses an address that may not be fetched from here.

        Raises:
            ApiError: It is none, or of a host that nobody named: whoever asks must not reach with this
                machine's hands what they cannot reach themselves.
        """
        try:
            found = urlsplit(url)
            host, port = (found.hostname or "").lower(), found.port
        except ValueError as error:
            raise ApiError(422, "remote", f"{url!r:.200} is no address") from error
        if found.scheme not in ("http", "https") or not host or "@" in found.netloc:
            raise ApiError(422, "remote", f"{url!r:.200} is no address of a file on the web")
        if not {host, f"{host}:{port}"} & self._hosts or (port and f"{host}:{port}" not in self._hosts):
            named = f"{host}:{port}" if port else host
            raise ApiError(403, "remote", f"nothing is fetched from {named}", _REMEDY.format(named))

    def fetch(self, url: str) -> bytes:
        """A file's content.

        Raises:
            ApiError: It may not be fetched, is not there, or takes too many bytes or seconds.
        """
        self.check(url)
        until = time.monotonic() + _SECONDS
        try:
            with self._opener.open(url, timeout=_SILENCE) as answer:
                parts: list[bytes] = []
                got = 0
                while block := answer.read1(_BLOCK):
                    parts.append(block)
                    got += len(block)
                    if got > self._most:
                        raise ApiError(413, "too_large", f"{url!r:.200} has more than {self._most:,} bytes")
                    if time.monotonic() > until:
                        raise ApiError(422, "remote", f"{url!r:.200} comes too slowly", "try it later")
                return b"".join(parts)
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise ApiError(
                422, "remote", f"{url!r:.200} cannot be fetched: {reason}", "try it later"
            ) from error


class _Redirected(urllib.request.HTTPRedirectHandler):
    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        self._remote.check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
