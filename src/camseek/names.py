"""Names of files: bytes on the disk, text for people, both for programs."""

import base64
import os
import re
import reprlib
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from camseek.errors import SourceError


def absolute(path: str | bytes | os.PathLike[str]) -> bytes:
    """The absolute form of a name, by which a collection knows a file; links are not followed.

    Where nothing has this name, but something has the same one with its accents composed or decomposed (as
    macOS spells them), it is that one's. An address (``s3://bucket/a.jpg``) is one already; that of a file
    of this machine (``file:///photos``) is its name.

    Raises:
        ValueError: It is empty, and would be the working folder.
        SourceError: It is an address that holds a secret, or names nothing.
    """
    name = os.fsencode(path)
    if not name:
        raise ValueError("the name is empty")
    if is_remote(name):
        name = _address(name)
        if is_remote(name):
            return name
    name = os.path.abspath(name)
    # Two slashes in front are kept by the system's rules, and mean the same as one.
    return on_disk(b"/" + name.lstrip(b"/") if name.startswith(b"//") else name)


def composed(text: str) -> str:
    """A name with its accents composed (Unicode's NFC): by this form names are the same for people."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def same_text(path: bytes) -> bytes:
    """The bytes of ``composed``, of a name that need not be text."""
    return path if path.isascii() else os.fsencode(composed(os.fsdecode(path)))


def alike(name: bytes, paths: Iterable[bytes]) -> list[bytes]:
    """Those of paths that are a name, or lie beneath it, for people: accents composed or not; sorted."""
    wanted = same_text(name)
    beneath = wanted.rstrip(b"/") + b"/"
    texts = ((path, same_text(path)) for path in paths if not path.isascii())
    return sorted(path for path, text in texts if text == wanted or text.startswith(beneath))


def on_disk(path: bytes) -> bytes:
    """An absolute name as the disk spells it: what has exactly this name, or else the same for people.

    Parts of which there is neither stay as they are.
    """
    if path.isascii() or os.path.lexists(path):
        return path
    found = b"/"
    for part in path.split(b"/"):
        place = os.path.join(found, part)
        # Most parts are ASCII, and a folder of many files is not gone through for those.
        if not part.isascii() and not os.path.lexists(place):
            place = _spelt_otherwise(found, part) or place
        found = place
    return found


def _spelt_otherwise(folder: bytes, name: bytes) -> bytes | None:
    wanted = same_text(name)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if same_text(entry.name) == wanted:
                return entry.path
    return None


_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://")
_SAME = {b"s3a": b"s3", b"gcs": b"gs"}
# What is behind a question mark of an address that lets in whoever has it.
_SIGNED = re.compile(
    rb"[?&](x-amz-|x-goog-|awsaccesskeyid|googleaccessid|signature|sig|se|sv|token|access_token|api_?key|key)"
    rb"[a-z-]*=",
    re.IGNORECASE,
)
LOGINS = {
    b"s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    b"gs": "GOOGLE_APPLICATION_CREDENTIALS",
}
"""Where the driver of a kind of address finds out who asks, in the environment."""
_NO_LOGIN = "leave it out: pictures are read over the web where anybody may"


def is_remote(name: bytes) -> bool:
    """Whether a name is an address of another machine's file, or of one that a driver keeps."""
    return _SCHEME.match(name) is not None


def way_from(root: bytes, path: bytes) -> bytes:
    """The name of a root's picture from the root on: what patterns are told of.

    Pictures of a IIIF manifest lie wherever it says, and not beneath it: of these what follows the ``://``.
    """
    folder = root.rstrip(b"/") + b"/"
    return path[len(folder) :] if path.startswith(folder) else path.partition(b"://")[2]


def may_bring(root: bytes, path: bytes) -> bool:
    """Whether a root may have brought a picture: it lies beneath, or both are of the web (a manifest's)."""
    return path.startswith(root.rstrip(b"/") + b"/") or (_is_web(root) and _is_web(path))


def _is_web(name: bytes) -> bool:
    return name.startswith((b"http://", b"https://"))


def without_secrets(text: str) -> str:
    """Text in which addresses have no login, and nothing behind a question mark or #: what may be printed."""
    text = re.sub(r"(?<=://)[^/\s@]*@", "***@", text)
    return re.sub(r"(://[^\s?#]*[?#])\S+", r"\1***", text)


