"""Files of the web: fetched within bounds, and found by the links of a page where a server lists a folder.

By the standard library and not by fsspec, which takes every answer that is no success for a file that is not
there, and an answer for one of any length.
"""

import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from io import BytesIO
from typing import IO, BinaryIO, cast
from urllib.error import HTTPError
from urllib.parse import urljoin, urlsplit

from camseek.errors import NotPermittedError, PictureError, TooLargeError, UnreadableFileError
from camseek.images.found import RATE, SECONDS, UNMARKED, FoundFile, Walk, mark_of
from camseek.images.iiif import looks_like_manifest
from camseek.images.manifests import MOST_OF_LIST, Manifests, escaped
from camseek.names import without_secrets
from camseek.version import VERSION

_SILENCE = 15.0
# Until the head of an answer has come, however little of it comes at a time.
_HEAD = 30.0
_BLOCK = 1 << 16
# Folders in all, and how deep.
_PAGES, _DEEP = 100_000, 64
# So much of a root tells a manifest from a page.
_BEGINNING = 256
_AT_ONCE = 8
_TICK_SECONDS = 2


class Web:
    """Fetches files of the web. Threads may share one."""

    def __init__(self, allow: Callable[[str, str], None] | None = None) -> None:
        """Takes what a server may send us to.

        Args:
            allow: Told where from and where to; raises where that must not be. None: the same server alone.
        """
        self._opener = urllib.request.build_opener(_Redirected(allow or _same_server), _Http, _Https)
        self._opener.addheaders = [("User-Agent", f"camseek/{VERSION}")]

    def fetch(self, path: bytes, file: BinaryIO, *, most: int, only: int | None = None) -> FoundFile:
        """Writes a file's content, and says what its server says of it.

        Args:
            path: Its address.
            file: Where it is written.
            most: A file that has more bytes is not wanted.
            only: Write so many bytes of it; None for all.

        Raises:
            TooLargeError: It has more bytes.
            NotPermittedError: The server wants to know who asks.
            UnreadableFileError: It is not there, does not come, or comes too slowly.
        """
        began, got = time.monotonic(), 0
        with self._open(path, "GET") as answer:
            found, wanted = _found(path, answer.headers), most if only is None else only
            if found.size > most:
                raise _too_large(most)
            while got < wanted + (only is None) and (block := _block(answer, wanted + 1 - got)):
                file.write(block)
                got += len(block)
                if time.monotonic() - began > SECONDS + got / RATE:
                    raise UnreadableFileError("it comes too slowly", remedy="try it later")
        if only is not None:
            return found
        if got > most:
            raise _too_large(most)
        if found.size not in (-1, got):
            raise UnreadableFileError("it broke off before its end", remedy="try it later")
        return replace(found, size=got)

    def look(self, path: bytes) -> FoundFile:
        """What a server says of a file; errors as ``fetch``."""
        try:
            answer = self._open(path, "HEAD")
        except _UnknownMethodError:
            # Image servers are made for browsers, and some know nothing else; its content is left there.
            answer = self._open(path, "GET")
        with answer:
            return _found(path, answer.headers)

    def listing(self, root: bytes, walk: Walk, enters: Callable[[bytes], bool]) -> Iterator[FoundFile]:
        """The files beneath a folder of which the server has pages with links; of none more than its name.

        Or the pictures of a IIIF manifest, or of a collection of manifests, where the root is one.

        Args:
            root: The folder's address, or the manifest's.
            walk: Gains the folders that cannot be read.
            enters: Whether a folder counts, told from the root on.

        Raises:
            PictureError, ManifestError: The root cannot be read.
        """
        if self._is_manifest(root):
            yield from Manifests(self.fetch, root, walk).pictures()
            return
        todo, known = [root], {root}
        while todo:
            folder = todo.pop()
            try:
                links = self._links(folder)
            except PictureError as error:
                if folder == root:
                    raise
                walk.unknown.append((folder, error.message, error.code))
                continue
            for link in sorted(links - known):
                known.add(link)
                if not link.endswith(b"/"):
                    yield FoundFile(link, -1, -1, UNMARKED)
                    continue
                beneath = link.rstrip(b"/")
                if beneath in known or not enters(beneath[len(root) + 1 :]):
                    continue
                known.add(beneath)
                if len(known) > _PAGES * 100 or beneath[len(root) :].count(b"/") > _DEEP:
                    walk.unknown.append((beneath, "it lies too deep", UnreadableFileError.code))
                    continue
                todo.append(beneath)

    def complete(self, files: list[FoundFile], walk: Walk) -> list[FoundFile]:
        """Files with what the server says of each; one that it says nothing of now is unknown."""

        def told(file: FoundFile) -> FoundFile | PictureError:
            try:
                return self.look(file.path)
            except PictureError as error:
                return error

        kept: list[FoundFile] = []
        with ThreadPoolExecutor(_AT_ONCE, "camseek-web") as pool:
            for file, answer in zip(files, pool.map(told, files), strict=True):
                if isinstance(answer, PictureError):
                    walk.unknown.append((file.path, answer.message, answer.code))
                else:
                    kept.append(answer)
        return kept

    def _is_manifest(self, root: bytes) -> bool:
        head = BytesIO()
        try:
            self.fetch(root, head, most=MOST_OF_LIST, only=_BEGINNING)
        except PictureError:
            return False  # a server may know a folder by its slash alone
        return looks_like_manifest(head.getvalue())

    def _links(self, folder: bytes) -> set[bytes]:
        """The addresses beneath a folder to which its page leads."""
        content, place = BytesIO(), folder + b"/"
        self.fetch(place, content, most=MOST_OF_LIST)
        text = content.getvalue().decode("utf-8", errors="replace")
        reader = _Links()
        reader.feed(text)
        reader.close()
        if not reader.page:
            raise UnreadableFileError(
                "its server gives no page that lists it", remedy="name its pictures one by one: camseek add"
            )
        found: set[bytes] = set()
        for target in reader.targets:
            try:
                link = escaped(urljoin(place.decode(), target))
            except ValueError:
                continue
            if link.startswith(place) and link != place and not (b"?" in link or b"#" in link):
                found.add(link)
        return found

    def _open(self, path: bytes, method: str) -> HTTPResponse:
        url = path.decode("utf-8", errors="replace")
        try:
            request = urllib.request.Request(url, method=method)  # noqa: S310  # http and https alone come here
            return cast(HTTPResponse, self._opener.open(request, timeout=_SILENCE))
        except HTTPError as error:
            error.close()
            raise _refused(error.code, error.reason) from error
        except (OSError, HTTPException, ValueError) as error:
            raise _failed(error) from error


