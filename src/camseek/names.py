"""Names of files: bytes on the disk, text for people, both for programs."""

import base64
import os
import reprlib
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any


def absolute(path: str | bytes | os.PathLike[str]) -> bytes:
    """The absolute form of a name, by which a collection knows a file; links are not followed.

    Where nothing has this name, but something has the same one with its accents composed or decomposed (as
    macOS spells them), it is that one's.

    Raises:
        ValueError: It is empty, and would be the working folder.
    """
    if not os.fsencode(path):
        raise ValueError("the name is empty")
    name = os.path.abspath(os.fsencode(path))
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
    return tuple(sorted(paths, key=lambda path: (not is_given(path) and not os.path.lexists(path), path)))


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