def _address(name: bytes) -> bytes:
    """An address in the one form in which a collection knows it.

    Of what is behind the server's or bucket's name nothing is rewritten: in object storage ``..`` and ``//``
    are parts of a name like all others.

    Raises:
        SourceError: It names no server or bucket, or holds a login or a signature, which would be stored.
    """
    scheme, _, rest = name.partition(b"://")
    scheme = scheme.lower()
    scheme = _SAME.get(scheme, scheme)
    told = without_secrets(path_text(name))
    if scheme in (b"milvus", b"milvus+tls"):
        raise SourceError(
            f"an address with {path_text(scheme)}:// is that of a collection, and no pictures are there",
            remedy="name a folder of pictures; collections go with --collection, to camseek serve, say",
        )
    if scheme == b"file":
        if not rest.startswith(b"/"):
            raise SourceError(
                f"{told} names no file of this machine", remedy="write file:///folder, or /folder"
            )
        return unquote_to_bytes(rest)
    host, slash, way = rest.partition(b"/")
    login = LOGINS.get(scheme)
    remedy = _NO_LOGIN if login is None else f"leave it out, and set {login} in the environment"
    if b"@" in host:
        raise SourceError(f"{told} holds a login, which would be stored and shown", remedy=remedy)
    web = scheme in (b"http", b"https")
    if _SIGNED.search(name) or (web and (b"?" in way or b"#" in way)):
        raise SourceError(
            f"{told} has something behind its question mark or #, which may be a secret, and would be stored "
            "and shown",
            remedy=remedy,
        )
    if not host or b"\0" in name:
        raise SourceError(f"{told} names no bucket or server", remedy="write s3://bucket/folder, say")
    return scheme + b"://" + (host.lower() if web else host) + (slash + way).rstrip(b"/")


GIVEN = "camseek:"
"""What the name of a picture begins with that came without a file."""


def is_given(name: bytes) -> bool:
    """Whether a name is that of a picture without a file."""
    return name.startswith(GIVEN.encode())


def known_name(path: str | bytes | os.PathLike[str]) -> bytes:
    """The name by which a collection knows a file, or a picture without one.

    Raises:
        ValueError: It is empty.
    """
    name = os.fsencode(path)
    if name == GIVEN.encode():
        raise ValueError("the name is empty")
    return name if is_given(name) else absolute(name)


def shown(value: Any) -> str:
    """A value from a stranger's file for a message: short, whatever it is."""
    return reprlib.repr(value)


def there_first(paths: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Names of one content, those under which something is there before the others."""
    if len(paths) < 2:
        return paths
    return tuple(sorted(paths, key=lambda path: (_is_gone(path), path)))


def _is_gone(path: bytes) -> bool:
    """Whether nothing has this name here; what lies elsewhere is not asked for."""
    return not (is_given(path) or is_remote(path) or os.path.lexists(path))


def path_text(path: bytes) -> str:
    """A name as text for people; bytes that are not UTF-8 show as U+FFFD."""
    return path.decode("utf-8", errors="replace")


def name_text(path: bytes) -> str:
    r"""A name on one line of text, from which it can be told to the byte.

    What does not print is written out: a byte that is not UTF-8 as ``\xff``, a character as ``\u0085`` or
    ``\U000e0001`` (control characters, signs that turn the direction of text), and a backslash as ``\\``
    where it separates no folders.
    """
    return "".join(map(_written, path.decode("utf-8", errors="surrogateescape")))


def prints(char: str) -> bool:
    """Whether a character can be printed as it is: spaces of every width can, what ends a line cannot."""
    return char.isprintable() or unicodedata.category(char) == "Zs"


def _written(char: str) -> str:
    code = ord(char)
    if char == "\\" and os.sep != char:
        return "\\\\"
    if prints(char):
        return char
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def path_json(path: bytes) -> dict[str, Any]:
    """A name for programs: ``path``, and ``path_bytes`` in base64 where the name is not UTF-8."""
    try:
        return {"path": path.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path": path_text(path), "path_bytes": base64.b64encode(path).decode("ascii")}


def paths_json(paths: Sequence[bytes]) -> dict[str, Any]:
    """Names of one content for programs: the first as ``path_json``, then ``paths``, all of them.

    Where one is not UTF-8 also ``paths_bytes``: base64, null for those that are.
    """
    names = [path_json(path) for path in paths]
    found: dict[str, Any] = {
        **(names[0] if names else {"path": None}),
        "paths": [name["path"] for name in names],
    }
    if any("path_bytes" in name for name in names):
        found["paths_bytes"] = [name.get("path_bytes") for name in names]
    return found
