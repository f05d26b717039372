"""Pictures from other servers: of hosts that the owner named, of some bytes, in some seconds."""

from collections.abc import Collection
from io import BytesIO
from urllib.parse import urlsplit

from camseek.errors import PictureError, TooLargeError
from camseek.images.web import Web
from camseek.service.problems import ApiError

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
        self._web = Web(self._allow)

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
        content = BytesIO()
        try:
            self._web.fetch(url.encode(errors="replace"), content, most=self._most)
        except TooLargeError as error:
            raise ApiError(413, error.code, f"{url!r:.200}: {error.message}") from error
        except PictureError as error:
            raise ApiError(
                422, "remote", f"{url!r:.200} cannot be fetched: {error.message}", error.remedy
            ) from error
        return content.getvalue()

    def _allow(self, old: str, new: str) -> None:
        self.check(new)
