"""Names of files: bytes on the disk, text for people, both for programs."""

import base64
import os
from typing import Any


def absolute(path: str | bytes | os.PathLike[str]) -> bytes:
    """The absolute form of a name, by which a collection knows a file; links are not followed.

    Raises:
        ValueError: It is empty, and would be the working folder.
    """
    if not os.fsencode(path):
        raise ValueError("the name is empty")
    name = os.path.abspath(os.fsencode(path))
    # Two slashes in front are kept by the system's rules, and mean the same as one.
    return b"/" + name.lstrip(b"/") if name.startswith(b"//") else name


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


def path_text(path: bytes) -> str:
    """A name as text for people; bytes that are not UTF-8 show as U+FFFD."""
    return path.decode("utf-8", errors="replace")


def path_json(path: bytes) -> dict[str, Any]:
    """A name for programs: ``path``, and ``path_bytes`` in base64 where the name is not UTF-8."""
    try:
        return {"path": path.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path": path_text(path), "path_bytes": base64.b64encode(path).decode("ascii")}