class _UnknownMethodError(UnreadableFileError):
    """The server does not know how to answer without a content."""


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.page = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page = self.page or tag in ("html", "head", "body", "title", "a", "ul", "pre", "table")
        if tag == "a":
            self.targets += [value for name, value in attrs if name == "href" and value]


class _Patient(HTTPConnection):
    """A connection that ends where the head of an answer takes too long."""

    def getresponse(self) -> HTTPResponse:
        late = threading.Event()

        def end() -> None:
            late.set()
            with suppress(OSError, AttributeError):  # it has ended by itself
                self.sock.shutdown(socket.SHUT_RDWR)

        ending = threading.Timer(_HEAD, end)
        ending.daemon = True
        ending.start()
        try:
            answer = super().getresponse()
        finally:
            ending.cancel()
        if late.is_set():  # what broke off looks like a whole head
            answer.close()
            raise TimeoutError
        return answer


class _PatientTls(_Patient, HTTPSConnection):
    """The same, encrypted."""


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Patient, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_PatientTls, req)


class _Redirected(urllib.request.HTTPRedirectHandler):
    def __init__(self, allow: Callable[[str, str], None]) -> None:
        self._allow = allow

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        self._allow(req.full_url, newurl)
        followed = super().redirect_request(req, fp, code, msg, headers, newurl)
        if followed is not None:
            followed.method = req.get_method()
        return followed


def _same_server(old: str, new: str) -> None:
    """A server that was named may send us to itself, and nowhere into a network that it cannot see."""
    before, after = urlsplit(old), urlsplit(new)
    if before.hostname != after.hostname or after.scheme not in ("http", "https"):
        raise UnreadableFileError(
            f"its server sends us elsewhere: {without_secrets(new)[:200]}", remedy="give that address itself"
        )


def _block(answer: HTTPResponse, most: int) -> bytes:
    try:
        return answer.read1(min(_BLOCK, most))
    except (OSError, HTTPException, ValueError) as error:
        raise _failed(error) from error


def _found(path: bytes, headers: HTTPMessage) -> FoundFile:
    size = headers.get("Content-Length", "")
    changed, now = _seconds(headers.get("Last-Modified")), _seconds(headers.get("Date"))
    tag = headers.get("ETag")
    if tag is not None:
        mark = mark_of(tag)
    elif changed is not None and now is not None and now - changed >= _TICK_SECONDS:
        mark = mark_of(str(changed))
    else:
        mark = UNMARKED  # it may change again within a second, unseen
    written = -1 if changed is None else changed * 10**9
    return FoundFile(path, int(size) if size.isdecimal() else -1, written, mark)


def _seconds(date: str | None) -> int | None:
    try:
        return None if date is None else int(parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None


def _refused(code: int, reason: str) -> UnreadableFileError:
    if code in (401, 403, 407):
        return NotPermittedError(
            f"there is no permission to read it ({code})", remedy="give what anybody may read"
        )
    if code in (404, 410):
        return UnreadableFileError(f"there is no such file ({code})", remedy="check its address")
    kind = _UnknownMethodError if code in (405, 501) else UnreadableFileError
    return kind(f"its server answers {code} {reason:.80}", remedy="try it later")


def _failed(error: Exception) -> UnreadableFileError:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError):
        return UnreadableFileError("its server does not answer in time", remedy="try it later")
    text = without_secrets(f"{type(error).__name__}: {reason}")
    return UnreadableFileError(f"it does not come: {text:.200}", remedy="check its address, or try it later")


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"it has more than {most:,} bytes", remedy="give a smaller picture")
